"""Self-preference: how much better a judge scores its own model's answers than the other raters do."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from numpy.typing import ArrayLike

from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.mean import mean
from sciexam.stats.win_rate import unit_scores


def self_preference(
    scores: ArrayLike,
    reference: ArrayLike | None = None,
    clusters: Iterable[Hashable] | None = None,
    level: float = 0.95,
) -> Estimate | Undefined:
    """The mean over prompts of (the judge's score of its own answer) - (the reference raters' score of that answer).

    `scores`, shape (n,): on each prompt where one answer is the judge's own (or of its model family) and the other is
    not, the judge's score in [0, 1] of its own answer against the other, averaged over orders and samples. `reference`,
    shape (n,): the score of the same answer against the same other one by raters that wrote neither: humans, or the
    mean of judges of other families. `clusters` and `level` as in `win_rate`.

    In [-1, 1]: 0 where the judge scores its own answers as the others do on average, +0.1 where its own model wins 10
    of 100 prompts more with it than with them. It is Panickssery et al.'s notion (2024, arXiv 2404.13076: scoring its
    own outputs higher than others' where humans find them equal) as a difference on the same prompts, so that how good
    the answers are cancels, and so does chance in the verdicts. Wataoka et al. (2024, arXiv 2410.21819) take
    P(judge for own | humans for own) - P(judge for the other | humans for the other) instead. That condition brings
    chance back in: where 80 of 100 human verdicts go to the judge's own model by chance, a judge that votes exactly as
    humans do, independently of them, has a difference of .6 there, and of 0 here.

    A judge that merely decides less clearly than the others scores nearer to 1/2, which reads as a dislike of its own
    answers where these are the better ones. What the raters share, such as a taste for length, does not show.

    Undefined without a reference, for no prompt and for one unit.
    Raises ValueError for scores outside [0, 1], NaN, and arrays of different lengths.
    """
    own = unit_scores(scores)
    if reference is None:
        why = "without other raters on the same prompts, a judge's preference for its own answers cannot be told from"
        return Undefined(f"{why} their being better", len(own))
    others = unit_scores(reference, "reference")
    if len(own) != len(others):
        raise ValueError(f"{len(own)} scores by the judge but {len(others)} by the reference raters")
    return mean(own - others, clusters, level, low=-1.0, high=1.0)
