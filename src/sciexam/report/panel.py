"""What each member of a panel does to its result: the panel without it, and the member alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sciexam.battles import cluster
from sciexam.report.agreeing.votes import matrix
from sciexam.report.evidence import Bench, Evidence
from sciexam.report.record import Figure
from sciexam.report.reliability import Reliability, reliability_of, sides_of
from sciexam.report.scores import Score, distinct, scores_of, used_of, values_of
from sciexam.stats import Undefined, krippendorff_alpha, win_rate

Contest = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a panel, on one pair. Rates are b's win rate: `alone` by this member, `without` by all the others.

    `changes`: whether the panel's interval would lie elsewhere without it (above one half, below it, or around it);
    None where one of the two has none. `accuracy`: the estimated probability that it names the true side; None where
    the members are averaged.
    """

    name: str
    alone: Figure
    without: Figure
    changes: bool | None
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class Panel:
    """The members of a panel on one pair. `agreement`: Krippendorff's alpha of their sides (a, tie, b), nominal."""

    weights: Literal["mean", "reliability"]
    members: tuple[Member, ...]
    agreement: Figure


def panels_of(
    evidence: Evidence, bench: Bench, whole: Mapping[Contest, Sequence[Score]], level: float
) -> dict[Contest, Panel]:
    """For each pair what the members of `bench` do to it; empty where it is no panel. `whole`: the panel's scores.

    Under `reliability` the fit is made anew without the member, which takes three others.
    """
    if bench.weights is None:
        return {}
    fit = reliability_of(bench) if bench.weights == "reliability" else None
    accuracies = fit.accuracies if isinstance(fit, Reliability) else {}
    alone = {name: scores_of(evidence, _only(bench, {name}, None)) for name in bench.raters}
    without = {
        name: scores_of(evidence, _only(bench, {*bench.raters} - {name}, bench.weights)) for name in bench.raters
    }
    return {
        pair: Panel(
            weights=bench.weights,
            members=tuple(
                _member(name, whole[pair], alone[name][pair], without[name][pair], accuracies.get(name), level)
                for name in bench.raters
            ),
            agreement=_agreement(evidence, bench, pair, level),
        )
        for pair in evidence.pairs
    }


def _only(bench: Bench, names: Collection[str], weights: Literal["mean", "reliability"] | None) -> Bench:
    battles = [battle for battle in bench.battles if battle.rater in names]
    return replace(bench, raters=tuple(n for n in bench.raters if n in names), battles=battles, weights=weights)


def _member(
    name: str,
    whole: Sequence[Score],
    alone: Sequence[Score],
    without: Sequence[Score],
    accuracy: float | None,
    level: float,
) -> Member:
    rest, everyone = _where(others := _rate(without, level)), _where(_rate(whole, level))
    changes = None if rest is None or everyone is None else rest != everyone
    return Member(name, _rate(alone, level), others, changes, accuracy)


def _rate(scores: Sequence[Score], level: float) -> Figure:
    used = used_of(scores)
    if not used:
        return Undefined(next((s.failure for s in scores if s.failure), "no prompt has a usable verdict"))
    return win_rate(values_of(used), distinct(s.cluster for s in used), level)


def _where(rate: Figure) -> str | None:
    """The side of one half on which the interval lies."""
    if isinstance(rate, Undefined):
        return None
    if rate.low <= 0.5 <= rate.high:
        return "around"
    return "above" if rate.low > 0.5 else "below"


def _agreement(evidence: Evidence, bench: Bench, pair: Contest, level: float) -> Figure:
    said = [{item: side for item, side in mine.items() if item[:2] == pair} for mine in sides_of(bench).values()]
    items = sorted({item for mine in said for item in mine})
    if not items:
        return Undefined("no member has a verdict on this pair")
    label = {prompt.id: cluster(prompt) for prompt in evidence.prompts}
    clusters = distinct(label[prompt] for _, _, prompt, _ in items)
    return krippendorff_alpha(matrix(said, items), "nominal", clusters, level)
