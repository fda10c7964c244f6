"""What every test has at hand: the real command line, real data where it lies, and a suite to write."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from forked import Commands

pytest_plugins = ["study", "postgres", "served", "asked", "newcomers", "wire", "rows", "offline"]

# How long an example takes is the machine's business, and never a verdict on the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

ROOT = Path(__file__).parent.parent
COMMAND = Path(sys.executable).parent / "sciexam"

Cli = Callable[..., subprocess.CompletedProcess[str]]


def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end: nobody who looks for garbage (an oracle does) searches it."""
    gc.set_threshold(100_000, 20, 20)  # as the command line does
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def commands() -> Iterator[Commands]:
    """What starts the command line, as a fork of one of two interpreters that have imported its libraries."""
    made = Commands(COMMAND, clean_environment(), interpreters=2)
    yield made
    made.close()


@pytest.fixture
def sciexam(tmp_path: Path, commands: Commands) -> Cli:
    """Run the real command line in an empty folder: `sciexam("compare", "a", "b", env={...})`."""

    def run(*args: str, cwd: Path = tmp_path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return commands.run(args, cwd, clean_environment() | dict(env or {}), timeout=100)

    return run


def clean_environment() -> dict[str, str]:
    """The environment without anything that would change what the command prints or whom it calls."""
    left_out = ("OPENAI_", "NO_COLOR", "FORCE_COLOR", "COLUMNS")
    return {key: value for key, value in os.environ.items() if not key.startswith(left_out)}


@pytest.fixture
def shared_data() -> Path:
    """Real answers, verdicts and labels (SCIEXAM_SHARED_DATA, or ../shared/data); skips where they are not."""
    path = Path(os.environ.get("SCIEXAM_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"no real data at {path}; set SCIEXAM_SHARED_DATA")
    return path


def write_jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_suite(folder: Path, prompts: int, models: Mapping[str, Any], **more: Any) -> Path:
    """A suite of `prompts` prompts q0.. in two categories at folder/exam.yaml; JSON is YAML. Returns its path."""
    rows = [{"id": f"q{i}", "text": f"Why does thing {i} happen?", "category": f"c{i % 2}"} for i in range(prompts)]
    write_jsonl(folder / "prompts.jsonl", rows)
    suite = {
        "suite": "exam",
        "prompts": "prompts.jsonl",
        "models": models,
        "contestants": list(models),
        "seed": 7,
    } | more
    path = folder / "exam.yaml"
    path.write_text(json.dumps(suite), encoding="utf-8")
    return path


def answers(folder: Path, name: str, texts: Sequence[str]) -> str:
    """Recorded answers to q0.. as folder/<name>.jsonl; returns the file's name, as a suite beside it says it."""
    write_jsonl(folder / f"{name}.jsonl", [{"prompt": f"q{i}", "text": text} for i, text in enumerate(texts)])
    return f"{name}.jsonl"
