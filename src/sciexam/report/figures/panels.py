"""Several plots of one kind, one below the other, each under the name of its comparison."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sciexam.report.figures.drawing import WIDTH
from sciexam.report.figures.frame import SMALL, TEXT, axes_at, write
from sciexam.report.figures.palette import Palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TOP = 8.0
HEADING = 20.0
FOOT = 37.0  # for the scale and what it is of
BETWEEN = 10.0
LEFT = 34.0
RIGHT = 8.0


@dataclass(frozen=True, slots=True)
class Panel:
    """One plot. `below`: what its horizontal scale is of; `ends`: what its left and its right end mean."""

    heading: str
    draw: Callable[[Axes, Palette], None]
    below: str
    ends: tuple[str, str] = ("", "")
    beside: str = ""  # what its vertical scale is of, written above it


def height_of(panels: Sequence[Panel], height: float) -> float:
    """How high all of them are, each plot having `height` points."""
    return TOP + sum(_head(panels, one) + height + FOOT + BETWEEN for one in panels) - BETWEEN


def _head(panels: Sequence[Panel], one: Panel) -> float:
    return (HEADING if len(panels) > 1 else 0.0) + (SMALL + 6 if one.beside else 0.0)


def draw_panels(figure: Figure, palette: Palette, panels: Sequence[Panel], height: float, left: float = LEFT) -> None:
    """Draw them from the top down."""
    top = TOP
    for one in panels:
        if len(panels) > 1:
            write(figure, 0, top + TEXT / 2, one.heading, palette.ink, weight="bold")
        top += _head(panels, one)
        if one.beside:
            write(figure, 0, top - SMALL - 1, one.beside, palette.quiet, size=SMALL)
        one.draw(axes_at(figure, left, top, WIDTH - left - RIGHT, height), palette)
        top += height
        low, high = one.ends
        write(figure, (left + WIDTH - RIGHT) / 2, top + 27, one.below, palette.quiet, size=SMALL, ha="center")
        if low:
            write(figure, left, top + 27, f"← {low}", palette.quiet, size=SMALL)
        if high:
            write(figure, WIDTH - RIGHT, top + 27, f"{high} →", palette.quiet, size=SMALL, ha="right")
        top += FOOT + BETWEEN
