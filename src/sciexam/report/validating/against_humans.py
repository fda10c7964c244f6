"""How often a judge takes the side of the human majority, beside annotators, a coin or the longer answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sciexam.report.agreeing.votes import ItemKey
from sciexam.report.record import Figure
from sciexam.report.validating.human_verdicts import NOT_JUDGED, HumanVerdicts, Sides
from sciexam.stats import Estimate, Undefined, cohen_kappa, gwet_ac1, krippendorff_alpha, mean

EVERY, COIN, LONGER = "each annotator in turn", "a coin", "the longer answer"
ADJUDICATED = "{}, as adjudicated"  # the judge where adjudications stand for the majority

Kind = Literal["judge", "adjudicated", "annotator", "annotators", "baseline"]
Held = Sequence[tuple[ItemKey, float, float]]  # a comparison, the side that somebody took, the majority's
Beside = Sequence[tuple[ItemKey, float, float, float]]  # the same, and the judge's side

UNDECIDED = "the majority names no winner on any of them"


@dataclass(frozen=True, slots=True)
class Against:
    """`who` against the majority of the annotators; an annotator, or each in turn, against that of the others.

    Of kind "adjudicated": the judge, where what was adjudicated stands in the place of that majority.

    `items`: comparisons that count; `decided`: those on which the majority names a winner. `accuracy`: the share with
    the same side (a, tie, b), which is also the percent agreement; `accuracy_decided`: on the decided ones, a tie of
    `who` being half right. For all but the judge itself, on the comparisons that it has a verdict on, too, and by the
    same majority: `judge`, its accuracy; `judge_decided`, that on the decided ones, of which there are `both`; and
    `lead`, how much the latter is above that of `who`, pair by pair.
    """

    who: str
    kind: Kind
    items: int
    decided: int
    accuracy: Figure
    accuracy_decided: Figure
    kappa: Figure
    alpha: Figure
    ac1: Figure
    judge: Figure | None = None
    judge_decided: Figure | None = None
    lead: Figure | None = None
    both: int | None = None


def against_humans(
    humans: HumanVerdicts, judge: str, sides: Sides, baselines: Mapping[str, Sides], level: float
) -> Iterator[Against]:
    """The judge, also as adjudicated, each annotator, all in turn, a coin, the longer answer, `baselines` by name."""
    yield _against(humans, judge, "judge", _held(sides, humans.majority), NOT_JUDGED, level)
    if humans.settled:
        held = _held(sides, humans.adjudicated)
        yield _against(humans, ADJUDICATED.format(judge), "adjudicated", held, NOT_JUDGED, level)
    yield from _annotators(humans, sides, level)
    yield _coin(humans, sides, level)
    longer = {item: float((d > 0) - (d < 0)) for item in humans.majority for d in [humans.longer_by(item)]}
    for name, theirs in {LONGER: longer, **baselines}.items():
        why = f"{name} has no verdict on a comparison that a human judged"
        held = _held(theirs, humans.majority)
        yield _against(humans, name, "baseline", held, why, level, _instead(sides, held))


def _annotators(humans: HumanVerdicts, sides: Sides, level: float) -> Iterator[Against]:
    """Each annotator against the others, then all of these rows as one; with the judge on the same comparisons."""
    why = "no other annotator judged the same comparisons"
    if len(humans.votes) == 1:
        why = "there is one annotator, and nobody to hold this one against"
    everyone: list[tuple[ItemKey, float, float]] = []
    for index, human in enumerate(humans.votes):
        others = humans.without(index)
        mine = _held(humans.sides[index], others)
        yield _against(humans, human.rater, "annotator", mine, why, level, _instead(sides, mine))
        everyone += mine
    if len(humans.votes) > 1:
        yield _against(humans, EVERY, "annotators", everyone, why, level, _instead(sides, everyone))


def _instead(sides: Sides, held: Held) -> Beside:
    """What somebody was held against, with the judge's side where it has one."""
    return [(item, own, theirs, sides[item]) for item, own, theirs in held if item in sides]


