"""The mean of one number for each prompt, with an interval over prompts (or over groups of prompts)."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from sciexam.stats.clusters import Floats, cluster_totals, finite_vector
from sciexam.stats.estimate import Estimate, Undefined

# Chosen by simulation (docs/coverage.md). Fewer pseudo clusters let the interval of near all ties fall below 94 %.
PSEUDO = 1.25  # clusters of wins, and as many of losses, that join the data for the variance
CAUTIOUS_PSEUDO = 2.0
# With a smaller one, forced choices at some n and rate are covered less than 94 % of the time (8 gives .939, 10 .940).
LATTICE = 10.0  # the variance of the number of wins at which half of the correction for its being whole is dropped
LEAST_UNITS = 1.5  # groups of equal size (Kish 1965) that a t interval needs: with fewer its width has no meaning


def mean(
    values: ArrayLike,
    clusters: Iterable[Hashable] | None = None,
    level: float = 0.95,
    low: float | None = None,
    high: float | None = None,
) -> Estimate | Undefined:
    """The mean of `values` (shape (n,), one for each prompt) with a two-sided interval at `level`.

    Where the quantity has bounds, give `low` and `high`: the interval is then that of `bounded_interval`, which stays
    honest with few prompts, near a bound, and where all values are equal. Without bounds it is a t interval.
    `clusters`: one label for each value; values with one label are one unit. Default: each value is its own.
    Undefined for no value and for one unit; without bounds also for equal values, and where one group has most of the
    values, so that there is next to nothing to compare it with.
    Raises ValueError for NaN, infinities, values outside the bounds, one bound without the other, lengths that differ.
    """
    values = finite_vector(values, "values")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level!r}")
    if (low is None) != (high is None) or (low is not None and high is not None and low >= high):
        raise ValueError(f"give both bounds, low below high, or neither; not low={low!r}, high={high!r}")
    totals, sizes = cluster_totals(values, clusters)
    units = "prompts" if clusters is None else "groups"
    if (why := _too_few(len(values), len(totals), units)) is not None:
        return why
    if low is None or high is None:
        return _unbounded(values, totals, sizes, level, units)
    if values.min() < low or values.max() > high:
        raise ValueError(f"values must lie in [{low:g}, {high:g}], not [{values.min():g}, {values.max():g}]")
    return _bounded(totals[None], sizes[None], [units], level, low, high)[0]


def means(
    totals: Floats, sizes: Floats, level: float = 0.95, low: float = 0.0, high: float = 1.0
) -> list[Estimate | Undefined]:
    """`mean` of many sets of values between `low` and `high` at once, from sums over clusters.

    `totals` and `sizes`, shape (sets, clusters): the sum of a set's values in each cluster, and how many they are; 0
    where it has none there. Values are their own units in a set that has no two of one cluster.
    """
    units = ["groups" if size > 1 else "prompts" for size in sizes.max(1, initial=0.0).tolist()]
    counts = zip(sizes.sum(1).tolist(), (sizes > 0).sum(1).tolist(), units, strict=True)
    found = [_too_few(int(values), clusters, unit) for values, clusters, unit in counts]
    known = [i for i, why in enumerate(found) if why is None]
    estimates = _bounded(totals[known], sizes[known], [units[i] for i in known], level, low, high)
    return [why or estimates.pop(0) for why in found]


def _too_few(values: int, clusters: int, units: str) -> Undefined | None:
    """Why so many values in so many clusters have no interval, if so."""
    if values == 0:
        return Undefined("no prompt has a score")
    if clusters == 1:
        only = "only one prompt has a score" if values == 1 else f"all {values} prompts are in one group"
        return Undefined(f"{only}, and an interval needs two {units}", 1)
    return None


def _bounded(
    totals: Floats, sizes: Floats, units: Sequence[str], level: float, low: float, high: float
) -> list[Estimate | Undefined]:
    limits = [
        low + (high - low) * limit for limit in bounded_interval((totals - low * sizes) / (high - low), sizes, level)
    ]
    found = zip(*(limit.tolist() for limit in limits), (sizes > 0).sum(1).tolist(), units, strict=True)
    return [
        Estimate(value, lower, upper, level, n, f"beta interval at the effective number of {unit}")
        for value, lower, upper, n, unit in found
    ]


def bounded_interval(
    totals: Floats, sizes: Floats, level: float, cautious: bool = False
) -> tuple[Floats, Floats, Floats]:
    """The mean of scores in [0, 1] and its interval (value, low, high), from sums over clusters of prompts.

    `totals` (..., C): the sum of the scores in each cluster; `sizes`: the prompts in each, of a shape that broadcasts
    to it. The leading axes are independent data sets, so that a simulation measures this very code.

    The value is the ratio sum(totals) / sum(sizes). Its variance between clusters gives the effective n: the number of
    independent 0/1 scores that would be as uncertain (Kish 1965), as Korn and Graubard (1998, Survey Methodology
    24:193) use it for surveys. For 0/1 scores without groups the effective n is n. With x = value n effective wins, the
    lower limit is the tail quantile of Beta(x + c, n - x + 1 - c), the upper one its mirror. c = 0 is Clopper and
    Pearson (1934), never below `level`, often far above it because wins are whole numbers; c = 1/2 is Jeffreys, right
    on average. c goes from the first to the second with the variance m = x (n - x) / n of the wins: c = m / (2m + 20).

    For the variance only, clusters of wins and of losses join the data (after Agresti and Coull 1998), 1.25 of each, as
    large as the clusters in which the variance lies, sum(sizes^3) / sum(sizes^2). Without them all ties, or groups all
    won, would claim to know what they have not seen; they also make Korn and Graubard's t quantile needless.

    At level .95 the interval of forced choices covers at least .940 at any n and rate, and within .94-.96 from rate .1
    to .9 at n = 1000. docs/coverage.md has coverage and width with ties, several judges and groups.

    `cautious`: c = 0 and 2 clusters of each, for a test whose error must not exceed its level.
    """
    pseudo = CAUTIOUS_PSEUDO if cautious else PSEUDO
    prompts, squared_sizes, won = sizes.sum(-1), (sizes**2).sum(-1), totals.sum(-1)
    value = won / prompts
    size = (sizes**3).sum(-1) / squared_sizes
    padded = prompts + 2 * pseudo * size
    regular = (won + pseudo * size) / padded
    squares = ((totals - regular[..., None] * sizes) ** 2).sum(-1)
    squares = squares + pseudo * size**2 * (regular**2 + (1 - regular) ** 2)
    effective = prompts * padded * regular * (1 - regular) / squares

    return value, *beta_limits(value, effective, level, cautious)


def beta_limits(value: ArrayLike, effective: ArrayLike, level: float, cautious: bool = False) -> tuple[Floats, Floats]:
    """The limits (low, high) of a share `value` of `effective` independent 0/1 scores; neither need be whole.

    As in `bounded_interval`; `cautious`: c = 0, the limits of Clopper and Pearson (1934).
    """
    from scipy.special import betaincinv

    value, effective = np.asarray(value, np.float64), np.asarray(effective, np.float64)
    wins, losses, tail = value * effective, (1 - value) * effective, (1 - level) / 2
    spread = value * losses
    c = np.zeros_like(spread) if cautious else spread / (2 * (spread + LATTICE))
    low = np.where(wins > 0, betaincinv(np.where(wins > 0, wins + c, 1), losses + 1 - c, tail), 0.0)
    high = np.where(losses > 0, 1 - betaincinv(np.where(losses > 0, losses + c, 1), wins + 1 - c, tail), 1.0)
    return np.minimum(low, value), np.maximum(high, value)


def _unbounded(values: Floats, totals: Floats, sizes: Floats, level: float, units: str) -> Estimate | Undefined:
    """The t interval of a ratio of cluster sums (Cochran 1977, section 6.3)."""
    from scipy.special import stdtrit

    largest = float(np.abs(values).max())
    totals = totals / (largest or 1.0)  # so that no square is too large or too small for a number
    value = totals.sum() / sizes.sum()
    independent = sizes.sum() ** 2 / (sizes**2).sum()
    if independent < LEAST_UNITS:
        one = f"{sizes.max():g} of {len(values)} prompts are in one of the {len(totals)} groups"
        return Undefined(f"{one}: the others are too few to compare it with", len(totals))
    variance = ((totals - value * sizes) ** 2).sum() / sizes.sum() ** 2 * independent / (independent - 1)
    if np.sqrt(variance) <= 1e-12:
        return Undefined(f"all {len(totals)} {units} have the same value: no spread to judge by", len(totals))
    half = -stdtrit(independent - 1, (1 - level) / 2) * np.sqrt(variance)
    method = f"t interval over {units}"
    value, low, high = (float(largest * limit) for limit in (value, value - half, value + half))
    return Estimate(value, low, high, level, len(totals), method)
