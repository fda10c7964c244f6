"""The two suites of a model that explains science: the real one says what it lacks, the toy one runs to its tables."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sciexam import lineage
from sciexam.check import check
from sciexam.documents import shipped
from sciexam.suite import Suite, load_suite

SUITES = shipped() / "suites"
ANNOTATORS = ["ann-1", "ann-2", "ann-3", "ann-4"]
SITTING = ["base", "sft", "rs", "ppo", "dpo", "gpt"]


def test_the_real_suite_loads_and_says_what_it_lacks(tmp_path: Path) -> None:
    suite = load_suite(str(SUITES / "sci-explain.yaml"), tmp_path)
    assert lineage.chain(suite.models, "rs") == ["base", "sft", "rs"]
    assert lineage.chain(suite.models, "ppo") == ["base", "sft", "ppo"]
    assert suite.models["ppo"].model_dump()["inner_epochs"] == 1  # one gradient step for a minibatch, as published
    assert suite.learns_from_people("rm")
    assert suite.learns_from_people("dpo")
    told = "\n".join(finding.text for finding in check(suite))
    for lacking in (
        "forum/demonstrations.jsonl",
        "taught/demonstrations.jsonl",
        "compared.jsonl",
        "train_prompts.jsonl",
    ):
        assert f"{lacking}: no such file" in told


def test_who_examines_is_neither_the_teacher_nor_one_of_the_annotators(tmp_path: Path) -> None:
    for name in ("sci-explain", "sci-explain-toy"):
        suite = load_suite(str(SUITES / f"{name}.yaml"), tmp_path)
        assert suite.judge not in {"gpt", "humans", "annotators", *ANNOTATORS}
    real = load_suite(str(SUITES / "sci-explain.yaml"), tmp_path)
    assert real.models["gpt"].model != real.judges[real.judge].model  # type: ignore[union-attr]


def test_both_suites_have_the_same_stages(tmp_path: Path) -> None:
    def edges(suite: Suite) -> dict[str, tuple[str, ...]]:
        return {name: lineage.parents(spec) for name, spec in suite.models.items() if name != "dpo"}

    real, toy = (load_suite(str(SUITES / f"sci-explain{end}.yaml"), tmp_path) for end in ("", "-toy"))
    assert edges(real) == edges(toy)
    assert list(real.contestants) == list(toy.contestants) == SITTING


@pytest.mark.soak
def test_the_toy_chain_runs_to_its_tables(tmp_path: Path) -> None:
    pytest.importorskip("trl")
    pytest.importorskip("datasketch")
    (tmp_path / "suites").mkdir()
    for name in ("science", "sci-explain-toy.yaml"):
        (tmp_path / "suites" / name).symlink_to(SUITES / name)
    said = [run(tmp_path, *words) for words in commands()]
    rejected = next(done for done in said if done.returncode == 4)
    assert "forum: sft: rejected" in rejected.stdout
    assert sum(done.returncode != 0 for done in said) == 1, "\n".join(done.stderr for done in said)
    *_, agree, reward, board = (done.stdout for done in said)
    assert "Majority vote" in agree
    assert "Rewards by rm" in reward
    rows = [line.split()[1] for line in board.splitlines() if re.match(r"\s*\d+\s+(base|sft|rs|ppo|dpo|gpt)\s", line)]
    assert (rows[0], rows[-1]) == ("gpt", "base")
    gained = json.loads(
        run(tmp_path, "sciexam", "grade", *SITTING, "-s", "sci-explain-toy", "-j", "truth", "--json").stdout
    )
    mean = {row["contestant"]: row["total"]["value"] for row in gained["rows"]}
    assert mean["base"] < mean["sft"] < min(mean["rs"], mean["dpo"]) < mean["gpt"]


def commands() -> list[list[str]]:
    """The commands that the first lines of the suite list, as words."""
    head = (SUITES / "sci-explain-toy.yaml").read_text(encoding="utf-8").split("\nsuite:")[0]
    text = re.sub(r"\\\n#\s+", "", head)
    lines = re.findall(r"^#   (?:python -m sciexam\.toy\.forum|sciexam) .*$", text, re.M)
    return [line.split("#")[1].strip().split() for line in lines]


def run(folder: Path, program: str, *words: str) -> subprocess.CompletedProcess[str]:
    """One of the commands, by this interpreter."""
    command = [sys.executable, *(("-m", "sciexam") if program == "sciexam" else ()), *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
