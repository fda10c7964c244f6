"""Whether two contestants are practically equal: two one-sided tests (Schuirmann 1987)."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from numpy.typing import ArrayLike

from sciexam.stats.estimate import Undefined
from sciexam.stats.win_rate import win_rate


def equivalent(
    scores: ArrayLike, margin: float, clusters: Iterable[Hashable] | None = None, alpha: float = 0.05
) -> bool:
    """Whether the win rate is shown to lie within `margin` of one half, each side tested at `alpha`.

    The two tests pass together exactly when the interval at level 1 - 2 alpha lies inside 1/2 +- margin.
    `scores` and `clusters` as in `win_rate`. False where the win rate has no interval: nothing was shown.
    Raises ValueError as `win_rate` does, and for a margin outside (0, 1/2) or an alpha outside (0, 1/2).
    """
    if not 0 < margin < 0.5:
        raise ValueError(f"margin must lie between 0 and 0.5, not {margin!r}")
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha must lie between 0 and 0.5, not {alpha!r}")
    rate = win_rate(scores, clusters, 1 - 2 * alpha)
    if isinstance(rate, Undefined):
        return False
    return 0.5 - margin < rate.low and rate.high < 0.5 + margin
