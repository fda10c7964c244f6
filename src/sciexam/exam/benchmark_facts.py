"""What benchmarks leave in the ledger: a grade for each item, and one for each task with the values of all its items.

Both are facts of the model and the task by their contents. The rater of both is `bench:TASK`; the subject of a task's
grade is the model, so that a leaderboard finds what its contestants were asked.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sciexam.digests import digest
from sciexam.errors import SciexamError
from sciexam.models.settings import Weights, artifact_of
from sciexam.suite import Suite
from sciexam.types import Grade

if TYPE_CHECKING:
    from sciexam.models.checkpoint import LocalCheckpoint
    from sciexam.report.benchmarks import Told

RATER = "bench:"
SCHEMA = 1  # part of every key: raised when a fact comes to mean something else
UNREAD = "unread"  # the metric of tasks on toxicity: whether the classifier read only the beginning of a text


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


def identity_of(suite: Suite, name: str) -> str:
    """The digest of a model as benchmarks know it: weights by their contents, whatever else as it is asked."""
    spec = suite.model(name)
    if isinstance(weights := artifact_of(spec), Weights):
        return _identity_of_files(name, weights)
    return suite.open_model(name).digest


def identities_of(suite: Suite, digests: Mapping[str, str]) -> dict[str, str]:
    """The identities of models whose `digests` are known, by name: nothing but the files of weights is looked at.

    Weights that are not here have none.
    """
    found = {}
    for name, known in digests.items():
        weights = artifact_of(suite.model(name))
        if not isinstance(weights, Weights):
            found[name] = known
            continue
        with contextlib.suppress(SciexamError):  # what they answered may be recorded
            found[name] = _identity_of_files(name, weights)
    return found


def _identity_of_files(name: str, weights: Weights) -> str:
    from sciexam.models.checkpoint import LocalCheckpoint

    return identity_of_weights(LocalCheckpoint(name, weights, "causal", weights.device), weights)


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


def told_of(one: Outcome) -> Told:
    """An outcome as it is counted."""
    from sciexam.report.benchmarks import Told

    shots, chat = one.setting.shots, one.setting.chat
    return Told(
        one.model, one.task, one.metric, one.higher_is_better, shots, chat, one.values, one.groups, one.reported
    )


def shortfalls_of(one: Outcome) -> Iterator[str]:
    """What of a task was not done as it should be, in sentences."""
    on = f"{one.model} on {one.task}"
    if one.cut:
        texts = "1 text had no room, and was" if one.cut == 1 else f"{one.cut} texts had no room, and were"
        yield f"{on}: {texts} cut at {'its' if one.cut == 1 else 'their'} beginning."
    if unread := round(sum(v for k, v in one.reported.items() if k.split(",")[0] == UNREAD) * len(one.values)):
        yield f"{on}: of {unread} text{'s' if unread > 1 else ''} the classifier read only the beginning."
    if missing := sum(value is None for value in one.values):
        yield f"{on}: {missing} of {len(one.values)} items {'has' if missing == 1 else 'have'} no value."
