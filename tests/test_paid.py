"""What is paid for: asked once, kept, never asked for in vain, and never lost between two attempts."""

from __future__ import annotations

import json
import re
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import sciexam as sx
from conftest import Cli, answers, write_suite
from endpoint import Endpoint, nonce_of, prompt_of
from judged import server, stats
from sciexam.errors import Interrupted
from sciexam.exam.reporting import report
from sciexam.exam.tally import Progress
from sciexam.exchange.export import export
from sciexam.report import wording
from sciexam.report.calls import Calls
from sciexam.report.record import Report
from sciexam.stats import Undefined

PROMPTS = 6


def llm(endpoint: Endpoint, **more: Any) -> dict[str, Any]:
    return {"backend": "openai", "model": "judge-1", "base_url": endpoint.url, "api_key_env": None} | more


def suite(folder: Path, judge: dict[str, Any], **models: Any) -> sx.Suite:
    recorded = {
        "old": {"responses": answers(folder, "old", [f"Because {i}." for i in range(PROMPTS)])},
        "new": {"responses": answers(folder, "new", [f"Because {i}, and why." for i in range(PROMPTS)])},
    }
    return sx.load_suite(str(write_suite(folder, PROMPTS, models or recorded, judges={"llm": judge}, judge="llm")))


def compare(folder: Path, exam: sx.Suite, *names: str, **options: Any) -> Report:
    return sx.compare(exam, *names, results=folder / "results", **options)


def rows(folder: Path, query: str) -> list[Any]:
    with sqlite3.connect(folder / "results" / "ledger.sqlite") as raw:
        return raw.execute(query).fetchall()


def cut_off_at_first(endpoint: Endpoint) -> Any:
    """A judge whose first attempt does not get to the verdict: it needs more than 1,024 tokens."""

    def reply(body: dict[str, Any]) -> dict[str, Any]:
        if body.get("max_tokens", 0) <= 1024:
            return endpoint.body(body, "First I consider", finish="length")
        return endpoint.body(body, f"Now I know.\nVERDICT {nonce_of(prompt_of(body))}: B>A")

    return reply


def test_a_verdict_that_was_cut_off_gets_its_second_attempt_after_a_stop(tmp_path: Path) -> None:
    with Endpoint(latency=0.05) as endpoint:  # slower than a stop is heard
        endpoint.reply = cut_off_at_first(endpoint)
        exam = suite(tmp_path, llm(endpoint, concurrency=2))
        stop = threading.Event()

        def first_attempts_are_in(progress: Progress) -> None:
            if progress.verdicts >= PROMPTS:
                stop.set()

        with pytest.raises(Interrupted):
            compare(tmp_path, exam, "old", "new", stop=stop, progress=first_attempts_are_in)
        [(usable,)] = rows(tmp_path, "SELECT count(*) FROM verdicts WHERE status = 0")
        assert usable < 2 * PROMPTS  # some of the second attempts are still owed
        pair = compare(tmp_path, exam, "old", "new").pairs["old", "new"]
        assert (pair.used, pair.invalid, pair.win_rate.value) == (PROMPTS, 0, 0.5)
        asked = endpoint.requests
        compare(tmp_path, exam, "old", "new")
        assert endpoint.requests == asked


def test_two_runs_at_once_both_wait_for_the_second_attempt(tmp_path: Path) -> None:
    with Endpoint(latency=0.1) as endpoint:
        endpoint.reply = cut_off_at_first(endpoint)
        exam = suite(tmp_path, llm(endpoint, concurrency=2))
        found: list[Report] = []
        runs = [
            threading.Thread(target=lambda: found.append(compare(tmp_path, exam, "old", "new")), daemon=True)
            for _ in range(2)
        ]
        for run in runs:
            run.start()
        for run in runs:
            run.join(timeout=60)
        assert [report.pairs["old", "new"].used for report in found] == [PROMPTS, PROMPTS]
        assert endpoint.requests == 2 * 2 * PROMPTS


def test_an_interrupt_in_python_stops_the_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Endpoint("judge-longer", latency=0.05) as endpoint:
        exam = suite(tmp_path, llm(endpoint, concurrency=1))

        join, told = threading.Thread.join, []

        def interrupted(thread: threading.Thread, timeout: float | None = None) -> None:
            if endpoint.requests >= 3 and not told and threading.current_thread() is threading.main_thread():
                told.append(thread)
                raise KeyboardInterrupt
            join(thread, timeout)

        monkeypatch.setattr(threading.Thread, "join", interrupted)
        with pytest.raises(KeyboardInterrupt):
            compare(tmp_path, exam, "old", "new")
        monkeypatch.undo()
        time.sleep(1)
        at_rest = endpoint.requests
        time.sleep(0.5)
        assert endpoint.requests == at_rest < 2 * PROMPTS


