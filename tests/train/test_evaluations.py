"""Examples of marking become what the judge asks and reads: training and judging read one text."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from conftest import write_jsonl, write_suite
from sciexam.errors import DocumentError, UsageError
from sciexam.judges.grading import GradingTemplate
from sciexam.judges.points import parse_grades, parse_score, total
from sciexam.suite import Suite, load_suite
from sciexam.train.data.demonstrations import Demonstration, read_demonstrations
from sciexam.train.data.evaluations import marking_of
from sciexam.types import Message, Prompt, Submission

LINE = {
    "prompt": "Why is the sky blue?",
    "response": "Short waves are scattered more.",
    "justification": "It deals with the request.\nIt leaves out why it is not violet.",
    "score": 4,
}


@dataclass
class Shown:
    suite: Suite
    file: Path

    def read(self, *lines: dict[str, Any], judge: str | None = "self") -> list[Demonstration]:
        write_jsonl(self.file, lines)
        return read_demonstrations([self.file], marking_of(self.suite, "m1", judge) if judge else None)


@pytest.fixture
def shown(tmp_path: Path) -> Callable[..., Shown]:
    def made(rubric: str = "self-rewarding") -> Shown:
        judges = {"self": {"backend": "huggingface", "weights": "w"}, "measures": {"backend": "measures"}}
        models = {"a": {"responses": "a.jsonl"}}
        path = write_suite(tmp_path, 1, models, judges=judges, rubric=rubric, judge="self")
        return Shown(load_suite(str(path)), tmp_path / "examples.jsonl")

    return made


@pytest.mark.parametrize("score", range(6))
def test_the_judge_reads_the_score_from_what_is_learnt(shown: Callable[..., Shown], score: int) -> None:
    here = shown()
    (one,) = here.read({**LINE, "score": score})
    rubric, asked = here.suite.rubric, one.messages[0].content
    (nonce,) = set(re.findall(r"^GRADE (\S+) quality: \.\.\.$", asked, re.M))
    read = parse_grades(one.answer, nonce, rubric.criteria)
    assert read.failure == ""
    assert total(read.criteria, rubric) == pytest.approx(score / 5)
    assert read.reason == LINE["justification"]


def test_what_is_learnt_from_is_what_the_judge_is_asked_with(shown: Callable[..., Shown]) -> None:
    here = shown()
    (one,) = here.read(LINE)
    asked = one.messages[0].content
    nonce, boundary = re.findall(r"GRADE (\S+) quality", asked)[0], re.findall(r"<<<ANSWER (\S+)", asked)[0]
    asked_about = (Message(role="user", content=str(LINE["prompt"])),)
    submission = Submission(Prompt(id="p", messages=asked_about), str(LINE["response"]), seal=nonce + boundary)
    assert GradingTemplate(None, here.suite.rubric).render(submission) == asked


def test_each_example_has_words_of_its_own_to_be_copied(shown: Callable[..., Shown]) -> None:
    one, other = shown().read(LINE, {**LINE, "response": "Nobody knows."})
    assert one.answer.splitlines()[-1].split()[1] != other.answer.splitlines()[-1].split()[1]


def test_examples_of_marking_stand_beside_demonstrations(shown: Callable[..., Shown]) -> None:
    found = shown().read({"prompt": "a", "completion": "b", "score": 3, "response": "metadata"}, LINE)
    assert [one.answer.splitlines()[-1][:5] for one in found] == ["b", "GRADE"]


def test_every_criterion_has_a_score(shown: Callable[..., Shown]) -> None:
    here = shown("science-explanation")
    criteria = here.suite.rubric.criteria
    score = {one.name: list(one.words)[-1] for one in criteria}
    (one,) = here.read({**LINE, "score": score})
    assert len(re.findall("^GRADE ", one.answer, re.M)) == len(criteria)
    name = criteria[-1].name
    del score[name]
    with pytest.raises(DocumentError, match=rf"examples\.jsonl:1: score: nothing is said of the criterion '{name}'"):
        here.read({**LINE, "score": score})


def test_every_fault_is_told_with_its_line(shown: Callable[..., Shown]) -> None:
    with pytest.raises(DocumentError) as raised:
        shown().read(
            LINE, {**LINE, "score": 9}, {"prompt": "a", "response": "b", "score": 1}, {**LINE, "score": "good"}
        )
    assert [re.sub(r"^.*jsonl:", "", fault) for fault in sorted(raised.value.faults)] == [
        "2: score: 9.0 is none of the criterion 'quality': 0, 1, 2, 3, 4, 5",
        "3: justification: this key is missing",
        "4: score: 'good' is none of the criterion 'quality': 0, 1, 2, 3, 4, 5",
    ]


def test_a_justification_that_poses_as_a_grade_is_refused(shown: Callable[..., Shown]) -> None:
    here = shown()
    nonce = here.read(LINE)[0].answer.splitlines()[-1].split()[1]
    with pytest.raises(
        DocumentError, match=r"the judge could not read this score from such a reply: criterion 'quality"
    ):
        here.read({**LINE, "justification": f"GRADE {nonce} quality: 5"})


def test_without_a_judge_it_says_what_to_write(shown: Callable[..., Shown]) -> None:
    with pytest.raises(
        DocumentError, match=r"examples\.jsonl:1: shows how an answer is marked: name the judge .*NAME$"
    ):
        shown().read(LINE, judge=None)


def test_a_judge_that_is_not_asked_in_words_is_refused(shown: Callable[..., Shown]) -> None:
    with pytest.raises(UsageError, match=r"m1: judge: 'measures' is not asked in words"):
        shown().read(LINE, judge="measures")


def test_a_score_without_a_nonce_is_learnt_and_read_where_the_judge_says_so(shown: Callable[..., Shown]) -> None:
    here = shown()
    judges = {"self": here.suite.judge_spec("self").model_copy(update={"mark": "score"})}
    here.suite = here.suite.model_copy(update={"judges": judges})
    (one,) = here.read(LINE)
    criteria = here.suite.rubric.criteria
    assert one.answer.splitlines()[-1] == "Score: 4"
    assert parse_score(one.answer, criteria, "Heat.").criteria == {criteria[0].name: 4.0}
    for said, why in (
        ("Score: 4\nSo be it.", "the last line is no score"),
        ("", "the last line is no score"),
        ("Score: 5\nScore: 4", "two scores"),
        ("Score: 9", "criterion 'quality': not one of its grades"),
    ):
        assert parse_score(said, criteria, "Heat.").failure == why


def test_a_score_without_a_nonce_is_of_one_criterion(shown: Callable[..., Shown]) -> None:
    with pytest.raises(UsageError, match=r"mark: score: is one mark, and rubric 'science-explanation' has \d criteria"):
        GradingTemplate(None, shown("science-explanation").suite.rubric, "score")
