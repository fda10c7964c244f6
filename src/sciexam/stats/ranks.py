"""Which ranks are possible, and who is tied with whom, given estimates and their covariance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sciexam.stats.clusters import Floats

CELLS = 2**16  # drawn values at once: they and their differences stay in the processor's cache


@dataclass(frozen=True, slots=True, eq=False)
class Ranks:
    """`better`, `worse` (k,): how many others are certainly above and below each; so its rank is one of better + 1 to
    k - worse. `group` (k,): tie groups from 1, the best. `distinct` (k, k): whether two certainly differ.
    """

    better: NDArray[np.intp]
    worse: NDArray[np.intp]
    group: NDArray[np.intp]
    distinct: NDArray[np.bool_]


def rank_ranges(
    values: Floats,
    covariance: Floats,
    freedom: Floats,
    level: float = 0.95,
    seed: int = 0,
    draws: int = 10_000,
    limited: NDArray[np.bool_] | None = None,
) -> Ranks:
    """Ranges of ranks and tie groups of `values` (k,), the greatest first, with `covariance` (k, k) of their errors.

    `freedom` (k,): the degrees of freedom of each value's variance; a difference has the smaller of the two, and one
    with none is never certain. Or (k, k): those of each difference. `draws` from the normal distribution with this
    covariance, seeded by `seed`, give how far the largest of several differences strays by chance. `limited` (k, k)
    [i, j]: whether the data limit how far i may be below j, without which i is never certainly above it; default: all.

    - Rank range of i: j is certainly above i where their difference is beyond the `level` quantile of the largest
      |difference| / s.e. of i with anybody (Mogstad, Romano, Shaikh and Wilhelm 2024, Review of Economic Studies
      91:476). The range holds the true rank at `level`, whichever values are equal. Counting ranks in the draws does
      not: among equals it is sure of ranks that are chance.
    - Tie groups: two are distinct where their difference is beyond the `level` quantile of the largest over all pairs.
      From the best down, a group goes on until somebody is distinct from its first member, who begins the next. So
      nobody is known to be worse than the best of the own group, though neighbours of two groups may be tied.

    A difference is compared as the normal score of its t statistic, so that few clusters count for less.
    """
    k = len(values)
    order = np.argsort(-values, kind="stable")  # draws must not depend on what the contestants are called
    square = np.ix_(order, order)
    freedom = freedom[square] if freedom.ndim == 2 else np.minimum.outer(freedom[order], freedom[order])
    values, covariance = values[order], covariance[square]
    variance = np.diag(covariance)
    spread = np.sqrt(np.maximum(variance[:, None] + variance - 2 * covariance, 0))
    known = (spread > 1e-7 * max(float(spread.max()), 1e-12)) & (freedom > 0)
    precision = np.where(known, 1 / np.where(known, spread, 1), 0.0)
    score = _normal_scores((values[:, None] - values) * precision, freedom, known)
    if limited is not None:
        limited = limited[square]
        score = np.where(np.where(score > 0, limited, limited.T), score, 0.0)

    largest = _largest(covariance, precision, seed, draws)
    own = np.quantile(largest, level, axis=0, method="higher")
    overall = np.quantile(largest.max(1), level, method="higher")
    better, worse = (score < -own[:, None]).sum(1), (score > own[:, None]).sum(1)
    distinct = np.abs(score) > overall
    group, first = np.ones(k, dtype=np.intp), 0
    for i in range(1, k):
        group[i] = group[i - 1] + distinct[first, i]
        first = i if group[i] > group[i - 1] else first
    back = np.argsort(order)
    return Ranks(better[back], worse[back], group[back], distinct[np.ix_(back, back)])


def _normal_scores(t: Floats, freedom: Floats, known: NDArray[np.bool_]) -> Floats:
    """The normal quantiles at the t statistics' probabilities; 0 where a difference is not known."""
    from scipy.special import ndtri, stdtr

    tail = stdtr(np.where(known, freedom, 1.0), -np.abs(t))
    scores: Floats = np.where(known, -np.sign(t) * ndtri(np.maximum(tail, 1e-300)), 0.0)
    return scores


def _largest(covariance: Floats, precision: Floats, seed: int, draws: int) -> Floats:
    """For each draw and each i, the largest |difference| / s.e. of i with another, shape (draws, k)."""
    rng = np.random.default_rng(seed)
    k = len(covariance)
    # The symmetric root, which a singular covariance has too, and one that rounding has left not quite positive.
    along, axes = np.linalg.eigh((covariance + covariance.T) / 2)
    root = axes * np.sqrt(np.maximum(along, 0)) @ axes.T
    largest = np.zeros((k, draws))
    rows = max(1, CELLS // k)
    for start in range(0, draws, rows):
        draw = (rng.standard_normal((min(rows, draws - start), k)) @ root).T.copy()
        so_far = largest[:, start : start + rows]
        for i in range(k - 1):  # a difference counts for both
            difference = np.abs(draw[i + 1 :] - draw[i])
            difference *= precision[i, i + 1 :, None]
            np.maximum(so_far[i], difference.max(0), out=so_far[i])
            np.maximum(so_far[i + 1 :], difference, out=so_far[i + 1 :])
    return largest.T
