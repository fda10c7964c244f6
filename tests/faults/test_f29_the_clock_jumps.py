"""The clock jumps back and forward, runs backwards, or is set to another time zone."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import sciexam as sx
from annotate_queue import queue_of
from conftest import COMMAND, clean_environment
from endpoint import Endpoint
from judged import exam
from postgres import raw
from rows import Tally
from sciexam.annotate.desk import Desk
from sciexam.annotate.links import until
from sciexam.store import Store
from sciexam.store.annotations import standing

PROMPTS = 6
HOUR = 3600.0
JUMPS = pytest.mark.parametrize("jump", [-HOUR, HOUR, -10 * 365 * 24 * HOUR], ids=["back", "forward", "ten years back"])


class Clock:
    """The machine's clock, `ahead` by so many seconds, and by `drift` more each time that it is looked at."""

    def __init__(self, drift: float = 0.0) -> None:
        self._now, self.ahead, self._drift = time.time, 0.0, drift

    def time(self) -> float:
        self.ahead += self._drift
        return self._now() + self.ahead

    def time_ns(self) -> int:
        return round(self.time() * 10**9)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Clock]:
    def setting(drift: float = 0.0) -> Clock:
        made = Clock(drift)
        monkeypatch.setattr("time.time", made.time)
        monkeypatch.setattr("time.time_ns", made.time_ns)
        return made

    return setting


def untimed(report: sx.Report) -> list[dict[str, Any]]:
    return [dict(pair) for pair in report.to_json()["pairs"]]


@JUMPS
def test_what_came_last_counts_whatever_the_clock_says(
    tmp_path: Path, clock: Callable[..., Clock], jump: float, tally: Tally
) -> None:
    wall = clock()
    with Store(tmp_path / "ledger.sqlite") as store:
        queue = queue_of(tmp_path, store, prompts=3, overlap=1, annotators=1)
        desk, ann = Desk(store, queue), store.annotators.add("Ann", until(1))
        id = desk.next(ann)
        assert id is not None
        desk.show(ann, id)
        assert desk.judge(ann, id, 0, {"choice": "left-much"})
        wall.ahead = jump
        assert desk.judge(ann, id, 1, {"choice": "right-much"})
        done = store.annotations.judgements(queue.id)
        assert [one.choice for one in done] == ["left-much", "right-much"]
        assert (done[1].at < done[0].at) == (jump < 0), "the clock did jump"
        assert [one.choice for one in standing(done)] == ["right-much"]
        assert all(one.seconds is None or 0 <= one.seconds < 60 for one in done)
        winner = queue.by_id[id].by[done[1].shown[1]]
    suite = sx.load_suite(str(tmp_path / "exam.yaml"))
    (pair,) = sx.compare(suite, "base", "sft", judges=["humans"], results=tmp_path).pairs
    assert (pair.wins, pair.losses) == ((1, 0) if winner == "sft" else (0, 1))
    tally(2)


@JUMPS
def test_a_failure_is_tried_again_and_the_later_attempt_counts_whatever_the_clock_says(
    tmp_path: Path, clock: Callable[..., Clock], jump: float, tally: Tally
) -> None:
    wall = clock()
    with Endpoint("judge-longer", faults={"html": 1.0}) as endpoint:
        suite = sx.load_suite(str(exam(tmp_path, endpoint.url, PROMPTS)))
        first = sx.compare(suite, "old", "new", results=tmp_path / "results")
        assert first.pairs[0].failed == PROMPTS
        endpoint.faults = ()
        wall.ahead = jump
        second = sx.compare(suite, "old", "new", results=tmp_path / "results")
    assert (second.pairs[0].used, second.pairs[0].wins) == (PROMPTS, PROMPTS)
    ledger = str(tmp_path / "results" / "ledger.sqlite")
    rows = raw(ledger, "SELECT attempt, status, at FROM verdicts ORDER BY seq")
    assert [row[:2] for row in rows] == [(0, 2)] * 2 * PROMPTS + [(1, 0)] * 2 * PROMPTS
    assert (rows[-1][2] < rows[0][2]) == (jump < 0)
    tally(4 * PROMPTS)


def test_on_a_clock_that_runs_backwards_a_report_is_the_same_and_no_duration_is_negative(
    tmp_path: Path, clock: Callable[..., Clock], tally: Tally
) -> None:
    with Endpoint("judge-longer", latency=0.01) as endpoint:
        suite = sx.load_suite(str(exam(tmp_path, endpoint.url, PROMPTS)))
        known = sx.compare(suite, "old", "new", results=tmp_path / "known")
        clock(drift=-60.0)
        found = sx.compare(suite, "old", "new", results=tmp_path / "results")
    assert untimed(found) == untimed(known)
    seconds = raw(str(tmp_path / "results" / "ledger.sqlite"), "SELECT seconds FROM replies WHERE seconds <> 0")
    assert len(seconds) == 2 * PROMPTS
    assert all(0.01 <= one < 60 for (one,) in seconds)
    tally(2 * PROMPTS)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", pytest.param("America/New_York", marks=pytest.mark.slow)])
def test_what_is_stored_and_written_is_utc_in_whatever_zone_the_machine_is(tmp_path: Path, zone: str) -> None:
    with Endpoint("judge-longer") as endpoint:
        suite = exam(tmp_path, endpoint.url, PROMPTS)
        began = datetime.now(UTC) - timedelta(seconds=1)
        command = [str(COMMAND), "compare", "--suite", str(suite), "--json"]
        done = subprocess.run(
            command, cwd=tmp_path, env=clean_environment() | {"TZ": zone}, capture_output=True, text=True
        )
        ended = datetime.now(UTC)
    assert done.returncode == 0, done.stderr
    (manifest,) = (tmp_path / "results").rglob("run.json")
    started = json.loads(manifest.read_text())["started"]
    assert started.endswith("+00:00")
    assert began <= datetime.fromisoformat(started) <= ended
    for (at,) in raw(str(tmp_path / "results" / "ledger.sqlite"), "SELECT at FROM verdicts"):
        assert began <= datetime.fromtimestamp(at / 1000, UTC) <= ended
