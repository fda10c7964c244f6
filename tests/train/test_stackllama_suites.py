"""The two suites of StackLLaMA: the published one has its numbers, and the toy one runs to its tables."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from checkpoints import tokenizer
from sciexam import lineage
from sciexam.check import check
from sciexam.documents import shipped
from sciexam.lineage.stages import Ppo, Reward, Sft
from sciexam.suite import load_suite
from sciexam.train.tokens import Turns
from sciexam.types import Message

SUITES = shipped() / "suites"


def test_the_published_suite_loads_and_says_what_it_lacks(tmp_path: Path) -> None:
    suite = load_suite(str(SUITES / "stackllama.yaml"), tmp_path)
    assert lineage.chain(suite.models, "rl") == ["base", "se", "rl"]
    told = "\n".join(finding.text for finding in check(suite))
    for lacking in ("demonstrations", "preferences", "train_prompts"):
        assert f"{lacking}.jsonl: no such file" in told


def test_its_stages_are_set_as_published(tmp_path: Path) -> None:
    """As in the scripts of TRL v0.11, examples/research_projects/stack_llama, and the command lines of their README."""
    models = load_suite(str(SUITES / "stackllama.yaml"), tmp_path).models
    se, rm, rl = models["se"], models["rm"], models["rl"]
    assert isinstance(se, Sft)
    assert isinstance(rm, Reward)
    assert isinstance(rl, Ppo)
    assert (se.packing, se.completion_only, se.max_length, se.steps, se.learning_rate) == (
        True,
        False,
        1024,
        5000,
        1e-5,
    )
    assert (se.schedule, se.warmup, se.weight_decay, se.batch_size) == ("cosine", 100 / 5000, 0.05, 4 * 8)
    assert (rm.max_length, rm.epochs, rm.learning_rate, rm.schedule) == (512, 1, 2e-5, "linear")
    assert (rm.weight_decay, rm.batch_size) == (0.001, 4 * 8)
    assert (rl.beta, rl.target_kl, rl.inner_epochs, rl.learning_rate, rl.batch_size) == (0.2, 6, 4, 1.4e-5, 8 * 8)
    assert (rl.clip, rl.value_clip, rl.value_weight, rl.gamma, rl.lam) == (0.2, 0.2, 0.1, 1.0, 0.95)
    ranks = [(one.lora.r, one.lora.alpha, one.lora.dropout) for one in (se, rm, rl) if one.lora]
    assert ranks == [(16, 32, 0.05), (8, 32, 0.1), (16, 32, 0.0)]


def test_a_question_is_put_in_the_published_words(tmp_path: Path) -> None:
    base = load_suite(str(SUITES / "stackllama.yaml"), tmp_path).models["base"]
    words = tokenizer(base.chat_template)  # type: ignore[union-attr]
    row = Turns("se", words).row([Message(role="user", content="Why?")], "So.")
    assert words.decode(row.prompt).removeprefix(words.bos_token or "") == "Question: Why?\n\nAnswer:"
    assert words.decode(row.answer) == f" So.{words.eos_token}"


@pytest.mark.soak
def test_the_toy_chain_runs_to_its_tables(tmp_path: Path) -> None:
    pytest.importorskip("trl")
    pytest.importorskip("datasketch")
    (tmp_path / "suites").mkdir()
    for name in ("science", "stackllama-toy.yaml"):
        (tmp_path / "suites" / name).symlink_to(SUITES / name)
    head = (SUITES / "stackllama-toy.yaml").read_text(encoding="utf-8").split("\nsuite:")[0]
    lines = re.findall(r"^#   (.+?)(?: +# .*)?$", head, re.M)
    python = f"{sys.executable} -m sciexam"
    said = {}
    for line in lines:
        command = re.sub(r"^(python -m )?sciexam", python, line)
        said[line] = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    failed = [line for line, done in said.items() if done.returncode]
    assert failed == ["sciexam train free --suite stackllama-toy"], [said[line].stderr for line in failed]
    assert "reward hacking" in said[failed[0]].stdout
    report = (tmp_path / "results" / "stackllama-toy" / "training" / "rl" / "report.md").read_text(encoding="utf-8")
    accuracy = re.search(r"^\| rm \| \d+ \| (0\.\d+) \[(0\.\d+), ", report, re.M)
    assert accuracy is not None
    assert float(accuracy[2]) > 0.5
    board = said[lines[-1]].stdout
    assert board.index(" se ") < board.index(" base ")
