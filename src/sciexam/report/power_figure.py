"""What a finished comparison says of the next one: which win rate its prompts find, as a sentence and as a curve."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from html import escape
from math import ceil, log10

from numpy.typing import ArrayLike

from sciexam.stats.estimate import Undefined
from sciexam.stats.power import detectable_win_rate, power_curve, prompts_needed, variance_at_one_half

SIZES = (10, 15, 20, 25, 35, 50, 70, 100, 150, 200, 350, 500, 700, 1000, 1500, 2000)
TICKS = (10, 25, 50, 100, 200, 500, 1000, 2000)
POWER = 0.8
EFFECT = 0.6  # the win rate whose prompts are counted, where none is named

WIDTH, HEIGHT = 460, 200
LEFT, RIGHT, TOP, BOTTOM = 44, 16, 14, 40  # margins of the plot


def outlook_sentence(
    scores: ArrayLike,
    clusters: Sequence[Hashable] | None = None,
    *,
    comparisons: int = 1,
    effect: float = EFFECT,
    power: float = POWER,
    level: float = 0.95,
) -> str:
    """What as many prompts like these find, and how many prompts it takes to find `effect`.

    `scores` and `clusters` as in `stats.win_rate`; `comparisons` as in `stats.power`. An empty text for fewer than two
    prompts, of which nothing can be said.
    """
    variance = variance_at_one_half(scores, clusters)
    if isinstance(variance, Undefined):
        return ""
    prompts = _count(scores)
    found = detectable_win_rate(prompts, variance, power=power, level=level, comparisons=comparisons)
    needed = prompts_needed(effect, variance, power=power, level=level, comparisons=comparisons)
    if isinstance(found, Undefined):
        said = found.why[0].upper() + found.why[1:]
    else:
        said = (
            f"With {prompts:,} prompts like these a win rate of {found:.2f} is found with a probability of {power:.0%}"
        )
    takes = (
        needed.why if isinstance(needed, Undefined) else f"to find {effect:.2f} takes about {_about(needed):,} prompts"
    )
    return f"{said}; {takes}."


def curve_of(
    scores: ArrayLike,
    clusters: Sequence[Hashable] | None = None,
    *,
    comparisons: int = 1,
    power: float = POWER,
    level: float = 0.95,
) -> tuple[tuple[int, float], ...]:
    """(prompts, win rate that so many find) for round numbers of prompts, and for as many as there are scores.

    The arguments are those of `outlook_sentence`. Empty where there is no curve.
    """
    variance = variance_at_one_half(scores, clusters)
    if isinstance(variance, Undefined):
        return ()
    prompts = _count(scores)
    sizes = sorted({*SIZES, prompts} if SIZES[0] <= prompts <= SIZES[-1] else SIZES)
    return tuple(power_curve(variance, sizes, power=power, level=level, comparisons=comparisons))


def to_svg(curve: Sequence[tuple[int, float]], prompts: int) -> str:
    """The curve of `curve_of` as an SVG element for a page of HTML, with a point at `prompts`.

    It is drawn in the colour of the text around it, scales to the width that it is given, loads nothing, and says its
    numbers in `aria-label`. It holds numbers only. An empty text where there is no curve.
    """
    if len(curve) < 2:
        return ""
    named = ", ".join(f"{rate:.2f} with {n:,}" for n, rate in curve if n in TICKS or n == prompts)
    label = f"Win rate that is found with a probability of {POWER:.0%}, by number of prompts: {named}"
    here = [(n, rate) for n, rate in curve if n == prompts]
    parts = [*_axes(), _curve(curve), *(_point(n, rate) for n, rate in here)]
    return (
        f'<svg class="power" role="img" aria-label="{escape(label)}" viewBox="0 0 {WIDTH} {HEIGHT}" width="100%" '
        f'style="max-width:{WIDTH}px" font-size="11" fill="currentColor" stroke="none">'
        f"<title>{escape(label)}</title>{''.join(parts)}</svg>"
    )


def _axes() -> Iterable[str]:
    for rate in (0.5, 0.6, 0.7, 0.8, 0.9, 1.0):
        y = _y(rate)
        yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}" stroke="currentColor" stroke-opacity="0.15"/>'
        yield f'<text x="{LEFT - 6}" y="{y}" dy="0.35em" text-anchor="end">{rate:.1f}</text>'
    for n in TICKS:
        yield f'<text x="{_x(n)}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle">{n:,}</text>'
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield f'<text x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">prompts</text>'


def _curve(curve: Sequence[tuple[int, float]]) -> str:
    points = " ".join(f"{_x(n)},{_y(rate)}" for n, rate in curve)
    return f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="2"/>'


def _point(prompts: int, rate: float) -> str:
    x, y = _x(prompts), _y(rate)
    end = x > WIDTH - 120
    beside = f'x="{x - 8 if end else x + 8}" text-anchor="{"end" if end else "start"}"'
    text = f"{rate:.2f} with {prompts:,} prompts"
    return f'<circle cx="{x}" cy="{y}" r="4.5"/><text {beside} y="{y - 6}" font-weight="bold">{text}</text>'


def _x(prompts: int) -> float:
    share = log10(prompts / SIZES[0]) / log10(SIZES[-1] / SIZES[0])
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def _y(rate: float) -> float:
    return round(TOP + (1 - rate) / 0.5 * (HEIGHT - TOP - BOTTOM), 1)


def _count(scores: ArrayLike) -> int:
    import numpy as np

    return len(np.atleast_1d(np.asarray(scores)))


def _about(number: int) -> int:
    """Rounded up to two digits."""
    step: int = 10 ** max(0, len(str(number)) - 2)
    return int(ceil(number / step) * step)
