"""References, answers, both judges of a cascade, anchors, rounds: stopped in each, a command ends the same way."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from conftest import COMMAND, clean_environment, write_suite
from endpoint import Body, Endpoint, answers_of, nonce_of, prompt_of
from sciexam.store.writer import UNCOMMITTED_REPLIES

PROMPTS = 40
CONCURRENCY = 4
ANCHORS = 10


def drawn(*words: str) -> float:
    return int.from_bytes(hashlib.sha256("\0".join(words).encode()).digest()[:8]) / 2**64


def reply(body: Body) -> str:
    """The longer answer wins; `cheap` is not sure of three in ten, and says the first there."""
    nonce = nonce_of(prompt_of(body))
    if nonce is None:
        return f"{body['model']} says of {prompt_of(body)}" + " so" * int(10 * drawn(body["model"], prompt_of(body)))
    first, second = answers_of(prompt_of(body))
    wins = len(first) > len(second)
    if body["model"] == "cheap" and drawn(*sorted((first, second))) < 0.3:
        wins = True
    return f"So.\nVERDICT {nonce}: {'A>B' if wins else 'B>A'}"


def exam(folder: Path, url: str) -> None:
    line = {"backend": "openai", "base_url": url, "api_key_env": None, "concurrency": CONCURRENCY}
    judge = {**line, "reference": "teacher", "anchors": ANCHORS}
    judges = {
        "cascade": {
            "backend": "cascade",
            "judges": ["cheap", "dear"],
            "agreement": 0.7,
            "error": 0.2,
            "calibration": 15,
        },
        "cheap": {**judge, "model": "cheap"},
        "dear": {**judge, "model": "dear"},
    }
    models = {name: {**line, "model": name} for name in ("a", "b", "teacher")}
    write_suite(folder, PROMPTS, models, contestants=["a", "b"], judges=judges)


def started(folder: Path, *more: str) -> subprocess.Popen[str]:
    command = [str(COMMAND), "compare", "--suite", "exam.yaml", "--json", *more]
    return subprocess.Popen(
        command, cwd=folder, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finished(folder: Path, *more: str) -> dict[str, Any]:
    child = started(folder, *more)
    out, err = child.communicate(timeout=120)
    assert child.returncode == 0, err
    return dict(json.loads(out))


def whole(folder: Path, *more: str) -> tuple[dict[str, Any], int]:
    """A run that nothing stopped, and how many calls it made."""
    with Endpoint(reply) as endpoint:
        folder.mkdir()
        exam(folder, endpoint.url)
        return finished(folder, *more), endpoint.requests


def wait_for(endpoint: Endpoint, requests: int, child: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while endpoint.requests < requests and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.003)


def asked(endpoint: Endpoint) -> Counter[str]:
    return Counter(str(body["model"]) for body in endpoint.received)


# References come first, then both contestants with the cheap judge, then the dear one, and at the end the anchors.
PHASES = {"references": 0.1, "answers": 0.25, "cheap": 0.6, "dear": 0.8, "anchors": 0.97}


def without_anchors(caveats: list[str]) -> list[str]:
    """A run that was killed before its anchors has none on that day."""
    return [caveat for caveat in caveats if "anchors" not in caveat]


@pytest.mark.slow
def test_killed_in_every_phase_a_command_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    known, calls = whole(tmp_path / "whole")
    with Endpoint(reply, latency=0.01) as endpoint:
        exam(tmp_path, endpoint.url)
        for share in PHASES.values():
            child = started(tmp_path)
            wait_for(endpoint, int(share * calls), child)
            assert child.poll() is None, "it was over before it could be killed"
            child.send_signal(signal.SIGKILL)
            child.communicate()
        found = finished(tmp_path)
        distinct, requests = len(endpoint.bodies), endpoint.requests
        again = finished(tmp_path)
        assert endpoint.requests == requests
    assert found["pairs"] == known["pairs"] == again["pairs"]
    assert without_anchors(found["caveats"]) == without_anchors(known["caveats"])
    # A judge that a kill left nothing to ask has no anchors on this day. Besides, a kill costs what was in flight (to
    # two contestants and a judge at most) and what was not yet durable.
    assert calls - 2 * ANCHORS <= distinct <= calls
    assert requests <= distinct + len(PHASES) * (3 * CONCURRENCY + UNCOMMITTED_REPLIES)


@pytest.mark.parametrize(
    "phase", [pytest.param(phase, marks=[] if phase == "dear" else pytest.mark.slow) for phase in PHASES]
)
def test_interrupted_in_any_phase_a_command_says_so_soon_and_nothing_is_asked_twice(tmp_path: Path, phase: str) -> None:
    known, calls = whole(tmp_path / "whole")
    with Endpoint(reply, latency=0.02) as endpoint:
        exam(tmp_path, endpoint.url)
        child = started(tmp_path)
        wait_for(endpoint, int(PHASES[phase] * calls), child)
        child.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, err = child.communicate(timeout=30)
        assert child.returncode == 130, err
        assert time.monotonic() - began < 8, "it hung until the alarm"
        assert "run the same command to go on" in err
        assert endpoint.requests < calls
        found = finished(tmp_path)
        assert endpoint.requests == len(endpoint.bodies)
        assert calls - 2 * ANCHORS <= endpoint.requests <= calls
    assert found["pairs"] == known["pairs"]


@pytest.mark.slow
def test_killed_between_rounds_a_run_until_it_is_decided_stops_at_the_same_prompt(tmp_path: Path) -> None:
    """With references, which are written round by round: of 40 prompts far fewer are asked for."""
    options = ("--until-decided", "--judge", "cheap", "--judge", "dear")
    known, calls = whole(tmp_path / "whole", *options)
    stops = [pair["stop"]["prompts"] for pair in known["pairs"]]
    with Endpoint(reply, latency=0.01) as endpoint:
        exam(tmp_path, endpoint.url)
        for share in (0.1, 0.4, 0.7):
            child = started(tmp_path, *options)
            wait_for(endpoint, int(share * calls), child)
            child.send_signal(signal.SIGKILL)
            child.communicate()
        found = finished(tmp_path, *options)
        requests = endpoint.requests
        finished(tmp_path, *options)
        assert endpoint.requests == requests
        assert asked(endpoint)["teacher"] <= max(stops) + 2 * 8 + 3 * (CONCURRENCY + UNCOMMITTED_REPLIES)
    for one, other in zip(found["pairs"], known["pairs"], strict=True):
        assert {k: one[k] for k in ("stop", "win_rate", "conclusion", "p_value")} == {
            k: other[k] for k in ("stop", "win_rate", "conclusion", "p_value")
        }
