"""The two suites of demonstrations, rankings and PPO: the published one has its settings, the toy one its tables."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from sciexam import lineage
from sciexam.check import check
from sciexam.contamination import Exam
from sciexam.digests import digest
from sciexam.documents import shipped
from sciexam.prompts import read_prompts
from sciexam.suite import load_suite
from sciexam.toy import data
from sciexam.toy.rankings import FEWEST, MOST, rankings
from sciexam.toy.world import CONCLUSION, EXAMPLE
from sciexam.train.data.preferences import read_preferences

SUITES = shipped() / "suites"


@cache
def made() -> list[data.Line]:
    return rankings(data.SMALL)


def test_the_published_suite_has_the_settings_of_the_paper_and_says_what_it_lacks(tmp_path: Path) -> None:
    suite = load_suite(str(SUITES / "rlhf-workflow.yaml"), tmp_path)
    assert lineage.walk(suite.models, "ppo") == ["base", "sft", "rm", "ppo"]
    said = {name: spec.model_dump() for name, spec in suite.models.items()}
    assert (said["sft"]["epochs"], said["sft"]["dropout"], said["sft"]["schedule"]) == (16, 0.2, "cosine")
    assert (said["rm"]["epochs"], said["rm"]["learning_rate"]) == (1, 9e-6)
    assert said["ppo"]["steps"] * said["ppo"]["batch_size"] == 256_000
    assert (said["ppo"]["beta"], said["ppo"]["clip"], said["ppo"]["batch_size"]) == (0.02, 0.2, 512)
    told = "\n".join(finding.text for finding in check(suite))
    for lacking in ("demonstrations.jsonl", "rankings.jsonl", "train_prompts.jsonl"):
        assert f"rlhf-workflow/{lacking}: no such file" in told


def test_rankings_are_of_four_to_nine_answers_the_best_first(tmp_path: Path) -> None:
    assert rankings(data.SMALL) == made()
    assert digest(made())[:16] == "e9c3389ac0e674cf"  # the figures of docs/rlhf-workflow.md are of such lines
    assert rankings(data.SMALL, seed=2) != made()
    assert {len(line["responses"]) for line in made()} == set(range(FEWEST, MOST + 1))
    (written,) = data.write_lines(tmp_path, {"rankings.jsonl": made()})
    pairs = read_preferences(written)
    assert len(pairs) == sum(len(line["responses"]) * (len(line["responses"]) - 1) // 2 for line in made())
    assert len({one.group for one in pairs}) == len(made())


def test_who_ranks_sees_the_announced_parts() -> None:
    """They are most of what an annotator likes, so that the first answer never has fewer of them than the last."""

    def announced(text: str) -> int:
        return sum(word in text for word in (EXAMPLE, CONCLUSION))

    ends = [(line["responses"][line["ranking"][0]], line["responses"][line["ranking"][-1]]) for line in made()]
    more = [announced(best) - announced(worst) for best, worst in ends]
    assert min(more) >= 0
    assert sum(more) > len(more)


def test_no_ranked_question_stands_in_another_file_or_in_the_exam() -> None:
    exam = Exam(read_prompts(SUITES / "science" / "prompts.jsonl"))
    lines = [line for found in data.files(data.SMALL).values() for line in found]
    elsewhere = {line.get("prompt") or line["text"] for line in lines}
    asked = [line["prompt"] for line in made()]
    assert not elsewhere & set(asked)
    assert not [question for question in asked if exam.asked_in(question) is not None]


@pytest.mark.soak
def test_the_toy_suite_runs_to_its_tables(tmp_path: Path) -> None:
    pytest.importorskip("trl")
    pytest.importorskip("lm_eval")
    for file in ("rlhf-workflow-toy.yaml", "science/prompts.jsonl"):
        (tmp_path / "suites" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "suites" / file).write_bytes((SUITES / file).read_bytes())
    command(tmp_path, "-m", "sciexam.toy", "suites/science/training")
    command(tmp_path, "-m", "sciexam.toy", "suites/rlhf-workflow-toy", "--for", "rlhf-workflow")
    command(
        tmp_path, "-m", "sciexam", "train", "ppo", "--suite", "rlhf-workflow-toy"
    )  # fails where the gate accepts none
    (rm,) = (tmp_path / "results" / "models").glob("rm-*/lineage.json")
    exam = json.loads(rm.read_bytes())["exam"]["shown"]
    assert exam["accuracy"]["low"] > 0.5
    pairs = told(tmp_path, "compare", "base", "sft", "ppo", "--judge", "helpful", "--judge", "truth")["pairs"]
    assert len(pairs) == 6
    assert all(one["win_rate"]["low"] > 0.5 for one in pairs)
    tasks = ("--tasks", "toy_truths,toy_fields", "--tasks-from", "suites/rlhf-workflow-toy/tasks", "--chat")
    assert len(told(tmp_path, "bench", "base", "sft", "ppo", *tasks)["results"]) == 6


def told(folder: Path, *words: str) -> Any:
    return json.loads(command(folder, "-m", "sciexam", *words, "--suite", "rlhf-workflow-toy", "--json"))


def command(folder: Path, *words: str) -> str:
    done = subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
