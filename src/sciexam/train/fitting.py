"""How every trainer is run: one configuration, one look at what it would do, and a way on after a kill.

`fit` takes a job and a function that makes the trainer from a configuration. It goes on from the last complete
checkpoint, halves what is held at once where memory does not suffice (the effective batch stays), and ends with an
error where the loss is no number or has run away.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sciexam.errors import SciexamError, UsageError
from sciexam.files import write_atomically
from sciexam.models import checkpoint_loading
from sciexam.models.checkpoint import free_memory
from sciexam.models.checkpoint_files import silence
from sciexam.models.checkpoint_loading import out_of_memory
from sciexam.train.at_step import AtStep, StepFile
from sciexam.train.job import Job, world_size
from sciexam.train.metrics import MetricsFile
from sciexam.train.resuming import last_complete, step_of
from sciexam.train.silent_failures import check_trainer

KEPT = 3  # checkpoints, so that one that was cut off leaves others


class Diverged(SciexamError):
    """The loss ran away: what was trained is of no use."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """What came of a fit: how many steps of how many, and how many rows a process held at once."""

    step: int
    steps: int
    micro_batch: int


def fit(job: Job, make: Callable[[dict[str, Any]], Any], until: int | None = None) -> Fitted:
    """Train `job` to its end, or to the step `until`, and leave its weights in `job.weights` when it is at its end.

    `make` makes a trainer of transformers from the arguments of its configuration. Raises UsageError for what cannot be
    trained, and Diverged.
    """
    silence()
    with quietly():
        return as_it_fits(job, lambda micro: _run(job, make(arguments(job, micro)), micro, until))


def as_it_fits(job: Job, run: Callable[[int], Fitted]) -> Fitted:
    """What `run` makes of the job, given how many rows a process holds at once: fewer where memory does not suffice."""
    while True:
        micro = _micro_batch(job)
        try:
            return run(micro)
        except Exception as error:
            if not out_of_memory(error):
                raise
        free_memory()  # after the error is gone, which holds on to all that was in memory
        _halve(job, micro)
        if world_size() > 1:  # the others wait for this one, and cannot begin again with it
            raise SciexamError(
                f"{job.name}: {micro} rows at once do not fit into the memory of a process; train it again: it goes on "
                "with fewer"
            )


def fit_here(job: Job, until: int | None = None) -> Fitted:
    """Train `job` in this process, by the module of its stage."""
    from sciexam.train.stages import module_of

    try:
        fitted: Fitted = module_of(job.stage).train(job, until)
    except Diverged as error:
        write_atomically(_diverged(job), str(error))
        raise
    write_atomically(_fitted(job), json.dumps(asdict(fitted)) + "\n")
    free_memory()
    return fitted


def read_fitted(job: Job) -> Fitted | None:
    """How far a job has come, in this process or in another; None where it has not been trained at all."""
    return Fitted(**json.loads(_fitted(job).read_bytes())) if _fitted(job).is_file() else None


def steps_of(job: Job) -> int:
    """After how many steps a job stands."""
    fitted = read_fitted(job)
    return fitted.step if fitted is not None else 0


def _fitted(job: Job) -> Path:
    return Path(job.folder) / "progress.json"


def read_diverged(job: Job) -> str:
    """Why a job has diverged, in this process or in another; empty where it has not."""
    return _diverged(job).read_text(encoding="utf-8") if _diverged(job).is_file() else ""


def _diverged(job: Job) -> Path:
    return Path(job.folder) / "diverged.txt"


def _schedule(settings: Mapping[str, Any]) -> str:
    """The schedule by transformers' name: a cosine that ends above nought has another one there."""
    ends_above = settings["schedule"] == "cosine" and settings["trainer"].get("lr_scheduler_kwargs", {}).get("min_lr")
    return "cosine_with_min_lr" if ends_above else str(settings["schedule"])


