"""What a finished comparison says of the next one: which win rate its prompts find, as a sentence and as a curve."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from numpy.typing import ArrayLike

from sciexam.stats.estimate import Undefined
from sciexam.stats.power import detectable_win_rate, power_curve, prompts_needed, variance_at_one_half

SIZES = (10, 15, 20, 25, 35, 50, 70, 100, 150, 200, 350, 500, 700, 1000, 1500, 2000)
POWER = 0.8
EFFECT = 0.6  # the win rate whose prompts are counted, where none is named
EFFECTS = (0.6, 0.55, 0.53)  # those that one may want to find next


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
    takes = needed.why if isinstance(needed, Undefined) else f"to find {effect:.2f} takes about {needed:,} prompts"
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


def takes_of(
    scores: ArrayLike, clusters: Sequence[Hashable] | None = None, *, comparisons: int = 1, level: float = 0.95
) -> tuple[tuple[float, int], ...]:
    """(win rate, prompts that it takes to find it) for EFFECTS; those are left out of which that cannot be said."""
    variance = variance_at_one_half(scores, clusters)
    if isinstance(variance, Undefined):
        return ()
    needed = {e: prompts_needed(e, variance, power=POWER, level=level, comparisons=comparisons) for e in EFFECTS}
    return tuple((effect, n) for effect, n in needed.items() if not isinstance(n, Undefined))


def _count(scores: ArrayLike) -> int:
    import numpy as np

    return len(np.atleast_1d(np.asarray(scores)))
