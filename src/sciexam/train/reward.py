"""The reward model: of two answers to one prompt the better one gets the higher number.

    sciexam train rm        # models: {rm: {from: sft, stage: reward, data: preferences.jsonl}}

The loss of a pair is that of Bradley and Terry, -log sigmoid(r_chosen - r_rejected - margin): arXiv 2203.02155,
equation 1; the margin of arXiv 2307.09288, equation 2, is 0 where a pair has none. The pairs of one ranking stand
beside each other in a batch and count together as one pair, for each answer in it is seen several times. `center` adds
center (r_chosen + r_rejected)^2 (arXiv 2312.09244). Dropout is off, unless the suite sets it: the noise of two passes
would be taken for a preference. What the model reads is what it will be asked with (models/reward_text.py). A share of
the prompts is held out for its exam (reward_exam.py). Stands on TRL's RewardTrainer.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sciexam.digests import digest
from sciexam.errors import UsageError
from sciexam.files import write_atomically
from sciexam.lineage.stages import Reward
from sciexam.models.checkpoint_loading import Loaded
from sciexam.models.reward_text import END_UNSEEN, NO_END, Form, Shown
from sciexam.models.reward_weights import context_of
from sciexam.train.data.preferences import Preference, preferences_of
from sciexam.train.fitting import Fitted, fit
from sciexam.train.job import Job, rows_of
from sciexam.train.tokens import check_lengths
from sciexam.train.weights import WeightsToTrain, tokenizer_of
from sciexam.train.workshop import Workshop
from sciexam.types import Message

DEFAULTS = {"epochs": 1.0, "learning_rate": 1e-5}
WITH_LORA = {"learning_rate": 1e-4}
LEAST_HELD_OUT = 2  # prompts: an interval over one has no width


# ---------------------------------------------------------------- what is learnt


def rows(spec: Reward, job: Job, workshop: Workshop) -> Iterator[Mapping[str, Any]]:
    """The pairs that are learnt from, as tokens. Those that are held out are written beside them."""
    learnt, held_out = split(preferences_of(workshop, spec.data), spec.held_out, job)
    write_atomically(held_out_file(job), (json.dumps(one.to_json()) + "\n" for one in held_out))
    tokenizer = reading_tokenizer(job)
    form = Form(job.name, tokenizer, None, None, tokenizer.pad_token_id)
    sizes = Counter(one.group for one in learnt if one.group is not None)
    even = len(learnt) / (len(sizes) + sum(one.group is None for one in learnt))
    for place, one in enumerate(sorted(learnt, key=lambda one: digest([job.seed, one.group or one.to_json()]))):
        chosen, rejected = (_shown(job, form, one, answer) for answer in (one.chosen, one.rejected))
        if not place and END_UNSEEN in chosen.ending:
            workshop.tell(
                f"{job.name}: its padding is the token that ends a text, so that it will not see whether an answer "
                "ended; a tokenizer with a pad_token of its own makes it do so"
            )
        types = {"chosen_types": chosen.types, "rejected_types": rejected.types} if chosen.types else {}
        weight = 1.0 if one.group is None else 1 / sizes[one.group]
        pair = {"chosen_ids": chosen.ids, "rejected_ids": rejected.ids, "margin": one.margin or 0.0}
        yield {**pair, "weight": weight * even, **types}  # 1 on average


def _shown(job: Job, form: Form, one: Preference, answer: str) -> Shown:
    shown = form.show((*one.messages, Message(role="assistant", content=answer)))
    if NO_END in shown.ending:
        raise UsageError(
            f"{job.name}: nothing that it reads says where an answer ends, so that it would take one that was cut off "
            "for a whole one; give it a chat template that writes its eos_token, or a tokenizer that has one"
        )
    return shown


def split(found: Sequence[Preference], share: float, job: Job) -> tuple[list[Preference], list[Preference]]:
    """What is learnt from, and what is held out: whole prompts, drawn by their words and the seed.

    Raises UsageError where either side would have too few prompts.
    """
    units = sorted({unit_of(one.messages) for one in found}, key=lambda unit: digest([job.seed, unit]))
    count = max(LEAST_HELD_OUT, round(share * len(units)))
    if count >= len(units):
        raise UsageError(
            f"{job.name}: data: preferences on {len(units)} prompts, of which held_out: {share:g} keeps {count} for "
            "the exam; none is left to learn from"
        )
    held_out = set(units[:count])
    parts: tuple[list[Preference], list[Preference]] = [], []
    for one in found:
        parts[unit_of(one.messages) in held_out].append(one)
    return parts


def unit_of(asked: Sequence[Message]) -> str:
    """A prompt by its words: the unit of the interval."""
    return digest([(message.role, message.content) for message in asked])


def held_out_file(job: Job) -> Path:
    return Path(job.folder) / "held_out.jsonl"


def reading_tokenizer(job: Job) -> Any:
    """The tokenizer of a job, with a padding that is not the end of a text wherever it has another sign for it.

    A decoder's reward is read at the last token that is no padding.
    """
    tokenizer = tokenizer_of(job)
    end, unknown = tokenizer.eos_token_id, tokenizer.unk_token_id
    if tokenizer.pad_token_id == end and unknown not in (None, end):
        tokenizer.pad_token = tokenizer.unk_token
    return tokenizer


# ---------------------------------------------------------------- training


def train(job: Job, until: int | None = None) -> Fitted:
    """Train the job. Raises UsageError for what would teach nothing, and Diverged."""
    from datasets import Dataset
    from transformers import set_seed
    from trl import RewardConfig

    learnt, tokenizer = list(rows_of(job)), reading_tokenizer(job)
    lengths = [len(row[answer]) for row in learnt for answer in ("chosen_ids", "rejected_ids")]
    check_lengths(job.name, lengths, job.settings["max_length"], "answers")
    data = Dataset.from_list(learnt)
    ranked = any(row["weight"] != learnt[0]["weight"] for row in learnt) or learnt[0]["weight"] != 1
    weights = WeightsToTrain(job, "reward")

    def make(arguments: dict[str, Any]) -> Any:
        config = RewardConfig(
            max_length=None,  # whatever is longer was refused, and not left out
            center_rewards_coefficient=job.settings["center"],
            disable_dropout=job.settings["dropout"] is None,
            train_sampling_strategy="sequential" if ranked else "random",  # the rows are in a drawn order
            **arguments | {"remove_unused_columns": False} | _bits(job),
        )
        set_seed(job.seed)  # of the head, which is drawn
        given = weights.given()
        _check_context(job, Loaded(given["model"], tokenizer, "cpu"), max(lengths))
        parts = {"data_collator": _collator(tokenizer), "processing_class": tokenizer}
        return _trainer()(args=config, train_dataset=data, **parts, **given)

    return fit(job, make, until)


def _bits(job: Job) -> dict[str, Any]:
    """What is trained on quantised weights is in bf16, and the head as well: only autocast makes the two meet."""
    return {"bf16": True, "fp16": False} if job.settings["quantization"] != "none" else {}


def _check_context(job: Job, loaded: Loaded, longest: int) -> None:
    context = context_of(loaded)
    if context is not None and longest > context:
        raise UsageError(
            f"{job.name}: the longest answer has {longest:,} tokens with its prompt, and the backbone reads "
            f"{context:,}; leave longer ones out, or name another backbone"
        )


def _collator(tokenizer: Any) -> Any:
    """Makes a batch: the chosen texts and below them the rejected ones, padded at the right."""
    import torch
    from torch.nn.utils.rnn import pad_sequence
    from trl.trainer.reward_trainer import DataCollatorForPreference

    class Pairs(DataCollatorForPreference):  # type: ignore[misc, unused-ignore]
        def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
            batch: dict[str, Any] = super().torch_call(examples)
            batch["weight"] = torch.tensor([one["weight"] for one in examples])
            if "chosen_types" in examples[0]:
                types = [torch.tensor(one[side]) for side in ("chosen_types", "rejected_types") for one in examples]
                batch["token_type_ids"] = pad_sequence(types, batch_first=True)
            return batch

    return Pairs(pad_token_id=tokenizer.pad_token_id)


def _trainer() -> Any:
    from torch.nn.functional import logsigmoid
    from trl import RewardTrainer

    class WeighingTrainer(RewardTrainer):  # type: ignore[misc, unused-ignore]
        """Weighs each pair; everything else, and what is logged, is TRL's."""

        def compute_loss(
            self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            weight, margin = inputs.pop("weight"), inputs.pop("margin")
            _, outputs = super().compute_loss(model, inputs, True, num_items_in_batch)
            chosen, rejected = outputs.logits.squeeze(-1).float().chunk(2)
            loss = -(weight * logsigmoid(chosen - rejected - margin)).mean()
            if (center := self.args.center_rewards_coefficient) is not None:
                loss = loss + center * ((chosen + rejected) ** 2).mean()
            return (loss, outputs) if return_outputs else loss

    return WeighingTrainer
