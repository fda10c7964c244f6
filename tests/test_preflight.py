"""What is announced before the first call is what is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import sciexam as sx
from conftest import answers, write_suite
from endpoint import Endpoint
from sciexam.exam.plan import make_plan
from sciexam.exam.preflight import Owed, owed_by
from sciexam.store import Store

N = 6


def suite(folder: Path, url: str, told: int = N, **more: Any) -> sx.Suite:
    """`old` is recorded and has answered the first `told` of six prompts; `gpt` and the judge are endpoints."""
    model = {"backend": "openai", "base_url": url, "api_key_env": None}
    models = {
        "old": {"responses": answers(folder, "old", [f"It does {i}." for i in range(told)])},
        "gpt": {**model, "model": "gpt-x"},
    }
    return sx.load_suite(str(write_suite(folder, N, models, judges={"llm": {**model, "model": "judge-1"}}, **more)))


def owed(exam: sx.Suite, folder: Path, retry_invalid: bool = False) -> Owed:
    plan, _ = make_plan(exam, (), (), None, "mean", None, "category", None, 0)
    with Store(folder / "results" / "ledger.sqlite") as store:
        return owed_by(plan, store, retry_invalid)


def test_an_exam_that_is_not_held_yet_owes_every_answer_and_both_orders(tmp_path: Path) -> None:
    with Endpoint("judge-longer") as endpoint:
        exam = suite(tmp_path, endpoint.url)
        before = owed(exam, tmp_path)
        assert before == Owed(N, 2 * N)
        assert str(before).startswith("at most 18 calls: 6 for answers, 12 for verdicts")
        assert endpoint.requests == 0
        sx.compare(exam, results=tmp_path / "results")
        assert endpoint.requests == before.calls
        assert owed(exam, tmp_path) == Owed(0, 0)


def test_prompts_that_a_file_does_not_answer_are_asked_of_nobody_and_not_announced(tmp_path: Path) -> None:
    with Endpoint("judge-longer") as endpoint:
        exam = suite(tmp_path, endpoint.url, told=2)
        before = owed(exam, tmp_path)
        assert before == Owed(2, 4)
        sx.compare(exam, results=tmp_path / "results")
        assert endpoint.requests == before.calls


@pytest.mark.parametrize("retry", [False, True])
def test_unusable_verdicts_are_owed_again_only_where_they_are_retried(tmp_path: Path, retry: bool) -> None:
    with Endpoint(reply=lambda body: "I cannot say which is better.") as endpoint:
        exam = suite(tmp_path, endpoint.url)
        sx.compare(exam, results=tmp_path / "results")
        asked = endpoint.requests
        before = owed(exam, tmp_path, retry)
        assert before == (Owed(0, 2 * N) if retry else Owed(0, 0))
        sx.compare(exam, results=tmp_path / "results", retry_invalid=retry)
        assert endpoint.requests == asked + before.calls
