"""Contestants and a judge of local weights, through the real command line: offline, killed, and read again."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

import checkpoints
from conftest import COMMAND, Cli, clean_environment, write_suite
from sciexam.exam import compare
from sciexam.exam.preflight import Owed
from sciexam.suite import load_suite

CONTEXT = 4096  # a judge reads two answers and a rubric, in tokens of few letters


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    checkpoints.causal(folder / "base", chat_template=None)
    checkpoints.causal(folder / "sft", seed=5)
    checkpoints.adapter(folder / "sft", folder / "lora")
    checkpoints.causal(folder / "judge", "qwen3", seed=9, max_position_embeddings=CONTEXT)
    return folder


def exam(folder: Path, made: Path, prompts: int, max_tokens: int = 16, **judge: Any) -> Path:
    models = {
        "base": {"weights": str(made / "base")},
        "sft": {"weights": str(made / "sft"), "adapter": str(made / "lora")},
    }
    local = {
        "backend": "huggingface",
        "weights": str(made / "judge"),
        "template": "verdict-only",
        "probabilities": True,
    }
    return write_suite(
        folder,
        prompts,
        models,
        generation={"max_tokens": max_tokens},
        judges={"local": local | judge},
        rubric="helpfulness",
    )


ALONE = {"HF_HUB_OFFLINE": "1", "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}


NAMES = ("finish_reason", "model", "rater", "prompt", "first", "second")
TEXTS = ("text", "raw", "failure", "reason")


UNLIKE = ("seq", "seconds", "at", "reply", "probability_second")


def facts(ledger: Path) -> list[tuple[Any, ...]]:
    """Everything that was said, but for when, how fast, and the probabilities, whose last digits a batch changes."""
    found = []
    with sqlite3.connect(ledger) as connection:
        connection.row_factory = sqlite3.Row
        names = {row["id"]: row["name"] for row in connection.execute("SELECT id, name FROM names")}
        texts = {row["id"]: row["body"] for row in connection.execute("SELECT id, body FROM texts")}
        for table in ("replies", "verdicts"):
            for row in map(dict, connection.execute(f"SELECT * FROM {table}")):
                told = {key: value for key, value in row.items() if key not in UNLIKE}
                told |= {key: names.get(told[key]) for key in NAMES if key in told}
                told |= {key: texts.get(told[key]) for key in TEXTS if key in told}
                found.append((table, *sorted((key, repr(value)) for key, value in told.items())))
    return sorted(found)


def probabilities(ledger: Path) -> dict[tuple[bytes, int], float]:
    with sqlite3.connect(ledger) as connection:
        rows = connection.execute("SELECT key, attempt, probability_second FROM verdicts").fetchall()
    return {(key, attempt): value for key, attempt, value in rows if value is not None}


def test_tiny_contestants_and_a_tiny_judge_hold_a_whole_exam_offline(tmp_path: Path, made: Path, sciexam: Cli) -> None:
    exam(tmp_path, made, 6)
    done = sciexam("compare", "base", "sft", "--suite", "exam.yaml", "--json", env=ALONE)
    assert done.returncode == 0, done.stderr
    assert "at most 24 calls: 12 for answers, 12 for verdicts, besides retries; about " in done.stderr
    assert "; 0 USD" in done.stderr
    report = json.loads(done.stdout)
    (pair,) = report["pairs"]
    assert (pair["used"], pair["verdicts"]["ok"]) == (6, 12)
    assert report["calls"]["made"] == 24
    assert report["calls"]["usd"] == 0
    assert 0 < pair["win_rate"]["value"] < 1, "of probabilities, and not of words alone"
    told = "base: has no chat template, and was asked in turns of plain text: `User: ...`, then `Assistant:`"
    assert told in [*report["notes"], *report["caveats"]]


def test_a_finished_comparison_is_read_again_without_loading_anything(
    tmp_path: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = load_suite(str(exam(tmp_path, made, 2)))
    first = compare(suite, "base", "sft", results=tmp_path / "results")
    from sciexam.models.checkpoint import LocalCheckpoint

    def refuse(self: LocalCheckpoint, *more: object) -> None:
        raise AssertionError("it was looked for a device, or weights were loaded")

    monkeypatch.setattr(LocalCheckpoint, "check_ready", refuse)
    monkeypatch.setattr(LocalCheckpoint, "use", refuse)
    told: list[Owed] = []
    again = compare(suite, "base", "sft", results=tmp_path / "results", preflight=told.append)
    assert not any(one.calls for one in told), "and nothing is announced"
    assert (again.calls.made, again.calls.reused) == (0, first.calls.made)


def test_a_judge_of_the_contestants_own_weights_is_told(tmp_path: Path, made: Path) -> None:
    own = {"weights": str(made / "sft"), "adapter": str(made / "lora")}
    suite = load_suite(str(exam(tmp_path, made, 1, **own)))
    report = compare(suite, "base", "sft", results=tmp_path / "results")
    assert "local judges its own answers: contestant sft is the same model (sft)." in report.caveats
    other = load_suite(str(exam(tmp_path, made, 1, weights=str(made / "sft"))))
    kin = compare(other, "base", "sft", results=tmp_path / "results")
    assert not any("its own answers" in told for told in kin.caveats), "without the adapter it is another model"


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_leaves_the_facts_of_one_that_was_not(
    tmp_path: Path, made: Path, sciexam: Cli
) -> None:
    """The prompt of a judge holds a secret of the ledger, so both begin with copies of one ledger."""
    prompts = 48
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
        exam(tmp_path / name, made, prompts, max_tokens=200, batch_tokens=16384)
    command = [str(COMMAND), "compare", "base", "sft", "--suite", "exam.yaml", "--quiet"]
    new = tmp_path / "whole" / "results" / "ledger.sqlite"
    seeded = sciexam(
        "compare", "base", "sft", "--suite", "exam.yaml", "--limit", "1", cwd=tmp_path / "whole", env=ALONE
    )
    assert seeded.returncode == 0, seeded.stderr
    shutil.copytree(tmp_path / "whole" / "results", tmp_path / "killed" / "results")
    environment = clean_environment() | ALONE
    subprocess.run(command, cwd=tmp_path / "whole", env=environment, check=True, capture_output=True)
    counts = []
    ledger = tmp_path / "killed" / "results" / "ledger.sqlite"
    for _ in range(4):
        child = subprocess.Popen(
            command, cwd=tmp_path / "killed", env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        before = count(ledger)
        deadline = time.monotonic() + 100
        while count(ledger) < before + 12 and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        child.wait()
        counts.append(count(ledger))
    assert counts[0] < count(new), "it was killed before its end"
    done = subprocess.run(command, cwd=tmp_path / "killed", env=environment, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert facts(ledger) == facts(new)
    assert probabilities(ledger) == pytest.approx(probabilities(new), abs=1e-5)


def count(ledger: Path) -> int:
    with sqlite3.connect(ledger) as connection:
        return sum(
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("replies", "verdicts")
        )
