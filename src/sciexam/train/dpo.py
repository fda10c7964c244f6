"""Direct preference optimisation: the answer that was chosen becomes likelier than the one that was rejected.

    sciexam train rlhf      # models: {rlhf: {from: rs, stage: dpo, data: preferences.jsonl, beta: 0.1}}

The loss of a pair is -log sigmoid(beta (log pi/ref(chosen) - log pi/ref(rejected))): arXiv 2305.18290, equation 7;
`ipo` is that of arXiv 2310.12036, and `loss: [sigmoid, sft]` adds the likelihood of the chosen answer. The reference is
the parent; with an adapter, the weights below it. Dropout is off. Stands on TRL's DPOTrainer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sciexam.lineage.stages import Dpo
from sciexam.train.data.preferences import Preference, preferences_of
from sciexam.train.fitting import Fitted, fit
from sciexam.train.job import Job, rows_of
from sciexam.train.tokens import Turns, check_lengths
from sciexam.train.weights import WeightsToTrain, tokenizer_of
from sciexam.train.workshop import Workshop

DEFAULTS = {"epochs": 1.0, "learning_rate": 1e-6}
WITH_LORA = {"learning_rate": 5e-6}


def rows(spec: Dpo, job: Job, workshop: Workshop) -> Iterator[Mapping[str, Any]]:
    """What the stage learns from: each prompt with its chosen and its rejected answer."""
    turns = Turns(job.name, tokenizer_of(job))
    for pair in preferences_of(workshop, spec.data):
        yield row_of(pair, turns)


def row_of(pair: Preference, turns: Turns) -> Mapping[str, Any]:
    """A pair in tokens. An answer that was cut off has no end to be learnt."""
    chosen = turns.row(pair.messages, pair.chosen, pair.chosen_ended)
    rejected = turns.row(pair.messages, pair.rejected, pair.rejected_ended)
    return {"prompt_ids": chosen.prompt, "chosen_ids": chosen.answer, "rejected_ids": rejected.answer}


def train(job: Job, until: int | None = None) -> Fitted:
    """Train the job. Raises UsageError for what would teach nothing, and Diverged."""
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    learnt = list(rows_of(job))
    longest = [len(row["prompt_ids"]) + max(len(row["chosen_ids"]), len(row["rejected_ids"])) for row in learnt]
    check_lengths(job.name, longest, job.settings["max_length"], "pairs")
    data, weights = Dataset.from_list(learnt), WeightsToTrain(job, "causal")

    class Tokenised(DPOTrainer):  # type: ignore[misc, unused-ignore]
        """Takes the rows as they are."""

        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset

    def make(arguments: dict[str, Any]) -> Any:
        said = job.settings
        config = DPOConfig(
            beta=said["beta"],
            loss_type=list(said["loss"]),
            loss_weights=list(said["loss_weights"]) if said["loss_weights"] else None,
            max_length=said["max_length"],
            disable_dropout=True,
            **arguments,
        )
        return Tokenised(args=config, train_dataset=data, processing_class=tokenizer_of(job), **weights.given())

    return fit(job, make, until)
