"""The sitting: contestants answer and judges mark, at the same time, until nothing is owed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from sciexam.battles import Slot, in_drawn_order, name_of, pair
from sciexam.errors import GateNotMet, Incomplete, Interrupted, StoreError
from sciexam.exam.asking import Asking, attempts, owes
from sciexam.exam.drift import Candidates
from sciexam.exam.echoes import is_another
from sciexam.exam.feed import GATHER_SECONDS, Feed, Look, showing
from sciexam.exam.plan import Plan, conversations_of, keys_of, shown_of, submissions_of
from sciexam.exam.raters import UNCALLED, Rater, called_model
from sciexam.exam.references import Written, judgeable, referring, with_references, write_references
from sciexam.exam.tally import Progress, Tally
from sciexam.models.recorded import RecordedModel
from sciexam.models.scripted import ScriptedModel
from sciexam.models.terms import USUAL, Terms
from sciexam.report.calls import Calls
from sciexam.store import Fact, Store, Writer
from sciexam.types import (
    Comparison,
    Conversation,
    Grade,
    Model,
    Presentation,
    Prompt,
    Reply,
    Response,
    Submission,
    Verdict,
)

# With the statistics, which a sitting begins without: imported where there is a cascade, or a sequence is watched.
if TYPE_CHECKING:
    from sciexam.exam.cascade import Cascade
    from sciexam.exam.until import Until

__all__ = ["JOIN_SECONDS", "Progress", "Sitting"]

JOIN_SECONDS = 0.02


class Sitting:
    """One command at work: contestants answer and judges mark at the same time, each in a thread of its own.

    `recorded_only`: files of answers and verdicts are read, and nobody is asked. `judges_only`: no contestant is asked;
    what the ledger and the files have of their answers is judged. `announced`: the most verdicts that endpoints owe.
    `before`: the answers and verdicts of a larger plan that are durable and left out of `plan`; the progress counts
    them.
    """

    def __init__(
        self,
        plan: Plan,
        store: Store,
        stop: threading.Event,
        progress: Callable[[Progress], None] | None,
        retry_invalid: bool,
        recorded_only: bool = False,
        judges_only: bool = False,
        strict_model: bool = False,
        terms: Terms = USUAL,
        announced: int = 0,
        before: tuple[int, int] = (0, 0),
    ):
        self._plan, self._store, self._stop, self._terms = plan, store, stop, terms
        self._failed = threading.Event()
        self._tally = Tally(plan.suite.costs, progress, terms.budget, announced)
        answers, verdicts = before
        self._tally.expect(responses=answers, of_them_stored=answers)
        self._tally.expect(verdicts=verdicts, of_them_stored=verdicts)
        self._retry_invalid = retry_invalid
        self._recorded_only, self._judges_only = recorded_only, judges_only
        self._prompts = {prompt.id: prompt for prompt in plan.prompts}
        # A run that ends early (a budget, Ctrl-C) has then asked for a random part of the prompts.
        self._place = {p.id: place for place, p in enumerate(in_drawn_order(plan.prompts, plan.suite.seed))}
        self._pairs_of = _by_contestant(plan)
        self._feed = Feed(_gather(plan, terms))
        self._until: Until | None = None
        self._lock = threading.Lock()
        self._responses: dict[Slot, Response] = {}
        self._paired: set[tuple[str, str, str, int]] = set()
        self._models: Mapping[str, Model] = {}
        self._asked: list[Any] = []
        self._candidates = Candidates(plan.suite.seed)
        self._referring = threading.Lock()
        self._strict_model = strict_model
        self._stranger = ""  # the first reply of another model than was asked for, in a sentence
        self.skipped: dict[str, Fact] = {}

    def hold(self, models: Mapping[str, Model]) -> None:
        """Ask for everything that is owed; on return (or raise) everything that came back is durable."""
        self._models = models
        writers = [rater.reference_model for rater in self._plan.raters if rater.reference]
        self._asked = [*models.values(), *(rater.judge for rater in self._plan.raters), *writers]
        try:
            if self._plan.until_decided:
                from sciexam.exam.until import opened

                self._until = opened(self._plan, self._store, self._retry_invalid)
                self._plan = self._until.plan
            elif any(referring(self._plan.raters)):
                with self._store.writer(self._tally.durable) as writer:
                    self._together([], [partial(self._refer, writer)])
                self._plan = with_references(self._plan, self._store)
                self._feed = Feed(_gather(self._plan, self._terms))  # the other one was closed
            with self._store.writer(self._tally.durable) as writer:
                answering = [partial(self._respond, name, model, writer) for name, model in models.items()]
                able = [rater for rater in self._plan.raters if rater.judge is not None]
                raters = [rater for rater in able if rater.part_of != "cascade"]
                recorded = [rater for rater in raters if rater.by_name]
                marking = [partial(self._mark, rater, writer) for rater in raters if not rater.by_name]
                marking += [partial(self._escalate, cascade) for cascade in self._cascades()]
                marking += [partial(self._mark_in_turn, recorded, writer)] if recorded else []
                self._together(answering, marking)
            with self._store.writer(self._tally.durable) as writer:
                again = [rater for rater in self._plan.raters if self._candidates.is_due(rater)]
                self._together([], [partial(self._look_again, rater, writer) for rater in again])
        except (Incomplete, StoreError) as error:
            raise type(error)(f"{error}\n{self._safe()}; run the same command to go on") from None
        if self._stranger:
            raise GateNotMet(f"--strict-model: {self._stranger} Stopped at {self._safe()}; what came back is stored.")
        if self._stop.is_set():
            raise Interrupted(f"stopped at {self._safe()}; run the same command to go on")

    @property
    def notes(self) -> list[str]:
        """What endpoints do not take and were asked without, as sentences."""
        named = [*self._models.items(), *((rater.name, rater.judge) for rater in self._plan.raters)]
        told = [f"{name}: {note}" for name, asked in named for note in getattr(asked, "notes", ())]
        return [*filter(None, [self._terms.unasked]), *told]

    @property
    def calls(self) -> Calls:
        """What was asked of models now, and what it cost by the suite's prices."""
        return replace(self._tally.calls, unasked=self._terms.unasked)

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
        for thread in threads:
            while thread.is_alive():
                thread.join(JOIN_SECONDS)
                if self._is_ending():
                    self._tell_to_stop()

    def _tell_to_stop(self) -> None:
        for asked in self._asked:
            if callable(stop := getattr(asked, "stop", None)):
                stop()
        self._asked = []

    def _is_ending(self) -> bool:
        return self._stop.is_set() or self._failed.is_set()

    def _is_done(self, needs: Callable[[Until], bool]) -> bool:
        """Whether it is time to end, the budget is spent, or all that the sequences needed of someone is decided."""
        if self._is_over():  # over its budget a model ends by itself, and yields what was paid
            return True
        return self._until is not None and not needs(self._until)

    def _is_open(self, rater: Rater, item: Comparison | Response) -> bool:
        """Whether `rater` is still to be asked for a comparison: not where its pair is decided."""
        if self._until is None or not isinstance(item, Comparison):
            return True
        return self._until.is_open(item.a.contestant, item.b.contestant, rater.bench)

    # -------------------------------------------------------- contestants

    def _in_turn(self, slots: Iterable[Slot]) -> list[Slot]:
        return sorted(slots, key=lambda slot: (self._place[slot[1]], slot[2]))

    def _respond(self, contestant: str, model: Model, writer: Writer) -> None:
        conversations = dict(conversations_of(self._plan, contestant))
        slots: dict[str, list[Slot]] = {}
        for slot, conversation in conversations.items():
            slots.setdefault(conversation.key, []).append(slot)
        stored = self._store.replies(slots)
        spec = self._plan.suite.models[contestant]
        paid = not isinstance(model, RecordedModel)
        called = paid and not isinstance(model, ScriptedModel)

        def take(reply: Reply, new: bool) -> None:
            if called:
                self._account(contestant, called_model(spec), reply, new)
            given = [Response(contestant, *slot[1:], reply) for slot in slots[reply.key]]
            if self._until is None:
                self._answered(contestant, given)
            else:
                held.update({(r.contestant, r.prompt, r.sample): r for r in given})

        held: dict[Slot, Response] = {}
        useful = self._useful(contestant, model, conversations)
        silent = paid and (self._recorded_only or self._judges_only)
        owed = [
            replace(conversation, attempt=attempts(stored.get(conversation.key)))
            for conversation in {
                conversations[slot].key: conversations[slot] for slot in self._in_turn(useful)
            }.values()
            if owes(stored.get(conversation.key), self._retry_invalid) and not silent
        ]
        reused = stored.keys() - {conversation.key for conversation in owed}
        self._tally.expect(responses=len(owed) + len(reused), of_them_stored=len(reused))
        for key in reused:
            take(stored[key], new=False)
        ending = partial(self._is_done, lambda until: until.needs(contestant))
        errand: Asking[Conversation] = Asking(
            contestant, self._store, writer, stored, self._store.replies, take, ending
        )
        if self._until is None or not paid:
            errand.run(owed, model.generate)
        if self._until is not None:
            first = {key: listed[0][1] for key, listed in slots.items()}
            rounds = _by_prompt((first[one.key], one) for one in owed if paid)
            for prompts in self._until.turns(contestant, ending):
                errand.run([one for prompt in prompts for one in rounds.get(prompt.id, ())], model.generate)
                if not ending() and self._refer_round(self._until, prompts, writer):
                    self._round_answered(self._until, contestant, prompts, held)
        self.skipped.update(errand.skipped)

    def _round_answered(
        self, until: Until, contestant: str, prompts: Sequence[Prompt], held: Mapping[Slot, Response]
    ) -> None:
        until.answered(contestant, prompts, held)
        inside = {prompt.id for prompt in prompts}
        self._answered(contestant, [response for slot, response in held.items() if slot[1] in inside])

    def _comparable(self, contestant: str, slots: Iterable[Slot]) -> Set[Slot]:
        """Those where anyone else may have an answer to compare with: nobody is asked, and paid, for nothing."""
        if self._plan.alone:
            return set(slots)
        others = {name for contest in self._pairs_of[contestant] for name in contest} - {contestant}
        models = [model for name, model in self._models.items() if name in others]

        def anyone_answers(prompt: Prompt, sample: int) -> bool:
            return any(not isinstance(other, RecordedModel) or other.answers(prompt, sample) for other in models)

        return {slot for slot in slots if anyone_answers(self._prompts[slot[1]], slot[2])}

    def _useful(self, contestant: str, model: Model, slots: Iterable[Slot]) -> Iterable[Slot]:
        """The slots that asking for is of use: a file is not asked for what it does not hold."""
        if not isinstance(model, RecordedModel):
            return self._comparable(contestant, slots)
        if self._until is not None:  # which waits to be told of every answer
            return slots
        return [slot for slot in slots if model.answers(self._prompts[slot[1]], slot[2])]

    def _answered(self, contestant: str, responses: Sequence[Response]) -> None:
        """Note responses of a contestant, and feed the judges every comparison that they complete."""
        if not self._plan.raters:
            return
        if self._plan.alone:
            self._feed.add([response for response in responses if response.reply.status == "ok"])
            return
        with self._lock:
            self._responses.update({(r.contestant, r.prompt, r.sample): r for r in responses})
            asked = [self._prompts[r.prompt] for r in responses]
            ready = pair(asked, self._pairs_of[contestant], self._plan.samples, self._responses)
            wanted = (c for c in ready if self._plan.asks(c.a.contestant, c.b.contestant, c.prompt.id))
            new = [c for c in wanted if name_of(c) not in self._paired]
            self._paired.update(name_of(c) for c in new)
        self._feed.add(new)

    # -------------------------------------------------------- judges

    def _refer(self, writer: Writer) -> None:
        """Have the reference answers written that judges need."""
        if not self._recorded_only:
            self._write(self._plan.raters, judgeable(self._plan), writer)

    def _refer_round(self, until: Until, prompts: Sequence[Prompt], writer: Writer) -> bool:
        """Have those written that judges need for these prompts; whether all of them are known, or not to come."""
        with self._referring:  # the contestants come one after the other, and the first one's references are everyone's
            raters = [rater for rater in self._plan.raters if until.needs_bench(rater.bench)]
            waiting = [prompt for prompt in prompts if any(self._plan.awaits(rater, prompt) for rater in raters)]
            if waiting:
                useful = {prompt.id for prompt in judgeable(self._plan)}
                never = {(r.reference or "", p.id): None for r in referring(raters) for p in waiting}
                asked = [prompt for prompt in waiting if prompt.id in useful]
                written = self._write(raters, asked, writer)
                if self._is_over():
                    return False
                until.referred({**never, **written})
                self._plan = until.plan
        return True

    def _write(self, raters: Sequence[Rater], prompts: Sequence[Prompt], writer: Writer) -> Written:
        def take(model: str, reply: Reply, new: bool) -> None:
            spec = self._plan.suite.models[model]
            if (called := called_model(spec)) not in UNCALLED:
                self._account(model, called, reply, new)

        retry = self._retry_invalid
        return write_references(self._plan, raters, prompts, self._store, writer, retry, take, self._is_over)

    def _is_over(self) -> bool:
        """Whether nothing more is to be asked: it is time to end, or the budget is reached."""
        return self._is_ending() or self._terms.over_budget

    def _mark_in_turn(self, raters: Sequence[Rater], writer: Writer) -> None:
        """Files of verdicts one after the other: which of two words of one annotator is the last must not be chance."""
        if self._until is None:
            for rater in raters:
                self._mark(rater, writer)
            return
        for batch in self._feed.batches():  # the next round waits for all of them
            for rater in raters:
                self._mark_batch(rater, batch, writer)

    def _mark(self, rater: Rater, writer: Writer) -> None:
        for batch in self._feed.batches():
            if self._is_over():
                return
            self._mark_batch(rater, batch, writer)

    def _cascades(self) -> Iterator[Cascade]:
        if any(rater.part_of == "cascade" for rater in self._plan.raters):
            from sciexam.exam.cascade import cascades_of

            yield from cascades_of(self._plan)

    def _escalate(self, cascade: Cascade) -> None:
        """Ask the cheap judge for everything, then the dear one for the calibration, then for what escalates.

        Each step has a writer of its own, at whose end its verdicts are durable: the next one is a function of them.
        """
        from sciexam.exam.benches import judged_by
        from sciexam.exam.cascade import calibration_asks, escalation_asks, rule

        with self._store.writer(self._tally.durable) as writer:
            self._mark(cascade.cheap, writer)
        comparisons = [item for item in self._feed.items if isinstance(item, Comparison)]
        read = partial(judged_by, self._plan, store=self._store, comparisons=comparisons, skipped=self.skipped)
        cheap = read(cascade.cheap)
        with self._store.writer(self._tally.durable) as writer:
            self._mark_batch(cascade.dear, calibration_asks(self._plan, cascade, cheap), writer)
        if self._is_over():
            return
        rulings = rule(self._plan, cascade, cheap, read(cascade.dear))
        with self._store.writer(self._tally.durable) as writer:
            self._mark_batch(cascade.dear, escalation_asks(rulings, cheap), writer)

    def _mark_batch(self, rater: Rater, batch: Sequence[Comparison | Response], writer: Writer) -> None:
        assert rater.judge is not None
        batch = sorted(batch, key=lambda item: self._place[_prompt_of(item)])
        looks = {key: item for item in batch if self._is_open(rater, item) for key in self._keys(rater, item)}
        read = self._store.grades if rater.grades else self._store.verdicts
        stored: Mapping[str, Any] = read(looks)
        owed = [
            Look(key, item, attempts(stored.get(key)))
            for key, item in looks.items()
            if owes(stored.get(key), self._retry_invalid) and (rater.by_name or not self._recorded_only)
        ]
        paid = len(owed) if rater.model not in UNCALLED else 0
        self._tally.expect(verdicts=len(looks), of_them_stored=len(looks) - len(owed), of_them_announced=paid)
        for key in (looks.keys() & stored.keys()) - {look.key for look in owed}:
            self._take(rater, stored[key], new=False)
        show = partial(showing, partial(self._shown, rater))
        self._candidates.note(rater, map(show(), (Look(key, item) for key, item in looks.items())), bool(owed))
        del looks  # while the rater is asked, what is owed is enough
        ending = partial(self._is_done, lambda until: until.needs_bench(rater.bench))
        self._ask(rater, owed, stored, writer, ending, show())

    def _ask(
        self,
        rater: Rater,
        owed: Sequence[Any],
        stored: Mapping[str, Any],
        writer: Writer,
        ending: Callable[[], bool],
        show: Callable[[Any], Any] = lambda one: one,
    ) -> None:
        read = self._store.grades if rater.grades else self._store.verdicts
        take = partial(self._take, rater)
        errand: Asking[Any] = Asking(rater.name, self._store, writer, stored, read, take, ending, show)
        errand.run(owed, rater.judge.grade if rater.grades else rater.judge.judge)
        self.skipped.update(errand.skipped)

    def _take(self, rater: Rater, verdict: Verdict | Grade, new: bool) -> None:
        if rater.model != "scripted" and (verdict.reply is not None or (rater.model and not new)):
            self._account(rater.name, rater.model, verdict.reply, new)
        if self._until is not None:
            self._until.settled(rater, verdict)

    def _look_again(self, rater: Rater, writer: Writer) -> None:
        """Show a judge its anchors once more: on every day on which it was asked for anything."""
        if self._is_over():
            return
        shown = {one.key: one for one in self._candidates.today(rater, self._store)}
        read = self._store.grades if rater.grades else self._store.verdicts
        stored: Mapping[str, Any] = read(shown)
        owed = [
            replace(one, attempt=attempts(stored.get(key)))
            for key, one in shown.items()
            if owes(stored.get(key), self._retry_invalid)
        ]
        self._tally.expect(verdicts=len(owed))
        self._ask(rater, owed, stored, writer, self._is_over)

    def _shown(self, rater: Rater, item: Comparison | Response) -> Iterator[Presentation] | Iterator[Submission]:
        """What `rater` is shown of a comparison, or of a response that is marked by itself."""
        if isinstance(item, Comparison):
            return shown_of(self._plan, rater, item, self._store)
        return submissions_of(self._plan, rater, self._prompts[item.prompt], item, self._store)

    def _keys(self, rater: Rater, item: Comparison | Response) -> Iterator[str]:
        """The keys of what `_shown` shows."""
        if isinstance(item, Comparison):
            return keys_of(self._plan, rater, item, self._store)
        return (shown.key for shown in self._shown(rater, item))

    # -------------------------------------------------------- both

    def _account(self, name: str, model: str | None, reply: Reply | None, new: bool) -> None:
        """Count a call; under `strict_model` the first one that another model answered ends the sitting."""
        self._tally.account(model, reply, new)
        if self._strict_model and new and model and reply is not None and is_another(model, reply.model):
            self._stranger = (
                self._stranger or f"{name}: {model!r} was asked for, but a reply came from {reply.model!r}."
            )
            self._failed.set()

    def _safe(self) -> str:
        done = self._tally.progress
        if not self._plan.raters:
            return f"{done.responses:,}/{done.responses_planned:,} answers"
        planned = max(done.verdicts_planned, self._verdicts_expected())
        return f"{done.verdicts:,}/{planned:,} verdicts"

    def _verdicts_expected(self) -> int:
        shown = sum(rater.looks for rater in self._plan.raters)
        return len(self._plan.pairs) * len(self._plan.prompts) * self._plan.samples * shown


def _by_prompt(asked: Iterable[tuple[str, Conversation]]) -> dict[str, list[Conversation]]:
    found: dict[str, list[Conversation]] = {}
    for prompt, conversation in asked:
        found.setdefault(prompt, []).append(conversation)
    return found


def _prompt_of(item: Comparison | Response) -> str:
    return item.prompt.id if isinstance(item, Comparison) else item.prompt


def _gather(plan: Plan, terms: Terms) -> float | None:
    """How long a judge waits for company of what it is handed: for all of it where it asks in batches."""
    if plan.until_decided:
        return 0.0  # a round comes as a whole
    return None if terms.journal is not None else GATHER_SECONDS


def _by_contestant(plan: Plan) -> dict[str, list[tuple[str, str]]]:
    """The pairs that each contestant is in, in the plan's order and as they are written there."""
    found: dict[str, list[tuple[str, str]]] = {name: [] for name in plan.contestants}
    for contest in plan.pairs:
        for name in contest:
            found[name].append(contest)
    return found
