"""Where preferences come from: files, and answers that somebody has judged on the way."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator
from pydantic.config import JsonDict

from sciexam.types import Record

# As a JSON Schema says it: an opinion comes from one of the two.
ONE_OF_BOTH: JsonDict = {"oneOf": [{"required": ["reward"]}, {"required": ["judge"]}]}


class Judged(Record):
    """Preferences that come to be on the way: answers of the models `of` to the prompts of a file, and who likes which.

    Each model gives `n` answers to a prompt. `judge` compares them, or marks them one by one; `humans`: what annotators
    have said by now; or a reward model of the lineage does (`reward`). `pairs`: every pair that is no tie, or of each
    prompt the best against the worst.
    """

    model_config = ConfigDict(json_schema_extra=ONE_OF_BOTH)

    of: tuple[str, ...] = Field(min_length=1, description="The models that answer.")
    prompts: str = Field(description="The file of prompts that they answer.")
    n: int = Field(4, ge=1, le=64, description="Answers of each model to a prompt.")
    temperature: float = Field(1.0, gt=0, description="As for `generation`.")
    top_p: float | None = Field(None, gt=0, le=1, description="As for `generation`.")
    judge: str | None = Field(
        None,
        description="Who compares or marks the answers: a judge, or `humans` for what annotators have said by now.",
    )
    reward: str | None = Field(None, description="In place of `judge`: a reward model of the lineage.")
    pairs: Literal["all", "best_worst"] = Field(
        "all", description="Every pair that is no tie, or of each prompt the best against the worst."
    )

    @field_validator("of", mode="before", json_schema_input_type=str | tuple[str, ...])
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @property
    def by(self) -> str:
        """Who says which answer is better: a judge, or a model of the lineage."""
        return self.judge or self.reward or ""

    @model_validator(mode="after")
    def _has_two_answers(self) -> Self:
        if (self.judge is None) == (self.reward is None):
            raise ValueError("answers are judged by a judge (`judge: NAME`) or by a reward model (`reward: NAME`)")
        if len(self.of) * self.n < 2:
            raise ValueError("one answer to a prompt is no pair: `n: 2` or more, or a second model in `of`")
        return self


# Where preferences come from: a file, or how they come to be; or several of these, one after the other.
Preferences = str | Judged | tuple[str | Judged, ...]


def sources_of(data: Preferences) -> tuple[str | Judged, ...]:
    """Each source of preferences by itself."""
    return data if isinstance(data, tuple) else (data,)


def made_on_the_way(data: Preferences) -> tuple[Judged, ...]:
    """The sources whose preferences come to be on the way."""
    return tuple(one for one in sources_of(data) if isinstance(one, Judged))


def models_in(data: Preferences) -> tuple[str, ...]:
    """The models that preferences come from: those that answer, and those that judge them, each once."""
    rewards = (one.reward for one in made_on_the_way(data) if one.reward)
    return tuple(dict.fromkeys((*answered_in(data), *rewards)))


def answered_in(data: Preferences) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for one in made_on_the_way(data) for name in one.of))


def judges_in(data: Preferences) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.judge for one in made_on_the_way(data) if one.judge))
