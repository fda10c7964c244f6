"""What the YAML says of a judge: one frozen record a backend. No client is made here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from sciexam.models.settings import Custom, Endpoint, Scripted
from sciexam.types import Record

VerdictForm = Literal["nonce", "brackets", "letter", "json", "last-brackets", "output-ab"]


class Pairwise(Record):
    """How an LLM is made to compare. `template` is a shipped one, or a file; `verdict` is the form of its answer."""

    template: str = "reason"
    verdict: VerdictForm | None = None  # None: the form that the template was written for
    samples: int = Field(1, ge=1, le=100)  # verdicts per order
    orders: Literal["both", "one"] | None = None
    criteria: bool = False  # a verdict on each criterion before the overall one; `reason` then means `criteria`
    probabilities: bool = False  # weigh the words of the letter form by the probabilities of their tokens


class Grading(Record):
    """How an LLM is made to mark answers one by one, and whether its verdicts are made of its marks.

    `grading` is a shipped template for marks, or a file. `tie_within`: marks that differ by no more are a tie.
    """

    grading: str | None = None  # None: the one that fits the rubric
    compare_by: Literal["verdicts", "grades"] = "verdicts"
    tie_within: float = Field(0.0, ge=0)


class EndpointJudge(Endpoint, Pairwise, Grading):
    """An LLM behind an endpoint."""


class ScriptedJudge(Scripted, Pairwise, Grading):
    """The shipped fake as a judge: its rules see the judge's prompt."""


class MeasuresJudge(Record):
    """Text measures, offline and deterministic."""

    backend: Literal["measures"]


class RecordedJudge(Record):
    """Verdicts that exist already, as JSON Lines."""

    backend: Literal["recorded"]
    verdicts: str


class CustomJudge(Custom):
    """A stranger's class, `package.module:Class`: an object with a name and `judge(presentations)`."""


def _kind(value: Any) -> str | None:
    backend = value.get("backend") if isinstance(value, Mapping) else getattr(value, "backend", None)
    if backend is None:
        return None
    return "custom" if ":" in str(backend) else str(backend)


JudgeSpec = Annotated[
    Annotated[EndpointJudge, Tag("openai")]
    | Annotated[ScriptedJudge, Tag("scripted")]
    | Annotated[MeasuresJudge, Tag("measures")]
    | Annotated[RecordedJudge, Tag("recorded")]
    | Annotated[CustomJudge, Tag("custom")],
    Discriminator(
        _kind,
        custom_error_type="unknown_judge",
        custom_error_message="a judge has a backend: openai, measures, recorded, scripted, or package.module:Class",
    ),
]
