"""How far a job is while it trains, for whoever watches it from outside; and what is kept of one that was stopped.

It lies in a file, so that it is the same for a job in this process and for one that several processes train.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from sciexam.train.job import Job
from sciexam.train.resuming import last_complete, step_of

SECONDS = 0.2  # between two writes: a watcher sees no more, and a short step should not wait for a disk


@dataclass(frozen=True, slots=True)
class AtStep:
    """A job after `step` of its `steps`, and the last `loss` that was logged."""

    step: int
    steps: int
    loss: float | None = None


class StepFile:
    """Where a job writes down how far it is."""

    def __init__(self, job: Job):
        self._path = _path(job)
        self._written = -SECONDS

    def write(self, at: AtStep) -> None:
        """Leave `at` for a watcher, unless the last one is only just there."""
        if (now := time.monotonic()) - self._written >= SECONDS:
            self._written = now
            self._path.write_text(json.dumps(asdict(at)), encoding="utf-8")


def read_step(job: Job) -> AtStep | None:
    """How far a job is, or was when it was stopped; None where it has not begun."""
    try:
        return AtStep(**json.loads(_path(job).read_bytes()))
    except (OSError, ValueError):  # not there yet, or read in the middle of a write
        return None


def forget_step(job: Job) -> None:
    """Forget where a job was stopped: it may go on further back."""
    _path(job).unlink(missing_ok=True)


def _path(job: Job) -> Path:
    return Path(job.folder) / "step.json"


def kept_of(job: Job, processes: int) -> str:
    """What is left of a job that was stopped while it trained, and how it goes on."""
    ppo = job.stage == "ppo"  # it saves for all processes at once, and two networks
    last = last_complete(job.checkpoints, *((1, ("value.safetensors",)) if ppo else (processes,)))
    at, kept = read_step(job), step_of(last) if last else 0
    stopped = f"{job.name}: stopped at step {max(at.step, kept):,} of {at.steps:,}" if at else f"{job.name}: stopped"
    if kept:
        return f"{stopped}; the checkpoint of step {kept:,} is kept, and the same command goes on from there"
    return (
        f"{stopped}, before its first checkpoint (save_steps: {job.settings['save_steps']}); no step is kept, and the "
        "same command begins with the first"
    )
