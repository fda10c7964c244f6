"""Tests of a pair on the same prompts, with Holm's correction where one command compares several pairs."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from sciexam.stats.clusters import Floats, cluster_totals
from sciexam.stats.win_rate import unit_scores

EXACT = 14  # up to 2**14 sign patterns are all looked at, which is quicker than to draw 9,999 of them
CELLS = 2**20  # signs held in memory at once


def sign_flip(
    scores: ArrayLike, clusters: Iterable[Hashable] | None = None, seed: int = 0, draws: int = 9_999
) -> float | None:
    """The two-sided p-value of "the two contestants' labels are exchangeable", by flipping signs.

    Under it the score s of a prompt could as well have been 1 - s, so the sign of s - 1/2 is a fair coin (Fisher 1935).
    `scores`, shape (n,), in [0, 1]; `clusters` as in `win_rate`: the scores of one cluster flip together.
    With at most 14 clusters that are not exactly one half every sign pattern is looked at, and p is the share of
    patterns at least as far from one half as the data. With more, p = (1 + b) / (1 + draws), where b of `draws` random
    patterns are (Phipson & Smyth 2010), drawn from `seed`. The order of the prompts does not matter.
    1.0 where every score is one half; None for no prompt. Raises ValueError as `win_rate` does, and for draws < 1.
    """
    if draws < 1:
        raise ValueError(f"draws must be at least 1, not {draws!r}")
    scores = unit_scores(scores)
    if len(scores) == 0:
        return None
    totals, _ = cluster_totals(scores - 0.5, clusters)
    distances = np.sort(np.abs(totals))
    # Sums of the same terms in another order differ in the last bits: an equal pattern must count as equal.
    slack = 1e-10 * float(distances.sum())
    distances = distances[distances > slack / len(distances)]
    observed = abs(float(totals.sum())) - slack
    if len(distances) <= EXACT:
        patterns = np.arange(2 ** len(distances))[:, None] >> np.arange(len(distances)) & 1
        return float(np.mean(np.abs((2 * patterns - 1) @ distances) >= observed))
    return (1 + _as_far(distances, observed, seed, draws)) / (1 + draws)


def _as_far(distances: Floats, observed: float, seed: int, draws: int) -> int:
    """How many of `draws` random sign patterns give a sum at least `observed` away from zero."""
    rng = np.random.default_rng(seed)
    rows = max(1, CELLS // len(distances))
    found = 0
    for start in range(0, draws, rows):
        signs = rng.integers(0, 2, (min(rows, draws - start), len(distances)), dtype=np.int8)
        found += int(np.count_nonzero(np.abs((2.0 * signs - 1.0) @ distances) >= observed))
    return found


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down adjusted p-values, in the order given (Holm 1979).

    None marks a comparison without a test: it stays None and is not counted in the family.
    Raises ValueError for a p-value outside [0, 1] or NaN.
    """
    tested = [(p, place) for place, p in enumerate(p_values) if p is not None]
    if any(not 0 <= p <= 1 for p, _ in tested):
        raise ValueError("p-values must lie in [0, 1]")
    adjusted: list[float | None] = [None] * len(p_values)
    running = 0.0
    for rank, (p, place) in enumerate(sorted(tested)):
        running = max(running, min(1.0, (len(tested) - rank) * p))
        adjusted[place] = running
    return adjusted
