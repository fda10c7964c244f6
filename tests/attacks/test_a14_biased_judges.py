"""A judge favours the answer shown first, the longer one, or its own."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import Cli, answers, write_suite
from endpoint import Body, Endpoint, answers_of, nonce_of, prompt_of
from rows import Tally

N = 120
WHY = "The heat goes where it is colder, as it always does. "

Preference = Callable[[str, str, float], str]  # answer A, answer B, what is drawn for the two of them in any order


def judging(prefers: Preference) -> Callable[[Body], str]:
    def reply(body: Body) -> str:
        prompt = prompt_of(body)
        a, b = answers_of(prompt)
        drawn = random.Random(" ".join(sorted((a, b)))).random()
        return f"Compared.\n\nVERDICT {nonce_of(prompt)}: {prefers(a, b, drawn)}"

    return reply


def texts(longer: float) -> dict[str, list[str]]:
    """Answers of two contestants; the second one's is the longer in this share of the prompts."""
    drawn = random.Random(14)
    lengths = [(1 + drawn.randrange(3), drawn.random() < longer) for _ in range(N)]
    return {
        name: [
            f"{name} on {i}. " + WHY * (base + (ahead == (name == "new"))) for i, (base, ahead) in enumerate(lengths)
        ]
        for name in ("old", "new")
    }


def pair_of(folder: Path, sciexam: Cli, prefers: Preference, longer: float = 0.5) -> tuple[dict[str, Any], str]:
    """The one pair of the report of such a judge, and its page."""
    with Endpoint(reply=judging(prefers)) as endpoint:
        judge = {"backend": "openai", "model": "m", "base_url": endpoint.url, "api_key_env": None, "concurrency": 16}
        models = {name: {"responses": answers(folder, name, said)} for name, said in texts(longer).items()}
        suite = write_suite(folder, N, models, judges={"llm": judge}, judge="llm").name
        done = sciexam("compare", "old", "new", "-s", suite, "--json")
    assert done.returncode == 0, done.stderr
    (pair,) = json.loads(done.stdout)["pairs"]
    [page] = folder.glob("results/exam/*/report.md")
    return pair, " ".join(page.read_text(encoding="utf-8").split())


def holds(figure: dict[str, Any], truth: float) -> bool:
    return bool(figure["low"] <= truth <= figure["high"])


@pytest.mark.parametrize("bias", [0.0, 0.3, pytest.param(1.0, marks=pytest.mark.slow)])
def test_a_taste_for_the_first_place_is_measured(bias: float, sciexam: Cli, tmp_path: Path, tally: Tally) -> None:
    """On a share of the prompts the judge names whatever stands first, and on the others the second contestant."""

    def prefers(a: str, b: str, drawn: float) -> str:
        return "A>B" if drawn < bias or a.startswith("new") else "B>A"

    pair, told = pair_of(tmp_path, sciexam, prefers)
    assert holds(pair["position_bias"], bias)
    assert holds(pair["order_consistency"], 1 - bias)
    assert holds(pair["win_rate"], 1 - bias / 2)
    assert "position bias" in told, "it is shown, whether there is one or not"
    assert ("the judge favours the answer shown first" in told) == (bias > 0)
    tally(2 * N)


def test_a_taste_for_length_is_measured_and_taken_out(sciexam: Cli, tmp_path: Path, tally: Tally) -> None:
    """The longer answer wins four times in five, whoever wrote it, and one contestant is the longer one on 85 %."""

    def prefers(a: str, b: str, drawn: float) -> str:
        return "A>B" if (len(a) > len(b)) == (drawn < 0.8) else "B>A"

    pair, told = pair_of(tmp_path, sciexam, prefers, longer=0.85)
    assert pair["win_rate"]["low"] > 0.5, "by the raw figure it is the better one"
    assert holds(pair["win_rate"], 0.85 * 0.8 + 0.15 * 0.2)
    assert holds(pair["length"]["longer_wins"], 0.8)
    assert holds(pair["length"]["controlled"], 0.5)
    assert "length-controlled win rate" in told
    assert "the longer answer won" in told
    tally(2 * N)


def test_a_judge_that_judges_its_own_answers_is_told(sciexam: Cli, tmp_path: Path) -> None:
    def reply(body: Body) -> str:
        prompt = prompt_of(body)
        return f"VERDICT {nonce}: A=B" if (nonce := nonce_of(prompt)) else f"It is so: {prompt}"

    with Endpoint(reply=reply) as endpoint:
        asked = {"backend": "openai", "model": "m-large", "base_url": endpoint.url, "api_key_env": None}
        models = {"old": {"responses": answers(tmp_path, "old", ["So it is."] * 4)}, "new": asked}
        suite = write_suite(
            tmp_path, 4, models, judges={"llm": asked, "other": asked | {"model": "n"}}, judge="llm"
        ).name
        own = sciexam("compare", "old", "new", "-s", suite)
        other = sciexam("compare", "old", "new", "-s", suite, "-j", "other")
    assert own.returncode == other.returncode == 0, own.stderr + other.stderr
    said = "llm judges its own answers: contestant new is the same model (m-large)."
    assert said in " ".join(own.stdout.split())
    assert "its own answers" not in other.stdout
