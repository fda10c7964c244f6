"""A model that is served: its engine, and how it is asked where a request does not say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sciexam.serve.engine import Engine
from sciexam.serve.request import Asked
from sciexam.types import Generation, Message


@dataclass(frozen=True, slots=True)
class Served:
    """`usual`: how it sits the exam. `system` goes before a conversation that has no system message of its own."""

    name: str
    engine: Engine
    usual: Generation
    system: str | None = None

    def prepared(self, asked: Asked) -> Asked:
        """The request with the model's own system message."""
        if isinstance(asked.content, str) or self.system is None or _has_system(asked.content):
            return asked
        return replace(asked, content=(Message(role="system", content=self.system), *asked.content))


def _has_system(messages: Sequence[Message]) -> bool:
    return any(message.role == "system" for message in messages)