def test_a_judge_without_verdicts_does_not_cost_the_report_of_the_others(tmp_path: Path) -> None:
    with Endpoint("judge-longer") as endpoint:
        exam = suite(tmp_path, llm(endpoint))
        report = compare(tmp_path, exam, "old", "new", judges=["llm", "humans"])
    assert report.pairs["old", "new", "llm"].win_rate.value == 1.0
    assert isinstance(report.pairs["old", "new", "humans"].win_rate, Undefined)
    assert "humans has no verdict on these prompts." in report.caveats
    assert not report.incomplete


def test_a_contestant_is_asked_only_where_another_has_an_answer(tmp_path: Path) -> None:
    with Endpoint("echo") as endpoint:
        models = {
            "live": {"backend": "openai", "model": "m", "base_url": endpoint.url, "api_key_env": None},
            "few": {"responses": answers(tmp_path, "few", ["Because.", "Because of it."])},
        }
        exam = suite(tmp_path, llm(endpoint), **models)
        pair = compare(tmp_path, exam, "live", "few", judges=["measures"]).pairs["live", "few"]
        assert (pair.used, pair.skipped) == (2, PROMPTS - 2)
        assert endpoint.requests == 2


def test_what_a_script_says_is_no_call_and_leaves_the_cost_known(tmp_path: Path) -> None:
    script = {"backend": "scripted", "rules": [{"say": "So."}]}
    with Endpoint("judge-longer") as endpoint:
        live = {"backend": "openai", "model": "m", "base_url": endpoint.url, "api_key_env": None}
        models = {"script": script, "live": live}
        more: dict[str, Any] = {"judges": {"llm": llm(endpoint)}, "judge": "llm"}
        more["prices"] = {"judge-1": {"input": 1, "output": 2}, "m": {"input": 3, "output": 4}}
        exam = sx.load_suite(str(write_suite(tmp_path, PROMPTS, models, **more)))
        first = compare(tmp_path, exam, "script", "live")
        assert first.calls.made == endpoint.requests == (1 + 2) * PROMPTS
        assert first.calls.usd is not None
        assert first.calls.usd > 0
        again = compare(tmp_path, exam, "script", "live")
    assert again.calls == Calls(made=0, reused=(1 + 2) * PROMPTS)


def marks(body: dict[str, Any]) -> str:
    asked = re.findall("^(GRADE [0-9a-f]{12}[^:]*):", prompt_of(body), re.MULTILINE)
    return "\n".join(f"{line}: 3" for line in asked)


@pytest.mark.parametrize("way", ["verdicts", "grades", "until decided"])
def test_a_report_that_is_counted_again_says_so_and_on_what_it_rests(tmp_path: Path, way: str) -> None:
    with Endpoint(marks if way == "grades" else "judge-longer") as endpoint:
        exam = suite(tmp_path, llm(endpoint, compare_by="grades" if way == "grades" else "verdicts"))
        made = compare(tmp_path, exam, "old", "new", until_decided=way == "until decided").calls
    assert (made.made, made.usd) == (2 * PROMPTS, None)
    again = report(results=tmp_path / "results")
    assert again.calls == Calls(reused=2 * PROMPTS, usd=None, recounted=True)
    folder = tmp_path / "results" / again.suite / again.run
    for name in ("report.md", "report.html"):
        text = (folder / name).read_text()
        assert f"counted again from the ledger; {2 * PROMPTS} stored replies and verdicts behind it" in text
        assert "no model was called" not in text
    assert json.loads((folder / "report.json").read_text())["calls"]["usd"] is None


def test_an_exam_of_files_and_scripts_calls_no_model(tmp_path: Path) -> None:
    judge = {"backend": "scripted", "rules": [{"when": "VERDICT (\\w+): A>>B", "say": "So.\nVERDICT \\1: A>B"}]}
    recorded = {"responses": answers(tmp_path, "old", [f"Because {i}." for i in range(PROMPTS)])}
    exam = suite(tmp_path, judge, old=recorded, script={"backend": "scripted", "rules": [{"say": "So."}]})
    for _ in range(2):
        report = compare(tmp_path, exam, "old", "script")
        assert (report.pairs["old", "script"].used, report.calls) == (PROMPTS, Calls())


