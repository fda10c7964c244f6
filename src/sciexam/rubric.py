"""What good means: a rubric of criteria, each with levels from worst to best."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from sciexam.digests import digest
from sciexam.documents import locate, read_yaml
from sciexam.types import Record

USUAL_SCALE = (1, 5)  # the points of a criterion that names none
WIDEST_SCALE = 100


class Level(Record):
    """One step of a criterion: its name, and what an answer on it is like."""

    label: str = Field(description="Its name, as a judge says it.")
    anchor: str = Field(description="What an answer on this level is like.")


class Criterion(Record):
    """One question about an answer. `measure` names the text measure that the offline judge uses for it.

    The points that an answer can get are its `levels` (0 for the worst), the whole numbers of `scale` (lowest to
    highest), or one for each statement of `additive` that holds; these exclude each other. With none they are 1 to 5.
    """

    name: str = Field(pattern=r"^[\w][\w -]*$", description="Its name, in tables and in what a judge says.")
    weight: float = Field(1.0, gt=0, description="How much it counts in the total.")
    question: str = Field(description="What is asked of an answer.")
    levels: tuple[Level, ...] = Field((), description="The steps, worst first; two or more, or none.")
    measure: str | None = Field(None, description="The text measure that the offline judge uses for it.")
    scale: tuple[int, int] | None = Field(
        None, description="The lowest and the highest whole number that a judge gives."
    )
    additive: tuple[str, ...] = Field((), description="Statements; each that holds is a point.")

    @model_validator(mode="after")
    def _one_kind_of_points(self) -> Self:
        given = [key for key in ("levels", "scale", "additive") if getattr(self, key)]
        if len(given) > 1:
            raise ValueError(f"criterion {self.name!r} has {' and '.join(given)}; its points come from one of them")
        if self.scale and not 0 < self.scale[1] - self.scale[0] <= WIDEST_SCALE:
            given_as = f"[{self.scale[0]}, {self.scale[1]}]"
            raise ValueError(
                f"criterion {self.name!r}: scale is [lowest, highest] with up to {WIDEST_SCALE} steps, not {given_as}"
            )
        if len(set(self.additive)) < len(self.additive) or not all(one.strip() for one in self.additive):
            raise ValueError(f"criterion {self.name!r}: an additive statement is empty, or stands there twice")
        return self

    def __iter__(self) -> Generator[tuple[str, Any], None, None]:
        """Without `scale` and `additive` where they are not set: a rubric that has none keeps its digest."""
        yield from ((key, value) for key, value in super().__iter__() if key not in ("scale", "additive") or value)

    @property
    def points(self) -> tuple[int, int]:
        """The fewest and the most points that an answer can get."""
        if self.levels:
            return 0, len(self.levels) - 1
        if self.additive:
            return 0, len(self.additive)
        return self.scale or USUAL_SCALE

    @property
    def words(self) -> Mapping[str, int]:
        """What a grade is given by, worst first, and its points: the labels of levels, or the numbers themselves."""
        if self.levels:
            return {level.label: points for points, level in enumerate(self.levels)}
        low, high = self.points
        return {str(points): points for points in range(low, high + 1)}

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

    question: str = Field(description="The prompt.")
    first: str = Field(description="The answer shown first, A.")
    second: str = Field(description="The answer shown second, B.")
    verdict: Literal["A>>B", "A>B", "A=B", "B>A", "B>>A"] = Field(
        description="Which is better: `A>>B` much, `A>B`, `A=B` a tie, `B>A`, `B>>A`."
    )
    reason: str = Field("", description="Why, in a sentence.")


class Rubric(Record):
    """What good means: criteria with weights, and worked examples for the judge."""

    rubric: str = Field(description="The rubric's name.")
    version: int = Field(1, description="A whole number.")
    about: str = Field("", description="What it is for, in a sentence for the judge.")
    ties: bool = Field(True, description="Whether a judge may call a tie.")
    criteria: tuple[Criterion, ...] = Field(min_length=1, description="The questions that are asked of an answer.")
    examples: tuple[Example, ...] = Field((), description="Worked verdicts for the judge to imitate.")

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [criterion.name for criterion in self.criteria]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"criteria named twice: {', '.join(twice)}")
        if len(names) > 1 and any(criterion.additive for criterion in self.criteria):
            raise ValueError("a rubric with an additive criterion has this one criterion alone")
        return self

    @property
    def additive(self) -> bool:
        """Whether its one criterion counts statements."""
        return bool(self.criteria[0].additive)

    @property
    def digest(self) -> str:
        """What it says, as one word: another wording is another rubric."""
        return digest(self)

    def render(self) -> str:
        """The rubric as a judge or a reader sees it: each criterion with its question, weight and levels."""
        parts = [self.about] if self.about else []
        total = sum(c.weight for c in self.criteria)
        for criterion in self.criteria:
            lines = [f"{criterion.name} ({criterion.weight / total:.0%} of the whole): {criterion.question}"]
            lines += [f"  - {level.label}: {level.anchor}" for level in criterion.levels]
            lines += [f"  - one point: {statement}" for statement in criterion.additive]
            if criterion.scale:
                lines.append(f"  - points from {criterion.scale[0]} (worst) to {criterion.scale[1]} (best)")
            parts.append("\n".join(lines))
        return "\n\n".join(parts)


def load_rubric(name: str, folder: Path | None = None) -> Rubric:
    """The rubric called `name`, or the one in the file `name` (looked up beside `folder` first). Raises UsageError."""
    if folder is not None and name.endswith((".yaml", ".yml")) and (folder / name).is_file():
        return read_yaml(folder / name, Rubric).value
    return read_yaml(locate("rubrics", name), Rubric).value
