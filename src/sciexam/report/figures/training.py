"""What a trainer logged and looks have shown, against steps: one figure a model; then what each stage gained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from sciexam.report.figures.contests import uncorrected
from sciexam.report.figures.drawing import Drawing
from sciexam.report.figures.frame import scale, ticks_for
from sciexam.report.figures.gains import gains
from sciexam.report.figures.palette import Palette
from sciexam.report.figures.panels import Panel, draw_panels, height_of
from sciexam.report.figures.words import said, sentences
from sciexam.report.training.training import Artifact, Curve, Training
from sciexam.stats import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT = 84.0
LEFT = 44.0
UNITS = {"KL": "KL from the reference, nats", "accuracy": "share of pairs that it ranks rightly"}


def training(found: Training) -> Iterator[Drawing]:
    """The curves of each model that has any, in the order of training, and what the stages gained."""
    names = [found.artifacts[0].parent or "", *(one.model for one in found.artifacts)] if found.artifacts else []
    yield from gains(found.lineage, names, (found.level, uncorrected(len(found.lineage))))
    for number, one in enumerate(found.artifacts, 1):
        looks = list(_looks(one, number))
        alone = len(one.curves) + len(looks) == 1
        if panels := [*(_curve(one, number, curve, alone) for curve in one.curves), *looks]:
            yield _drawing(one, number, panels)


def _drawing(one: Artifact, number: int, panels: list[Panel]) -> Drawing:
    looked = (
        " Points: its win rate against its parent on the dev prompts, with corrected intervals." if one.looks else ""
    )
    return Drawing(
        name=f"training-{number}",
        title=f"Training of {one.model}",
        caption=f"What the trainer of the stage {one.stage} logged, against its steps.{looked}",
        words=sentences((*map(_in_words, one.curves), *_looks_in_words(one))),
        height=height_of(panels, HEIGHT),
        draw=lambda figure, palette: draw_panels(figure, palette, panels, HEIGHT, LEFT),
    )


def _in_words(curve: Curve) -> str:
    (first, begun), (last, ended) = curve.points[0], curve.points[-1]
    if len(curve.points) == 1:
        return f"{curve.name}: {begun:.4g} after step {first}"
    values = [value for _, value in curve.points]
    ranged = f"between {min(values):.4g} and {max(values):.4g}"
    return f"{curve.name}: {begun:.4g} after step {first}, {ended:.4g} after step {last}, {ranged}"


def _looks_in_words(one: Artifact) -> Iterator[str]:
    yield from (f"win rate after step {look.step}: {said(look.win_rate)}" for look in one.looks)


def _curve(one: Artifact, number: int, curve: Curve, alone: bool) -> Panel:
    """`alone`: it has no heading that says what it is."""

    def draw(axes: Axes, palette: Palette) -> None:
        steps, values = zip(*curve.points, strict=True)
        _scales(axes, palette, one.steps, values)
        marker = "o" if len(steps) < 12 else ""
        axes.plot(steps, values, marker=marker, color=palette.of(number), lw=1.6, ms=4, mec=palette.card, zorder=3)

    return Panel(curve.name, draw, "step", beside=UNITS.get(curve.name, curve.name if alone else ""))


def _looks(one: Artifact, number: int) -> Iterator[Panel]:
    known = [(look.step, look.win_rate) for look in one.looks if isinstance(look.win_rate, Estimate)]
    if not known:
        return

    def draw(axes: Axes, palette: Palette) -> None:
        _scales(axes, palette, one.steps, [0.5, *(edge for _, rate in known for edge in (rate.low, rate.high))])
        axes.axhline(0.5, color=palette.ink, lw=0.9, ls=(0, (3, 2.5)), zorder=1)
        for step, rate in known:
            axes.plot([step, step], [rate.low, rate.high], color=palette.of(number), lw=1.4, zorder=2)
            axes.plot([step], [rate.value], "o", ms=5, mfc=palette.of(number), mec=palette.card, zorder=3)

    yield Panel("win rate", draw, "step", beside="win rate against its parent, on the dev prompts")


def _scales(axes: Axes, palette: Palette, steps: int, values: Sequence[float]) -> None:
    (low, high), ticks, names = ticks_for(values, most=4)
    (_, right), places, _ = ticks_for([0, max(1, steps)])
    whole = [place for place in places if place == int(place)]
    axes.set_xlim(0, right)
    axes.set_ylim(low, high)
    scale(axes, palette, whole, [f"{int(place):,}" for place in whole])
    scale(axes, palette, ticks, names, side="left")
