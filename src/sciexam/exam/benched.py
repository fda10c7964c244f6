"""What benchmarks leave in the ledger: a grade for each item, and one for each task with the values of all its items.

Both are facts of the model and the task by their contents. The rater of both is `bench:TASK`; the subject of a task's
grade is the model, so that a leaderboard finds what its contestants were asked.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sciexam.digests import digest
from sciexam.errors import SciexamError
from sciexam.models import open_model
from sciexam.models.checkpoint import LocalCheckpoint
from sciexam.models.settings import Weights, artifact_of
from sciexam.report.benchmarks import figure_of
from sciexam.report.record import Figure
from sciexam.store import Store
from sciexam.suite import Suite
from sciexam.types import Grade

RATER = "bench:"
SCHEMA = 1  # part of every key: raised when a fact comes to mean something else


@dataclass(frozen=True, slots=True)
class Setting:
    """What was asked, and how: results with one setting can be compared item by item."""

    task: str  # the digest of the task
    shots: int
    chat: bool  # whether the prompts were rendered as turns
    items: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one model did on one task. `values` has one for each item, None where it has none; () where the metric is
    counted over all items at once. `reported` holds the harness's own figures, by metric and filter; `cut` counts the
    prompts that were cut because they had no room."""

    model: str
    task: str
    metric: str
    higher_is_better: bool
    setting: Setting
    values: tuple[float | None, ...]
    groups: tuple[str, ...] | None
    reported: Mapping[str, float]
    cut: int
    key: str


def identity_of(suite: Suite, name: str, fetch: bool = False) -> str:
    """The digest of a model as benchmarks know it: weights by their contents, whatever else as it is asked."""
    spec = suite.model(name)
    if isinstance(weights := artifact_of(spec), Weights):
        return identity_of_weights(LocalCheckpoint(name, weights, "causal", weights.device, fetch), weights)
    return open_model(name, spec, suite.generation_of(name)).digest


def identity_of_weights(checkpoint: LocalCheckpoint, settings: Weights) -> str:
    """The same, of weights that were found. How the suite has them asked is not in it: a task says that itself."""
    return digest(["weights", checkpoint.contents, settings.chat_template, settings.system])


def task_key(model: str, setting: Setting) -> str:
    """The key of a task's grade."""
    return digest({"fact": ["benchmark", SCHEMA], "model": model, "setting": setting})


def item_key(model: str, setting: Setting, place: int, item: str) -> str:
    """The key of an item's grade; `item` is its digest. Whether more items were asked about is not in it."""
    asked = [setting.task, setting.shots, setting.chat, place, item]
    return digest({"fact": ["benchmark item", SCHEMA], "model": model, "asked": asked})


def task_grade(outcome: Outcome, model: str, score: float | None) -> Grade:
    """An outcome as the fact that it is; `model` is the identity of its model."""
    said = {
        "metric": outcome.metric,
        "higher_is_better": outcome.higher_is_better,
        "setting": [outcome.setting.task, outcome.setting.shots, outcome.setting.chat, outcome.setting.items],
        "values": outcome.values,
        "groups": outcome.groups,
        "cut": outcome.cut,
    }
    return Grade(
        key=outcome.key,
        prompt=outcome.task,
        contestant=outcome.model,
        rater=RATER + outcome.task,
        subject=model,
        score=score,
        criteria=outcome.reported,
        reason=json.dumps(said, allow_nan=False),
    )


def read_outcome(grade: Grade, model: str) -> Outcome:
    """The outcome that a task's grade holds, of the contestant called `model`: names are not in keys."""
    said: dict[str, Any] = json.loads(grade.reason)
    groups = said["groups"]
    return Outcome(
        model=model,
        task=grade.rater.removeprefix(RATER),
        metric=said["metric"],
        higher_is_better=said["higher_is_better"],
        setting=Setting(*said["setting"]),
        values=tuple(said["values"]),
        groups=None if groups is None else tuple(groups),
        reported=grade.criteria,
        cut=said["cut"],
        key=grade.key,
    )


def on_board(suite: Suite, contestants: Sequence[str], store: Store, level: float) -> dict[str, dict[str, Figure]]:
    """The figures of the benchmarks in the ledger: by task, with its metric, and by contestant.

    Of one task the figures have one setting, that which most contestants have, and of these the latest.
    """
    if not store.knows(RATER):
        return {}
    by_task: dict[str, list[Outcome]] = {}
    for name in contestants:
        try:
            model = identity_of(suite, name)
        except SciexamError:  # its weights are not here: what it answered may be recorded
            continue
        for grade in store.grades_on([model], RATER):
            if grade.status == "ok":
                by_task.setdefault(grade.rater, []).append(read_outcome(grade, name))
    found: dict[str, dict[str, Figure]] = {}
    for outcomes in by_task.values():
        chosen = _most_common(outcomes)
        of_chosen = {one.model: one for one in outcomes if one.setting == chosen}
        shots = f", {chosen.shots} shots" if chosen.shots else ""
        label = f"{outcomes[-1].task} {next(iter(of_chosen.values())).metric}{shots}"
        found[label] = {name: figure_of(one.values, one.groups, level) for name, one in of_chosen.items()}
    return found


def _most_common(outcomes: Iterable[Outcome]) -> Setting:
    latest = {one.setting: place for place, one in enumerate(outcomes)}
    models = Counter(setting for setting, _ in {(one.setting, one.model) for one in outcomes})
    return max(latest, key=lambda setting: (models[setting], latest[setting]))
