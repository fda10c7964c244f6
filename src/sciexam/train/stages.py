"""From a stage in the suite to a job: from which weights, with all defaults filled in, and what it learns from.

Each stage is a module of this package by the stage's own word, and has

    DEFAULTS, WITH_LORA                 what the suite may leave open
    rows(spec, job, workshop)           what it learns from, one row at a time
    train(job, until) -> Fitted         reads top to bottom
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from sciexam.errors import UsageError
from sciexam.lineage.stages import Pretrain, Reward, Trained
from sciexam.models.checkpoint import LocalCheckpoint
from sciexam.models.checkpoint_files import Head
from sciexam.models.merging import merged
from sciexam.models.settings import Vllm, Weights, artifact_of
from sciexam.suite import Suite
from sciexam.train.job import Job
from sciexam.train.workshop import Workshop

Rows = Iterable[Mapping[str, Any]]


def module_of(stage: str) -> Any:
    """The module that trains a stage."""
    return import_module(f"sciexam.train.{stage}")


def head_of(stage: str) -> Head:
    return "reward" if stage == "reward" else "causal"


def prepare(workshop: Workshop, name: str, folder: Path) -> tuple[Job, Rows]:
    """The job of a stage in `folder`, and the rows that it learns from. All that it is made from has been trained.

    Raises UsageError, and DocumentError with every fault of a file of data.
    """
    suite = workshop.suite
    spec = suite.model(name)
    assert isinstance(spec, Trained)
    settings = settings_of(spec, workshop.track)
    stage, seed = settings["stage"], suite.seed if spec.seed is None else spec.seed
    if isinstance(spec, Pretrain):
        parent, template = module_of(stage).make_base(spec, folder / "base", seed), None
    elif isinstance(spec, Reward) and spec.backbone:
        parent, template = (
            str(LocalCheckpoint(name, Weights(weights=spec.backbone), "reward", "cpu").files.weights),
            None,
        )
    else:
        parent, template = whole_weights(suite, spec.parent, workshop.results)
    reward = getattr(spec, "reward", None)
    judge = whole_weights(suite, reward, workshop.results)[0] if reward else None
    job = Job(name, stage, str(folder), settings, seed, parent, judge, template)
    return job, module_of(stage).rows(spec, job, workshop)


def settings_of(spec: Trained, track: str | None) -> dict[str, Any]:
    """The settings that a stage is trained with: what the suite leaves open comes from the stage's own module."""
    given = spec.model_dump(mode="json", exclude={"gate", "note", "generation", "responses", "weights", "adapter"})
    module = module_of(given["stage"])
    usual = {**module.DEFAULTS, **(getattr(module, "WITH_LORA", {}) if spec.lora else {})}
    settings = {key: usual.get(key) if value is None else value for key, value in given.items()}
    if spec.steps is not None:
        settings["epochs"] = None
    elif spec.epochs is not None:
        settings["steps"] = None
    return {**settings, "track": track}


def whole_weights(suite: Suite, name: str, results: Path) -> tuple[str, str | None]:
    """The folder of a model's whole weights, and the chat template that the suite gives it. An adapter is merged, once.

    Raises UsageError for a model that has no weights here.
    """
    match artifact_of(suite.model(name)):
        case Weights() | Vllm() as there:
            shared = {key: getattr(there, key) for key in ("weights", "revision", "adapter", "chat_template")}
            weights = Weights(**shared)
            if weights.adapter is None:
                return str(LocalCheckpoint(name, weights, "causal", "cpu").files.weights), weights.chat_template
            return merged(name, weights, results / "models" / "merged").weights, weights.chat_template
    raise UsageError(f"{name}: it has no weights here, and a stage cannot begin with an endpoint or with answers")
