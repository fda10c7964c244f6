"""Looks at a model while it is trained: at planned steps it answers prompts that the exam does not have.

    gate: {dev: dev_prompts.jsonl, looks: 4}     # after every quarter of the steps

A look compares what is there by then with the parent, by the gate's judge. Its interval is at the level
1 - 0.05 / looks (Bonferroni over the planned looks), so that all looks together call a model worse that is not with a
probability of 0.05 at most. One that is shown worse ends the training. What goes on to the exam is the checkpoint with
the best win rate at a look. The exam's own prompts have decided nothing by then, so its interval needs no correction.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sciexam.battles import cluster
from sciexam.files import write_atomically
from sciexam.lineage.stages import Gate
from sciexam.prompts import read_prompts
from sciexam.report.record import Figure
from sciexam.report.scores import distinct
from sciexam.stats import Estimate, win_rate
from sciexam.train.fitting import read_fitted
from sciexam.train.gate.comparing import compared
from sciexam.train.gate.examiners import gate_of, judge_of, parent_of
from sciexam.train.job import Job
from sciexam.train.weights import make_whole
from sciexam.train.workshop import Workshop

ALPHA = 0.05
# What a checkpoint has besides the weights of the model: the trainer's state, and a value function.
NOT_WEIGHTS = ("*.pt", "*.pth", "*.bin", "trainer_state.json", "value.safetensors", "README.md")


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen after `step`: the win rate against the parent on the dev prompts, as plain values."""

    step: int
    win_rate: dict[str, Any]
    worse: bool

    @property
    def value(self) -> float:
        value = self.win_rate["value"]
        return 0.0 if value is None else float(value)


def train_with_looks(workshop: Workshop, job: Job, fit: Callable[[int | None], None]) -> list[Look]:
    """Train a job to its end, or until it is shown worse, and leave the best of what was looked at in `job.weights`.

    `fit` trains on to a step, or to the end. Killed anywhere, the same call goes on there.
    """
    gate = gate_of(workshop.suite, job.name)
    looks = looks_of(job)
    for step in _steps(job, gate.looks, fit)[len(looks) :]:
        if looks and looks[-1].worse:
            break
        fit(step)
        looks.append(_look(workshop, job, gate, step))
        write_atomically(_said(job), json.dumps([asdict(one) for one in looks], allow_nan=False))
        _keep(job, best_of(looks))
        ends = ": worse than its parent, so training ends here" if looks[-1].worse else ""
        workshop.tell(f"{job.name}: step {step}: {in_words(looks[-1])}{ends}")
    _take(job, best_of(looks))
    return looks


def looks_of(job: Job) -> list[Look]:
    """The looks that have been taken so far, in their order."""
    return [Look(**one) for one in json.loads(_said(job).read_bytes())] if _said(job).is_file() else []


def best_of(looks: Sequence[Look]) -> Look:
    """The look with the best win rate; of equal ones the last."""
    return max(looks, key=lambda one: (one.value, one.step))


def _steps(job: Job, looks: int, fit: Callable[[int | None], None]) -> list[int]:
    """The planned steps, the last of which is the end. How many steps there are is known after the first."""
    total = job.settings["steps"]
    if total is None:
        if read_fitted(job) is None:
            fit(1)
        fitted = read_fitted(job)
        assert fitted is not None
        total = fitted.steps
    return sorted({max(1, round(total * look / looks)) for look in range(1, looks + 1)})


def _look(workshop: Workshop, job: Job, gate: Gate, step: int) -> Look:
    """Compare what there is after `step` with the parent, on the dev prompts."""
    assert gate.dev is not None
    prompts = read_prompts(Path(gate.dev))
    weights = _weights_at(job, step)
    on_dev = replace(workshop, suite=workshop.suite.model_copy(update={"prompts": prompts}))
    on_dev = on_dev.with_weights(job.name, weights)
    report = compared(on_dev, parent_of(on_dev.suite, job.name), job.name, judge_of(on_dev.suite, job.name))
    scores = {item.prompt: item.outcomes[0].score for item in report.items if item.outcomes[0].score is not None}
    units = {prompt.id: cluster(prompt) for prompt in prompts}
    rate = win_rate(list(scores.values()), distinct(units[prompt] for prompt in scores), 1 - ALPHA / gate.looks)
    return Look(step, rate.to_json(), _is_worse(rate))


def _is_worse(rate: Figure) -> bool:
    return isinstance(rate, Estimate) and rate.high < 0.5


def in_words(look: Look) -> str:
    """What a look has shown."""
    rate: Mapping[str, Any] = look.win_rate
    if rate["value"] is None:
        return f"the win rate on the dev prompts is unknown: {rate['why']}"
    return f"the win rate on the dev prompts is {rate['value']:.2f} [{rate['low']:.2f}, {rate['high']:.2f}]"


# ---------------------------------------------------------------- the weights that were looked at


def _weights_at(job: Job, step: int) -> Path:
    """The whole weights after `step`: those of the end, or a copy of a checkpoint's."""
    if job.weights.is_dir():
        return job.weights
    kept = _kept(job, step)
    if not kept.weights.is_dir():
        shutil.rmtree(kept.folder, ignore_errors=True)
        ignored = shutil.ignore_patterns(*NOT_WEIGHTS)
        draft = Path(kept.folder) / "draft"
        shutil.copytree(job.checkpoints / f"checkpoint-{step}", draft, ignore=ignored)
        draft.rename(kept.weights)
        make_whole(kept, "causal")
    return kept.weights


def _keep(job: Job, best: Look) -> None:
    """Of the copies only the best is wanted again."""
    for folder in (Path(job.folder) / "looks").glob("step-*"):
        if folder.name != f"step-{best.step}":
            shutil.rmtree(folder)


def _take(job: Job, best: Look) -> None:
    """Have the best of what was looked at in `job.weights`; it stands there already where that was the end."""
    kept = _kept(job, best.step)
    if kept.weights.is_dir():
        shutil.rmtree(job.weights, ignore_errors=True)
        kept.weights.rename(job.weights)


def _kept(job: Job, step: int) -> Job:
    """A job whose weights are those after `step`."""
    return replace(job, folder=str(Path(job.folder) / "looks" / f"step-{step}"))


def _said(job: Job) -> Path:
    return Path(job.folder) / "looks.json"
