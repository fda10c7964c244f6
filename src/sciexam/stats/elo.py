"""Elo scores, for reading boards that others publish."""

from __future__ import annotations

from math import isfinite, log

from numpy.typing import ArrayLike

from sciexam.stats.tournament import Labels, Name, contestants
from sciexam.stats.win_rate import unit_scores

FAR = 700.0  # log odds beyond which a win is certain; exp of it is still a number


def elo(
    a: Labels,
    b: Labels,
    scores: ArrayLike,
    start: float = 1000.0,
    k: float = 4.0,
    base: float = 10.0,
    scale: float = 400.0,
) -> dict[Name, float]:
    """Each contestant's Elo score after the battles (n,), played in the order of the rows (Elo 1978).

    `a`, `b` name the two, `scores` is a's score in [0, 1]: 1 a win, 0 a loss, 1/2 a tie. Everybody begins at `start`;
    after a battle a gains, and b loses, k (score - expected), expected = 1 / (1 + base ** ((b's - a's) / scale)).

    For reading others' boards only: the same battles in another order give other scores, and there is no interval.
    `sciexam.stats.ratings.bradley_terry` has neither fault.
    Raises ValueError for lengths that differ, scores outside [0, 1] or NaN, a contestant that meets itself or has no
    name, and parameters that are not finite, or give no scale.
    """
    won = unit_scores(scores)
    if not len(a) == len(b) == len(won):
        raise ValueError(f"a has {len(a)} labels, b has {len(b)}, and there are {len(won)} scores")
    if not all(map(isfinite, (start, k, base, scale))):
        raise ValueError(f"start, k, base and scale must be finite, not {start!r}, {k!r}, {base!r} and {scale!r}")
    if base <= 1 or scale <= 0:
        raise ValueError(f"base must be above 1 and scale above 0, not base={base!r}, scale={scale!r}")
    names, firsts, seconds = contestants(a, b)
    board = [start] * len(names)
    farthest = FAR / log(base)
    for one, other, score in zip(firsts.tolist(), seconds.tolist(), won.tolist(), strict=True):
        ahead = (board[other] - board[one]) / scale
        gain = k * (score - 1 / (1 + base ** min(ahead, farthest)))
        board[one] += gain
        board[other] -= gain
    return dict(zip(names, board, strict=True))
