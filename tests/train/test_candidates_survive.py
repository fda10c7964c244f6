"""Candidates are facts in the ledger: killed while they are drawn, only what is owed is drawn, and it is the same."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("torch")

from checkpoints import causal
from conftest import clean_environment, write_jsonl, write_suite
from sciexam.store import Store
from sciexam.suite import load_suite
from sciexam.train.data.candidates import Asked, answers
from sciexam.train.workshop import Workshop

PROMPTS, N = 24, 4
DRAW = """
import sys
from pathlib import Path
from sciexam.suite import load_suite
from sciexam.train.data.candidates import answers
from sciexam.train.workshop import Workshop
suite, prompts, results = sys.argv[1:]
answers(Workshop(load_suite(suite), Path(results)), ["base"], Path(prompts), 4, 1.0)
"""


def stored(results: Path) -> int:
    if not (results / "ledger.sqlite").is_file():
        return 0
    with Store(results / "ledger.sqlite") as ledger:
        return ledger.length()


def texts(found: list[Asked]) -> dict[tuple[str, int], str]:
    return {(one.prompt.id, answer.sample): answer.text for one in found for answer in one.answers}


@pytest.mark.slow
def test_killed_while_they_are_drawn_only_what_is_owed_is_drawn_and_it_is_the_same(tmp_path: Path) -> None:
    base = {"weights": str(causal(tmp_path / "base")), "batch_tokens": 400}  # a few answers at a time
    suite = write_suite(tmp_path, 2, {"base": base}, generation={"max_tokens": 48})
    prompts = write_jsonl(tmp_path / "train.jsonl", [{"id": f"t{i}", "text": f"Explain {i}"} for i in range(PROMPTS)])
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    child = subprocess.Popen(
        [sys.executable, "-c", DRAW, str(suite), str(prompts), str(killed)], env=clean_environment()
    )
    try:
        until = time.monotonic() + 100
        while child.poll() is None and stored(killed) < 6 and time.monotonic() < until:
            time.sleep(0.02)
    finally:
        child.kill()
        child.wait(10)
    before = stored(killed)
    assert 6 <= before < PROMPTS * N, "it was killed in the middle"
    found = answers(Workshop(load_suite(str(suite)), killed), ["base"], prompts, N, 1.0)
    assert stored(killed) == PROMPTS * N, "no answer was drawn twice"
    again = answers(Workshop(load_suite(str(suite)), whole), ["base"], prompts, N, 1.0)
    assert texts(found) == texts(again)
