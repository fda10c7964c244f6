"""A command with all phases that there are: references, answers, both judges of a cascade, anchors, rounds."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

from conftest import COMMAND, clean_environment, write_suite
from endpoint import Body, Endpoint, answers_of, nonce_of, prompt_of

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
