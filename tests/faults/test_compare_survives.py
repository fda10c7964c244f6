"""The real command line against a real server: killed, stopped, doubled, misled; nothing is lost or paid for twice.

Rows F1, F2, F5, F10, F13, F15, F16, F17, F21, F22, F23 and A15 of the fault matrix that sciexam promises to stand.
"""

from __future__ import annotations

import base64
import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from conftest import COMMAND, ROOT, Cli, answers, clean_environment, write_suite
from sciexam.store.writer import UNCOMMITTED_REPLIES

PROMPTS = 40
CONCURRENCY = 8
KEY = "sk-sentinel-0123456789abcdef"


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


def verdict_rows(folder: Path) -> list[tuple[Any, ...]]:
    with sqlite3.connect(folder / "results" / "ledger.sqlite") as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return raw.execute("SELECT hex(key), attempt, status FROM verdicts ORDER BY seq").fetchall()


def start(folder: Path, suite: Path, *more: str) -> subprocess.Popen[str]:
    command = [str(COMMAND), "compare", "old", "new", "--suite", str(suite), *more]
    return subprocess.Popen(
        command, cwd=folder, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.slow
def test_kill_9_at_any_moment_loses_no_verdict_and_pays_only_for_what_was_in_flight(tmp_path: Path) -> None:
    draw = random.Random(1)
    prompts, kills = 100, 0
    kept: set[Any] = set()
    with server("--reply", "judge-longer", "--latency", "0.04") as url:
        suite = exam(tmp_path, url, prompts)
        for _ in range(12):
            child = start(tmp_path, suite)
            target = stats(url)["requests"] + draw.randint(0, 30)
            while child.poll() is None and stats(url)["requests"] < target:
                time.sleep(draw.uniform(0, 0.05))
            child.send_signal(signal.SIGKILL)
            child.communicate()
            kills += 1
            now = {row for row in verdict_rows(tmp_path) if row[2] == 0} if tables(tmp_path) else set()
            assert kept <= now, "an acknowledged verdict is gone"
            kept = now
        assert kept, "every kill came before the first verdict; the test shows nothing"
        done = start(tmp_path, suite, "--json")
        out, err = done.communicate()
        assert done.returncode == 0, err
        pair = json.loads(out)["pairs"][0]
        assert (pair["used"], pair["win_rate"]["value"]) == (prompts, 1.0)
        assert kept <= set(verdict_rows(tmp_path))
        assert len(verdict_rows(tmp_path)) == 2 * prompts
        assert stats(url)["requests"] <= 2 * prompts + kills * (CONCURRENCY + UNCOMMITTED_REPLIES)


def tables(folder: Path) -> bool:
    if not (folder / "results" / "ledger.sqlite").exists():
        return False
    with sqlite3.connect(folder / "results" / "ledger.sqlite") as raw:
        return bool(raw.execute("SELECT count(*) FROM sqlite_master WHERE name = 'verdicts'").fetchone()[0])


def test_two_processes_on_one_store_ask_for_each_key_once(tmp_path: Path) -> None:
    with server("--reply", "judge-longer", "--latency", "0.05") as url:
        suite = exam(tmp_path, url)
        children = [start(tmp_path, suite, "--json") for _ in range(3)]
        outs = [child.communicate() for child in children]
        assert [child.returncode for child in children] == [0, 0, 0], outs
        reports = [json.loads(out)["pairs"] for out, _ in outs]
        assert reports[0] == reports[1] == reports[2]
        assert stats(url)["requests"] == 2 * PROMPTS
        keys = [row[0] for row in verdict_rows(tmp_path)]
        assert len(keys) == len(set(keys)) == 2 * PROMPTS
        assert "locked" not in "".join(err for _, err in outs)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_waits_for_calls_in_flight_and_the_same_command_goes_on(
    tmp_path: Path, number: signal.Signals
) -> None:
    with server("--reply", "judge-longer", "--latency", "0.3") as url:
        suite = exam(tmp_path, url)
        child = start(tmp_path, suite)
        while stats(url)["requests"] < 10:
            time.sleep(0.02)
        child.send_signal(number)
        _, err = child.communicate(timeout=30)
        assert child.returncode == 130, err
        safe = len(verdict_rows(tmp_path))
        assert f"stopped at {safe}/{2 * PROMPTS} verdicts; run the same command to go on" in err
        assert safe == stats(url)["requests"], "what was in flight was waited for"
        again = start(tmp_path, suite, "--json")
        out, err = again.communicate()
        assert again.returncode == 0, err
        assert json.loads(out)["calls"]["made"] == 2 * PROMPTS - safe
        assert stats(url)["requests"] == 2 * PROMPTS


def test_two_signals_stop_at_once_and_lose_nothing_that_was_stored(tmp_path: Path) -> None:
    with server("--reply", "judge-longer", "--latency", "5") as url:
        suite = exam(tmp_path, url)
        child = start(tmp_path, suite)
        while stats(url)["requests"] < CONCURRENCY:
            time.sleep(0.02)
        child.send_signal(signal.SIGINT)
        time.sleep(0.3)
        began = time.monotonic()
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=30)
        assert child.returncode == 130
        assert time.monotonic() - began < 4, "it waited for the calls in flight"
        assert "Traceback" not in err


