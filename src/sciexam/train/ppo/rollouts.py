"""Rollouts: answers that a policy draws while it is trained, with the scores that a reward model gives them.

A token is drawn from the policy's whole distribution at its temperature, by seeds of the step and the row: no order of
work changes it, and nothing has to be remembered of it. The reward model reads an answer as the exam reads it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from sciexam.errors import UsageError
from sciexam.models.checkpoint_loading import Loaded
from sciexam.models.decoding import Row, Rules, complete_at, decode, ends_of
from sciexam.models.reward_weights import RewardWeights
from sciexam.models.settings import RewardCheckpoint
from sciexam.models.token_prompts import PLAIN_STOP
from sciexam.train.fitting import Diverged
from sciexam.train.job import Job, rows_of
from sciexam.train.ppo.together import Together
from sciexam.train.tokens import Turns
from sciexam.types import Conversation, Message


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt: what is said in it, and the tokens that the policy goes on from."""

    messages: tuple[Message, ...]
    tokens: list[int]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the policy said: its tokens, the one that ends it among them; its text; and whether it ended by itself."""

    tokens: list[int]
    text: str
    ended: bool


@dataclass(frozen=True, slots=True)
class Rollouts:
    """Prompts with their answers, padded at their right.

    Of shape (answers, tokens of prompt and answer): `ids`, and `read`, 1 where these are no padding. Of shape (answers,
    tokens of the answer): `taken`, the tokens; `places`, where in `ids` each was predicted from; `mask`, true where
    there is one. Of shape (answers,): `scores`, `ended`.
    """

    ids: Tensor
    read: Tensor
    taken: Tensor
    places: Tensor
    mask: Tensor
    scores: Tensor
    ended: Tensor

    def __getitem__(self, rows: Any) -> Rollouts:
        return Rollouts(*(getattr(self, field.name)[rows] for field in fields(self)))

    def at_places(self, of_tokens: Tensor, first: int = 0) -> Tensor:
        """What was computed at the places that the answer's tokens were predicted from: (answers, tokens, features).

        `of_tokens` has the shape (answers, tokens of prompt and answer from the one at `first` on, features).
        """
        rows = torch.arange(len(of_tokens), device=of_tokens.device).unsqueeze(-1)
        return of_tokens[rows, self.places - first]


def rollouts_of(
    prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]], scores: Tensor, ended: Tensor, padding: int
) -> Rollouts:
    """The tensors of prompts and answers, both in tokens, on the device of `scores`."""
    device = scores.device
    width = max(len(prompt) + len(answer) for prompt, answer in zip(prompts, answers, strict=True))
    longest = max(map(len, answers))

    def padded(rows: Sequence[Sequence[int]], to: int, by: int) -> Tensor:
        return torch.tensor([[*row, *[by] * (to - len(row))] for row in rows], device=device)

    whole = [[*prompt, *answer] for prompt, answer in zip(prompts, answers, strict=True)]
    begins = torch.tensor([len(prompt) for prompt in prompts], device=device).unsqueeze(-1)
    lengths = torch.tensor([len(answer) for answer in answers], device=device).unsqueeze(-1)
    counted = torch.arange(longest, device=device).unsqueeze(0)
    return Rollouts(
        ids=padded(whole, width, padding),
        read=padded([[1] * len(row) for row in whole], width, 0),
        taken=padded(answers, longest, padding),
        places=(begins - 1 + counted).clamp(max=width - 1),
        mask=counted < lengths,
        scores=scores,
        ended=ended,
    )


# ---------------------------------------------------------------- what is asked


def prompts_of(job: Job, tokenizer: Any, context: int | None) -> list[Asked]:
    """The prompts of a job. Raises UsageError for those that leave no room for an answer."""
    turns = Turns(job.name, tokenizer)
    found = []
    for row in rows_of(job):
        messages = tuple(Message(**message) for message in row["messages"])
        found.append(Asked(messages, turns.prompt(messages)))
    longest = job.settings["max_new_tokens"]
    room = min(job.settings["max_length"], context or math.inf)
    if longer := [len(one.tokens) for one in found if len(one.tokens) + longest > room]:
        raise UsageError(
            f"{job.name}: {len(longer)} of {len(found)} prompts (the longest of {max(longer)} tokens) leave no room "
            f"for max_new_tokens: {longest} in {room} tokens; raise max_length as far as the model reads, lower "
            "max_new_tokens, or leave these prompts out of the file"
        )
    return found


def of_step(step: int, size: int, count: int, seed: int) -> list[int]:
    """Which of `count` prompts the step asks: all in a drawn order, then all in another one, `size` at a time."""
    places = range((step - 1) * size, step * size)
    orders = {epoch: _shuffled(range(count), f"{seed}:order:{epoch}") for epoch in {at // count for at in places}}
    return [orders[at // count][at % count] for at in places]


def minibatches(step: int, epoch: int, size: int, count: int, seed: int) -> list[list[int]]:
    """The rows of a step in `count` parts of one size, drawn anew in each inner epoch."""
    rows = _shuffled(range(size), f"{seed}:rows:{step}:{epoch}")
    return [rows[i * size // count : (i + 1) * size // count] for i in range(count)]


def _shuffled(rows: range, seed: str) -> list[int]:
    return random.Random(seed).sample(rows, len(rows))  # noqa: S311 - it deals rows, and keeps no secret


# ---------------------------------------------------------------- what is said


class Drawing:
    """How a job's policy is asked. Its answers end at the tokens at which they end in the exam."""

    def __init__(self, job: Job, policy: Loaded):
        self._job, self._tokenizer = job, policy.tokenizer
        self._is_plain = not self._tokenizer.chat_template
        self._stops = (PLAIN_STOP,) if self._is_plain else ()
        self._rules = Rules(
            job.settings["temperature"], None, ends_of(policy), complete_at(self._stops, self._tokenizer)
        )

    def answers(self, policy: Loaded, prompts: Sequence[Asked], seeds: Sequence[str], at_once: int) -> list[Answer]:
        """An answer to each prompt. Raises Diverged where the policy computes no numbers."""
        limit = self._job.settings["max_new_tokens"]
        rows = [Row(one.tokens, limit, seed) for one, seed in zip(prompts, seeds, strict=True)]
        for begin in range(0, len(rows), at_once):
            for row in decode(policy, rows[begin : begin + at_once], self._rules, lambda: False):
                if row.ended == "not a number":
                    what = "the policy computes no numbers; lower learning_rate, and train again"
                    raise Diverged(f"{self._job.name}: {what}")
        return [Answer(row.tokens, self._text(row.tokens), row.ended == "stop") for row in rows]

    def _text(self, tokens: Sequence[int]) -> str:
        said = tokens[:-1] if tokens[-1] in self._rules.ends else tokens
        text = str(self._tokenizer.decode(list(said), skip_special_tokens=True))
        text = text[: min((text.index(stop) for stop in self._stops if stop in text), default=len(text))]
        return text.strip() if self._is_plain else text


