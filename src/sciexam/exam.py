"""The exam: respond, mark, resolve, report. The only file that knows the order of things."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from sciexam.battles import Battle, Policy, Slot, orders_of, pair, present, resolve
from sciexam.documents import digest, write_atomically
from sciexam.errors import SciexamError, UsageError, did_you_mean
from sciexam.judges import open_judge, settings_of
from sciexam.judges.settings import EndpointJudge, JudgeSpec, MeasuresJudge, RecordedJudge, ScriptedJudge
from sciexam.lineage import lineage_digest
from sciexam.manifest import environment
from sciexam.models import open_model
from sciexam.models.recorded import RecordedModel
from sciexam.models.settings import Endpoint
from sciexam.report.build import Bench, Sitting, build, field_of
from sciexam.report.record import Calls, Report
from sciexam.store import Fact, Store, Writer
from sciexam.suite import HUMANS, Suite, suite_digest
from sciexam.types import (
    Comparison,
    Conversation,
    Judge,
    Kind,
    Model,
    Presentation,
    Prompt,
    Reply,
    Response,
    Verdict,
)

FACT_SCHEMA = 1  # part of every key: raised when a fact comes to mean something else
CLAIM_ROWS = 64
POLL_SECONDS = 0.2

Asked = TypeVar("Asked", Conversation, Presentation)


class Interrupted(SciexamError):
    """Stopped on request; what is stored is safe, and the same command goes on."""

    exit_code = 130


@dataclass(frozen=True, slots=True)
class Rater:
    """How one rater is asked, and what its verdicts are keyed by. `judge` is None when only the ledger is read."""

    name: str
    bench: str
    kind: Kind
    digest: str
    sees_order: bool = True
    by_name: bool = False
    orders: Literal["both", "one"] = "both"
    repeats: int = 1
    model: str | None = None  # the endpoint's model, for prices
    judge: Judge | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """A resolved command: whose answers, by whom they are judged, and how they are counted."""

    suite: Suite
    contestants: tuple[str, ...]
    prompts: tuple[Prompt, ...]
    benches: Mapping[str, str]  # name -> what it is, in words
    raters: tuple[Rater, ...]
    models: Mapping[str, str]  # contestant -> digest of its model
    policy: Policy
    orders: Literal["both", "one"]
    margin: float | None
    by: str
    caveats: tuple[str, ...] = ()

    @property
    def samples(self) -> int:
        """Samples that every contestant gives; sample i is compared with sample i."""
        return min(self.suite.generation_of(name).samples for name in self.contestants)

    @property
    def run(self) -> str:
        """The id of the run: the digest of everything that could change its result."""
        return digest(
            {
                "suite": [self.suite.name, suite_digest(self.suite), self.suite.seed],
                "prompts": [prompt.id for prompt in self.prompts],
                "contestants": [[name, self.models[name]] for name in self.contestants],
                "raters": [[r.bench, r.name, r.digest, r.orders, r.repeats] for r in self.raters],
                "benches": list(self.benches),
                "counted": [self.policy, self.orders, self.margin, self.by, self.samples],
            }
        )[:16]


@dataclass(frozen=True, slots=True)
class Progress:
    """How many facts are durable of how many there will be, as far as is known."""

    responses: int
    responses_planned: int
    verdicts: int
    verdicts_planned: int


def compare(
    suite: Suite,
    *contestants: str,
    judges: Sequence[str | Judge] = (),
    orders: Literal["both", "one"] | None = None,
    policy: Policy = "mean",
    margin: float | None = None,
    by: str = "category",
    limit: int | None = None,
    retry_invalid: bool = False,
    max_wait: float = 120.0,
    store: str | Path | None = None,
    results: str | Path = "results",
    stop: threading.Event | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Compare contestants of `suite` pairwise: all pairs, by every judge, over its prompts.

    `judges` are names of the suite's judges (or `measures`, `openai:MODEL`, a file of verdicts, `humans`) or objects
    with a name and `judge(presentations)`; the suite's own judge by default. `margin` is the difference of win rates
    that does not matter; `by` the field of a prompt to slice by; `limit` takes the first prompts only. `max_wait` is in
    seconds. Facts go to `store` (results/ledger.sqlite), the report to results/<suite>/<run>/.

    Setting `stop` ends the run early: calls in flight are waited for, and Interrupted is raised.
    """
    with Store(store or Path(results) / "ledger.sqlite") as ledger:
        plan, models = _plan(suite, contestants, judges, orders, policy, margin, by, limit, max_wait)
        manifest = environment() | {"run": plan.run, "plan": _to_manifest(plan)}
        ledger.add_run(plan.run, json.dumps(manifest))
        sitting = _Sitting(plan, ledger, stop or threading.Event(), progress, retry_invalid)
        sitting.hold(models)
        report = build(_facts(plan, ledger, sitting.calls(), sitting.skipped))
        _write(report, manifest, Path(results))
    return report


