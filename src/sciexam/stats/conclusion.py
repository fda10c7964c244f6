"""The three things that a comparison can conclude, and the fourth: nothing yet."""

from __future__ import annotations

from typing import Literal

from sciexam.stats.estimate import Estimate, Undefined

Conclusion = Literal["better", "worse", "equivalent", "undecided"]


def conclude(rate: Estimate | Undefined, p_holm: float | None, equivalent: bool | None) -> Conclusion:
    """What a win rate, its Holm-corrected p-value and the margin test allow to be said of the first contestant.

    `equivalent`: whether the margin test passed, None where no margin was set. A real difference within the margin is
    equivalent, because the margin says what matters. "better" and "worse" need the interval to exclude one half and
    p_holm below 1 - level: the interval alone knows nothing of the other pairs. Without a p-value: undecided.
    """
    if isinstance(rate, Undefined):
        return "undecided"
    if equivalent:
        return "equivalent"
    alpha = round(1 - rate.level, 12)  # 1 - .95 is a little more than .05, and 1 - .9 a little less than .1
    if p_holm is None or p_holm >= alpha:
        return "undecided"
    if rate.low > 0.5:
        return "better"
    return "worse" if rate.high < 0.5 else "undecided"
