"""A rubric in other words that asks for the same."""

from __future__ import annotations

from sciexam.rubric import Criterion, Level, Rubric


def paraphrased(rubric: Rubric) -> Rubric:
    """`rubric` with another frame, its criteria in reverse and numbered; weights, levels and examples stay."""
    about = f"What is to be looked at in this comparison. {rubric.about}".strip()
    criteria = tuple(_reworded(number, one) for number, one in enumerate(reversed(rubric.criteria), start=1))
    return rubric.model_copy(update={"about": about, "criteria": criteria})


def _reworded(number: int, criterion: Criterion) -> Criterion:
    levels = tuple(
        Level(label=level.label, anchor=f"this is so where the following holds: {level.anchor}")
        for level in criterion.levels
    )
    return criterion.model_copy(
        update={
            "name": f"{number} {criterion.name}",
            "question": f"Ask of each of the two answers: {criterion.question}",
            "levels": levels,
        }
    )