def test_a_wrong_key_is_said_once_and_is_nowhere_to_be_seen(tmp_path: Path, sciexam: Cli) -> None:
    with server("--fault", "401=1.0") as url:
        suite = exam(tmp_path, url, api_key_env="MY_KEY")
        done = sciexam("compare", "--suite", str(suite), env={"MY_KEY": KEY})
        assert done.returncode == 2
        assert "MY_KEY" in done.stderr
        assert stats(url)["requests"] <= CONCURRENCY
    seen = (done.stdout + done.stderr).encode()
    seen += b"".join(path.read_bytes() for path in (tmp_path / "results").rglob("*") if path.is_file())
    for form in (KEY.encode(), KEY[:8].encode(), base64.b64encode(KEY.encode())[:20]):
        assert form not in seen


def test_a_key_that_is_not_set_is_asked_for_before_any_call(tmp_path: Path, sciexam: Cli) -> None:
    suite = exam(tmp_path, "https://endpoint.invalid/v1", api_key_env="NO_SUCH_KEY")
    done = sciexam("compare", "--suite", str(suite))
    assert done.returncode == 2
    assert "NO_SUCH_KEY" in done.stderr


def test_an_endpoint_that_is_not_there_ends_incomplete_and_names_it(tmp_path: Path, sciexam: Cli) -> None:
    suite = exam(tmp_path, "http://127.0.0.1:9/v1")
    done = sciexam("compare", "--suite", str(suite))
    assert done.returncode == 3
    assert "127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr


