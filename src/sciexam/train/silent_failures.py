"""What a trainer does wrong without a word: nothing is trained, rows are left out, a process is alone."""

from __future__ import annotations

from typing import Any

from sciexam.errors import UsageError
from sciexam.train.job import Job, world_size


def check_trainer(job: Job, trainer: Any) -> None:
    """Raise UsageError for a trainer that would run and teach nothing, or something else."""
    if not any(parameter.requires_grad for parameter in trainer.model.parameters()):
        raise UsageError(
            f"{job.name}: not one of its weights would be trained; leave `quantization` out, or add `lora`"
        )
    kept, given = len(trainer.train_dataset), sum(1 for _ in job.rows.open("rb"))
    packed = getattr(trainer.args, "packing", False)
    if kept != given and not packed:
        raise UsageError(f"{job.name}: {given - kept} of {given} rows would be left out; raise max_length")
    if not kept:
        raise UsageError(f"{job.name}: there is nothing to learn from: {job.rows} has no row")
    if world_size() > 1 and trainer.args.world_size != world_size():
        raise UsageError(f"{job.name}: {world_size()} processes were started, and the trainer knows of one")
    if trainer.args.fsdp and not trainer.is_fsdp_enabled:
        raise UsageError(
            f"{job.name}: trainer.fsdp: it was left out, so that each process would hold all weights; it takes several "
            "processes (--processes) with an accelerator each"
        )


def labels_of(trainer: Any) -> list[list[int]]:
    """The labels of the first batch; -100 where nothing is learnt."""
    batch = next(iter(trainer.get_train_dataloader()))
    return [list(map(int, row)) for row in batch["labels"]]
