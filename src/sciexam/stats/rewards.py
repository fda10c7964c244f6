"""The distribution of a reward model's rewards, and how it moves from one contestant to another on the same prompts.

Rewards have no bounds and no natural unit, some are not finite, and a reward of one model says nothing about that of
another model. Not-finite rewards are counted apart and never enter a figure.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciexam.stats.clusters import Floats, cluster_totals, codes_of, finite_vector
from sciexam.stats.correlation import jackknife_influence, moments_without
from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.mean import bounded_interval, mean
from sciexam.stats.paired import sign_flip_differences

Codes = NDArray[np.intp]
Labels = Iterable[Hashable] | None

MANY = 1_000  # prompts from which a t interval covers 94 % even of lognormal rewards: benchmarks/coverage_rewards.py
ROUNDING = 1e-12  # a sum of squares this small beside the others is what rounding left


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

    `difference`: the mean of a - b. `permutation_p`: its sign-flip test. `wilcoxon_p`: the signed-rank test, by the
    same flips, so that with clusters it is that of Rosner, Glynn and Lee (2006, Biometrics 62:185).
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

    `clusters`: one label for each prompt; prompts with one label are one unit of the intervals. Default: each its own.
    Undefined where no reward is finite. Raises ValueError for another shape and labels that miss or do not match.
    """
    rewards = _vector(rewards, "rewards")
    groups = _groups(clusters, len(rewards))
    finite = np.isfinite(rewards)
    kept = rewards[finite]
    if len(kept) == 0:
        return Undefined(f"none of {len(rewards)} rewards is finite" if len(rewards) else "there are no rewards")
    labels = None if groups is None else groups[finite]
    low, q05, q25, q75, q95, high = (float(q) for q in np.quantile(kept, (0, 0.05, 0.25, 0.75, 0.95, 1)))
    return Distribution(
        n=len(kept),
        not_finite=int((~finite).sum()),
        mean=_approximate(mean(kept, labels, level)),
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
    Undefined for too few units: at 95 % six are needed. Raises ValueError for NaN and infinities.
    """
    values = finite_vector(values, "values")
    groups = _groups(clusters, len(values))
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
    Raises ValueError for lengths or labels that do not match, draws < 1 and resamples < 1.
    """
    a, b = _vector(a, "a"), _vector(b, "b")
    _same_length(a, b)
    groups = _groups(clusters, len(a))
    finite = np.isfinite(a) & np.isfinite(b)
    a, b, labels = a[finite], b[finite], None if groups is None else groups[finite]
    smirnov, wasserstein = distances(a, b, labels, level, seed, resamples)
    return RewardComparison(
        pairs=len(a),
        not_finite=int((~finite).sum()),
        difference=_approximate(mean(a - b, labels, level)),
        permutation_p=sign_flip_differences(a - b, labels, seed, draws),
        wilcoxon_p=sign_flip_differences(_signed_ranks(a - b), labels, seed, draws),
        sd_ratio=sd_ratio(a, b, labels, level),
        brown_forsythe_p=_brown_forsythe(a, b),
        cliffs_delta=cliffs_delta(a, b, labels, level),
        cohens_d=cohens_d(a, b, labels, level),
        kolmogorov_smirnov=smirnov,
        wasserstein=wasserstein,
    )


def cliffs_delta(a: ArrayLike, b: ArrayLike, clusters: Labels = None, level: float = 0.95) -> Estimate | Undefined:
    """Cliff's delta: P(a > b) - P(a < b) for rewards of two prompts drawn apart (1993, Psychological Bulletin 114:494).

    `a`, `b`, shape (n,): rewards on the same prompts. All n * n pairs count, and the interval knows that both rewards
    of a prompt vary together: it is a t interval of artanh(delta) over each prompt's influence on it, mapped back.
    Where every a is above every b (or below), its limit is the exact one of n // 2 disjoint pairs of prompts.
    `clusters` as in `distribution`. Undefined for one unit. Raises ValueError for NaN and lengths that differ.
    """
    a, b, groups, n = _pairs(a, b, clusters)
    if n < 2:
        return _too_few(n, groups)
    a_over_b, b_over_a = _dominance(a, b), _dominance(b, a)
    delta = float(a_over_b.mean())
    if abs(delta) > 1 - 1e-12:
        limit = 2 * ((1 - level) / 2) ** (1 / (n // 2)) - 1
        low, high = (limit, 1.0) if delta > 0 else (-1.0, -limit)
        kind = (
            "exact limit from disjoint pairs of prompts"
            if groups is None
            else "approximate: limit from pairs of groups"
        )
        return Estimate(float(np.sign(delta)), low, high, level, n, kind)
    influence = a_over_b - b_over_a - 2 * delta
    z = mean(np.arctanh(delta) + influence / (1 - delta**2), groups, level)
    return _mapped(z, delta, np.tanh, "{} of artanh(delta)")


def cohens_d(a: ArrayLike, b: ArrayLike, clusters: Labels = None, level: float = 0.95) -> Estimate | Undefined:
    """Cohen's d_av: the mean of a - b over sqrt((sd(a)^2 + sd(b)^2) / 2) (Lakens 2013, Frontiers Psychol. 4:863).

    Not d_z, which divides by the sd of the differences and so grows with the correlation of the two contestants.
    The interval is that of the jackknife over units. Arguments and errors as in `cliffs_delta`.
    Undefined for fewer than three units, and where neither contestant's rewards vary.
    """
    a, b, groups, n = _pairs(a, b, clusters)
    if n < 3:
        return _too_few(n, groups, needed=3)
    units = np.arange(n) if groups is None else groups
    shift, pooled = float(np.mean(a - b)), float(np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2))
    (mean_a, mean_b), (_, squares_a, squares_b) = moments_without(a - a.mean(), b - b.mean(), units)
    squares = squares_a + squares_b
    if np.ptp(a) == np.ptp(b) == 0 or squares.min() <= ROUNDING * squares.max():
        return Undefined("the rewards do not vary, or would not without one unit: no unit to measure by", n)
    left = len(a) - np.bincount(units)
    without = (shift + mean_a - mean_b) / np.sqrt(squares / 2 / (left - 1))
    d = mean(shift / pooled + jackknife_influence(without, units), groups, level)
    return _mapped(d, shift / pooled, np.positive, "approximate: jackknife {}")


def sd_ratio(a: ArrayLike, b: ArrayLike, clusters: Labels = None, level: float = 0.95) -> Estimate | Undefined:
    """The standard deviation of a's rewards over that of b's on the same prompts.

    The interval is that of the jackknife over units on the logarithm. Arguments and errors as in `cliffs_delta`.
    Undefined for fewer than three units, and where the rewards of one do not vary.
    """
    a, b, groups, n = _pairs(a, b, clusters)
    if n < 3:
        return _too_few(n, groups, needed=3)
    units = np.arange(n) if groups is None else groups
    _, (_, squares_a, squares_b) = moments_without(a - a.mean(), b - b.mean(), units)
    still = any(np.ptp(rewards) == 0 for rewards in (a, b))
    if still or any(squares.min() <= ROUNDING * squares.max() for squares in (squares_a, squares_b)):
        return Undefined("the rewards of one contestant do not vary, or would not without one unit", n)
    log_ratio = float(np.log(a.std() / b.std()))
    z = mean(log_ratio + jackknife_influence(np.log(squares_a / squares_b) / 2, units), groups, level)
    return _mapped(z, float(np.exp(log_ratio)), np.exp, "approximate: jackknife {} of the logarithm")


def distances(
    a: ArrayLike,
    b: ArrayLike,
    clusters: Labels = None,
    level: float = 0.95,
    seed: int = 0,
    resamples: int = 999,
) -> tuple[Estimate | Undefined, Estimate | Undefined]:
    """Kolmogorov and Smirnov's distance of two contestants' distribution functions, and Wasserstein's of order 1.

    The first is their greatest difference, max |F_a - F_b|, between 0 and 1; the second the area between them, in the
    unit of the rewards. Both are positive for any sample, also of two equal distributions, and a bootstrap of them is
    even further from 0. So the interval is not taken from their bootstrap but from that of the error of F_a - F_b: by
    the triangle inequality a distance is wrong by no more than that error's size, whose quantile at `level` over
    `resamples` bootstrap samples of units is the half-width. It is wider than need be, and holds at 0 too.
    Arguments and errors as in `cliffs_delta`. Undefined for one unit, and where a and b agree on every prompt.
    """
    a, b, groups, n = _pairs(a, b, clusters)
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, not {resamples!r}")
    if n < 2 or np.array_equal(a, b):
        why = _too_few(n, groups) if n < 2 else Undefined("both rewards are the same on every prompt", n)
        return why, why
    grid, place = np.unique(np.concatenate([a, b]), return_inverse=True)
    signs = np.repeat([1.0, -1.0], len(a))
    gap = np.cumsum(np.bincount(place, signs)) / len(a)
    steps = np.diff(grid)
    errors = np.empty((resamples, 2))
    rng = np.random.default_rng(seed)
    for row in errors:
        weights = np.bincount(rng.integers(0, n, n), minlength=n)[np.arange(n) if groups is None else groups]
        error = np.abs(np.cumsum(np.bincount(place, signs * np.tile(weights, 2))) / weights.sum() - gap)
        row[:] = error.max(), error[:-1] @ steps
    wide, large = (float(half) for half in np.quantile(errors, level, axis=0, method="higher"))
    greatest, area = float(np.abs(gap).max()), float(np.abs(gap[:-1]) @ steps)
    method = f"bootstrap of the error over {_unit_name(groups)}; conservative"
    smirnov = Estimate(greatest, max(0.0, greatest - wide), min(1.0, greatest + wide), level, n, method)
    return smirnov, Estimate(area, max(0.0, area - large), area + large, level, n, method)


def _brown_forsythe(a: Floats, b: Floats) -> float | None:
    """Levene's test on the distances from the medians; None where these do not vary."""
    from scipy.stats import f_oneway

    from_median = [np.abs(rewards - np.median(rewards)) for rewards in (a, b) if len(rewards) > 1]
    if len(from_median) < 2 or all(np.ptp(distance) == 0 for distance in from_median):
        return None
    return float(f_oneway(*from_median).pvalue)


def _signed_ranks(differences: Floats) -> Floats:
    """Ranks of the absolute differences that are not 0, tied ones averaged, with the differences' signs."""
    size = np.abs(differences)
    _, codes, counts = np.unique(size[size > 0], return_inverse=True, return_counts=True)
    ranks = np.zeros(len(differences))
    ranks[size > 0] = (np.cumsum(counts) - (counts - 1) / 2)[codes]
    return ranks * np.sign(differences)


def _dominance(values: Floats, others: Floats) -> Floats:
    """For each value the share of `others` below it minus the share above."""
    others = np.sort(others)
    below, upto = np.searchsorted(others, values), np.searchsorted(others, values, "right")
    share: Floats = (below + upto) / len(others) - 1
    return share


def _approximate(estimate: Estimate | Undefined) -> Estimate | Undefined:
    """Few rewards with a long tail on one side are more than a t interval can answer for."""
    if isinstance(estimate, Undefined) or estimate.n >= MANY:
        return estimate
    return replace(estimate, method=f"approximate: {estimate.method}")


def _mapped(z: Estimate | Undefined, value: float, back: Callable[[float], float], method: str) -> Estimate | Undefined:
    if isinstance(z, Undefined):
        return z
    return Estimate(value, float(back(z.low)), float(back(z.high)), z.level, z.n, method.format(z.method))


def _vector(values: ArrayLike, name: str) -> Floats:
    """As `finite_vector`, with what is not finite left in."""
    vector = np.asarray(values, dtype=np.float64)
    finite_vector(np.where(np.isfinite(vector), vector, 0.0), name)
    return vector.reshape(-1)


def _same_length(a: Floats, b: Floats) -> None:
    if len(a) != len(b):
        raise ValueError(f"a has {len(a)} rewards but b has {len(b)}; give both contestants' on the same prompts")


def _pairs(a: ArrayLike, b: ArrayLike, clusters: Labels) -> tuple[Floats, Floats, Codes | None, int]:
    """Finite rewards of the same prompts, their groups, and the number of units."""
    a, b = finite_vector(a, "a"), finite_vector(b, "b")
    _same_length(a, b)
    groups = _groups(clusters, len(a))
    return a, b, groups, len(a) if groups is None else len(np.unique(groups))


def _groups(clusters: Labels, n: int) -> Codes | None:
    return None if clusters is None else codes_of(clusters, n)


def _unit_name(groups: Codes | None) -> str:
    return "prompts" if groups is None else "groups"


def _too_few(n: int, groups: Codes | None, needed: int = 2) -> Undefined:
    if n == 0:
        return Undefined("no prompt has two finite rewards")
    count = "one" if n == 1 else str(n)
    unit = _unit_name(groups)[: None if n > 1 else -1]
    return Undefined(f"only {count} {unit} with two finite rewards, and an interval needs {needed}", n)
