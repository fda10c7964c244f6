"""The win rate by how much longer the answers are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import floor, log10
from typing import TYPE_CHECKING

from sciexam.report.figures.contests import MOST, first_of, heading, in_full, percent, places
from sciexam.report.figures.drawing import Drawing
from sciexam.report.figures.frame import SMALL, name_of, rate_limits, rate_ticks, scale, ticks_for
from sciexam.report.figures.palette import Palette
from sciexam.report.figures.panels import Panel, draw_panels, height_of
from sciexam.report.figures.words import said, sentences
from sciexam.report.record import Length, Pair, Report
from sciexam.stats import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT = 120.0
END = 66.0  # points of the name at either end of the scale
FAR = 4  # times the differences that nearly all prompts have: one as large would press these into a clump


def lengths(report: Report) -> Iterator[Drawing]:
    """The first comparisons that have enough prompts to sort by length."""
    sorted_in = [(pair, pair.length) for pair in report.pairs if pair.length is not None and pair.length.bins]
    shown = sorted_in[:MOST]
    if not shown:
        return
    panels = [_panel(report, *one) for one in shown]
    yield Drawing(
        name="length",
        title="Win rate by difference in length",
        caption=(
            "Each point is the win rate over the prompts whose answers differ in length by about as much, with its "
            f"{percent(report.level)} interval; the thin line says from where to where they differ. A rise to the "
            "right says that the longer answer wins. The diamond is the win rate at equal length, by the fit over all "
            f"prompts.{_bent(shown)}{first_of(len(shown), len(sorted_in))}"
        ),
        words=sentences(f"{in_full(pair)}: {_in_words(length)}" for pair, length in shown),
        height=height_of(panels, HEIGHT),
        draw=lambda figure, palette: draw_panels(figure, palette, panels, HEIGHT),
    )


def _in_words(length: Length) -> str:
    bins = (
        f"{one.low:+.0f} to {one.high:+.0f} words, {one.difference:+.0f} on average: {said(one.win_rate)}, over "
        f"{one.prompts} prompts"
        for one in length.bins
    )
    return "; ".join([*bins, f"at equal length: {said(length.controlled)}"])


def _bent(shown: Sequence[tuple[Pair, Length]]) -> str:
    """Which scales are not even all the way, and from where on."""
    found = [(f" of {in_full(pair)}" * (len(shown) > 1), even) for pair, length in shown if (even := _even(length))]
    return "".join(f" Beyond {even:,} words (dotted) the scale{of} is logarithmic." for of, even in found)


def _even(length: Length) -> int | None:
    """Up to how many words the scale is even where a few prompts differ by far more than all others; None elsewhere.

    Most prompts differ by no more than bins part at, nor than the nearer of the outermost bins does on average.
    """
    first, *_, last = length.bins
    inner = [edge for one in length.bins for edge in (one.low, one.high)][1:-1]
    most = max(*map(abs, inner), min(abs(first.difference), abs(last.difference)))
    if max(abs(first.low), abs(last.high)) <= FAR * most:
        return None
    size: int = 10 ** floor(log10(max(most, 1)))
    return next(size * times for times in (1, 2, 5, 10) if size * times >= most)


def _places(length: Length, even: int) -> tuple[tuple[float, float], list[float], list[str]]:
    """Limits that hold every prompt, and ticks of a scale that is logarithmic beyond `even` words."""
    low, high = min(0.0, length.bins[0].low), max(0.0, length.bins[-1].high)
    furthest = max(-low, high)
    steps = [0.0, even / 2, *(even * 10.0**power for power in range(len(str(int(furthest)))))]
    if furthest < 10 * even:
        steps.append(even * 4.0)
    ticks = sorted({side * step for step in steps for side in (-1, 1)})
    reach = (low or -even / 10) * 1.1, (high or even / 10) * 1.1
    shown = [tick + 0.0 for tick in ticks if reach[0] <= tick <= reach[1]]
    return reach, shown, [f"{tick:,g}" for tick in shown]


def _panel(report: Report, pair: Pair, length: Length) -> Panel:
    def draw(axes: Axes, palette: Palette) -> None:
        colour = palette.of(places(report.contestants).get(pair.b, 0))
        rates = [one.win_rate for one in length.bins] + [length.controlled]
        known = [one for one in rates if isinstance(one, Estimate)]
        limits = rate_limits([limit for one in known for limit in (one.low, one.high)])
        if bend := _even(length):
            axes.set_xscale("symlog", linthresh=bend)
            axes.minorticks_off()
            for side in (-bend, bend):
                axes.axvline(side, color=palette.quiet, lw=0.8, ls=(0, (1, 2)), zorder=0)
            reach, ticks, labels = _places(length, bend)
        else:
            reach, ticks, labels = ticks_for([0.0, *(edge for one in length.bins for edge in (one.low, one.high))])
        axes.set_xlim(*reach)
        axes.set_ylim(limits[0] - 0.02, limits[1] + 0.02)
        axes.axhline(0.5, color=palette.ink, lw=0.9, ls=(0, (3, 2.5)), zorder=1)
        axes.axvline(0, color=palette.line, lw=0.8, zorder=0)
        for one in length.bins:
            rate = one.win_rate
            if isinstance(rate, Estimate):
                axes.plot([one.low, one.high], [rate.value] * 2, color=colour, lw=0.8, alpha=0.6, zorder=2)
                axes.plot([one.difference] * 2, [rate.low, rate.high], color=colour, lw=2.2, solid_capstyle="round")
                axes.plot([one.difference], [rate.value], "o", ms=6, mfc=colour, mec=palette.card, zorder=4)
        if isinstance(length.controlled, Estimate):
            even = length.controlled
            axes.plot([0, 0], [even.low, even.high], color=palette.ink, lw=1.2, zorder=3)
            axes.plot([0], [even.value], "D", ms=5, mfc=palette.card, mec=palette.ink, mew=1.3, zorder=5)
        scale(axes, palette, ticks, labels)
        scale(axes, palette, *rate_ticks(limits), side="left")

    ends = (f"{name_of(pair.a, END, SMALL)} is longer", f"{name_of(pair.b, END, SMALL)} is longer")
    return Panel(heading(report, pair), draw, "words more", ends, f"win rate of {name_of(pair.b)}")
