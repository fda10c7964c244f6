"""Power of a comparison: which win rate so many prompts find, and how many prompts find a win rate.

A win rate counts as found where its interval (`win_rate`) excludes one half and the sign-flip p-value is below
(1 - level) / comparisons, the hardest step of Holm's correction. Everything follows from one number: the `variance` of
a prompt's score (averaged over its orders, samples and judges) between equal contestants, which is 1/4 for forced
choices and less with ties and averages. At a win rate p it is taken to be 4 p (1 - p) times that, so that n prompts are
worth n / (4 variance) forced choices at every p, in the sense of the effective number of `mean.bounded_interval`.

In simulations of the very interval and test (forced choices, ties, both orders, probabilities; 1 and 6 comparisons; 15
to 400 prompts) what is promised at 80 % is achieved in 75 to 88 % of the runs.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from sciexam.stats.clusters import Floats, cluster_totals
from sciexam.stats.estimate import Undefined
from sciexam.stats.mean import bounded_interval
from sciexam.stats.variance import PSEUDO
from sciexam.stats.win_rate import unit_scores

FORCED_CHOICE = 0.25  # the variance of a score that is 0 or 1, between equal contestants
DRAWS = 9_999  # of `sign_flip`: no p-value is below 1 / (1 + DRAWS)
FEWEST_PROMPTS = 10  # below them the achieved power can miss the promised one by far
MOST_PROMPTS = 10**7
LAID_OUT = 2_000  # prompts up to which the interval is looked up as it is; from there it narrows as 1 / sqrt(n)
CERTAIN = 1 - 1e-9  # the highest win rate that is looked at


def power_at(
    win_rate: float,
    prompts: int,
    variance: float = FORCED_CHOICE,
    *,
    level: float = 0.95,
    comparisons: int = 1,
) -> float:
    """The probability with which `prompts` prompts find a true win rate of `win_rate` (or of 1 - win_rate).

    `variance`: see this module; more than 1/4 where prompts that share a cluster count for less. `comparisons`: pairs x
    judges that Holm's correction is over. The tail of a binomial at the effective number of prompts, read between its
    steps, so that the power of forced choices, a saw tooth in n, is met on average. 0.0 where no outcome of so few
    prompts could be found. With fewer than ten prompts it promises too much.
    Raises ValueError for a win rate outside (0, 1) or of one half, and for arguments outside their range.
    """
    _check(prompts, variance, level, comparisons)
    if not 0 < win_rate < 1 or win_rate == 0.5:
        raise ValueError(f"win_rate must lie between 0 and 1 and differ from one half, not {win_rate!r}")
    return _power(max(win_rate, 1 - win_rate), prompts, variance, _threshold(prompts, variance, level, comparisons))


def detectable_win_rate(
    prompts: int,
    variance: float = FORCED_CHOICE,
    *,
    power: float = 0.8,
    level: float = 0.95,
    comparisons: int = 1,
) -> float | Undefined:
    """The smallest win rate above one half that `prompts` prompts find with probability `power`.

    `variance`, `level` and `comparisons` as in `power_at`. Undefined for fewer than ten prompts, and where so few find
    nothing, whatever the win rate. Raises ValueError for arguments outside their range.
    """
    from scipy.special import betaincinv

    _check(prompts, variance, level, comparisons)
    _check_power(power)
    threshold = _threshold(prompts, variance, level, comparisons)
    if prompts < FEWEST_PROMPTS:
        return Undefined(f"fewer than {FEWEST_PROMPTS} prompts find hardly anything", prompts)
    if _power(CERTAIN, prompts, variance, threshold) < power:
        over = f" over {comparisons} comparisons" if comparisons > 1 else ""
        return Undefined(f"{prompts} prompts are too few to find any win rate at a level of {level:g}{over}", prompts)
    wins, losses = _steps(prompts, variance, threshold)
    return float(betaincinv(wins, losses, power))


def prompts_needed(
    win_rate: float,
    variance: float = FORCED_CHOICE,
    *,
    power: float = 0.8,
    level: float = 0.95,
    comparisons: int = 1,
) -> int | Undefined:
    """The smallest number of prompts that finds a true win rate of `win_rate` (or 1 - win_rate) with this `power`.

    It is ten at least. `variance`, `level` and `comparisons` as in `power_at`. Undefined where ten million prompts do
    not. Raises ValueError for arguments outside their range.
    """
    _check_power(power)

    def enough(prompts: int) -> bool:
        return power_at(win_rate, prompts, variance, level=level, comparisons=comparisons) >= power

    high = FEWEST_PROMPTS
    if enough(high):
        return high
    while not enough(high):
        if high >= MOST_PROMPTS:
            return Undefined(f"more than {MOST_PROMPTS:,} prompts would be needed")
        high = min(2 * high, MOST_PROMPTS)
    low = high // 2  # not enough
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def power_curve(
    variance: float,
    prompts: Iterable[int],
    *,
    power: float = 0.8,
    level: float = 0.95,
    comparisons: int = 1,
) -> Sequence[tuple[int, float]]:
    """(prompts, detectable win rate) for each number of `prompts`, leaving out those that find nothing."""
    found = ((n, detectable_win_rate(n, variance, power=power, level=level, comparisons=comparisons)) for n in prompts)
    return [(n, rate) for n, rate in found if not isinstance(rate, Undefined)]


def variance_at_one_half(scores: ArrayLike, clusters: Iterable[Hashable] | None = None) -> float | Undefined:
    """The `variance` of this module as a pilot's prompt scores have it: their variance by 4 mean (1 - mean).

    `scores` and `clusters` as in `win_rate`; prompts that share a cluster count for less, so a prompt's variance can
    exceed 1/4. Two clusters of wins and two of losses join the data, so that a few prompts all alike do not promise
    certainty; forced choices keep their 1/4 whatever the rate. Undefined for fewer than two units. Raises as `win_rate`
    does.
    """
    scores = unit_scores(scores)
    totals, sizes = cluster_totals(scores, clusters)
    if len(totals) < 2:
        return Undefined("the variance of the prompts' scores needs two prompts", len(totals))
    prompts = len(scores)
    size = float((sizes**2).sum() / prompts)
    padded = prompts + 2 * PSEUDO * size
    regular = (float(scores.sum()) + PSEUDO * size) / padded
    squares = float(((totals - regular * sizes) ** 2).sum()) + PSEUDO * size**2 * (regular**2 + (1 - regular) ** 2)
    return squares / padded / (4 * regular * (1 - regular))


def with_labels(variance: float, labels: int, judged: int, correlation: float) -> float:
    """The variance that stands for `labels` human labels once `judged` further prompts have a judge's verdict.

    Prediction-powered inference with the tuned weight (Angelopoulos, Duchi & Zrnic 2023, arXiv 2311.01453):
    sigma^2 / n [1 - rho^2 N / (n + N)] for n labels, N judged prompts without one, and the correlation rho of the
    judge's scores with the people's. Use it with `labels` as the number of prompts: the power is then that of the
    joint estimate. `variance`: of a prompt's human score, as in `power_at`.
    Raises ValueError for fewer than one label, a negative number of judged prompts, a variance that is not positive, or
    a correlation outside [-1, 1].
    """
    if labels < 1 or judged < 0:
        raise ValueError(f"1 or more labels and 0 or more judged prompts, not {labels!r} and {judged!r}")
    _check_variance(variance)
    if not -1 <= correlation <= 1:
        raise ValueError(f"correlation must lie in [-1, 1], not {correlation!r}")
    return variance * (1 - correlation**2 * judged / (labels + judged))


def _power(win_rate: float, prompts: int, variance: float, threshold: float) -> float:
    """P(mean score >= threshold)."""
    from scipy.special import betainc

    if threshold > 1 + 1e-9:
        return 0.0
    return float(betainc(*_steps(prompts, variance, threshold), win_rate))


def _steps(prompts: int, variance: float, threshold: float) -> tuple[float, float]:
    """Wins and losses at the threshold among N = n / (4 variance) forced choices; half a step back: between steps."""
    worth = prompts / (4 * variance)
    wins = threshold * worth
    return wins + 0.5, max(worth - wins, 0.0) + 0.5


def _threshold(prompts: int, variance: float, level: float, comparisons: int) -> float:
    """The mean score from which a win rate counts as found; more than 1 where there is none."""
    interval = 0.5 + _interval_reach(min(prompts, LAID_OUT), variance, level) * np.sqrt(min(1.0, LAID_OUT / prompts))
    return float(max(interval, _flip_edge(prompts, 4 * variance, (1 - level) / comparisons)))


@cache
def _interval_reach(prompts: int, variance: float, level: float) -> float:
    """How far above one half a mean score has to be for `bounded_interval` to exclude one half."""
    low, high = 0.0, 0.5
    if _lower_limits(np.array([1.0]), prompts, variance, level)[0] <= 0.5:
        return np.inf
    while high - low > 1e-7:
        steps = np.linspace(low, high, 34)
        excluded = _lower_limits(0.5 + steps[1:-1], prompts, variance, level) > 0.5
        first = int(np.append(excluded, True).argmax())  # the upper end is known to be excluded
        low, high = steps[first], steps[first + 1]
    return float(high)


def _lower_limits(rates: Floats, prompts: int, variance: float, level: float) -> Floats:
    """The interval's lower limit for scores, half of them above a rate and half below, of the variance there."""
    sides: Floats = np.where(np.arange(prompts) % 2 == 0, 1.0, -1.0)
    sides[-1] = 0.0 if prompts % 2 else sides[-1]
    spread = np.sqrt(4 * variance * rates * (1 - rates) * prompts / max(1.0, float(np.abs(sides).sum())))
    limits: Floats = bounded_interval(rates[:, None] + spread[:, None] * sides, np.ones(prompts), level)[1]
    return limits


