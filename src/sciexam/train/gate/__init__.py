"""The gate: a checkpoint is accepted only if it passes the exam against its parent.

    sciexam train rlhf       # models: {rlhf: {from: sft, stage: dpo, ..., gate: {judge: gpt-4, margin: 0.05}}}

The candidate and its parent answer the suite's prompts, and a judge that neither was trained to please compares them,
as in `sciexam compare`: every answer and verdict is a fact in the ledger. It has to meet all conditions of
`lineage.stages.Gate` at once, so that none needs a correction for the others. What is found is written into the
checkpoint's lineage.json, with the reasons where it is rejected. Nothing is trained here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from sciexam.battles import cluster
from sciexam.exam import marking
from sciexam.judges.settings import RewardJudge, RewardWeightsJudge
from sciexam.lineage.artifacts import Lineage
from sciexam.lineage.stages import Gate, Reward, Trained
from sciexam.report.record import Answer, Figure, Report
from sciexam.stats import Estimate
from sciexam.train.data.candidates import marker_of
from sciexam.train.gate.comparing import compared
from sciexam.train.gate.conduct import conduct_of, faults_of, length_ratio
from sciexam.train.gate.examiners import baseline_of, gate_of, judge_of
from sciexam.train.gate.log_ratio import Said, log_ratio
from sciexam.train.gate.looks import Look, best_of
from sciexam.train.job import Job
from sciexam.train.workshop import Workshop


@dataclass(frozen=True, slots=True)
class Candidate:
    """What sits the exam: a model of the suite, its whole weights, and the folder of those that it began with."""

    name: str
    weights: Path
    reference: str


@dataclass(frozen=True, slots=True)
class Found:
    """What the exam of a checkpoint found. `accepted`: None where no exam was owed; `why`: what it fell short of.

    `shown`: the numbers, as plain values: estimates as their `to_json`.
    """

    accepted: bool | None
    why: tuple[str, ...] = ()
    shown: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def sit(workshop: Workshop, job: Job, looks: Sequence[Look] = ()) -> Found:
    """The exam of what a job has made; `looks` were taken on the way, and are written down with what it found.

    Raises Incomplete where a call failed, and what `exam.compare` raises.
    """
    spec = workshop.suite.models[job.name]
    if isinstance(spec, Reward):
        from sciexam.train.gate import reward_exam

        found: Found = reward_exam.sit(workshop, job)
        return found
    if not isinstance(spec, Trained) or spec.gate is None:
        return Found(None)
    found = examine(workshop, Candidate(job.name, job.weights, job.parent))
    return replace(found, shown=found.shown | _of_looks(looks))


def rejected(gate: Gate | None, why: str, looks: Sequence[Look] = ()) -> Found:
    """What is not let in to the exam."""
    return Found(
        False,
        (why,),
        {
            "gate": _conditions(gate),
        }
        | _of_looks(looks),
    )


def _of_looks(looks: Sequence[Look]) -> dict[str, Any]:
    """The looks as plain values, and the step whose weights were `taken`."""
    return {"looks": [asdict(look) for look in looks], "taken": best_of(looks).step} if looks else {}


def examine(workshop: Workshop, candidate: Candidate) -> Found:
    """The exam of whole weights for text, by the conditions that the suite sets now."""
    workshop = workshop.with_weights(candidate.name, candidate.weights)
    suite, name = workshop.suite, candidate.name
    spec = suite.models[name]
    assert isinstance(spec, Trained)
    judge, parent, gate = judge_of(suite, name), spec.parent, gate_of(suite, name)
    report = compared(workshop, parent, name, judge)
    rate = report.pairs[0].win_rate
    baseline = baseline_of(suite, name)
    beside = rate if baseline == parent else None
    if baseline and beside is None:
        beside = compared(workshop, baseline, name, judge).pairs[0].win_rate
    own, before = (conduct_of(answers_of(report, one)) for one in (name, parent))
    kl = log_ratio(name, str(candidate.weights), candidate.reference, list(_said(workshop, report, name)))
    rewards = dict(_rewards(workshop, spec, name))
    hacking = list(_hacking(rewards, rate, parent, judge))
    why = [
        *_of_rates(gate, judge, parent, rate, baseline, beside),
        *faults_of(own, before, parent, gate),
        *_of_kl(gate, kl),
        *hacking,
    ]
    shown = {
        "gate": _conditions(gate),
        "judge": judge,
        "judge_is": report.pairs[0].judge_is,
        "parent": parent,
        "baseline": baseline,
        "run": report.run,
        "win_rate": rate.to_json(),
        "against_baseline": beside.to_json() if beside else None,
        "answers": asdict(own),
        "answers_of_parent": asdict(before),
        "length_ratio": length_ratio(own, before),
        "kl": kl.to_json(),
        "rewards": {by: shift.to_json() for by, shift in rewards.items()},
        "hacking": bool(hacking),
    }
    return Found(not why, tuple(why), shown)


def stands(told: Lineage, spec: Trained) -> bool:
    """Whether what lineage.json says of a checkpoint still holds: a rejection does under the same conditions only."""
    if told.accepted is not False:
        return True
    shown = (told.exam or {}).get("shown", {})
    return "gate" not in shown or shown["gate"] == _conditions(spec.gate)


def _conditions(gate: Gate | None) -> dict[str, Any] | None:
    return gate.model_dump(mode="json") if gate is not None else None


# ---------------------------------------------------------------- what is measured


def answers_of(report: Report, name: str) -> Iterator[Answer]:
    return (answer for item in report.items for answer in item.answers if answer.contestant == name)


def _said(workshop: Workshop, report: Report, name: str) -> Iterator[Said]:
    prompts = {prompt.id: prompt for prompt in workshop.suite.prompts}
    for item in report.items:
        for answer in item.answers:
            if answer.contestant == name and answer.status == "ok":
                prompt = prompts[item.prompt]
                yield Said(prompt.messages, answer.text, not answer.truncated, cluster(prompt))


def _rewards(workshop: Workshop, spec: Trained, name: str) -> Iterator[tuple[str, Figure]]:
    """By how much the reward rose from the parent to `name`, by each reward model that it was trained to please."""
    for by in spec.trained_against():
        if not isinstance(workshop.suite.models.get(by), Reward) and by not in workshop.suite.judges:
            continue  # a model that judges, or a word that a stage has for itself
        marker = marker_of(workshop.suite, by)
        if not isinstance(marker, (RewardJudge, RewardWeightsJudge)):
            continue
        suite = workshop.suite.model_copy(update={"judges": {**workshop.suite.judges, by: marker}})
        yield by, marking.reward(suite, spec.parent, name, model=by, **workshop.asking()).pairs[0].compared.difference


# ---------------------------------------------------------------- what is asked of it


def _of_rates(
    gate: Gate, judge: str, parent: str, rate: Figure, baseline: str | None, beside: Figure | None
) -> Iterator[str]:
    if not (isinstance(rate, Estimate) and rate.low > 0.5 - gate.margin):
        yield f"against its parent {parent} {_scored(rate, judge)}, which has to lie above {0.5 - gate.margin:g}"
    if beside is not None and not (isinstance(beside, Estimate) and beside.low > 0.5):
        yield f"against the baseline {baseline} {_scored(beside, judge)}, which has to lie above 0.5"


def _scored(rate: Figure, judge: str) -> str:
    if isinstance(rate, Estimate):
        return f"it scores {rate} by {judge}: the interval begins at {rate.low:.3f}"
    return f"there is no win rate by {judge} ({rate.why})"


def _of_kl(gate: Gate, kl: Figure) -> Iterator[str]:
    if gate.kl is not None and not (isinstance(kl, Estimate) and kl.value <= gate.kl):
        yield f"it has gone {kl} nats a token from what it began with, and `kl: {gate.kl:g}` are allowed"


def _hacking(rewards: Mapping[str, Figure], rate: Figure, parent: str, judge: str) -> Iterator[str]:
    """The reward is up and the win rate is down, each with its whole interval (arXiv 2210.10760)."""
    for by, shift in rewards.items():
        if isinstance(shift, Estimate) and shift.low > 0 and isinstance(rate, Estimate) and rate.high < 0.5:
            yield (
                f"reward hacking: the reward by {by} rose by {shift}, while {judge} prefers the answers of {parent}: "
                f"its win rate is {rate}"
            )
