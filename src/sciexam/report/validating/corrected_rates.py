"""Win rates by a judge, by humans, or by both: what few human labels make of many verdicts of a judge."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sciexam.battles import pair
from sciexam.report.evidence import Bench, Evidence
from sciexam.report.record import Figure
from sciexam.report.scores import distinct, scores_of, used_of
from sciexam.report.validating.human_verdicts import HumanVerdicts
from sciexam.stats import Undefined, prediction_powered_mean, rogan_gladen, win_rate
from sciexam.stats.sides import side_of


@dataclass(frozen=True, slots=True)
class Rates:
    """The win rate of b against a, ties half, by the judge, by humans, and by both. Counts are prompts.

    `judge`: on the `judged` prompts. `humans`: on the `labelled` ones, annotators averaged. `powered`: PPI++, from the
    labels that have a verdict of the judge beside them (`both`) and its verdicts on the `unlabelled` prompts; `weight`
    is its lambda, `bought` what the judge was worth, and `unasked` the prompts that nobody has judged. Prompts on which
    both gave one text are nobody's to label. `corrected`: Rogan and Gladen's correction of the judge's choices
    on unlabelled prompts (`choices`), by its `sensitivity` and `specificity` on the `forced` labelled ones, where both
    the humans and the judge name a winner.
    """

    a: str
    b: str
    judged: int
    judge: Figure
    labelled: int
    humans: Figure
    both: int
    unlabelled: int
    unasked: int
    powered: Figure
    weight: float | None
    bought: str
    corrected: Figure
    forced: int
    choices: int
    sensitivity: Figure
    specificity: Figure


def rates_of(evidence: Evidence, bench: Bench, humans: HumanVerdicts, level: float) -> Iterator[Rates]:
    """The win rates of each pair of contestants of which the judge or a human judged a prompt."""
    judged = scores_of(evidence, bench)
    labels = _labels(humans)
    for a, b in evidence.pairs:
        by_judge = {s.prompt.id: s.score for s in used_of(judged[a, b]) if s.score is not None}
        if by_judge or labels[a, b]:
            open_to_both = _to_label(evidence, a, b)
            found = _rates(humans, a, b, by_judge, labels[a, b], open_to_both, level)
            unasked = len(open_to_both - by_judge.keys() - labels[a, b].keys())
            told = _unasked(bench, unasked) if unasked and not found.unlabelled else found.bought
            yield replace(found, unasked=unasked, bought=told)


def _to_label(evidence: Evidence, a: str, b: str) -> set[str]:
    """The prompts that both have answered, and not with one and the same text."""
    compared = pair(evidence.prompts, [(a, b)], evidence.samples, evidence.responses)
    return {one.prompt.id for one in compared if not one.of_one_text}


def _unasked(bench: Bench, prompts: int) -> str:
    others = f"the {prompts:,} other prompts" if prompts > 1 else "the one other prompt"
    said = f"{bench.name} has no usable verdict on {others}, so that it buys nothing yet"
    return f"{said}; its file holds none" if bench.recorded else said


def _labels(humans: HumanVerdicts) -> Mapping[tuple[str, str], Mapping[str, float]]:
    """b's score by humans on each prompt of each pair: the mean over its samples, and over the annotators of each."""
    listed: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for item in (*humans.majority, *humans.of_one_text):
        listed[item[0], item[1]][item[2]].append(humans.score(item))
    found: dict[tuple[str, str], Mapping[str, float]] = defaultdict(dict)
    for contest, prompts in listed.items():
        found[contest] = {prompt: sum(scores) / len(scores) for prompt, scores in prompts.items()}
    return found


def _rates(
    humans: HumanVerdicts,
    a: str,
    b: str,
    judge: Mapping[str, float],
    labels: Mapping[str, float],
    to_label: Collection[str],
    level: float,
) -> Rates:
    both = [prompt for prompt in labels if prompt in judge]
    others = [prompt for prompt in judge if prompt not in labels and prompt in to_label]
    powered = prediction_powered_mean(
        [labels[prompt] for prompt in both],
        [judge[prompt] for prompt in both],
        [judge[prompt] for prompt in others],
        *_clusters(humans, both, others),
        level=level,
        low=0.0,
        high=1.0,
    )
    forced = [prompt for prompt in both if side_of(labels[prompt]) and side_of(judge[prompt])]
    choices = [prompt for prompt in others if side_of(judge[prompt])]
    corrected = rogan_gladen(
        [float(labels[prompt] > 0.5) for prompt in forced],
        [float(judge[prompt] > 0.5) for prompt in forced],
        [float(judge[prompt] > 0.5) for prompt in choices],
        *_clusters(humans, forced, choices),
        level=level,
    )
    estimate, weight, bought = (
        (powered, None, "") if isinstance(powered, Undefined) else (powered.estimate, powered.lambda_, powered.note)
    )
    return Rates(
        a=a,
        b=b,
        judged=len(judge),
        judge=_rate(humans, judge, level),
        labelled=len(labels),
        humans=_rate(humans, labels, level),
        both=len(both),
        unlabelled=len(others),
        unasked=0,
        powered=estimate,
        weight=weight,
        bought=bought,
        corrected=corrected.estimate,
        forced=len(forced),
        choices=len(choices),
        sensitivity=corrected.sensitivity,
        specificity=corrected.specificity,
    )


def _rate(humans: HumanVerdicts, scores: Mapping[str, float], level: float) -> Figure:
    return win_rate(list(scores.values()), distinct(humans.cluster_of(prompt) for prompt in scores), level)


def _clusters(
    humans: HumanVerdicts, labelled: Sequence[str], unlabelled: Sequence[str]
) -> tuple[list[str] | None, list[str] | None]:
    """The units of both parts; None for both where every prompt of either is one of its own."""
    units = [humans.cluster_of(prompt) for prompt in (*labelled, *unlabelled)]
    return (units[: len(labelled)], units[len(labelled) :]) if distinct(units) else (None, None)
