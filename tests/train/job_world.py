"""Jobs on tiny weights that were drawn, and not trained: what a stage does is tried without its lineage.

Import it only where torch is installed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import checkpoints
from sciexam.lineage.stages import Trained
from sciexam.train.job import Job
from sciexam.train.stages import module_of, settings_of


@dataclass(frozen=True)
class World:
    """A policy and a reward model in `folder`."""

    folder: Path
    policy: Path
    reward: Path

    def job(self, name: str, spec: Trained, workshop: Any = None) -> Job:
        """A job in a folder of its own."""
        settings = settings_of(spec, None)
        folder, stage = self.folder / name, settings["stage"]
        job = Job(name, stage, str(folder), settings, 7, str(self.policy), str(self.reward))
        job.write(module_of(stage).rows(spec, job, workshop))
        return job

    def write(self, name: str, lines: Iterable[Mapping[str, Any]]) -> str:
        path = self.folder / name
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        return str(path)


def make_world(folder: Path) -> World:
    return World(folder, checkpoints.causal(folder / "policy"), checkpoints.reward(folder / "reward"))


def logged(job: Job) -> list[dict[str, float]]:
    return [json.loads(line) for line in job.metrics.read_text(encoding="utf-8").splitlines()]


def killed_and_resumed(job: Job, checkpoint: str) -> None:
    """Train a job in a process that is killed as soon as it has left a checkpoint, then in another one to its end."""
    command, environment = [sys.executable, "-m", "sciexam.train", job.folder], {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment)
    while not (job.checkpoints / checkpoint / "trainer_state.json").is_file():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not job.weights.is_dir()
    subprocess.run(command, env=environment, check=True)
