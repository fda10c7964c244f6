"""A forest: one row an interval, its name on the left, its numbers on the right, all on one scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sciexam.report.figures.drawing import WIDTH
from sciexam.report.figures.frame import (
    SMALL,
    TEXT,
    axes_at,
    name_of,
    rate_limits,
    rate_ticks,
    scale,
    ticks_for,
    width_of,
    write,
)
from sciexam.report.figures.palette import Palette
from sciexam.report.record import Figure as Known
from sciexam.stats import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW = 18.0  # points from one row to the next
DETAIL = 11.0  # and as many more where rows have a second line, or a second interval
TOP = 5.0
BOTTOM = 35.0  # for the scale and what it is of
LINE = 12.0  # more where the ends of the scale have names
MOST_LABEL = 150.0
INDENT = 8.0  # of the rows below a heading
GAP = 10.0
APART = 0.19  # of a row: half of what is between its two intervals


@dataclass(frozen=True, slots=True)
class Row:
    """One row, in the colour of the contestant with the place `colour`, or in ink. A heading has no `estimate`.

    `other`: a second interval, drawn hollow below the first. `inside`: the row belongs to the heading above it.
    """

    label: str
    estimate: Known | None
    colour: int | None = None
    detail: str = ""
    other: Known | None = None
    inside: bool = False


@dataclass(frozen=True, slots=True)
class Scale:
    """What the rows are measured on. `middle`: where nothing is to be seen, dashed; `margin`: on both sides of it."""

    of: str
    limits: tuple[float, float]
    ticks: Sequence[float]
    labels: Sequence[str]
    middle: float | None = None
    margin: float | None = None
    ends: tuple[str, str] = ("", "")
    number: Callable[[Estimate], str] = str


def rate_scale(
    rows: Sequence[Row], of: str = "win rate", margin: float | None = None, ends: tuple[str, str] = ("", "")
) -> Scale:
    """From 0 to 1, or as much about one half as the rows need."""
    limits = rate_limits([*_reach(rows), 0.5 + (margin or 0.0)])
    return Scale(of, limits, *rate_ticks(limits), middle=0.5, margin=margin, ends=ends)


def free_scale(
    rows: Sequence[Row], of: str, middle: float | None = None, number: Callable[[Estimate], str] = str
) -> Scale:
    """As much as the rows and `middle` need, with round ticks."""
    reach = [*_reach(rows), *([] if middle is None else [middle])]
    return Scale(of, *ticks_for(reach), middle=middle, number=number)


def _reach(rows: Sequence[Row]) -> list[float]:
    shown = [one for row in rows for one in (row.estimate, row.other) if isinstance(one, Estimate)]
    return [limit for one in shown for limit in (one.low, one.high)]


def height_of(rows: Sequence[Row], measured: Scale) -> float:
    """How high a forest of these rows is, in points."""
    return TOP + len(rows) * _step(rows) + BOTTOM + (LINE if any(measured.ends) else 0.0)


def _step(rows: Sequence[Row]) -> float:
    return ROW + (DETAIL if any(row.detail or row.other is not None for row in rows) else 0.0)


def draw_rows(figure: Figure, palette: Palette, rows: Sequence[Row], measured: Scale) -> None:
    """Draw the forest from the top of the figure down."""
    step = _step(rows)
    left = min(MOST_LABEL, max(_label_width(row) for row in rows if row.estimate is not None)) + GAP
    numbers = [tuple(_number(one, measured) for one in _shown(row)) for row in rows]
    right = max(width_of(text, SMALL) for texts in numbers for text in texts) + GAP
    axes = axes_at(figure, left, TOP, WIDTH - left - right, len(rows) * step)
    axes.set_xlim(*measured.limits)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    _background(axes, palette, measured, rows)
    for place, row in enumerate(rows):
        middle = TOP + (place + 0.5) * step
        _label(figure, palette, row, middle)
        colour = palette.ink if row.colour is None else palette.of(row.colour)
        shifts = (0.0,) if row.other is None else (-APART, APART)
        for hollow, (one, text, shift) in enumerate(zip(_shown(row), numbers[place], shifts, strict=False)):
            if isinstance(one, Estimate):
                _interval(axes, palette, one, place + shift, colour, bool(hollow))
            write(figure, WIDTH, middle + shift * step, text, palette.ink, size=SMALL, ha="right")
    _foot(figure, palette, measured, (left, WIDTH - right), TOP + len(rows) * step)


def _shown(row: Row) -> tuple[Known, ...]:
    return tuple(one for one in (row.estimate, row.other) if one is not None)


def _interval(axes: Axes, palette: Palette, one: Estimate, y: float, colour: str, hollow: bool) -> None:
    line: dict[str, Any] = {"color": colour, "lw": 2.2, "solid_capstyle": "round", "clip_on": False}
    axes.plot([one.low, one.high], [y, y], zorder=3, **line)
    look = {"mfc": palette.card, "mec": colour, "mew": 1.6} if hollow else {"mfc": colour, "mec": palette.card}
    axes.plot([one.value], [y], "o", ms=6, zorder=4, clip_on=False, **look)


def _number(one: Known, measured: Scale) -> str:
    return measured.number(one) if isinstance(one, Estimate) else "n/a"


def _label_width(row: Row) -> float:
    return max(width_of(row.label), width_of(row.detail, SMALL)) + (INDENT if row.inside else 0.0)


def _label(figure: Figure, palette: Palette, row: Row, middle: float) -> None:
    """What a row is called: before its interval, or, as a heading, over the whole width."""
    if row.estimate is None:
        write(figure, 0, middle, name_of(row.label, WIDTH, bold=True), palette.ink, weight="bold")
        return
    left = INDENT if row.inside else 0.0
    label = name_of(row.label, MOST_LABEL - left)
    if not row.detail:
        write(figure, left, middle, label, palette.ink)
        return
    write(figure, left, middle - TEXT / 2 - 1, label, palette.ink)
    detail = name_of(row.detail, MOST_LABEL - left, SMALL)
    write(figure, left, middle + SMALL / 2 + 2, detail, palette.quiet, size=SMALL)


def _background(axes: Axes, palette: Palette, measured: Scale, rows: Sequence[Row]) -> None:
    """What is behind the intervals; headings are left free of it."""
    from matplotlib.patches import Rectangle

    ticks, labels = _readable(measured, axes.get_position().width * WIDTH)
    scale(axes, palette, ticks, labels)
    spans = [(place - 0.5, place + 0.5) for place, row in enumerate(rows) if row.estimate is not None]
    tops, bottoms = zip(*_merged(spans), strict=True)
    for tick in ticks:
        axes.vlines([tick] * len(tops), tops, bottoms, color=palette.line, lw=0.5, zorder=1)
    if measured.middle is None:
        return
    if measured.margin is not None:
        for top, bottom in zip(tops, bottoms, strict=True):
            corner, width = (measured.middle - measured.margin, top), 2 * measured.margin
            look: dict[str, Any] = {"facecolor": palette.tie, "alpha": 0.25, "lw": 0, "zorder": 0}
            axes.add_patch(Rectangle(corner, width, bottom - top, **look))
    middle = [measured.middle] * len(tops)
    axes.vlines(middle, tops, bottoms, color=palette.ink, lw=0.9, ls=(0, (3, 2.5)), zorder=2)


def _readable(measured: Scale, width: float) -> tuple[Sequence[float], Sequence[str]]:
    """The ticks and what they are called: all, or every second one and so on, where `width` points are too few."""
    ticks, labels = measured.ticks, measured.labels
    low, high = measured.limits
    while len(ticks) > 1:
        apart = (ticks[1] - ticks[0]) / (high - low) * width
        if apart >= max(width_of(label, SMALL) for label in labels) + 4:
            break
        ticks, labels = ticks[::2], labels[::2]
    return ticks, labels


def _merged(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Spans in their order, those that touch as one."""
    found: list[tuple[float, float]] = []
    for top, bottom in spans:
        begin = found.pop()[0] if found and found[-1][1] == top else top
        found.append((begin, bottom))
    return found


def _foot(figure: Figure, palette: Palette, measured: Scale, sides: tuple[float, float], top: float) -> None:
    """Whom the ends of the scale favour, below its ticks, and what it is of.

    An end that is too wide for its half of the scale goes on beyond it, towards the edge of the figure.
    """
    left, right = sides
    below, middle = top + 27, (left + right) / 2
    if any(measured.ends):
        arrow = width_of("← ", SMALL)
        low = name_of(measured.ends[0], middle - GAP / 2 - arrow, SMALL)
        high = name_of(measured.ends[1], WIDTH - middle - GAP / 2 - arrow, SMALL)
        begin = min(left, middle - GAP / 2 - arrow - width_of(low, SMALL))
        end = max(right, middle + GAP / 2 + arrow + width_of(high, SMALL))
        write(figure, begin, below, f"← {low}", palette.quiet, size=SMALL)
        write(figure, end, below, f"{high} →", palette.quiet, size=SMALL, ha="right")
        below += LINE
    write(figure, middle, below, measured.of, palette.quiet, size=SMALL, ha="center")
