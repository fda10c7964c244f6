"""The sitting: contestants answer and judges mark, at the same time, until nothing is owed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from sciexam.battles import Slot, name_of, pair
from sciexam.errors import Incomplete, Interrupted, UsageError
from sciexam.exam.plan import Plan, Rater, conversations_of, presentations_of
from sciexam.judges.foreign import guarded
from sciexam.models.recorded import RecordedModel
from sciexam.report.record import Calls
from sciexam.store import Fact, Store, Writer
from sciexam.types import TRUNCATED, Comparison, Conversation, Model, Presentation, Reply, Response, Verdict

CLAIM_ROWS = 64
POLL_SECONDS = 0.2
JOIN_SECONDS = 0.02
GATHER_SECONDS = 0.5  # that a judge waits for company of the first comparison of a batch
WORD_SECONDS = 5.0  # of waiting for another process, before a word is said of it

_log = logging.getLogger(__name__)

Asked = TypeVar("Asked", Conversation, Presentation)


@dataclass(frozen=True, slots=True)
class Progress:
    """How many facts are durable of how many there will be, as far as is known."""

    responses: int
    responses_planned: int
    verdicts: int
    verdicts_planned: int


class _Feed:
    """Comparisons as they become possible. Every judge reads all of them, at its own pace."""

    def __init__(self) -> None:
        self._items: list[Comparison] = []
        self._open = True
        self._changed = threading.Condition()

    def add(self, items: Iterable[Comparison]) -> None:
        with self._changed:
            self._items.extend(items)
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._open = False
            self._changed.notify_all()

    def batches(self) -> Iterator[list[Comparison]]:
        """Everything that came since the last batch, until the feed is closed and read."""
        read = 0
        while True:
            with self._changed:
                while self._open and len(self._items) == read:
                    self._changed.wait()
                if self._open:
                    self._changed.wait_for(lambda: not self._open, GATHER_SECONDS)
                batch = self._items[read:]
                if not batch:
                    return
            read += len(batch)
            yield batch


class Sitting:
    """One command at work: contestants answer and judges mark at the same time, each in a thread of its own."""

    def __init__(
        self,
        plan: Plan,
        store: Store,
        stop: threading.Event,
        progress: Callable[[Progress], None] | None,
        retry_invalid: bool,
    ):
        self._plan, self._store, self._stop = plan, store, stop
        self._failed = threading.Event()
        self._progress, self._retry_invalid = progress, retry_invalid
        self._prompts = {prompt.id: prompt for prompt in plan.prompts}
        self._feed = _Feed()
        self._lock = threading.Lock()
        self._responses: dict[Slot, Response] = {}
        self._paired: set[tuple[str, str, str, int]] = set()
        self._count = Progress(0, 0, 0, 0)
        self._calls = Calls()
        self._models: Mapping[str, Model] = {}
        self._asked: list[Any] = []
        self._waited = 0.0
        self.skipped: dict[str, Fact] = {}

    def hold(self, models: Mapping[str, Model]) -> None:
        """Ask for everything that is owed; on return (or raise) everything that came back is durable."""
        self._models = models
        self._asked = [*models.values(), *(rater.judge for rater in self._plan.raters)]
        try:
            with self._store.writer(self._durable) as writer:
                answering = [partial(self._respond, name, model, writer) for name, model in models.items()]
                marking = [partial(self._mark, rater, writer) for rater in self._plan.raters]
                self._together(answering, marking)
        except Incomplete as error:
            raise Incomplete(f"{error}\n{self._safe()}; run the same command to go on") from None
        if self._stop.is_set():
            raise Interrupted(f"stopped at {self._safe()}; run the same command to go on")

    @property
    def notes(self) -> list[str]:
        """What endpoints do not take and were asked without, as sentences."""
        named = [*self._models.items(), *((rater.name, rater.judge) for rater in self._plan.raters)]
        return [f"{name}: {note}" for name, asked in named for note in getattr(asked, "notes", ())]

    @property
    def calls(self) -> Calls:
        """What was asked of models now, and what it cost by the suite's prices."""
        return self._calls

    def _together(self, answering: Sequence[Callable[[], None]], marking: Sequence[Callable[[], None]]) -> None:
        """Run all tasks at once. The first failure stops the others, and is raised when they have ended."""
        failures: list[BaseException] = []

        def guarded(task: Callable[[], None]) -> None:
            try:
                task()
            except BaseException as error:  # raised below, in the thread of the caller
                failures.append(error)
                self._failed.set()

        threads = [threading.Thread(target=guarded, args=(task,), daemon=True) for task in answering]
        judges = [threading.Thread(target=guarded, args=(task,), daemon=True) for task in marking]
        for thread in (*threads, *judges):
            thread.start()
        try:
            self._join(threads)
            self._feed.close()
            self._join(judges)
        except BaseException:  # an interrupt, in a notebook too: the threads must not go on asking
            self._failed.set()
            self._tell_to_stop()
            raise
        finally:
            self._feed.close()
        if failures:
            raise failures[0]

    def _join(self, threads: Sequence[threading.Thread]) -> None:
        """Wait for threads in short steps, so that a signal is handled in between; pass a wish to stop on, once."""
        while any(thread.is_alive() for thread in threads):
            time.sleep(JOIN_SECONDS)
            if self._ending:
                self._tell_to_stop()

    def _tell_to_stop(self) -> None:
        for asked in self._asked:
            if callable(stop := getattr(asked, "stop", None)):
                stop()
        self._asked = []

    @property
    def _ending(self) -> bool:
        return self._stop.is_set() or self._failed.is_set()

    # -------------------------------------------------------- contestants

    def _respond(self, contestant: str, model: Model, writer: Writer) -> None:
        conversations = dict(conversations_of(self._plan, contestant))
        slots: dict[str, list[Slot]] = {}
        for slot, conversation in conversations.items():
            slots.setdefault(conversation.key, []).append(slot)
        stored = self._store.replies(slots)
        spec = self._plan.suite.models[contestant]
        paid = not isinstance(model, RecordedModel)

        def take(reply: Reply, new: bool) -> None:
            if paid:
                self._account(getattr(spec, "model", None), reply, new)
            self._answered([Response(contestant, *slot[1:], reply) for slot in slots[reply.key]])

        useful = {(slot[1], slot[2]) for slot in conversations if not paid or self._comparable(contestant, slot)}
        owed = [
            replace(conversation, attempt=_attempts(stored.get(conversation.key)))
            for conversation in {c.key: c for slot, c in conversations.items() if slot[1:] in useful}.values()
            if self._owes(stored.get(conversation.key))
        ]
        self._expect(responses=len(slots), of_them_stored=len(slots) - len(owed))
        for key in stored.keys() - {conversation.key for conversation in owed}:
            take(stored[key], new=False)
        self._ask(contestant, owed, stored, self._store.replies, model.generate, take, writer)

    def _comparable(self, contestant: str, slot: Slot) -> bool:
        """Whether anyone else may have an answer to compare with: nobody is asked, and paid, for nothing."""
        prompt, sample = self._prompts[slot[1]], slot[2]
        others = (model for name, model in self._models.items() if name != contestant)
        return any(not isinstance(other, RecordedModel) or other.answers(prompt, sample) for other in others)

    def _answered(self, responses: Sequence[Response]) -> None:
        """Note responses, and feed the judges every comparison that they complete."""
        with self._lock:
            self._responses.update({(r.contestant, r.prompt, r.sample): r for r in responses})
            asked = [self._prompts[r.prompt] for r in responses]
            ready = pair(asked, self._plan.contestants, self._plan.samples, self._responses)
            new = [c for c in ready if name_of(c) not in self._paired]
            self._paired.update(name_of(c) for c in new)
        self._feed.add(new)

    # -------------------------------------------------------- judges

    def _mark(self, rater: Rater, writer: Writer) -> None:
        assert rater.judge is not None
        for batch in self._feed.batches():
            if self._ending:
                return
            shown: dict[str, Presentation] = {}
            for comparison in batch:
                shown.update({p.key: p for p in presentations_of(self._plan, rater, comparison, self._store)})
            stored: dict[str, Verdict] = self._store.verdicts(shown)

            def take(verdict: Verdict, new: bool) -> None:
                if verdict.reply is not None or (rater.model and not new):
                    self._account(rater.model, verdict.reply, new)

            owed = [
                replace(presentation, attempt=_attempts(stored.get(presentation.key)))
                for presentation in shown.values()
                if self._owes(stored.get(presentation.key))
            ]
            self._expect(verdicts=len(shown), of_them_stored=len(shown) - len(owed))
            for key in shown.keys() - {p.key for p in owed}:
                take(stored[key], new=False)
            self._ask(rater.name, owed, stored, self._store.verdicts, rater.judge.judge, take, writer)

    # -------------------------------------------------------- both

    def _owes(self, fact: Fact | None) -> bool:
        """Whether a fact is to be asked for: it is not there, its call failed, or it is invalid and may be retried.

        A verdict that was cut off is owed its second attempt, which a kill may have come before.
        """
        if fact is None or fact.status == "failed":
            return True
        return fact.status == "invalid" and (self._retry_invalid or _is_cut_off(fact))

    def _ask(
        self,
        name: str,
        owed: Sequence[Asked],
        stored: Mapping[str, Any],
        read: Callable[[Iterable[str]], Mapping[str, Any]],
        ask: Callable[[Iterator[Asked]], Iterable[Any]],
        take: Callable[[Any, bool], None],
        writer: Writer,
    ) -> None:
        """Ask for what is owed and nobody is at; then wait for what others are at, or take it over from the dead.

        What `name` was asked for and passed over in silence is a failed fact, so that it is counted and asked again.
        """
        settled: set[str] = set()

        def settle(fact: Any, new: bool) -> None:
            settled.add(fact.key)
            take(fact, new)

        while owed and not self._ending:
            theirs: list[Asked] = []
            known = {one.key for one in owed}
            pulled: set[str] = set()
            for fact in guarded(name, ask(self._claimed(owed, stored, read, settle, theirs, pulled))):
                if getattr(fact, "key", None) not in known:
                    raise UsageError(f"{name} gave back {fact!r:.80}, which answers nothing that it was asked")
                if fact.status == "skipped":
                    self.skipped[fact.key] = fact
                else:
                    writer.put(fact)
                settle(fact, True)
            self._store.release(settled & self.skipped.keys())
            for one in [] if self._ending else owed:
                if one.key in pulled - settled:
                    writer.put(_silence(one, name))
                    take(_silence(one, name), True)
            found = read([one.key for one in theirs])
            for one in theirs:
                if _newer(found.get(one.key), stored.get(one.key)):
                    take(found[one.key], False)
            waiting = [one for one in theirs if not _newer(found.get(one.key), stored.get(one.key))]
            unasked = [one for one in owed if one.key not in settled | pulled | {other.key for other in theirs}]
            if unasked and not self._ending:
                raise UsageError(f"{name} stopped after {len(pulled)} of {len(owed)}; it must go through all it gets")
            if waiting and len(waiting) == len(owed):
                self._wait(len(waiting))
            owed = waiting

    def _wait(self, keys: int) -> None:
        """Leave another process time; say so once, for it may be one that was suspended and forgotten."""
        self._waited += POLL_SECONDS
        if POLL_SECONDS <= self._waited - WORD_SECONDS < 2 * POLL_SECONDS:
            _log.warning("waiting for %d keys that another sciexam on this ledger is working on", keys)
        time.sleep(POLL_SECONDS)

    def _claimed(
        self,
        owed: Sequence[Asked],
        stored: Mapping[str, Any],
        read: Callable[[Iterable[str]], Mapping[str, Any]],
        take: Callable[[Any, bool], None],
        theirs: list[Asked],
        pulled: set[str],
    ) -> Iterator[Asked]:
        """Those of `owed` that are ours to ask for, claimed a few at a time; the others are put into `theirs`."""
        for start in range(0, len(owed), CLAIM_ROWS):
            chunk = {one.key: one for one in owed[start : start + CLAIM_ROWS]}
            if self._ending:
                return
            mine = self._store.claim(list(chunk))
            # Another process may have finished a key between our look and our claim.
            found = {key: fact for key, fact in read(mine).items() if _newer(fact, stored.get(key))}
            self._store.release(found)
            for fact in found.values():
                take(fact, False)
            for key, one in chunk.items():
                if key not in mine:
                    theirs.append(one)
                elif key not in found:
                    if self._ending:
                        return
                    pulled.add(key)
                    yield one

    def _account(self, model: str | None, reply: Reply | None, new: bool) -> None:
        """Count a call by its price; the cost is unknown as soon as one call's is."""
        with self._lock:
            c = self._calls
            if not new:
                self._calls = replace(c, reused=c.reused + 1)
            elif reply is not None:
                price = self._plan.suite.prices.get(model or "")
                cost = price.of(reply.input_tokens, reply.output_tokens) if price else None
                if reply.status == "failed" and reply.input_tokens is None:
                    cost = 0.0  # nothing came back that could have been billed
                self._calls = Calls(
                    made=c.made + 1,
                    reused=c.reused,
                    input_tokens=c.input_tokens + (reply.input_tokens or 0),
                    output_tokens=c.output_tokens + (reply.output_tokens or 0),
                    usd=None if cost is None or c.usd is None else c.usd + cost,
                )

    def _expect(self, responses: int = 0, verdicts: int = 0, of_them_stored: int = 0) -> None:
        with self._lock:
            c = self._count
            self._count = Progress(
                responses=c.responses + (of_them_stored if responses else 0),
                responses_planned=c.responses_planned + responses,
                verdicts=c.verdicts + (of_them_stored if verdicts else 0),
                verdicts_planned=c.verdicts_planned + verdicts,
            )

    def _durable(self, facts: Sequence[Fact]) -> None:
        given = [fact for fact in facts if fact.status != "failed"]
        verdicts = sum(isinstance(fact, Verdict) for fact in given)
        with self._lock:
            c = self._count
            self._count = replace(c, responses=c.responses + len(given) - verdicts, verdicts=c.verdicts + verdicts)
        if self._progress:
            self._progress(self._count)

    def _safe(self) -> str:
        planned = max(self._count.verdicts_planned, self._verdicts_expected())
        return f"{self._count.verdicts:,}/{planned:,} verdicts"

    def _verdicts_expected(self) -> int:
        pairs = len(self._plan.contestants) * (len(self._plan.contestants) - 1) // 2
        shown = sum((2 if r.sees_order and r.orders == "both" else 1) * r.repeats for r in self._plan.raters)
        return pairs * len(self._plan.prompts) * self._plan.samples * shown


def _attempts(fact: Fact | None) -> int:
    """How many attempts there are under a key whose last (or first usable) is `fact`."""
    return 0 if fact is None else fact.attempt + 1


def _is_cut_off(fact: Fact) -> bool:
    """Whether this is the first attempt of a verdict that was cut off: a second one is on its way, or owed."""
    return isinstance(fact, Verdict) and fact.failure == TRUNCATED and fact.attempt == 0


def _silence(asked: Conversation | Presentation, name: str) -> Fact:
    if isinstance(asked, Conversation):
        return Reply(asked.key, status="failed", failure="no reply given")
    return asked.verdict(name, status="failed", failure="no verdict given")


def _newer(fact: Fact | None, than: Fact | None) -> bool:
    """Whether someone else's fact settles what we found missing or failed."""
    if fact is None or _is_cut_off(fact):
        return False
    return than is None or fact.status == "ok" or fact.attempt > than.attempt
