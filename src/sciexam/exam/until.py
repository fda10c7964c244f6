"""Watching a comparison while its verdicts come in, so that nothing is asked for once it is decided.

The prompts have an order that is drawn from their content and the suite's seed. A sequence (stats/sequential.py) reads
the scores of one pair by one judge in that order and only as far as every verdict is there: were the scores read as
they come, those of short answers would come first, and length goes with the outcome.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from sciexam.battles import Battle, Slot, cluster, present, resolve
from sciexam.exam.asking import owes
from sciexam.exam.by_grades import verdict_of_marks
from sciexam.exam.plan import Plan, conversations_of, shown_of
from sciexam.exam.raters import Rater
from sciexam.exam.recordings import is_recorded
from sciexam.exam.references import Written, with_references
from sciexam.report.record import Look
from sciexam.report.stopping import Outcome
from sciexam.stats import Estimate
from sciexam.stats.sequential import BettingSequence
from sciexam.store import Fact, Store
from sciexam.types import Comparison, Grade, Prompt, Response, Submission, Verdict

ALPHA = 0.05
# Contestants are asked for ROUND prompts at a time, and for no round that begins more than ROUND prompts after what the
# judges have settled: at most twice as many prompts are answered in vain, and as many are on their way at once.
ROUND = 8
POLL_SECONDS = 0.1

Cell = tuple[str, str, str]  # a, b, the bench that judges them
_PENDING = object()  # a score that is not known yet


@dataclass(slots=True)
class _Sequence:
    """One cell: its sequence, how many units and prompts of the order it has read, and what it needs for the next."""

    watched: BettingSequence
    units: int = 0
    prompts: int = 0
    shown: dict[tuple[str, str, int], Any] = field(default_factory=dict)
    path: list[Look] = field(default_factory=list)

    @property
    def decided(self) -> bool:
        return self.watched.conclusion != "undecided"


class Until:
    """What is known of a plan so far, and for each pair and bench whether that decides it. Safe to use from any thread.

    A sample of a prompt is settled for a pair when every presentation of it has a verdict or a reason for none, and
    also as soon as either answer is known not to be usable: it has no score, as in a comparison of all prompts. A
    cluster of prompts (battles.cluster) is one unit; it is read when all of its prompts are settled.
    """

    def __init__(self, plan: Plan, store: Store):
        self.plan, self._store = plan, store
        self._units = [tuple(unit) for _, unit in groupby(plan.prompts, cluster)]
        self.rounds = tuple(_rounds(self._units))
        self._raters: dict[str, list[Rater]] = defaultdict(list)
        for rater in plan.raters:
            self._raters[rater.bench].append(rater)
        level = 1 - ALPHA / (len(plan.pairs) * len(plan.benches))
        self._cells = {
            (a, b, bench): _Sequence(BettingSequence(level, plan.margin))
            for a, b in plan.pairs
            for bench in plan.benches
        }
        self._answers: dict[Slot, Response | None] = {}
        self._facts: dict[str, Fact] = {}
        self._moved = threading.Condition(threading.RLock())

    # ------------------------------------------------------------ what comes in

    def answered(self, contestant: str, prompts: Iterable[Prompt], responses: Mapping[Slot, Response]) -> None:
        """All that will be known of a contestant's answers to `prompts`; what `responses` does not hold never comes."""
        with self._moved:
            for prompt in prompts:
                for sample in range(self.plan.samples):
                    slot = (contestant, prompt.id, sample)
                    self._answers[slot] = responses.get(slot)
            self._advance(cell for cell in self._cells if contestant in cell[:2])

    def settled(self, rater: Rater, fact: Fact) -> None:
        """A verdict or a grade as it will be counted. One that was cut off is not: its second attempt is on its way."""
        if fact.status != "failed" and owes(fact, retry_invalid=False):
            return
        with self._moved:
            self._facts[fact.key] = fact
            self._advance(cell for cell in self._cells if cell[2] == rater.bench)

    def referred(self, written: Written) -> None:
        """References as judges will be shown them, or that they will not be."""
        with self._moved:
            self.plan = replace(self.plan, references={**self.plan.references, **written})

    def adopt(self, other: Until) -> None:
        """Take over what `other` has decided."""
        with self._moved:
            self._cells |= {cell: one for cell, one in other._cells.items() if one.decided}

    # ------------------------------------------------------------ what follows

    @property
    def decided(self) -> bool:
        """Whether every pair is decided by every judge."""
        return all(one.decided for one in self._cells.values())

    def is_open(self, a: str, b: str, bench: str) -> bool:
        """Whether the pair is still to be judged by this bench."""
        return not self._cells[a, b, bench].decided

    def needs_bench(self, bench: str) -> bool:
        """Whether any pair is still to be judged by this bench."""
        return any(not one.decided for cell, one in self._cells.items() if cell[2] == bench)

    def needs(self, contestant: str) -> bool:
        """Whether any comparison of this contestant is undecided."""
        return any(not one.decided for cell, one in self._cells.items() if contestant in cell[:2])

    def turns(self, contestant: str, ending: Callable[[], bool]) -> Iterator[tuple[Prompt, ...]]:
        """The rounds, each when its turn has come: when a contestant may be asked for its prompts."""
        begins = 0
        for prompts in self.rounds:
            with self._moved:
                while not ending() and begins > self._settled_of(contestant) + ROUND:
                    self._moved.wait(POLL_SECONDS)
            if ending():
                return
            yield prompts
            begins += len(prompts)

    def _settled_of(self, contestant: str) -> int:
        """How many prompts are settled in all undecided comparisons of a contestant."""
        cells = self._cells.items()
        everything = len(self.plan.prompts)
        return min(
            (one.prompts for cell, one in cells if contestant in cell[:2] and not one.decided), default=everything
        )

    def outcomes(self) -> dict[Cell, Outcome]:
        """Where each sequence stands."""
        return {
            cell: Outcome(
                conclusion=one.watched.conclusion,
                rate=one.watched.estimate("groups" if len(self._units) < len(self.plan.prompts) else "prompts"),
                p=one.watched.p if one.watched.n else None,
                prompts=one.prompts,
                finished=one.decided or one.units == len(self._units),
                path=tuple(one.path),
            )
            for cell, one in self._cells.items()
        }

    # ------------------------------------------------------------ the sequences

    def _advance(self, cells: Iterable[Cell]) -> None:
        moved = False
        for cell in cells:
            one = self._cells[cell]
            while not one.decided and one.units < len(self._units):
                scores = [self._score(cell, prompt) for prompt in self._units[one.units]]
                if _PENDING in scores:
                    break
                known = [score for score in scores if score is not None]
                one.prompts += len(scores)
                one.units += 1
                if known:
                    one.watched.update(sum(known) / len(known))
                    one.path.append(_look(one))
                one.shown.clear()
                moved = True
        if moved:
            self._moved.notify_all()

    def _score(self, cell: Cell, prompt: Prompt) -> Any:
        """b's score on a prompt as the report counts it (report/scores.py), None where there is none, or _PENDING."""
        a, b, bench = cell
        comparisons = []
        for sample in range(self.plan.samples):
            both = [self._answers.get((name, prompt.id, sample), _PENDING) for name in (a, b)]
            known = [one for one in both if isinstance(one, Response) and one.reply.status == "ok"]
            if any(one is not _PENDING and one not in known for one in both):
                continue
            if len(known) < 2:
                return _PENDING
            comparisons.append(Comparison(prompt, *known))
        battles = [self._battle(cell, rater, c) for rater in self._raters[bench] for c in comparisons]
        if None in battles:
            return _PENDING
        usable = [1 - battle.score for battle in battles if battle is not None and battle.score is not None]
        return sum(usable) / len(usable) if usable else None

    def _battle(self, cell: Cell, rater: Rater, comparison: Comparison) -> Battle | None:
        """The battle that the report will count, or None while a verdict is to come."""
        if self.plan.awaits(rater, comparison.prompt):
            return None
        name = (rater.name, comparison.prompt.id, comparison.a.sample)
        shown = self._cells[cell].shown
        if name not in shown:
            shown[name] = list(shown_of(self.plan, rater, comparison, self._store))
        facts = [self._facts.get(one.key) for one in shown[name]]
        if None in facts:
            return None
        verdicts: list[Any] = list(zip(shown[name], facts, strict=True))
        if rater.grades:  # the marks of a come before those of b
            presentation, half = present(comparison, "ab"), len(facts) // 2
            verdicts = [(presentation, verdict_of_marks(rater, presentation, facts[:half], facts[half:]))]
        return resolve(comparison, verdicts, rater.name, self.plan.policy)


