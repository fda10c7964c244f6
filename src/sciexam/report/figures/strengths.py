"""How strongly a judge preferred one contestant, as a histogram of its verdicts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sciexam.report.figures.contests import MOST, first_of, heading, in_full, percent, places
from sciexam.report.figures.drawing import Drawing
from sciexam.report.figures.frame import SMALL, name_of, scale
from sciexam.report.figures.palette import Palette
from sciexam.report.figures.panels import Panel, draw_panels, height_of
from sciexam.report.figures.words import said, sentences
from sciexam.report.record import Pair, Report, StrengthCount
from sciexam.stats import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT = 96.0
END = 95.0  # points of the name at either end of the scale
DEGREES = ("tie", "slightly", "clearly", "much")  # better: the words of the buttons that people press


def strengths(report: Report) -> Iterator[Drawing]:
    """The first comparisons whose judge gives strengths, one histogram each."""
    strong = [pair for pair in report.pairs if pair.strengths]
    pairs = strong[:MOST]
    if not pairs:
        return
    panels = [_panel(report, pair) for pair in pairs]
    yield Drawing(
        name="preference-strength",
        title="Strength of preference",
        caption=(
            "The share of verdicts by whom they prefer and how strongly, averaged over prompts, with its "
            f"{percent(report.level)} interval. Verdicts on two equal texts count.{first_of(len(pairs), len(strong))}"
        ),
        words=sentences(f"{in_full(pair)}: {_in_words(pair)}" for pair in pairs),
        height=height_of(panels, HEIGHT),
        draw=lambda figure, palette: draw_panels(figure, palette, panels, HEIGHT),
    )


def _in_words(pair: Pair) -> str:
    return "; ".join(
        f"{_better(pair, one)} in {one.verdicts} verdict{'' if one.verdicts == 1 else 's'}, {said(one.share)}"
        for one in _bars(pair)
    )


def _better(pair: Pair, one: StrengthCount) -> str:
    if one.preference == 0:
        return _name(one)
    return f"{pair.b if one.preference > 0 else pair.a} {_name(one)} better"


def _bars(pair: Pair) -> list[StrengthCount]:
    """From -3 to 3 what has a bar. No page offers people every strength: one that none of them chose has none."""
    chosen = {abs(one.preference) for one in pair.strengths if one.verdicts or pair.trust != "people"}
    return [one for one in pair.strengths if abs(one.preference) in chosen]


def _name(one: StrengthCount) -> str:
    return DEGREES[abs(one.preference)]


def _panel(report: Report, pair: Pair) -> Panel:
    placed = places(report.contestants)

    def draw(axes: Axes, palette: Palette) -> None:
        of_a, of_b = (palette.of(placed.get(name, 0)) for name in (pair.a, pair.b))
        bars = _bars(pair)
        known = [one.share for one in bars if isinstance(one.share, Estimate)]
        most = max((one.high for one in known), default=1.0)
        axes.set_xlim(-0.6, len(bars) - 0.4)
        axes.set_ylim(0, most * 1.16)
        for place, one in enumerate(bars):
            share = one.share
            if not isinstance(share, Estimate):
                continue
            colour = palette.tie if one.preference == 0 else of_b if one.preference > 0 else of_a
            axes.bar([place], [share.value], width=0.78, color=colour, lw=0, zorder=2)
            axes.plot([place] * 2, [share.low, share.high], color=palette.ink, lw=1.1, zorder=3)
            how: dict[str, Any] = {"ha": "center", "color": palette.ink, "size": SMALL}
            axes.annotate(str(one.verdicts), (place, share.high), (0, 2), textcoords="offset points", **how)
        scale(axes, palette, range(len(bars)), [_name(one) for one in bars])
        ticks = [tick for tick in (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0) if tick <= most]
        ticks = ticks if len(ticks) < 6 else ticks[::2]
        scale(axes, palette, ticks, [f"{tick:g}" for tick in ticks], "left")

    ends = (f"{name_of(pair.a, END, SMALL)} is better", f"{name_of(pair.b, END, SMALL)} is better")
    return Panel(heading(report, pair), draw, "", ends, "share of verdicts; above it their number")