def arguments(job: Job, micro: int) -> dict[str, Any]:
    """What every trainer is configured with. The trainer's own names in `trainer:` come last."""
    import torch

    settings, processes = job.settings, world_size()
    on_cpu = not torch.accelerator.is_available()
    return {
        "output_dir": str(job.checkpoints),
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": settings["batch_size"] // (micro * processes),
        **({"max_steps": settings["steps"]} if settings["steps"] else {"num_train_epochs": settings["epochs"]}),
        "learning_rate": settings["learning_rate"],
        "lr_scheduler_type": _schedule(settings),
        "warmup_steps": settings["warmup"],  # below one: a share of all steps
        "weight_decay": settings["weight_decay"],
        "seed": job.seed,
        "data_seed": job.seed,
        "use_cpu": on_cpu,
        "bf16": settings["dtype"] == "bf16" or (settings["dtype"] == "auto" and not on_cpu),
        "fp16": settings["dtype"] == "fp16",
        "gradient_checkpointing": not on_cpu,
        "logging_steps": max(1, min(10, settings["save_steps"])),
        "logging_nan_inf_filter": False,  # it would log the last number again in the place of one that is none
        "save_strategy": "steps",
        "save_steps": settings["save_steps"],
        "save_total_limit": KEPT,
        "report_to": settings["track"] or "none",
        "disable_tqdm": True,
        "remove_unused_columns": True,
        "dataloader_pin_memory": not on_cpu,
        "ddp_backend": ("gloo" if on_cpu else "nccl") if processes > 1 else None,
        "ddp_find_unused_parameters": False if processes > 1 else None,
        **deepcopy(settings["trainer"]),  # trainers fill mappings in
    }


def _run(job: Job, trainer: Any, micro: int, until: int | None) -> Fitted:
    from transformers import PrinterCallback

    check_trainer(job, trainer)
    trainer.remove_callback(PrinterCallback)
    begun = last_complete(job.checkpoints, world_size())
    metrics = MetricsFile(job.metrics, step_of(begun) if begun else 0)
    trainer.add_callback(_watching(job, metrics, until))
    trainer.train(resume_from_checkpoint=str(begun) if begun else None)
    state = trainer.state
    if state.global_step >= state.max_steps:
        _save(job, trainer)
    return Fitted(state.global_step, state.max_steps, micro)


def _save(job: Job, trainer: Any) -> None:
    trainer.save_model(str(job.weights))
    if trainer.is_world_process_zero():
        for name in ("training_args.bin", "README.md"):  # a pickle, and a page about nobody's model
            (job.weights / name).unlink(missing_ok=True)
        trainer.processing_class.save_pretrained(job.weights)


# ---------------------------------------------------------------- while it runs


def _watching(job: Job, metrics: MetricsFile, until: int | None) -> Any:
    from transformers import TrainerCallback

    step_file = StepFile(job)

    class Watching(TrainerCallback):  # type: ignore[misc, unused-ignore]
        """Keeps what is logged, says how far it is, stops where a look is due, and ends what has run away."""

        loss: float | None = None

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.at(state)

        def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **_: Any) -> None:
            if state.is_world_process_zero and logs and "train_runtime" not in logs:
                metrics.add(state.global_step, logs)
            if logs and (why := metrics.diverged(logs)):
                raise Diverged(f"{job.name}: step {state.global_step}: {why}; lower learning_rate, and train again")
            self.loss = (logs or {}).get("loss", self.loss)

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
            self.at(state)
            if state.global_step in (1, state.max_steps):  # a short stage has a beginning and an end as well
                control.should_log = True
            if until is not None and state.global_step >= until:
                control.should_save = control.should_training_stop = True
            return control

        def at(self, state: Any) -> None:
            if state.is_world_process_zero:
                step_file.write(AtStep(state.global_step, state.max_steps, self.loss))

    return Watching()


# ---------------------------------------------------------------- how much is held at once


def _micro_batch(job: Job) -> int:
    """Rows that one process holds at once: what was found to fit, what the suite says, or all of its share."""
    share, rest = divmod(int(job.settings["batch_size"]), world_size())
    if rest:
        raise UsageError(
            f"{job.name}: batch_size: {job.settings['batch_size']} rows cannot be shared by {world_size()}"
        )
    path = _remembered(job)
    found = json.loads(path.read_bytes()) if path.is_file() else job.settings["micro_batch"] or share
    micro = min(int(found), share)
    if share % micro:
        raise UsageError(f"{job.name}: micro_batch: {micro} does not divide the {share} rows of a process in a step")
    return micro


def _halve(job: Job, micro: int) -> None:
    """Go on with half of it, or what else divides the effective batch. Raises UsageError where one row is too many."""
    smaller = next((size for size in range(micro // 2, 0, -1) if micro % size == 0), 0)
    if not smaller:
        raise UsageError(
            f"{job.name}: not even one row fits into memory; lower max_length, or add `lora` and `quantization: nf4`"
        )
    write_atomically(_remembered(job), json.dumps(smaller))


def _remembered(job: Job) -> Path:
    return Path(job.folder) / "micro_batch.json"


@contextmanager
def quietly() -> Iterator[None]:
    """Without bars and without the warnings that trainers give of each other."""
    import datasets

    datasets.disable_progress_bars()
    with checkpoint_loading.quietly():
        yield
