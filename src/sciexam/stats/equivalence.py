"""Whether two contestants are practically equal: two one-sided tests (Schuirmann 1987)."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from numpy.typing import ArrayLike

from sciexam.stats.clusters import cluster_totals
from sciexam.stats.mean import bounded_interval
from sciexam.stats.win_rate import unit_scores


def equivalent(
    scores: ArrayLike, margin: float, clusters: Iterable[Hashable] | None = None, alpha: float = 0.05
) -> bool:
    """Whether the win rate is shown to lie within `margin` of one half, each side tested at `alpha`.

    The two tests pass together exactly when the interval at level 1 - 2 alpha lies inside 1/2 +- margin. The interval
    is the cautious one of `sciexam.stats.mean.bounded_interval`: for forced choices without groups it is Clopper and
    Pearson's, so that a rate outside the margin is called equivalent with a probability of at most `alpha`;
    docs/coverage.md has that error with ties, several judges and groups. Where one contestant wins every prompt that is
    not a tie it can be higher: up to .067 at an alpha of .05 and 200 prompts, of which 93 % are ties.
    `scores` and `clusters` as in `win_rate`. False where the win rate has no interval: nothing was shown.
    Raises ValueError as `win_rate` does, and for a margin outside (0, 1/2) or an alpha outside (0, 1/2).
    """
    if not 0 < margin < 0.5:
        raise ValueError(f"margin must lie between 0 and 0.5, not {margin!r}")
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha must lie between 0 and 0.5, not {alpha!r}")
    totals, sizes = cluster_totals(unit_scores(scores), clusters)
    if len(totals) < 2:
        return False
    _, low, high = bounded_interval(totals, sizes, 1 - 2 * alpha, cautious=True)
    return bool(0.5 - margin < low and high < 0.5 + margin)