def _look(one: _Sequence) -> Look:
    known = one.watched.estimate()
    assert isinstance(known, Estimate), "a score has just come in"
    return Look(one.prompts, known.value, known.low, known.high)


def replayed(
    plan: Plan,
    store: Store,
    skipped: Mapping[str, Fact] | None = None,
    owed: Callable[[Fact | None], bool] | None = None,
    files_are_read: bool = True,
) -> Until:
    """What the ledger alone says: the sequences read as far as the facts go, which are those that are not `owed`.

    By default only what is missing is owed, and a verdict that was cut off; `skipped` are facts that are not stored.
    `files_are_read`: what a file of answers or verdicts was to say is in the ledger, and what is not there never comes.
    """
    owed = owed or _is_missing
    plan = with_references(plan, store, owed)
    until = Until(plan, store)
    for contestant in plan.contestants:
        slots = dict(conversations_of(plan, contestant))
        replies = store.replies({conversation.key for conversation in slots.values()})
        given = {slot: Response(*slot, replies[c.key]) for slot, c in slots.items() if not owed(replies.get(c.key))}
        never = files_are_read and is_recorded(plan.suite, contestant)
        until._answers.update({slot: given.get(slot) for slot in slots if slot in given or never})
    for rater in plan.raters:
        asked = {one.key: one for one in _shown(until, plan, rater, store)}
        stored: Mapping[str, Any] = (store.grades if rater.grades else store.verdicts)(asked)
        for key, one in asked.items():
            fact = stored.get(key) or (skipped or {}).get(key)
            if fact is None and rater.by_name and files_are_read:
                fact = _unsaid(rater, one)
            if fact is not None and not owed(fact):
                until._facts[key] = fact
    with until._moved:
        until._advance(until._cells)
    return until