def report(run: str, store: str | Path | None = None, results: str | Path = "results") -> Report:
    """The report of an earlier run (an id, or its unique beginning), counted again from the ledger. No model is called."""
    with Store(store or Path(results) / "ledger.sqlite") as ledger:
        text = ledger.manifest(run)
        if text is None:
            raise UsageError(f"{run!r} is not a run in {ledger.location}; `sciexam compare` prints the run's id")
        manifest = json.loads(text)
        plan = _from_manifest(manifest["plan"])
        rebuilt = build(_facts(plan, ledger, Calls(), {}))
        _write(rebuilt, manifest, Path(results))
    return rebuilt


def report_folder(report: Report, results: str | Path = "results") -> Path:
    """Where the files of a report lie."""
    return Path(results) / report.suite / report.run


# ---------------------------------------------------------------- the plan


def _plan(
    suite: Suite,
    contestants: Sequence[str],
    judges: Sequence[str | Judge],
    orders: Literal["both", "one"] | None,
    policy: Policy,
    margin: float | None,
    by: str,
    limit: int | None,
    max_wait: float,
) -> tuple[Plan, dict[str, Model]]:
    names = tuple(contestants) or suite.contestants
    if len(names) < 2:
        raise UsageError("a comparison needs two contestants: sciexam compare A B")
    if len(set(names)) < len(names):
        raise UsageError("a contestant is named twice")
    if margin is not None and not 0 < margin < 0.5:
        raise UsageError(f"--margin: a difference of win rates between 0 and 0.5, not {margin}")
    if limit is not None and limit < 1:
        raise UsageError(f"--limit: 1 or more prompts, not {limit}")
    prompts = suite.prompts[:limit]
    _check_field(prompts, by)
    models = {name: open_model(name, suite.model(name), suite.generation_of(name), max_wait) for name in names}
    benches: dict[str, str] = {}
    raters: list[Rater] = []
    for judge in judges or (suite.judge,):
        for rater, description in _raters(suite, judge, orders, max_wait):
            benches[rater.bench] = description
            raters.append(rater)
        if judge == HUMANS and HUMANS not in suite.judges:
            benches[HUMANS] = "the human verdicts in the ledger"
    return Plan(
        suite=suite,
        contestants=names,
        prompts=prompts,
        benches=benches,
        raters=tuple(raters),
        models={name: model.digest for name, model in models.items()},
        policy=policy,
        orders=orders or "both",
        margin=margin,
        by=by,
        caveats=tuple(_caveats(suite, names, prompts, models, [str(judge) for judge in judges or (suite.judge,)])),
    ), models


def _check_field(prompts: Sequence[Prompt], by: str) -> None:
    if by != "category" and all(field_of(prompt, by) is None for prompt in prompts):
        known = {"category", "group", *(key for prompt in prompts for key in prompt.metadata)}
        raise UsageError(f"--by {by}: no prompt has this field{did_you_mean(by, known)}")


