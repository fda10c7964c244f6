"""Texts that say nearly the same, and what keeps training data apart from the exam."""

from __future__ import annotations

import pytest

pytest.importorskip("datasketch")

from sciexam.contamination import Exam
from sciexam.exchange.decontamination import HOLD, NEARLY, leaks
from sciexam.near_duplicates import repeats
from sciexam.types import Message, Prompt

SKY = "Why does the sky look blue at noon and red in the evening when the sun is low over the sea?"
FIELDS = SKY.replace("sea", "fields")


def test_a_text_repeats_what_is_known_or_where_each_is_wanted_once_an_earlier_one() -> None:
    others = ["What do wrens eat in winter?", "Who painted the ceiling of this chapel?"]
    assert repeats([others[0], SKY], [FIELDS, others[1], others[1], others[0]]) == [1, None, None, 0]
    assert repeats([SKY], [others[1], FIELDS, others[1]], each_once=True) == [None, 0, 1]
    assert repeats([], []) == []


def test_texts_without_a_word_are_not_alike() -> None:
    assert repeats(["?!"], ["...", "", "?!"], each_once=True) == [None, None, None]


def test_a_question_leaks_the_exam_in_any_of_its_messages() -> None:
    exam = Exam([Prompt(id="sky", messages=(Message(role="user", content=SKY),))])
    questions = [
        ["Be brief.", f"Tell me: {SKY}"],
        ["Be brief.", FIELDS],
        [SKY.upper()],
        ["Be brief.", "Why is it dark?"],
    ]
    assert leaks(exam, questions) == [HOLD, NEARLY, HOLD, ""]
    assert leaks(Exam([]), [["x"]]) == [""]
