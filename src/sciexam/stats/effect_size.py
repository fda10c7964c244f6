"""How far two contestants' rewards lie apart: effect sizes, the ratio of their spreads, distances of distributions."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciexam.stats.clusters import Floats, codes_of, finite_vector
from sciexam.stats.correlation import jackknife_influence, moments_without
from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.mean import mean
from sciexam.stats.skewed_mean import skewed_mean

Codes = NDArray[np.intp]
Labels = Iterable[Hashable] | None

ROUNDING = 1e-12  # a sum of squares this small beside the others is what rounding left
LARGEST = 1e100  # of a reward


def cliffs_delta(a: ArrayLike, b: ArrayLike, clusters: Labels = None, level: float = 0.95) -> Estimate | Undefined:
    """Cliff's delta: P(a > b) - P(a < b) for rewards of two prompts drawn apart (1993, Psychological Bulletin 114:494).

    `a`, `b`, shape (n,): rewards on the same prompts. All n * n pairs count, and the interval knows that both rewards
    of a prompt vary together: it is a t interval of artanh(delta) over each prompt's influence on it, mapped back.
    Where every a is above every b (or below), its limit is the exact one of n // 2 disjoint pairs of prompts.
    `clusters` as in `sciexam.stats.mean.mean`. Undefined for one unit. Raises ValueError for NaN, infinities, rewards
    above 1e100 in size, lengths that differ, and a level outside (0, 1).
    """
    a, b, groups, n = _pairs(a, b, clusters, level)
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
    The interval is that of the jackknife over units, `sciexam.stats.skewed_mean` of its pseudo-values. Arguments and
    errors as in `cliffs_delta`.
    Undefined for fewer than three units, and where neither contestant's rewards vary.
    """
    a, b, groups, n = _pairs(a, b, clusters, level)
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
    d = skewed_mean(shift / pooled + jackknife_influence(without, units), groups, level)
    return _mapped(d, shift / pooled, np.positive, "approximate: jackknife {}")


def sd_ratio(a: ArrayLike, b: ArrayLike, clusters: Labels = None, level: float = 0.95) -> Estimate | Undefined:
    """The standard deviation of a's rewards over that of b's on the same prompts.

    The interval is that of the jackknife over units on the logarithm. Arguments and errors as in `cliffs_delta`.
    Undefined for fewer than three units, and where the rewards of one do not vary.
    """
    a, b, groups, n = _pairs(a, b, clusters, level)
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
    The order of the prompts does not matter. Arguments and errors as in `cliffs_delta`, and ValueError for
    resamples < 1. Undefined for one unit, and where a and b agree on every prompt.
    """
    a, b, groups, n = _pairs(a, b, clusters, level)
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, not {resamples!r}")
    if n < 2 or np.array_equal(a, b):
        why = _too_few(n, groups) if n < 2 else Undefined("both rewards are the same on every prompt", n)
        return why, why
    a, b, units = _in_order(a, b, np.arange(n) if groups is None else groups)
    both = np.concatenate([a, b])
    order = np.argsort(both, kind="stable")
    steps = np.diff(both[order])
    ends = np.flatnonzero(steps)  # the last place of each value but the greatest, where both functions are 1
    steps, signs, unit = steps[ends], np.where(order < len(a), 1, -1), np.tile(units, 2)[order]
    gap = np.cumsum(signs)[ends] / len(a)
    sizes = np.bincount(units)
    errors = np.empty((resamples, 2))
    rng = np.random.default_rng(seed)
    for row in errors:
        weights = np.bincount(rng.integers(0, n, n), minlength=n)
        error = np.abs(np.cumsum(signs * weights[unit])[ends] / (weights @ sizes) - gap)
        row[:] = error.max(), error @ steps
    wide, large = (float(half) for half in np.quantile(errors, level, axis=0, method="higher"))
    greatest, area = float(np.abs(gap).max()), float(np.abs(gap) @ steps)
    method = f"bootstrap of the error over {_unit_name(groups)}; conservative"
    smirnov = Estimate(greatest, max(0.0, greatest - wide), min(1.0, greatest + wide), level, n, method)
    return smirnov, Estimate(area, max(0.0, area - large), area + large, level, n, method)


def _in_order(a: Floats, b: Floats, units: Codes) -> tuple[Floats, Floats, Codes]:
    """Rows and units in an order that depends on their rewards alone, so that a seed draws the same of them."""
    order = np.lexsort((b, a))
    a, b, units = a[order], b[order], units[order]
    keys = np.lexsort([np.bincount(units, part) for part in (a * b, b, a, np.ones(len(a)))])
    return a, b, np.argsort(keys)[units]


def _dominance(values: Floats, others: Floats) -> Floats:
    """For each value the share of `others` below it minus the share above."""
    others = np.sort(others)
    below, upto = np.searchsorted(others, values), np.searchsorted(others, values, "right")
    share: Floats = (below + upto) / len(others) - 1
    return share


def _mapped(z: Estimate | Undefined, value: float, back: Callable[[float], float], method: str) -> Estimate | Undefined:
    if isinstance(z, Undefined):
        return z
    method = method.format(z.method.removeprefix("approximate: "))
    return Estimate(value, float(back(z.low)), float(back(z.high)), z.level, z.n, method)


def _pairs(a: ArrayLike, b: ArrayLike, clusters: Labels, level: float) -> tuple[Floats, Floats, Codes | None, int]:
    """Finite rewards of the same prompts, their groups, and the number of units; `level` is only checked."""
    check_level(level)
    a, b = reasonable(finite_vector(a, "a"), "a"), reasonable(finite_vector(b, "b"), "b")
    same_length(a, b)
    groups = groups_of(clusters, len(a))
    return a, b, groups, len(a) if groups is None else len(np.unique(groups))


def _too_few(n: int, groups: Codes | None, needed: int = 2) -> Undefined:
    if n == 0:
        return Undefined("no prompt has two finite rewards")
    count = "one" if n == 1 else str(n)
    unit = _unit_name(groups)[: None if n > 1 else -1]
    return Undefined(f"only {count} {unit} with two finite rewards, and an interval needs {needed}", n)


def _unit_name(groups: Codes | None) -> str:
    return "prompts" if groups is None else "groups"


def groups_of(clusters: Labels, n: int) -> Codes | None:
    return None if clusters is None else codes_of(clusters, n)


def same_length(a: Floats, b: Floats) -> None:
    if len(a) != len(b):
        raise ValueError(f"a has {len(a)} rewards but b has {len(b)}; give both contestants' on the same prompts")


def reasonable(values: Floats, name: str) -> Floats:
    """`values`, none of which is so large that its square overflows. Raises ValueError where one is."""
    if np.abs(values).max(initial=0.0) > LARGEST:
        raise ValueError(f"{name} must not exceed {LARGEST:g} in size: squares of larger rewards are no numbers")
    return values


def check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level!r}")
