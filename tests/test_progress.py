"""How far a command is: bars on a terminal, one line a minute elsewhere, and what it counts is on disk."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sciexam as sx
from conftest import COMMAND, answers, clean_environment, write_suite
from endpoint import Endpoint
from sciexam.cli.progress import duration, line_of, per_second, progress
from sciexam.exam.tally import Progress, Tally


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def spoken(capsys: pytest.CaptureFixture[str]) -> list[str]:
    out, err = capsys.readouterr()
    assert out == "", "stdout is for results"
    return err.splitlines()


def test_where_stderr_is_no_terminal_one_line_a_minute_says_how_far_it_is(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress(clock=clock) as shown:
        shown(Progress(0, 0, 0, 4000))
        for second in range(1, 181):
            clock.now += 1
            shown(Progress(0, 0, 20 * second, 4000, invalid=second // 20, usd=0.002 * second))
    assert spoken(capsys) == [
        "sciexam: 1,200/4,000 verdicts, 20/s, 3 invalid, 0.12 USD, about 2 min left",
        "sciexam: 2,400/4,000 verdicts, 20/s, 6 invalid, 0.24 USD, about 80 s left",
        "sciexam: 3,600/4,000 verdicts, 20/s, 9 invalid, 0.36 USD, about 20 s left",
    ]
    assert shown.worked


def test_what_was_stored_before_says_nothing_of_the_rate(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress(clock=clock) as shown:
        shown(Progress(100, 100, 3000, 4000, budget=5.0))
        clock.now += 60
        shown(Progress(100, 100, 3060, 4000, usd=None, budget=5.0))
    (line,) = spoken(capsys)
    assert line == "sciexam: 100/100 answers, 3,060/4,000 verdicts, 1.0/s, unknown of 5.00 USD, about 16 min left"


def test_the_slower_of_answers_and_verdicts_says_how_long_it_takes(clock: Clock) -> None:
    from sciexam.cli.progress import Pacing

    pacing = Pacing(clock)
    pacing.of(Progress(0, 100, 0, 10))
    clock.now += 100
    now = Progress(10, 100, 9, 10, usd=1.5, budget=20.0)
    assert line_of(now, pacing.of(now)) == (
        "10/100 answers, 0.1/s, 9/10 verdicts, 5.4/min, 1.50 of 20.00 USD, about 15 min left"
    )


def test_a_command_that_counts_anew_has_the_pace_of_the_new_count(clock: Clock) -> None:
    from sciexam.cli.progress import Pacing

    pacing = Pacing(clock)
    pacing.of(Progress(200, 400, 0, 0))
    clock.now += 1000
    assert pacing.of(Progress(8, 2496, 0, 0))["answers"].per_second == 0
    clock.now += 10
    assert pacing.of(Progress(28, 2496, 0, 0))["answers"].per_second == 2


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "1 s"), (89, "89 s"), (91, "2 min"), (5399, "90 min"), (9000, "2.5 h")]
)
def test_the_time_left_is_said_in_the_unit_that_one_plans_by(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(("rate", "said"), [(250, "250/s"), (3.25, "3.2/s"), (0.05, "3.0/min")])
def test_a_rate_has_the_digits_that_it_deserves(rate: float, said: str) -> None:
    assert per_second(rate) == said


def test_the_whole_plan_is_the_total_as_long_as_more_is_to_come(tmp_path: Path) -> None:
    """Answers come one by one: what the judge was not handed yet is counted all the same."""
    seen: list[Progress] = []
    with Endpoint("judge-longer") as judging, Endpoint("echo", latency=0.02) as answering:
        one = {"backend": "openai", "model": "m", "api_key_env": None, "concurrency": 1}
        models = {
            "a": one | {"base_url": answering.url},
            "b": {"responses": answers(tmp_path, "b", [f"Because of {i}." for i in range(40)])},
        }
        llm = one | {"base_url": judging.url}
        path = write_suite(tmp_path, 40, models, judges={"llm": llm}, judge="llm")
        sx.compare(str(path), results=tmp_path / "results", preflight=lambda _: None, progress=seen.append)
    early = [one for one in seen if one.responses < 80]
    assert early, "the judge waits for answers"
    assert {one.verdicts_planned for one in seen} == {80}
    assert seen[-1].verdicts == 80


def test_verdicts_that_are_stored_or_free_are_counted_besides_the_announced_ones() -> None:
    tally = Tally({}, None, announced=10)
    tally.expect(verdicts=9, of_them_stored=5, of_them_announced=4)
    assert (tally.progress.verdicts, tally.progress.verdicts_planned) == (5, 15)
    tally.expect(verdicts=3)
    assert tally.progress.verdicts_planned == 18
    tally.expect(verdicts=8, of_them_announced=8)
    assert tally.progress.verdicts_planned == 20, "two more than were announced"


def test_silent_is_silent(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress(silent=True, clock=clock) as shown:
        for _ in range(3):
            clock.now += 60
            shown(Progress(0, 0, 1, 2))
    assert spoken(capsys) == []
    assert shown.worked


def test_a_terminal_gets_a_bar_with_rate_invalid_replies_and_what_was_spent(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with progress(clock=clock) as shown:
        shown(Progress(0, 0, 0, 200))
        clock.now += 10
        shown(Progress(0, 0, 50, 200, invalid=2, usd=0.5, budget=2.0))
        shown._bars._bars.refresh()  # type: ignore[union-attr]
    drawn = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", screen.getvalue())
    assert re.search(r"verdicts .* 50/200 5\.0/s, 2 invalid, 0\.50 of 2\.00 USD, 30 s left", drawn)


def test_the_command_draws_its_bar_on_a_real_terminal_and_nothing_of_it_on_stdout(tmp_path: Path) -> None:
    models = {name: {"responses": answers(tmp_path, name, [f"{name} {i}" for i in range(12)])} for name in ("a", "b")}
    with Endpoint("judge-longer", latency=0.05) as endpoint:
        llm = {"backend": "openai", "model": "m", "base_url": endpoint.url, "api_key_env": None, "concurrency": 2}
        path = write_suite(
            tmp_path, 12, models, judges={"llm": llm}, judge="llm", prices={"m": {"input": 9, "output": 9}}
        )
        ours, theirs = pty.openpty()
        child = subprocess.Popen(
            [str(COMMAND), "compare", "a", "b", "--suite", str(path), "--json"],
            cwd=tmp_path,
            env=clean_environment() | {"TERM": "xterm-256color", "COLUMNS": "120"},
            stdout=subprocess.PIPE,
            stderr=theirs,
        )
        os.close(theirs)
        drawn = b""
        try:
            while block := os.read(ours, 65536):
                drawn += block
        except OSError:  # Linux: the other end was closed
            pass
        os.close(ours)
        out, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    assert out.startswith(b"{")
    assert out.rstrip().endswith(b"}"), "one object"
    shown = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", drawn.decode())
    assert re.search(r"verdicts .*\d+/24 [\d.]+/(s|min)", shown)
    assert re.search(r"USD", shown)
