"""What a judge's verdicts owe to the order, the length and the author of the answers instead of to their quality."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import numpy as np
from numpy.typing import ArrayLike

from sciexam.stats.clusters import codes_of, finite_vector
from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.mean import mean
from sciexam.stats.sides import sides_of
from sciexam.stats.win_rate import unit_scores


def order_consistency(
    a_first: ArrayLike, b_first: ArrayLike, clusters: Iterable[Hashable] | None = None, level: float = 0.95
) -> Estimate | Undefined:
    """The share of prompts on which both orders give the same winner, or both a tie.

    `a_first`, `b_first`, shape (n,): contestant a's score in [0, 1] when its answer was shown first, and when it was
    shown second, for the prompts that were seen in both orders. `clusters` and `level` as in `win_rate`.
    """
    in_ab, in_ba = unit_scores(a_first, "a_first"), unit_scores(b_first, "b_first")
    if len(in_ab) != len(in_ba):
        raise ValueError(f"{len(in_ab)} scores with a first but {len(in_ba)} with b first")
    if len(in_ab) == 0:
        return Undefined("no prompt was judged in both orders")
    return mean(sides_of(in_ab) == sides_of(in_ba), clusters, level, low=0.0, high=1.0)


def position_bias(
    first_scores: ArrayLike, clusters: Iterable[Hashable] | None = None, level: float = 0.95
) -> Estimate | Undefined:
    """P(the answer shown first wins) - P(the one shown second wins): 0 is none, 1 is a judge that always says first.

    `first_scores`, shape (n,): for each prompt the score in [0, 1] of whichever answer was shown first, averaged over
    presentations in which each contestant was first equally often. Otherwise a better contestant looks like a bias.
    `clusters` and `level` as in `win_rate`.
    """
    first = unit_scores(first_scores, "first_scores")
    if len(first) == 0:
        return Undefined("no prompt was judged in a balanced set of orders")
    return mean(2 * first - 1, clusters, level, low=-1.0, high=1.0)


def position_bias_between(
    a_first: ArrayLike,
    a_second: ArrayLike,
    clusters_first: Iterable[Hashable] | None = None,
    clusters_second: Iterable[Hashable] | None = None,
    level: float = 0.95,
) -> Estimate | Undefined:
    """Position bias where each prompt was shown in one order: a's mean score shown first minus its mean shown second.

    `a_first`, shape (n,), and `a_second`, shape (m,): a's scores in [0, 1] on the prompts where its answer came first,
    and on the others. How much better a is cancels, however unequal n and m are, if the order did not depend on the
    prompt. The interval joins those of the two means (Newcombe 1998, Statistics in Medicine 17:873, method 10), taken
    as independent: where prompts of one group stand on both sides it is rather too wide, and n counts the group twice.
    """
    first = mean(unit_scores(a_first, "a_first"), clusters_first, level, low=0.0, high=1.0)
    second = mean(unit_scores(a_second, "a_second"), clusters_second, level, low=0.0, high=1.0)
    if isinstance(first, Undefined) or isinstance(second, Undefined):
        why = "too few prompts were shown in one of the orders to tell a bias from a preference"
        return Undefined(why, first.n + second.n)
    bias = first.value - second.value
    below = np.hypot(first.value - first.low, second.high - second.value)
    above = np.hypot(first.high - first.value, second.value - second.low)
    return Estimate(
        value=bias,
        low=max(-1.0, bias - float(below)),
        high=min(1.0, bias + float(above)),
        level=level,
        n=first.n + second.n,
        method=f"difference of two means, each by: {first.method}",
    )


def longer_wins(
    scores: ArrayLike, length_difference: ArrayLike, clusters: Iterable[Hashable] | None = None, level: float = 0.95
) -> Estimate | Undefined:
    """The share of prompts on which the longer answer won, among those with a winner and a difference in length.

    `scores`, shape (n,): a's score in [0, 1]; `length_difference`, shape (n,): a's length minus b's, in any unit.
    `clusters` and `level` as in `win_rate`. It describes; a longer answer can also be the better one.
    """
    scores = unit_scores(scores)
    difference = finite_vector(length_difference, "length_difference")
    if len(scores) != len(difference):
        raise ValueError(f"{len(scores)} scores but {len(difference)} differences in length")
    side = sides_of(scores)
    decided = (side != 0) & (difference != 0)
    if not decided.any():
        return Undefined("no prompt has both a winner and a difference in length")
    units = None if clusters is None else codes_of(clusters, len(scores))[decided]
    return mean(side[decided] == np.sign(difference[decided]), units, level, low=0.0, high=1.0)


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
