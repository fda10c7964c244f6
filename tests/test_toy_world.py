"""The toy world: its documents, its questions, the scorer that knows the truth, and annotators who do not."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import islice, pairwise
from pathlib import Path
from random import Random
from statistics import correlation, mean, stdev

import pytest

from sciexam.contamination import Exam
from sciexam.digests import file_digest
from sciexam.prompts import read_prompts
from sciexam.toy import data
from sciexam.toy.annotator import Annotator
from sciexam.toy.documents import BEST, FILLERS, document, true_document
from sciexam.toy.judging import lessons
from sciexam.toy.questions import questions
from sciexam.toy.scorer import UNKNOWN, Answer, Truth
from sciexam.toy.world import PLACES, Phenomenon, phenomenon_of, words, world, written
from sciexam.types import Message, Presentation, Prompt, Submission

WORLD = world()
ONE = WORLD["p007"]
EXAM = read_prompts(Path(__file__).parent.parent / "suites" / "science" / "prompts.jsonl")
ARMSTRONG = "Who was the first man on the Moon?"


def asked(one: Phenomenon) -> Prompt:
    return Prompt(id=one.id, messages=(Message(role="user", content=one.question),))


def truth_of(text: str, one: Phenomenon = ONE) -> float | None:
    (grade,) = Truth().grade([Submission(asked(one), text)])
    return grade.score


def made(quality: float, seed: int = 0, times: int = 3) -> list[tuple[Phenomenon, str]]:
    """Documents of one quality, `times` of them about each phenomenon."""
    draw = Random(seed)
    return [(one, document(one, quality, draw)) for one in WORLD.values() for _ in range(times)]


def falsified(one: Phenomenon) -> list[str]:
    """The true document with one sentence that is not true, for each place where that can be."""
    other = next(other for other in WORLD.values() if other.id != one.id)
    lies = [*one.falsehoods.items(), *((place, written(place, getattr(other, place))) for place in PLACES)]
    return [" ".join({**one.truths, place: lie}.values()) for place, lie in lies]


# ---------------------------------------------------------------- the scorer


def test_a_true_document_has_all_marks_and_every_falsified_one_has_fewer() -> None:
    for one in WORLD.values():
        assert truth_of(true_document(one), one) == pytest.approx(1.0), one.id
        assert max(Answer(text).score(one) for text in falsified(one)) == pytest.approx(0.9), one.id


def test_a_lie_costs_the_share_of_its_sentence_and_a_true_answer_to_something_else_all_four() -> None:
    assert Answer(falsified(ONE)[0]).facts(ONE) == 0.75
    assert truth_of(true_document(WORLD["p001"])) == pytest.approx(0.6)


def test_what_is_wrong_with_the_structure_costs_marks() -> None:
    definition, mechanism, example, conclusion = ONE.truths.values()
    faulty = {
        "disorder": " ".join((mechanism, definition, conclusion, example)),
        "repetition": f"{true_document(ONE)} {mechanism}",
        "filler": f"{FILLERS[0]} {true_document(ONE)}",
        "no end": true_document(ONE).rstrip("."),
        "a part less": " ".join((definition, mechanism, example)),
        "nothing": "",
    }
    marks = {why: truth_of(text) for why, text in faulty.items()}
    assert {why: mark for why, mark in marks.items() if mark is None or mark > 0.97} == {}
    assert marks["nothing"] == 0


def test_the_better_the_quality_the_higher_the_marks() -> None:
    means = [mean(Answer(text).score(one) for one, text in made(quality)) for quality in (0, 0.3, 0.6, BEST)]
    assert all(better - worse > 0.1 for worse, better in pairwise(means)), means


def test_the_truth_names_the_better_of_two_answers_whatever_their_order() -> None:
    good, bad = true_document(ONE), falsified(ONE)[0]
    shown = [Presentation(asked(ONE), *texts, order="ab") for texts in ((good, bad), (bad, good), (bad, bad))]
    assert [verdict.preferred for verdict in Truth().judge(shown)] == ["first", "second", "tie"]


def test_prompts_of_no_phenomenon_are_named_failures() -> None:
    stranger = Prompt(id="q1", messages=(Message(role="user", content=ARMSTRONG),))
    for rater in (Truth(), Annotator(1)):
        (grade,) = rater.grade([Submission(stranger, "Neil Armstrong.")])
        (verdict,) = rater.judge([Presentation(stranger, "a", "b", order="ab")])
        assert (grade.score, grade.failure, verdict.failure) == (None, UNKNOWN, UNKNOWN)


def test_every_prompt_of_the_exam_is_known() -> None:
    assert [prompt.id for prompt in EXAM if phenomenon_of(prompt) is None] == []


# ---------------------------------------------------------------- annotators


def worths(annotator: Annotator, documents: list[tuple[Phenomenon, str]]) -> list[float]:
    found = [annotator.worth(asked(one), text) for one, text in documents]
    assert None not in found
    return [one for one in found if one is not None]


MIXED = [pair for quality in (0, 0.3, 0.6, BEST) for pair in made(quality, 7)]


def test_the_same_annotator_says_the_same_of_the_same_text_and_another_one_does_not() -> None:
    assert worths(Annotator(1), MIXED) == worths(Annotator(1), MIXED)
    assert worths(Annotator(1), MIXED) != worths(Annotator(2), MIXED)
    (first,), (again,) = ([*Annotator(3).judge([Presentation(asked(ONE), "a", "b", order="ab")])] for _ in range(2))
    assert first == again


def test_the_noise_is_as_large_as_it_is_said_and_each_annotators_own() -> None:
    plain = worths(Annotator(1, noise=0), MIXED)
    noises = [
        [worth - true for worth, true in zip(worths(Annotator(seed, noise=0.2), MIXED), plain, strict=True)]
        for seed in (1, 2)
    ]
    assert [stdev(noise) for noise in noises] == pytest.approx([0.2, 0.2], abs=0.02)
    assert abs(correlation(*noises)) < 0.1


def test_an_annotator_is_on_the_side_of_the_truth_and_is_not_the_truth() -> None:
    truth = [Answer(text).score(one) for one, text in MIXED]
    assert 0.5 < correlation(worths(Annotator(1), MIXED), truth) < 0.9


def test_an_annotator_does_not_see_order_filler_or_repetition() -> None:
    silent = Annotator(1, noise=0)
    definition, mechanism, example, conclusion = ONE.truths.values()
    whole = silent.worth(asked(ONE), true_document(ONE))
    disorder = " ".join((conclusion, mechanism, example, definition, mechanism))
    assert silent.worth(asked(ONE), disorder) == whole
    assert truth_of(disorder) < 0.95  # type: ignore[operator]


# ---------------------------------------------------------------- documents and questions


def test_a_document_is_a_function_of_its_draw() -> None:
    assert document(ONE, 0.4, Random(5)) == document(ONE, 0.4, Random(5))
    assert len({document(ONE, 0.4, Random(seed)) for seed in range(50)}) > 30


def test_perfect_quality_is_the_true_document() -> None:
    assert document(ONE, 1, Random(0)) == true_document(ONE)


def test_documents_of_low_quality_have_every_fault() -> None:
    texts = [text for _, text in made(0.1)]
    assert any(filler in text for filler in FILLERS for text in texts)
    assert any(not text.endswith(".") for text in texts)
    assert any(Answer(text).order() < 0.5 for text in texts)
    assert any(len(set(found)) < len(found) for text in texts if (found := Answer(text).sentences))
    lies = {lie for one in WORLD.values() for lie in one.falsehoods.values()}
    assert any(lie in text for lie in lies for text in texts)


def test_no_filler_is_a_sentence_of_the_world() -> None:
    assert [
        filler for filler in FILLERS if any(filler in truth for one in WORLD.values() for truth in one.truths)
    ] == []


def test_questions_of_a_phenomenon_are_many() -> None:
    assert len({*islice(questions(ONE, Random(1)), 200)}) > 100


# ---------------------------------------------------------------- the files


FILES = data.files()


def said() -> list[str]:
    """Every question of the files; what a judge is shown holds one, too."""
    return [line.get("prompt") or line["text"] for lines in FILES.values() for line in lines]


def test_no_prompt_of_the_exam_is_in_a_file_nor_seven_of_its_words_in_a_row() -> None:
    exam = Exam(EXAM)
    assert [line for lines in FILES.values() for line in lines if exam.asked_in(line)] == []

    def runs(text: str) -> set[tuple[str, ...]]:
        spoken = words(text)
        return {tuple(spoken[at : at + 7]) for at in range(len(spoken) - 6)}

    in_exam = set().union(*(runs(text) for text in exam.texts))
    assert [text for text in said() if runs(text) & in_exam] == []


def test_no_question_stands_in_two_files_or_twice_in_one() -> None:
    assert len(set(said())) == len(said())


def test_every_phenomenon_is_asked_for_in_every_file_as_often() -> None:
    for name in ("train_prompts.jsonl", "dev_prompts.jsonl"):
        asked_for = [line["id"].partition(".")[0] for line in FILES[name]]
        assert {asked_for.count(identity) for identity in WORLD} == {len(asked_for) // len(WORLD)}
    assert len(FILES["documents.jsonl"]) == len(WORLD) * data.FULL.documents


def test_demonstrations_have_the_better_structure_and_lies_all_the_same() -> None:
    shown = [Answer(line["completion"]) for line in FILES["demonstrations.jsonl"]]
    read = [Answer(line["completion"]) for line in FILES["documents.jsonl"]]
    assert mean(one.structure() for one in shown) > mean(one.structure() for one in read) + 0.05
    lies = {lie for one in WORLD.values() for lie in one.falsehoods.values()}
    assert any(sentence in lies for one in shown for sentence in one.sentences)


def test_a_judge_learns_from_both_orders_of_a_pair_and_is_asked_as_it_has_learnt() -> None:
    letters = Counter(line["completion"] for line in FILES["judging.jsonl"])
    assert letters["A"] == letters["B"] > letters["="] > 0
    (first, second), turned = [*lessons(ONE, questions(ONE, Random(1)), 1, Random(2))], {"A": "B", "B": "A", "=": "="}
    assert second["completion"] == turned[first["completion"]]
    asked_so = re.compile(r"(\w{4}) .+\nA: .+\n\1\nB: .+\n\1\nWhich is better\?")
    assert asked_so.fullmatch(first["prompt"])


def test_the_same_seed_makes_the_same_files_and_another_one_others(tmp_path: Path) -> None:
    size = data.Size(phenomena=3, documents=4, demonstrations=2, train=2, dev=1, judging=1, evaluations=1)
    first, again, other = (data.write(tmp_path / name, size, seed) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert [*map(file_digest, first)] == [*map(file_digest, again)]
    assert all(file_digest(one) != file_digest(another) for one, another in zip(first, other, strict=True))
    assert len((tmp_path / "a" / "documents.jsonl").read_text().splitlines()) == 12
    assert json.loads(first[0].read_text().splitlines()[0]).keys() == {"prompt", "completion"}
