"""Arena-Hard's own score of a model against its baseline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sciexam.stats.estimate import Undefined
from sciexam.stats.win_rate import unit_scores

STRONG_WEIGHT = 3  # how many rows Arena-Hard makes of a verdict >> or <<
ROUNDS = 100  # of its bootstrap
LEVEL = 0.95  # of its interval in v0.1
LEVEL_V2 = 0.9  # and in v2.0


@dataclass(frozen=True, slots=True)
class ArenaHardScore:
    """A row of Arena-Hard's table: `score` and the limits of its interval are of 100.

    `games` were judged; `rows` is what they weigh.
    """

    score: float
    low: float
    high: float
    games: int
    rows: int


def arena_hard_score(
    scores: ArrayLike, strong: ArrayLike, seed: int = 0, level: float = LEVEL
) -> ArenaHardScore | Undefined:
    """Arena-Hard's win rate of one model against the baseline (Li et al. 2024, arXiv 2406.11939).

    One entry for each game that counts, shape (n,), two games a prompt: `scores`, the model's score (1, 1/2 or 0);
    `strong`, whether the verdict was >> or <<, which counts as three rows. v0.1 leaves out a game without a verdict
    and keeps the other one of its prompt; v2.0 leaves out both, and counts each category by itself.

    v0.1 fits Bradley-Terry to the rows of all models. Every row is against the baseline, so the fit of each model is
    its own and has a closed form: the predicted win rate is the weighted mean of the scores. v2.0 takes the mean. That
    is not a win rate: a prompt that was won by far counts up to three times.

    `low` and `high` are the origin's interval: quantiles of 100 resamples of the rows, .025 and .975 in v0.1, .05 and
    .95 in v2.0 (`level` LEVEL_V2). It takes the two games of a prompt, and the three rows of one verdict, for
    independent, so it is too narrow. The origin draws without a seed: its own limits differ from run to run, and v2.0
    prints the mean of the resamples' means, whose expectation is the mean of the rows that is given here.

    Undefined for no game. Raises ValueError for scores outside [0, 1], NaN, arrays of different lengths, and a level
    that is none.
    """
    scores, strong = unit_scores(scores), np.asarray(strong, dtype=np.bool_)
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level!r}")
    if len(scores) != len(strong):
        raise ValueError(f"{len(scores)} scores but {len(strong)} values in strong")
    if len(scores) == 0:
        return Undefined("no game has a verdict")
    rows = np.repeat(scores, np.where(strong, STRONG_WEIGHT, 1))
    drawn = np.random.default_rng(seed).choice(rows, size=(ROUNDS, len(rows))).mean(1)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return ArenaHardScore(100 * float(rows.mean()), 100 * float(low), 100 * float(high), len(scores), len(rows))
