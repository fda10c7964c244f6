"""What every rater does alike that asks a model by prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from sciexam.models import check_ready
from sciexam.types import TRUNCATED, Conversation, Message, Model, Presentation, Reply, Submission

Shown = TypeVar("Shown", Presentation, Submission)


class ByModel:
    """A rater that asks a model, and is ready, and stops, as the model does."""

    def __init__(self, model: Model):
        self._model = model

    @property
    def notes(self) -> Sequence[str]:
        """What the model was asked without, because its endpoint does not take it."""
        return getattr(self._model, "notes", ())

    def check_ready(self) -> None:
        """Raise UsageError where the model cannot be asked here and now."""
        check_ready(self._model)

    def stop(self) -> None:
        """Ask nothing more, where the model can be told so; replies on their way are still yielded."""
        if callable(stop := getattr(self._model, "stop", None)):
            stop()

    def replies(
        self,
        shown: Iterable[Shown],
        messages: Callable[[Shown], tuple[Message, ...]],
        max_tokens: int,
        top_logprobs: int = 0,
        choices: tuple[str, ...] = (),
    ) -> Iterator[tuple[Shown, Reply]]:
        """What the model says of each of `shown`, as it comes; `messages` is what it is asked.

        A reply that was cut off is invalid and not to be read. It is yielded, and when all others are there asked for
        once more with twice `max_tokens`.
        """
        cut: list[Shown] = []
        for one, reply in self._ask(shown, messages, None, top_logprobs, choices):
            if reply.failure == TRUNCATED:
                cut.append(replace(one, attempt=one.attempt + 1))
            yield one, reply
        yield from self._ask(cut, messages, 2 * max_tokens, top_logprobs, choices)

    def _ask(
        self,
        shown: Iterable[Shown],
        messages: Callable[[Shown], tuple[Message, ...]],
        max_tokens: int | None,
        top_logprobs: int,
        choices: tuple[str, ...],
    ) -> Iterator[tuple[Shown, Reply]]:
        asked: dict[str, Shown] = {}

        def conversations() -> Iterator[Conversation]:
            for one in shown:
                asked[one.key] = one
                yield Conversation(
                    one.key,
                    messages(one),
                    max_tokens=max_tokens,
                    attempt=one.attempt,
                    prompt=one.prompt.id,
                    top_logprobs=top_logprobs,
                    choices=choices,
                )

        for reply in self._model.generate(conversations()):
            yield asked.pop(reply.key), _read(reply)


def _read(reply: Reply) -> Reply:
    """`reply`, invalid where the token limit ended it, whatever its text seems to say."""
    return replace(reply, status="invalid", failure=TRUNCATED) if reply.finish_reason == "length" else reply