def _flip_edge(prompts: int, share: float, alpha: float) -> float:
    """The mean score from which the sign-flip p-value is below `alpha`.

    The test compares the sum of the distances from one half with their root sum of squares, in which the observed
    difference is contained; solved for the mean, that is a binomial test at the number of prompts `worth`.
    """
    from scipy.special import ndtri

    if alpha <= 1 / (1 + DRAWS):
        return np.inf  # no p-value of so many draws is that small
    worth = (prompts - ndtri(1 - alpha / 2) ** 2 * (1 - share)) / share
    # All signs alike, on either side, is the smallest p-value there is.
    if worth <= 0 or 2.0 ** (1 - min(prompts, 1000)) >= alpha:
        return np.inf
    return _edge(worth, alpha)


def _edge(worth: float, alpha: float) -> float:
    """The share of `worth` forced choices from which the two-sided binomial p-value is below `alpha`."""
    from scipy.special import betainc

    if 0.5**worth > alpha / 2:
        return np.inf
    low, high = worth / 2, worth
    while high - low > 1e-9 * worth:
        middle = (low + high) / 2
        low, high = (low, middle) if betainc(middle, worth - middle + 1, 0.5) <= alpha / 2 else (middle, high)
    return high / worth


def _check(prompts: int, variance: float, level: float, comparisons: int) -> None:
    if not 1 <= prompts < np.inf or prompts != int(prompts):
        raise ValueError(f"prompts must be a whole number, 1 or more, not {prompts!r}")
    _check_variance(variance)
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level!r}")
    if comparisons < 1:
        raise ValueError(f"comparisons must be 1 or more, not {comparisons!r}")


def _check_variance(variance: float) -> None:
    if not 0 < variance < np.inf:
        raise ValueError(f"variance must be positive (1/4 for forced choices), not {variance!r}")


def _check_power(power: float) -> None:
    if not 0 < power < 1:
        raise ValueError(f"power must lie between 0 and 1, not {power!r}")
