"""Elo scores, for reading boards that others publish."""

from __future__ import annotations

from numpy.typing import ArrayLike

from sciexam.stats.tournament import Labels, Name
from sciexam.stats.win_rate import unit_scores


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
    Raises ValueError for lengths that differ, scores outside [0, 1] or NaN, and a contestant that meets itself.
    """
    won = unit_scores(scores)
    if not len(a) == len(b) == len(won):
        raise ValueError(f"a has {len(a)} labels, b has {len(b)}, and there are {len(won)} scores")
    if base <= 1 or scale <= 0:
        raise ValueError(f"base must be above 1 and scale above 0, not base={base!r}, scale={scale!r}")
    board: dict[Name, float] = {}
    for row, (one, other, score) in enumerate(zip(_plain(a), _plain(b), won.tolist(), strict=True)):
        if one == other:
            raise ValueError(f"row {row}: {one!r} meets itself; a battle needs two contestants")
        mine, theirs = board.get(one, start), board.get(other, start)
        gain = k * (score - 1 / (1 + base ** ((theirs - mine) / scale)))
        board[one], board[other] = mine + gain, theirs - gain
    return board


def _plain(labels: Labels) -> list[Name]:
    """Python's own strings and integers: numpy's are slow in a dictionary, and print otherwise."""
    return labels.tolist() if hasattr(labels, "tolist") else list(labels)
