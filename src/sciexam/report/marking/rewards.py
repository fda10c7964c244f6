"""The rewards of contestants by reward models: distributions, differences, choices, and what people chose."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import combinations
from typing import Any

from sciexam.battles import cluster
from sciexam.report.calls import Calls
from sciexam.report.marking.marks import (
    FEW_PROMPTS,
    Marking,
    Marks,
    Value,
    of_score,
    paired,
    reasons,
    sample_value,
    statuses,
    values_of,
)
from sciexam.report.record import Figure, plain
from sciexam.report.scores import distinct
from sciexam.report.tables import to_csv
from sciexam.stats import (
    BestOfN,
    Distribution,
    Ecdf,
    Estimate,
    RewardComparison,
    Undefined,
    best_of_n,
    compare_rewards,
    distribution,
    ecdf,
    holm,
    mean,
    skewed_mean,
    win_rate,
)
from sciexam.stats.sides import ROUNDING

SCHEMA = "sciexam/rewards/1"
LEVEL = 0.95
NOT_FINITE = "not finite"
ENOUGH_FOR_A_SIGMOID = 20  # rewards that all lie between 0 and 1 by chance no longer


@dataclass(frozen=True, slots=True)
class Row:
    """One contestant by one reward model. Counts are prompts; `rewards` are single rewards by status.

    `below`: the share of prompts with at most so much reward, by reward: at every reward, or at 200 of them.
    `not_finite`: prompts whose rewards are all NaN, infinite or null; `missing`: prompts without any reward.
    """

    contestant: str
    judge: str
    judge_is: str
    planned: int
    not_finite: int
    missing: int
    reasons: Mapping[str, int]
    rewards: Mapping[str, int]
    distribution: Distribution | Undefined
    below: Ecdf | Undefined


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often a reward model chose as people did. Units are prompts; `accuracy` counts equal rewards one half.

    `comparisons`: pairs of answers on which people prefer one side on average and both rewards are there. `undecided`:
    those on which they do not; `unrewarded`: those that lack a reward.
    """

    accuracy: Figure
    comparisons: int
    equal: int
    undecided: int
    unrewarded: int


@dataclass(frozen=True, slots=True)
class Pair:
    """Contestant b against contestant a by one reward model; what is signed is positive where b has more.

    `compared`: see `sciexam.stats.RewardComparison`, in which b is the first. `differences`: the distribution of b - a
    over prompts. `win_rate`: the share of prompts where b's reward is higher, ties half. `permutation_holm` and
    `wilcoxon_holm` are corrected over all pairs and reward models of the command.
    """

    a: str
    b: str
    judge: str
    compared: RewardComparison
    differences: Distribution | Undefined
    win_rate: Figure
    people: Agreement
    permutation_holm: float | None = None
    wilcoxon_holm: float | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """For each prompt the answer with the highest reward of all contestants; equal ones share the prompt.

    `shares`: how often each contestant is chosen. `best`: the contestant with the highest mean on these prompts, and
    `gain` what the selection has more than it.
    """

    judge: str
    prompts: int
    shares: Mapping[str, float]
    mean: Figure
    best: str | None
    gain: Figure


@dataclass(frozen=True, slots=True)
class BestOf:
    """The mean reward of the best of n answers of one contestant, by n, over the prompts with a reward for all of them.

    `samples` answers were given to each prompt; see `sciexam.stats.best_of_n`.
    """

    contestant: str
    judge: str
    samples: int
    prompts: int
    curve: tuple[BestOfN, ...]


@dataclass(frozen=True, slots=True)
class Rewards:
    """The rewards of some contestants by one or more reward models."""

    suite: str
    run: str
    rubric: str
    contestants: tuple[str, ...]
    notes: Mapping[str, str]
    prompts: int
    level: float
    rows: tuple[Row, ...]
    pairs: tuple[Pair, ...]
    people: Mapping[str, Agreement]  # reward model -> its agreement over all pairs
    selections: tuple[Selection, ...]
    calls: Calls
    caveats: tuple[str, ...]
    best_of_n: tuple[BestOf, ...] = ()  # where a contestant gave several answers to a prompt
    schema: str = SCHEMA

    @property
    def failed(self) -> int:
        """Answers and rewards whose call did not succeed."""
        return sum(row.rewards["failed"] for row in self.rows)

    @property
    def incomplete(self) -> bool:
        """Whether a call failed, or was not made for the budget, or all rewards of a contestant are unusable."""
        bare = [row for row in self.rows if isinstance(row.distribution, Undefined)]
        return bool(self.calls.unasked) or self.failed > 0 or any(row.rewards["invalid"] for row in bare)

    def to_json(self) -> dict[str, Any]:
        """Plain values for strict JSON: no NaN, no infinity."""
        made: dict[str, Any] = plain(self)
        if not self.best_of_n:
            del made["best_of_n"]
        return made

    def to_csv(self) -> str:
        """One row a reward model and contestant, with every digit."""
        numbers = [one.name for one in fields(Distribution) if one.name not in ("mean", "median", "not_finite")]
        figures = ("mean", "median")
        head = ["reward_model", "contestant", "planned", "not_finite", "missing", *numbers]
        head += [name + end for name in figures for end in ("", "_low", "_high")]
        rows: list[list[object]] = []
        for row in self.rows:
            cells: list[object] = [row.judge, row.contestant, row.planned, row.not_finite, row.missing]
            for name in numbers:
                number = getattr(row.distribution, name, None)
                cells.append(None if isinstance(number, Undefined) else number)
            for name in figures:
                figure = getattr(row.distribution, name, None)
                known = isinstance(figure, Estimate)
                cells += [figure.value, figure.low, figure.high] if known and figure else [None, None, None]
            rows.append(cells)
        return to_csv(head, rows)


