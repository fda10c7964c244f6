"""Agreement among raters on a nominal or ranked scale: percent, Cohen's and Fleiss' kappa, Gwet's AC1 and AC2.

`ratings` has shape (raters, items): numbers with NaN, or labels with None, where a rating is missing. `clusters`, one
label for each item: items with one label are one unit. With `draws` = 0 the interval is that of
`sciexam.stats.chance_corrected.fisher_limits`, which needs no seed; with draws > 0 it is the percentile bootstrap of so
many draws of the items or clusters from `seed`, whose coverage is lower: draws in which the statistic is not defined
are left out and counted in `method`. n counts the items, or clusters, with at least two ratings. Raise ValueError for
another shape, infinite ratings and more than 1,000 different ones.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciexam.stats.chance_corrected import Score, estimate
from sciexam.stats.clusters import Floats, codes_of
from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.mean import mean
from sciexam.stats.rating_table import (
    CodedRatings,
    Table,
    check_number,
    pair_sums,
    rating_sums,
    read_ratings,
    tabulate,
    totals,
)

Weights = Literal["linear", "quadratic", "ordinal"]
ONE_CLASS = "every rating is the same category: there is no disagreement by chance to compare with"


def percent_agreement(
    ratings: ArrayLike,
    clusters: Iterable[Hashable] | None = None,
    level: float = 0.95,
    seed: int = 0,
    draws: int = 0,
) -> Estimate | Undefined:
    """The share of agreeing pairs of raters on an item, averaged over the items with at least two ratings.

    Every such item weighs the same however many rated it; it is the mean P of Fleiss (1971) and Gwet's p_a.
    The interval with draws = 0 is that of `sciexam.stats.mean.mean` with bounds 0 and 1.
    """
    _, table, pattern = _tabulated(ratings)
    units = None if clusters is None else codes_of(clusters, len(pattern))

    def limits(score: Score) -> tuple[float, float, str]:
        paired = (table.rated >= 2)[pattern]
        agreeing = 1 - _differing(table, 1 - np.eye(table.size))[pattern][paired]
        found = mean(agreeing, None if units is None else units[paired], level, low=0.0, high=1.0)
        if isinstance(found, Undefined):
            raise AssertionError(found.why)
        return found.low, found.high, found.method.replace("prompts", "items")

    return estimate(_percent, table, pattern, units, level, seed, draws, limits)


def cohen_kappa(
    first: ArrayLike,
    second: ArrayLike,
    weights: Literal["linear", "quadratic"] | None = None,
    clusters: Iterable[Hashable] | None = None,
    level: float = 0.95,
    seed: int = 0,
    draws: int = 0,
) -> Estimate | Undefined:
    """Cohen's kappa (1960; weighted: 1968) of two raters, on the items that both rated.

    `first`, `second`, shape (items,). `weights`: the disagreement of two categories grows with the difference of their
    ranks, or its square, the ranks counted among the numbers that either rater gave to an item that both rated
    (scikit-learn's way); labels that are not numbers have no order. Undefined where both only ever gave one category.
    """
    read = read_ratings(_two_rows(first, second))
    both = (read.codes >= 0).all(0)
    used = np.unique(read.codes[:, both])
    check_number(len(used))
    codes = np.where(both, np.searchsorted(used, read.codes), -1).astype(np.int32)
    distance = 1 - np.eye(len(used))
    if weights is not None:
        if weights not in ("linear", "quadratic"):
            raise ValueError(f"weights must be None, 'linear' or 'quadratic', not {weights!r}")
        _ordered(read)
        distance = 1 - _closeness(weights, np.arange(len(used), dtype=np.float64))
    table, pattern = tabulate(codes, len(used), ordered=True)
    return estimate(partial(_cohen, distance=distance), table, pattern, clusters, level, seed, draws)


def fleiss_kappa(
    ratings: ArrayLike,
    clusters: Iterable[Hashable] | None = None,
    level: float = 0.95,
    seed: int = 0,
    draws: int = 0,
) -> Estimate | Undefined:
    """Fleiss' kappa (1971), which does not ask who gave which rating.

    Items may have different numbers of ratings: the observed agreement averages over items with two or more, and a
    category's share is the mean over all rated items of its share among the item's ratings (Gwet 2014, section 2.4).
    With as many ratings on every item this is Fleiss' own formula, which is never below -1; where most items have a
    single rating, disagreement on the others can bring it lower. Undefined where every rating is the same category.
    """
    _, table, pattern = _tabulated(ratings)
    return estimate(_fleiss, table, pattern, clusters, level, seed, draws)


def gwet_ac1(
    ratings: ArrayLike,
    clusters: Iterable[Hashable] | None = None,
    level: float = 0.95,
    seed: int = 0,
    draws: int = 0,
    categories: Iterable[Any] | None = None,
) -> Estimate | Undefined:
    """Gwet's AC1 (2008, British Journal of Mathematical and Statistical Psychology 61:29), for two or more raters.

    It stays near the percent agreement where one category prevails, where kappa falls. It depends on how many
    categories there are: give `categories` where one of them may have been used by nobody. Different numbers of
    ratings as in `fleiss_kappa`. Undefined where there is one category alone.
    """
    return _gwet(ratings, None, clusters, level, seed, draws, categories)


def gwet_ac2(
    ratings: ArrayLike,
    weights: Weights = "quadratic",
    clusters: Iterable[Hashable] | None = None,
    level: float = 0.95,
    seed: int = 0,
    draws: int = 0,
    categories: Iterable[float] | None = None,
) -> Estimate | Undefined:
    """Gwet's AC2 (2014, Handbook of Inter-Rater Reliability, chapter 4): AC1 with credit for near categories.

    The ratings, and `categories` where given, are numbers. The weight of two of q categories is 1 - d / D ("linear") or
    1 - d^2 / D^2 ("quadratic"), where d is their difference and D that of the first and the last; or, by their ranks,
    which are r apart, 1 - r (r + 1) / (q (q - 1)) ("ordinal").
    """
    return _gwet(ratings, weights, clusters, level, seed, draws, categories)


def _gwet(
    ratings: ArrayLike,
    weights: Weights | None,
    clusters: Iterable[Hashable] | None,
    level: float,
    seed: int,
    draws: int,
    categories: Iterable[Any] | None,
) -> Estimate | Undefined:
    read, table, pattern = _tabulated(ratings, categories)
    closeness = np.eye(table.size) if weights is None else _closeness(weights, _ordered(read))
    return estimate(partial(_ac, closeness=closeness), table, pattern, clusters, level, seed, draws)


def _tabulated(
    ratings: ArrayLike, categories: Iterable[Any] | None = None
) -> tuple[CodedRatings, Table, NDArray[np.intp]]:
    read = read_ratings(ratings, categories)
    check_number(len(read.categories))
    return read, *tabulate(read.codes, len(read.categories))


def _percent(table: Table) -> Score | Undefined:
    value, part, _ = _observed(table, 1 - np.eye(table.size))
    return Score(1 - value, -part, 0.0)


def _fleiss(table: Table) -> Score | Undefined:
    disagreement, part, _ = _observed(table, 1 - np.eye(table.size))
    shares, moved = _shares(table)
    expected = 1 - float(shares @ shares)
    if expected < 1e-12:
        return Undefined(ONE_CLASS)
    return _score(disagreement, expected, part, -2 * moved(shares), 1.0)


def _ac(table: Table, closeness: Floats) -> Score | Undefined:
    size = table.size
    if size < 2:
        return Undefined("there is only one category: chance agreement is not defined")
    disagreement, part, _ = _observed(table, 1 - closeness)
    shares, moved = _shares(table)
    spread = closeness.sum() / (size * (size - 1))
    expected = 1 - spread * float(shares @ (1 - shares))
    differ = np.outer(shares, shares) * (1 - np.eye(size))
    distance = float((differ * (1 - closeness)).sum() / differ.sum()) if differ.sum() > 1e-12 else 1.0
    return _score(disagreement, expected, part, -spread * moved(1 - 2 * shares), distance)


def _cohen(table: Table, distance: Floats) -> Score | Undefined:
    first, second = table.slots
    counts = np.where(table.rated == 2, table.counts, 0.0)
    rows = totals([first], counts, table.size) / counts.sum()
    columns = totals([second], counts, table.size) / counts.sum()
    expected = float(rows @ distance @ columns)
    if expected < 1e-12:
        return Undefined("both raters gave one and the same category: there is no disagreement by chance")
    disagreement, part, paired = _observed(table, distance)
    by_row, by_column = distance @ columns - expected, rows @ distance - expected
    moved = paired * (rating_sums([first], by_row) + rating_sums([second], by_column)) / counts.sum()
    return _score(disagreement, expected, part, moved, expected / float(1 - rows @ columns))


def _score(disagreement: float, expected: float, observed_part: Floats, expected_part: Floats, unequal: float) -> Score:
    """1 - disagreement / expected with its derivatives, from those of the two; `unequal` is a mean distance."""
    ratio = disagreement / expected
    return Score(1 - ratio, (ratio * expected_part - observed_part) / expected, 1 - unequal / expected)


def _observed(table: Table, distance: Floats) -> tuple[float, Floats, Floats]:
    """The mean distance of two ratings of an item, its derivative for each pattern, and which patterns have a pair."""
    paired = (table.rated >= 2).astype(np.float64)
    items = float(table.counts @ paired)
    differing = _differing(table, distance)
    value = float(table.counts @ differing) / items if items else 0.0
    return value, paired * (differing - value) / max(items, 1.0), paired


def _differing(table: Table, distance: Floats) -> Floats:
    """The mean distance over the pairs of ratings of each pattern; 0 without a pair."""
    pairs = table.rated * (table.rated - 1) / 2
    return pair_sums(table, distance) / np.maximum(pairs, 1)


def _shares(table: Table) -> tuple[Floats, Any]:
    """The mean share of each category, and a function from a gradient in the shares to one in the patterns' counts."""
    rated = np.maximum(table.rated, 1)
    items = float(table.counts[table.rated >= 1].sum())
    shares = totals(table.slots, table.counts / rated, table.size) / items

    def moved(gradient: Floats) -> Floats:
        here = rating_sums(table.slots, gradient) / rated
        return np.where(table.rated >= 1, here - gradient @ shares, 0.0) / items

    return shares, moved


def _closeness(weights: Weights, values: Floats) -> Floats:
    """Agreement weights in [0, 1] of categories with these rising values, shape (size, size)."""
    if weights not in ("linear", "quadratic", "ordinal"):
        raise ValueError(f"weights must be 'linear', 'quadratic' or 'ordinal', not {weights!r}")
    if len(values) < 2:
        return np.eye(len(values))
    if weights == "ordinal":
        rank = np.arange(len(values), dtype=np.float64)
        between: Floats = np.abs(rank[:, None] - rank)
        return 1 - between * (between + 1) / (len(values) * (len(values) - 1))
    scaled = values / np.abs(values).max()
    apart: Floats = np.abs(scaled[:, None] - scaled) / (scaled[-1] - scaled[0])
    return 1 - (apart if weights == "linear" else apart**2)


def _ordered(read: CodedRatings) -> Floats:
    """The categories as numbers."""
    if read.numbers is None:
        raise ValueError("weights need numbers as ratings: words have no order")
    return read.numbers


def _two_rows(first: ArrayLike, second: ArrayLike) -> ArrayLike:
    rows = [np.asarray(row, dtype=object) if not isinstance(row, np.ndarray) else row for row in (first, second)]
    for name, row in zip(("first", "second"), rows, strict=True):
        if row.ndim != 1:
            raise ValueError(f"{name} must be one rating for each item, not an array of shape {row.shape}")
    if len(rows[0]) != len(rows[1]):
        raise ValueError(f"{len(rows[0])} ratings by the first but {len(rows[1])} by the second")
    if any(row.dtype.kind not in "biuf" for row in rows):
        rows = [row.astype(object) for row in rows]
    return np.stack(rows)
