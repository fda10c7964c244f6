"""MT-Bench's own figures: the average score of single ratings, and the win rate over two games."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sciexam.stats.clusters import finite_vector
from sciexam.stats.estimate import Undefined
from sciexam.stats.sides import sides_of
from sciexam.stats.win_rate import unit_scores


@dataclass(frozen=True, slots=True)
class MTBenchPairs:
    """A row of MT-Bench's pairwise table under its own names; the rates are shares."""

    win: int
    loss: int
    tie: int
    win_rate: float
    loss_rate: float
    win_rate_adjusted: float


def mt_bench_pairs(scores: ArrayLike) -> MTBenchPairs | Undefined:
    """MT-Bench's pairwise figures of one model (Zheng et al. 2023, arXiv 2306.05685, FastChat's show_result.py).

    `scores`, shape (n,): 1 where both games of a comparison name the model, 0 where both name the other, 1/2 otherwise:
    that is a battle under the policy `conservative`. A comparison of which a game failed is left out by MT-Bench, too.

        win_rate = win / n, loss_rate = loss / n, win_rate_adjusted = (win + tie / 2) / n

    Undefined for no comparison. Raises ValueError for scores outside [0, 1] and NaN.
    """
    sides = sides_of(unit_scores(scores))
    if (n := len(sides)) == 0:
        return Undefined("no comparison has a verdict in both games")
    win, loss = int((sides > 0).sum()), int((sides < 0).sum())
    tie = n - win - loss
    return MTBenchPairs(win, loss, tie, win / n, loss / n, (win + tie / 2) / n)


def mt_bench_score(ratings: ArrayLike) -> float | Undefined:
    """MT-Bench's score of one model: the plain mean of its single ratings, of one turn or of both together.

    `ratings`, shape (n,): one for each question and turn. A turn that has more ratings weighs more.
    Undefined for no rating. Raises ValueError for NaN.
    """
    ratings = finite_vector(ratings, "ratings")
    return float(np.mean(ratings)) if len(ratings) else Undefined("no answer has a rating")
