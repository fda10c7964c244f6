"""Which files each toy suite needs, and where in its folder they lie."""

from __future__ import annotations

from pathlib import Path

from sciexam.toy import conversations, rankings
from sciexam.toy.data import FULL, Size, write, write_lines
from sciexam.toy.encoder import write_encoder
from sciexam.toy.truths import write_tasks


def science(folder: Path, size: Size = FULL, seed: int = 1) -> list[Path]:
    """What most toy suites share: documents, demonstrations, prompts."""
    return write(folder, size, seed)


def science_judge(folder: Path, size: Size = FULL, seed: int = 1) -> list[Path]:
    """Pairs to learn judging from, and the exam of a judge: nothing else is asked for."""
    return write(folder, judged(size), seed)


def judged(size: Size) -> Size:
    """40 pairs on each phenomenon to learn from, and one for the exam."""
    return Size(size.phenomena, documents=0, demonstrations=0, train=0, dev=0, judging=40, judging_exam=1)


def sawyer(folder: Path, size: Size = FULL, seed: int = 1) -> list[Path]:
    """Conversations, an encoder, and two tasks of multiple choice."""
    said = write_lines(folder, {conversations.NAME: conversations.conversations(size, seed)})
    return [*said, write_encoder(folder / "encoder", size, seed), *write_tasks(folder / "tasks", size, seed)]


def rlhf_workflow(folder: Path, size: Size = FULL, seed: int = 1) -> list[Path]:
    """Rankings, and two tasks of multiple choice."""
    ranked = write_lines(folder, {rankings.NAME: rankings.rankings(size, seed)})
    return [*ranked, *write_tasks(folder / "tasks", size, seed)]
