"""Whom a score in [0, 1] names: the one that it is of, the other, or neither."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ROUNDING = 1e-9  # an average that misses one half by no more is one half


def side_of(score: float) -> int:
    """1 for the one that the score is of, -1 for the other, 0 for a tie."""
    return (score > 0.5 + ROUNDING) - (score < 0.5 - ROUNDING)


def sides_of(scores: NDArray[np.float64]) -> NDArray[np.int8]:
    """The same of an array of any shape; 0 where there is no score (NaN)."""
    above, below = scores > 0.5 + ROUNDING, scores < 0.5 - ROUNDING
    return above.astype(np.int8) - below.astype(np.int8)
