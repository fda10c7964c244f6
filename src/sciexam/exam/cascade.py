"""The cascade: which comparisons its dear judge is asked for, and whose verdict on each of them counts.

Everything here is a function of stored facts, so that a command that was stopped goes on where it was, and a report
can be counted again. A unit is a prompt, or all prompts of one group, of one pair of contestants: its comparisons
escalate together, its confidence is that of the least sure one, and it agrees if all of them do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import fsum

from sciexam.battles import Battle, cluster, name_of
from sciexam.digests import digest
from sciexam.exam.plan import Plan, keys_of
from sciexam.exam.raters import Rater
from sciexam.judges.settings import CascadeJudge
from sciexam.report.escalation import Escalation
from sciexam.stats import Undefined
from sciexam.stats.cascade import DIGITS, Threshold, choose_threshold
from sciexam.stats.sides import side_of
from sciexam.store import Store
from sciexam.types import Comparison, Presentation, Prompt, Verdict

NOT_YET = "the calibration of the cascade is not complete"
Contest = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Judged:
    """One comparison as one rater resolved it, with what the rater was shown and said."""

    comparison: Comparison
    battle: Battle
    shown: tuple[tuple[Presentation, Verdict], ...]


@dataclass(frozen=True, slots=True)
class Ruling:
    """Whose verdicts count for one pair, by unit. `pending`: the threshold cannot be told before more is asked."""

    threshold: Threshold | Undefined
    calibrating: frozenset[str]
    escalated: frozenset[str]
    units: int
    pending: bool = False


@dataclass(frozen=True, slots=True)
class Cascade:
    """A cascade of a plan: how it is set, and its two raters."""

    spec: CascadeJudge
    cheap: Rater
    dear: Rater


def cascades_of(plan: Plan) -> Iterator[Cascade]:
    """The cascades among those who judge, in the plan's order."""
    for name in plan.benches:
        members = [rater for rater in plan.raters if rater.bench == name and rater.part_of == "cascade"]
        spec = plan.suite.judges.get(name)
        if members and isinstance(spec, CascadeJudge):
            yield Cascade(spec, *members)


def confidence(battle: Battle) -> float:
    """How sure a rater was of a comparison: 2 |score - 1/2| of the mean over its orders, whatever the policy.

    With both orders and forced choices it is 0 (they contradict each other) or 1; samples and probabilities give values
    in between. In one order a forced choice is always 1.
    """
    return 2 * abs(_mean(battle) - 0.5)


def calibration_asks(plan: Plan, cascade: Cascade, cheap: Sequence[Judged]) -> list[Comparison]:
    """What the dear judge is asked for first: the comparisons of the calibration units."""
    drawn = _draw(plan.prompts, cascade.spec.calibration, plan.suite.seed)
    return [one.comparison for one in cheap if _has_word(one) and cluster(one.comparison.prompt) in drawn]


def escalation_asks(rulings: Mapping[Contest, Ruling], cheap: Sequence[Judged]) -> list[Comparison]:
    """What the dear judge is asked for then: the comparisons of which the cheap one is not sure enough."""
    return [
        one.comparison
        for one in cheap
        if _has_word(one) and cluster(one.comparison.prompt) in rulings[_contest(one)].escalated
    ]


def rule(plan: Plan, cascade: Cascade, cheap: Sequence[Judged], dear: Sequence[Judged]) -> dict[Contest, Ruling]:
    """The ruling on each pair, from what both have said so far. Each pair is calibrated by itself."""
    drawn = _draw(plan.prompts, cascade.spec.calibration, plan.suite.seed)
    said = {name_of(one.comparison): one for one in dear}
    units: dict[Contest, dict[str, list[Judged]]] = {contest: defaultdict(list) for contest in plan.pairs}
    for one in cheap:
        if _has_word(one):
            units[_contest(one)][cluster(one.comparison.prompt)].append(one)
    return {contest: _rule(cascade, drawn, of_pair, said) for contest, of_pair in units.items()}


def _rule(
    cascade: Cascade,
    drawn: frozenset[str],
    units: Mapping[str, Sequence[Judged]],
    said: Mapping[tuple[str, str, str, int], Judged],
) -> Ruling:
    sure = {label: _confidence_of(listed) for label, listed in units.items()}
    calibrating = drawn & units.keys()
    replies = {label: [said[name_of(one.comparison)].battle for one in units[label]] for label in calibrating}
    unasked = sum(battle.status == "skipped" for battles in replies.values() for battle in battles)
    if unasked and not cascade.dear.by_name:
        why = f"{unasked} calibration comparisons have no verdict of {cascade.dear.name}"
        return Ruling(Undefined(why), calibrating, frozenset(), len(units), pending=True)
    # A call that failed or a verdict that is not on file says nothing; an unusable verdict is no agreement.
    tested = [
        label
        for label in sorted(calibrating)
        if sure[label] is not None and all(battle.status in ("ok", "invalid") for battle in replies[label])
    ]
    threshold = choose_threshold(
        [sure[label] or 0.0 for label in tested],
        [all(map(_same_side, units[label], replies[label])) for label in tested],
        [value for value in sure.values() if value is not None],
        cascade.spec.agreement,
        cascade.spec.error,
    )
    least = threshold.value if isinstance(threshold, Threshold) else float("inf")
    unsure = {label for label, value in sure.items() if value is None or round(value, DIGITS) < least}
    return Ruling(threshold, calibrating, frozenset(unsure - calibrating), len(units))


