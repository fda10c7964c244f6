"""The grades of contestants by a rubric: criterion by criterion, in total, and how they differ."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from sciexam.report.calls import Calls
from sciexam.report.marking.marks import (
    FEW_PROMPTS,
    MANY_INVALID,
    Marking,
    Marks,
    Scale,
    Value,
    of_criterion,
    of_score,
    paired,
    reasons,
    statuses,
    values_of,
)
from sciexam.report.record import Figure, plain
from sciexam.report.scores import distinct
from sciexam.stats import Undefined, holm, mean, skewed_mean
from sciexam.stats.paired import sign_flip_differences
from sciexam.types import Grade

SCHEMA = "sciexam/grades/1"
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class CriterionRow:
    """The points of one contestant on one criterion. `shares`: of its usable grades, how many are each; by word.

    `points` is the mean over prompts, `sd` their standard deviation, both in the criterion's own points from `low` to
    `high` (None: not known). `used` counts prompts.
    """

    criterion: str
    points: Figure
    low: float | None
    high: float | None
    sd: float | None
    used: int
    shares: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Row:
    """One contestant by one judge. Counts are prompts; `grades` are single grades by status.

    `total` is the mean over prompts of the weighted mean of (points - lowest) / (highest - lowest), in [0, 1]; for a
    judge of one's own it is that of its scores.
    """

    contestant: str
    judge: str
    judge_is: str
    total: Figure
    sd: float | None
    planned: int
    used: int
    invalid: int
    failed: int
    skipped: int
    reasons: Mapping[str, int]
    grades: Mapping[str, int]
    criteria: tuple[CriterionRow, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """What b has more than a on the prompts where both have a grade: in total (`criterion` is None), or in points.

    `p_value`: sign flips; `p_holm`: corrected over all totals of the command, or over all its criteria.
    """

    a: str
    b: str
    judge: str
    criterion: str | None
    difference: Figure
    prompts: int
    p_value: float | None
    p_holm: float | None = None


@dataclass(frozen=True, slots=True)
class Grades:
    """The grades of some contestants by some judges."""

    suite: str
    run: str
    rubric: str
    contestants: tuple[str, ...]
    notes: Mapping[str, str]
    prompts: int
    level: float
    rows: tuple[Row, ...]
    differences: tuple[Difference, ...]
    calls: Calls
    caveats: tuple[str, ...]
    schema: str = SCHEMA

    @property
    def failed(self) -> int:
        """Answers and grades whose call did not succeed."""
        return sum(row.grades["failed"] for row in self.rows)

    @property
    def incomplete(self) -> bool:
        """Whether a call failed, or all grades of a contestant by a judge are unusable."""
        return bool(self.calls.unasked) or self.failed > 0 or any(row.invalid and not row.used for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        """Plain values for strict JSON: no NaN, no infinity."""
        made: dict[str, Any] = plain(self)
        return made


def build_grades(marking: Marking) -> Grades:
    """The grades of what each rater gave."""
    rows = tuple(_row(marking, marks, name) for marks in marking.marks for name in marking.contestants)
    return Grades(
        suite=marking.suite,
        run=marking.run,
        rubric=marking.rubric,
        contestants=marking.contestants,
        notes=marking.notes,
        prompts=len(marking.prompts),
        level=LEVEL,
        rows=rows,
        differences=_corrected([one for marks in marking.marks for one in _differences(marking, marks)]),
        calls=marking.calls,
        caveats=(*marking.caveats, *_caveats(rows)),
    )


def _row(marking: Marking, marks: Marks, contestant: str) -> Row:
    values = values_of(marking, marks, contestant, of_score)
    why_not = Counter(value.status for value in values if value.value is None)
    return Row(
        contestant=contestant,
        judge=marks.judge,
        judge_is=marks.judge_is,
        total=_mean(values, marks.bounds),
        sd=_sd(values),
        planned=len(values),
        used=sum(value.value is not None for value in values),
        invalid=why_not["invalid"],
        failed=why_not["failed"],
        skipped=why_not["skipped"],
        reasons=reasons(values),
        grades=statuses(marks, contestant),
        criteria=tuple(_criterion(marking, marks, contestant, scale) for scale in _scales(marks)),
    )


def _scales(marks: Marks) -> list[Scale]:
    """The criteria that the rater is known to mark, or else those that it did mark, by name."""
    if marks.scales:
        return list(marks.scales)
    return [Scale(n) for n in sorted({n for grades in marks.grades.values() for one in grades for n in one.criteria})]


def _criterion(marking: Marking, marks: Marks, contestant: str, scale: Scale) -> CriterionRow:
    values = values_of(marking, marks, contestant, of_criterion(scale.criterion))
    return CriterionRow(
        criterion=scale.criterion,
        points=_mean(values, scale.bounds),
        low=scale.low,
        high=scale.high,
        sd=_sd(values),
        used=sum(value.value is not None for value in values),
        shares=_shares(marks, contestant, scale),
    )


def _shares(marks: Marks, contestant: str, scale: Scale) -> dict[str, float]:
    given = Counter(
        grade.criteria[scale.criterion]
        for (name, _, _), grades in marks.grades.items()
        for grade in grades
        if name == contestant and grade.status == "ok" and scale.criterion in grade.criteria
    )
    return {word: given[points] / given.total() for word, points in scale.words.items()} if given else {}


def _mean(values: Sequence[Value], bounds: tuple[float, float] | None) -> Figure:
    used = [value for value in values if value.value is not None]
    if not used:
        return Undefined("no prompt has a usable grade")
    return _estimate([v.value for v in used if v.value is not None], [v.cluster for v in used], bounds)


def _estimate(values: Sequence[float], labels: Sequence[str], bounds: tuple[float, float] | None) -> Figure:
    if bounds is None:
        return skewed_mean(values, distinct(labels), LEVEL)
    low, high = bounds
    return mean([min(high, max(low, value)) for value in values], distinct(labels), LEVEL, low=low, high=high)


def _sd(values: Sequence[Value]) -> float | None:
    used = [value.value for value in values if value.value is not None]
    return statistics.stdev(used) if len(used) > 1 else None


def _differences(marking: Marking, marks: Marks) -> Iterator[Difference]:
    yield from _of_all_pairs(marking, marks, None, of_score, marks.bounds)
    for scale in _scales(marks):
        yield from _of_all_pairs(marking, marks, scale.criterion, of_criterion(scale.criterion), scale.bounds)


def _of_all_pairs(
    marking: Marking,
    marks: Marks,
    criterion: str | None,
    of: Callable[[Grade], float | None],
    bounds: tuple[float, float] | None,
) -> Iterator[Difference]:
    values = {name: values_of(marking, marks, name, of) for name in marking.contestants}
    span = bounds and (bounds[0] - bounds[1], bounds[1] - bounds[0])
    for a, b in combinations(marking.contestants, 2):
        of_a, of_b, labels = paired(values[a], values[b])
        more = [y - x for x, y in zip(of_a, of_b, strict=True)]
        yield Difference(
            a=a,
            b=b,
            judge=marks.judge,
            criterion=criterion,
            difference=_difference(more, labels, span),
            prompts=len(more),
            p_value=sign_flip_differences(more, distinct(labels), marking.seed),
        )


def _difference(more: Sequence[float], labels: Sequence[str], span: tuple[float, float] | None) -> Figure:
    """The mean difference with a t interval: the bounds of grades are far from their differences, and widen it.

    Where all differences are equal there is no t interval, and the bounds give the only one that there is.
    """
    if not more:
        return Undefined("no prompt has a usable grade of both")
    return _estimate(more, labels, span if len(set(more)) == 1 else None)


def _corrected(found: Sequence[Difference]) -> tuple[Difference, ...]:
    """Holm over all totals, and over all criteria: the totals are what was asked, and must not pay for the rest."""
    corrected: dict[int, float | None] = {}
    for totals in (True, False):
        family = [place for place, one in enumerate(found) if (one.criterion is None) is totals]
        corrected |= dict(zip(family, holm([found[place].p_value for place in family]), strict=True))
    return tuple(replace(one, p_holm=corrected[place]) for place, one in enumerate(found))


def _caveats(rows: Sequence[Row]) -> Iterator[str]:
    few = [row.used for row in rows if 0 < row.used < FEW_PROMPTS]
    if few:
        yield f"{min(few)} prompt{'s are' if min(few) > 1 else ' is'} few; the intervals are wide."
    for row in rows:
        missing = row.grades["invalid"] + row.grades["failed"]
        asked = missing + row.grades["ok"]
        if missing > MANY_INVALID * asked:
            of = f"of {asked} grades {'is' if missing == 1 else 'are'}"
            yield f"{row.contestant} by {row.judge}: {missing} {of} invalid or failed."
