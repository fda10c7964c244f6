"""Grades as a sentence and tables: what the console and Markdown print."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sciexam.report.marking.grades import CriterionRow, Difference, Grades, Row
from sciexam.report.marking.leading import Lead, leading
from sciexam.report.record import Figure
from sciexam.report.tables import Table, methods_table
from sciexam.report.wording import p_value, value
from sciexam.stats import Estimate, Undefined

WHAT_TOTAL_IS = (
    "Total: the weighted mean over the criteria of (points - lowest) / (highest - lowest), from 0 to 1. A judge of "
    "your own has its own score instead."
)


def sentence_of(found: Grades) -> str:
    """Whose total is higher by each judge, and whether that is told apart."""
    return " ".join(_leading(found, judge) for judge in dict.fromkeys(row.judge for row in found.rows))


def _leading(found: Grades, judge: str) -> str:
    means = {row.contestant: row.total for row in found.rows if row.judge == judge}
    of_judge = [one for one in found.differences if one.judge == judge and one.criterion is None]
    leads = [Lead(one.a, one.b, one.difference, one.p_holm) for one in of_judge]
    return leading(judge, "grade", means, leads, found.level)


def tables_of(found: Grades) -> Iterator[Table]:
    """Totals and criteria of each judge, then the differences of all."""
    for place, judge in enumerate(dict.fromkeys(row.judge for row in found.rows)):
        rows = [row for row in found.rows if row.judge == judge]
        yield _totals(rows, (WHAT_TOTAL_IS,) if place == 0 else ())
        if any(row.criteria for row in rows):
            yield _criteria(rows)
    if found.differences:
        yield _differences(found.differences)
    yield from methods_table(_figures(found), found.level)


def _totals(rows: Sequence[Row], before: Sequence[str]) -> Table:
    head = ("contestant", "total", "sd", "prompts", "invalid", "failed", "skipped")
    cells = [
        (
            row.contestant,
            value(row.total),
            _number(row.sd),
            f"{row.used} of {row.planned}",
            str(row.invalid),
            str(row.failed),
            str(row.skipped),
        )
        for row in rows
    ]
    notes = [*before, *_additive(rows)]
    notes += [f"{row.contestant}: {_reasons(row)}." for row in rows if row.reasons]
    notes += _why([(row.contestant, row.total) for row in rows])
    return Table(f"Grades by {rows[0].judge} ({rows[0].judge_is})", head, cells, tuple(notes))


def _additive(rows: Sequence[Row]) -> Iterator[str]:
    """The points themselves, where the one criterion counts from 0."""
    for row in rows:
        if len(row.criteria) == 1 and row.criteria[0].low == 0 and isinstance(row.criteria[0].points, Estimate):
            (one,) = row.criteria
            yield f"{row.contestant}: {value(one.points)} points of {one.high:g}."


def _criteria(rows: Sequence[Row]) -> Table:
    head = ("contestant", "criterion", "points", "of", "sd", "prompts", "share of each grade")
    cells = [
        (
            row.contestant,
            one.criterion,
            value(one.points),
            _range(one),
            _number(one.sd),
            f"{one.used} of {row.planned}",
            _shares(one),
        )
        for row in rows
        for one in row.criteria
    ]
    why = _why([(f"{row.contestant}, {one.criterion}", one.points) for row in rows for one in row.criteria])
    return Table(f"Criteria by {rows[0].judge}", head, cells, tuple(why))


def _shares(one: CriterionRow, most: int = 5) -> str:
    """How many of the grades are each; of a long scale those that were given."""
    shown = {word: share for word, share in one.shares.items() if share or len(one.shares) <= most}
    return ", ".join(f"{word} {share:.0%}" for word, share in shown.items()) or "-"


def _differences(found: Sequence[Difference]) -> Table:
    head = ("contestants", "judge", "of", "difference", "prompts", "p", "p (Holm)")
    cells = [
        (
            f"{one.b} against {one.a}",
            one.judge,
            one.criterion or "the total",
            value(one.difference),
            str(one.prompts),
            p_value(one.p_value),
            p_value(one.p_holm),
        )
        for one in found
    ]
    notes = [
        "What the first named has more than the other on the same prompts: of the total, or in a criterion's points.",
        "p: sign flips. Holm: over all totals of the command, and over all its criteria apart.",
        *_why([(f"{one.b} against {one.a}, {one.criterion or 'the total'}", one.difference) for one in found]),
    ]
    return Table("Differences", head, cells, tuple(notes))


def _figures(found: Grades) -> Iterator[Figure]:
    for row in found.rows:
        yield row.total
        yield from (one.points for one in row.criteria)
    yield from (one.difference for one in found.differences)


def _range(one: CriterionRow) -> str:
    return "-" if one.low is None or one.high is None else f"{one.low:g} to {one.high:g}"


def _reasons(row: Row, most: int = 5) -> str:
    listed = [f"{count} x {why}" for why, count in row.reasons.items()]
    more = f" and {len(listed) - most} more reasons" if len(listed) > most else ""
    return f"without a grade: {'; '.join(listed[:most])}{more}"


def _why(named: Sequence[tuple[str, Figure]]) -> Iterator[str]:
    """Each reason for a missing figure once, with what it is missing for."""
    found: dict[str, list[str]] = {}
    for name, figure in named:
        if isinstance(figure, Undefined):
            found.setdefault(figure.why, []).append(name)
    for why, names in found.items():
        yield f"n/a for {'all' if len(names) == len(named) > 1 else '; '.join(names)}: {why}."


def _number(number: float | None) -> str:
    return "n/a" if number is None else f"{number:.2f}"
