"""How the rewards of contestants are distributed: violins with their quantiles, and distribution functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from sciexam.report.figures.contests import percent, places
from sciexam.report.figures.drawing import WIDTH, Drawing
from sciexam.report.figures.frame import ROOM, SMALL, axes_at, name_of, scale, ticks_for, width_of, write
from sciexam.report.figures.palette import Palette
from sciexam.report.figures.words import said, sentences
from sciexam.report.marking.rewards import Rewards
from sciexam.report.marking.rewards import Row as Rewarded
from sciexam.stats import Distribution, Ecdf

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Shape = tuple[NDArray[np.float64], NDArray[np.float64]]  # where, and how dense

ROW = 40.0
TOP, BOTTOM, GAP = 5.0, 36.0, 10.0
MOST_LABEL = 140.0
HEIGHT = 170.0
MOST_CURVES = 6  # that have a colour each
GRID = 90


Drawn = Sequence[tuple[Rewarded, Distribution, Ecdf]]


def violins(found: Rewards) -> Iterator[Drawing]:
    """One violin a contestant, for each reward model."""
    for judge, rows, suffix in _by_model(found):
        shown = [(row, row.distribution, row.below) for row in rows]
        drawn = [
            (row, one, below) for row, one, below in shown if isinstance(one, Distribution) and isinstance(below, Ecdf)
        ]
        if drawn:
            yield _violins(found, judge, drawn, f"rewards{suffix}")


def _violins(found: Rewards, judge: str, drawn: Drawn, name: str) -> Drawing:
    return Drawing(
        name=name,
        title=f"Rewards by {judge}",
        caption=(
            "Each shape is as wide as rewards are frequent, and all have the same area. The thick bar holds the middle "
            "half of the prompts, the thin one 90 %; the point is the median. Beside it the mean with its "
            f"{percent(found.level)} interval."
        ),
        words=sentences(f"{row.contestant}: {_in_words(one)}" for row, one, _ in drawn),
        height=TOP + ROW * len(drawn) + BOTTOM,
        draw=lambda figure, palette: _draw_violins(figure, palette, found, drawn),
    )


def cumulative(found: Rewards) -> Iterator[Drawing]:
    """The distribution functions of up to MOST_CURVES contestants; more could not be told apart."""
    for judge, rows, suffix in _by_model(found):
        drawn = [(row, row.below) for row in rows if isinstance(row.below, Ecdf)]
        if 0 < len(drawn) <= MOST_CURVES:
            yield _cumulative(found, judge, drawn, f"rewards-cumulative{suffix}")


def _cumulative(found: Rewards, judge: str, drawn: Sequence[tuple[Rewarded, Ecdf]], name: str) -> Drawing:
    return Drawing(
        name=name,
        title=f"Shares of prompts by reward, by {judge}",
        caption=(
            "The share of prompts with at most so much reward; the further right a curve lies, the higher are the "
            f"rewards. The bands are {percent(found.level)} intervals, point by point."
        ),
        words=sentences(f"{row.contestant}: {_shares(below)}" for row, below in drawn),
        height=20 + HEIGHT + BOTTOM,
        draw=lambda figure, palette: _draw_cumulative(figure, palette, found, drawn),
    )


def _by_model(found: Rewards) -> Iterator[tuple[str, list[Rewarded], str]]:
    models = tuple(dict.fromkeys(row.judge for row in found.rows))
    for number, judge in enumerate(models, 1):
        yield judge, [row for row in found.rows if row.judge == judge], "" if len(models) == 1 else f"-{number}"


def _in_words(one: Distribution) -> str:
    return (
        f"mean {said(one.mean)}; median {said(one.median)}; 5 % below {one.q05:.2f}, a quarter below {one.q25:.2f}, "
        f"a quarter above {one.q75:.2f}, 5 % above {one.q95:.2f}; from {one.min:.2f} to {one.max:.2f}, over {one.n} "
        "prompts"
    )


def _shares(below: Ecdf) -> str:
    places = sorted({round(place * (len(below.values) - 1) / 10) for place in range(11)})
    return ", ".join(
        f"{100 * below.share[at]:.0f} % ({100 * below.low[at]:.0f} to {100 * below.high[at]:.0f}) up to "
        f"{below.values[at]:.2f}"
        for at in places
    )


# ---------------------------------------------------------------- violins


def _draw_violins(figure: Figure, palette: Palette, found: Rewards, drawn: Drawn) -> None:
    place = places(found.contestants)
    labels = [name_of(row.contestant, MOST_LABEL) for row, _, _ in drawn]
    means = [str(one.mean) if hasattr(one.mean, "low") else "" for _, one, _ in drawn]
    left = max(map(width_of, labels)) + GAP
    right = max(width_of(text, SMALL) for text in means) + GAP
    axes = axes_at(figure, left, TOP, WIDTH - left - right, ROW * len(drawn))
    limits, ticks, names = ticks_for([edge for _, one, _ in drawn for edge in (one.min, one.max)])
    axes.set_xlim(*limits)
    axes.set_ylim(len(drawn) - 0.5, -0.5)
    scale(axes, palette, ticks, names)
    for tick in ticks:
        axes.axvline(tick, color=palette.line, lw=0.5, zorder=0)
    shapes = [density_of(one, below) for _, one, below in drawn]
    most = max((float(density.max()) for _, density in shapes if len(density)), default=1.0)
    for y, ((row, one, _), shape) in enumerate(zip(drawn, shapes, strict=True)):
        middle = TOP + (y + 0.5) * ROW
        write(figure, 0, middle, labels[y], palette.ink)
        write(figure, WIDTH, middle, means[y], palette.ink, size=SMALL, ha="right")
        _violin(axes, palette.of(place.get(row.contestant, 0)), palette.card, y, one, shape, most)
    write(
        figure,
        (left + WIDTH - right) / 2,
        TOP + ROW * len(drawn) + 25,
        "reward",
        palette.quiet,
        size=SMALL,
        ha="center",
    )


def _violin(axes: Axes, colour: str, card: str, y: float, one: Distribution, shape: Shape, most: float) -> None:
    """`most`: the density that is as wide as a row."""
    x, density = shape
    if len(x):
        half = 0.42 * density / most
        axes.fill_between(x, y - half, y + half, facecolor=colour, alpha=0.35, lw=0, zorder=2)
    axes.plot([one.q05, one.q95], [y, y], color=colour, lw=1.2, zorder=3)
    axes.plot([one.q25, one.q75], [y, y], color=colour, lw=4.5, solid_capstyle="round", zorder=4)
    middle = getattr(one.median, "value", None)
    if middle is not None:
        axes.plot([middle], [y], "o", ms=5.5, mfc=card, mec=colour, mew=1.4, zorder=5)


def density_of(one: Distribution, below: Ecdf) -> Shape:
    """Where, and how dense: a Gaussian kernel over the points of the distribution function, within what was found.

    The area below it is one. The bandwidth is Silverman's (1986, equation 3.31), .9 min(sd, IQR / 1.34) n^(-1/5).
    Empty where nothing spreads.
    """
    import numpy as np

    values, share = np.array(below.values), np.array(below.share)
    sd = one.sd if isinstance(one.sd, float) else 0.0
    spread = min(filter(None, (sd, (one.q75 - one.q25) / 1.34)), default=0.0)
    if spread <= 0:
        return np.empty(0), np.empty(0)
    width = 0.9 * spread * one.n**-0.2
    x = np.linspace(values[0], values[-1], GRID)
    kernel = np.exp(-0.5 * ((x[:, None] - values[None, :]) / width) ** 2)
    density = kernel @ np.diff(share, prepend=0.0)
    return x, density / np.trapezoid(density, x)


# ---------------------------------------------------------------- distribution functions


def _draw_cumulative(figure: Figure, palette: Palette, found: Rewards, drawn: Sequence[tuple[Rewarded, Ecdf]]) -> None:
    place = places(found.contestants)
    axes = axes_at(figure, 34, 20, WIDTH - 42, HEIGHT)
    limits, ticks, names = ticks_for([value for _, below in drawn for value in (below.values[0], below.values[-1])])
    axes.set_xlim(*limits)
    axes.set_ylim(0, 1)
    for number, (row, below) in enumerate(drawn):
        colour = palette.of(place.get(row.contestant, 0))
        x = [limits[0], *below.values, limits[1]]
        low, high = ([0.0, *edge, edge[-1]] for edge in (below.low, below.high))
        axes.fill_between(x, low, high, step="post", facecolor=colour, alpha=0.18, lw=0, zorder=2)
        axes.step(x, [0.0, *below.share, 1.0], where="post", color=colour, lw=1.6, zorder=3)
        _name(axes, palette, row.contestant, colour, below, (number + 1) / (len(drawn) + 1))
    scale(axes, palette, ticks, names)
    scale(axes, palette, (0, 0.25, 0.5, 0.75, 1), ("0", "0.25", "0.5", "0.75", "1"), "left")
    write(figure, 0, 11, "share of prompts", palette.quiet, size=SMALL)
    write(figure, (34 + WIDTH - 8) / 2, 20 + HEIGHT + 27, "reward", palette.quiet, size=SMALL, ha="center")


def _name(axes: Axes, palette: Palette, name: str, colour: str, below: Ecdf, height: float) -> None:
    """The name beside its curve at a height of its own, so that names never meet."""
    at = next(x for x, share in zip(below.values, below.share, strict=True) if share >= height)
    low, high = axes.get_xlim()
    left = at > (low + high) / 2
    axes.annotate(
        name_of(name, ROOM, SMALL),
        (at, height),
        (-8 if left else 8, 0),
        textcoords="offset points",
        ha="right" if left else "left",
        va="center",
        color=palette.ink,
        size=SMALL,
        bbox={"facecolor": palette.card, "alpha": 0.75, "lw": 0, "pad": 0.5},  # it may lie over another curve
        arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.8, "shrinkA": 0, "shrinkB": 0},
        zorder=6,
    )
