"""Ctrl-C or SIGTERM comes once, or twice, while a judge is asked."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

import phases
from conftest import Cli
from endpoint import Endpoint
from forked import Commands
from judged import CONCURRENCY, PROMPTS, begin, exam, usable
from rows import Tally
from sciexam.cli.running import GRACE_SECONDS


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_one_signal_waits_for_calls_in_flight_and_the_same_command_goes_on(
    tmp_path: Path, commands: Commands, sciexam: Cli, tally: Tally, number: signal.Signals
) -> None:
    with Endpoint("judge-longer", latency=0.3) as endpoint:
        suite = exam(tmp_path, endpoint.url)
        child = begin(commands, tmp_path, "compare", "--suite", str(suite))
        while endpoint.requests < 10:
            time.sleep(0.02)
        child.send_signal(number)
        assert child.wait(60) == 130
        safe = len(usable(tmp_path))
        said = (tmp_path / "said.err").read_text(encoding="utf-8")
        assert f"stopped at {safe}/{2 * PROMPTS} verdicts; run the same command to go on" in said
        assert safe == endpoint.requests, "what was in flight was waited for"
        done = sciexam("compare", "--suite", str(suite), "--json")
        assert done.returncode == 0, done.stderr
        assert endpoint.requests == 2 * PROMPTS, "nothing was asked twice"
    tally(1, 2 * PROMPTS - len(usable(tmp_path)))


def test_two_signals_stop_at_once_and_lose_nothing_that_was_stored(
    tmp_path: Path, commands: Commands, sciexam: Cli, tally: Tally
) -> None:
    with Endpoint("judge-longer", latency=lambda _: 0.0 if endpoint.requests <= 20 else 60.0) as endpoint:
        suite = exam(tmp_path, endpoint.url)
        child = begin(commands, tmp_path, "compare", "--suite", str(suite))
        while endpoint.in_flight < CONCURRENCY or not usable(tmp_path):
            time.sleep(0.02)
        child.send_signal(signal.SIGINT)
        while "once more to stop at once" not in (tmp_path / "said.err").read_text(encoding="utf-8"):
            time.sleep(0.02)
        before = usable(tmp_path)
        began = time.monotonic()
        child.send_signal(signal.SIGINT)
        assert child.wait(60) == 130
        assert time.monotonic() - began < GRACE_SECONDS, "it waited for the calls in flight"
        assert "Traceback" not in (tmp_path / "said.err").read_text(encoding="utf-8")
        assert before, "nothing was stored yet; the test shows nothing"
        assert before <= usable(tmp_path)
        endpoint.latency = 0.0
        assert sciexam("compare", "--suite", str(suite)).returncode == 0
        assert endpoint.requests <= 2 * PROMPTS + 2 * CONCURRENCY
    tally(1, len(before - usable(tmp_path)))


@pytest.mark.slow
@pytest.mark.parametrize("phase", phases.PHASES)
def test_interrupted_in_any_phase_a_command_says_so_soon_and_nothing_is_asked_twice(
    tmp_path: Path, tally: Tally, phase: str
) -> None:
    known, calls = phases.whole(tmp_path / "whole")
    with Endpoint(phases.reply, latency=0.02) as endpoint:
        phases.exam(tmp_path, endpoint.url)
        child = phases.started(tmp_path)
        phases.wait_for(endpoint, int(phases.PHASES[phase] * calls), child)
        child.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, err = child.communicate(timeout=30)
        assert child.returncode == 130, err
        assert time.monotonic() - began < GRACE_SECONDS, "it hung until the alarm"
        assert "run the same command to go on" in err
        assert endpoint.requests < calls
        found = phases.finished(tmp_path)
        assert endpoint.requests == len(endpoint.bodies)
        assert calls - 2 * phases.ANCHORS <= endpoint.requests <= calls
    assert found["pairs"] == known["pairs"]
    tally(1)
