"""The YAML file that says which columns of JSON Lines hold what is said of questions and answers.

Three layouts are told apart by what is named:

- `answers`: a line is a question, and this column lists its answers;
- `answer.question`: a line is a question or an answer, and in an answer's line this column holds the question's id;
- neither: a line holds a question and one answer to it, and the lines of one question agree in what they say of it.
"""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from sciexam.types import Record


class PostColumns(Record):
    """Which columns hold what is said of a question as well as of an answer."""

    id: str | None = None
    votes: str | None = None
    date: str | None = None
    author: str | None = None
    link: str | None = None


class QuestionColumns(PostColumns):
    """`title`, `text` or both; `accepted` is the id of the answer that was accepted."""

    title: str | None = None
    text: str | None = None
    tags: str | None = None
    accepted: str | None = None

    @model_validator(mode="after")
    def _asks(self) -> Self:
        if self.title is None and self.text is None:
            raise ValueError("name the column of the question: title, text, or both")
        return self


class AnswerColumns(PostColumns):
    """`accepted` is true or false; `question` is the id of the question; what stands before it there is `prefix`."""

    text: str
    accepted: str | None = None
    question: str | None = None
    prefix: str = ""


class Columns(Record):
    """A file of columns. `site` and `licence` are those of all lines, unless a column holds them."""

    html: bool = False
    site: str | None = None
    site_column: str | None = None
    licence: str | None = None
    licence_column: str | None = None
    question: QuestionColumns
    answer: AnswerColumns
    answers: str | None = Field(None, description="the column that lists a question's answers")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for key in ("site", "licence"):
            if (getattr(self, key) is None) == (getattr(self, f"{key}_column") is None):
                raise ValueError(f"say {key}: for all lines, or {key}_column: where a column holds it")
        if self.answers is not None and self.answer.question is not None:
            raise ValueError("answers: that stand in their question's line need no answer.question")
        if self.answer.question is not None and self.question.id is None:
            raise ValueError("answer.question refers to question.id: name its column")
        return self