def test_the_null_contestant_of_a_leaderboard_is_no_call(tmp_path: Path) -> None:
    with Endpoint("judge-longer") as endpoint:
        board = sx.leaderboard(suite(tmp_path, llm(endpoint)), judge="measures", results=tmp_path / "results")
    assert "null" in {row.contestant for row in board.rows}
    assert board.calls == Calls()


def test_answers_to_other_prompts_are_refused_before_anyone_is_paid(tmp_path: Path) -> None:
    with Endpoint("echo") as endpoint:
        (tmp_path / "other.jsonl").write_text('{"prompt": "x1", "text": "Because."}\n')
        live = {"backend": "openai", "model": "m", "base_url": endpoint.url, "api_key_env": None}
        exam = suite(tmp_path, llm(endpoint), live=live, other={"responses": "other.jsonl"})
        with pytest.raises(sx.SciexamError, match="the suite names its prompts like 'q0', the file like 'x1'"):
            compare(tmp_path, exam, "live", "other")
        assert endpoint.requests == 0


def test_an_invalid_reply_is_drawn_again_with_another_seed(tmp_path: Path) -> None:
    with Endpoint("judge-garbage") as endpoint:
        seeds: list[int] = []
        endpoint.reply = lambda body: seeds.append(body["seed"]) or "no verdict here"  # type: ignore[func-returns-value]
        exam = suite(tmp_path, llm(endpoint))
        compare(tmp_path, exam, "old", "new")
        compare(tmp_path, exam, "old", "new", retry_invalid=True)
    assert len(seeds) == len(set(seeds)) == 2 * 2 * PROMPTS


def test_a_reply_that_could_not_be_used_can_be_read(tmp_path: Path) -> None:
    with Endpoint("judge-garbage") as endpoint:
        endpoint.reply = lambda body: "Both are fine.\nI like <b>turtles</b>."
        exam = suite(tmp_path, llm(endpoint))
        report = compare(tmp_path, exam, "old", "new")
        export(exam, "old", "new", what="verdicts", out=tmp_path / "said.jsonl", results=tmp_path / "results")
    [why] = wording.reasons(report, report.pairs[0])
    ends = "such as a reply that ends 'I like <b>turtles</b>.'"
    assert why == f"{PROMPTS} x invalid: no verdict line, {ends}"
    (page,) = tmp_path.glob("results/*/*/report.html")
    assert "I like &lt;b&gt;turtles&lt;/b&gt;." in page.read_text()
    exported = [json.loads(line) for line in (tmp_path / "said.jsonl").read_text().splitlines()]
    assert {line["reason"] for line in exported} == {"Both are fine.\nI like <b>turtles</b>."}


def test_a_report_says_how_many_verdicts_were_drawn_again(tmp_path: Path) -> None:
    with Endpoint("judge-longer") as endpoint:
        usual, replies = endpoint.reply, []
        endpoint.reply = lambda body: replies.append(body) or ("I like turtles." if len(replies) < 4 else usual(body))  # type: ignore[func-returns-value]
        exam = suite(tmp_path, llm(endpoint))
        first = compare(tmp_path, exam, "old", "new")
        assert "drawn again" not in " ".join(first.caveats)
        again = compare(tmp_path, exam, "old", "new", retry_invalid=True)
    [said] = [caveat for caveat in again.caveats if "drawn again" in caveat]
    assert said.startswith(f"3 of {2 * PROMPTS} usable verdicts of llm were drawn again, as their replies could not be")


def test_samples_of_a_judge_are_facts_of_their_own(tmp_path: Path) -> None:
    with Endpoint("judge-longer") as endpoint:
        exam = suite(tmp_path, llm(endpoint, samples=3))
        pair = compare(tmp_path, exam, "old", "new").pairs["old", "new"]
        assert endpoint.requests == 2 * 3 * PROMPTS
    assert pair.verdicts == {"ok": 2 * 3 * PROMPTS, "invalid": 0, "failed": 0}
    assert pair.used == PROMPTS


def test_verdicts_that_failed_are_seen_though_every_prompt_has_a_score(tmp_path: Path) -> None:
    """Every third reply of a judge that is asked three times an order is of no use: no prompt is lost by it."""
    with Endpoint("judge-longer") as endpoint:
        good = endpoint.reply
        count = iter(range(10_000))
        endpoint.reply = lambda body: "no verdict" if next(count) % 3 == 2 else good(body)
        exam = suite(tmp_path, llm(endpoint, samples=3, concurrency=1))
        report = compare(tmp_path, exam, "old", "new")
    pair = report.pairs["old", "new"]
    assert pair.verdicts["invalid"] == 2 * PROMPTS
    assert any("12 of 36 verdicts are invalid or failed" in caveat for caveat in report.caveats)


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
