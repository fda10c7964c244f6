"""The judge's verdict changes when the two answers change places: it always prefers the one shown first."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from conftest import Cli
from endpoint import Body, Endpoint, answers_of, judge_first, judge_longer, prompt_of
from judged import exam, verdict_rows
from rows import Tally

PROMPTS = 40


def test_a_judge_that_always_prefers_the_first_is_seen_through(tmp_path: Path, sciexam: Cli) -> None:
    with Endpoint("judge-first") as endpoint:
        suite = exam(tmp_path, endpoint.url, PROMPTS)
        done = sciexam("compare", "--suite", str(suite), "--json")
        pair = json.loads(done.stdout)["pairs"][0]
        assert pair["win_rate"]["value"] == 0.5
        assert pair["conclusion"] == "undecided"
        assert pair["position_bias"]["value"] == 1.0
        assert pair["order_consistency"]["value"] == 0.0
        assert any("favours the answer shown first" in caveat for caveat in json.loads(done.stdout)["caveats"])


def test_both_verdicts_are_kept_and_the_report_says_how_they_became_a_tie(tmp_path: Path, sciexam: Cli) -> None:
    with Endpoint("judge-first") as endpoint:
        suite = exam(tmp_path, endpoint.url, 6)
        done = sciexam("compare", "--suite", str(suite))
    assert done.returncode == 0, done.stderr
    assert len(verdict_rows(tmp_path)) == 12
    with sqlite3.connect(tmp_path / "results" / "ledger.sqlite") as raw:
        assert raw.execute("SELECT count(*), count(DISTINCT preferred) FROM verdicts").fetchone() == (12, 1)
    printed = " ".join(done.stdout.split())
    assert "over 6 prompts, ties half: undecided" in printed
    assert "when the order was swapped, the judge kept its verdict in 0% of the prompts only (6 prompts)" in printed
    assert "the judge favours the answer shown first (position bias 1.00" in printed
    (report,) = (tmp_path / "results").rglob("report.md")
    assert "policy mean; position bias 1.00" in report.read_text()


@pytest.mark.parametrize(("policy", "wins"), [("mean", 0.75), ("conservative", 0.75)])
def test_where_half_the_verdicts_turn_the_bias_has_its_interval_around_one_half(
    tmp_path: Path, sciexam: Cli, tally: Tally, policy: str, wins: float
) -> None:
    """Every other prompt is judged by what it says, the others by their place."""

    def half(body: Body) -> str:
        (number,) = {int(text.split()[2].rstrip(".,")) for text in answers_of(prompt_of(body))}
        return judge_first(body) if number % 2 else judge_longer(body)

    with Endpoint(half) as endpoint:
        suite = exam(tmp_path, endpoint.url, PROMPTS)
        done = sciexam("compare", "--suite", str(suite), "--policy", policy, "--json")
    (pair,) = json.loads(done.stdout)["pairs"]
    assert (pair["policy"], pair["win_rate"]["value"]) == (policy, wins)
    assert (pair["wins"], pair["ties"], pair["losses"]) == (PROMPTS // 2, PROMPTS // 2, 0)
    for figure in ("position_bias", "order_consistency"):
        found = pair[figure]
        assert found["value"] == 0.5
        assert 0.3 < found["low"] < 0.5 < found["high"] < 0.7
    tally(2 * PROMPTS)
