"""The distribution of a reward model's rewards, and how it moves from one contestant to another on the same prompts.

Rewards have no bounds and no natural unit, some are not finite, and a reward of one model says nothing about that of
another model. Not-finite rewards are counted apart and never enter a figure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sciexam.stats.clusters import Floats, cluster_totals, finite_vector
from sciexam.stats.effect_size import (
    Codes,
    Labels,
    check_level,
    cliffs_delta,
    cohens_d,
    distances,
    groups_of,
    reasonable,
    same_length,
    sd_ratio,
)
from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.mean import bounded_interval
from sciexam.stats.paired import sign_flip_differences
from sciexam.stats.skewed_mean import skewed_mean


@dataclass(frozen=True, slots=True)
class Distribution:
    """Rewards of one contestant; `n` finite ones are described, `not_finite` others (NaN, infinities) only counted.

    `sd` divides by n - 1. The quantiles interpolate linearly between the two nearest rewards.
    """

    n: int
    not_finite: int
    mean: Estimate | Undefined
    sd: float | Undefined
    median: Estimate | Undefined
    min: float
    q05: float
    q25: float
    q75: float
    q95: float
    max: float


@dataclass(frozen=True, slots=True)
class RewardComparison:
    """Rewards of contestant a against those of b on the same prompts; positive says that a's are higher.

    `pairs` counts the prompts on which both are finite; `not_finite` the others, which enter nothing. The p-values are
    two-sided, and None where there is nothing to test.

    `difference`: the mean of a - b (`sciexam.stats.skewed_mean`). `permutation_p`: its sign-flip test. `wilcoxon_p`:
    the signed-rank test, by the same flips, so that with clusters it is that of Rosner, Glynn and Lee (2006,
    Biometrics 62:185).
    `sd_ratio`: the spread of a over that of b, as a paired quantity. `brown_forsythe_p`: the usual test for it (1974,
    JASA 69:364), which takes the two samples and the prompts as independent, and so is a rough guide here.
    `cliffs_delta`, `cohens_d`, `kolmogorov_smirnov`, `wasserstein`: see the functions of those names.
    """

    pairs: int
    not_finite: int
    difference: Estimate | Undefined
    permutation_p: float | None
    wilcoxon_p: float | None
    sd_ratio: Estimate | Undefined
    brown_forsythe_p: float | None
    cliffs_delta: Estimate | Undefined
    cohens_d: Estimate | Undefined
    kolmogorov_smirnov: Estimate | Undefined
    wasserstein: Estimate | Undefined


def distribution(rewards: ArrayLike, clusters: Labels = None, level: float = 0.95) -> Distribution | Undefined:
    """Mean and median with intervals, spread and quantiles of `rewards`, shape (n,), one for each prompt.

    The mean's interval is that of `sciexam.stats.skewed_mean`, because rewards often have a long tail on one side.
    `clusters`: one label for each prompt; prompts with one label are one unit of the intervals. Default: each its own.
    Undefined where no reward is finite. Raises ValueError for another shape, labels that miss or do not match, finite
    rewards above 1e100 in size and a level outside (0, 1).
    """
    rewards = _vector(rewards, "rewards")
    groups = groups_of(clusters, len(rewards))
    finite = np.isfinite(rewards)
    kept = rewards[finite]
    if len(kept) == 0:
        return Undefined(f"none of {len(rewards)} rewards is finite" if len(rewards) else "there are no rewards")
    labels = None if groups is None else groups[finite]
    low, q05, q25, q75, q95, high = (float(q) for q in np.quantile(kept, (0, 0.05, 0.25, 0.75, 0.95, 1)))
    return Distribution(
        n=len(kept),
        not_finite=int((~finite).sum()),
        mean=skewed_mean(kept, labels, level),
        sd=float(kept.std(ddof=1)) if len(kept) > 1 else Undefined("one reward has no spread", 1),
        median=median(kept, labels, level),
        min=low,
        q05=q05,
        q25=q25,
        q75=q75,
        q95=q95,
        max=high,
    )


def median(values: ArrayLike, clusters: Labels = None, level: float = 0.95) -> Estimate | Undefined:
    """The median of `values`, shape (n,), with an interval that inverts a test of "half of them lie at or below".

    Its limits are the lowest and the highest of the values at which the interval of that share
    (`sciexam.stats.mean.bounded_interval`) still reaches one half (Woodruff 1952, JASA 47:635). For values without
    clusters that is the sign test's interval, exact for every distribution. `clusters` as in `distribution`.
    Undefined for too few units: at 95 % six are needed. Raises ValueError for NaN, infinities and a level outside
    (0, 1).
    """
    check_level(level)
    values = finite_vector(values, "values")
    groups = groups_of(clusters, len(values))
    if len(values) == 0:
        return Undefined("there are no values")
    units = "prompts" if groups is None else "groups"
    n = len(values) if groups is None else len(np.unique(groups))
    low, minus_high = (_median_limit(signed, groups, level) for signed in (values, -values))
    if low is None or minus_high is None:
        return Undefined(f"{n} {units} are too few for an interval of the median", n)
    middle = float(np.median(values))
    return Estimate(middle, min(low, middle), max(-minus_high, middle), level, n, f"inverted sign test over {units}")


def _median_limit(values: Floats, groups: Codes | None, level: float) -> float | None:
    """The lowest of the values such that the share at or below it may be one half; None if a lower one may be too."""
    candidates = np.unique(values)

    def reaches_half(x: float, strictly: bool = False) -> bool:
        below = values < x if strictly else values <= x
        totals, sizes = cluster_totals(below.astype(np.float64), groups)
        return bool(bounded_interval(totals, sizes, level, cautious=True)[2] >= 0.5)

    if reaches_half(float(candidates[0]), strictly=True):
        return None
    first, last = 0, len(candidates) - 1
    while first < last:
        middle = (first + last) // 2
        first, last = (first, middle) if reaches_half(float(candidates[middle])) else (middle + 1, last)
    return float(candidates[first])


def compare_rewards(
    a: ArrayLike,
    b: ArrayLike,
    clusters: Labels = None,
    level: float = 0.95,
    seed: int = 0,
    draws: int = 9_999,
    resamples: int = 999,
) -> RewardComparison:
    """Rewards of two contestants on the same prompts, each of shape (n,), compared in every usual way.

    A prompt on which either reward is not finite is left out of both and counted. `clusters` as in `distribution`.
    `draws`: sign patterns of the two permutation tests; `resamples`: bootstrap samples of the two distances.
    Raises ValueError for lengths or labels that do not match, finite rewards above 1e100 in size, a level outside
    (0, 1), draws < 1 and resamples < 1.
    """
    a, b = _vector(a, "a"), _vector(b, "b")
    same_length(a, b)
    groups = groups_of(clusters, len(a))
    finite = np.isfinite(a) & np.isfinite(b)
    a, b, labels = a[finite], b[finite], None if groups is None else groups[finite]
    smirnov, wasserstein = distances(a, b, labels, level, seed, resamples)
    return RewardComparison(
        pairs=len(a),
        not_finite=int((~finite).sum()),
        difference=skewed_mean(a - b, labels, level),
        permutation_p=sign_flip_differences(a - b, labels, seed, draws),
        wilcoxon_p=sign_flip_differences(_signed_ranks(a - b), labels, seed, draws),
        sd_ratio=sd_ratio(a, b, labels, level),
        brown_forsythe_p=_brown_forsythe(a, b),
        cliffs_delta=cliffs_delta(a, b, labels, level),
        cohens_d=cohens_d(a, b, labels, level),
        kolmogorov_smirnov=smirnov,
        wasserstein=wasserstein,
    )


def _brown_forsythe(a: Floats, b: Floats) -> float | None:
    """Levene's test on the distances from the medians; None where these do not vary."""
    from scipy.stats import f_oneway

    from_median = [np.abs(rewards - np.median(rewards)) for rewards in (a, b) if len(rewards) > 1]
    if len(from_median) < 2 or all(np.ptp(distance) == 0 for distance in from_median):
        return None
    p = float(f_oneway(*from_median).pvalue)
    return p if np.isfinite(p) else None  # the squares of distances below 1e-154 are all 0


def _signed_ranks(differences: Floats) -> Floats:
    """Ranks of the absolute differences that are not 0, tied ones averaged, with the differences' signs."""
    size = np.abs(differences)
    _, codes, counts = np.unique(size[size > 0], return_inverse=True, return_counts=True)
    ranks = np.zeros(len(differences))
    ranks[size > 0] = (np.cumsum(counts) - (counts - 1) / 2)[codes]
    return ranks * np.sign(differences)


def _vector(values: ArrayLike, name: str) -> Floats:
    """As `finite_vector`, with what is not finite left in. Raises ValueError also for finite rewards above 1e100."""
    vector = np.asarray(values, dtype=np.float64)
    reasonable(finite_vector(np.where(np.isfinite(vector), vector, 0.0), name), name)
    return vector.reshape(-1)