class Scoring:
    """The reward model of a job."""

    def __init__(self, job: Job):
        assert job.reward is not None, "rollouts have a reward model"
        self._name = job.name
        self._model = RewardWeights(job.name, RewardCheckpoint(weights=job.reward), fetch=False)

    def scores(self, prompts: Sequence[Asked], answers: Sequence[Answer]) -> list[float]:
        """The rewards of the answers. Raises UsageError for a text that the reward model cannot read."""
        asked = [
            Conversation(str(row), (*one.messages, Message(role="assistant", content=answer.text)))
            for row, (one, answer) in enumerate(zip(prompts, answers, strict=True))
        ]
        found: dict[int, float] = {}
        for reply in self._model.generate(asked):
            if reply.status != "ok":
                raise UsageError(
                    f"{self._name}: reward: {reply.failure}; lower max_new_tokens, or leave the prompt out"
                )
            found[int(reply.key)] = float(reply.text)
        return [found[row] for row in range(len(asked))]


def gathered(
    answers: Sequence[Answer], scores: Sequence[float], here: Together, limit: int
) -> tuple[Any, Tensor, Tensor]:
    """The answers in tokens, the scores and whether they ended, of all processes, in the order of the rows."""
    packed = [[len(one.tokens), *one.tokens, *[0] * (limit - len(one.tokens))] for one in answers]
    tokens = here.gathered(torch.tensor(packed, device=here.device)).tolist()
    found = here.gathered(torch.tensor(scores, device=here.device, dtype=torch.float32))
    ended = here.gathered(torch.tensor([one.ended for one in answers], device=here.device, dtype=torch.uint8)).bool()
    return [row[1 : 1 + row[0]] for row in tokens], found, ended
