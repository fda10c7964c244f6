"""Supervised fine-tuning: the model learns to go on with the answer where it is asked.

    sciexam train sft        # models: {sft: {from: base, stage: sft, data: demonstrations.jsonl}}

The loss is the mean negative log-likelihood of the tokens of the answers, and of the token that ends them; with
`completion_only: false` of the prompts as well. Packing puts several conversations into one row, which do not see each
other. Stands on TRL's SFTTrainer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sciexam.lineage.stages import Sft
from sciexam.train.data.demonstrations import Demonstration, read_demonstrations
from sciexam.train.data.evaluations import marking_of
from sciexam.train.fitting import Fitted, fit
from sciexam.train.job import Job, rows_of
from sciexam.train.silent_failures import labels_of
from sciexam.train.tokens import Turns, check_lengths
from sciexam.train.weights import WeightsToTrain, tokenizer_of
from sciexam.train.workshop import Workshop

DEFAULTS = {"epochs": 1.0, "learning_rate": 2e-5}
WITH_LORA = {"learning_rate": 2e-4}


def rows(spec: Sft, job: Job, workshop: Workshop) -> Iterator[Mapping[str, Any]]:
    """What the stage learns from: the conversations of its files, with labels where they are answers."""
    files = (spec.data,) if isinstance(spec.data, str) else spec.data
    marking = marking_of(workshop.suite, job.name, spec.judge) if spec.judge else None
    yield from rows_of_demonstrations(job, read_demonstrations([Path(file) for file in files], marking))


def rows_of_demonstrations(job: Job, demonstrations: Iterable[Demonstration]) -> Iterator[Mapping[str, Any]]:
    turns = Turns(job.name, tokenizer_of(job))
    for shown in demonstrations:
        row = turns.row(shown.messages, shown.answer)
        labels = [*[-100] * len(row.prompt), *row.answer]
        yield {"input_ids": row.ids, "labels": labels if job.settings.get("completion_only", True) else row.ids}


def train(job: Job, until: int | None = None) -> Fitted:
    """Train the job. Raises UsageError for what would teach nothing, and Diverged."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    learnt = list(rows_of(job))
    check_lengths(job.name, [len(row["input_ids"]) for row in learnt], job.settings["max_length"])
    data = Dataset.from_list(learnt)
    weights = WeightsToTrain(job, "causal")

    def make(arguments: dict[str, Any]) -> Any:
        config = SFTConfig(
            max_length=job.settings["max_length"],
            packing=job.settings.get("packing", False),
            train_sampling_strategy="group_by_length" if job.settings.get("group_by_length") else "random",
            completion_only_loss=False,  # what is learnt stands in `labels`
            **arguments,
        )
        trainer = SFTTrainer(args=config, train_dataset=data, processing_class=tokenizer_of(job), **weights.given())
        assert any(label != -100 for row in labels_of(trainer) for label in row), "a batch without anything to learn"
        return trainer

    return fit(job, make, until)
