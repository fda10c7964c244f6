"""Krippendorff's alpha on a nominal, ordinal, interval or ratio scale, with an interval over items or clusters."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from sciexam.stats.agreement import ONE_CLASS
from sciexam.stats.chance_corrected import Score, estimate
from sciexam.stats.clusters import Floats
from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.rating_table import Codes, Table, check_number, pair_sums, rating_sums, read_ratings, tabulate

Measurement = Literal["nominal", "ordinal", "interval", "ratio"]
MEASUREMENTS = ("nominal", "ordinal", "interval", "ratio")
PACKAGE_CELLS = 2**22  # items x values^2 up to which the package is used: it holds three float64 arrays of that size


def krippendorff_alpha(
    ratings: ArrayLike,
    measurement: Measurement = "nominal",
    clusters: Iterable[Hashable] | None = None,
    level: float = 0.95,
    seed: int = 0,
    draws: int = 0,
) -> Estimate | Undefined:
    """Krippendorff's alpha (2011, Computing Krippendorff's Alpha-Reliability); 1 is agreement, 0 that of chance.

    `ratings`, shape (raters, items): numbers with NaN, or for "nominal" also labels with None, where one is missing.
    Items with fewer than two ratings do not count. "ratio" needs ratings that are not negative.
    The value is that of the package krippendorff. Above 2**22 items x values^2, where that would take more than a
    hundred megabytes, it is that of our own coincidence matrix, which gives the same to 1e-12.

    The interval comes from the coincidence matrix as a function of the weights of the items, or of the clusters (one
    label for each item; items with one label are one unit): see `sciexam.stats.chance_corrected.fisher_limits`. With
    draws > 0 it is the percentile bootstrap of so many draws instead, each with its own coincidence matrix and, for
    "ordinal", its own distances; coverage is then lower. Draws with one category alone are left out and counted.
    Undefined where no item has two ratings and where all ratings that count are equal. Raises ValueError for an
    unknown measurement, labels on a scale with an order, and more than 1,000 different values.
    """
    if measurement not in MEASUREMENTS:
        raise ValueError(f"measurement must be one of {', '.join(MEASUREMENTS)}, not {measurement!r}")
    read = read_ratings(ratings)
    if read.numbers is None and measurement != "nominal":
        raise ValueError(f"a measurement of {measurement!r} needs numbers as ratings; words are 'nominal'")
    codes = np.where(np.count_nonzero(read.codes >= 0, axis=0) >= 2, read.codes, np.int32(-1))
    used = np.unique(codes[codes >= 0])
    check_number(len(used))
    if len(used) < len(read.categories):
        codes = np.where(codes >= 0, np.searchsorted(used, codes), -1).astype(np.int32)
    values = np.arange(len(used), dtype=np.float64) if read.numbers is None else read.numbers[used]
    if measurement == "ratio" and len(values) and values[0] < 0:
        raise ValueError("a measurement of 'ratio' needs ratings that are not negative")
    table, pattern = tabulate(codes, len(used))
    values = _scaled(values, measurement)
    statistic = partial(alpha_score, values=values, measurement=measurement)
    packaged = _package_alpha(codes, values, measurement)
    return estimate(statistic, table, pattern, clusters, level, seed, draws, value=packaged)


def coincidence_matrix(table: Table) -> Floats:
    """The coincidence matrix with each pattern weighted by its count, shape (values, values).

    An item with m ratings adds 1 / (m - 1) to the cell of each ordered pair of its ratings.
    """
    size = table.size
    weights = table.counts / np.maximum(table.rated - 1, 1)
    matrix = np.zeros((size + 1) ** 2)
    for one, first in enumerate(table.slots):
        for second in table.slots[one + 1 :]:
            matrix += np.bincount((first + 1) * (size + 1) + second + 1, weights, (size + 1) ** 2)
    half: Floats = matrix.reshape(size + 1, size + 1)[1:, 1:]
    return half + half.T


def alpha_score(table: Table, values: Floats, measurement: Measurement) -> Score | Undefined:
    """Alpha, 1 - (N - 1) sum(o d) / sum(n n' d), on a table whose items all have two ratings or none."""
    matrix = coincidence_matrix(table)
    marginals = matrix.sum(0)
    ratings = float(marginals.sum())
    unequal = 1 - float(marginals @ marginals) / ratings**2 if ratings else 0.0
    if unequal < 1e-12:
        return Undefined(ONE_CLASS)
    distance = _distances(values, marginals, measurement)
    observed = float((matrix * distance).sum())
    expected = float(marginals @ distance @ marginals)
    if expected <= 0:
        return Undefined("the values lie too close together to tell them apart on their scale")
    # One more item of a pattern adds its own pairs and its ratings to the marginals, which also shape the distances.
    in_observed, in_expected = np.zeros(table.size), 2 * distance @ marginals
    if measurement == "ordinal":
        rank = _midranks(marginals)
        in_observed = _through_ranks(4 * (marginals * rank - matrix @ rank))
        in_expected = in_expected + _through_ranks(4 * marginals * (ratings * rank - marginals @ rank))
    own = 2 * pair_sums(table, distance) / np.maximum(table.rated - 1, 1)
    observed_part = own + rating_sums(table.slots, in_observed)
    expected_part = rating_sums(table.slots, in_expected)
    ratio = observed / expected
    influence = ((ratings - 1) * (ratio * expected_part - observed_part) - observed * table.rated) / expected
    return Score(1 - (ratings - 1) * ratio, influence, 1 - 1 / unequal)


def _scaled(values: Floats, measurement: Measurement) -> Floats:
    """The same values on a scale on which no square overflows or vanishes; alpha does not depend on the scale."""
    if len(values) < 2 or measurement in ("nominal", "ordinal"):
        return values
    if measurement == "interval":
        values = values / np.abs(values).max()
        values = values - values[0]
    scaled: Floats = values / values[-1]
    return scaled


def _distances(values: Floats, marginals: Floats, measurement: Measurement) -> Floats:
    """The squared differences of the metric, shape (values, values)."""
    if measurement == "nominal":
        return 1 - np.eye(len(values))
    scale = _midranks(marginals) if measurement == "ordinal" else values
    apart: Floats = scale[:, None] - scale
    if measurement == "ratio":
        sums = scale[:, None] + scale
        apart = apart / np.where(sums == 0, 1.0, sums)
    return apart**2


def _midranks(marginals: Floats) -> Floats:
    """How many ratings lie below the middle of each value: their differences are Krippendorff's ordinal metric."""
    below: Floats = np.cumsum(marginals)
    return below - marginals / 2


def _through_ranks(gradient: Floats) -> Floats:
    """From a gradient in the midranks to one in the marginals: a rating lifts its own by 1/2, higher ones by 1."""
    above: Floats = np.cumsum(gradient[::-1])[::-1]
    return above - gradient / 2


def _package_alpha(codes: Codes, values: Floats, measurement: Measurement) -> float | None:
    """Alpha by the package krippendorff, or None where it is not defined, or would take too much memory."""
    kept = codes[:, (codes >= 0).any(0)]
    if len(values) < 2 or kept.shape[1] * len(values) ** 2 > PACKAGE_CELLS:
        return None
    import krippendorff

    items = np.arange(kept.shape[1])
    counts = np.zeros((len(items), len(values)), dtype=np.int64)
    for row in kept:
        given = row >= 0
        counts[items[given], row[given]] += 1
    alpha = krippendorff.alpha(value_counts=counts, value_domain=values, level_of_measurement=measurement)
    return float(alpha)
