"""What a comparison that was watched knew, prompt by prompt, until it was decided."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sciexam.report.figures.contests import MOST, first_of, heading, in_full, percent, places
from sciexam.report.figures.drawing import Drawing
from sciexam.report.figures.frame import SMALL, name_of, rate_limits, rate_ticks, scale, ticks_for
from sciexam.report.figures.palette import Palette
from sciexam.report.figures.panels import Panel, draw_panels, height_of
from sciexam.report.figures.words import sentences
from sciexam.report.record import Pair, Report, Stop
from sciexam.stats import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT = 130.0
MOST_WORDS = 12  # looks that are read out


def sequences(report: Report) -> Iterator[Drawing]:
    """The first comparisons that were watched."""
    watched = [(pair, pair.stop) for pair in report.pairs if pair.stop is not None and pair.stop.path]
    shown = watched[:MOST]
    if not shown:
        return
    panels = [_panel(report, *one) for one in shown]
    pair = shown[0][0]
    level = pair.win_rate.level if isinstance(pair.win_rate, Estimate) else report.level
    margin = f" The darker band about one half is the margin of {report.margin:g}." if report.margin else ""
    yield Drawing(
        name="sequence",
        title="Win rate while the prompts were read",
        caption=(
            f"The win rate so far and its {percent(round(level, 4))} confidence sequence, which holds at every look "
            "at once, over the prompts in their drawn order. It is decided where the interval leaves the dashed line, "
            f"one half{', or lies within the margin' if report.margin else ''}.{margin}"
            f"{first_of(len(shown), len(watched))}"
        ),
        words=sentences(f"{in_full(pair)}: {_in_words(pair, stop)}" for pair, stop in shown),
        height=height_of(panels, HEIGHT),
        draw=lambda figure, palette: draw_panels(figure, palette, panels, HEIGHT),
    )


def _in_words(pair: Pair, stop: Stop) -> str:
    places = {round(place * (len(stop.path) - 1) / (MOST_WORDS - 1)) for place in range(MOST_WORDS)}
    looks = (stop.path[place] for place in sorted(places))
    said = "; ".join(f"{one.prompts} prompts {one.value:.2f}, from {one.low:.2f} to {one.high:.2f}" for one in looks)
    return f"after {said}; {pair.conclusion} after {stop.prompts} of {pair.planned} prompts"


def _panel(report: Report, pair: Pair, stop: Stop) -> Panel:
    def draw(axes: Axes, palette: Palette) -> None:
        colour = palette.of(places(report.contestants).get(pair.b, 0))
        prompts = [one.prompts for one in stop.path]
        settled = stop.path[len(stop.path) // 10 :]  # the first looks know nothing and would set the scale
        limits = rate_limits([0.5 + (report.margin or 0.0), *(x for one in settled for x in (one.low, one.high))])
        (_, right), ticks, labels = ticks_for([0, prompts[-1]])
        axes.set_xlim(0, right)
        axes.set_ylim(*limits)
        if report.margin is not None:
            axes.axhspan(0.5 - report.margin, 0.5 + report.margin, facecolor=palette.tie, alpha=0.25, lw=0, zorder=0)
        axes.axhline(0.5, color=palette.ink, lw=0.9, ls=(0, (3, 2.5)), zorder=1)
        low, high = [one.low for one in stop.path], [one.high for one in stop.path]
        axes.fill_between(prompts, low, high, step="post", facecolor=colour, alpha=0.22, lw=0, zorder=2)
        for edge in (low, high):
            axes.step(prompts, edge, where="post", color=colour, lw=0.9, zorder=3)
        axes.plot(prompts, [one.value for one in stop.path], color=colour, lw=1.8, zorder=4)
        last = stop.path[-1]
        axes.plot([last.prompts], [last.value], "o", ms=6, mfc=colour, mec=palette.card, zorder=5, clip_on=False)
        axes.annotate(
            f"{pair.conclusion} after {stop.prompts}",
            (last.prompts, high[-1]),
            (-2, 4),
            textcoords="offset points",
            ha="right",
            color=palette.ink,
            size=SMALL,
        )
        scale(axes, palette, ticks, labels)
        scale(axes, palette, *rate_ticks(limits), side="left")

    return Panel(heading(report, pair), draw, "prompts read", beside=f"win rate of {name_of(pair.b)} so far")
