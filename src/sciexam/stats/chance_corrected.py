"""The interval of an agreement statistic of the form 1 - observed / expected disagreement, over items or clusters."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sciexam.stats.clusters import Floats, codes_of
from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.rating_table import Table

PSEUDO = 1 / 3  # of a unit that agrees, and as much of one that disagrees, join the data for the interval
LEAST_FREEDOM = 5.0  # degrees of freedom that the t quantile never falls below, units permitting
FEW = 50  # below this many units the measured coverage of the 95 % interval can be less than 94 %


@dataclass(frozen=True, slots=True)
class Score:
    """A statistic on one table: its value, what each pattern does to it, and what a disagreement would score.

    `influence`, shape (patterns,): the derivative of the value with respect to the pattern's count; its sum weighted by
    the counts is zero up to O(1 / items). `unequal`: 1 - d / expected, where d is the mean distance of two ratings
    that differ by chance: what the value would be if every pair were like them.
    """

    value: float
    influence: Floats
    unequal: float


Statistic = Callable[[Table], Score | Undefined]


def estimate(
    statistic: Statistic,
    table: Table,
    pattern: NDArray[np.intp],
    clusters: Iterable[Hashable] | None,
    level: float,
    seed: int,
    draws: int,
    limits: Callable[[Score], tuple[float, float, str]] | None = None,
    value: float | None = None,
) -> Estimate | Undefined:
    """`statistic` on `table` with its interval; `pattern`, shape (items,), is the pattern of each item.

    `value`: the same value from elsewhere, to stand in its place.
    With draws = 0 the interval is that of `fisher_limits` (or of `limits`, a statistic's own), otherwise the percentile
    interval of so many bootstrap draws of the items, or of the clusters.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level!r}")
    if draws < 0:
        raise ValueError(f"draws must be 0 (no bootstrap) or more, not {draws!r}")
    units = None if clusters is None else codes_of(clusters, len(pattern))
    paired = table.rated >= 2
    n = int(table.counts[paired].sum()) if units is None else len(np.unique(units[paired[pattern]]))
    name = "items" if units is None else "groups"
    if n == 0:
        return Undefined("no item has two ratings")
    score = statistic(table)
    if isinstance(score, Undefined):
        return Undefined(score.why, n)
    if value is not None:
        score = replace(score, value=value)
    if n == 1:
        return Undefined(f"only one of the {name} has two ratings, and an interval needs two", 1)
    if draws:
        return _bootstrap(statistic, score, table, pattern, units, n, level, seed, draws)
    if limits is not None:
        low, high, method = limits(score)
        return Estimate(score.value, low, high, level, n, method)
    influence, weights = score.influence, table.counts
    if units is not None:
        influence = np.bincount(units, influence[pattern]).astype(np.float64)
        weights = np.ones(len(influence))
    low, high = fisher_limits(score, n * influence, weights, n, level)
    method = f"{'approximate: ' if n < FEW else ''}Fisher's z, infinitesimal jackknife over {name}, t quantile"
    return Estimate(score.value, low, high, level, n, method)


def fisher_limits(score: Score, deviations: Floats, weights: Floats, n: int, level: float) -> tuple[float, float]:
    """(low, high) from the n-fold influence of each unit, `deviations`, of which there are `weights`.

    The standard error is the infinitesimal jackknife's (Jaeckel 1972; Efron 1982, chapter 6): the limit of the
    bootstrap of the units for small changes of their weights, without its randomness. The limits are symmetric on the
    scale of Fisher's z, artanh(value), which keeps them inside (-1, 1). A third of a unit of pairs that agree and a
    third of one of pairs that differ by chance join the data, without which raters who never differed would claim to
    know what they have not seen. The degrees of freedom of the t quantile are 2 / (squared coefficient of variation of
    the estimated variance), from the fourth moment of the influences: where few units carry most of the variance, few
    count. benchmarks/coverage_agreement.py measures coverage beside that of the percentile bootstrap.
    """
    from scipy.special import stdtrit

    total = n + 2 * PSEUDO
    centre = (n * score.value + PSEUDO * (score.unequal + 1)) / total
    centre = float(np.clip(centre, -0.999, 1 - 1e-12))
    moved = deviations + score.value - centre
    pseudo = np.array([score.unequal - centre, 1 - centre])
    squares = float(weights @ moved**2 + PSEUDO * (pseudo**2).sum())
    error = np.sqrt(squares / total / (total - 1))
    half = -stdtrit(_freedom(deviations, weights, n), (1 - level) / 2) * error / (1 - centre**2)
    low, high = np.tanh(np.arctanh(centre) - half), np.tanh(np.arctanh(centre) + half)
    return float(min(low, score.value)), float(max(high, score.value))


def _freedom(deviations: Floats, weights: Floats, n: int) -> float:
    """Degrees of freedom of the variance estimated from `deviations`: n - 1 at most, and where there is no spread."""
    largest = float(np.abs(deviations).max())
    if largest == 0:
        return n - 1
    scaled = deviations / largest
    excess = n * float(weights @ scaled**4) / float(weights @ scaled**2) ** 2 - 1
    return min(max(LEAST_FREEDOM, 2 * n / max(excess, 1e-9)), n - 1)


def _bootstrap(
    statistic: Statistic,
    score: Score,
    table: Table,
    pattern: NDArray[np.intp],
    units: NDArray[np.intp] | None,
    n: int,
    level: float,
    seed: int,
    draws: int,
) -> Estimate | Undefined:
    """The percentile bootstrap (Efron 1979). Drawing items is a multinomial over their patterns."""
    rng = np.random.default_rng(seed)
    drawn = _item_draws(rng, table) if units is None else _cluster_draws(rng, table, pattern, units)
    paired = table.rated >= 2
    values = []
    for _ in range(draws):
        counts = drawn()
        again = statistic(table.weighted(counts)) if counts[paired].any() else None
        if isinstance(again, Score):
            values.append(again.value)
    name = "items" if units is None else "groups"
    if 2 * len(values) <= draws:
        return Undefined(f"in {draws - len(values)} of {draws} bootstrap draws the statistic is not defined", n)
    if max(values) - min(values) < 1e-12:
        return Undefined("every bootstrap draw gives the same value; without draws there is an interval", n)
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    left_out = draws - len(values)
    method = f"approximate: percentile bootstrap over {name}, {draws} draws"
    if left_out:
        method += f", {left_out} of them left out because the statistic is not defined there"
    return Estimate(score.value, float(min(low, score.value)), float(max(high, score.value)), level, n, method)


def _item_draws(rng: np.random.Generator, table: Table) -> Callable[[], Floats]:
    items = int(table.counts.sum())
    return lambda: rng.multinomial(items, table.counts / items).astype(np.float64)


def _cluster_draws(
    rng: np.random.Generator, table: Table, pattern: NDArray[np.intp], units: NDArray[np.intp]
) -> Callable[[], Floats]:
    # The labels' own order must not matter, so the clusters stand in the order of what is in them.
    from scipy.sparse import csr_array

    size = int(units.max()) + 1
    held = csr_array((np.ones(len(units)), (units, pattern)), shape=(size, len(table.counts)))
    key = held @ np.random.default_rng(0).random(len(table.counts))
    held = held[np.argsort(key, kind="stable")]
    return lambda: np.bincount(rng.integers(0, size, size), minlength=size).astype(np.float64) @ held
