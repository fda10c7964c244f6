"""Win rates within each category of the prompts, and on each criterion of the rubric."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sciexam.report.figures.contests import MOST, heading, in_full, judges_of, percent, places
from sciexam.report.figures.drawing import Drawing
from sciexam.report.figures.frame import name_of
from sciexam.report.figures.matrix import Matrix, draw_matrix, matrix_height
from sciexam.report.figures.rows import Row, draw_rows, height_of, rate_scale
from sciexam.report.figures.win_rates import MOST_ROWS
from sciexam.report.figures.words import said, sentences
from sciexam.report.record import Category, Pair, Report

MOST_COLUMNS = 12
HALF = 54.0  # points of each of two names before a row of the table


def by_category(report: Report) -> Iterator[Drawing]:
    """A forest a comparison; where there are many of them, a table of colours for each judge."""
    sliced = [pair for pair in report.pairs if len(pair.categories) > 1]
    if len(sliced) <= MOST:
        for number, pair in enumerate(sliced, 1):
            yield _forest(report, pair, pair.categories, report.by, "by-category", number, len(sliced))
        return
    for number, judge in enumerate(judges_of(sliced), 1):
        if drawn := _table(report, [pair for pair in sliced if pair.judge == judge], number):
            yield drawn


def by_criterion(report: Report) -> Iterator[Drawing]:
    """A forest a comparison, of the first comparisons."""
    sliced = [pair for pair in report.pairs if pair.criteria][:MOST]
    for number, pair in enumerate(sliced, 1):
        yield _forest(report, pair, pair.criteria, "criterion", "by-criterion", number, len(sliced))


def _forest(
    report: Report, pair: Pair, slices: Sequence[Category], by: str, name: str, number: int, of: int
) -> Drawing:
    colour = places(report.contestants).get(pair.b)
    rows = [Row(name_of(one.name), one.win_rate, colour) for one in slices]
    rows.append(Row("all", pair.win_rate, None))
    measured = rate_scale(rows, f"win rate of {name_of(pair.b)}")
    return Drawing(
        name=name if of == 1 else f"{name}-{number}",
        title=f"By {by}: {heading(report, pair)}",
        caption=(
            f"The win rate of {pair.b} against {pair.a} {'on' if by == 'criterion' else 'within'} each {by}, with its "
            f"{percent(report.level)} interval; last, over everything. The intervals are not corrected for looking at "
            "several."
        ),
        words=sentences(
            [
                *(f"{one.name}: {said(one.win_rate)}, over {one.used} prompts" for one in slices),
                f"All: {said(pair.win_rate)}",
            ]
        ),
        height=height_of(rows, measured),
        draw=lambda figure, palette: draw_rows(figure, palette, rows, measured),
    )


def _table(report: Report, pairs: Sequence[Pair], number: int) -> Drawing | None:
    """Pairs by categories; None where it would be larger than a page."""
    names = tuple(dict.fromkeys(one.name for pair in pairs for one in pair.categories))
    if len(pairs) > MOST_ROWS or len(names) > MOST_COLUMNS:
        return None
    cells = [{one.name: one.win_rate for one in pair.categories} for pair in pairs]
    shown = Matrix(
        rows=tuple(f"{name_of(pair.b, HALF)} vs {name_of(pair.a, HALF)}" for pair in pairs),
        columns=names,
        cells=tuple(tuple(row.get(name) for name in names) for row in cells),
    )
    return Drawing(
        name=f"by-category-{number}",
        title=f"By {report.by}, by {pairs[0].judge}",
        caption=(
            f"The win rate of the contestant named first within each {report.by}: bold where the "
            f"{percent(report.level)} interval leaves out one half, which is not corrected for looking at several."
        ),
        words=sentences(
            f"{in_full(pair)}: " + "; ".join(f"{one.name} {said(one.win_rate)}" for one in pair.categories)
            for pair in pairs
        ),
        height=matrix_height(shown),
        draw=lambda figure, palette: draw_matrix(figure, palette, shown),
    )
