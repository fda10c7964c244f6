"""Intervals and counts as small SVG elements. They hold numbers only, fit any width, and need no style of their own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sciexam.report.record import Figure
from sciexam.stats import Estimate

if TYPE_CHECKING:
    from markupsafe import Markup

EDGE = 0.04  # of an axis, free on either side of the outermost interval


@dataclass(frozen=True, slots=True)
class Axis:
    """From `low` to `high`, with a mark at `mark`."""

    low: float
    high: float
    mark: float

    def place(self, value: float) -> str:
        """Where `value` stands, as a percentage of the width; what lies outside stands at the edge."""
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return f"{100 * min(1.0, max(0.0, share)):.2f}%"


RATES = Axis(0.0, 1.0, 0.5)


def axis_of(figures: Iterable[Figure], mark: float) -> Axis:
    """An axis on which all intervals have room, and the mark."""
    known = [figure for figure in figures if isinstance(figure, Estimate)]
    low = min([mark, *(figure.low for figure in known)])
    high = max([mark, *(figure.high for figure in known)])
    edge = EDGE * (high - low) or 1.0
    return Axis(low - edge, high + edge, mark)


def interval(figure: Figure, axis: Axis = RATES) -> Markup | str:
    """The interval as a line with a point on its value, and a dashed mark; nothing where there is none.

    It is hidden from screen readers: the number stands beside it.
    """
    from markupsafe import Markup

    if not isinstance(figure, Estimate):
        return ""
    low, value, high, mark = map(axis.place, (figure.low, figure.value, figure.high, axis.mark))
    parts = (
        '<line class="track" x1="0%" x2="100%" y1="6" y2="6"/>',
        f'<line class="half" x1="{mark}" x2="{mark}" y1="0" y2="12"/>',
        f'<line class="reach" x1="{low}" x2="{high}" y1="6" y2="6"/>',
        f'<circle class="point" cx="{value}" cy="6" r="3.5"/>',
    )
    return Markup(f'<svg class="interval" aria-hidden="true">{"".join(parts)}</svg>')  # noqa: S704


def tally(losses: int, ties: int, wins: int) -> Markup | str:
    """Losses, ties and wins as one bar from left to right; the counts stand below it in words."""
    from markupsafe import Markup

    whole = losses + ties + wins
    parts, begin = [], 0.0
    for count, kind in ((losses, "lost"), (ties, "tied"), (wins, "won")):
        if count:
            width = 100 * count / whole
            parts.append(f'<rect class="{kind}" x="{begin:.3f}%" width="{width:.3f}%" height="100%"/>')
            begin += width
    return Markup(f'<svg class="tally" aria-hidden="true">{"".join(parts)}</svg>') if parts else ""  # noqa: S704
