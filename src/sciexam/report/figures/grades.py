"""The marks of contestants: in total, and criterion by criterion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sciexam.report.figures.contests import percent, places
from sciexam.report.figures.drawing import Drawing
from sciexam.report.figures.frame import name_of
from sciexam.report.figures.rows import Row, draw_rows, free_scale, height_of
from sciexam.report.figures.words import said, sentences
from sciexam.report.marking.grades import Grades
from sciexam.report.marking.grades import Row as Marked
from sciexam.stats import Estimate

MOST_ROWS = 60


def grades(found: Grades) -> Iterator[Drawing]:
    """For each judge the totals; then the points on each criterion."""
    judges = tuple(dict.fromkeys(row.judge for row in found.rows))
    for number, judge in enumerate(judges, 1):
        rows = [row for row in found.rows if row.judge == judge]
        suffix = "" if len(judges) == 1 else f"-{number}"
        if any(isinstance(row.total, Estimate) for row in rows):
            yield _totals(found, judge, rows, f"grades{suffix}")
            yield from _criteria(found, judge, rows, f"grades-by-criterion{suffix}")


def _totals(found: Grades, judge: str, marked: Sequence[Marked], name: str) -> Drawing:
    place = places(found.contestants)
    rows = [Row(name_of(row.contestant), row.total, place.get(row.contestant)) for row in marked]
    measured = free_scale(rows, "grade in total")
    return Drawing(
        name=name,
        title=f"Grades by {judge}",
        caption=f"The mean grade in total over prompts, with its {percent(found.level)} interval.",
        words=sentences(f"{row.contestant}: {said(row.total)}, over {_prompts(row.used)}" for row in marked),
        height=height_of(rows, measured),
        draw=lambda figure, palette: draw_rows(figure, palette, rows, measured),
    )


def _prompts(count: int) -> str:
    return f"{count} prompt{'s' if count != 1 else ''}"


def _criteria(found: Grades, judge: str, marked: Sequence[Marked], name: str) -> Iterator[Drawing]:
    place = places(found.contestants)
    names = tuple(dict.fromkeys(one.criterion for row in marked for one in row.criteria))
    of = {(row.contestant, one.criterion): one for row in marked for one in row.criteria}
    scales = {(one.low, one.high) for one in of.values()}
    if not names or len(names) * (len(marked) + 1) > MOST_ROWS or len(scales) > 1:
        return  # criteria in points of different kinds are not on one scale
    rows: list[Row] = []
    for criterion in names:
        rows.append(Row(name_of(criterion), None))
        rows += [
            Row(name_of(row.contestant), one.points, place.get(row.contestant), inside=True)
            for row in marked
            if (one := of.get((row.contestant, criterion))) is not None
        ]
    measured = free_scale(rows, "points")
    yield Drawing(
        name=name,
        title=f"Points on each criterion by {judge}",
        caption=f"The mean points on each criterion over prompts, with their {percent(found.level)} intervals.",
        words=sentences(
            f"{criterion}, {contestant}: {said(one.points)}, over {_prompts(one.used)}"
            for (contestant, criterion), one in of.items()
        ),
        height=height_of(rows, measured),
        draw=lambda figure, palette: draw_rows(figure, palette, rows, measured),
    )
