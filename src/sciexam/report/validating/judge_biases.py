"""What a judge's verdicts owe to the order, length or author of the answers, beside those of humans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sciexam.report.agreeing.votes import ItemKey, Votes
from sciexam.report.build import bias_of
from sciexam.report.evidence import Bench, Evidence
from sciexam.report.record import Figure
from sciexam.report.scores import consistency_of, scores_of, used_of
from sciexam.report.validating.human_verdicts import HumanVerdicts, Sides
from sciexam.stats import Undefined, longer_wins, mean, self_preference

NO_OVERLAP = "the judge and humans have no comparison with a winner and a difference in length in common"


@dataclass(frozen=True, slots=True)
class Biases:
    """What the judge's verdicts owe to order, length and author.

    `order_consistency` and `position_bias` are of all its verdicts. `judge_longer` and `humans_longer` are how often
    the longer answer won, on the same comparisons; `longer_difference` is the judge's minus the humans'.
    `self_preference`: the judge's score of the answers of `own` minus the humans'.
    """

    order_consistency: Figure
    position_bias: Figure
    judge_longer: Figure
    humans_longer: Figure
    longer_difference: Figure
    own: tuple[str, ...]
    self_preference: Figure


def biases_of(
    evidence: Evidence,
    bench: Bench,
    humans: HumanVerdicts,
    judge: Votes,
    own: Sequence[str],
    why_no_own: str,
    level: float,
) -> Biases:
    """The biases of the judge on `bench`, whose verdicts are also given as `judge`.

    `own`: the contestants that are the judge's own model; `why_no_own` says why there are none.
    """
    used = [score for listed in scores_of(evidence, bench).values() for score in used_of(listed)]
    judge_longer, humans_longer, difference = _longer(humans, judge.sides, level)
    return Biases(
        order_consistency=consistency_of(bench, used, level),
        position_bias=bias_of(bench, used),
        judge_longer=judge_longer,
        humans_longer=humans_longer,
        longer_difference=difference,
        own=tuple(own),
        self_preference=_self_preference(humans, judge.scores, own, level) if own else Undefined(why_no_own),
    )


def _longer(humans: HumanVerdicts, sides: Sides, level: float) -> tuple[Figure, Figure, Figure]:
    """How often the longer answer won with the judge and with the majority, and by how much more with the judge."""
    items = sorted(
        item for item, theirs in humans.majority.items() if theirs and sides.get(item) and humans.longer_by(item)
    )
    if not items:
        none = Undefined(NO_OVERLAP)
        return none, none, none
    lengths, clusters = [humans.longer_by(item) for item in items], humans.clusters(items)
    judge = [float(sides[item] > 0) for item in items]
    majority = [float(humans.majority[item] > 0) for item in items]
    more = [(j - h) * (1 if d > 0 else -1) for j, h, d in zip(judge, majority, lengths, strict=True)]
    return (
        longer_wins(judge, lengths, clusters, level),
        longer_wins(majority, lengths, clusters, level),
        mean(more, clusters, level, low=-1.0, high=1.0),
    )


def _self_preference(
    humans: HumanVerdicts, scores: Mapping[ItemKey, float], own: Sequence[str], level: float
) -> Figure:
    items = sorted(item for item in scores if item in humans.majority and (item[0] in own) != (item[1] in own))
    if not items:
        return Undefined(f"no comparison of {' or '.join(own)} with another contestant was judged by both")
    theirs = [humans.said(item) for item in items]
    mine = [scores[item] for item in items]
    turned = [item[0] in own for item in items]
    return self_preference(
        [1 - score if turn else score for score, turn in zip(mine, turned, strict=True)],
        [1 - score if turn else score for score, turn in zip(theirs, turned, strict=True)],
        humans.clusters(items),
        level,
    )
