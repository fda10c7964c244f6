"""What is counted of one annotator, and what of it deserves a look. A flag deletes nothing and weighs nothing down.

Below 1 % of simulated honest annotators have any flag: benchmarks/annotator_flags.md has the rates of every flag, for
the honest and for spammers of six kinds. Who clicks at random but takes the time is found by gold items and by
agreement with the others alone, and among few items by neither.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from sciexam.report.record import Figure
from sciexam.stats import Estimate, Undefined, mean

# Silent reading takes 238 words a minute on average and 175 to 300 for most adults; nobody reads above 1,000 (Brysbaert
# 2019, Journal of Memory and Language 109:104047, who follows Rayner et al. 2016). The limit is this high because a
# question that comes back, or an answer whose first line settles the matter, is not read to the end.
READABLE = 1_000  # words a minute
HASTY = 1 / 2  # of the timed judgements: honest annotators skip some texts, not most
FEWEST_TIMED = 10
# Sides are drawn, so the place of an answer says nothing of it. It takes at least 11 choices to reach this p. Hundreds
# reach it with a lean that honest people have when answers are close; the share keeps these out.
LEANING_P = 0.001
LEANING = 0.65
ONE_VALUE = 0.9  # of the judgements: whoever looks at the answers finds the better one on either side equally often
FEWEST_VALUES = 20
# Of the two exact tests of few items. Counts are whole, so that the error is below it, mostly far below.
TELLING_P = 0.01
# Gold items are chosen for a plain answer: 5 % of errors by inattention, and a coin in the tenth that is judged tired.
GOLD_ERROR = 0.1
FEWEST_GOLD = 3
# Who is right in 70 % of the looks, tired in a tenth of them, and errs anew each time, repeats 56 %; who errs by
# conviction repeats more. A limit of .8, where a random clicker could be found, would flag every fourth of the former
# with 10 repeats. It takes at least 6 repeats to reach p with this one.
REPEATED = 0.55
# Items with a side or a tie by this annotator and a majority of the others. Wide intervals do the rest: with
# 20 judgements the rule flags one honest annotator in 400 at most.
FEWEST_COMMON = 10
CANNOT = 1 / 3  # "cannot" is an honest answer; so often it says that the questions are not this annotator's
FEWEST_JUDGED = 10
LEAST_SHOWN = 1e-10  # of a p-value: what lies below only says how many there were


@dataclass(frozen=True, slots=True)
class Look:
    """One standing judgement of one annotator.

    `choice`: the value on the study's scale, such as "left-much", "tie" or "cannot". `side`: as seen on the screen;
    None where the annotator could not judge. `seconds`: from shown to judged; None where unknown. `words`: on the
    screen, question and both answers.
    """

    choice: str
    side: Literal["left", "right", "tie"] | None
    seconds: float | None
    words: int


@dataclass(frozen=True, slots=True)
class Conduct:
    """What is counted of one annotator.

    `judged` counts all looks, with the `cannot` and the `ties`. `left`: the share of left among left and right.
    `hasty`: (faster than the words can be read, of the timed). `gold`: (right, of). `repeats`: (same side again, of).
    `with_others`: Cohen's kappa of this annotator's sides with the majority of the others, on common items.
    `alpha_without`: Krippendorff's alpha of the others. `flags`: sentences, in a fixed order.
    """

    judged: int
    cannot: int
    ties: int
    left: Figure
    median_seconds: float | None
    hasty: tuple[int, int]
    gold: tuple[int, int]
    repeats: tuple[int, int]
    with_others: Figure
    alpha_without: Figure
    flags: tuple[str, ...]


def conduct_of(
    looks: Sequence[Look], gold: tuple[int, int], repeats: tuple[int, int], with_others: Figure, alpha_without: Figure
) -> Conduct:
    """What is counted of the annotator who gave `looks`, with its flags.

    `gold`: (right, of) the gold items that got a side or a tie. `repeats`: (same side again, of) the pairs that were
    shown twice and got left or right both times, sides counted by the answer, not by its place. `with_others` and
    `alpha_without`: see `Conduct`; both of the nominal sides (one answer, tie, the other) by the answer, at one level.
    A time that is negative or not finite is an unknown one.
    """
    timed = [(one, one.seconds) for one in looks if one.seconds is not None and 0 <= one.seconds < math.inf]
    hasty = sum(seconds * READABLE < 60 * one.words for one, seconds in timed), len(timed)
    sides = Counter(one.side for one in looks)
    values = Counter(one.choice for one in looks if one.side is not None)
    found = (
        _speed(*hasty),
        _lean(sides["left"], sides["right"]),
        _one_value(values),
        _gold(*gold),
        _repeats(*repeats),
        _agreement(with_others, alpha_without),
        _cannot(sides[None], len(looks)),
    )
    return Conduct(
        judged=len(looks),
        cannot=sides[None],
        ties=sides["tie"],
        left=_left(sides["left"], sides["right"]),
        median_seconds=median(seconds for _, seconds in timed) if timed else None,
        hasty=hasty,
        gold=gold,
        repeats=repeats,
        with_others=with_others,
        alpha_without=alpha_without,
        flags=tuple(flag for flag in found if flag),
    )


def _left(left: int, right: int) -> Figure:
    if left + right < 2:
        judged = "no judgement names a side" if left + right == 0 else "only one judgement names a side"
        return Undefined(f"{judged}, and an interval needs two", left + right)
    found = mean([1.0] * left + [0.0] * right, low=0.0, high=1.0)
    assert isinstance(found, Estimate)
    return Estimate(
        found.value, found.low, found.high, found.level, found.n, found.method.replace("prompts", "judgements")
    )


def _speed(hasty: int, timed: int) -> str:
    if timed < FEWEST_TIMED or hasty <= HASTY * timed:
        return ""
    return (
        f"{hasty} of {timed} timed judgements were made faster than the words on the screen can be read "
        f"(above {READABLE:,} words a minute)"
    )


def _lean(left: int, right: int) -> str:
    """The exact two-sided binomial test of a fair coin."""
    side, more = ("left", left) if left >= right else ("right", right)
    p = min(1.0, 2 * _at_most(min(left, right), left + right, 0.5))
    if p >= LEANING_P or more < LEANING * (left + right):
        return ""
    return f"{side} in {more} of {left + right} decisions; sides are shown at random ({_p(p)})"


def _one_value(values: Counter[str]) -> str:
    given = values.total()
    if given < FEWEST_VALUES:
        return ""
    [(value, most)] = values.most_common(1)
    return f"the same choice, {value}, in {most} of {given} judgements" if most > ONE_VALUE * given else ""


def _gold(right: int, gold: int) -> str:
    p = _at_most(right, gold, 1 - GOLD_ERROR)
    if gold < FEWEST_GOLD or p >= TELLING_P:
        return ""
    return f"{gold - right} of {gold} gold items wrong; who attends errs in {100 * GOLD_ERROR:.0f} % at most ({_p(p)})"


def _repeats(same: int, repeats: int) -> str:
    p = _at_most(same, repeats, REPEATED)
    if p >= TELLING_P:
        return ""
    return (
        f"the same side again in {same} of {repeats} repeated pairs; who goes by the answers repeats at least "
        f"{100 * REPEATED:.0f} % ({_p(p)})"
    )


def _agreement(kappa: Figure, alpha: Figure) -> str:
    """No agreement with the others beyond chance, and less than theirs with one another.

    An annotator like the others has a kappa with their majority at least as high as their alpha, because a majority
    errs less than one of them. So the second condition, a limit above 0 for the difference of the two by Newcombe's
    method (1998, Statistics in Medicine 17:873, method 10), is what keeps the honest out where all agree weakly: there
    the interval of kappa alone includes 0 for up to every fourth honest annotator.
    """
    if isinstance(kappa, Undefined) or isinstance(alpha, Undefined) or kappa.n < FEWEST_COMMON:
        return ""
    margin = math.hypot(alpha.value - alpha.low, kappa.high - kappa.value)
    if kappa.low > 0 or alpha.low <= 0 or alpha.value - kappa.value <= margin:
        return ""
    less = "less than chance would" if kappa.high < 0 else "no more than chance would"
    return (
        f"agrees with the majority of the others {less} (kappa {kappa} on {kappa.n} items), while they agree with one "
        f"another (alpha {alpha})"
    )


def _cannot(cannot: int, judged: int) -> str:
    if judged < FEWEST_JUDGED or cannot <= CANNOT * judged:
        return ""
    return f"could not judge {cannot} of {judged}"


def _at_most(count: int, of: int, rate: float) -> float:
    """P(X <= count) of a binomial X; 1, which nothing is flagged for, where there can be no such count."""
    from scipy.special import bdtr

    return float(bdtr(count, of, rate)) if 0 <= count <= of else 1.0


def _p(p: float) -> str:
    if p < LEAST_SHOWN:
        return f"p < {LEAST_SHOWN:.0e}"
    return f"p = {p:.2g}".replace("e-0", "e-")