def build_rewards(marking: Marking) -> Rewards:
    """The rewards of what each reward model gave."""
    tables = [_Table(marking, marks) for marks in marking.marks]
    rows = tuple(row for table in tables for row in table.rows())
    return Rewards(
        suite=marking.suite,
        run=marking.run,
        rubric=marking.rubric,
        contestants=marking.contestants,
        notes=marking.notes,
        prompts=len(marking.prompts),
        level=LEVEL,
        rows=rows,
        pairs=_corrected([pair for table in tables for pair in table.pairs()]),
        people={table.judge: table.people(None) for table in tables},
        selections=tuple(table.selection() for table in tables),
        calls=marking.calls,
        caveats=(*marking.caveats, *_caveats(rows)),
        best_of_n=tuple(one for table in tables for one in table.best_of_n()),
    )


class _Table:
    """The rewards of one reward model, looked up once."""

    def __init__(self, marking: Marking, marks: Marks):
        self._marking, self._marks, self.judge = marking, marks, marks.judge
        self._values = {name: values_of(marking, marks, name, of_score) for name in marking.contestants}
        self._cluster = {prompt.id: cluster(prompt) for prompt in marking.prompts}

    def rows(self) -> Iterator[Row]:
        for name, values in self._values.items():
            given = [v for v in values if _given(v)]
            numbers = [_number(v) for v in given]
            yield Row(
                contestant=name,
                judge=self.judge,
                judge_is=self._marks.judge_is,
                planned=len(values),
                not_finite=sum(math.isnan(number) for number in numbers),
                missing=len(values) - len(given),
                reasons=reasons(v for v in values if v.failure != NOT_FINITE),
                rewards=statuses(self._marks, name),
                distribution=_distribution(numbers, [v.cluster for v in given]),
                below=_below([v for v in values if v.value is not None]),
            )

    def pairs(self) -> Iterator[Pair]:
        for a, b in combinations(self._marking.contestants, 2):
            of_a, of_b, labels = paired(self._values[a], self._values[b])
            more = [y - x for x, y in zip(of_a, of_b, strict=True)]
            given = [(x, y) for x, y in zip(self._values[a], self._values[b], strict=True) if _given(x) and _given(y)]
            yield Pair(
                a=a,
                b=b,
                judge=self.judge,
                compared=compare_rewards(
                    [_number(y) for _, y in given],
                    [_number(x) for x, _ in given],
                    distinct(x.cluster for x, _ in given),
                    LEVEL,
                    self._marking.seed,
                ),
                differences=_distribution(more, labels),
                win_rate=win_rate([self._won(one) for one in more], distinct(labels), LEVEL)
                if more
                else Undefined("no prompt has a reward of both"),
                people=self.people((a, b)),
            )

    def _won(self, ahead: float) -> float:
        """1 where the reward is higher, 0 where it is lower, 1/2 for a tie."""
        return 0.5 if abs(ahead) <= self._marks.tie_within + ROUNDING else float(ahead > 0)

    def people(self, pair: tuple[str, str] | None) -> Agreement:
        """The agreement on one pair of contestants, or on all of them, with the people's mean choice."""
        said: dict[tuple[str, str, str, int], list[float]] = {}
        for battle in self._marking.people:
            if battle.score is not None and pair in (None, (battle.a, battle.b)):
                said.setdefault((battle.a, battle.b, battle.prompt, battle.sample), []).append(1 - battle.score)
        right: list[float] = []
        labels: list[str] = []
        undecided = unrewarded = 0
        for (a, b, prompt, sample), scores in said.items():
            lean = sum(scores) / len(scores) - 0.5
            of_a, of_b = (sample_value(self._marks.grades.get((name, prompt, sample), ()), of_score) for name in (a, b))
            if abs(lean) < ROUNDING:
                undecided += 1
            elif of_a is None or of_b is None:
                unrewarded += 1
            else:
                right.append(self._won(of_b - of_a if lean > 0 else of_a - of_b))
                labels.append(self._cluster[prompt])
        accuracy: Figure = mean(right, distinct(labels), LEVEL, low=0.0, high=1.0) if right else _no_people(said)
        return Agreement(accuracy, len(right), right.count(0.5), undecided, unrewarded)

    def best_of_n(self) -> Iterator[BestOf]:
        """Of each contestant, where there are several answers to a prompt and one prompt has a reward of each."""
        samples = self._marking.samples
        if samples < 2:
            return
        for name in self._marking.contestants:
            rows: dict[str, list[float]] = {}
            for prompt in self._marking.prompts:
                slots = [(name, prompt.id, sample) for sample in range(samples)]
                given = [sample_value(self._marks.grades.get(slot, ()), of_score) for slot in slots]
                if len(known := [reward for reward in given if reward is not None]) == samples:
                    rows[prompt.id] = known
            if rows:
                labels = distinct(self._cluster[prompt] for prompt in rows)
                curve = best_of_n(list(rows.values()), clusters=labels, level=LEVEL)
                yield BestOf(name, self.judge, samples, len(rows), tuple(curve))

    def selection(self) -> Selection:
        """The answer with the highest reward, on the prompts where every contestant has one."""
        names = list(self._values)
        rows = [
            ([v.value for v in row if v.value is not None], row[0].cluster)
            for row in zip(*self._values.values(), strict=True)
        ]
        kept = [(rewards, label) for rewards, label in rows if len(rewards) == len(names)]
        if len(names) < 2 or not kept:
            alone = "it takes two contestants to choose from"
            why = Undefined(alone if len(names) < 2 else "no prompt has a reward of every contestant")
            return Selection(self.judge, 0, {}, why, None, why)
        labels = distinct(label for _, label in kept)
        shares = dict.fromkeys(names, 0.0)
        for rewards, _ in kept:
            top = [name for name, reward in zip(names, rewards, strict=True) if reward == max(rewards)]
            for name in top:
                shares[name] += 1 / len(top) / len(kept)
        means = [sum(column) / len(kept) for column in zip(*(rewards for rewards, _ in kept), strict=True)]
        best = means.index(max(means))
        highest = [max(rewards) for rewards, _ in kept]
        return Selection(
            judge=self.judge,
            prompts=len(kept),
            shares=shares,
            mean=skewed_mean(highest, labels, LEVEL),
            best=names[best],
            gain=skewed_mean([max(rewards) - rewards[best] for rewards, _ in kept], labels, LEVEL),
        )


