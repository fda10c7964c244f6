"""Benchmarks of others: how models did on each task, and how each two of them compare on the same items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Literal

import numpy as np

from sciexam.report.calls import Calls
from sciexam.report.record import Figure, plain
from sciexam.report.tables import to_csv
from sciexam.stats import Estimate, Undefined, equivalent, holm, mcnemar, mean, skewed_mean
from sciexam.stats.paired import sign_flip_differences

SCHEMA = "sciexam/bench/1"
LEVEL = 0.95
WHOLE = Undefined("the harness counts it over all items together: there is nothing to make an interval of")
UNSHARED = Undefined("they have no items in common")

Margin = float | None | Mapping[str, float | None]  # for all tasks, or by task
Values = Sequence[float | None]  # one for each item, None where an item has none
Finding = Literal["higher", "lower", "equivalent", "undecided"]


@dataclass(frozen=True, slots=True)
class Item:
    """What one model did on one item. `item` and `prompt` are digests; `choice` is what it chose or wrote."""

    model: str
    task: str
    place: int
    item: str
    value: float | None
    group: str
    prompt: str
    choice: str
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Result:
    """One model on one task. `value` is the mean of `metric` over items; `reported` are the harness's own figures."""

    model: str
    task: str
    metric: str
    higher_is_better: bool
    items: int
    shots: int
    chat: bool
    value: Figure
    reported: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Paired:
    """Model b against model a on the items that both have. `difference` is b's mean less a's.

    `both` to `neither` count items that are right or wrong, None where the metric is no such thing. `p` is of `test`;
    `p_holm` is corrected over all pairs of a record. `equivalent`: whether the difference is shown to lie within
    `margin`; None without one. `finding` is of b's mean: higher, lower, equivalent, or undecided.
    """

    a: str
    b: str
    task: str
    metric: str
    higher_is_better: bool
    items: int
    difference: Figure
    both: int | None
    only_a: int | None
    only_b: int | None
    neither: int | None
    test: str
    p: float | None
    p_holm: float | None
    equivalent: bool | None
    finding: Finding
    margin: float | None = None


@dataclass(frozen=True, slots=True)
class Beside:
    """What the contestants of a comparison did on benchmarks: of each task those who were asked alike, and each two.

    `shortfalls`: what was not done as it should be, in sentences.
    """

    results: tuple[Result, ...]
    pairs: tuple[Paired, ...]
    level: float
    shortfalls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """What one model did on one task, as it is counted: see `exam.benchmark_facts.Outcome`."""

    model: str
    task: str
    metric: str
    higher_is_better: bool
    shots: int
    chat: bool
    values: Values
    groups: Sequence[str] | None
    reported: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Benchmarks:
    """The results of models on tasks, and each two models on the same items.

    `missing`: task and model, and why; `asked`: how many tasks were done for this, and not read from the ledger.
    """

    suite: str
    run: str
    contestants: tuple[str, ...]
    tasks: tuple[str, ...]
    harness: str
    level: float
    margin: float | None
    results: tuple[Result, ...]
    pairs: tuple[Paired, ...]
    missing: Mapping[str, str]
    calls: Calls
    asked: int
    caveats: tuple[str, ...]
    notes: Mapping[str, str]
    schema: str = SCHEMA

    @property
    def title(self) -> str:
        return f"Benchmarks of {', '.join(self.contestants)}"

    @property
    def incomplete(self) -> bool:
        """Whether a task has no result."""
        return bool(self.missing)

    def to_json(self) -> dict[str, Any]:
        """Plain values for strict JSON: no NaN, no infinity."""
        made: dict[str, Any] = plain(self)
        return made


def items_csv(items: Sequence[Item]) -> str:
    """One row an item of a model and a task, with every digit."""
    names = sorted({name for item in items for name in item.metrics})
    head = ["task", "model", "place", "item", "value", "group", "prompt", "choice", *names]
    rows = [
        [i.task, i.model, i.place, i.item, i.value, i.group, i.prompt, i.choice, *(i.metrics.get(n) for n in names)]
        for i in items
    ]
    return to_csv(head, rows)


# ---------------------------------------------------------------- figures


def figure_of(values: Values, groups: Sequence[str] | None, level: float = LEVEL) -> Figure:
    """The mean of the items' values, with its interval over items or groups of items."""
    if not values:
        return WHOLE
    known = [place for place, value in enumerate(values) if value is not None]
    numbers = np.array([values[place] for place in known], dtype=np.float64)
    clusters = None if groups is None else [groups[place] for place in known]
    if _is_share(numbers):
        return mean(numbers, clusters, level, low=0.0, high=1.0)
    return skewed_mean(numbers, clusters, level)