def test_faults_of_the_server_cost_no_verdict(tmp_path: Path, sciexam: Cli) -> None:
    faults = ("500", "503", "429:0", "reset", "truncated")
    options = [part for fault in faults for part in ("--fault", f"{fault}=0.04")]
    with server("--reply", "judge-longer", *options, "--seed", "3") as url:
        suite = exam(tmp_path, url)
        done = sciexam("compare", "--suite", str(suite), "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["pairs"][0]["used"] == PROMPTS
        assert stats(url)["requests"] > 2 * PROMPTS, "the faults were really met"


def test_a_judge_that_cannot_be_parsed_is_invalid_everywhere_and_exits_3(tmp_path: Path, sciexam: Cli) -> None:
    with server("--reply", "judge-garbage") as url:
        suite = exam(tmp_path, url)
        done = sciexam("compare", "--suite", str(suite), "--json")
        assert done.returncode == 3, done.stderr
        pair = json.loads(done.stdout)["pairs"][0]
        assert (pair["used"], pair["invalid"], pair["wins"], pair["ties"], pair["losses"]) == (0, PROMPTS, 0, 0, 0)
        assert pair["win_rate"]["value"] is None
        assert pair["win_rate"]["why"]
        calls = stats(url)["requests"]
        again = sciexam("compare", "--suite", str(suite), "--json")
        assert again.returncode == 3
        assert stats(url)["requests"] == calls, "an invalid reply is not asked for again"
        retried = sciexam("compare", "--suite", str(suite), "--json", "--retry-invalid")
        assert retried.returncode == 3
        assert stats(url)["requests"] == 2 * calls
        assert len(verdict_rows(tmp_path)) == 4 * PROMPTS, "every attempt is kept"


def test_a_judge_that_always_prefers_the_first_is_seen_through(tmp_path: Path, sciexam: Cli) -> None:
    with server("--reply", "judge-first") as url:
        suite = exam(tmp_path, url)
        done = sciexam("compare", "--suite", str(suite), "--json")
        pair = json.loads(done.stdout)["pairs"][0]
        assert pair["win_rate"]["value"] == 0.5
        assert pair["conclusion"] == "undecided"
        assert pair["position_bias"]["value"] == 1.0
        assert pair["order_consistency"]["value"] == 0.0
        assert any("favours the answer shown first" in caveat for caveat in json.loads(done.stdout)["caveats"])


@pytest.mark.slow
def test_failed_calls_are_asked_again_by_the_next_run_and_keep_their_attempts(tmp_path: Path, sciexam: Cli) -> None:
    with server("--reply", "judge-longer", "--fault", "html=0.2", "--seed", "5") as url:
        suite = exam(tmp_path, url)
        first = sciexam("compare", "--suite", str(suite), "--json")
        assert first.returncode == 3, first.stderr
        failed = json.loads(first.stdout)["pairs"][0]["failed"]
        assert failed > 0
        for _ in range(8):
            done = sciexam("compare", "--suite", str(suite), "--json")
            if done.returncode == 0:
                break
        assert json.loads(done.stdout)["pairs"][0]["used"] == PROMPTS
    rows = verdict_rows(tmp_path)
    assert len({row[0] for row in rows}) == 2 * PROMPTS
    assert len(rows) > 2 * PROMPTS
    assert sum(row[2] == 0 for row in rows) == 2 * PROMPTS


def test_contestants_behind_an_endpoint_are_asked_once_and_judged_as_they_answer(tmp_path: Path, sciexam: Cli) -> None:
    with server("--reply", "echo", "--latency", "0.01") as url:
        endpoint = {"backend": "openai", "base_url": url, "api_key_env": None}
        models = {
            "small": endpoint | {"model": "m-small"},
            "large": endpoint | {"model": "m-large", "system": "Be brief."},
        }
        judges = {"llm": endpoint | {"model": "m-judge"}, "measures": {"backend": "measures"}}
        prices = {name: {"input": 1.0, "output": 2.0} for name in ("m-small", "m-large")}
        suite = write_suite(tmp_path, 12, models, judges=judges, judge="measures", prices=prices)
        done = sciexam("compare", "--suite", str(suite), "--json")
        assert done.returncode == 0, done.stderr
        calls = json.loads(done.stdout)["calls"]
        assert (calls["made"], calls["reused"], stats(url)["requests"]) == (24, 0, 24)
        assert calls["input_tokens"] > 0
        assert calls["usd"] == pytest.approx((calls["input_tokens"] + 2 * calls["output_tokens"]) / 1e6)
        again = json.loads(sciexam("compare", "--suite", str(suite), "--json").stdout)["calls"]
        assert (again["made"], again["reused"], stats(url)["requests"]) == (0, 24, 24)
        unpriced = json.loads(sciexam("compare", "--suite", str(suite), "--judge", "llm", "--json").stdout)["calls"]
        # The echo made both answers the same, so both orders show the same and are one fact each.
        assert (unpriced["made"], unpriced["usd"]) == (12, None)
