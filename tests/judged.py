"""An exam of recorded answers whose judge is a server: what the tests of faults kill and count."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from conftest import COMMAND, ROOT, answers, clean_environment, write_suite
from forked import Commands, Running

PROMPTS = 40
CONCURRENCY = 8


@contextmanager
def server(*options: str) -> Iterator[str]:
    """tests/endpoint.py as a process of its own; yields its base URL."""
    command = [sys.executable, str(ROOT / "tests" / "endpoint.py"), *options]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    try:
        yield json.loads(child.stdout.readline())["url"]
    finally:
        child.terminate()
        child.wait()


def stats(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats") as reply:
        return dict(json.load(reply))


def exam(folder: Path, url: str, prompts: int = PROMPTS, **judge: Any) -> Path:
    """Two recorded contestants, `new` always with the longer answer, and a judge at `url`."""
    models = {
        "old": {"responses": answers(folder, "old", [f"Because of {i}." for i in range(prompts)])},
        "new": {
            "responses": answers(folder, "new", [f"Because of {i}, and that for a reason." for i in range(prompts)])
        },
    }
    settings = {
        "backend": "openai",
        "model": "judge-1",
        "base_url": url,
        "api_key_env": None,
        "concurrency": CONCURRENCY,
    }
    return write_suite(folder, prompts, models, judges={"llm": settings | judge}, judge="llm")


def start(folder: Path, suite: Path, *more: str) -> subprocess.Popen[str]:
    """`sciexam compare old new` as an executed command."""
    command = [str(COMMAND), "compare", "old", "new", "--suite", str(suite), *more]
    return subprocess.Popen(
        command, cwd=folder, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def begin(commands: Commands, folder: Path, *args: str, said: str = "said") -> Running:
    """Start a command as a fork; what it prints goes to folder/<said>.out and folder/<said>.err."""
    with (folder / f"{said}.out").open("w") as out, (folder / f"{said}.err").open("w") as err:
        return commands.start(args, folder, clean_environment(), out.fileno(), err.fileno())


def verdict_rows(folder: Path) -> list[tuple[Any, ...]]:
    """(key, attempt, status) of every verdict of a ledger that is whole; status 0 is a usable one."""
    file = folder / "results" / "ledger.sqlite"
    if not file.exists():
        return []
    with sqlite3.connect(file) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        if not raw.execute("SELECT count(*) FROM sqlite_master WHERE name = 'verdicts'").fetchone()[0]:
            return []
        return raw.execute("SELECT hex(key), attempt, status FROM verdicts ORDER BY seq").fetchall()


def result(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The only pair of a command that ended well and was asked for --json."""
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout)["pairs"][0])


def usable(folder: Path) -> set[tuple[Any, ...]]:
    return {row for row in verdict_rows(folder) if row[2] == 0}


def kill_after(url: str, child: Running, requests: int, draw: random.Random) -> None:
    """Kill -9 once the server has had `requests` more, or the command has ended."""
    target = stats(url)["requests"] + requests
    while child.poll() is None and stats(url)["requests"] < target:
        time.sleep(draw.uniform(0, 0.02))
    child.kill()
    child.wait()
