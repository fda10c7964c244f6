"""A mean from few human labels and many predictions of a judge (prediction-powered inference, PPI++).

Angelopoulos, Duchi & Zrnic 2023 (arXiv 2311.01453), sections 2 and 6. With n labelled items (label Y, prediction f) and
N items with a prediction only,

    value  = lambda mean(f_unlabelled) + mean(Y - lambda f_labelled)
    lambda = (cov(Y, f) / n) / (var(f_labelled) / n + var(f_unlabelled) / N), clipped to [0, 1]

with moments that divide by n and by N: of single items, and with clusters those of their totals.

The judge may be biased as it likes: what it gets wrong on the labelled items is taken out. lambda is how far it is
relied on, and at 0 only the labels count.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciexam.stats.clusters import Floats, codes_of, finite_vector
from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.mean import beta_limits, mean

FEW = 20  # labelled units; coverage with fewer was not measured (benchmarks/coverage_predicted.py)
# Units without a label: how much their mean varies is known from them alone. With 5 of them the interval of a judge
# that is right on .95 covers .86 of the time, with 1 never.
FEWEST_UNLABELLED = 20
# Clusters of wins, and as many of losses, that join the data for the variance: more than `mean` takes, because a judge
# that happens to be right on all of a few labelled items would leave next to none.
PSEUDO = 1.75


@dataclass(frozen=True, slots=True)
class PredictionPowered:
    """`estimate`: from labels and predictions; `classical`: from the labels alone; `lambda_`: the weight of the judge.

    `gain`: how many times as many labels the classical estimate would need to be as certain, 1 or less where the judge
    did not help. `note` says in words what the judge bought.
    """

    estimate: Estimate
    classical: Estimate
    lambda_: float
    gain: float
    note: str


def prediction_powered_mean(
    labels: ArrayLike,
    predictions_labelled: ArrayLike,
    predictions_unlabelled: ArrayLike,
    clusters_labelled: Iterable[Hashable] | None = None,
    clusters_unlabelled: Iterable[Hashable] | None = None,
    level: float = 0.95,
    low: float | None = None,
    high: float | None = None,
) -> PredictionPowered | Undefined:
    """The mean of `labels` over all items, helped by predictions of the same quantity, with an interval at `level`.

    `labels`, `predictions_labelled`, shape (n,): what a human said of each labelled item, and what the judge said.
    `predictions_unlabelled`, shape (N,): what the judge said of the items without a label.
    The labelled items must be a random sample of all items: if the humans took the easy ones, no interval here is
    right. An item with a label must not be among the unlabelled ones too, unless its cluster label says that it is the
    same item. `clusters_*`: one label for each item, both or neither; items with one label are one unit, also where
    some of them are labelled and some are not. Default: each item is its own.
    With `low` and `high` (win rates: 0 and 1) labels must lie between them, and the interval is that of `mean` with
    bounds, at the effective n that the predictions leave; the value is clipped to the bounds. Else a t interval.
    With fewer than 20 units without a label the judge has no weight: how they vary would not be known.
    Undefined where the labels alone have no interval. Raises ValueError as `mean` does, for lengths that differ, and
    for clusters given for one part only.
    """
    y, f = finite_vector(labels, "labels"), finite_vector(predictions_labelled, "predictions_labelled")
    g = finite_vector(predictions_unlabelled, "predictions_unlabelled")
    if len(y) != len(f):
        raise ValueError(f"{len(y)} labels but {len(f)} predictions for them")
    codes = joined_codes(clusters_labelled, clusters_unlabelled, len(y), len(g))
    classical = mean(y, None if clusters_labelled is None else codes[: len(y)], level, low, high)
    if isinstance(classical, Undefined):
        return classical
    offset, scale = (0.0, 1.0) if low is None or high is None else (low, high - low)
    parts = _parts((y - offset) / scale, (f - offset) / scale, (g - offset) / scale, codes)
    weight = _power_tuned(parts)
    if weight == 0:
        return PredictionPowered(classical, classical, 0.0, 1.0, _note(0.0, 1.0, False, parts))
    interval = _unbounded if low is None else _bounded
    (value, lower, upper), variance = interval(parts, weight, level)
    _, alone = interval(parts, 0.0, level)
    if variance <= 1e-24 * alone:
        return Undefined("the predictions equal the labels on every labelled item: no error to judge by", classical.n)
    lower, upper = offset + scale * float(lower), offset + scale * float(upper)
    units = "items" if clusters_labelled is None else "groups of items"
    how = "t interval" if low is None else "beta interval at the effective number of labels"
    method = f"prediction-powered with lambda {weight:.2f}, {how}, over {units}"
    if classical.n < FEW:
        method = f"approximate: {method}"
    estimate = Estimate(offset + scale * float(value), lower, upper, level, classical.n, method)
    narrower = upper - lower < classical.high - classical.low
    gain = alone / variance
    return PredictionPowered(estimate, classical, weight, gain, _note(weight, gain, narrower, parts))


def joined_codes(
    labelled: Iterable[Hashable] | None, unlabelled: Iterable[Hashable] | None, n: int, big_n: int
) -> NDArray[np.intp]:
    """The cluster of each of the n labelled and then the big_n unlabelled items, as a code from 0 up.

    Raises ValueError where one part has clusters and the other has none, or not one label for each item.
    """
    if labelled is None and unlabelled is None:
        return codes_of(None, n + big_n)
    if labelled is None or unlabelled is None:
        raise ValueError("give clusters_labelled and clusters_unlabelled, or neither")
    first, second = list(labelled), list(unlabelled)
    for part, count, name in ((first, n, "clusters_labelled"), (second, big_n, "clusters_unlabelled")):
        if len(part) != count:
            raise ValueError(f"{name} must be one label for each of the {count} items, not {len(part)}")
    return codes_of(first + second, n + big_n)


@dataclass(frozen=True, slots=True)
class _Parts:
    """Sums over each cluster, shape (clusters,): of labels, of predictions in either part, and of items in either."""

    labels: Floats
    labelled: Floats
    unlabelled: Floats
    n_labelled: Floats
    n_unlabelled: Floats

    @property
    def n(self) -> float:
        return float(self.n_labelled.sum())

    @property
    def big_n(self) -> float:
        return float(self.n_unlabelled.sum())

    @property
    def independent(self) -> float:
        """The labelled clusters, fewer where they differ in size."""
        return self.n**2 / float((self.n_labelled**2).sum())

    @property
    def knows_unlabelled(self) -> bool:
        """Whether enough clusters are unlabelled to tell how their mean varies."""
        return self.big_n**2 >= FEWEST_UNLABELLED * float((self.n_unlabelled**2).sum()) > 0

    def deviations(self) -> Floats:
        """What each cluster adds to n times the difference of the two mean predictions, less its expectation."""
        labelled: Floats = self.labelled - self.labelled.sum() / self.n * self.n_labelled
        if self.big_n == 0:
            return labelled
        mean_unlabelled = self.unlabelled.sum() / self.big_n
        unlabelled: Floats = self.unlabelled - mean_unlabelled * self.n_unlabelled
        return labelled - self.n / self.big_n * unlabelled


def _parts(y: Floats, f: Floats, g: Floats, codes: NDArray[np.intp]) -> _Parts:
    count = int(codes.max()) + 1

    def summed(part: NDArray[np.intp], values: Floats) -> Floats:
        return np.bincount(part, values, count).astype(np.float64)

    first, second = codes[: len(y)], codes[len(y) :]
    return _Parts(
        labels=summed(first, y),
        labelled=summed(first, f),
        unlabelled=summed(second, g),
        n_labelled=summed(first, np.ones(len(y))),
        n_unlabelled=summed(second, np.ones(len(g))),
    )


def _power_tuned(parts: _Parts) -> float:
    """The lambda of least variance (section 6), each moment being that between clusters; 0 without a use."""
    if not parts.knows_unlabelled or parts.independent < 3:
        return 0.0
    predicted = parts.deviations()
    labels = parts.labels - parts.labels.sum() / parts.n * parts.n_labelled
    spread = float(predicted @ predicted)
    if spread <= 1e-24 * float(parts.labelled @ parts.labelled + parts.unlabelled @ parts.unlabelled):
        return 0.0  # what rounding leaves of predictions that are all the same
    return float(np.clip(labels @ predicted / spread, 0.0, 1.0))


def _value(parts: _Parts, weight: float) -> float:
    value = float(parts.labels.sum()) / parts.n
    if weight == 0:
        return value
    return value + weight * float(parts.unlabelled.sum() / parts.big_n - parts.labelled.sum() / parts.n)


def _squares(parts: _Parts, weight: float, centre: float) -> float:
    """The squared errors of clusters of labels about `centre`, less what the judge explains of them.

    One degree of freedom pays for lambda, which was chosen to make this small.
    """
    errors = parts.labels - centre * parts.n_labelled - weight * parts.deviations()
    freedom = parts.independent - 1
    return float(errors @ errors) * (freedom / (freedom - 1) if weight > 0 else 1.0)


def _unbounded(parts: _Parts, weight: float, level: float) -> tuple[Floats, float]:
    """(value, low, high) of the t interval, and the variance; with lambda 0 that of `mean`."""
    from scipy.special import stdtrit

    value, freedom = _value(parts, weight), parts.independent - 1
    squares = _squares(parts, weight, parts.labels.sum() / parts.n)
    variance = squares / parts.n**2 * parts.independent / freedom
    half = -stdtrit(freedom - (weight > 0), (1 - level) / 2) * np.sqrt(variance)
    return np.array([value, value - half, value + half]), variance


def _bounded(parts: _Parts, weight: float, level: float) -> tuple[Floats, float]:
    """(value, low, high) in [0, 1], and the variance, by the limits of `mean.bounded_interval` at the effective n.

    Of the clusters of wins and losses that join the data for the variance, the judge is taken to know nothing.
    """
    size = float((parts.n_labelled**3).sum() / (parts.n_labelled**2).sum())
    padded = parts.n + 2 * PSEUDO * size
    value = min(1.0, max(0.0, _value(parts, weight)))
    centre, regular = ((parts.n * v + PSEUDO * size) / padded for v in (float(parts.labels.sum()) / parts.n, value))
    squares = _squares(parts, weight, centre) + PSEUDO * size**2 * (centre**2 + (1 - centre) ** 2)
    variance = squares / (parts.n * padded)
    effective = regular * (1 - regular) / variance

    low, high = beta_limits(value, effective, level)
    return np.array([value, low, high]), variance


def _note(weight: float, gain: float, narrower: bool, parts: _Parts) -> str:
    if parts.big_n == 0:
        return "the judge bought nothing: there are no items without a label"
    if not parts.knows_unlabelled:
        return f"the judge bought nothing: it takes {FEWEST_UNLABELLED} items without a label, and there are fewer"
    if weight == 0:
        return "the judge bought nothing: its predictions do not go with the labels (lambda is 0)"
    if gain <= 1 or not narrower:
        return "the judge bought nothing: the interval is no narrower than that of the labels alone"
    return f"the judge was worth {gain - 1:.0%} more labels"
