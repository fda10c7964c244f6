"""A mean of scores in [0, 1] watched while they come in: an interval and a test that hold at every look.

The method is betting (Waudby-Smith & Ramdas 2024, JRSS B 86:1, arXiv 2010.09686). Against the claim "the mean is m", a
gambler stakes a part h of the capital on a score x at the fair odds x / m: one unit becomes 1 - h + h x / m. Were the
claim true the capital would be a martingale, so it reaches 1 / alpha with probability alpha at most, however long one
watches (Ville 1939). The same is played on 1 - x at the odds (1 - x) / (1 - m), with half of the capital on each side,
spread over fixed stakes:

    K_t(m) = 1/2 sum_h w_h prod_i (1 - h + h x_i / m) + 1/2 sum_h w_h prod_i (1 - h + h (1 - x_i) / (1 - m))

That is their hedged capital (section 4.2) with a mixture in place of a predicted bet. Each factor is log-convex in m,
and so are products and sums of them: the m not yet refuted, K_t(m) < 1 / alpha, always form an interval, which holds
the running mean, because K_t is at most 1 there.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciexam.stats.clusters import Floats, codes_of
from sciexam.stats.conclusion import Conclusion
from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.win_rate import unit_scores

# The best stake is about half the distance from one half over the variance: .2 for forced choices won 60 % of the time,
# .4 at 70 %. Weights log-normal about .35 cost little between 55 % and 100 %, ties or none (benchmarks/sequential.py).
STAKES = np.geomspace(0.06, 0.98, 12)
WEIGHTS = np.exp(-0.5 * (np.log(STAKES / 0.35) / 0.8) ** 2)
WEIGHTS /= WEIGHTS.sum()
MEANS = np.arange(1, 400) / 400  # the claims that are bet against; one half is among them
HALF = 199
METHOD = "confidence sequence by betting, valid at every look, over {units}"


@dataclass(frozen=True, slots=True)
class ConfidenceSequence:
    """What was known after each score; all arrays have shape (n,).

    `value`: the running mean. `low`, `high`: the intersection of the intervals so far; with probability `level` they
    hold the mean at all times at once. low above high says that no single mean fits (or that the level's luck was out).
    `p`: the anytime-valid p-value of "the mean is one half", which only falls.
    """

    value: Floats
    low: Floats
    high: Floats
    p: Floats
    level: float


@dataclass(frozen=True, slots=True)
class Decision:
    """Where a sequence stopped and what it said there.

    `stopped_at` counts the units used (scores, or clusters), `prompts` the scores that had come in by then; where the
    conclusion is "undecided" all were used. `p` is the anytime-valid p-value of "the mean is one half" at the stop.
    """

    stopped_at: int
    prompts: int
    conclusion: Conclusion
    estimate: Estimate
    p: float


class BettingSequence:
    """The running state of a confidence sequence: `update` takes one score in constant time and memory.

    `conclusion` is the first that was reached, and later scores do not change it: "better" or "worse" when one half is
    refuted, "equivalent" when the interval lies inside 1/2 +- `margin` (this one wins where both come at once).
    Where one command watches k pairs, give each the level 1 - alpha / k.
    Raises ValueError for a level outside (0, 1) and a margin outside (0, 1/2).
    """

    def __init__(self, level: float = 0.95, margin: float | None = None):
        if not 0 < level < 1:
            raise ValueError(f"level must lie between 0 and 1, not {level!r}")
        if margin is not None and not 0 < margin < 0.5:
            raise ValueError(f"margin must lie between 0 and 0.5, not {margin!r}")
        self.level, self.margin = level, margin
        self.n = 0
        self.low, self.high = 0.0, 1.0
        self.conclusion: Conclusion = "undecided"
        self._sum = 0.0
        self._peak = 0.0  # the highest log capital against one half
        self._threshold = -np.log1p(-level)
        self._capital = np.tile(np.log(WEIGHTS / 2)[:, None], (2, 1, len(MEANS)))  # log, (side, stake, mean)

    @property
    def value(self) -> float:
        """The mean of the scores so far."""
        return self._sum / self.n

    @property
    def p(self) -> float:
        """The anytime-valid p-value of "the mean is one half": one over the most that betting against it has earned."""
        return float(np.exp(-self._peak))

    def update(self, score: float) -> None:
        """Take the next score. Raises ValueError for one outside [0, 1] or NaN."""
        score = float(score)
        if not 0 <= score <= 1:
            raise ValueError(f"a score must lie in [0, 1], not {score!r}")
        self.n += 1
        self._sum += score
        self._capital[0] += _log_growth(score, MEANS)
        self._capital[1] += _log_growth(1 - score, 1 - MEANS)
        most = self._capital.max(axis=(0, 1))
        log_capital = most + np.log(np.exp(self._capital - most).sum(axis=(0, 1)))
        self._peak = max(self._peak, float(log_capital[HALF]))
        excess = log_capital - self._threshold
        self.low = max(self.low, _lower_limit(excess, self.value))
        self.high = min(self.high, 1 - _lower_limit(excess[::-1], 1 - self.value))
        if self.conclusion == "undecided":
            self.conclusion = self._conclude(bool(excess[HALF] >= 0))

    def estimate(self, units: str = "prompts") -> Estimate | Undefined:
        """The running mean with the interval so far, widened to the mean where this has left it.

        Undefined before the first score.
        """
        if self.n == 0:
            return Undefined("no prompt has a score")
        low, high = self._limits()
        return Estimate(self.value, low, high, self.level, self.n, METHOD.format(units=units))

    def _conclude(self, half_is_refuted: bool) -> Conclusion:
        low, high = self._limits()
        if self.margin is not None and 0.5 - self.margin < low and high < 0.5 + self.margin:
            return "equivalent"
        if half_is_refuted:
            return "better" if self.value > 0.5 else "worse"
        return "undecided"

    def _limits(self) -> tuple[float, float]:
        return min(self.low, self.value), max(self.high, self.value)


def confidence_sequence(scores: ArrayLike, level: float = 0.95) -> ConfidenceSequence | Undefined:
    """The interval and the p-value after each of `scores`, shape (n,), in the order in which they came.

    Each score lies in [0, 1] and is one independent unit: prompts that belong together are averaged first, as `decide`
    does. The order must not depend on the scores (a seeded shuffle, not "as the replies finish"). What is covered is
    the mean that all scores have in expectation given those before, the win rate over the population of prompts; that
    a suite is finite is not used. Undefined for no score. Raises ValueError for scores outside [0, 1] or NaN.
    """
    scores = unit_scores(scores)
    if len(scores) == 0:
        return Undefined("no prompt has a score")
    sequence, rows = BettingSequence(level), np.empty((4, len(scores)))
    for place, score in enumerate(scores):
        sequence.update(score)
        rows[:, place] = sequence.value, sequence.low, sequence.high, sequence.p
    value, low, high, p = rows
    return ConfidenceSequence(value, low, high, p, level)


def decide(
    scores: ArrayLike,
    clusters: Iterable[Hashable] | None = None,
    margin: float | None = None,
    level: float = 0.95,
) -> Decision | Undefined:
    """Read `scores`, shape (n,) in [0, 1], in the given order until they decide, and say what they decided.

    "better" or "worse": one half is refuted; "equivalent": the interval lies inside 1/2 +- `margin`; else "undecided".
    Each wrong conclusion has a probability of at most 1 - level, and so have all together, whatever is looked at.
    The order must not depend on the scores: shuffle by a seed. Where k pairs are decided, give level = 1 - alpha / k.
    `clusters`: one label for each score. A cluster is one observation, the mean of its scores, and comes in with its
    last score. Where clusters differ in size this is a mean over clusters, not over prompts: another quantity than
    `win_rate` estimates, unless size and score are unrelated.
    Undefined for no score. Raises ValueError as `win_rate` does, and for a margin outside (0, 1/2).
    """
    scores = unit_scores(scores)
    sequence = BettingSequence(level, margin)
    means, prompts = _observations(scores, clusters)
    for score in means:
        sequence.update(score)
        if sequence.conclusion != "undecided":
            break
    estimate = sequence.estimate("prompts" if clusters is None else "groups")
    if isinstance(estimate, Undefined):
        return estimate
    return Decision(sequence.n, int(prompts[sequence.n - 1]), sequence.conclusion, estimate, sequence.p)


def log_capital(scores: Floats, m: float) -> Floats:
    """log K_t(m) after each score: the capital that `BettingSequence` holds against the mean m, for many sequences.

    `scores`, shape (..., n); the result has the same shape. m is refuted where it has reached log(1 / alpha).
    """
    total = np.full(scores.shape, -np.inf)
    for stake, weight in zip(STAKES, WEIGHTS, strict=True):
        for x, mean in ((scores, m), (1 - scores, 1 - m)):
            growth = np.log(1 - stake + stake / mean * x)
            total = np.logaddexp(total, np.log(weight / 2) + np.cumsum(growth, axis=-1))
    return total


def _log_growth(x: float, mean: Floats) -> Floats:
    """What each stake's log capital gains against each mean, shape (stakes, means)."""
    growth: Floats = np.log(1 - STAKES[:, None] + STAKES[:, None] * (x / mean))
    return growth


def _lower_limit(excess: Floats, value: float) -> float:
    """The mean below `value` at which the log capital less its threshold falls through zero, or a little less.

    It is convex, so a line through the last two refuted means of the grid lies below it and gives no limit too high.
    """
    below = int(np.searchsorted(MEANS, value))
    refuted = np.flatnonzero(excess[:below] >= 0)
    if len(refuted) == 0:
        return 0.0
    last = int(refuted[-1])
    if last == 0:
        return float(MEANS[0])
    slope = excess[last - 1] - excess[last]
    step = excess[last] / slope if slope > 0 else 0.0
    return min(float(MEANS[last] + min(step, 1.0) * (MEANS[1] - MEANS[0])), value)


def _observations(scores: Floats, clusters: Iterable[Hashable] | None) -> tuple[Floats, NDArray[np.intp]]:
    """The mean of each cluster in the order in which they are complete, and how many scores had come in by then."""
    if clusters is None:
        return scores, np.arange(1, len(scores) + 1)
    codes = codes_of(clusters, len(scores))
    complete = np.zeros(codes.max(initial=-1) + 1, dtype=np.intp)
    np.maximum.at(complete, codes, np.arange(1, len(scores) + 1))
    order = np.argsort(complete)
    return (np.bincount(codes, scores) / np.bincount(codes))[order], complete[order]
