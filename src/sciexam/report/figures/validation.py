"""A judge against people: how often it takes their side, and what its probabilities are worth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sciexam.report.figures.contests import percent
from sciexam.report.figures.drawing import Drawing
from sciexam.report.figures.frame import name_of, scale
from sciexam.report.figures.palette import Palette
from sciexam.report.figures.panels import Panel, draw_panels
from sciexam.report.figures.panels import height_of as panels_height
from sciexam.report.figures.rows import Row, draw_rows, free_scale, height_of
from sciexam.report.figures.words import said, sentences
from sciexam.report.validating.validation import Validation
from sciexam.stats import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT = 230.0


def validation(found: Validation) -> Iterator[Drawing]:
    """Accuracy beside people and baselines; calibration where the judge gives probabilities."""
    shown = [one for one in found.against if isinstance(one.accuracy_decided, Estimate)]
    if shown:
        rows = [
            Row(name_of(one.who), one.accuracy_decided, 1 if one.kind in ("judge", "adjudicated") else None)
            for one in shown
        ]
        measured = free_scale(rows, "agreement with people", 0.5)
        yield Drawing(
            name="against-people",
            title=f"{found.judge} against people",
            caption=(
                "The share of decided comparisons on which each takes the side of the annotators' majority (an "
                f"annotator: that of the others), with its {percent(found.level)} interval. The dashed line is a coin."
                + (" As adjudicated: with that in the place of the majority." if found.adjudicated else "")
            ),
            words=sentences(f"{one.who}: {said(one.accuracy_decided)}, on {one.decided} comparisons" for one in shown),
            height=height_of(rows, measured),
            draw=lambda figure, palette: draw_rows(figure, palette, rows, measured),
        )
    if found.calibration.bins:
        yield _calibration(found)


def _calibration(found: Validation) -> Drawing:
    panel = Panel(
        "",
        lambda axes, palette: _draw(found, axes, palette),
        "probability that the judge gives",
        beside="share that people prefer",
    )
    return Drawing(
        name="calibration",
        title=f"Calibration of {found.judge}",
        caption=(
            "How often people prefer an answer, by the probability that the judge gives it; each point holds about as "
            f"many comparisons and has its {percent(found.level)} interval. On the dashed line the two are the same."
        ),
        words=sentences(
            [
                *(
                    f"Said {one.predicted:.2f} ({one.low:.2f} to {one.high:.2f}): happened {said(one.observed)}, on "
                    f"{one.items} comparisons"
                    for one in found.calibration.bins
                ),
                f"Expected calibration error: {said(found.calibration.error)}",
            ]
        ),
        height=panels_height([panel], HEIGHT),
        draw=lambda figure, palette: draw_panels(figure, palette, [panel], HEIGHT),
    )


def _draw(found: Validation, axes: Axes, palette: Palette) -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.plot([0, 1], [0, 1], color=palette.ink, lw=0.9, ls=(0, (3, 2.5)), zorder=1)
    colour = palette.of(1)
    for one in found.calibration.bins:
        if isinstance(one.observed, Estimate):
            x, rate = one.predicted, one.observed
            line: dict[str, Any] = {"color": colour, "lw": 2.2, "solid_capstyle": "round", "clip_on": False}
            axes.plot([x, x], [rate.low, rate.high], zorder=2, **line)
            axes.plot([x], [rate.value], "o", ms=6, mfc=colour, mec=palette.card, zorder=3, clip_on=False)
    ticks = (0, 0.25, 0.5, 0.75, 1)
    scale(axes, palette, ticks, [f"{tick:g}" for tick in ticks])
    scale(axes, palette, ticks, [f"{tick:g}" for tick in ticks], "left")
