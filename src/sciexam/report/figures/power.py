"""The win rate that so many prompts detect: by a finished comparison, and by a plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log10
from typing import TYPE_CHECKING, Any

from sciexam.report.figures.contests import MOST, judges_of, percent
from sciexam.report.figures.drawing import WIDTH, Drawing
from sciexam.report.figures.frame import SMALL, axes_at, name_of, scale, write
from sciexam.report.figures.palette import Palette
from sciexam.report.figures.words import sentences
from sciexam.report.planning.costs import Orders
from sciexam.report.planning.outlook import Outlook
from sciexam.report.record import Pair, Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEIGHT = 210.0
LEFT, TOP, RIGHT, BOTTOM = 30.0, 20.0, 14.0, 36.0
TICKS = (10, 25, 50, 100, 200, 500, 1000, 2000, 5000)
POWER = 0.8  # of the curves of a report
NAME = 46.0  # points of each name of a curve
DASHES: tuple[Any, ...] = (
    "-",
    (0, (5, 2)),
    (0, (1, 1.5)),
    (0, (7, 2, 1.5, 2)),
    (0, (10, 4)),
    (0, (3, 1.5, 1, 1.5, 1, 1.5)),
)
ORDERS: dict[Orders, str] = {"both": "in both orders", "one": "in one order", "own": ""}


@dataclass(frozen=True, slots=True)
class Curve:
    """Points (prompts, win rate that so many find); `here`: the prompts there were."""

    name: str
    points: Sequence[tuple[int, float]]
    here: int | None = None


def of_report(report: Report) -> Iterator[Drawing]:
    """The curves of the comparisons that have one, each with a point at the prompts that were used."""
    curves = [
        Curve(_name(report, pair), pair.power.curve, pair.used)
        for pair in report.pairs
        if pair.power is not None and len(pair.power.curve) > 1
    ][:MOST]
    if curves:
        here = "The point is this comparison." if len(curves) == 1 else "The points are these comparisons."
        yield _drawn(curves, POWER, None, here)


def _name(report: Report, pair: Pair) -> str:
    """What tells a comparison from the others: the pair, the judge, or both."""
    pairs, judges = len({(one.a, one.b) for one in report.pairs}), len(judges_of(report.pairs))
    if pairs == 1 < judges:
        return name_of(pair.judge, 2 * NAME, SMALL)
    who = f"{name_of(pair.b, NAME, SMALL)} vs {name_of(pair.a, NAME, SMALL)}"
    return who if judges == 1 else f"{who}, {name_of(pair.judge, NAME, SMALL)}"


def of_outlook(outlook: Outlook) -> Iterator[Drawing]:
    """The designs by orders; where an effect was asked for, a line at it."""
    by: dict[tuple[Orders, int], list[tuple[int, float]]] = {}
    for design in outlook.designs:
        if isinstance(design.finds, float):
            by.setdefault((design.orders, design.samples), []).append((design.prompts, design.finds))
    several = len({samples for _, samples in by}) > 1

    def called(orders: Orders, samples: int) -> str:
        sampled = f", {samples} {'sample' if samples == 1 else 'samples'}" if several else ""
        return f"{ORDERS[orders] or 'by every judge'}{sampled}"

    curves = [Curve(called(*design), sorted(points)) for design, points in by.items() if len(points) > 1][:MOST]
    if curves:
        yield _drawn(curves, outlook.power, outlook.effect.win_rate if outlook.effect else None, "")


def _drawn(curves: Sequence[Curve], power: float, effect: float | None, more: str) -> Drawing:
    def in_words(curve: Curve) -> str:
        points = ", ".join(f"{rate:.3f} with {n:,}" for n, rate in curve.points)
        here = next(
            (f"; with the {n:,} of this comparison {rate:.2f}" for n, rate in curve.points if n == curve.here), ""
        )
        return f"{curve.name or 'Win rate that is found, by prompts'}: {points}{here}"

    return Drawing(
        name="power",
        title="Detectable win rate by number of prompts",
        caption=(
            "The smallest true win rate above one half that is shown to differ from it with a probability of "
            f"{percent(power)}, by the number of prompts, if their scores spread as these do. {more}"
        ).strip(),
        words=sentences(in_words(curve) for curve in curves),
        height=HEIGHT,
        draw=lambda figure, palette: _draw(figure, palette, curves, effect),
    )


def _draw(figure: Figure, palette: Palette, curves: Sequence[Curve], effect: float | None) -> None:
    axes = axes_at(figure, LEFT, TOP, WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM)
    sizes = [n for curve in curves for n, _ in curve.points]
    top = min(1.0, max(rate for curve in curves for _, rate in curve.points) + 0.02)
    axes.set_xlim(log10(min(sizes)) - 0.02, log10(max(sizes)) + 0.02)
    axes.set_ylim(0.5, top)
    ticks = [n for n in TICKS if min(sizes) <= n <= max(sizes)]
    rates = [rate / 10 for rate in range(5, 11) if rate / 10 <= top]
    for rate in rates:
        axes.axhline(rate, color=palette.line, lw=0.5, zorder=0)
    scale(axes, palette, [log10(n) for n in ticks], [f"{n:,}" for n in ticks])
    scale(axes, palette, rates, [f"{rate:g}" for rate in rates], "left")
    write(figure, 0, TOP - SMALL - 2, "win rate that is found", palette.quiet, size=SMALL)
    write(figure, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - BOTTOM + 27, "prompts", palette.quiet, size=SMALL, ha="center")
    if effect is not None:
        axes.axhline(effect, color=palette.ink, lw=0.9, ls=(0, (3, 2.5)), zorder=1)
    for place, curve in enumerate(curves):
        _curve(axes, palette, curve, place, len(curves))


def _curve(axes: Axes, palette: Palette, curve: Curve, place: int, of: int) -> None:
    """In a colour and dashes of its own, as curves of one exam often lie on each other."""
    colour, style = palette.of(place + 1), DASHES[place % len(DASHES)]
    x = [log10(n) for n, _ in curve.points]
    axes.plot(x, [rate for _, rate in curve.points], color=colour, lw=1.8, ls=style, zorder=2)
    how: dict[str, Any] = {"textcoords": "offset points", "color": palette.ink, "size": SMALL}
    here = [(n, rate) for n, rate in curve.points if n == curve.here]
    for n, rate in here:
        axes.plot([log10(n)], [rate], "o", ms=6.5, mfc=colour, mec=palette.card, zorder=4)
        if of == 1:
            left = log10(n) > (axes.get_xlim()[0] + 2 * axes.get_xlim()[1]) / 3
            text = f"{rate:.2f} with {n:,} prompts"
            axes.annotate(text, (log10(n), rate), (-6 if left else 7, 4), ha="right" if left else "left", **how)
    if of > 1:  # names stand one below the other at the top right, where no curve is
        y, note = 0.955 - 0.085 * place, next((f": {rate:.2f} with {n:,}" for n, rate in here), "")
        axes.plot([0.9, 0.995], [y, y], color=colour, lw=1.8, ls=style, transform=axes.transAxes)
        at: dict[str, Any] = {"transform": axes.transAxes, "color": palette.ink, "size": SMALL, "va": "center"}
        axes.text(0.885, y, f"{curve.name}{note}", ha="right", **at)
