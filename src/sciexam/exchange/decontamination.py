"""What trains is kept apart from the exam: it neither holds a prompt of the suite nor says nearly the same as one."""

from __future__ import annotations

from collections.abc import Sequence

from sciexam.contamination import Exam
from sciexam.near_duplicates import repeats

HOLDS, HOLD = "holds a prompt of the suite", "holding a prompt of the suite"  # of a reply, and of what is not asked
NEARLY = "saying nearly the same as a prompt of the suite"


def leaks(exam: Exam, questions: Sequence[Sequence[str]]) -> list[str]:
    """Why each question, given as its messages, may not train: HOLD, NEARLY, or "" where it may."""
    near, at = repeats(exam.texts, [text for said in questions for text in said]), 0
    found = []
    for said in questions:
        holds = exam.asked_in(list(said)) is not None
        nearly = any(other is not None for other in near[at : at + len(said)])
        found.append(HOLD if holds else NEARLY if nearly else "")
        at += len(said)
    return found
