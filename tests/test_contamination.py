"""Contestants that were trained on prompts of the exam: the result says so, before anybody relies on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import sciexam as sx
from conftest import answers, write_jsonl, write_suite
from sciexam.contamination import Exam, ancestry
from sciexam.exam import cautions
from sciexam.prompts import read_prompts

PROMPTS = 6


def suite(folder: Path, lines: list[dict[str, Any]]) -> sx.Suite:
    """`base`; `sft`, trained on `lines`; `rlhf`, made from sft."""
    write_jsonl(folder / "sft-data.jsonl", lines)
    write_jsonl(folder / "other.jsonl", [{"prompt": "Something else altogether?", "chosen": "a", "rejected": "b"}])
    said = {name: answers(folder, name, [f"{name} {i}" for i in range(PROMPTS)]) for name in ("base", "sft", "rlhf")}
    models = {
        "base": {"responses": said["base"]},
        "sft": {"from": "base", "stage": "sft", "data": "sft-data.jsonl", "responses": said["sft"]},
        "rlhf": {"from": "sft", "stage": "dpo", "data": "other.jsonl", "responses": said["rlhf"]},
    }
    return sx.load_suite(str(write_suite(folder, PROMPTS, models)))


def caveats(folder: Path, exam: sx.Suite, *names: str) -> list[str]:
    found = sx.compare(exam, *names, results=folder / "results")
    return [caveat for caveat in found.caveats if "trained" in caveat]


ASKED = {"messages": [{"role": "user", "content": "Now: WHY does   thing 2 happen? Please."}]}


def test_a_prompt_that_stands_in_training_data_is_a_caveat_of_all_who_descend_from_it(tmp_path: Path) -> None:
    exam = suite(tmp_path, [{"prompt": "Why does thing 1 happen?", "completion": "So."}, ASKED, ASKED])
    (said,) = caveats(tmp_path, exam, "base", "sft", "rlhf")
    assert said == (
        "sft and rlhf trained on 2 of the 6 prompts (q1, q2): they stand word for word in sft-data.jsonl "
        "(data of sft), and a good answer to them may be remembered."
    )
    (said,) = caveats(tmp_path, exam, "base", "rlhf")
    assert said.startswith("rlhf trained on 2 of the 6 prompts")
    exam = exam.with_models({"other": exam.models["base"]})
    assert caveats(tmp_path, exam, "base", "other") == [], "neither of the two was trained on it"


def test_only_the_prompts_that_are_asked_count(tmp_path: Path) -> None:
    exam = suite(tmp_path, [{"prompt": "Why does thing 5 happen?", "completion": "So."}])
    found = sx.compare(exam, "base", "sft", limit=3, results=tmp_path / "results")
    assert not [caveat for caveat in found.caveats if "trained" in caveat]
    page = (tmp_path / "results" / "exam" / found.run / "report.html").read_text()
    assert "word for word" not in page
    found = sx.compare(exam, "base", "sft", results=tmp_path / "results")
    page = (tmp_path / "results" / "exam" / found.run / "report.html").read_text()
    assert "sft trained on 1 of the 6 prompts (q5)" in page


def test_a_fault_in_training_data_or_its_absence_stops_no_comparison(tmp_path: Path) -> None:
    exam = suite(tmp_path, [])
    (tmp_path / "sft-data.jsonl").write_text("{not json\n")
    assert caveats(tmp_path, exam, "base", "sft") == []
    (tmp_path / "sft-data.jsonl").unlink()
    assert caveats(tmp_path, exam, "base", "sft") == []


def test_what_is_too_large_to_be_searched_every_time_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cautions, "LARGEST", 10)
    found = caveats(tmp_path, suite(tmp_path, [ASKED]), "base", "sft")
    assert found == [
        "sft-data.jsonl, which trained sft, is too large to be searched for prompts of this exam before every "
        f"comparison; `sciexam check --suite {tmp_path}/exam.yaml` does it."
    ]


def test_the_ancestry_of_a_model_has_its_reward_models_too(tmp_path: Path) -> None:
    models = {
        "base": {"responses": answers(tmp_path, "base", ["x"])},
        "rm": {"from": "base", "stage": "reward", "data": "p.jsonl"},
        "best": {"from": "base", "stage": "best_of_n", "prompts": "t.jsonl", "reward": "rm"},
        "apart": {"responses": answers(tmp_path, "apart", ["x"])},
    }
    exam = sx.load_suite(str(write_suite(tmp_path, 1, models)))
    assert ancestry(exam.models, ["best"]) == ["base", "rm", "best"]


def test_a_long_prompt_is_found_inside_a_text_and_a_short_one_only_as_the_whole(tmp_path: Path) -> None:
    rows = [{"id": "long", "text": "Why is the sky so blue today?"}, {"id": "short", "text": "Why blue?"}]
    write_jsonl(tmp_path / "prompts.jsonl", rows)
    exam = Exam(read_prompts(tmp_path / "prompts.jsonl"))
    lines = [
        {"a": ["x", {"b": "And: why is the sky so BLUE, today? Tell me."}]},
        {"a": "why is the sky so blue todays"},
        {"a": "Say, why blue?"},
        {"a": "why, blue"},
    ]
    path = write_jsonl(tmp_path / "data.jsonl", lines)
    assert exam.found_in(path) == [(1, "long"), (4, "short")]
