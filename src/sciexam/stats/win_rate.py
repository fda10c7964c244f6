"""The win rate: the mean over prompts of a contestant's score, where 1 is a win, 0 a loss and 1/2 a tie."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import numpy as np
from numpy.typing import ArrayLike

from sciexam.stats.clusters import Floats, finite_vector
from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.mean import mean

ROUNDING = 1e-12  # of a score that was averaged


def win_rate(
    scores: ArrayLike, clusters: Iterable[Hashable] | None = None, level: float = 0.95
) -> Estimate | Undefined:
    """The mean of `scores` with a two-sided interval at `level`.

    `scores`, shape (n,): one score in [0, 1] for each prompt, already averaged over its orders, samples and judges.
    `clusters`: one label for each prompt; prompts with one label are one unit. Default: each prompt is its own.
    The interval is `sciexam.stats.mean.bounded_interval`, also for a clean sweep; win_rate(1 - scores) is its mirror.
    At level .95 it covers 94-96 % with some hundred prompts and more, and at least 94 % with fewer (docs/coverage.md).
    Undefined for no prompt and for one unit. Raises ValueError for scores outside [0, 1], NaN, lengths that differ.
    """
    return mean(unit_scores(scores), clusters, level, low=0.0, high=1.0)


def bounds(scores: ArrayLike, planned: int) -> tuple[float, float]:
    """The win rate over `planned` prompts were all the prompts without a score lost, or won.

    Raises ValueError where there are more scores than planned prompts, or nothing was planned.
    """
    scores = unit_scores(scores)
    if planned < max(1, len(scores)):
        raise ValueError(f"{len(scores)} prompts have a score, but only {planned} were planned")
    won = float(scores.sum())
    return won / planned, (won + planned - len(scores)) / planned


def unit_scores(scores: ArrayLike, name: str = "scores") -> Floats:
    """`scores` as float64 of shape (n,). Raises ValueError for a score outside [0, 1] or NaN; `name` is for it.

    A weighted average that rounding has put just outside is taken for 0 or 1.
    """
    vector = finite_vector(scores, name)
    if len(vector) and (vector.min() < -ROUNDING or vector.max() > 1 + ROUNDING):
        raise ValueError(f"{name} must lie in [0, 1], not [{vector.min():g}, {vector.max():g}]")
    return np.clip(vector, 0.0, 1.0)
