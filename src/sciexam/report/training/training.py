"""How the models of a chain were trained, from what each has left: lineage.json and metrics.jsonl."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sciexam import lineage
from sciexam.lineage.artifacts import METRICS, Lineage
from sciexam.lineage.specs import ModelSpec
from sciexam.report.gains import Gain
from sciexam.report.record import Figure, plain
from sciexam.report.training.standing import figure_of, record_of
from sciexam.stats.running_loss import spikes

SCHEMA = "sciexam/training/1"
LEVEL = 0.95

# What is drawn, by the names that trainers log it under; the first that is there counts.
LOGGED = {
    "loss": ("loss",),
    "reward": ("reward", "mean_reward"),
    "KL": ("kl",),
    "tokens of an answer": ("length", "completions/mean_length"),
    "accuracy": ("accuracy", "rewards/accuracies"),
    "margin": ("margin", "rewards/margins"),
}


@dataclass(frozen=True, slots=True)
class Curve:
    """What a trainer logged under one name: (step, value), in order. What was no number is left out."""

    name: str
    points: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """A look at a model while it was trained: its win rate against its parent after `step`, on the dev prompts."""

    step: int
    win_rate: Figure
    worse: bool


@dataclass(frozen=True, slots=True)
class Artifact:
    """One model that was trained. `accepted`: None where no exam was owed; `why`: what it fell short of.

    `rows` it learnt from, in `steps`. `spikes`: the steps at which its loss spiked (`stats.running_loss`). `exam`: the
    numbers of its exam, as lineage.json has them.
    """

    model: str
    stage: str
    parent: str | None
    accepted: bool | None
    why: tuple[str, ...]
    digest: str
    folder: str
    seed: int
    rows: int
    steps: int
    curves: tuple[Curve, ...]
    spikes: tuple[int, ...]
    looks: tuple[Seen, ...]
    exam: Mapping[str, Any]
    versions: Mapping[str, str]

    @property
    def win_rate(self) -> Figure | None:
        return figure_of(self.exam.get("win_rate"))

    @property
    def against_baseline(self) -> Figure | None:
        return figure_of(self.exam.get("against_baseline"))

    @property
    def kl(self) -> Figure | None:
        return figure_of(self.exam.get("kl"))

    @property
    def rewards(self) -> Mapping[str, Figure]:
        """By how much the reward rose from its parent, by the reward models that it was trained to please."""
        found = {by: figure_of(value) for by, value in self.exam.get("rewards", {}).items()}
        return {by: figure for by, figure in found.items() if figure is not None}


@dataclass(frozen=True, slots=True)
class Training:
    """The models that `name` was made from, as far as they were trained here, and itself, in the order of training.

    `lineage`: what each stage gained, by the judge of its exam.
    """

    suite: str
    name: str
    artifacts: tuple[Artifact, ...]
    lineage: tuple[Gain, ...]
    level: float = LEVEL
    schema: str = SCHEMA

    def to_json(self) -> dict[str, Any]:
        """Plain values for strict JSON: no NaN, no infinity."""
        made: dict[str, Any] = plain(self)
        return made


def read_training(
    suite: str, models: Mapping[str, ModelSpec], results: Path, digest_of: Callable[[str], str], name: str
) -> Training:
    """What is known of how `name` came to exist; `digest_of`: the digest of the lineage of each of the models.

    Raises UsageError for a record that cannot be read.
    """
    found = [(one, record_of(models, results, digest_of, one)) for one in lineage.walk(models, name)]
    artifacts = tuple(_artifact(models, one, *record) for one, record in found if record is not None)
    return Training(suite, name, artifacts, tuple(_gains(artifacts)))


def _artifact(models: Mapping[str, ModelSpec], name: str, folder: Path, told: Lineage) -> Artifact:
    exam = told.exam or {}
    shown = exam.get("shown", {})
    logged = _logged(folder / METRICS)
    curves = tuple(_curves(logged))
    return Artifact(
        model=name,
        stage=told.stage,
        parent=next(iter(lineage.parents(models[name])), None),
        accepted=told.accepted,
        why=tuple(exam.get("why", ())),
        digest=told.digest,
        folder=str(folder),
        seed=told.seed,
        rows=int(told.data.get("rows", 0)),
        steps=max(int(told.data.get("steps", 0)), *(int(line["step"]) for line in logged), 0),
        curves=curves,
        spikes=spikes(next((curve.points for curve in curves if curve.name == "loss"), ())),
        looks=tuple(_seen(look) for look in shown.get("looks", ())),
        exam=shown,
        versions=told.versions,
    )


def _seen(look: Mapping[str, Any]) -> Seen:
    rate = figure_of(look["win_rate"])
    assert rate is not None
    return Seen(look["step"], rate, look["worse"])


def _curves(logged: Sequence[Mapping[str, Any]]) -> Iterator[Curve]:
    for name, keys in LOGGED.items():
        for key in keys:
            points = tuple(
                (int(line["step"]), float(line[key])) for line in logged if isinstance(line.get(key), int | float)
            )
            if points:
                yield Curve(name, points)
                break


def _logged(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _gains(artifacts: Sequence[Artifact]) -> Iterator[Gain]:
    for one in artifacts:
        if one.parent is not None and one.win_rate is not None:
            yield Gain(one.model, one.parent, (one.stage,), str(one.exam.get("judge", "")), one.win_rate)
