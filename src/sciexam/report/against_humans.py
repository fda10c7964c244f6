"""How often a judge takes the side of the human majority, beside annotators, a coin or the longer answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sciexam.report.human_verdicts import NOT_JUDGED, HumanVerdicts, Sides
from sciexam.report.record import Figure
from sciexam.report.votes import ItemKey
from sciexam.stats import Estimate, Undefined, cohen_kappa, gwet_ac1, krippendorff_alpha, mean

EVERY, COIN, LONGER = "each annotator in turn", "a coin", "the longer answer"

Kind = Literal["judge", "annotator", "annotators", "baseline"]
Held = Sequence[tuple[ItemKey, float, float]]  # a comparison, the side that somebody took, the majority's


@dataclass(frozen=True, slots=True)
class Against:
    """`who` against the majority of the annotators; an annotator, or each in turn, against that of the others.

    `items`: comparisons that count; `decided`: those on which the majority names a winner. `accuracy`: the share with
    the same side (a, tie, b), which is also the percent agreement; `accuracy_decided`: on the decided ones, a tie of
    `who` being half right. `judge`: for annotators the judge's accuracy on the same comparisons by the same others.
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


def against_humans(
    humans: HumanVerdicts, judge: str, sides: Sides, baselines: Mapping[str, Sides], level: float
) -> Iterator[Against]:
    """The judge, each annotator, all of them in turn, a coin, the longer answer, and `baselines` by name."""
    yield _against(humans, judge, "judge", _held(sides, humans.majority), NOT_JUDGED, level)
    yield from _annotators(humans, sides, level)
    yield _coin(humans, level)
    longer = {item: float((d > 0) - (d < 0)) for item in humans.majority for d in [humans.longer_by(item)]}
    for name, theirs in {LONGER: longer, **baselines}.items():
        why = f"{name} has no verdict on a comparison that a human judged"
        yield _against(humans, name, "baseline", _held(theirs, humans.majority), why, level)


def _annotators(humans: HumanVerdicts, sides: Sides, level: float) -> Iterator[Against]:
    """Each annotator against the others, then all of these rows as one; with the judge on the same comparisons."""
    why = "no other annotator judged the same comparisons"
    if len(humans.votes) == 1:
        why = "there is one annotator, and nobody to hold this one against"
    everyone: list[tuple[ItemKey, float, float]] = []
    in_their_place: list[tuple[ItemKey, float, float]] = []
    for index, human in enumerate(humans.votes):
        others = humans.without(index)
        mine = _held(humans.sides[index], others)
        judge = [(item, sides[item], theirs) for item, _, theirs in mine if item in sides]
        yield _against(humans, human.rater, "annotator", mine, why, level, judge)
        everyone += mine
        in_their_place += judge
    if len(humans.votes) > 1:
        yield _against(humans, EVERY, "annotators", everyone, why, level, in_their_place)


def _against(
    humans: HumanVerdicts, who: str, kind: Kind, held: Held, why: str, level: float, judge: Held | None = None
) -> Against:
    there = None if judge is None else _accuracy(humans, judge, NOT_JUDGED if held else why, level)
    if not held:
        none = Undefined(why)
        return Against(who, kind, 0, 0, none, none, none, none, none, there)
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
        judge=there,
    )


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
        return Undefined("the majority names no winner on any of them")
    right = [0.5 if own == 0 else float(own == theirs) for _, own, theirs in decided]
    return mean(right, humans.clusters(item for item, *_ in decided), level, low=0.0, high=1.0)


def _coin(humans: HumanVerdicts, level: float) -> Against:
    """What a fair coin between a and b is expected to reach: each comparison is there once for either of its sides."""
    held = [(item, side, theirs) for item, theirs in humans.majority.items() for side in (-1.0, 1.0)]
    drawn = _against(humans, COIN, "baseline", held, "no comparison was judged by a human", level)

    def exact(figure: Figure) -> Figure:
        if isinstance(figure, Undefined):
            return figure
        how = "the expectation of a fair coin on these comparisons, exact"
        value = round(figure.value, 12) + 0.0  # kappa is 0 but for rounding, and -0.00 would be odd
        return Estimate(value, value, value, level, figure.n, how)

    figures = [exact(one) for one in (drawn.accuracy, drawn.accuracy_decided, drawn.kappa, drawn.alpha, drawn.ac1)]
    return Against(COIN, "baseline", drawn.items // 2, drawn.decided // 2, *figures)
