"""The two suites of SAWYER: the published one has its settings, and the toy one runs to its tables."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sciexam import lineage
from sciexam.check import check
from sciexam.contamination import Exam
from sciexam.digests import digest, file_digest
from sciexam.documents import shipped
from sciexam.prompts import read_prompts
from sciexam.suite import load_suite
from sciexam.toy import data
from sciexam.toy.conversations import conversations
from sciexam.toy.truths import write_tasks
from sciexam.toy.world import world
from sciexam.train.data.demonstrations import read_demonstrations

SUITES = shipped() / "suites"


def test_the_published_suite_has_the_settings_of_the_notebooks_and_says_what_it_lacks(tmp_path: Path) -> None:
    suite = load_suite(str(SUITES / "sawyer.yaml"), tmp_path)
    assert lineage.chain(suite.models, "ppo") == ["base", "sft", "ppo"]
    said = {name: spec.model_dump() for name, spec in suite.models.items()}
    assert (said["sft"]["learning_rate"], said["sft"]["batch_size"], said["sft"]["lora"]["r"]) == (2e-4, 8, 128)
    assert (said["rm"]["learning_rate"], said["rm"]["batch_size"], said["rm"]["epochs"]) == (1e-6, 32, 3)
    assert said["rm"]["backbone"] == "FacebookAI/roberta-base"
    assert (said["ppo"]["learning_rate"], said["ppo"]["batch_size"], said["ppo"]["epochs"]) == (1.41e-5, 8, 2)
    assert (said["ppo"]["beta"], said["ppo"]["target_kl"]) == (0.2, 6)
    assert (said["sft"]["max_length"], said["rm"]["max_length"]) == (2048, 512)
    told = "\n".join(finding.text for finding in check(suite))
    for lacking in ("conversations.jsonl", "comparisons.jsonl", "train_prompts.jsonl"):
        assert f"sawyer/{lacking}: no such file" in told


def test_the_toy_suite_begins_with_the_base_that_others_begin_with(tmp_path: Path) -> None:
    toy, other = (load_suite(str(SUITES / f"{name}-toy.yaml"), tmp_path) for name in ("sawyer", "rlhf-workflow"))
    assert toy.models["base"] == other.models["base"]
    assert lineage.walk(toy.models, "ppo") == ["base", "sft", "rm", "ppo"]


def test_a_conversation_has_two_turns_and_the_same_seed_gives_the_same_ones(tmp_path: Path) -> None:
    made = conversations(data.SMALL)
    assert made == conversations(data.SMALL)
    assert digest(made)[:16] == "8332ad1ab48b9792"  # the figures of docs/sawyer.md are of such lines
    assert made != conversations(data.SMALL, seed=2)
    (written,) = data.write_lines(tmp_path, {"conversations.jsonl": made})
    shown = read_demonstrations([written])
    assert len(shown) == len(made) == 144
    assert {tuple(message.role for message in one.messages) for one in shown} == {("user", "assistant", "user")}


def test_no_question_of_a_conversation_stands_in_another_file_or_in_the_exam() -> None:
    exam = Exam(read_prompts(SUITES / "science" / "prompts.jsonl"))
    lines = [line for found in data.files(data.SMALL).values() for line in found]
    elsewhere = {line.get("prompt") or line["text"] for line in lines}
    asked = [turn["content"] for one in conversations(data.SMALL) for turn in one["messages"] if turn["role"] == "user"]
    assert len(set(asked)) == len(asked)
    assert not elsewhere & set(asked)
    assert not [question for question in asked if exam.asked_in(question) is not None]


def test_of_the_choices_of_a_task_one_is_true_of_the_phenomenon(tmp_path: Path) -> None:
    first = write_tasks(tmp_path / "a")
    assert [*map(file_digest, first)] == [*map(file_digest, write_tasks(tmp_path / "b"))]
    items = {path.stem: rows(path) for path in first if path.suffix == ".jsonl"}
    assert {name: len(found) for name, found in items.items()} == {"toy_truths": 208, "toy_fields": 104}
    for item in [item for found in items.values() for item in found]:
        true = set(world()[item["group"]].truths.values())
        assert [place for place, choice in enumerate(item["choices"]) if choice in true] == [item["answer"]]


@pytest.mark.slow
def test_the_encoder_is_the_same_for_the_same_seed_and_reads_a_pair(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from sciexam.models.reward_text import PAIR, Form
    from sciexam.toy.encoder import write_encoder
    from sciexam.types import Message

    one, same, other = (write_encoder(tmp_path / str(n), data.SMALL, seed) for n, seed in enumerate((1, 1, 2)))
    files = [{path.name: file_digest(path) for path in folder.iterdir()} for folder in (one, same, other)]
    assert files[0] == files[1]
    assert files[0]["model.safetensors"] != files[2]["model.safetensors"]
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(one)
    turns = (Message(role="user", content="Why?"), Message(role="assistant", content="So."))
    shown = Form("rm", tokenizer, None, None, tokenizer.pad_token_id).show(turns)
    assert (shown.text, shown.ending) == ("<s>Why?</s></s>So.</s>", PAIR)


@pytest.mark.soak
def test_the_toy_suite_runs_to_its_tables(tmp_path: Path) -> None:
    pytest.importorskip("trl")
    pytest.importorskip("lm_eval")
    for file in ("sawyer-toy.yaml", "science/prompts.jsonl", "science/phenomena.jsonl"):
        (tmp_path / "suites" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "suites" / file).write_bytes((SUITES / file).read_bytes())
    command(tmp_path, "-m", "sciexam.toy", "suites/science/training")
    command(tmp_path, "-m", "sciexam.toy", "suites/sawyer-toy", "--for", "sawyer")
    command(tmp_path, "-m", "sciexam", "train", "ppo", "--suite", "sawyer-toy")  # fails where the gate accepts none
    rewards = told(tmp_path, "reward", "base", "sft", "ppo", "--model", "rm")
    higher = {(pair["b"], pair["a"]): pair["compared"] for pair in rewards["pairs"]}
    for pair in (("sft", "base"), ("ppo", "sft")):
        assert higher[pair]["difference"]["low"] > 0
        assert higher[pair]["sd_ratio"]["value"] < 1
    marks = told(tmp_path, "grade", "base", "sft", "ppo", "--judge", "truth")
    assert all(one["difference"]["low"] > 0 for one in marks["differences"])
    tasks = ("--tasks", "toy_truths,toy_fields", "--tasks-from", "suites/sawyer-toy/tasks", "--chat")
    found = {
        (one["task"], one["a"], one["b"]): one for one in told(tmp_path, "bench", "base", "sft", "ppo", *tasks)["pairs"]
    }
    assert found["toy_truths", "base", "sft"]["finding"] == "higher"
    assert found["toy_truths", "sft", "ppo"]["finding"] == "undecided"


def told(folder: Path, *words: str) -> Any:
    return json.loads(command(folder, "-m", "sciexam", *words, "--suite", "sawyer-toy", "--json"))


def rows(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def command(folder: Path, *words: str) -> str:
    done = subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
