"""How far raters agree: all together, and every two of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sciexam.report.agreeing.agreement import EVERYONE, Agreed, Agreement
from sciexam.report.figures.contests import percent
from sciexam.report.figures.drawing import Drawing
from sciexam.report.figures.frame import ROOM, SMALL, name_of, width_of
from sciexam.report.figures.matrix import Matrix, draw_matrix, matrix_height
from sciexam.report.figures.rows import Row, draw_rows, free_scale, height_of
from sciexam.report.figures.words import said, sentences
from sciexam.report.record import Figure
from sciexam.stats import Estimate

FEWEST = 3  # raters: two have one agreement
MOST = 30
MOST_ROWS = 20


def agreement(found: Agreement) -> Iterator[Drawing]:
    """The groups and pairs of raters as a forest; every two as a matrix."""
    pairs = [one for one in found.pairs if one.category is None]
    groups = [one for one in found.groups if one.category is None and len(one.raters) > 2]
    shown = [*groups, *pairs] if len(groups) + len(pairs) <= MOST_ROWS else groups
    if any(isinstance(one.alpha, Estimate) for one in shown):
        yield _forest(found, shown)
    raters = tuple(dict.fromkeys(name for one in pairs for name in one.raters))
    if FEWEST <= len(raters) <= MOST:
        yield _matrix(raters, pairs)


def _forest(found: Agreement, shown: Sequence[Agreed]) -> Drawing:
    rows = [_row(one) for one in shown]
    measured = free_scale(rows, "Krippendorff's alpha", 0.0)
    return Drawing(
        name="agreement",
        title="Agreement on which answer is better",
        caption=(
            "Krippendorff's alpha of the side that raters took (either answer, or a tie), with its "
            f"{percent(found.level)} interval, on n comparisons: 1 is full agreement, 0 (dashed) is what chance would "
            "give."
        ),
        words=sentences(
            f"{_who(one)}: alpha {said(one.alpha)}, on {one.items} comparisons; same side {said(one.percent)}"
            for one in shown
        ),
        height=height_of(rows, measured),
        draw=lambda figure, palette: draw_rows(figure, palette, rows, measured),
    )


def _row(one: Agreed) -> Row:
    if len(one.raters) > 2:
        return Row(_who(one), one.alpha, detail=f"{len(one.raters)} raters, n = {one.items}")
    first, second = one.raters
    counted = f", n = {one.items}"
    room = ROOM - width_of(f"and {counted}", SMALL)
    return Row(name_of(first), one.alpha, detail=f"and {name_of(second, room, SMALL)}{counted}")


def _who(one: Agreed) -> str:
    if len(one.raters) == 2:
        return " and ".join(one.raters)
    return one.group if one.group == EVERYONE else f"all {one.group}"


def _matrix(raters: Sequence[str], pairs: Sequence[Agreed]) -> Drawing:
    known = {frozenset(one.raters): one for one in pairs}

    def cell(y: int, x: int) -> Figure | None:
        one = known.get(frozenset((raters[y], raters[x])))
        return None if one is None or x == y else one.alpha if x < y else one.percent

    size = range(len(raters))
    shown = Matrix(
        rows=tuple(map(name_of, raters)),
        columns=(),
        cells=tuple(tuple(cell(y, x) for x in size) for y in size),
        shade=lambda one: one.value,
        bold=lambda one: False,
    )
    return Drawing(
        name="agreement-matrix",
        title="Agreement of every two raters",
        caption=(
            "Below the diagonal Krippendorff's alpha of every two raters (1 full agreement, 0 what chance would give, "
            "orange less than that); above it the share of comparisons on which they took the same side."
        ),
        words=sentences(
            f"{' and '.join(one.raters)}: alpha {said(one.alpha)}; same side {said(one.percent)}; on {one.items} "
            "comparisons"
            for one in pairs
        ),
        height=matrix_height(shown),
        draw=lambda figure, palette: draw_matrix(figure, palette, shown),
    )
