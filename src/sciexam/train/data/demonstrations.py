"""Demonstrations: conversations with the answer that is to be learnt, from JSON Lines.

A line is `{"prompt": ..., "completion": ...}`, each a text or a list of messages, or `{"messages": [...]}`, whose last
message is the assistant's. A line with `response` and `score` shows how an answer is marked (`evaluations`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, model_validator

from sciexam.documents import parse_lines, read_jsonl
from sciexam.errors import DocumentError
from sciexam.train.data.evaluations import EvaluationLine, Marking, is_evaluation
from sciexam.types import Message

Turns = tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Demonstration:
    """What is asked, with the user's message last, and the answer."""

    messages: Turns
    answer: str


class DemonstrationLine(BaseModel):
    """One line of a file; what it does not know is somebody's metadata."""

    model_config = ConfigDict(frozen=True, extra="allow")

    prompt: str | Turns | None = None
    completion: str | Turns | None = None
    messages: Turns | None = None

    @model_validator(mode="after")
    def _shows_something(self) -> Self:
        if (self.messages is None) == (self.prompt is None or self.completion is None):
            raise ValueError("a demonstration has `prompt` and `completion`, or else `messages`")
        turns = self._turns()
        if len(turns) < 2 or turns[-1].role != "assistant" or turns[-2].role != "user":
            raise ValueError("the last message must be the assistant's answer to one of the user's")
        if not turns[-1].content.strip():
            raise ValueError("the answer is empty")
        return self

    def _turns(self) -> Turns:
        if self.messages is not None:
            return self.messages
        return (*_as_turns(self.prompt or "", "user"), *_as_turns(self.completion or "", "assistant"))

    def demonstration(self) -> Demonstration:
        turns = self._turns()
        return Demonstration(turns[:-1], turns[-1].content)


def _as_turns(said: str | Turns, role: Any) -> Turns:
    return (Message(role=role, content=said),) if isinstance(said, str) else said


def read_demonstrations(paths: Sequence[Path], marking: Marking | None = None) -> list[Demonstration]:
    """The demonstrations of several files, one after the other. Raises DocumentError with all faults at once.

    Lines that show how an answer is marked (see `evaluations`) are those of `marking`.
    """
    faults: list[str] = []
    found = [shown for path in paths for shown in (*_answers(path, faults), *_marks(path, marking, faults))]
    if faults:
        raise DocumentError(faults)
    if not found:
        raise DocumentError([f"{paths[0]}: holds no demonstrations"])
    return found


def _answers(path: Path, faults: list[str]) -> Iterator[Demonstration]:
    lines = ((number, line) for number, line in read_jsonl(path) if not is_evaluation(line))
    for _, line in parse_lines(DemonstrationLine, lines, path, faults):
        yield line.demonstration()


def _marks(path: Path, marking: Marking | None, faults: list[str]) -> Iterator[Demonstration]:
    lines = ((number, line) for number, line in read_jsonl(path) if is_evaluation(line))
    for number, line in parse_lines(EvaluationLine, lines, path, faults):
        if marking is None:
            faults.append(f"{path}:{number}: shows how an answer is marked: name the judge that asks so: judge: NAME")
            return
        try:
            yield Demonstration(*marking.shown(line))
        except ValueError as error:
            faults.append(f"{path}:{number}: {error}")
