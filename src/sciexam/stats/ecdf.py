"""The share of values at or below each value, with an interval at each: the empirical distribution function."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sciexam.stats.clusters import Floats, finite_vector
from sciexam.stats.effect_size import Labels, check_level, groups_of
from sciexam.stats.estimate import Undefined
from sciexam.stats.mean import bounded_interval

MOST_POINTS = 200


@dataclass(frozen=True, slots=True)
class Ecdf:
    """At each of `values`, which rise, the `share` of all values at or below it, with the interval `low` to `high`.

    The intervals hold point by point, not for the whole curve at once. `n` counts the independent units.
    """

    values: tuple[float, ...]
    share: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    level: float
    n: int
    method: str


def ecdf(
    values: ArrayLike, clusters: Labels = None, level: float = 0.95, points: int = MOST_POINTS
) -> Ecdf | Undefined:
    """The distribution function of `values`, shape (n,), at the distinct ones, or at `points` quantiles of them.

    The quantiles are values themselves, evenly spread over the ranks from the least to the greatest, so that every
    share is exact. The interval of each share is `sciexam.stats.mean.bounded_interval`. `clusters`: one label for each
    value; those of one label are one unit. Undefined for less than two units. Raises ValueError for NaN, infinities,
    labels that do not match, less than two points and a level outside (0, 1).
    """
    check_level(level)
    if points < 2:
        raise ValueError(f"points must be 2 or more, not {points}")
    values = finite_vector(values, "values")
    groups = groups_of(clusters, len(values))
    units = "prompts" if groups is None else "groups"
    codes = np.arange(len(values)) if groups is None else np.unique(groups, return_inverse=True)[1]
    n = len(np.unique(codes))
    if n < 2:
        return Undefined(f"an interval needs two {units}", n)
    at = _points(values, points)
    below = values[None, :] <= at[:, None]
    totals: Floats = np.stack([np.bincount(codes, row, minlength=n) for row in below.astype(np.float64)])
    share, low, high = bounded_interval(totals, np.bincount(codes, minlength=n).astype(np.float64), level)
    return Ecdf(
        values=tuple(at.tolist()),
        share=tuple(share.tolist()),
        low=tuple(low.tolist()),
        high=tuple(high.tolist()),
        level=level,
        n=n,
        method=f"beta interval at the effective number of {units}, point by point",
    )


def _points(values: Floats, most: int) -> Floats:
    distinct = np.unique(values)
    if len(distinct) <= most:
        return distinct
    ranks = np.round(np.linspace(0, len(values) - 1, most)).astype(np.intp)
    return np.unique(np.sort(values)[ranks])
