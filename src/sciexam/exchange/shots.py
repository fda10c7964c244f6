"""Worked examples that a teacher is shown: questions with their answers, of the rubric or of a file."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from sciexam.contamination import Exam, normalise
from sciexam.documents import parse_lines, read_jsonl
from sciexam.errors import DocumentError
from sciexam.exchange.decontamination import leaks
from sciexam.exchange.marked_reply import is_broken
from sciexam.rubric import Rubric


@dataclass(frozen=True, slots=True)
class Shot:
    question: str
    answer: str
    reasoning: str = ""


class ShotLine(BaseModel):
    """One line of a file of shots; `demonstrations.jsonl` is one. Other keys are left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    prompt: str = Field(min_length=1)
    completion: str = Field(min_length=1)
    reasoning: str = ""


def shots_of(rubric: Rubric) -> list[Shot]:
    """The better answer of each example of a rubric, with the reason why it is; a tie has no better one."""
    found = []
    for example in rubric.examples:
        if example.verdict != "A=B":
            better = example.first if example.verdict.startswith("A") else example.second
            found.append(Shot(example.question, better, example.reason))
    return found


def read_shots(path: Path) -> list[Shot]:
    """Raises DocumentError with all faults of the file."""
    if not path.is_file():
        raise DocumentError([f"{path}: no such file of shots"])
    faults: list[str] = []
    lines = [line for _, line in parse_lines(ShotLine, read_jsonl(path), path, faults)]
    if faults:
        raise DocumentError(faults)
    if not lines:
        raise DocumentError([f"{path}: holds no shots"])
    return [Shot(line.prompt, line.completion, line.reasoning) for line in lines]


def fit(shots: Sequence[Shot], exam: Exam) -> Iterator[Shot]:
    """Those without a prompt of the exam, and whose question is near none: what a teacher reads, it may say."""
    for shot, leak in zip(shots, leaks(exam, [[shot.question] for shot in shots]), strict=True):
        rest = [shot.answer, shot.reasoning]
        if not leak and exam.asked_in(rest) is None and not any(map(is_broken, [shot.question, *rest])):
            yield shot


def draw(shots: Sequence[Shot], number: int, seed: int, question: str) -> list[Shot]:
    """As many as there are up to `number`, drawn by the seed and the question; never the question itself."""
    asked = normalise(question)
    others = [shot for shot in shots if normalise(shot.question) != asked]
    return random.Random(f"{seed}\nshots\n{question}").sample(others, min(number, len(others)))  # noqa: S311