def _given(value: Value) -> bool:
    """Whether there is a reward, finite or not."""
    return value.value is not None or value.failure == NOT_FINITE


def _number(value: Value) -> float:
    return math.nan if value.value is None else value.value


def _distribution(rewards: Sequence[float], labels: Sequence[str]) -> Distribution | Undefined:
    return distribution(rewards, distinct(labels), LEVEL)


def _below(given: Sequence[Value]) -> Ecdf | Undefined:
    return ecdf([_number(v) for v in given], distinct(v.cluster for v in given), LEVEL)


def _no_people(said: Mapping[tuple[str, str, str, int], Sequence[float]]) -> Undefined:
    if not said:
        return Undefined("the ledger holds no human verdict on these pairs of answers")
    return Undefined("no pair of answers has both a reward each and a side that people prefer")


def _corrected(pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    permutation = holm([pair.compared.permutation_p for pair in pairs])
    wilcoxon = holm([pair.compared.wilcoxon_p for pair in pairs])
    return tuple(
        replace(pair, permutation_holm=one, wilcoxon_holm=other)
        for pair, one, other in zip(pairs, permutation, wilcoxon, strict=True)
    )


def _caveats(rows: Sequence[Row]) -> Iterator[str]:
    counts = [row.distribution.n for row in rows if isinstance(row.distribution, Distribution)]
    if counts and min(counts) < FEW_PROMPTS:
        yield f"{min(counts)} prompt{'s are' if min(counts) > 1 else ' is'} few; the intervals are wide."
    for row in rows:
        if row.not_finite:
            of = f"of {row.planned} rewards of {row.contestant} by {row.judge}"
            yield f"{row.not_finite} {of} {'is' if row.not_finite == 1 else 'are'} not finite."
        if row.missing:
            of = f"of {row.planned} prompts {'has' if row.missing == 1 else 'have'}"
            yield f"{row.missing} {of} no reward of {row.contestant} by {row.judge}."
    for judge in dict.fromkeys(row.judge for row in rows):
        mine = [row.distribution for row in rows if row.judge == judge]
        known = [one for one in mine if isinstance(one, Distribution)]
        squashed = known and min(one.min for one in known) >= 0 and max(one.max for one in known) <= 1
        if squashed and sum(one.n for one in known) >= ENOUGH_FOR_A_SIGMOID:
            yield (
                f"All rewards by {judge} lie between 0 and 1: they may be probabilities after a sigmoid, which moves "
                "large rewards together."
            )
