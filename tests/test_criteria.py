"""A judge that says which answer is better on each criterion: kept, un-swapped and reported beside the whole."""

from __future__ import annotations

import json
import re
from pathlib import Path

import sciexam as sx
from conftest import answers, write_suite
from endpoint import Body, Endpoint, answers_of, nonce_of, prompt_of
from sciexam.report.html import to_html
from sciexam.report.markdown import to_markdown

PROMPTS = 12


def by_criterion(body: Body) -> str:
    """b (it says so) is always better in request, a in clarity, and nobody in the others; over all b is."""
    asked = prompt_of(body)
    b_first = answers_of(asked)[0].startswith("b ")
    better, worse = ("A>B", "B>A") if b_first else ("B>A", "A>B")
    sides = {"request": better, "clarity": worse}
    nonce = nonce_of(asked)
    names = re.findall(rf"CRITERION {nonce} ([^:\n]+):", asked)
    lines = [f"CRITERION {nonce} {name}: {sides.get(name, 'A=B')}" for name in dict.fromkeys(names)]
    return "\n".join([*lines, f"VERDICT {nonce}: {better}"])


def compare(folder: Path, **judge: object) -> sx.Report:
    models = {n: {"responses": answers(folder, n, [f"{n} answers {i}." for i in range(PROMPTS)])} for n in ("a", "b")}
    with Endpoint(by_criterion) as server:
        spec = {"backend": "openai", "model": "j", "base_url": server.url, "api_key_env": None, **judge}
        path = write_suite(folder, PROMPTS, models, judges={"llm": spec})
        return sx.compare(sx.load_suite(str(path)), results=folder / "results")


def test_each_criterion_has_its_win_rate_whatever_the_order(tmp_path: Path) -> None:
    report = compare(tmp_path, criteria=True)
    pair = report.pairs["a", "b"]
    rates = {one.name: one.win_rate for one in pair.criteria}
    assert pair.win_rate.value == 1.0
    assert (rates["request"].value, rates["clarity"].value) == (1.0, 0.0)  # type: ignore[union-attr]
    others = [rate.value for name, rate in rates.items() if name not in ("request", "clarity")]  # type: ignore[union-attr]
    assert others
    assert set(others) == {0.5}
    assert all(one.used == one.planned == PROMPTS for one in pair.criteria)


def test_the_views_show_the_criteria(tmp_path: Path) -> None:
    report = compare(tmp_path, criteria=True)
    (row,) = report.to_json()["pairs"]
    assert row["criteria"][0]["name"] == "request"
    assert "## Win rate by criterion" in to_markdown(report)
    assert re.search(r"\| request \| b against a \| llm \| 1\.00 \[", to_markdown(report))
    assert "By criterion" in to_html(report)


def test_a_judge_that_says_nothing_of_criteria_has_none(tmp_path: Path) -> None:
    report = compare(tmp_path)
    assert report.pairs["a", "b"].criteria == ()
    assert "criteria" not in json.dumps(report.to_json()["pairs"])