def results_of(told: Sequence[Told], level: float = LEVEL) -> tuple[Result, ...]:
    """The rows, in the order of what was told."""
    return tuple(
        Result(
            model=one.model,
            task=one.task,
            metric=one.metric,
            higher_is_better=one.higher_is_better,
            items=sum(value is not None for value in one.values),
            shots=one.shots,
            chat=one.chat,
            value=figure_of(one.values, one.groups, level),
            reported=one.reported,
        )
        for one in told
    )


def pairs_of(told: Sequence[Told], margin: Margin, level: float = LEVEL) -> tuple[Paired, ...]:
    """Each two models on each task, with p-values corrected over all of them (Holm 1979)."""
    margins = margin if isinstance(margin, Mapping) else dict.fromkeys((one.task for one in told), margin)
    pairs = [
        _paired(a, b, margins.get(task), level)
        for task in dict.fromkeys(one.task for one in told)
        for a, b in combinations([one for one in told if one.task == task], 2)
    ]
    corrected = holm([pair.p for pair in pairs])
    return tuple(
        replace(pair, p_holm=p, finding=_finding(pair.difference, p, pair.equivalent, level))
        for pair, p in zip(pairs, corrected, strict=True)
    )


def _paired(a: Told, b: Told, margin: float | None, level: float) -> Paired:
    both = [
        place
        for place, (one, other) in enumerate(zip(a.values, b.values, strict=False))
        if one is not None and other is not None
    ]
    of_a, of_b = (np.array([one.values[place] for place in both], dtype=np.float64) for one in (a, b))
    clusters = None if a.groups is None else [a.groups[place] for place in both]
    counted = len(both) > 0 and bool(np.isin(np.concatenate([of_a, of_b]), (0.0, 1.0)).all())
    difference, equal = _difference(of_a, of_b, clusters, margin, level)
    counts = mcnemar(of_a == 1, of_b == 1) if counted else None
    alone = clusters is None or len(set(clusters)) == len(clusters)
    exact = counts is not None and alone
    p = counts.p_value if counts and exact else sign_flip_differences(of_b - of_a, clusters)
    test = "McNemar, exact" if exact else "sign flips" if alone else "sign flips of groups"
    return Paired(
        a=a.model,
        b=b.model,
        task=a.task,
        metric=a.metric,
        higher_is_better=a.higher_is_better,
        items=len(both),
        difference=difference,
        both=counts.both if counts else None,
        only_a=counts.only_first if counts else None,
        only_b=counts.only_second if counts else None,
        neither=counts.neither if counts else None,
        test=test,
        p=p,
        p_holm=None,
        equivalent=equal,
        finding="undecided",
        margin=margin,
    )


def _difference(
    of_a: Any, of_b: Any, clusters: Sequence[str] | None, margin: float | None, level: float
) -> tuple[Figure, bool | None]:
    """b's mean less a's over items, and whether it is shown to lie within the margin: two one-sided tests at 5 %."""
    if not len(of_a):
        return UNSHARED, None if margin is None else False
    by = of_b - of_a
    if _is_share(np.concatenate([of_a, of_b])):
        found = mean(by, clusters, level, low=-1.0, high=1.0)
        return found, None if margin is None else equivalent((1 + by) / 2, margin / 2, clusters)
    found, narrow = mean(by, clusters, level), mean(by, clusters, 0.9)
    if margin is None:
        return found, None
    return found, isinstance(narrow, Estimate) and -margin < narrow.low and narrow.high < margin


def _is_share(numbers: Any) -> bool:
    """Whether these can be shares of one: their mean has bounds."""
    return bool(((numbers >= 0) & (numbers <= 1)).all())


def _finding(difference: Figure, p_holm: float | None, equal: bool | None, level: float) -> Finding:
    """A real difference within the margin is equivalent, because the margin says what matters."""
    if equal:
        return "equivalent"
    if isinstance(difference, Undefined) or p_holm is None or p_holm >= round(1 - level, 12):
        return "undecided"
    return "higher" if difference.low > 0 else "lower" if difference.high < 0 else "undecided"


def pooled(told: Sequence[Told], groups: Mapping[str, Sequence[str]]) -> Iterator[Told]:
    """What was told, and after the tasks of a group all their items as one: every item counts the same."""
    for name, tasks in groups.items():
        of_group = [one for one in told if one.task in tasks]
        yield from of_group
        if list(tasks) == [name]:
            continue
        for model in dict.fromkeys(one.model for one in of_group):
            parts = [one for one in of_group if one.model == model]
            alike = len({(one.metric, one.higher_is_better) for one in parts}) == 1
            if len(parts) == len(tasks) and alike and all(one.values for one in parts):
                values = [value for one in parts for value in one.values]
                belongs = None
                if any(one.groups for one in parts):
                    belongs = [
                        f"{one.task} {one.groups[i] if one.groups else i}"
                        for one in parts
                        for i in range(len(one.values))
                    ]
                yield replace(parts[0], task=name, values=values, groups=belongs, reported={})
