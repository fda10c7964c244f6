"""What good means: a rubric of criteria, each with levels from worst to best."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from sciexam.documents import digest, locate, read_yaml
from sciexam.types import Record


class Level(Record):
    label: str
    anchor: str


class Criterion(Record):
    """One question about an answer. `measure` names the text measure that the offline judge uses for it."""

    name: str = Field(pattern=r"^[\w][\w -]*$")
    weight: float = Field(1.0, gt=0)
    question: str
    levels: tuple[Level, ...] = ()
    measure: str | None = None

    @model_validator(mode="after")
    def _levels_rise(self) -> Self:
        labels = [level.label for level in self.levels]
        if len(labels) == 1:
            raise ValueError(f"criterion {self.name!r} has one level; give two or more, worst first, or none")
        if len(set(labels)) < len(labels):
            raise ValueError(f"criterion {self.name!r} has two levels of the same label")
        return self


class Example(Record):
    """A worked verdict for the judge to imitate."""

    question: str
    first: str
    second: str
    verdict: Literal["A>>B", "A>B", "A=B", "B>A", "B>>A"]
    reason: str = ""


class Rubric(Record):
    rubric: str
    version: int = 1
    about: str = ""
    ties: bool = True
    criteria: tuple[Criterion, ...] = Field(min_length=1)
    examples: tuple[Example, ...] = ()

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [criterion.name for criterion in self.criteria]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"criteria named twice: {', '.join(twice)}")
        return self

    @property
    def digest(self) -> str:
        return digest(self)

    def render(self) -> str:
        """The rubric as a judge or a reader sees it: each criterion with its question, weight and levels."""
        parts = [self.about] if self.about else []
        total = sum(c.weight for c in self.criteria)
        for criterion in self.criteria:
            lines = [f"{criterion.name} ({criterion.weight / total:.0%} of the whole): {criterion.question}"]
            lines += [f"  - {level.label}: {level.anchor}" for level in criterion.levels]
            parts.append("\n".join(lines))
        return "\n\n".join(parts)


def load_rubric(name: str, folder: Path | None = None) -> Rubric:
    """The rubric called `name`, or the one in the file `name` (looked up beside `folder` first). Raises UsageError."""
    if folder is not None and name.endswith((".yaml", ".yml")) and (folder / name).is_file():
        return read_yaml(folder / name, Rubric).value
    return read_yaml(locate("rubrics", name), Rubric).value
