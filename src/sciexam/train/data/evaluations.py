"""Examples of marking: an answer, why it has which mark, in the words in which a judge will ask for it.

A line is `{"prompt": ..., "response": ..., "justification": ..., "score": 4}`, as a model that is to reward itself
learns from besides its instructions (arXiv 2401.10020, section 2.1). It becomes a demonstration: what the judge of the
suite would be shown, and the reply that it would read that score from. With several criteria `score` is a mapping.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sciexam.digests import digest
from sciexam.errors import UsageError
from sciexam.judges.grading import GradingTemplate
from sciexam.judges.settings import Grading
from sciexam.rubric import Criterion
from sciexam.suite import Suite
from sciexam.types import Message, Prompt, Submission


class EvaluationLine(BaseModel):
    """One line of a file; what it does not know is somebody's metadata."""

    model_config = ConfigDict(frozen=True, extra="allow")

    prompt: str | tuple[Message, ...] = Field(min_length=1)
    response: str = Field(min_length=1)
    justification: str = Field(min_length=1)
    score: float | str | dict[str, float | str]
    reference: str | None = None


def is_evaluation(line: Mapping[str, Any]) -> bool:
    """Whether a line of a file of demonstrations shows how an answer is marked."""
    return "response" in line and "score" in line and not line.keys() & {"completion", "messages"}


@dataclass(frozen=True, slots=True)
class Marking:
    """How the judge called `judge` is asked for marks, and what it answers."""

    judge: str
    template: GradingTemplate

    def shown(self, line: EvaluationLine) -> tuple[tuple[Message, ...], str]:
        """What the judge is asked, and the reply. Raises ValueError for a score that the rubric has not."""
        asked = (Message(role="user", content=line.prompt),) if isinstance(line.prompt, str) else line.prompt
        # Each example has words of its own where the judge's are drawn, so that these are copied and not learnt.
        seal = digest([[message.model_dump() for message in asked], line.response])[:32]
        submission = Submission(
            Prompt(id="example", messages=asked, reference=line.reference), line.response.strip(), seal=seal
        )
        reply = "\n".join([line.justification.strip(), *self.template.lines(self._words(line), submission)])
        if failure := self.template.read(reply, submission).failure:
            raise ValueError(f"the judge could not read this score from such a reply: {failure}")
        return (Message(role="user", content=self.template.render(submission)),), reply

    def _words(self, line: EvaluationLine) -> dict[str, str]:
        criteria = self.template.rubric.criteria
        given = line.score if isinstance(line.score, dict) else {criteria[0].name: line.score}
        if missing := [criterion.name for criterion in criteria if criterion.name not in given]:
            raise ValueError(f"score: nothing is said of the criterion {missing[0]!r}: {{{missing[0]}: ...}}")
        return {one.name: _word(one, given[one.name]) for one in criteria}


def marking_of(suite: Suite, name: str, judge: str) -> Marking:
    """How the judge that the stage `name` gives marks. Raises UsageError for one that is not asked in words."""
    spec = suite.judge_spec(judge)
    if not isinstance(spec, Grading):
        raise UsageError(
            f"{name}: judge: {judge!r} is not asked in words, so that nothing can be shown of how it marks"
        )
    return Marking(judge, GradingTemplate(spec.grading, suite.rubric, spec.mark))


def _word(criterion: Criterion, score: float | str) -> str:
    """The word of the rubric for a score, given as that word or as its points."""
    words = criterion.words
    if isinstance(score, str) and score in words:
        return score
    if found := [word for word, points in words.items() if not isinstance(score, str) and points == score]:
        return found[0]
    raise ValueError(f"score: {score!r} is none of the criterion {criterion.name!r}: {', '.join(words)}")
