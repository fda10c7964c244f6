"""How training went, in words: its sentence, its tables, and what to know before relying on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sciexam.report.record import Figure
from sciexam.report.tables import Table
from sciexam.report.training.standing import figure_of
from sciexam.report.training.training import Artifact, Training
from sciexam.stats import Estimate, Undefined
from sciexam.stats.running_loss import SPIKE

RESULT = {True: "accepted", False: "rejected", None: "no exam owed"}
MOST = 10  # steps that a sentence names
SHARES = ("unfinished", "repetitive", "gibberish")


def sentence_of(found: Training) -> str:
    """What became of the last model of the chain that was trained."""
    if not found.artifacts:
        return f"{found.name} has not been trained yet; the same `sciexam train` goes on with it"
    last = found.artifacts[-1]
    if last.model != found.name:
        return f"{found.name} has not been trained yet. {_outcome(last)}"
    return _outcome(last)


def _outcome(one: Artifact) -> str:
    if one.accepted is None:
        return f"{one.model} was trained, and owed no exam."
    rate = one.win_rate
    scores = f": against {one.parent} it scores {rate} by {one.exam['judge']}" if isinstance(rate, Estimate) else ""
    return f"{one.model} was {RESULT[one.accepted]}{scores}."


def caveats_of(found: Training) -> Iterator[str]:
    """Why each rejected model was rejected, and what else a reader must know of how they were trained."""
    for one in found.artifacts:
        yield from (f"{one.model} was rejected: {why}." for why in one.why)
    for one in found.artifacts:
        if one.looks and (taken := one.exam.get("taken")) != one.looks[-1].step:
            yield f"{one.model} is what there was after step {taken}, which did best on the dev prompts."
        if one.spikes:
            yield f"{spiked(one)}."
        if any(look.worse for look in one.looks):
            yield f"The training of {one.model} ended early, when a look showed it worse than its parent."
        if (by := one.exam.get("judge_is")) and "not validated" in by:
            yield f"The judge of {one.model}, {one.exam['judge']}, is {by}."


def spiked(one: Artifact) -> str:
    """At which steps the loss of a model spiked, and what that means."""
    steps = ", ".join(f"{step:,}" for step in one.spikes[:MOST])
    more = f" and {len(one.spikes) - MOST} more" if len(one.spikes) > MOST else ""
    at = "step" if len(one.spikes) == 1 else "steps"
    return f"The loss of {one.model} spiked at {at} {steps}{more}: it was logged above {SPIKE:g} times its running mean"


def tables_of(found: Training) -> Iterator[Table]:
    """The stages, then what their exams found besides, then the looks."""
    if not found.artifacts:
        return
    head = ("model", "stage", "from", "result", "rows", "steps", "loss", "against its parent", "against the baseline")
    yield Table("The stages", head, [_stage(one) for one in found.artifacts], _NOTES)
    examined = [one for one in found.artifacts if "answers" in one.exam]
    if examined:
        columns = ("model", "words", *SHARES, "KL", "reward")
        notes = (
            "Shares of answers, and those of its parent in brackets. KL: the mean log-ratio of its answers to what it "
            "began with, in nats a token. Reward: by how much it rose, by what it was trained to please.",
        )
        yield Table("How they answer the exam", columns, [_conduct(one) for one in examined], notes)
    marked = [one for one in found.artifacts if "accuracy" in one.exam]
    if marked:
        columns = ("model", "pairs", "accuracy", "required", "the longer answer", "a coin", "two people")
        notes = (
            "How often the better answer of a held-out pair has the higher reward, and how often it is otherwise told.",
        )
        yield Table("The exams of reward models", columns, [_marked(one.model, one.exam) for one in marked], notes)
    for one in found.artifacts:
        if one.looks:
            rows = [(f"{look.step:,}", _said(look.win_rate)) for look in one.looks]
            notes = (f"The interval of each look is corrected for {len(one.looks)} or more looks that were planned.",)
            yield Table(
                f"Looks at {one.model} while it was trained", ("step", "win rate on the dev prompts"), rows, notes
            )


_NOTES = ("Win rates with their intervals, ties half. Loss: the first and the last that was logged.",)


def _stage(one: Artifact) -> tuple[str, ...]:
    return (
        one.model,
        one.stage,
        one.parent or "",
        RESULT[one.accepted],
        f"{one.rows:,}",
        f"{one.steps:,}",
        _loss(one),
        _said(one.win_rate),
        _said(one.against_baseline),
    )


def _loss(one: Artifact) -> str:
    points = next((curve.points for curve in one.curves if curve.name == "loss"), ())
    return f"{points[0][1]:.3g} to {points[-1][1]:.3g}" if points else "n/a"


def _conduct(one: Artifact) -> tuple[str, ...]:
    own, before = one.exam["answers"], one.exam["answers_of_parent"]
    rewards = [
        f"{by}: {_said(figure)}" if len(one.rewards) > 1 else _said(figure) for by, figure in one.rewards.items()
    ]
    return (
        one.model,
        f"{own['words']:.0f} ({before['words']:.0f})",
        *(_share(own, before, key) for key in SHARES),
        _of_kl(one.kl),
        ", ".join(rewards) or "n/a",
    )


def _marked(model: str, shown: Mapping[str, Any]) -> tuple[str, ...]:
    accuracy, longer, people = (_said(figure_of(shown.get(key))) for key in ("accuracy", "longer_wins", "people"))
    return (model, f"{shown['pairs']:,}", accuracy, f"{shown['required']:g}", longer, f"{shown['coin']:g}", people)


def _share(own: Mapping[str, Any], before: Mapping[str, Any], key: str) -> str:
    return f"{own[key]:.0%} ({before[key]:.0%})"


def _of_kl(kl: Figure | None) -> str:
    """With three digits: of a policy that has hardly moved, two decimals would say nothing."""
    return f"{kl.value:.3g} [{kl.low:.3g}, {kl.high:.3g}]" if isinstance(kl, Estimate) else "n/a"


def _said(figure: Figure | None) -> str:
    return "n/a" if figure is None or isinstance(figure, Undefined) else str(figure)