def _raters(
    suite: Suite, judge: str | Judge, orders: Literal["both", "one"] | None, max_wait: float
) -> Iterator[tuple[Rater, str]]:
    """The raters behind one judge, each with its bench in words; annotators of one file share a bench."""
    if judge == HUMANS and HUMANS not in suite.judges:
        return
    spec = suite.judge_spec(judge) if isinstance(judge, str) else None
    opened = open_judge(judge, spec, suite.rubric, max_wait) if isinstance(judge, str) and spec else [judge]
    settings = settings_of(spec)
    humans = sum(getattr(one, "kind", "judge") == "human" for one in opened)
    for one in opened:
        assert not isinstance(one, str)
        kind: Kind = getattr(one, "kind", "judge")
        bench = str(judge) if isinstance(judge, str) and (kind == "human" or len(opened) == 1) else one.name
        yield (
            Rater(
                name=one.name,
                bench=Path(bench).stem if bench.endswith(".jsonl") else bench,
                kind=kind,
                digest=_digest_of(one),
                sees_order=getattr(one, "sees_order", True),
                by_name=getattr(one, "by_name", False),
                orders="both" if isinstance(spec, RecordedJudge) else orders or settings.orders or "both",
                repeats=getattr(one, "repeats", settings.samples),
                model=spec.model if isinstance(spec, EndpointJudge) else None,
                judge=one,
            ),
            _describe(spec, kind, humans),
        )


def _describe(spec: JudgeSpec | None, kind: Kind, humans: int) -> str:
    """What a judge is, as the report says it. Nothing here was held against humans, so nothing is called validated."""
    match spec:
        case EndpointJudge():
            return f"the LLM {spec.model}, not validated"
        case MeasuresJudge():
            return "a text measure, not validated"
        case ScriptedJudge():
            return "a scripted fake, not a judge"
        case RecordedJudge() if kind == "human":
            return f"{humans} annotator{'s' if humans != 1 else ''}, recorded"
        case RecordedJudge():
            return "recorded verdicts, not validated"
    return "a judge of your own, not validated"


def _digest_of(judge: Judge) -> str:
    """A judge's own digest, or one of its source and state, so that an edited judge is another judge."""
    import inspect

    own = getattr(judge, "digest", None)
    if isinstance(own, str):
        return own
    kind = type(judge)
    try:
        source = inspect.getsource(kind)
    except (OSError, TypeError):
        source = f"{kind.__module__}.{kind.__qualname__}"
    return digest({"source": source, "state": {key: repr(value) for key, value in vars(judge).items()}})


def _caveats(
    suite: Suite, names: Sequence[str], prompts: Sequence[Prompt], models: Mapping[str, Model], judges: Sequence[str]
) -> Iterator[str]:
    for name in names:
        model = models[name]
        if isinstance(model, RecordedModel) and (unmatched := model.unmatched(suite.prompts)):
            yield (
                f"{len(unmatched)} recorded answers of {name} match no prompt of the suite "
                f"({', '.join(repr(one[:40]) for one in unmatched[:3])}{', ...' if len(unmatched) > 3 else ''})."
            )
    for judge in judges:
        spec = suite.judges.get(judge)
        asked = spec.model if isinstance(spec, EndpointJudge) else judge.removeprefix("openai:")
        for name in names:
            contestant = suite.models[name]
            if isinstance(contestant, Endpoint) and contestant.model == asked:
                yield f"{judge} judges its own answers: contestant {name} is the same model ({asked})."


# ---------------------------------------------------------------- the keys of facts


def _conversations(plan: Plan, contestant: str) -> Iterator[tuple[Slot, Conversation]]:
    for prompt in plan.prompts:
        for sample in range(plan.samples):
            key = digest(
                {
                    "fact": ["reply", FACT_SCHEMA],
                    "model": plan.models[contestant],
                    "messages": [(message.role, message.content) for message in prompt.messages],
                    "sample": sample,
                }
            )
            yield (contestant, prompt.id, sample), Conversation(key, prompt.messages, sample, prompt=prompt.id)


def _presentations(plan: Plan, rater: Rater, comparison: Comparison, store: Store) -> Iterator[Presentation]:
    """What this rater is shown of one comparison. A rater that cannot see the order is shown one."""
    orders = orders_of(comparison, rater.orders, plan.suite.seed) if rater.sees_order else ("ab",)
    for order in orders:
        for repeat in range(rater.repeats):
            shown = present(comparison, order, repeat)
            named = [shown.prompt.id, shown.first_by, shown.second_by, shown.sample] if rater.by_name else None
            key = digest(
                {
                    "fact": ["verdict", FACT_SCHEMA],
                    "judge": rater.digest,
                    "subject": shown.subject,
                    "repeat": repeat,
                    "named": named,
                }
            )
            yield replace(shown, key=key, seal=store.seal(key))


