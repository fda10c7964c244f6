"""Whole comparisons by the command line, with contestants and judge behind servers of vLLM's dialect."""

from __future__ import annotations

import json
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import Cli, write_suite
from vllm_server import VllmServer, draws, is_alive, verdict_longer
from weight_files import adapter, weights

pytestmark = pytest.mark.slow

PROMPTS = 24
JUDGED = {"backend": "vllm", "weights": "judge", "template": "verdict-only", "probabilities": True}


def long_or_short(body: dict[str, Any]) -> str:
    """The adapter writes more than the weights do, by and large."""
    drawn = draws(body)
    return " ".join([drawn] * (3 if (body["model"] == "sft") != (drawn[-1] in "0123") else 1))


def compared(folder: Path, sciexam: Cli, dies: Callable[[VllmServer, VllmServer], None] | None = None) -> Any:
    """The report of two contestants on two replicas, judged on two others, and how many requests were answered."""
    folder.mkdir(parents=True)
    making: dict[str, Any] = {"adapters": {"sft": "/runs/sft"}, "reply": long_or_short, "latency": 0.03}
    judging: dict[str, Any] = {"reply": verdict_longer, "latency": 0.03}
    with (
        VllmServer(**making) as one,
        VllmServer(**making) as two,
        VllmServer("judge", **judging) as three,
        VllmServer("judge", **judging) as four,
    ):
        asked = {"backend": "vllm", "weights": "base", "base_url": (one.url, two.url)}
        write_suite(
            folder,
            PROMPTS,
            {"base": asked, "sft": {**asked, "adapter": "sft"}},
            judges={"longer": {**JUDGED, "base_url": (three.url, four.url)}},
            judge="longer",
        )
        if dies is not None:
            dies(one, three)
        done = sciexam("compare", "base", "sft", "--suite", "exam.yaml", "--json", cwd=folder)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout), [server.answered.total() for server in (one, two, three, four)]


def half_way(making: VllmServer, judging: VllmServer) -> None:
    """Kill one of each, after so many requests."""

    def kill(server: VllmServer, count: int) -> None:
        while server.requests < count:
            time.sleep(0.002)
        server.die()

    threading.Thread(target=kill, args=(making, 10), daemon=True).start()
    threading.Thread(target=kill, args=(judging, 20), daemon=True).start()


def stored(folder: Path, table: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(folder / "results" / "ledger.sqlite") as ledger:
        return ledger.execute(f"select key, status, attempt from {table}").fetchall()


def test_a_replica_of_each_is_killed_half_way_and_every_fact_is_there_once(tmp_path: Path, sciexam: Cli) -> None:
    report, answered = compared(tmp_path / "killed", sciexam, half_way)
    replies, verdicts = stored(tmp_path / "killed", "replies"), stored(tmp_path / "killed", "verdicts")
    assert len({key for key, *_ in replies}) == len(replies) == 4 * PROMPTS, "those of the judge among them"
    assert len({key for key, *_ in verdicts}) == len(verdicts) == 2 * PROMPTS
    assert {row[1:] for row in (*replies, *verdicts)} == {(0, 0)}, "usable, and at the first attempt"
    assert all(count > 5 for count in answered)
    assert sum(answered) <= 4 * PROMPTS + 2 * 64, "nothing is asked for again but what a dead replica had"
    assert report["pairs"]


@pytest.mark.slow
def test_a_killed_replica_changes_no_number(tmp_path: Path, sciexam: Cli) -> None:
    killed, _ = compared(tmp_path / "killed", sciexam, half_way)
    calm, answered = compared(tmp_path / "calm", sciexam)
    assert sum(answered) == 4 * PROMPTS
    assert killed["pairs"] == calm["pairs"]


@pytest.mark.slow
def test_an_offline_comparison_starts_its_servers_and_leaves_none(tmp_path: Path, sciexam: Cli) -> None:
    base = weights(tmp_path / "base")
    asked = {"backend": "vllm", "weights": str(base), "python": sys.executable}
    write_suite(
        tmp_path,
        4,
        {"base": asked, "sft": {**asked, "adapter": str(adapter(tmp_path / "sft"))}},
        judges={"same": {**JUDGED, "weights": str(weights(tmp_path / "judge", word="j")), "python": sys.executable}},
        judge="same",
    )
    behaviour = json.dumps({"told": str(tmp_path / "told.jsonl"), "reply": "verdict-longer"})
    environment = {"PYTHONPATH": str(Path(__file__).parents[1] / "standin"), "STANDIN_VLLM": behaviour}
    done = sciexam("compare", "base", "sft", "--suite", "exam.yaml", "--json", env=environment)
    assert done.returncode == 0, done.stderr
    started = [json.loads(line) for line in (tmp_path / "told.jsonl").read_text().splitlines()]
    assert len(started) == 2, "one for the weights and their adapter, one for the judge"
    assert not [pid for server in started for pid in server["pids"] if is_alive(pid)]
