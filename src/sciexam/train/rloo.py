"""REINFORCE leave-one-out: the answers to one prompt are each other's baseline, and there is no critic.

    sciexam train rlhf      # models: {rlhf: {from: sft, stage: rloo, prompts: train.jsonl, reward: rm, n: 4}}

The advantage of an answer is its reward less the mean of the others to its prompt (arXiv 2402.14740, equation 8), over
the spread of all in the step; the reward is that of the reward model, less `beta` times the divergence from the parent,
in nats an answer. One that did not end costs `missing_end`. Answers are drawn and read as the exam does it
(`ppo.rollouts`); gradients and the divergence are those of TRL's RLOOTrainer. Dropout is off.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sciexam.lineage.stages import Rloo
from sciexam.prompts import read_prompts
from sciexam.train.fitting import Fitted, fit
from sciexam.train.job import Job, rows_of
from sciexam.train.weights import WeightsToTrain, tokenizer_of
from sciexam.train.workshop import Workshop

DEFAULTS = {"epochs": 1.0, "learning_rate": 1e-6}
WITH_LORA = {"learning_rate": 1e-5}


def rows(spec: Rloo, job: Job, workshop: Workshop) -> Iterator[Mapping[str, Any]]:
    """The prompts of the stage's file."""
    for prompt in read_prompts(Path(spec.prompts), f"{job.name}: prompts: "):
        yield {"messages": [message.model_dump() for message in prompt.messages]}


def train(job: Job, until: int | None = None) -> Fitted:
    """Train the job. Raises UsageError for what would teach nothing, and Diverged."""
    from datasets import Dataset
    from trl import RLOOConfig

    said, tokenizer = job.settings, tokenizer_of(job)
    data = Dataset.from_list([{"prompt": str(place)} for place, _ in enumerate(rows_of(job))])
    each_step = said["batch_size"] // said["n"]  # prompts
    steps = said["steps"] or math.ceil(said["epochs"] * len(data) / each_step)
    weights = WeightsToTrain(job, "causal")

    def make(arguments: dict[str, Any]) -> Any:
        ours = {
            "num_generations": said["n"],
            "beta": said["beta"],
            "max_completion_length": said["max_new_tokens"],
            "temperature": said["temperature"],
            "normalize_advantages": True,
            "disable_dropout": True,
            "max_steps": steps,
        }
        config = RLOOConfig(**{**ours, **_without_epochs(arguments)})
        given = {"train_dataset": data, "processing_class": tokenizer, **weights.given()}
        return _trainer(job, each_step, steps)(args=config, reward_funcs=reward_model, **given)

    return fit(job, make, until)


def _without_epochs(arguments: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in arguments.items() if key not in ("num_train_epochs", "max_steps")}


def reward_model(**_: Any) -> list[float]:
    """What the trainer's log names; it is `_calculate_rewards` that asks the reward model."""
    raise AssertionError("not to be called")


def _trainer(job: Job, each_step: int, steps: int) -> Any:
    import torch
    from trl import RLOOTrainer
    from trl.models.utils import unwrap_model_for_generation

    from sciexam.models.checkpoint_loading import Loaded
    from sciexam.train.ppo.rollouts import Drawing, Scoring, of_step, prompts_of

    class DrawingTrainer(RLOOTrainer):  # type: ignore[misc, unused-ignore]
        """Asks, draws and scores as the exam does; what is learnt of it, and what is logged, is TRL's.

        TRL's own sampler forgets which prompts have been asked when it goes on after a kill.
        """

        def __init__(self, **given: Any):
            super().__init__(**given)
            policy = Loaded(self.model, given["processing_class"], str(self.accelerator.device))
            self._asked = prompts_of(job, policy.tokenizer, policy.context)
            self._drawing, self._scoring = Drawing(job, policy), Scoring(job)
            self._now: list[Any] = []  # the prompts that are being answered
            self._answers: list[Any] = []

        def _get_train_sampler(self, dataset: Any = None) -> list[int]:
            """The prompts of all steps, each as often as it is answered, once for every part of a step."""
            n, parts = job.settings["n"], self.args.steps_per_generation
            return [
                place
                for step in range(1, steps + 1)
                for _ in range(parts)
                for place in of_step(step, each_step, len(self.train_dataset), job.seed)
                for _ in range(n)
            ]

        def _tokenize_prompts(self, prompts: Sequence[str]) -> tuple[list[list[int]], None, dict[str, Any]]:
            self._now = [self._asked[int(place)] for place in prompts]
            return [one.tokens for one in self._now], None, {}

        def _generate_single_turn(self, prompt_ids: list[list[int]], images: Any, fields: Any) -> list[list[int]]:
            first = self.accelerator.process_index * len(prompt_ids)
            seeds = [f"{job.seed}:{self.state.global_step + 1}:{first + row}" for row in range(len(prompt_ids))]
            checkpointing = self.args.gradient_checkpointing_kwargs
            with (
                unwrap_model_for_generation(
                    self.model_wrapped, self.accelerator, gradient_checkpointing_kwargs=checkpointing
                ) as model,
                self.accelerator.autocast(),
            ):
                policy = Loaded(model, self.processing_class, str(self.accelerator.device))
                at_once = self.args.per_device_train_batch_size
                self._answers = self._drawing.answers(policy, self._now, seeds, at_once)
            return [answer.tokens for answer in self._answers]

        def _calculate_rewards(self, *_: Any) -> Any:
            scores = self._scoring.scores(self._now, self._answers)
            found = torch.tensor(scores, device=self.accelerator.device)
            ended = torch.tensor([answer.ended for answer in self._answers], device=found.device)
            return self.accelerator.gather((found - job.settings["missing_end"] * ~ended).unsqueeze(1))

    return DrawingTrainer
