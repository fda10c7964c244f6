"""A table of numbers whose cells are coloured by them: what everyone did to everyone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sciexam.report.figures.drawing import WIDTH
from sciexam.report.figures.frame import SMALL, TEXT, name_of, width_of, write
from sciexam.report.figures.palette import Palette
from sciexam.report.record import Figure as Known
from sciexam.stats import Estimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TOP = 4.0
MOST_LABEL = 130.0
NUMBER = 17.0  # of a row, before its name
MOST_CELL = 46.0
CELL = 20.0  # how high
LEAST_CELL = 13.0  # in which a number can be read
STRONGEST = 0.5  # how opaque a colour may be under a number, so that the number can be read
COLUMN_LABELS = 62.0  # points, where the columns have names of their own
COLUMN = 80.0  # that such a name may take along its slope
TURNED = 56.0  # to the right of the last column, above which its name ends


def share(one: Estimate) -> str:
    """A number of at most 1 in size with two digits, in as little room as it takes."""
    text = f"{one.value:.2f}"
    return text[:-1] if text.endswith("1.00") else text.replace("0.", ".", 1)


def _rate_shade(one: Estimate) -> float:
    return 2 * one.value - 1


def _excludes_half(one: Estimate) -> bool:
    return one.low > 0.5 or one.high < 0.5


@dataclass(frozen=True, slots=True)
class Matrix:
    """Cells by row and column; None is an empty one. `columns` empty: they are the rows again, by their numbers.

    `shade`: from -1 to 1, which colour and how much of it. `bold`: what is sure.
    """

    rows: Sequence[str]
    columns: Sequence[str]
    cells: Sequence[Sequence[Known | None]]
    number: Callable[[Estimate], str] = share
    shade: Callable[[Estimate], float] = _rate_shade
    bold: Callable[[Estimate], bool] = _excludes_half


def matrix_height(shown: Matrix) -> float:
    return TOP + _head(shown) + CELL * len(shown.rows) + 4


def _head(shown: Matrix) -> float:
    return COLUMN_LABELS if shown.columns else CELL - 4


def draw_matrix(figure: Figure, palette: Palette, shown: Matrix) -> None:
    """Draw it, as wide as its columns need."""
    indent = 0.0 if shown.columns else NUMBER
    left = indent + min(MOST_LABEL, max(map(width_of, shown.rows))) + 8
    columns = len(shown.columns or shown.rows)
    cell = min(MOST_CELL, (WIDTH - left - (TURNED if shown.columns else 0)) / columns)
    top = TOP + _head(shown)
    for place in range(columns):
        middle = left + (place + 0.5) * cell
        if shown.columns:
            turned = {"rotation": 40, "rotation_mode": "anchor", "va": "bottom", "size": SMALL}
            write(figure, middle - 3, top - 4, name_of(shown.columns[place], COLUMN, SMALL), palette.quiet, **turned)
        else:
            write(figure, middle, top - 8, str(place + 1), palette.quiet, size=SMALL, ha="center")
    for y, (label, row) in enumerate(zip(shown.rows, shown.cells, strict=True)):
        middle = top + (y + 0.5) * CELL
        write(figure, indent, middle, name_of(label, MOST_LABEL), palette.ink, size=TEXT)
        if not shown.columns:
            write(figure, indent - 5, middle, str(y + 1), palette.quiet, size=SMALL, ha="right")
        for x, one in enumerate(row):
            _cell(figure, palette, shown, one, (left + x * cell, middle - CELL / 2, cell))


def _cell(
    figure: Figure, palette: Palette, shown: Matrix, one: Known | None, corner: tuple[float, float, float]
) -> None:
    from matplotlib.patches import Rectangle

    left, top, width = corner
    height = figure.get_size_inches()[1] * 72
    if one is None:
        return
    colour, much = palette.faint, 1.0
    if isinstance(one, Estimate):
        shade = shown.shade(one)
        colour, much = palette.of(1 if shade > 0 else 0), STRONGEST * min(1.0, abs(shade))
    box = Rectangle(
        ((left + 0.75) / WIDTH, 1 - (top + CELL - 0.75) / height),
        (width - 1.5) / WIDTH,
        (CELL - 1.5) / height,
        transform=figure.transFigure,
        facecolor=colour,
        alpha=much,
        lw=0,
    )
    figure.add_artist(box)
    if width < LEAST_CELL:
        return
    said = shown.number(one) if isinstance(one, Estimate) else "n/a"
    bold = isinstance(one, Estimate) and shown.bold(one)
    how = {"size": min(SMALL, width / 2), "ha": "center", "weight": "bold" if bold else "normal"}
    write(figure, left + width / 2, top + CELL / 2, said, palette.ink, **how)
