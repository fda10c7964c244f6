"""The suite and the rubrics that come with sciexam hold what their READMEs say."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from sciexam.check import check, normalise
from sciexam.documents import shipped
from sciexam.judges.measures import Measures
from sciexam.models.recorded import read_responses
from sciexam.rubric import load_rubric
from sciexam.suite import load_suite

SUITE = load_suite(str(shipped() / "suites" / "science.yaml"))
ANSWERS = {name: read_responses(shipped() / "suites" / "science" / f"{name}.jsonl") for name in ("base", "sft")}


def test_it_asks_a_hundred_different_questions_in_eight_fields() -> None:
    assert len(SUITE.prompts) == 100
    assert len({normalise(prompt.text) for prompt in SUITE.prompts}) == 100
    assert len({prompt.id for prompt in SUITE.prompts}) == 100
    fields = Counter(prompt.category for prompt in SUITE.prompts)
    assert None not in fields
    assert len(fields) >= 8
    assert min(fields.values()) >= 12
    assert {prompt.metadata["level"] for prompt in SUITE.prompts} == {"school", "undergraduate"}


def test_every_question_asks_why_or_how() -> None:
    asks = re.compile(r"\b(why|how)\b[^?]*\?", re.IGNORECASE)
    assert not [prompt.text for prompt in SUITE.prompts if not asks.search(prompt.text)]


def test_both_contestants_answer_the_same_24_prompts_three_in_each_field() -> None:
    assert SUITE.contestants == tuple(ANSWERS)
    assert set(ANSWERS["base"]) == set(ANSWERS["sft"]) == {(f"p{i:03}", 0) for i in range(1, 25)}
    fields = {prompt.id: prompt.category for prompt in SUITE.prompts}
    assert set(Counter(fields[prompt] for prompt, _ in ANSWERS["sft"]).values()) == {3}
    texts = [line.text for lines in ANSWERS.values() for line in lines.values()]
    assert len(set(texts)) == 48
    assert all(60 <= len(text.split()) <= 180 for text in texts)


def test_the_specimens_say_that_no_model_wrote_them() -> None:
    assert all("not the output of" in (SUITE.models[name].note or "") for name in SUITE.contestants)


def test_neither_contestant_is_longer_throughout() -> None:
    pairs = [(len(line.text), len(ANSWERS["sft"][slot].text)) for slot, line in ANSWERS["base"].items()]
    assert 0.9 < sum(base for base, _ in pairs) / sum(sft for _, sft in pairs) < 1.1
    assert 4 <= sum(base > sft for base, sft in pairs) <= 20


def test_the_check_finds_no_fault_in_it() -> None:
    findings = check(SUITE)
    assert [finding.text for finding in findings if finding.fault] == []
    assert "base: 24 of 100 prompts have an answer" in [finding.text for finding in findings]


@pytest.mark.parametrize("name", ["science-explanation", "helpfulness"])
def test_each_rubric_has_five_criteria_with_levels_and_anchors(name: str) -> None:
    rubric = load_rubric(str(shipped() / "rubrics" / f"{name}.yaml"))
    assert rubric.rubric == name
    assert len(rubric.criteria) >= 5
    for criterion in rubric.criteria:
        assert len(criterion.levels) >= 3, criterion.name
        assert all(level.label and len(level.anchor.split()) >= 4 for level in criterion.levels), criterion.name
        assert criterion.question.endswith("?")
    measured = [(c.name, c.measure, c.weight) for c in rubric.criteria if c.measure]
    Measures("measures", measured)
    assert len(measured) >= 3
