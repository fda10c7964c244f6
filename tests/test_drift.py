"""Anchors: a judge is asked again on every day it is asked at all, and one that changed behind its name is told."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import sciexam as sx
from conftest import answers, write_suite
from endpoint import Behaviour, Body, Endpoint, answers_of, judge_first, judge_longer, nonce_of, prompt_of
from sciexam import store as ledger
from sciexam.report.drift import Change, change_of

PROMPTS = 60
ANCHORS = 40

On = Callable[[str, int, Behaviour], sx.Report]


@pytest.fixture
def on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Compare the first prompts on a day, by a judge that behaves like this; `on.requests` counts its calls."""
    server = Endpoint(judge_longer)

    def compare(day: str, limit: int, reply: Behaviour, anchors: int = ANCHORS) -> sx.Report:
        at = int(datetime.fromisoformat(f"{day}T23:30:00").replace(tzinfo=UTC).timestamp() * 1000)
        monkeypatch.setattr(ledger, "now", lambda: at)
        server.reply = reply
        models = {
            name: {"responses": answers(tmp_path, name, [f"{name} {i}" + " so" * (i % 5) * k for i in range(PROMPTS)])}
            for k, name in enumerate(("a", "b"))
        }
        judge = {"backend": "openai", "model": "j", "base_url": server.url, "api_key_env": None, "anchors": anchors}
        suite = sx.load_suite(str(write_suite(tmp_path, PROMPTS, models, judges={"llm": judge})))
        return sx.compare(suite, limit=limit, results=tmp_path / "results")

    with server:
        compare.server = server  # type: ignore[attr-defined]
        yield compare


def fickle(rate: float, seed: int) -> Behaviour:
    """Prefers the longer answer, but says the opposite at random, anew at each call."""
    draw = random.Random(seed)

    def reply(body: Body) -> str:
        a, b = (len(text) for text in answers_of(prompt_of(body)))
        first = (a > b) != (draw.random() < rate)
        return f"VERDICT {nonce_of(prompt_of(body))}: {'A>B' if first else 'B>A'}"

    return reply


def told(report: sx.Report) -> list[str]:
    return [caveat for caveat in report.caveats if "anchors" in caveat]


def test_anchors_are_asked_once_a_day_and_only_where_the_judge_is_asked_anyway(on: Any) -> None:
    on("2026-01-01", 30, judge_longer)
    assert on.server.requests == 2 * 30 + ANCHORS
    on("2026-01-01", 30, judge_longer)
    on("2026-01-02", 30, judge_longer)
    assert on.server.requests == 2 * 30 + ANCHORS  # nothing was owed on these days
    on("2026-01-03", 40, judge_longer)
    assert on.server.requests == 2 * 40 + 2 * ANCHORS


def test_without_anchors_nothing_is_asked_again(on: Any) -> None:
    report = on("2026-01-01", 20, judge_longer, 0)
    assert on.server.requests == 2 * 20
    assert told(report) == []


def test_a_judge_that_stays_the_same_is_said_to(on: Any) -> None:
    first = "llm: its 40 anchors were judged again on 2026-01-01; a later day will tell."
    assert told(on("2026-01-01", 30, judge_longer)) == [first]
    (said,) = told(on("2026-01-05", 40, judge_longer))
    assert said.startswith("llm: no change seen; of ")
    assert "anchors it judged 0 otherwise on 2026-01-05 than at first, 0 when it was asked again on 2026-01-01" in said


def test_a_judge_that_changed_behind_its_name_is_told(on: Any) -> None:
    on("2026-01-01", 30, judge_longer)
    (said,) = told(on("2026-01-05", 40, judge_first))
    assert said.startswith("llm has changed: of ")
    assert "verdicts from before and after do not mix" in said


def test_a_fickle_judge_has_not_changed(on: Any) -> None:
    on("2026-01-01", 50, fickle(0.2, 1))
    (said,) = told(on("2026-01-05", 60, fickle(0.2, 2)))
    assert said.startswith("llm: no change seen; of ")
    assert "anchors it judged 0 otherwise" not in said  # it contradicts itself, as it did at once


def test_a_change_that_is_none_is_called_one_no_more_often_than_the_level_says() -> None:
    draw = random.Random(0)
    runs, wrong = 1000, 0
    for _ in range(runs):
        changes = [Change(str(i), float(draw.random() < 0.2), float(draw.random() < 0.2)) for i in range(ANCHORS)]
        wrong += change_of("j", "2026-01-01", "2026-01-02", changes, ANCHORS).drifted
    assert wrong <= 40  # only departures upwards count, so 2.5 % of runs at most; 40 is three standard errors above it


def test_a_real_change_is_found() -> None:
    draw = random.Random(0)
    found = 0
    for _ in range(100):
        changes = [Change(str(i), float(draw.random() < 0.05), float(draw.random() < 0.4)) for i in range(ANCHORS)]
        found += change_of("j", "2026-01-01", "2026-01-02", changes, ANCHORS).drifted
    assert found >= 80


def test_where_no_anchor_is_usable_nothing_is_claimed() -> None:
    found = change_of("j", "2026-01-01", "2026-01-02", [], 0)
    assert not found.drifted
    assert found.sentence == "j: no anchor has usable verdicts of 2026-01-01 and of 2026-01-02."
