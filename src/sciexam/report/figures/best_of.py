"""What choosing the best of n answers by its reward brings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import log2
from typing import TYPE_CHECKING, Any

from sciexam.report.figures.contests import percent, places
from sciexam.report.figures.drawing import Drawing
from sciexam.report.figures.frame import SMALL, name_of, scale, ticks_for, width_of
from sciexam.report.figures.palette import Palette
from sciexam.report.figures.panels import Panel, draw_panels, height_of
from sciexam.report.figures.words import said, sentences
from sciexam.report.marking.rewards import BestOf, Rewards
from sciexam.stats import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT = 170.0
NAME = 88.0  # points
APART = 11.0  # points between the names at the ends of curves


def best_of(found: Rewards) -> Iterator[Drawing]:
    """One figure for each reward model."""
    models = tuple(dict.fromkeys(one.judge for one in found.best_of_n))
    for number, judge in enumerate(models, 1):
        curves = [one for one in found.best_of_n if one.judge == judge and len(_points(one)) > 1]
        if curves:
            yield _drawing(found, judge, curves, "best-of-n" if len(models) == 1 else f"best-of-n-{number}")


def _drawing(found: Rewards, judge: str, curves: Sequence[BestOf], name: str) -> Drawing:
    below = "n answers, of which the one with the highest reward is taken"
    panel = Panel("", lambda axes, palette: _draw(axes, palette, found, curves), below, beside="mean reward")
    return Drawing(
        name=name,
        title=f"Best of n by {judge}",
        caption=(
            "The mean reward of the best of n answers to a prompt, over all choices of n among those that were given, "
            f"with its {percent(found.level)} interval over prompts. The reward model that chooses is the one that is "
            "shown, so a rise need not be a better answer."
        ),
        words=sentences(
            f"{one.contestant}, over {one.prompts} prompts: "
            + "; ".join(f"best of {point.n} {said(point.value)}" for point in one.curve)
            for one in curves
        ),
        height=height_of([panel], HEIGHT),
        draw=lambda figure, palette: draw_panels(figure, palette, [panel], HEIGHT),
    )


def _points(one: BestOf) -> list[tuple[int, Estimate]]:
    return [(point.n, point.value) for point in one.curve if isinstance(point.value, Estimate)]


def _draw(axes: Axes, palette: Palette, found: Rewards, curves: Sequence[BestOf]) -> None:
    place = places(found.contestants)
    points = {one.contestant: _points(one) for one in curves}
    limits, ticks, names = ticks_for(
        [edge for mine in points.values() for _, rate in mine for edge in (rate.low, rate.high)]
    )
    most = max(n for mine in points.values() for n, _ in mine)
    room = max(width_of(name_of(name, NAME, SMALL), SMALL) for name in points) / 318
    axes.set_xlim(-0.1, log2(most) * (1 + room / (1 - room)) + 0.15)
    axes.set_ylim(*limits)
    for name, mine in points.items():
        colour, x = palette.of(place.get(name, 0)), [log2(n) for n, _ in mine]
        low, high = [rate.low for _, rate in mine], [rate.high for _, rate in mine]
        axes.fill_between(x, low, high, facecolor=colour, alpha=0.18, lw=0, zorder=2)
        axes.plot(x, [rate.value for _, rate in mine], "o-", color=colour, lw=1.6, ms=4.5, mec=palette.card, zorder=3)
    _names(axes, palette, {name: mine[-1][1].value for name, mine in points.items()}, log2(most))
    counts = [n for n in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512) if n <= most]
    scale(axes, palette, [log2(n) for n in counts], [str(n) for n in counts])
    scale(axes, palette, ticks, names, "left")


def _names(axes: Axes, palette: Palette, ends: dict[str, float], right: float) -> None:
    """Each name at the end of its curve, or as near above the next lower one as it can be read."""
    low, high = axes.get_ylim()
    step, before = APART * (high - low) / HEIGHT, float("-inf")
    for name, value in sorted(ends.items(), key=lambda one: one[1]):
        before = max(value, before + step)
        how: dict[str, Any] = {"textcoords": "offset points", "va": "center", "color": palette.ink, "size": SMALL}
        axes.annotate(name_of(name, NAME, SMALL), (right, before), (7, 0), **how)
