"""What a command may spend: a budget, batches and the model that was asked for, from the command line to the report."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import sciexam as sx
from conftest import Cli, answers, write_suite
from endpoint import Endpoint, judge_longer
from sciexam.exam.runs import terms_of
from sciexam.models.spending import Budget, Price
from sciexam.suite import load_suite

PROMPTS = 30
PRICE = Price(input=10.0, output=40.0)


def exam(folder: Path, server: Endpoint, priced: bool = True, **judge: Any) -> Path:
    """A suite of recorded answers and one judge behind `server`."""
    models = {
        name: {"responses": answers(folder, name, [f"{name} says {i}" + " so" * (i % 3) * k for i in range(PROMPTS)])}
        for k, name in enumerate(("a", "b"))
    }
    spec = {"backend": "openai", "model": "judge-1", "base_url": server.url, "api_key_env": None, **judge}
    prices = {"judge-1": PRICE.model_dump()} if priced else {}
    return write_suite(folder, PROMPTS, models, judges={"llm": spec}, prices=prices)


def billed(server: Endpoint) -> float:
    return sum(PRICE.of(*tokens) or 0.0 for tokens in server.billed.values())


def report_of(folder: Path) -> dict[str, Any]:
    (path,) = folder.glob("results/exam/*/report.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def verdicts_of(folder: Path) -> list[Any]:
    """Every verdict in the ledger as it is stored, but for when."""
    columns = "hex(key), attempt, status, hex(subject), kind, repeat, preferred, strength, probability_second"
    with sqlite3.connect(folder / "results" / "ledger.sqlite") as raw:
        rows = raw.execute(f"SELECT {columns} FROM verdicts ORDER BY key, attempt").fetchall()
        said = raw.execute(
            "SELECT hex(replies.key), texts.body FROM replies JOIN texts ON texts.id = replies.text ORDER BY 1"
        )
        return [rows, said.fetchall()]


def test_a_budget_stops_the_run_below_it_keeps_everything_and_the_same_command_goes_on(
    tmp_path: Path, sciexam: Cli
) -> None:
    with Endpoint(judge_longer, latency=0.01) as server:
        exam(tmp_path, server, generation={"max_tokens": 60}, concurrency=8)
        first = sciexam("compare", "-s", "exam.yaml", "--budget", "0.25")
        assert first.returncode == 3, first.stderr
        assert "sciexam: The budget of 0.25 USD is reached: at most 0." in first.stderr
        assert "the same command goes on" in first.stderr
        asked, spent = server.requests, billed(server)
        assert 0 < spent <= 0.25
        report = report_of(tmp_path)
        (pair,) = report["pairs"]
        assert 0 < pair["used"] < PROMPTS
        assert report["calls"]["unasked"].startswith("The budget of 0.25 USD is reached")
        assert any("The budget of 0.25 USD is reached" in caveat for caveat in report["caveats"])
        second = sciexam("compare", "-s", "exam.yaml")
        assert second.returncode == 0, second.stderr
        assert server.requests == 2 * PROMPTS
        assert asked < 2 * PROMPTS
        assert server.stats()["billed_twice"] == 0
        assert report_of(tmp_path)["pairs"][0]["used"] == PROMPTS


def test_a_budget_that_pays_for_no_prompt_says_so_with_exit_3(tmp_path: Path, sciexam: Cli) -> None:
    with Endpoint(judge_longer) as server:
        exam(tmp_path, server)
        done = sciexam("compare", "-s", "exam.yaml", "--budget", "0.0001")
        assert (done.returncode, server.requests) == (3, 0)
        assert "The budget of 0.0001 USD is reached: at most 0.00 USD were spent" in done.stderr


@pytest.mark.parametrize("command", [("compare",), ("leaderboard",), ("grade",), ("audit", "llm")])
def test_a_budget_needs_the_prices_of_all_that_is_asked(tmp_path: Path, sciexam: Cli, command: Sequence[str]) -> None:
    with Endpoint(judge_longer) as server:
        exam(tmp_path, server, priced=False)
        done = sciexam(*command, "-s", "exam.yaml", "--budget", "1")
        assert (done.returncode, server.requests) == (2, 0)
        assert "a budget needs its price" in done.stderr
        assert "prices: {judge-1: {input: .., output: ..}}" in done.stderr


@pytest.mark.parametrize("amount", ["0", "-1", "nan"])
def test_a_budget_is_an_amount_above_zero(tmp_path: Path, sciexam: Cli, amount: str) -> None:
    with Endpoint(judge_longer) as server:
        exam(tmp_path, server)
        done = sciexam("compare", "-s", "exam.yaml", "--budget", amount)
        assert (done.returncode, server.requests) == (2, 0)
        assert "must be an amount in USD above 0" in done.stderr


@pytest.mark.slow
def test_the_other_commands_stop_at_a_budget_too(tmp_path: Path, sciexam: Cli) -> None:
    with Endpoint(judge_longer) as server:
        exam(tmp_path, server, generation={"max_tokens": 60})
        for command in (("leaderboard",), ("audit", "llm")):
            before = billed(server)
            done = sciexam(*command, "-s", "exam.yaml", "--budget", "0.1")
            assert done.returncode == 3, done.stderr
            assert "The budget of 0.10 USD is reached" in done.stderr
            assert 0 < billed(server) - before <= 0.1


@pytest.mark.slow
def test_a_batch_gives_byte_for_byte_the_verdicts_of_direct_calls(tmp_path: Path, sciexam: Cli) -> None:
    """The two ledgers are given one secret, since nonces and fences are made of it."""
    found: list[Any] = []
    for name, flags in (("direct", ()), ("batch", ("--batch",))):
        folder = tmp_path / name
        with Endpoint(judge_longer, port=found[0][0] if found else 0, batches=True, batch_delay=0.1) as server:
            exam(folder, server)
            if found:
                sciexam("agree", "-s", "exam.yaml", "-j", "measures", cwd=folder)  # makes the ledger, asks nobody
                give_secret(tmp_path / "direct", folder)
            done = sciexam("compare", "-s", "exam.yaml", *flags, cwd=folder)
            assert done.returncode == 0, done.stderr
            assert (server.provider is not None and len(server.provider.batches) == 1) == bool(flags)
            found.append((server.port, verdicts_of(folder), report_of(folder)["pairs"]))
    assert found[0][1] == found[1][1]
    assert found[0][2] == found[1][2]


def give_secret(source: Path, target: Path) -> None:
    with sqlite3.connect(source / "results" / "ledger.sqlite") as raw:
        (secret,) = raw.execute("SELECT value FROM meta WHERE name = 'secret'").fetchone()
    ledger = target / "results" / "ledger.sqlite"
    if not ledger.exists():
        from sciexam.store import Store

        Store(ledger).close()
    with sqlite3.connect(ledger) as raw:
        raw.execute("UPDATE meta SET value = ? WHERE name = 'secret'", (secret,))


def test_batches_and_stopping_when_it_is_decided_do_not_go_together(tmp_path: Path, sciexam: Cli) -> None:
    with Endpoint(judge_longer, batches=True) as server:
        exam(tmp_path, server)
        done = sciexam("compare", "-s", "exam.yaml", "--batch", "--until-decided")
        assert (done.returncode, server.requests) == (2, 0)
        assert "--batch: --until-decided looks at every round" in done.stderr


@pytest.mark.parametrize("command", [("compare",), ("leaderboard",)])
def test_a_model_other_than_was_asked_for_is_a_caveat_and_strictly_a_gate(
    tmp_path: Path, sciexam: Cli, command: Sequence[str]
) -> None:
    with Endpoint(judge_longer, model="judge-2") as server:
        exam(tmp_path, server)
        assert sciexam(*command, "-s", "exam.yaml").returncode == 0
        done = sciexam(*command, "-s", "exam.yaml", "--strict-model")
        assert done.returncode == 4
        assert "llm: 'judge-1' was asked for, but" in done.stderr
        assert "replies came from 'judge-2'" in done.stderr
        assert "The report is in results/exam/" in done.stderr


def test_strictly_the_first_reply_of_another_model_ends_the_run_and_what_came_back_is_kept(
    tmp_path: Path, sciexam: Cli
) -> None:
    with Endpoint(judge_longer, model="judge-2", latency=0.02) as server:
        exam(tmp_path, server, concurrency=2)
        done = sciexam("compare", "-s", "exam.yaml", "--strict-model")
        assert done.returncode == 4
        assert (
            "--strict-model: llm: 'judge-1' was asked for, but a reply came from 'judge-2'. Stopped at " in done.stderr
        )
        assert server.requests <= 10
        asked = server.requests
        assert sciexam("compare", "-s", "exam.yaml").returncode == 0
        assert server.requests == 2 * PROMPTS
        assert asked < 2 * PROMPTS


def test_a_date_is_the_same_model_and_another_date_is_not(tmp_path: Path, sciexam: Cli) -> None:
    def compare(limit: int, model: str, port: int) -> Any:
        with Endpoint(judge_longer, model=model, port=port) as server:
            exam(tmp_path, server)
            return server.port, sciexam("compare", "-s", "exam.yaml", "--strict-model", "--limit", str(limit))

    port, first = compare(10, "judge-1-2026-01-01", 0)
    assert first.returncode == 0, first.stderr
    _, second = compare(20, "judge-1-2026-06-01", port)
    assert second.returncode == 4
    assert "'judge-1' answered under several names: 'judge-1-2026-01-01' (20), 'judge-1-2026-06-01' (20)" in (
        second.stderr
    )


def test_a_batch_of_a_judge_without_probabilities_is_paid_once_and_kept_as_no_verdict(
    tmp_path: Path, sciexam: Cli
) -> None:
    with Endpoint(lambda body: "A", batches=True, batch_delay=0.05) as server:
        exam(tmp_path, server, probabilities=True, template="verdict-only")
        first = sciexam("compare", "-s", "exam.yaml", "--batch")
        assert first.returncode == 2
        assert "a reply came without token probabilities" in first.stderr
        billed_first = billed(server)
        second = sciexam("compare", "-s", "exam.yaml", "--batch")
        assert second.returncode == 3, second.stderr  # nothing is asked; no verdict is usable
        assert billed(server) == billed_first
        assert report_of(tmp_path)["pairs"][0]["invalid"] == PROMPTS


def test_a_budget_that_is_shared_is_spent_by_one_comparison_after_the_other(tmp_path: Path) -> None:
    with Endpoint(judge_longer, latency=0.01) as server:
        suite = load_suite(str(exam(tmp_path, server, generation={"max_tokens": 60}, concurrency=1)))
        budget = Budget(0.25)
        first = sx.compare(suite, "a", "b", limit=3, budget=budget, results=tmp_path / "results")
        spent = budget.spent
        assert 0 < spent < 0.25
        assert not first.calls.unasked
        second = sx.compare(suite, "a", "b", budget=budget, results=tmp_path / "results")
        assert second.calls.unasked.startswith("The budget of 0.25 USD is reached")
        assert spent < billed(server) <= 0.25


def test_training_spends_one_budget_for_all_that_it_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("torch", "transformers", "trl", "datasets"):
        pytest.importorskip(package)
    from sciexam.train import walk
    from sciexam.train.data.candidates import terms_for
    from sciexam.train.workshop import Workshop

    held: list[Workshop] = []
    monkeypatch.setattr(walk, "walk", lambda workshop, name, keep: held.append(workshop))
    with Endpoint(judge_longer) as server:
        suite = load_suite(str(exam(tmp_path, server)))
    walk.train(suite, "a", budget=0.5, results=tmp_path)
    (workshop,) = held
    assert workshop.budget is not None
    assert workshop.budget.usd == 0.5
    assert terms_for(workshop, suite).budget is terms_for(workshop, suite).budget is workshop.budget
    assert terms_of(suite, 1, workshop.asking()["budget"]).budget is workshop.budget