def opened(plan: Plan, store: Store, retry_invalid: bool) -> Until:
    """Where a sitting begins: what will be asked for again is not settled.

    Nor is what a file may still say; but what was decided by what it has said already stays so.
    """
    until = replayed(plan, store, owed=lambda fact: owes(fact, retry_invalid), files_are_read=False)
    files = [rater.by_name for rater in plan.raters] + [is_recorded(plan.suite, name) for name in plan.contestants]
    if any(files):
        until.adopt(replayed(plan, store, owed=lambda fact: owes(fact, retry_invalid)))
    return until


def _is_missing(fact: Fact | None) -> bool:
    return fact is None or (fact.status != "failed" and owes(fact, retry_invalid=False))


def _shown(until: Until, plan: Plan, rater: Rater, store: Store) -> Iterator[Any]:
    for a, b in plan.pairs:
        for prompt in plan.prompts:
            for sample in range(plan.samples):
                left, right = (until._answers.get((name, prompt.id, sample)) for name in (a, b))
                if left and right and left.reply.status == right.reply.status == "ok":
                    yield from shown_of(plan, rater, Comparison(prompt, left, right), store)


def _unsaid(rater: Rater, shown: Any) -> Verdict | Grade | None:
    """What a file leaves open, as a skipped fact; None where it does say something, and a kill came before that."""
    if rater.judge is not None:
        said: Iterable[Verdict | Grade] = (rater.judge.grade if rater.grades else rater.judge.judge)([shown])
        return next((one for one in said if one.status == "skipped"), None)
    made: Callable[..., Verdict | Grade] = shown.grade if isinstance(shown, Submission) else shown.verdict
    return made(rater.name, kind=rater.kind, status="skipped", failure="not in the file")


def _rounds(units: Sequence[Sequence[Prompt]]) -> Iterator[tuple[Prompt, ...]]:
    """The units in order, put together until there are ROUND prompts."""
    gathered: tuple[Prompt, ...] = ()
    for unit in units:
        gathered += tuple(unit)
        if len(gathered) >= ROUND:
            yield gathered
            gathered = ()
    if gathered:
        yield gathered