def settle(
    rulings: Mapping[Contest, Ruling], cheap: Sequence[Judged], dear: Sequence[Judged]
) -> Iterator[tuple[Judged, bool]]:
    """For each comparison the judgement that counts, and whether it is the dear judge's."""
    said = {name_of(one.comparison): one for one in dear}
    for one in cheap:
        label, ruling = cluster(one.comparison.prompt), rulings[_contest(one)]
        if not _has_word(one):
            yield one, False
        elif label in ruling.calibrating or label in ruling.escalated:
            yield said[name_of(one.comparison)], True
        elif ruling.pending:
            yield Judged(one.comparison, replace(one.battle, score=None, status="skipped", failure=NOT_YET), ()), False
        else:
            yield one, False


def escalation_of(
    plan: Plan,
    cascade: Cascade,
    store: Store,
    contest: Contest,
    ruling: Ruling,
    settled: Iterable[tuple[Judged, bool]],
) -> Escalation:
    """What the cascade did with one pair, for its report."""
    mine = [(one, by_dear) for one, by_dear in settled if _contest(one) == contest]
    calibrated = sum(cluster(one.comparison.prompt) in ruling.calibrating for one, by_dear in mine if by_dear)
    waiting = sum(one.battle.status == "skipped" and (by_dear or not one.shown) for one, by_dear in mine)
    escalated = sum(by_dear for _, by_dear in mine) - calibrated
    alone = _keys(plan, cascade.dear, store, (one.comparison for one, _ in mine))
    asked = _keys(plan, cascade.dear, store, (one.comparison for one, by_dear in mine if by_dear))
    spent = _usd(plan, cascade.cheap, store, _keys(plan, cascade.cheap, store, (one.comparison for one, _ in mine)))
    each = _usd(plan, cascade.dear, store, asked)
    known = spent is not None and each is not None and bool(asked)
    return Escalation(
        cheap=cascade.cheap.name,
        dear=cascade.dear.name,
        agreement=cascade.spec.agreement,
        error=cascade.spec.error,
        threshold=ruling.threshold,
        pending=ruling.pending,
        units=ruling.units,
        calibration_units=len(ruling.calibrating),
        comparisons=len(mine),
        calibrated=calibrated,
        escalated=escalated,
        trusted=sum(not by_dear and bool(one.shown) and one.battle.score is not None for one, by_dear in mine),
        waiting=waiting,
        calls_alone=len(alone),
        calls_saved=len(alone) - len(asked),
        usd_saved=(each or 0.0) / len(asked) * (len(alone) - len(asked)) - (spent or 0.0) if known else None,
    )


# ---------------------------------------------------------------- units


def _draw(prompts: Iterable[Prompt], count: int, seed: int) -> frozenset[str]:
    """The calibration units: drawn by the content and the suite's seed, so by nothing that anyone answered or said."""
    labels = {cluster(prompt) for prompt in prompts}
    return frozenset(sorted(labels, key=lambda label: digest([seed, "calibration", label]))[:count])


def _has_word(one: Judged) -> bool:
    """Whether the cheap judge has given a reply, usable or not: where its call failed, it is asked again first."""
    return one.battle.status not in ("failed", "skipped")


def _confidence_of(listed: Sequence[Judged]) -> float | None:
    """The least confidence in a unit; None where a verdict is unusable, so that nothing is known of how sure it is."""
    if any(one.battle.score is None for one in listed):
        return None
    return min(confidence(one.battle) for one in listed)


def _same_side(cheap: Judged, dear: Battle) -> bool:
    return dear.score is not None and side_of(_mean(cheap.battle)) == side_of(_mean(dear))


def _mean(battle: Battle) -> float:
    return sum(battle.by_order.values()) / len(battle.by_order)


def _contest(one: Judged) -> Contest:
    return one.comparison.a.contestant, one.comparison.b.contestant


# ---------------------------------------------------------------- costs


def _keys(plan: Plan, rater: Rater, store: Store, comparisons: Iterable[Comparison]) -> set[str]:
    return {key for comparison in comparisons for key in keys_of(plan, rater, comparison, store)}


def _usd(plan: Plan, rater: Rater, store: Store, keys: set[str]) -> float | None:
    """What the replies under these keys cost in USD; None where a price, or what one took, is not known."""
    if rater.model is None or rater.model == "scripted":
        return 0.0
    price = plan.suite.costs.get(rater.model)
    if price is None:
        return None
    costs = [price.of(reply.input_tokens, reply.output_tokens) for reply in store.replies(keys).values()]
    return None if None in costs else fsum(cost for cost in costs if cost is not None)  # whatever order they came in
