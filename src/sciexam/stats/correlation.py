"""Correlation of two scores of the same items, with an interval that knows which items belong together.

Every interval is a t interval of Fisher's z = artanh(r), mapped back, from the influence of each item on z; influences
are summed over the items of a cluster. It asks for no normal distribution and takes ties as they are. For the rank
coefficients the influence is the derivative in the item's weight (the infinitesimal jackknife of Jaeckel 1972); for
Pearson's, which single items can turn, it is what leaving the item's cluster out does to z (Tukey's jackknife).
Measured coverage: benchmarks/coverage_rewards.py.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciexam.stats.clusters import Floats, codes_of, finite_vector
from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.mean import mean

Codes = NDArray[np.intp]
Labels = Iterable[Hashable] | None
Part = tuple[float, Floats]  # a quantity, and the influence of each item on it


def pearson(x: ArrayLike, y: ArrayLike, clusters: Labels = None, level: float = 0.95) -> Estimate | Undefined:
    """Pearson's product-moment correlation of `x` and `y`, each of shape (n,): one pair of scores for each item.

    `clusters`: one label for each item; items with one label are one unit. Default: each item is its own.
    The interval is called approximate because it covers less than it says where scores are skewed or have long tails;
    the rank coefficients do not mind those.
    Undefined for a constant score, for one unit, and where the points lie on a line, or would without one unit.
    Raises ValueError for NaN, infinities and lengths that differ.
    """
    x, y, groups = _items(x, y, clusters)
    if impossible := _nothing_to_correlate(x, y, groups):
        return impossible
    units = np.arange(len(x)) if groups is None else groups
    dx, dy = _unit(x - x.mean()), _unit(y - y.mean())
    with np.errstate(divide="ignore", invalid="ignore"):
        without = np.divide(*_without(dx, dy, units))
    if not (np.abs(without) < 1 - 1e-12).all():
        return Undefined("the points lie on a line, or would without one unit: no spread to judge by", len(without))
    influence = jackknife_influence(np.arctanh(without), units)
    return _mapped_back(float(dx @ dy), influence, groups, level, "approximate: jackknife ")


def spearman(x: ArrayLike, y: ArrayLike, clusters: Labels = None, level: float = 0.95) -> Estimate | Undefined:
    """Spearman's rank correlation: Pearson's of the ranks, where tied scores share their mean rank.

    The interval takes into account that an item also moves the ranks of all above it.
    Arguments and errors as in `pearson`; Undefined for a constant score, one unit and a correlation of exactly 1 or -1.
    """
    x, y, groups = _items(x, y, clusters)
    if impossible := _nothing_to_correlate(x, y, groups):
        return impossible
    u, v = _Ranks(x), _Ranks(y)
    return _ratio(u.covariance(v), u.covariance(u), v.covariance(v), groups, level)


def kendall_tau_b(x: ArrayLike, y: ArrayLike, clusters: Labels = None, level: float = 0.95) -> Estimate | Undefined:
    """Kendall's tau-b (1945, Biometrika 33:239): concordant minus discordant pairs of items, corrected for ties.

    The difference is divided by the root of (pairs not tied in x) times (pairs not tied in y).
    Arguments, errors and Undefined as in `spearman`.
    """
    x, y, groups = _items(x, y, clusters)
    if impossible := _nothing_to_correlate(x, y, groups):
        return impossible
    n = len(x)
    order = np.lexsort((y, x))
    i, j = np.unique(x[order], return_inverse=True)[1], np.unique(y[order], return_inverse=True)[1]
    per_item = np.empty((3, n))
    per_item[:, order] = _concordance(i, j) / n, 1 - np.bincount(i)[i] / n, 1 - np.bincount(j)[j] / n
    parts = [(float(share.mean()), 2 * (share - share.mean())) for share in per_item]
    return _ratio(parts[0], parts[1], parts[2], groups, level)


def _ratio(c: Part, a: Part, b: Part, groups: Codes | None, level: float) -> Estimate | Undefined:
    """r = c / sqrt(a b) with its interval, from c, a, b and the influence of each item on them."""
    scale = np.sqrt(a[0] * b[0])
    r = float(c[0] / scale)
    if abs(r) > 1 - 1e-12:
        return Undefined(f"the correlation is exactly {r:+.0f}: no spread to judge by", _units(c[1], groups))
    influence = c[1] / scale - r / 2 * (a[1] / a[0] + b[1] / b[0])
    return _mapped_back(r, influence / (1 - r**2), groups, level, "")


def _mapped_back(r: float, influence: Floats, groups: Codes | None, level: float, kind: str) -> Estimate | Undefined:
    """The t interval of z = artanh(r), from the influence of each item on z."""
    z = mean(np.arctanh(r) + influence, groups, level)
    if isinstance(z, Undefined):
        return z
    method = f"{kind}{z.method} of Fisher's z".replace("prompts", "items")
    return Estimate(r, float(np.tanh(z.low)), float(np.tanh(z.high)), level, z.n, method)


def _items(x: ArrayLike, y: ArrayLike, clusters: Labels) -> tuple[Floats, Floats, Codes | None]:
    x, y = finite_vector(x, "x"), finite_vector(y, "y")
    if len(x) != len(y):
        raise ValueError(f"x has {len(x)} scores but y has {len(y)}")
    return x, y, None if clusters is None else codes_of(clusters, len(x))


def _units(x: Floats, groups: Codes | None) -> int:
    return len(x) if groups is None else len(np.unique(groups))


def _nothing_to_correlate(x: Floats, y: Floats, groups: Codes | None) -> Undefined | None:
    if len(x) == 0:
        return Undefined("no item has both scores")
    units = _units(x, groups)
    constant = " and ".join(name for name, scores in (("x", x), ("y", y)) if scores.min() == scores.max())
    if constant:
        return Undefined(f"the scores in {constant} are all the same: nothing to correlate", units)
    return (
        Undefined(f"all {len(x)} items are in one group, and an interval needs two groups", 1) if units == 1 else None
    )


def _unit(deviations: Floats) -> Floats:
    scaled = deviations / np.abs(deviations).max()  # first, so that no square overflows
    unit: Floats = scaled / np.sqrt(scaled @ scaled)
    return unit


def _without(dx: Floats, dy: Floats, units: Codes) -> tuple[Floats, Floats]:
    """Numerator and denominator of the correlation without each unit, from centred scores of length 1."""
    (_, _), (c, a, b) = moments_without(dx, dy, units)
    # What rounding leaves of a score that is constant without the unit counts as nothing.
    return c, np.sqrt(np.where((a > 1e-12) & (b > 1e-12), a * b, 0.0))


def moments_without(x: Floats, y: Floats, units: Codes) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats, Floats]]:
    """Means of `x` and `y`, and sums of squares (xy, xx, yy) around them, when each unit in turn is left out.

    `units`: codes from 0 up, shape (n,). Each result has shape (units,). Give centred scores: the sums are then exact.
    """
    left = len(x) - np.bincount(units)
    sums = [part.sum() - np.bincount(units, part) for part in (x, y, x * y, x * x, y * y)]
    mean_x, mean_y = sums[0] / left, sums[1] / left
    xy, xx, yy = sums[2] - left * mean_x * mean_y, sums[3] - left * mean_x**2, sums[4] - left * mean_y**2
    return (mean_x, mean_y), (xy, xx, yy)


def jackknife_influence(without: Floats, units: Codes) -> Floats:
    """The influence of each item, shape (n,), from a quantity's values `without` each unit (Tukey 1958).

    What a unit does is spread over its items so that `mean` of them gives the jackknife's variance.
    """
    sizes = np.bincount(units)
    influence: Floats = ((len(without) - 1) * (without.mean() - without) / sizes * sizes.mean())[units]
    return influence


class _Ranks:
    """The share of items below each item, half of those tied with it, minus one half."""

    def __init__(self, values: Floats) -> None:
        _, self.codes, self.counts = np.unique(values, return_inverse=True, return_counts=True)
        self.centred = ((np.cumsum(self.counts) - self.counts / 2) / len(values) - 0.5)[self.codes]

    def covariance(self, other: _Ranks) -> Part:
        c = float(np.mean(self.centred * other.centred))
        both = self._mean_above(other.centred) + other._mean_above(self.centred)
        return c, self.centred * other.centred + both - 3 * c

    def _mean_above(self, weights: Floats) -> Floats:
        """For each item the sum of the weights of the items above it, half of those tied with it, over n."""
        totals = np.bincount(self.codes, weights)
        above: Floats = (totals.sum() - np.cumsum(totals) + totals / 2) / len(weights)
        return above[self.codes]


def _concordance(i: Codes, j: Codes) -> Codes:
    """For each item the concordant minus the discordant items; `i`, `j` are dense ranks sorted by i, then j."""
    n = len(i)
    position = np.arange(n)
    lower_i = np.searchsorted(i, i)  # items with a smaller i
    pair = i * (int(j.max()) + 1) + j
    same_i_lower_j = np.searchsorted(pair, pair) - lower_i
    same_i_upto_j = np.searchsorted(pair, pair, "right") - lower_i
    earlier_lower, earlier_upto = _earlier(j)
    both_lower = earlier_lower - same_i_lower_j
    lower_i_upto_j = earlier_upto - (position - lower_i)
    upto_i = np.searchsorted(i, i, "right")
    sizes = np.bincount(j)
    upto_j = np.cumsum(sizes)[j]
    lower_j = upto_j - sizes[j]
    both_higher = n - upto_i - upto_j + lower_i_upto_j + same_i_upto_j
    lower_i_higher_j = lower_i - lower_i_upto_j
    higher_i_lower_j = lower_j - both_lower - same_i_lower_j
    concordance: Codes = both_lower + both_higher - lower_i_higher_j - higher_i_lower_j
    return concordance


def _earlier(j: Codes) -> tuple[Codes, Codes]:
    """For each place how many earlier places have a smaller j, and how many a smaller or equal one.

    A merge sort that counts: halves of size 1, 2, 4 ... are compared all at once, so the work is n log(n)^2.
    """
    n = len(j)
    smaller, upto = np.zeros(n, dtype=np.intp), np.zeros(n, dtype=np.intp)
    position = np.arange(n)
    half = 1
    while half < n:
        block, second = position // (2 * half), position // half % 2 == 1
        key = block * n + j
        firsts = np.sort(key[~second])
        before = block[second] * half  # the first halves of earlier blocks are full
        smaller[second] += np.searchsorted(firsts, key[second]) - before
        upto[second] += np.searchsorted(firsts, key[second], "right") - before
        half *= 2
    return smaller, upto
