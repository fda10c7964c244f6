"""A tracker (`--track tensorboard`, `wandb`, ...) for a stage that has no trainer of transformers: told as by one."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from sciexam.errors import UsageError
from sciexam.train.fitting import arguments
from sciexam.train.job import Job


def check_tracker(track: str | None) -> None:
    """Raises UsageError where the tracker is not installed: a trainer would say so after all was prepared."""
    if track is None:
        return
    found = find_spec(track)
    if found is None or found.origin is None:  # a folder of that name, in which a tracker keeps its runs, is no package
        raise UsageError(f"--track {track}: it is not installed here: pip install {track}")


class Tracker:
    """What transformers has for the trackers that the job names."""

    def __init__(self, job: Job, micro: int, step: int, steps: int, model: Any):
        from transformers import TrainerControl, TrainerState, TrainingArguments
        from transformers.integrations import get_reporting_integration_callbacks

        self._arguments = TrainingArguments(**arguments(job, micro))
        self._state = TrainerState(global_step=step, max_steps=steps, is_world_process_zero=True)
        self._control = TrainerControl()
        self._told = [kind() for kind in get_reporting_integration_callbacks(self._arguments.report_to)]
        for one in self._told:
            one.on_train_begin(self._arguments, self._state, self._control, model=model)

    def log(self, step: int, logged: Mapping[str, float]) -> None:
        self._state.global_step = step
        for one in self._told:
            one.on_log(self._arguments, self._state, self._control, logs=dict(logged))

    def end(self) -> None:
        for one in self._told:
            one.on_train_end(self._arguments, self._state, self._control)
