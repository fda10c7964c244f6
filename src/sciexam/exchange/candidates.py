"""Candidate answers of a teacher: read, graded, and chosen from; and the lines that they become."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from sciexam.contamination import Exam
from sciexam.exchange.decontamination import HOLDS
from sciexam.exchange.marked_reply import Request, read_marked
from sciexam.report.marking.marks import of_criterion, sample_value
from sciexam.types import Grade, Prompt, Response

Line = dict[str, Any]

WORD = "ANSWER"  # of the line above the answer
SOURCE = ("attribution", "site", "licence")  # of a prompt, that go with every text made of it


@dataclass(frozen=True, slots=True)
class Candidate:
    """One answer, or why there is none. `grade` is a share of the rubric's total; `key` that of the teacher's reply."""

    prompt: Prompt
    sample: int
    key: str
    model: str  # as the endpoint calls itself
    text: str = ""
    reasoning: str = ""
    reply: str = ""  # the whole of a reply that could not be read
    failure: str = ""
    open: bool = False  # whether the same command asks again for what is missing
    grade: float | None = None
    criteria: Mapping[str, float] = field(default_factory=dict)

    @property
    def messages(self) -> list[Line]:
        return [{"role": one.role, "content": one.content} for one in self.prompt.messages]

    def said(self) -> list[Line]:
        return [{"role": "assistant", "content": self.text}]


def read_candidate(prompt: Prompt, request: Request, response: Response, exam: Exam) -> Candidate:
    reply = response.reply
    found = read_marked(reply, WORD, request)
    failure = found.failure
    if not failure and exam.asked_in([found.text, found.before]) is not None:
        failure = HOLDS
    return Candidate(
        prompt=prompt,
        sample=response.sample,
        key=reply.key,
        model=reply.model,
        text=found.text,
        reasoning=found.before,
        reply=reply.text if found.failure else "",
        failure=failure,
        open=reply.status in ("failed", "skipped"),
    )


def graded(candidate: Candidate, grades: Sequence[Grade], criteria: Iterable[str]) -> Candidate:
    """With the mean of its usable grades, or with why it has none."""
    score = sample_value(grades, lambda grade: grade.score)
    if score is None:
        first = grades[0] if grades else None
        why = f"{first.status}: {first.failure}" if first else "skipped: not marked"
        is_open = first is None or any(grade.status in ("failed", "skipped") for grade in grades)
        return replace(candidate, failure=f"no grade, {why}", open=is_open)
    points = {name: value for name in criteria if (value := sample_value(grades, of_criterion(name))) is not None}
    return replace(candidate, grade=score, criteria=points)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What became of the candidates: to be imitated, left (each with why), and (better, worse) of one prompt."""

    kept: list[Candidate]
    rejected: list[tuple[Candidate, str]]
    pairs: list[tuple[Candidate, Candidate]]
    ties: int  # prompts with two grades or more and no pair, for they are equal


def choose(candidates: Iterable[Candidate], bar: float, keep: int) -> Chosen:
    """The best `keep` candidates of each prompt with a grade of `bar` or more; of one grade the earlier sample.

    A text is kept once. The pair of a prompt is its best and its worst candidate, wherever they stand to the bar.
    """
    chosen = Chosen([], [], [], 0)
    ties = 0
    for _, group in groupby(candidates, key=lambda one: one.prompt.id):
        mine = list(group)
        ranked = sorted((one for one in mine if one.grade is not None), key=lambda one: (-(one.grade or 0), one.sample))
        kept: dict[str, Candidate] = {}
        for one in ranked:
            if len(kept) < keep and (one.grade or 0) >= bar:
                kept.setdefault(one.text, one)
        chosen.kept.extend(kept.values())
        taken = {one.sample for one in kept.values()}
        chosen.rejected.extend((one, _why(one, bar, kept)) for one in mine if one.sample not in taken)
        if len(ranked) > 1:
            best, worst = ranked[0], ranked[-1]
            if (best.grade or 0) > (worst.grade or 0):
                chosen.pairs.append((best, worst))
            else:
                ties += 1
    return Chosen(chosen.kept, chosen.rejected, chosen.pairs, ties)


def _why(candidate: Candidate, bar: float, kept: Mapping[str, Candidate]) -> str:
    if candidate.failure:
        return candidate.failure
    if (candidate.grade or 0) < bar:
        return f"grade below {bar:g}"
    return "the same text as one that is kept" if candidate.text in kept else "not among the best of its prompt"


# ---------------------------------------------------------------- lines


def demonstration(one: Candidate, teacher: str, messages: bool) -> Line:
    if messages:
        line: Line = {"messages": [*one.messages, *one.said()]}
    else:
        line = {"prompt": one.prompt.messages[0].content, "completion": one.text}
    line |= {"id": one.prompt.id, "sample": one.sample, "reasoning": one.reasoning, "grade": one.grade}
    return line | {"criteria": dict(one.criteria)} | _source(one, teacher)


def rejected_line(one: Candidate, why: str, teacher: str) -> Line:
    """For reading, not for training: what a reply said as far as it could be read, and the whole of it otherwise."""
    line: Line = {"id": one.prompt.id, "sample": one.sample, "reason": why, "grade": one.grade}
    if one.reply or not one.text:
        line |= {"reply": one.reply}
    else:
        line |= {"question": one.prompt.text, "answer": one.text, "reasoning": one.reasoning}
    return line | {"criteria": dict(one.criteria)} | _source(one, teacher)


def preference(better: Candidate, worse: Candidate, teacher: str) -> Line:
    """In TRL's conversational format; the margin is the difference of the grades."""
    assert better.grade is not None
    assert worse.grade is not None
    line: Line = {"prompt": better.messages, "chosen": better.said(), "rejected": worse.said()}
    line |= {"margin": better.grade - worse.grade, "grade_chosen": better.grade, "grade_rejected": worse.grade}
    return line | {"id": better.prompt.id, "samples": [better.sample, worse.sample]} | _source(better, teacher)


def _source(one: Candidate, teacher: str) -> Line:
    """Who wrote the answer and under which fact, and whose question it is."""
    told = {key: value for key in SOURCE if (value := one.prompt.metadata.get(key)) is not None}
    named = {key: value for key in ("category", "group") if (value := getattr(one.prompt, key)) is not None}
    return {"teacher": teacher, "model": one.model, "key": one.key} | named | told


def lines_of(chosen: Chosen, teacher: str, messages: bool) -> Iterator[tuple[str, list[Line]]]:
    """The files of a folder by name, without those that would be empty."""
    files = {
        "demonstrations.jsonl": [demonstration(one, teacher, messages) for one in chosen.kept],
        "preferences.jsonl": [preference(*pair, teacher) for pair in chosen.pairs],
        "rejected.jsonl": [rejected_line(*one, teacher) for one in chosen.rejected],
    }
    yield from ((name, lines) for name, lines in files.items() if lines)
