"""Where things stand in a figure: axes and words by points from the top left corner, and names made fit to show."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import accumulate, takewhile
from math import ceil, floor, log10
from typing import TYPE_CHECKING, Any

from sciexam.report.figures.drawing import POINTS
from sciexam.report.plain_text import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ft2font import FT2Font

    from sciexam.report.figures.palette import Palette

TEXT = 10.5
SMALL = 9.0
ROOM = 142.0  # points that a name may take where nothing needs them more
ELLIPSIS = "…"
STAND_IN = 1.15  # how wide, as a share of the size, a letter is that matplotlib's own font lacks
LEAST = 0.1  # that a letter counts, so that no name of invisible ones is endless
EM = 1000  # points at which widths are measured


def name_of(text: str, room: float = ROOM, size: float = TEXT, *, bold: bool = False) -> str:
    """A name on one line with nothing invisible in it, at most `room` points wide.

    One that is wider loses its middle, as names differ at their ends; where there is no room, an ellipsis is left.
    """
    line = one_line(text)
    if width_of(line, size, bold=bold) <= room:
        return line
    room -= width_of(ELLIPSIS, size, bold=bold)
    end = _fitting(line[::-1], room / 3, size, bold)[::-1].lstrip()
    return f"{_fitting(line, room - width_of(end, size, bold=bold), size, bold).rstrip()}{ELLIPSIS}{end}"


def _fitting(line: str, room: float, size: float, bold: bool) -> str:
    """As many letters from the beginning as have room."""
    taken = accumulate(size * _width(letter, bold) for letter in line)
    return line[: sum(1 for _ in takewhile(lambda width: width <= room, taken))]


def width_of(text: str, size: float = TEXT, *, bold: bool = False) -> float:
    """How wide a text is in points in matplotlib's own font; the fonts of pages are rather narrower."""
    return size * sum(_width(letter, bold) for letter in text)


@lru_cache(4096)
def _width(letter: str, bold: bool) -> float:
    from matplotlib.ft2font import LoadFlags

    font = _font(bold)
    if not font.get_char_index(ord(letter)):
        return STAND_IN
    advance = font.load_char(ord(letter), LoadFlags.NO_HINTING).linearHoriAdvance / 2**16  # it is in 16.16 fixed point
    return max(LEAST, advance / EM)


@cache
def _font(bold: bool) -> FT2Font:
    from matplotlib import get_data_path
    from matplotlib.ft2font import FT2Font

    font = FT2Font(f"{get_data_path()}/fonts/ttf/DejaVuSans{'-Bold' if bold else ''}.ttf")
    font.set_size(EM, POINTS)
    return font


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
