"""The forum of the toy world, its teacher, and annotators on a scale of four points."""

from __future__ import annotations

from functools import cache
from itertools import islice
from pathlib import Path
from random import Random
from statistics import mean
from typing import Any

import pytest

from sciexam.contamination import Exam
from sciexam.exchange.marked_reply import RequestTemplate, read_marked
from sciexam.exchange.teacher_answers import TEMPLATE, VARIABLES
from sciexam.prompts import read_prompts
from sciexam.toy import data, forum
from sciexam.toy.annotator import Annotator
from sciexam.toy.documents import document, true_document
from sciexam.toy.four_point import FourPoint
from sciexam.toy.questions import questions
from sciexam.toy.scorer import UNKNOWN, Answer
from sciexam.toy.teacher import Teacher
from sciexam.toy.world import Phenomenon, world
from sciexam.types import Conversation, Message, Presentation, Prompt

WORLD = world()
ONE = WORLD["p007"]
EXAM = read_prompts(Path(__file__).parent.parent / "suites" / "science" / "prompts.jsonl")


def asked(one: Phenomenon) -> Prompt:
    return Prompt(id=one.id, messages=(Message(role="user", content=one.question),))


# ---------------------------------------------------------------- the forum


@cache
def posts() -> list[dict[str, Any]]:
    return list(forum.posts(0.9, 2.0, 1))


def titles() -> list[str]:
    return [str(post["Title"]) for post in posts() if post["PostTypeId"] == 1]


def test_the_same_arguments_make_the_same_forum_and_others_another(tmp_path: Path) -> None:
    first, again = (forum.write(tmp_path / name).read_bytes() for name in ("a", "b"))
    assert first == again
    some = posts()[:20]
    assert list(islice(forum.posts(0.9, 2.0, 1), 20)) == some
    assert list(islice(forum.posts(0.3, 2.0, 1), 20)) != some
    assert list(islice(forum.posts(0.9, 2.0, 2), 20)) != some


def test_a_forum_asks_for_every_phenomenon_what_no_other_file_and_no_exam_asks() -> None:
    said = titles()
    assert len(said) == len(set(said)) == forum.QUESTIONS * len(WORLD)
    elsewhere = {line.get("prompt") or line["text"] for lines in data.files().values() for line in lines}
    assert elsewhere & set(said) == set()
    exam = Exam(EXAM)
    assert [title for title in said if exam.asked_in(title) is not None] == []


def test_votes_lean_to_what_readers_like_and_are_not_it() -> None:
    silent, draw = Annotator(0, noise=0), Random(3)
    shown = [(one, document(one, draw.random(), draw)) for one in WORLD.values() for _ in range(4)]
    worth = [silent.worth(asked(one), text) or 0.0 for one, text in shown]
    votes = [forum._votes(one, text, 2.0, draw) for one, text in shown]
    pairs = [(i, j) for i in range(len(shown)) for j in range(i) if votes[i] != votes[j] and worth[i] != worth[j]]
    agree = mean((votes[i] > votes[j]) == (worth[i] > worth[j]) for i, j in pairs)
    assert 0.65 < agree < 0.85
    assert min(votes) < 0 < max(votes)


def test_whoever_asked_accepts_one_of_the_answers_with_the_most_votes() -> None:
    score = {post["Id"]: post["Score"] for post in posts()}
    accepted = [post for post in posts() if "AcceptedAnswerId" in post]
    assert 0.4 < len(accepted) / len(titles()) < 0.6
    for question in accepted:
        answers = [post for post in posts() if post.get("ParentId") == question["Id"]]
        assert score[question["AcceptedAnswerId"]] == max(post["Score"] for post in answers)


# ---------------------------------------------------------------- the teacher


def test_a_teacher_answers_nearly_truly_and_the_same_again() -> None:
    shown = [Conversation(prompt.id, prompt.messages, prompt=prompt.id) for prompt in EXAM]
    said, again = ([reply.text for reply in Teacher(0.9).generate(shown)] for _ in range(2))
    assert said == again
    assert mean(Answer(text).score(WORLD[prompt.id]) for prompt, text in zip(EXAM, said, strict=True)) > 0.9
    (perfect,) = Teacher(1.0).generate([Conversation("key", asked(ONE).messages, prompt="p007")])
    assert perfect.text == true_document(ONE)


def test_a_teacher_that_is_asked_for_training_data_answers_below_the_line() -> None:
    template = RequestTemplate(TEMPLATE, TEMPLATE, VARIABLES)
    question = next(questions(ONE, Random(5)))
    request = template.request("forum.example/1", {"question": question, "rubric": "", "best": [], "shots": []})
    conversation = Conversation("key", request.prompt.messages, prompt=request.prompt.id)
    (reply,) = Teacher(1.0).generate([conversation])
    read = read_marked(reply, "ANSWER", request)
    assert (read.text, read.failure) == (true_document(ONE), "")


# ---------------------------------------------------------------- four points


def test_an_annotator_on_four_points_says_how_much_and_knows_no_tie() -> None:
    good, worse = true_document(ONE), " ".join(list(ONE.truths.values())[:3])
    nothing = "It is what it is."
    judge = FourPoint(1, noise=0.0, much=0.5)
    shown = [Presentation(asked(ONE), *texts, order="ab") for texts in ((good, worse), (worse, good), (nothing, good))]
    said = [(verdict.preferred, verdict.strength) for verdict in judge.judge(shown)]
    assert said == [("first", "slight"), ("second", "slight"), ("second", "strong")]
    stranger = Prompt(id="q1", messages=(Message(role="user", content="Who?"),))
    (verdict,) = judge.judge([Presentation(stranger, "a", "b", order="ab")])
    assert verdict.failure == UNKNOWN


@pytest.mark.parametrize("other", [Annotator(1), FourPoint(2), FourPoint(1, noise=0.2), FourPoint(1, much=0.3)])
def test_who_judges_otherwise_is_somebody_else(other: Annotator) -> None:
    assert FourPoint(1).digest != other.digest
