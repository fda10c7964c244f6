"""The mean of numbers without bounds, with an interval that allows for a long tail on one side."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import numpy as np
from numpy.typing import ArrayLike

from sciexam.stats.clusters import Floats, cluster_totals, finite_vector
from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.mean import mean

FEW = 100  # independent units; with fewer the coverage can be below 94 % (benchmarks/coverage_rewards.py)
# A sample seldom shows the whole of a tail: with 1 lognormal values are covered too rarely, 1.5 lengthens for nothing.
UNSEEN = 1.25


def skewed_mean(
    values: ArrayLike, clusters: Iterable[Hashable] | None = None, level: float = 0.95
) -> Estimate | Undefined:
    """The mean of `values`, shape (n,), with a t interval that is lengthened on the side of the longer tail.

    Where the values have a tail on one side, the mean and its standard error go together: a sample that missed the tail
    has a low mean and claims to know it well, so that the t interval ends too early on the tail's side. Hall's
    transformation g(t) of the t statistic (1992, J. R. Stat. Soc. B 54:221) takes the skewness out of it, and

        limits = value - se g^-1(+-q),    g^-1(x) = 3 / s (cbrt(1 + s (x - s / 6)) - 1)

    with the t quantile q, and s the skewness of the mean's error. That interval moves: it ends later on the side of the
    tail and begins later on the other. Where tails are long on both sides the skewness of a sample is an accident, and
    what is taken away on one side is missed. So each limit is the outer one of the two intervals.

    s = sum(r^3) / sum(r^2)^1.5 over the clusters' residuals r, corrected for the number of units as a sample's skewness
    is, and enlarged by a quarter, because most samples show less than the whole tail.
    `clusters` and errors as in `sciexam.stats.mean.mean`. Undefined for no value, one unit and equal values.
    """
    estimate = mean(values, clusters, level)
    if isinstance(estimate, Undefined):
        return estimate
    totals, sizes = cluster_totals(finite_vector(values, "values"), clusters)
    independent = float(sizes.sum() ** 2 / (sizes**2).sum())
    s = UNSEEN * _skewness(totals - estimate.value * sizes, independent)
    half = (estimate.high - estimate.low) / 2
    quantile = _quantile(level, independent)
    below, above = (_inverse(x, s) / quantile * half for x in (quantile, -quantile))
    low, high = min(estimate.low, estimate.value - below), max(estimate.high, estimate.value - above)
    method = f"{estimate.method}, lengthened towards the longer tail"
    method = f"approximate: {method}" if independent < FEW else method
    return Estimate(estimate.value, low, high, level, estimate.n, method)


def _skewness(residuals: Floats, independent: float) -> float:
    """The skewness of the sum of `residuals`; 0 where fewer than three independent ones cannot tell."""
    if independent < 3:
        return 0.0
    residuals = residuals / np.abs(residuals).max()
    alone = float((residuals**3).sum() / (residuals**2).sum() ** 1.5)
    return float(alone * np.sqrt(independent * (independent - 1)) / (independent - 2))


def _quantile(level: float, independent: float) -> float:
    from scipy.special import stdtrit

    return float(-stdtrit(independent - 1, (1 - level) / 2))


def _inverse(x: float, s: float) -> float:
    """Hall's g^-1 at x: the t statistic whose skewness-free transform is x."""
    if abs(s) < 1e-6:
        return x  # the formula divides by s
    return float(3 / s * (np.cbrt(1 + s * (x - s / 6)) - 1))