def _against(
    humans: HumanVerdicts, who: str, kind: Kind, held: Held, why: str, level: float, beside: Beside | None = None
) -> Against:
    there: tuple[Figure, Figure, Figure] | tuple[None, None, None] = (None, None, None)
    if beside is not None:
        there = _beside(humans, beside, NOT_JUDGED if held else why, level)
    if not held:
        none = Undefined(why)
        return Against(who, kind, 0, 0, none, none, none, none, none, *there)
    said, true = [own for _, own, _ in held], [theirs for *_, theirs in held]
    clusters = humans.clusters(item for item, *_ in held)
    return Against(
        who=who,
        kind=kind,
        items=len(held),
        decided=sum(theirs != 0 for theirs in true),
        accuracy=_accuracy(humans, held, why, level),
        accuracy_decided=_accuracy_decided(humans, held, level),
        kappa=cohen_kappa(said, true, clusters=clusters, level=level),
        alpha=krippendorff_alpha([said, true], "nominal", clusters, level),
        ac1=gwet_ac1([said, true], clusters, level),
        judge=there[0],
        judge_decided=there[1],
        lead=there[2],
        both=None if beside is None else sum(theirs != 0 for _, _, theirs, _ in beside),
    )


def _beside(humans: HumanVerdicts, beside: Beside, why: str, level: float) -> tuple[Figure, Figure, Figure]:
    """The judge in somebody's place: its accuracy, that on decided comparisons, and how far it is ahead on these."""
    judge = [(item, side, theirs) for item, _, theirs, side in beside]
    decided = [one for one in beside if one[2] != 0]
    accuracy, of_decided = _accuracy(humans, judge, why, level), _accuracy_decided(humans, judge, level)
    if not decided:
        return accuracy, Undefined(why) if not beside else of_decided, Undefined(UNDECIDED if beside else why)
    ahead = [_right(side, theirs) - _right(own, theirs) for _, own, theirs, side in decided]
    return accuracy, of_decided, mean(ahead, humans.clusters(item for item, *_ in decided), level, low=-1.0, high=1.0)


def _held(sides: Sides, majority: Sides) -> list[tuple[ItemKey, float, float]]:
    return [(item, sides[item], majority[item]) for item in sorted(sides.keys() & majority.keys())]


def _accuracy(humans: HumanVerdicts, held: Held, why: str, level: float) -> Figure:
    if not held:
        return Undefined(why)
    same = [float(own == theirs) for _, own, theirs in held]
    return mean(same, humans.clusters(item for item, *_ in held), level, low=0.0, high=1.0)


def _accuracy_decided(humans: HumanVerdicts, held: Held, level: float) -> Figure:
    decided = [one for one in held if one[2] != 0]
    if not decided:
        return Undefined(UNDECIDED)
    right = [_right(own, theirs) for _, own, theirs in decided]
    return mean(right, humans.clusters(item for item, *_ in decided), level, low=0.0, high=1.0)


def _right(own: float, theirs: float) -> float:
    return 0.5 if own == 0 else float(own == theirs)


def _coin(humans: HumanVerdicts, sides: Sides, level: float) -> Against:
    """What a fair coin between a and b is expected to reach: each comparison is there once for either of its sides.

    Beyond chance it is the coefficient of the table that is expected of it.
    """
    held = [(item, side, theirs) for item, theirs in humans.majority.items() for side in (-1.0, 1.0)]
    drawn = _against(humans, COIN, "baseline", held, "no comparison was judged by a human", level)
    split: Held = [(item, 0.0, theirs) for item, theirs in humans.majority.items()]  # what a coin is: half right
    beside = _instead(sides, split)
    *_, lead = _beside(humans, beside, NOT_JUDGED, level)
    both = sum(theirs != 0 for _, _, theirs, _ in beside)

    def exact(figure: Figure) -> Figure:
        if isinstance(figure, Undefined):
            return figure
        how = "what a fair coin is expected to give on these comparisons, computed"
        value = round(figure.value, 12) + 0.0  # kappa is 0 but for rounding, and -0.00 would be odd
        return Estimate(value, value, value, level, figure.n, how)

    return replace(
        drawn,
        items=drawn.items // 2,
        decided=drawn.decided // 2,
        accuracy=exact(drawn.accuracy),
        accuracy_decided=exact(drawn.accuracy_decided),
        kappa=exact(drawn.kappa),
        alpha=exact(drawn.alpha),
        ac1=exact(drawn.ac1),
        lead=lead,
        both=both,
    )
