"""A check finds what is wrong with a suite and its files before any call is made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sciexam.check import Finding, check, normalise
from sciexam.suite import load_suite

QUESTIONS = {"q1": "Why is the sky blue?", "q2": "How do vaccines work?", "q3": "Why do leaves fall?"}


def jsonl(path: Path, *rows: dict[str, Any]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def findings(folder: Path, models: dict[str, Any], **more: Any) -> list[Finding]:
    """What is found in a suite of three prompts with `models`; JSON is YAML."""
    prompts = more.pop("prompts", [{"id": i, "text": text, "category": "c"} for i, text in QUESTIONS.items()])
    jsonl(folder / "prompts.jsonl", *prompts)
    suite = {"suite": "exam", "prompts": "prompts.jsonl", "models": models, "contestants": list(models)[:1]} | more
    (folder / "exam.yaml").write_text(json.dumps(suite))
    return check(load_suite(str(folder / "exam.yaml")))


def split(found: list[Finding], folder: Path) -> tuple[list[str], list[str]]:
    """Remarks and faults, without the folder."""
    texts = [(finding.text.replace(f"{folder}/", ""), finding.fault) for finding in found]
    return [text for text, fault in texts if not fault], [text for text, fault in texts if fault]


def test_answers_are_counted_and_unmatched_ones_are_a_fault(tmp_path: Path) -> None:
    rows = [{"prompt": "q1", "text": "a"}, {"prompt": QUESTIONS["q2"], "text": "b"}, {"prompt": "q9", "text": "c"}]
    jsonl(tmp_path / "a.jsonl", *rows, *({"prompt": f"x{i}", "text": "d"} for i in range(6)))
    remarks, faults = split(findings(tmp_path, {"a": {"responses": "a.jsonl"}}), tmp_path)
    assert "a: 2 of 3 prompts have an answer" in remarks
    assert faults == ["a.jsonl: 7 answers match no prompt: 'q9', 'x0', 'x1', 'x2', 'x3'"]


def test_all_files_and_judges_are_looked_at_though_some_are_faulty(tmp_path: Path) -> None:
    jsonl(tmp_path / "a.jsonl", {"prompt": "q1"}, {"prompt": "q1", "txt": "a"})
    jsonl(tmp_path / "v.jsonl", {"prompt": "q1", "first": "a", "second": "b"})
    (tmp_path / "sft.jsonl").write_text("{")
    (tmp_path / "t.j2").write_text("{{ answr_a }}")
    judges = {
        "template": {"backend": "openai", "model": "m", "template": "t.j2"},
        "recorded": {"backend": "recorded", "verdicts": "v.jsonl"},
        "stranger": {"backend": "no.such.module:Judge"},
        "measures": {"backend": "measures"},
    }
    models = {
        "a": {"responses": "a.jsonl"},
        "b": {"responses": "none.jsonl"},
        "c": {"from": "a", "stage": "sft", "data": "sft.jsonl"},
    }
    remarks, faults = split(findings(tmp_path, models, judges=judges), tmp_path)
    assert faults == [
        "a.jsonl:1: text: this key is missing",
        "a.jsonl:2: text: this key is missing",
        "none.jsonl: no such file or directory",
        "t.j2: {{ answr_a }} is not a variable of a judge template; did you mean 'answer_a'?",
        "v.jsonl:1: a verdict has 'preferred' or 'probability_second', or else 'failure'",
        "stranger: backend 'no.such.module:Judge': No module named 'no'; is it installed, or its folder in PYTHONPATH?",
        "sft.jsonl:1: the line ends in the middle of its JSON; was the file cut off?",
    ]
    assert "judge measures: ready" in remarks


def test_a_good_judge_of_every_kind_is_ready_and_no_endpoint_is_called(tmp_path: Path) -> None:
    rows = [{"prompt": "q1", "first": "a", "second": "b", "preferred": "tie", "rater": rater} for rater in ("x", "y")]
    jsonl(tmp_path / "v.jsonl", *rows)
    judges = {
        "gpt": {"backend": "openai", "model": "m", "base_url": "http://127.0.0.1:9", "template": "mt-bench"},
        "recorded": {"backend": "recorded", "verdicts": "v.jsonl"},
        "fake": {"backend": "scripted", "rules": [{"say": "A"}]},
    }
    remarks, faults = split(findings(tmp_path, {"m": {"weights": "w"}}, judges=judges), tmp_path)
    assert faults == []
    assert remarks[1:] == [
        "judge gpt: template 'mt-bench' renders; the endpoint was not called",
        "judge recorded: ready, 2 raters",
        "judge fake: ready",
    ]


TRAINING = [
    {"prompt": "WHY is the   sky blue", "completion": "x"},
    {"text": "Why is the sky blue? And more."},
    {"instruction": "How do vaccines work?", "output": "x"},
    {"question": "why do leaves fall", "answer": "x"},
    {"messages": [{"role": "system", "content": "Why do leaves fall?"}, {"role": "user", "content": "Hi"}]},
    {"messages": [{"role": "user", "content": "Why do leaves fall?!"}, {"role": "assistant", "content": "x"}]},
    {"prompt": [{"role": "user", "content": "How do vaccines work?"}], "chosen": [], "rejected": []},
    {"prompt": 5, "messages": "Why do leaves fall?"},
    {"prompt": ""},
]


def test_prompts_of_the_exam_in_training_data_are_found_word_for_word(tmp_path: Path) -> None:
    jsonl(tmp_path / "train.jsonl", *TRAINING)
    models = {"sft": {"from": "base", "stage": "sft", "data": "train.jsonl"}, "base": {"weights": "w"}}
    remarks, faults = split(findings(tmp_path, models), tmp_path)
    assert faults == [
        "train.jsonl: 5 lines train sft on prompts of the exam: "
        "line 1 is q1, line 3 is q2, line 4 is q3, line 6 is q3, line 7 is q2"
    ]
    jsonl(tmp_path / "train.jsonl", TRAINING[1], TRAINING[4])
    remarks, faults = split(findings(tmp_path, models), tmp_path)
    assert faults == []
    assert "sft: no prompt of the exam stands in train.jsonl" in remarks


def test_training_prompts_count_and_absent_data_are_said_to_be_unchecked(tmp_path: Path) -> None:
    jsonl(tmp_path / "train.jsonl", {"prompt": "Why is the sky blue?"})
    models = {
        "base": {"weights": "w"},
        "rm": {"from": "base", "stage": "reward", "data": "gone.jsonl"},
        "rs": {"from": "base", "stage": "best_of_n", "prompts": "train.jsonl", "reward": "rm"},
    }
    remarks, faults = split(findings(tmp_path, models), tmp_path)
    assert faults == ["train.jsonl: 1 lines train rs on prompts of the exam: line 1 is q1"]
    assert "rm: data: gone.jsonl: no such file; its training data were not checked" in remarks


def test_a_prompt_without_a_word_matches_no_empty_line(tmp_path: Path) -> None:
    jsonl(tmp_path / "train.jsonl", {"prompt": ""}, {"prompt": "!"})
    models = {"sft": {"from": "base", "stage": "sft", "data": "train.jsonl"}, "base": {"weights": "w"}}
    prompts = [{"id": "q1", "text": "∑?"}, {"id": "q2", "text": "∏?"}]
    remarks, faults = split(findings(tmp_path, models, prompts=prompts), tmp_path)
    assert faults == []
    assert not [remark for remark in remarks if "ask the same" in remark]


def test_prompts_of_one_text_are_named_with_what_that_means_for_the_interval(tmp_path: Path) -> None:
    prompts = [
        {"id": "a", "text": "Why?"},
        {"id": "b", "text": "Why?"},
        {"id": "c", "text": "why"},
        {"id": "d", "text": "How?", "group": "g"},
        {"id": "e", "text": "how", "group": "g"},
    ]
    remarks, faults = split(findings(tmp_path, {"m": {"weights": "w"}}, prompts=prompts), tmp_path)
    assert faults == []
    assert [remark for remark in remarks if "ask the same" in remark] == [
        "prompts 'a' and 'b' ask the same; they count as one in every interval",
        "prompts 'a' and 'c' ask the same; give them one `group`, or they count as two independent prompts",
        "prompts 'd' and 'e' ask the same; they count as one in every interval",
    ]


@pytest.mark.parametrize(("text", "same"), [("  Straße,\tEIN!", "strasse ein"), ("x_1 – y", "x_1 y"), ("?!", "")])
def test_case_space_and_punctuation_are_left_out_of_a_comparison(text: str, same: str) -> None:
    assert normalise(text) == same
