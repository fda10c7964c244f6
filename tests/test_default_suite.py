"""The suites and the rubrics that come with sciexam hold what their READMEs say."""

from __future__ import annotations

import re
from collections import Counter
from itertools import permutations

import pytest

from conftest import Cli
from sciexam.check import check, normalise
from sciexam.documents import read_jsonl, shipped
from sciexam.judges.measures import Measures
from sciexam.models.recorded import read_responses
from sciexam.rubric import load_rubric
from sciexam.suite import load_suite
from sciexam.toy.data import FULL, files
from sciexam.toy.lineages import judged

SUITES = shipped() / "suites"
SUITE = load_suite(str(SUITES / "science.yaml"))
ANSWERS = {name: read_responses(SUITES / "science" / f"{name}.jsonl") for name in SUITE.contestants}


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


def test_each_contestant_has_four_answers_to_every_prompt() -> None:
    slots = {(prompt.id, sample) for prompt in SUITE.prompts for sample in range(4)}
    assert {name: set(lines) == slots for name, lines in ANSWERS.items()} == dict.fromkeys(SUITE.contestants, True)
    different = {name: len({line.text for line in lines.values()}) for name, lines in ANSWERS.items()}
    assert min(different.values()) > 300, "they are drawn, and not said by heart"


def test_the_judge_has_seen_every_pair_of_answers_in_both_orders() -> None:
    said = [line for _, line in read_jsonl(SUITES / "science" / "tiny.jsonl")]
    seen = Counter((line["prompt"], line["first"], line["second"], line["sample"]) for line in said)
    pairs = permutations(SUITE.contestants, 2)
    assert seen == Counter((p.id, a, b, sample) for a, b in pairs for p in SUITE.prompts for sample in range(4))
    assert {line["rater"] for line in said} == {"tiny"}
    assert len({line["probability_second"] for line in said if "failure" not in line}) > 100


def test_what_its_models_have_learnt_from_is_what_the_toy_world_makes() -> None:
    own = files(FULL, 1)
    for path in (SUITES / "science" / "training").iterdir():
        assert [line for _, line in read_jsonl(path)] == own[path.name], path.name
    exam = [line for _, line in read_jsonl(SUITES / "science-judge" / "judging_exam.jsonl")]
    assert exam == files(judged(FULL), 1)["judging_exam.jsonl"]


def test_the_judge_descends_from_the_same_base_as_the_contestants() -> None:
    judge = load_suite(str(SUITES / "science-judge.yaml"))
    assert judge.lineage_digest("base") == SUITE.lineage_digest("base")


def test_the_check_finds_no_fault_in_it() -> None:
    assert [finding.text for finding in check(SUITE) if finding.fault] == []


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


def test_the_lineage_tells_recorded_answers_from_weights_and_says_what_trains_them(sciexam: Cli) -> None:
    *tree, foot = sciexam("lineage").stdout.splitlines()
    said = {line.strip("├└│─ ").split(":")[0]: line for line in tree}
    assert "pretrain, recorded answers, no weights," in said["base"]
    assert "reward, not trained," in said["rm"]
    assert said["rm"][-12:].isalnum(), "it is made from sft, which the tree shows"
    assert said["ppo"].endswith("; made with rm, too")
    assert foot == (
        "Without weights here: base, sft, rm, rs, rlhf, ppo. `sciexam train NAME` trains one and what it is made from."
    )


def test_the_plan_names_the_variance_that_it_uses_where_the_pilots_own_was_negative(sciexam: Cli) -> None:
    assert sciexam("compare", "base", "sft", "--quiet").returncode == 0
    said = " ".join(sciexam("plan", "base", "sft", "--effect", "0.55").stdout.split())
    (used,) = re.findall(r"by source: prompt (0\.\d{3})", said)
    assert float(used) > 0
    assert (
        f"the pilot's estimate for prompt was negative; the plan uses {used}, since a few wins and losses are" in said
    )
    assert "counts as 0" not in said
