"""Where things stand in a figure: axes and words by points from the top left corner, and names made fit to show."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from math import ceil, floor, log10
from typing import TYPE_CHECKING, Any

from sciexam.report.figures.drawing import POINTS
from sciexam.report.plain_text import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from sciexam.report.figures.palette import Palette

TEXT = 10.5
SMALL = 9.0
LONGEST = 22  # characters of a name
# How wide letters are in matplotlib's own font, as shares of its size; the fonts of pages are rather narrower.
NARROW, NORMAL, CAPITAL, BROAD, SQUARE = 0.36, 0.61, 0.7, 0.95, 1.1


def name_of(text: str, longest: int = LONGEST) -> str:
    """A name on one line with nothing invisible in it; a long one without its middle, as names differ at their ends."""
    line = one_line(text)
    if len(line) <= longest:
        return line
    end = longest // 3
    return f"{line[: longest - end - 1].rstrip()}…{line[-end:].lstrip()}"


def width_of(text: str, size: float = TEXT) -> float:
    """About how wide a text is, in points; rather too much than too little."""
    return size * sum(map(_width, text))


def _width(letter: str) -> float:
    if letter in "iljtfrI.,:;|'`!()[]/ -":
        return NARROW
    if letter in "mwMW@%…→←●○–":
        return BROAD
    if unicodedata.east_asian_width(letter) in "WF":
        return SQUARE
    return CAPITAL if letter.isupper() else NORMAL


def axes_at(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes without a frame, its corner `left`, `top` points from the figure's."""
    across, down = (size * POINTS for size in figure.get_size_inches())
    axes = figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_facecolor("none")
    axes.set_xticks([])
    axes.set_yticks([])
    return axes


def write(figure: Figure, left: float, top: float, text: str, colour: str, **how: Any) -> None:
    """A line of text, `top` being that of its middle unless `va` says otherwise."""
    across, down = (size * POINTS for size in figure.get_size_inches())
    how = {"size": TEXT, "ha": "left", "va": "center", **how}
    figure.text(left / across, 1 - top / down, text, color=colour, **how)


def scale(axes: Axes, palette: Palette, ticks: Sequence[float], labels: Sequence[str], side: str = "bottom") -> None:
    """The line of an axis at the bottom or on the left, with its ticks."""
    line = axes.spines[side]
    line.set_visible(True)
    line.set_color(palette.line)
    on_x = side == "bottom"
    (axes.set_xticks if on_x else axes.set_yticks)(ticks, labels)
    look = {"color": palette.line, "labelcolor": palette.quiet, "labelsize": SMALL, "length": 3, "pad": 3}
    axes.tick_params("x" if on_x else "y", **look)


def rate_limits(values: Sequence[float]) -> tuple[float, float]:
    """The part of [0, 1] about one half that holds all values: as far from it on both sides, in steps of .1."""
    furthest = max((abs(value - 0.5) for value in values), default=0.5)
    reach = next((step / 10 for step in range(1, 5) if furthest <= step / 10), 0.5)
    return 0.5 - reach, 0.5 + reach


def rate_ticks(limits: tuple[float, float]) -> tuple[list[float], list[str]]:
    """Five ticks from one limit to the other, the third being one half."""
    low, high = limits
    ticks = [low + (high - low) * place / 4 for place in range(5)]
    return ticks, [f"{tick:.3f}".rstrip("0").rstrip(".") for tick in ticks]


def ticks_for(values: Sequence[float], most: int = 5) -> tuple[tuple[float, float], list[float], list[str]]:
    """Limits that hold all values, `most` round ticks or fewer between them, and what the ticks are called."""
    low, high = min(values), max(values)
    span = (high - low) or abs(low) or 1.0
    low, high = low - 0.04 * span, high + 0.04 * span
    rough = (high - low) / most
    size = 10.0 ** floor(log10(rough))
    step = next(size * times for times in (1, 2, 2.5, 5, 10) if size * times >= rough)
    first = ceil(low / step - 1e-9)
    ticks = [step * place for place in range(first, floor(high / step + 1e-9) + 1)]
    digits = max(0, -floor(log10(step) + 1e-9) + (1 if abs(step / 10.0 ** floor(log10(step)) - 2.5) < 1e-6 else 0))
    return (low, high), ticks, [f"{tick + 0.0:,.{digits}f}" for tick in ticks]