# ---------------------------------------------------------------- respond and mark


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
                self._changed.wait_for(lambda: len(self._items) > read or not self._open)
                batch = self._items[read:]
                if not batch:
                    return
            read += len(batch)
            yield batch


class _Sitting:
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
        self._progress, self._retry_invalid = progress, retry_invalid
        self._prompts = {prompt.id: prompt for prompt in plan.prompts}
        self._feed = _Feed()
        self._lock = threading.Lock()
        self._responses: dict[Slot, Response] = {}
        self._paired: set[tuple[str, str, str, int]] = set()
        self._count = Progress(0, 0, 0, 0)
        self._tally: list[tuple[str | None, Reply]] = []
        self._reused = 0
        self.skipped: dict[str, Fact] = {}

    def hold(self, models: Mapping[str, Model]) -> None:
        """Ask for everything that is owed; on return (or raise) everything that came back is durable."""
        with self._store.writer(self._durable) as writer:
            answering = [lambda n=n, m=m: self._respond(n, m, writer) for n, m in models.items()]
            marking = [lambda r=r: self._mark(r, writer) for r in self._plan.raters]
            self._together(answering, marking)
        if self._stop.is_set():
            done, planned = self._count.verdicts, max(self._count.verdicts_planned, self._verdicts_expected())
            raise Interrupted(f"stopped at {done:,}/{planned:,} verdicts; run the same command to go on")

    def calls(self) -> Calls:
        """What was asked of models now, and what it cost by the suite's prices."""
        usd: float | None = 0.0
        for model, reply in self._tally:
            price = self._plan.suite.prices.get(model or "")
            if price is None or reply.input_tokens is None or reply.output_tokens is None:
                usd = None
            elif usd is not None:
                usd += (reply.input_tokens * price.input + reply.output_tokens * price.output) / 1e6
        return Calls(
            made=len(self._tally),
            reused=self._reused,
            input_tokens=sum(reply.input_tokens or 0 for _, reply in self._tally),
            output_tokens=sum(reply.output_tokens or 0 for _, reply in self._tally),
            usd=usd,
        )

    def _together(self, answering: Sequence[Callable[[], None]], marking: Sequence[Callable[[], None]]) -> None:
        """Run all tasks at once. The first failure stops the others, and is raised when they have ended."""
        failures: list[BaseException] = []

        def guarded(task: Callable[[], None]) -> None:
            try:
                task()
            except BaseException as error:  # raised below, in the thread of the caller
                failures.append(error)
                self._failed.set()

        self._failed = threading.Event()
        threads = [threading.Thread(target=guarded, args=(task,), daemon=True) for task in answering]
        judges = [threading.Thread(target=guarded, args=(task,), daemon=True) for task in marking]
        for thread in (*threads, *judges):
            thread.start()
        try:
            for thread in threads:
                _join(thread)
        finally:
            self._feed.close()
        for thread in judges:
            _join(thread)
        if failures:
            raise failures[0]

    @property
    def _ending(self) -> bool:
        return self._stop.is_set() or self._failed.is_set()

    # -------------------------------------------------------- contestants

    def _respond(self, contestant: str, model: Model, writer: Writer) -> None:
        conversations = dict(_conversations(self._plan, contestant))
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

        owed = [c for c in {c.key: c for c in conversations.values()}.values() if self._owes(stored.get(c.key))]
        self._plan_more(responses=len(owed))
        for key in slots.keys() - {conversation.key for conversation in owed}:
            take(stored[key], new=False)
        self._ask(owed, stored, self._store.replies, model.generate, take, writer)

    def _answered(self, responses: Sequence[Response]) -> None:
        """Note responses, and feed the judges every comparison that they complete."""
        with self._lock:
            self._responses.update({(r.contestant, r.prompt, r.sample): r for r in responses})
            asked = [self._prompts[r.prompt] for r in responses]
            ready = pair(asked, self._plan.contestants, self._plan.samples, self._responses)
            new = [c for c in ready if _name(c) not in self._paired]
            self._paired.update(_name(c) for c in new)
        self._feed.add(new)

    # -------------------------------------------------------- judges

    def _mark(self, rater: Rater, writer: Writer) -> None:
        assert rater.judge is not None
        for batch in self._feed.batches():
            if self._ending:
                return
            shown: dict[str, Presentation] = {}
            for comparison in batch:
                shown.update({p.key: p for p in _presentations(self._plan, rater, comparison, self._store)})
            stored: dict[str, Verdict] = self._store.verdicts(shown)

            def take(verdict: Verdict, new: bool) -> None:
                if verdict.reply is not None or (rater.model and not new):
                    self._account(rater.model, verdict.reply, new)

            owed = [p for p in shown.values() if self._owes(stored.get(p.key))]
            self._plan_more(verdicts=len(owed))
            for key in shown.keys() - {p.key for p in owed}:
                take(stored[key], new=False)
            self._ask(owed, stored, self._store.verdicts, rater.judge.judge, take, writer)

    # -------------------------------------------------------- both

    def _owes(self, fact: Fact | None) -> bool:
        """Whether a fact is still to be asked for: it is not there, its call failed, or it is invalid and may be tried again."""
        return fact is None or fact.status == "failed" or (fact.status == "invalid" and self._retry_invalid)

    def _ask(
        self,
        owed: Sequence[Asked],
        stored: Mapping[str, Any],
        read: Callable[[Iterable[str]], Mapping[str, Any]],
        ask: Callable[[Iterator[Asked]], Iterable[Any]],
        take: Callable[[Any, bool], None],
        writer: Writer,
    ) -> None:
        """Ask for what is owed and nobody else is at; then wait for what others are at, or take it over from the dead."""
        while owed and not self._ending:
            theirs: list[Asked] = []
            for fact in ask(self._claimed(owed, stored, read, take, theirs)):
                if fact.status == "skipped":
                    self.skipped[fact.key] = fact
                    self._store.release([fact.key])
                else:
                    writer.put(fact)
                take(fact, True)
            found = read([one.key for one in theirs])
            for one in theirs:
                if _newer(found.get(one.key), stored.get(one.key)):
                    take(found[one.key], False)
            waiting = [one for one in theirs if not _newer(found.get(one.key), stored.get(one.key))]
            if waiting and len(waiting) == len(owed):
                time.sleep(POLL_SECONDS)
            owed = waiting

    def _claimed(
        self,
        owed: Sequence[Asked],
        stored: Mapping[str, Any],
        read: Callable[[Iterable[str]], Mapping[str, Any]],
        take: Callable[[Any, bool], None],
        theirs: list[Asked],
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
                    yield one

    def _account(self, model: str | None, reply: Reply | None, new: bool) -> None:
        with self._lock:
            if new and reply is not None:
                self._tally.append((model, replace(reply, raw=b"", text="")))
            elif not new:
                self._reused += 1

    def _plan_more(self, responses: int = 0, verdicts: int = 0) -> None:
        with self._lock:
            c = self._count
            self._count = replace(
                c,
                responses_planned=c.responses_planned + responses,
                verdicts_planned=c.verdicts_planned + verdicts,
            )

    def _durable(self, facts: Sequence[Fact]) -> None:
        verdicts = sum(isinstance(fact, Verdict) for fact in facts)
        with self._lock:
            c = self._count
            self._count = replace(
                c, responses=c.responses + len(facts) - verdicts, verdicts=c.verdicts + verdicts
            )
        if self._progress:
            self._progress(self._count)

    def _verdicts_expected(self) -> int:
        pairs = len(self._plan.contestants) * (len(self._plan.contestants) - 1) // 2
        shown = sum((2 if r.sees_order and r.orders == "both" else 1) * r.repeats for r in self._plan.raters)
        return pairs * len(self._plan.prompts) * self._plan.samples * shown


def _join(thread: threading.Thread) -> None:
    while thread.is_alive():
        thread.join(0.1)  # in short steps, so that a signal is handled in between


def _name(comparison: Comparison) -> tuple[str, str, str, int]:
    return comparison.a.contestant, comparison.b.contestant, comparison.prompt.id, comparison.a.sample


def _newer(fact: Fact | None, than: Fact | None) -> bool:
    """Whether someone else's fact settles what we found missing or failed."""
    return fact is not None and (than is None or fact.status == "ok" or _attempt(fact) > _attempt(than))


def _attempt(fact: Fact) -> int:
    return fact.attempt


# ---------------------------------------------------------------- facts to a sitting


def _facts(plan: Plan, store: Store, calls: Calls, skipped: Mapping[str, Fact]) -> Sitting:
    """Read everything the plan covers back from the ledger: a report is a function of stored facts."""
    responses = _responses(plan, store, skipped)
    comparisons = list(pair(plan.prompts, plan.contestants, plan.samples, responses))
    if not comparisons and all(r.reply.status == "skipped" for r in responses.values()):
        raise UsageError(f"no prompt of suite {plan.suite.name!r} has an answer from both of {', '.join(plan.contestants)}")
    benches = [_bench(plan, name, store, comparisons, skipped) for name in plan.benches]
    return Sitting(
        suite=plan.suite.name,
        run=plan.run,
        rubric=plan.suite.rubric.rubric,
        seed=plan.suite.seed,
        contestants=plan.contestants,
        notes={n: note for n in plan.contestants if (note := getattr(plan.suite.models[n], "note", None))},
        prompts=plan.prompts,
        samples=plan.samples,
        responses=responses,
        benches=benches,
        policy=plan.policy,
        by=plan.by,
        margin=plan.margin,
        calls=calls,
        caveats=(*plan.caveats, *_echoes(plan, store, comparisons)),
    )


def _responses(plan: Plan, store: Store, skipped: Mapping[str, Fact]) -> dict[Slot, Response]:
    responses = {}
    for contestant in plan.contestants:
        conversations = dict(_conversations(plan, contestant))
        found: dict[str, Any] = store.replies({c.key: None for c in conversations.values()})
        for slot, conversation in conversations.items():
            missing = Reply(conversation.key, status="skipped", failure="no recorded answer")
            reply = found.get(conversation.key) or skipped.get(conversation.key) or missing
            responses[slot] = Response(contestant, slot[1], slot[2], reply)
    return responses


def _bench(
    plan: Plan, name: str, store: Store, comparisons: Sequence[Comparison], skipped: Mapping[str, Fact]
) -> Bench:
    raters = [rater for rater in plan.raters if rater.bench == name]
    if not raters:
        return _humans(plan, store, comparisons)
    battles: list[Battle] = []
    shown: list[tuple[Presentation, Verdict]] = []
    for rater in raters:
        seen = [(c, list(_presentations(plan, rater, c, store))) for c in comparisons]
        found: dict[str, Any] = store.verdicts({p.key: None for _, presentations in seen for p in presentations})
        for comparison, presentations in seen:
            verdicts = [(p, _verdict(rater, p, found.get(p.key) or skipped.get(p.key))) for p in presentations]
            battles.append(resolve(comparison, verdicts, rater.name, plan.policy))
            shown += verdicts
    if comparisons and all(verdict.status == "skipped" for _, verdict in shown):
        raise UsageError(f"judge {name!r} has no verdict on {', '.join(plan.contestants)} for these prompts")
    return Bench(
        name=name,
        description=plan.benches[name],
        raters=tuple(rater.name for rater in raters),
        sees_order=any(rater.sees_order for rater in raters),
        battles=battles,
        verdicts=shown,
    )


def _verdict(rater: Rater, presentation: Presentation, stored: Any) -> Verdict:
    """The stored verdict under the names of this comparison; a fact is about texts, and names may have changed."""
    if stored is None:
        return presentation.verdict(rater.name, kind=rater.kind, status="skipped", failure="not judged")
    verdict: Verdict = replace(
        stored, prompt=presentation.prompt.id, first=presentation.first_by, second=presentation.second_by
    )
    return verdict


def _humans(plan: Plan, store: Store, comparisons: Sequence[Comparison]) -> Bench:
    """Every human verdict in the ledger on these texts; annotators are averaged by prompt."""
    seen = {p.subject: (c, p) for c in comparisons for p in (present(c, "ab"), present(c, "ba"))}
    by_rater: dict[str, dict[str, list[tuple[Presentation, Verdict]]]] = {}
    shown: list[tuple[Presentation, Verdict]] = []
    for stored in store.human_verdicts(seen):
        comparison, presentation = seen[stored.subject]
        verdict = replace(
            stored, prompt=presentation.prompt.id, first=presentation.first_by, second=presentation.second_by
        )
        shown.append((presentation, verdict))
        mine = by_rater.setdefault(stored.rater, {})
        mine.setdefault("\0".join(map(str, _name(comparison))), []).append((presentation, verdict))
    if comparisons and not shown:
        raise UsageError(f"the ledger {store.location} holds no human verdict on {', '.join(plan.contestants)}")
    by_name = {"\0".join(map(str, _name(c))): c for c in comparisons}
    battles = [
        resolve(by_name[key], verdicts, rater, plan.policy)
        for rater, judged in sorted(by_rater.items())
        for key, verdicts in judged.items()
    ]
    count = len(by_rater)
    return Bench(HUMANS, f"{count} annotator{'s' if count != 1 else ''}", tuple(sorted(by_rater)), True, battles, shown)


def _echoes(plan: Plan, store: Store, comparisons: Sequence[Comparison]) -> Iterator[str]:
    """Endpoints that answered under another model's name than was asked for."""
    asked: list[tuple[str, str, list[str]]] = []
    for name in plan.contestants:
        spec = plan.suite.models[name]
        if isinstance(spec, Endpoint):
            asked.append((name, spec.model, [c.key for _, c in _conversations(plan, name)]))
    for rater in plan.raters:
        if rater.model:
            keys = [p.key for c in comparisons for p in _presentations(plan, rater, c, store)]
            asked.append((rater.name, rater.model, keys))
    for name, model, keys in asked:
        for echoed, count in store.echoed(keys).items():
            if not echoed.startswith(model):
                yield f"{name}: {model!r} was asked for, but {count} replies came from {echoed!r}."


# ---------------------------------------------------------------- to and from disk


def _to_manifest(plan: Plan) -> dict[str, Any]:
    return {
        "suite": plan.suite.model_dump(mode="json", by_alias=True, exclude_none=True),
        "contestants": list(plan.contestants),
        "prompts": [prompt.id for prompt in plan.prompts],
        "benches": dict(plan.benches),
        "raters": [asdict(replace(rater, judge=None)) for rater in plan.raters],
        "models": dict(plan.models),
        "digests": {
            "suite": suite_digest(plan.suite),
            "rubric": plan.suite.rubric.digest,
            "lineage": {name: lineage_digest(plan.suite.models, name) for name in plan.contestants},
        },
        "policy": plan.policy,
        "orders": plan.orders,
        "margin": plan.margin,
        "by": plan.by,
        "caveats": list(plan.caveats),
    }


def _from_manifest(value: Mapping[str, Any]) -> Plan:
    suite = Suite.model_validate(value["suite"])
    wanted = set(value["prompts"])
    return Plan(
        suite=suite,
        contestants=tuple(value["contestants"]),
        prompts=tuple(prompt for prompt in suite.prompts if prompt.id in wanted),
        benches=value["benches"],
        raters=tuple(Rater(**rater) for rater in value["raters"]),
        models=value["models"],
        policy=value["policy"],
        orders=value["orders"],
        margin=value["margin"],
        by=value["by"],
        caveats=tuple(value["caveats"]),
    )


def _write(report: Report, manifest: Mapping[str, Any], results: Path) -> None:
    from sciexam.report.html import to_html
    from sciexam.report.markdown import to_markdown

    folder = report_folder(report, results)
    write_atomically(folder / "run.json", json.dumps(manifest, indent=1, allow_nan=False) + "\n")
    write_atomically(folder / "report.json", json.dumps(report.to_json(items=True), indent=1, allow_nan=False) + "\n")
    write_atomically(folder / "report.md", to_markdown(report))
    write_atomically(folder / "report.html", to_html(report))
