"""What is announced before the first call is what is asked."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import sciexam as sx
from conftest import Cli, answers, write_jsonl, write_suite
from endpoint import Body, Endpoint, judge_longer, prompt_of
from sciexam.exam.plan import make_plan
from sciexam.exam.preflight import Bill, Owed, bill_of, owed_by
from sciexam.models.terms import USUAL
from sciexam.store import Store
from sciexam.suite import suite_of_files

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
    plan, _ = make_plan(exam, (), (), None, "mean", None, "category", None, USUAL)
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


# ---------------------------------------------------------------- tokens and dollars

PRICES = {"gpt-x": {"input": 1, "output": 10}, "judge-1": {"input": 2, "output": 20}}


def bill(exam: sx.Suite, folder: Path, names: Sequence[str] = ()) -> Owed:
    plan, _ = make_plan(exam, names, (), None, "mean", None, "category", None, USUAL)
    with Store(folder / "results" / "ledger.sqlite") as store:
        return bill_of(plan, store)


def test_before_anything_was_said_the_limit_of_tokens_bounds_what_it_costs(tmp_path: Path) -> None:
    with Endpoint("judge-longer") as endpoint:
        exam = suite(tmp_path, endpoint.url, prices=PRICES)
        before = bill(exam, tmp_path)
        report = sx.compare(exam, results=tmp_path / "results")
        assert endpoint.requests == before.calls == 18
    told, made = before.bill, report.calls
    assert told is not None
    # Nobody has said anything yet: an answer is taken at the suite's 512 tokens, and a verdict at 1,024.
    assert (told.measured, told.at_most) == (False, True)
    assert made.output_tokens < told.output_tokens == 6 * 512 + 12 * 1024
    assert told.input_tokens == pytest.approx(made.input_tokens, rel=0.1)
    assert told.usd is not None
    assert made.usd is not None
    assert made.usd < told.usd
    read = told.usd - (6 * 512 * 10 + 12 * 1024 * 20) / 1e6
    assert 1 <= read * 1e6 / told.input_tokens <= 2  # USD per million tokens in, of the two models
    assert re.fullmatch(
        r"at most 18 calls: 6 for answers, 12 for verdicts, besides retries; about [\d,]+ tokens in, estimated from "
        r"the length of texts, and at most 15,360 out; at most about 0\.\d\d USD; rubric helpfulness",
        str(before),
    )


def test_once_there_are_replies_their_mean_is_the_measure(tmp_path: Path) -> None:
    """Every prompt, answer and verdict is of one length, so that the mean of the first three is that of all."""
    with Endpoint("judge-longer") as endpoint:
        exam = suite(tmp_path, endpoint.url, prices=PRICES)
        sx.compare(exam, limit=3, results=tmp_path / "results")
        before = bill(exam, tmp_path)
        asked = endpoint.requests
        made = sx.compare(exam, results=tmp_path / "results").calls
        assert endpoint.requests - asked == before.calls == made.made == 9
    told = before.bill
    assert told is not None
    assert (told.measured, told.at_most, told.unpriced) == (True, False, ())
    assert (round(told.input_tokens), round(told.output_tokens)) == (made.input_tokens, made.output_tokens)
    assert told.usd == pytest.approx(made.usd)
    assert re.search(
        r"; about [\d,]+ tokens in and [\d,]+ out, as measured in replies of the ledger; about 0\.0\d USD; "
        "rubric helpfulness$",
        str(before),
    )


def test_models_without_a_price_are_named(tmp_path: Path) -> None:
    with Endpoint("judge-longer") as endpoint:
        nobody = str(bill(suite(tmp_path, endpoint.url), tmp_path))
        one = str(bill(suite(tmp_path, endpoint.url, prices={"gpt-x": PRICES["gpt-x"]}), tmp_path))
    gpt, judge = (f"{name}: {{input: .., output: ..}}" for name in ("gpt-x", "judge-1"))
    assert nobody.endswith(
        f"; not priced: add prices: {{{gpt}, {judge}}}, in USD per million tokens; rubric helpfulness"
    )
    assert one.endswith(f"; not priced: add prices: {{{judge}}}, in USD per million tokens; rubric helpfulness")


def test_files_alone_are_told_where_prices_are_written(tmp_path: Path, sciexam: Cli) -> None:
    for name in ("old", "new"):
        write_jsonl(tmp_path / f"{name}.jsonl", [{"prompt": "Why is the sky blue?", "text": f"By {name}."}])
    files = [tmp_path / "old.jsonl", tmp_path / "new.jsonl"]
    asked = suite_of_files(files)
    assert (asked.of_files, sx.load_suite("science").of_files) == (True, False)
    assert str(Bill(1, 1, None, ("m",), False, True, of_files=True)).endswith(
        "; not priced: add prices: {m: {input: .., output: ..}} to a suite, which `sciexam init DIR FILE FILE` writes "
        "around your files, in USD per million tokens"
    )
    said = sciexam("plan", "old.jsonl", "new.jsonl", "--judge", "openai:m").stdout
    assert "which `sciexam init DIR FILE FILE` writes around your files: `prices: {m:" in " ".join(said.split())


def test_a_judge_that_marks_is_counted_once_an_answer(tmp_path: Path) -> None:
    """Three contestants are three pairs, and 3 x 6 answers: 18 marks, not 36 verdicts."""
    model = {"backend": "openai", "api_key_env": None}

    def marks(body: dict[str, Any]) -> str:
        word = re.search(r"GRADE ([0-9a-f]{8,32}):", prompt_of(body))
        return f"GRADE {word.group(1)}: 3" if word else f"{body['model']}: {prompt_of(body)}"

    with Endpoint(marks) as endpoint:
        models = {
            "old": {"responses": answers(tmp_path, "old", [f"It does {i}." for i in range(N)])},
            "one": {**model, "base_url": endpoint.url, "model": "m1"},
            "two": {**model, "base_url": endpoint.url, "model": "m2"},
        }
        judge = {**model, "base_url": endpoint.url, "model": "judge-1", "compare_by": "grades"}
        exam = sx.load_suite(str(write_suite(tmp_path, N, models, judges={"llm": judge})))
        before = bill(exam, tmp_path)
        assert before == Owed(2 * N, 3 * N)
        sx.compare(exam, results=tmp_path / "results")
        assert endpoint.requests == before.calls
        assert bill(exam, tmp_path) == Owed(0, 0)


def test_the_line_stands_before_the_first_call_and_nothing_owed_is_no_line(tmp_path: Path, sciexam: Cli) -> None:
    with Endpoint("judge-longer") as endpoint:
        suite(tmp_path, endpoint.url, prices=PRICES)
        for command, calls in (("compare", 18), ("leaderboard", 12)):
            before = endpoint.requests
            first = sciexam(command, "--suite", "exam.yaml", "--json")
            assert first.returncode == 0, first.stderr
            assert first.stderr.splitlines()[0].startswith(f"sciexam: at most {calls} calls: ")
            assert endpoint.requests - before == calls
            assert json.loads(first.stdout)["suite"] == "exam"
            again = sciexam(command, "--suite", "exam.yaml", "--json")
            assert again.stderr == ""
    assert endpoint.requests == 30


def test_from_python_the_bill_is_told_before_the_first_call(tmp_path: Path) -> None:
    with Endpoint("judge-longer") as endpoint:
        told: list[tuple[int, Owed]] = []
        exam = suite(tmp_path, endpoint.url, prices=PRICES)
        sx.compare(exam, results=tmp_path / "results", preflight=lambda owed: told.append((endpoint.requests, owed)))
        sx.compare(exam, results=tmp_path / "results", preflight=lambda owed: told.append((endpoint.requests, owed)))
    assert [(before, owed.calls) for before, owed in told] == [(0, 18), (18, 0)]
    assert told[1][1].bill is None


def test_a_run_that_is_decided_owes_nothing(tmp_path: Path, sciexam: Cli) -> None:
    """The longer answer always wins, which the sequence believes long before the 60th prompt."""
    with Endpoint("judge-longer") as endpoint:
        model = {"backend": "openai", "base_url": endpoint.url, "api_key_env": None}
        models = {
            "old": {"responses": answers(tmp_path, "old", ["No."] * 60)},
            "gpt": {**model, "model": "gpt-x"},
        }
        write_suite(tmp_path, 60, models, judges={"llm": {**model, "model": "judge-1"}})
        command = ("compare", "--suite", "exam.yaml", "--until-decided", "--quiet")
        first = sciexam(*command)
        made = endpoint.requests
        again = sciexam(*command)
        assert endpoint.requests == made < 100
    assert first.stderr.startswith("sciexam: at most 180 calls: ")
    assert "sciexam: at most" not in again.stderr
    assert "nothing was left to do" in again.stderr


# ---------------------------------------------------------------- never below what is asked


def judged(folder: Path, url: str, judges: dict[str, Any], n: int = N, live: bool = True) -> sx.Suite:
    line = {"backend": "openai", "base_url": url, "api_key_env": None}
    models: dict[str, Any] = {"old": {"responses": answers(folder, "old", [f"It does {i}." for i in range(n)])}}
    new = {"responses": answers(folder, "new", [f"It does {i} so." for i in range(n)])}
    models["new"] = {**line, "model": "gpt-x"} if live else new
    named = {name: spec if "backend" in spec else {**line, **spec} for name, spec in judges.items()}
    return sx.load_suite(str(write_suite(folder, n, models, judges=named)))


@pytest.mark.parametrize("live", [True, False], ids=["answers to come", "answers there"])
@pytest.mark.parametrize("names", [["one", "panel"], ["panel", "one"], ["one", "openai:j1"]])
def test_a_judge_that_sits_twice_is_counted_and_asked_once(tmp_path: Path, names: list[str], live: bool) -> None:
    """`one` and `openai:j1` are one judge too, where the endpoint is the same; there it is alone in having anchors."""
    with Endpoint("judge-longer") as endpoint:
        judges = {
            "one": {"model": "j1", "anchors": 3},
            "two": {"model": "j2"},
            "panel": {"backend": "panel", "judges": ["one", "two"]},
        }
        suited = judged(tmp_path, endpoint.url, judges, live=live)
        if "openai:j1" in names:
            names = ["twin" if name == "openai:j1" else name for name in names]
            twin = suited.judges["one"].model_copy(update={"anchors": 0})
            suited = suited.model_copy(update={"judges": {**suited.judges, "twin": twin}})
        told: list[Owed] = []
        sx.compare(suited, judges=names, results=tmp_path / "results", preflight=told.append)
        both = 2 if "panel" in names else 1
        assert told[0] == Owed(N * live, 2 * N * both + 3)
        assert endpoint.requests == told[0].calls


def test_a_cascade_whose_threshold_may_move_spares_nobody_in_advance(tmp_path: Path) -> None:
    """Unusable verdicts of the calibration are no agreement. Asked again they may be, and then fewer escalate."""
    unusable = True
    n, calibration = 40, 20

    def reply(body: Body) -> str:
        if body["model"] == "dear" and unusable:
            return "I cannot say."
        return judge_longer(body)

    with Endpoint(reply) as endpoint:
        judges = {
            "cheap": {"model": "cheap"},
            "dear": {"model": "dear"},
            "both": {
                "backend": "cascade",
                "judges": ["cheap", "dear"],
                "agreement": 0.6,
                "error": 0.2,
                "calibration": calibration,
            },
        }
        suited = judged(tmp_path, endpoint.url, judges, n, live=False)
        asked: list[tuple[Owed, int]] = []

        def hold(**more: Any) -> None:
            told: list[Owed] = []
            before = endpoint.requests
            sx.compare(suited, judges=["both"], results=tmp_path / "results", preflight=told.append, **more)
            asked.append((told[0], endpoint.requests - before))

        hold()
        hold()
        unusable = False
        hold(retry_invalid=True)
    assert [made for _, made in asked] == [4 * n, 0, 2 * calibration]
    assert [owed.verdicts for owed, _ in asked] == [4 * n, 0, 2 * n]


def test_where_verdicts_of_a_calibration_are_retried_those_that_then_escalate_were_counted(tmp_path: Path) -> None:
    """The dear judge agrees at first; asked again it does not, so that no threshold passes and everything escalates."""
    again = False
    n, calibration = 60, 30
    seen: set[str] = set()

    def reply(body: Body) -> str:
        question = re.findall(r"thing (\d+)", prompt_of(body))[0]
        if body["model"] == "dear" and not again and len(seen | {question}) > 24:
            return "I cannot say."
        if body["model"] == "dear":
            seen.add(question)
        said = judge_longer(body)
        return said.translate(str.maketrans("AB", "BA")) if body["model"] == "dear" and again else said

    with Endpoint(reply) as endpoint:
        judges = {
            "cheap": {"model": "cheap"},
            "dear": {"model": "dear"},
            "both": {
                "backend": "cascade",
                "judges": ["cheap", "dear"],
                "agreement": 0.6,
                "error": 0.2,
                "calibration": calibration,
            },
        }
        suited = judged(tmp_path, endpoint.url, judges, n, live=False)
        sx.compare(suited, judges=["both"], results=tmp_path / "results")
        first = endpoint.requests
        again = True
        told: list[Owed] = []
        sx.compare(suited, judges=["both"], results=tmp_path / "results", preflight=told.append, retry_invalid=True)
        made = endpoint.requests - first
    assert 0 < made <= told[0].calls
