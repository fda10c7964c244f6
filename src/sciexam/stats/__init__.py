"""Statistics that stand alone: arrays in, frozen results out; numpy and scipy only."""

# Imported at once, not on first use: the function `win_rate` has the name of its module, and importing the module later
# would put it in the function's place. These files need numpy alone; they import scipy when they are called.
from sciexam.stats.bias import longer_wins, order_consistency, position_bias, position_bias_between
from sciexam.stats.conclusion import Conclusion, conclude
from sciexam.stats.equivalence import equivalent
from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.mean import mean
from sciexam.stats.paired import holm, sign_flip
from sciexam.stats.win_rate import bounds, win_rate

__all__ = [
    "Conclusion",
    "Estimate",
    "Undefined",
    "bounds",
    "conclude",
    "equivalent",
    "holm",
    "longer_wins",
    "mean",
    "order_consistency",
    "position_bias",
    "position_bias_between",
    "sign_flip",
    "win_rate",
]
