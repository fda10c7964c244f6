"""From what people write to the tokens that a model is trained on: the same ones that it is asked and judged with.

A row of a trainer is made here and nowhere else, so that training, exam and reward read one text. What a message
spells is never a special token, and the end of an answer is the token at which decoding stops.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sciexam.errors import UsageError
from sciexam.models.token_prompts import PLAIN, TokenPrompts
from sciexam.types import Message


@dataclass(frozen=True, slots=True)
class Row:
    """One conversation and its answer, in tokens. The answer ends with the token that ends a turn."""

    prompt: list[int]
    answer: list[int]

    @property
    def ids(self) -> list[int]:
        return self.prompt + self.answer


class Turns:
    """How the model called `name` is asked, and how its answer goes on, in the tokens of its `tokenizer`.

    Without a chat template it is asked in turns of plain text, as `models.huggingface` asks it.
    Raises UsageError where no answer could end, or where the template does not continue what it asks.
    """

    def __init__(self, name: str, tokenizer: Any):
        self._name, self._tokenizer = name, tokenizer
        self._plain = not tokenizer.chat_template
        template = PLAIN if self._plain else None
        self._asked = TokenPrompts(name, tokenizer, template, None)
        self._answered = TokenPrompts(name, tokenizer, template, None, answered=True)
        if tokenizer.eos_token_id is None:
            raise UsageError(f"{name}: its tokenizer has no eos_token, so that no answer could end; give it one")

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """What the model is asked with, which its answer goes on from. Raises UsageError."""
        return self._asked.tokens(messages)

    def row(self, messages: Sequence[Message], answer: str, ended: bool = True) -> Row:
        """The conversation `messages`, whose last is the user's, and its answer; without its end if it was cut off.

        Raises UsageError.
        """
        row = self._row(messages, answer)
        return row if ended else Row(row.prompt, row.answer[:-1])

    def _row(self, messages: Sequence[Message], answer: str) -> Row:
        prompt = self.prompt(messages)
        if self._plain:
            return Row(prompt, [*self._asked.plain_tokens(f" {answer.strip()}"), self._tokenizer.eos_token_id])
        whole = self._answered.tokens((*messages, Message(role="assistant", content=answer)))
        if whole[: len(prompt)] != prompt:
            raise UsageError(
                f"{self._name}: its chat template does not go on with an answer where it asks for one; with such a "
                "template a model is trained on other texts than it is asked with"
            )
        return Row(prompt, self._to_its_end(whole[len(prompt) :]))

    def _to_its_end(self, answer: list[int]) -> list[int]:
        """What a template writes after the end of a turn is not learnt: nobody reads on there."""
        place = next((i for i in range(len(answer), 0, -1) if answer[i - 1] in self._ends), 0)
        if not place:
            raise UsageError(
                f"{self._name}: its chat template ends no answer with a special token, so that it would never learn to "
                "stop; give it a template that writes its eos_token"
            )
        return answer[:place]

    @cached_property
    def _ends(self) -> frozenset[int]:
        added = (number for number, token in self._tokenizer.added_tokens_decoder.items() if token.special)
        return frozenset((*added, self._tokenizer.eos_token_id))


def check_lengths(name: str, lengths: Sequence[int], max_length: int, what: str = "rows") -> None:
    """Raise UsageError where a row would be cut off or left out: trainers do either without a word."""
    longer = [length for length in lengths if length > max_length]
    if longer:
        raise UsageError(
            f"{name}: {len(longer)} of {len(lengths)} {what} have more than max_length: {max_length} tokens (the "
            f"longest {max(longer)}); raise max_length, or leave these {what} out of the file"
        )
