"""How far stated probabilities are from what happened: calibration error, Brier score and the table behind them.

`probabilities`, shape (n,): what was said of each item, in [0, 1]. `outcomes`, shape (n,): what happened, 0 or 1 (or a
share). `clusters`: one label for each item; items with one label are one unit. Bins are of equal mass: their edges are
quantiles of the probabilities, and equal probabilities stay together, so there can be fewer bins than asked for.
Raise ValueError for values outside [0, 1], NaN, lengths that differ and less than one bin.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciexam.stats.clusters import Floats, codes_of
from sciexam.stats.correlation import jackknife_influence
from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.mean import mean
from sciexam.stats.win_rate import unit_scores

BINS = 10
NOTHING = "no item has both a probability and an outcome"


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Items of similar probability, from `low` to `high`: the mean `predicted`, and the share `observed`."""

    low: float
    high: float
    items: int
    predicted: float
    observed: Estimate | Undefined


def brier_score(
    probabilities: ArrayLike, outcomes: ArrayLike, clusters: Iterable[Hashable] | None = None, level: float = 0.95
) -> Estimate | Undefined:
    """The mean squared difference of probability and outcome (Brier 1950, Monthly Weather Review 78:1); 0 is the best.

    One half, said of everything, scores .25. The interval is that of `sciexam.stats.mean.mean` with bounds.
    """
    said, happened = _both(probabilities, outcomes)
    if len(said) == 0:
        return Undefined(NOTHING)
    return mean((said - happened) ** 2, clusters, level, low=0.0, high=1.0)


def expected_calibration_error(
    probabilities: ArrayLike,
    outcomes: ArrayLike,
    bins: int = BINS,
    clusters: Iterable[Hashable] | None = None,
    level: float = 0.95,
) -> Estimate | Undefined:
    """The mean over items of |mean outcome - mean probability| of their bin (Naeini et al. 2015, AAAI 29:2901).

    It is above 0 even for perfect probabilities, by chance: `error_if_calibrated` says how far. The interval is a
    jackknife over units with the bins kept, a t interval cut off at 0 and 1; it does not take that bias out, and is
    called approximate. At level .95 it covered an error of .2 at 50 to 1,000 items in 93 to 97 % of 400 simulated data
    sets, and one of .05, where chance gives more than that, in 75 % at 100 items.
    Undefined for no item, for one unit, and where leaving out any unit changes nothing.
    """
    said, happened = _both(probabilities, outcomes)
    if len(said) == 0:
        return Undefined(NOTHING)
    units = codes_of(clusters, len(said))
    bin_of = _bins(said, bins)
    gaps = np.zeros((int(units.max()) + 1, int(bin_of.max()) + 1))
    np.add.at(gaps, (units, bin_of), happened - said)
    total, sizes = gaps.sum(0), np.bincount(units)
    value = float(np.abs(total).sum() / len(said))
    if len(sizes) == 1:
        return Undefined("all items are one unit, and an interval needs two", 1)
    without = np.abs(total - gaps).sum(1) / (len(said) - sizes)
    found = mean(value + jackknife_influence(without, units), None if clusters is None else units, level)
    if isinstance(found, Undefined):
        return found
    method = f"approximate: jackknife {found.method}, {len(np.unique(bin_of))} bins of equal mass"
    return Estimate(
        value,
        max(0.0, value - (found.value - found.low)),
        min(1.0, value + found.high - found.value),
        level,
        found.n,
        method,
    )


def error_if_calibrated(probabilities: ArrayLike, bins: int = BINS) -> float:
    """The calibration error that chance alone gives where outcomes follow these probabilities independently.

    In bins of some items the sum of (outcome - probability) is near normal, and the mean of its modulus sqrt(2 V / pi).
    Raises ValueError for no probability.
    """
    said = unit_scores(probabilities, "probabilities")
    if len(said) == 0:
        raise ValueError("there are no probabilities")
    variance = np.bincount(_bins(said, bins), said * (1 - said))
    return float(np.sqrt(2 * variance / np.pi).sum() / len(said))


def reliability_table(
    probabilities: ArrayLike,
    outcomes: ArrayLike,
    bins: int = BINS,
    clusters: Iterable[Hashable] | None = None,
    level: float = 0.95,
) -> tuple[ReliabilityBin, ...]:
    """The bins of `expected_calibration_error` that have items, by rising probability."""
    said, happened = _both(probabilities, outcomes)
    if len(said) == 0:
        return ()
    bin_of = _bins(said, bins)
    units = None if clusters is None else codes_of(clusters, len(said))
    rows = []
    for one in np.unique(bin_of):
        here = bin_of == one
        observed = mean(happened[here], None if units is None else units[here], level, low=0.0, high=1.0)
        mine = said[here]
        rows.append(ReliabilityBin(float(mine.min()), float(mine.max()), int(here.sum()), float(mine.mean()), observed))
    return tuple(rows)


def _bins(said: Floats, bins: int) -> NDArray[np.intp]:
    if bins < 1:
        raise ValueError(f"bins must be at least 1, not {bins!r}")
    edges = np.quantile(said, np.linspace(0, 1, bins + 1)[1:-1])
    return np.searchsorted(edges, said)


def _both(probabilities: ArrayLike, outcomes: ArrayLike) -> tuple[Floats, Floats]:
    said, happened = unit_scores(probabilities, "probabilities"), unit_scores(outcomes, "outcomes")
    if len(said) != len(happened):
        raise ValueError(f"{len(said)} probabilities but {len(happened)} outcomes")
    return said, happened
