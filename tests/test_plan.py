"""`sciexam plan` on the real command line: what it reads, what it promises, what that costs, and what it says."""

from __future__ import annotations

import hashlib
import json
import random
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

import sciexam as sx
from conftest import Cli, answers, write_jsonl, write_suite
from endpoint import Endpoint, answers_of, nonce_of, prompt_of
from sciexam.exam.planning import plan_ahead
from sciexam.report.next_steps import READER
from sciexam.report.planning.outlook_text import sections
from sciexam.report.planning.prospects import curve_of, outlook_sentence, takes_of
from sciexam.stats.estimate import Undefined
from sciexam.stats.power import detectable_win_rate, prompts_needed, variance_at_one_half

PROMPTS = 40
PRICES = {"judge-1": {"input": 0.40, "output": 1.60}, "gpt-x": {"input": 0.10, "output": 0.40}}


def fickle(body: dict[str, Any]) -> str:
    """A judge with a will of its own, that in one reply of four goes by a place, either as often. Else it answers."""
    asked = prompt_of(body)
    if nonce_of(asked) is None:
        return f"Because of heat. {asked[-40:]}"
    a, b = answers_of(asked)
    better = "A>B" if (a < b) == (random.Random(min(a, b)).random() < 0.5) else "B>A"
    place = random.Random(a + b).random()
    verdict = "A>B" if place < 0.125 else "B>A" if place < 0.25 else better
    return f"I have read both answers.\nVERDICT {nonce_of(asked)}: {verdict}"


def suite(folder: Path, url: str = "http://127.0.0.1:9/v1", **more: Any) -> str:
    """Two contestants whose answers are recorded, one behind an endpoint, and two judges; port 9 answers nobody."""
    models = {
        "old": {"responses": answers(folder, "old", [f"Because {i}." for i in range(PROMPTS)])},
        "new": {"responses": answers(folder, "new", [f"Since {i}, and why." for i in range(PROMPTS)])},
        "gpt": {"backend": "openai", "model": "gpt-x", "base_url": url, "api_key_env": None},
    }
    judge = {"backend": "openai", "model": "judge-1", "base_url": url, "api_key_env": None}
    settings = {"judges": {"llm": judge, "measures": {"backend": "measures"}}, "judge": "llm", "prices": PRICES}
    return str(write_suite(folder, PROMPTS, models, **(settings | more)))


def plan(sciexam: Cli, *args: str) -> dict[str, Any]:
    done = sciexam("plan", *args, "--json")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return dict(json.loads(done.stdout))


def look(folder: Path, *names: str, **options: Any) -> dict[str, Any]:
    """The same object without a process of its own, for the tests that look at numbers."""
    made = plan_ahead(str(folder / "exam.yaml"), *names, results=folder / "results", **options).to_json()
    return dict(json.loads(json.dumps(made, allow_nan=False)))


def rows(outlook: dict[str, Any], orders: str) -> dict[int, dict[str, Any]]:
    return {row["prompts"]: row for row in outlook["designs"] if row["orders"] == orders}


# ---------------------------------------------------------------- without a pilot


def test_without_a_ledger_it_says_what_it_assumes_makes_none_and_calls_nobody(tmp_path: Path, sciexam: Cli) -> None:
    with Endpoint("judge-longer") as endpoint:
        path = suite(tmp_path, endpoint.url)
        before = sorted(tmp_path.rglob("*"))
        done = sciexam("plan", "old", "gpt", "--suite", path)
        assert done.returncode == 0, done.stderr
        assert (sorted(tmp_path.rglob("*")), endpoint.requests) == (before, 0)
    said = " ".join(done.stdout.split())
    assert "llm: no pilot, for there is no ledger at results/ledger.sqlite." in said
    assert "forced choices with 10% ties, and 80% of the verdicts the same in both orders" in said


def test_the_table_holds_what_the_statistics_promise(tmp_path: Path) -> None:
    suite(tmp_path)
    outlook = look(tmp_path, "old", "new", size=70)
    for orders, variance in (("both", 0.175), ("one", 0.225)):
        table = rows(outlook, orders)
        assert list(table) == [25, 40, 50, 70, 100, 200, 500, 1000, 2000]
        for prompts, row in table.items():
            assert row["finds"] == {"value": pytest.approx(detectable_win_rate(prompts, variance)), "why": None}
            assert row["cost"]["verdicts"] == (2 if orders == "both" else 1) * prompts
    assert {row["note"] for row in outlook["designs"]} == {"", "in suite", "asked for"}


def test_every_pair_by_every_judge_is_a_comparison_and_a_call(tmp_path: Path) -> None:
    suite(tmp_path)
    outlook = look(tmp_path, judges=["llm", "measures"], orders="one")
    assert (outlook["comparisons"], outlook["contestants"]) == (6, ["old", "new", "gpt"])
    row = rows(outlook, "one")[100]
    assert row["finds"]["value"] == pytest.approx(detectable_win_rate(100, 0.225, comparisons=6))
    assert (row["cost"]["answers"], row["cost"]["verdicts"]) == (100, 300)


def test_tokens_that_nobody_measured_are_called_an_estimate_and_priced_as_such(tmp_path: Path) -> None:
    suite(tmp_path)
    outlook = look(tmp_path, "old", "gpt")
    gpt, judge = outlook["rates"]
    assert (gpt["who"], gpt["what"], judge["who"], judge["what"]) == ("gpt", "answers", "llm", "verdicts")
    assert gpt["basis"] == "an estimate: 4 characters a token, answers of the length of those at hand"
    assert judge["basis"] == "an estimate: 4 characters a token, replies of 1,024 tokens, their limit"
    assert gpt["output_tokens"] == pytest.approx((10 * 10 + 11 * 30) / PROMPTS / 4)  # "Because 7." .. "Because 17."
    assert judge["usd"] == pytest.approx((judge["input_tokens"] * 0.40 + 1024 * 1.60) / 1e6)
    cost = rows(outlook, "both")[100]["cost"]
    assert cost["usd"] == pytest.approx(100 * gpt["usd"] + 200 * judge["usd"])
    assert cost["input_tokens"] == pytest.approx(100 * gpt["input_tokens"] + 200 * judge["input_tokens"])


def test_what_has_no_price_is_not_priced_and_a_budget_for_it_is_a_sentence(tmp_path: Path, sciexam: Cli) -> None:
    path = suite(tmp_path, prices={})
    outlook = plan(sciexam, "old", "gpt", "--suite", path, "--budget", "5")
    assert outlook["unpriced"] == ["gpt-x", "judge-1"]
    assert {row["cost"]["usd"] for row in outlook["designs"]} == {None}
    assert outlook["budget"]["why"] == "what a call of gpt-x, judge-1 costs is not known"
    said = " ".join(sciexam("plan", "old", "gpt", "--suite", path, "--effect", "0.6").stdout.split())
    assert "Not priced: gpt-x, judge-1." in said
    assert "`prices: {gpt-x: {input: ..., output: ...}}`" in said
    assert "368 calls (not priced)" in said
    assert "USD calls" not in said


def test_what_calls_no_model_costs_nothing(tmp_path: Path, sciexam: Cli) -> None:
    done = sciexam("plan", "old", "new", "--suite", suite(tmp_path), "--judge", "measures", "--budget", "1")
    said = " ".join(done.stdout.split())
    assert "Nothing: no model is called" in said
    assert "For 1.00 USD: no model is called, so nothing has to be paid." in said
    assert "order" not in said.split("What this rests on")[0]


def test_files_of_answers_need_no_suite(tmp_path: Path, sciexam: Cli) -> None:
    for name in ("a", "b"):
        write_jsonl(tmp_path / f"{name}.jsonl", [{"prompt": f"Why is {i}?", "text": f"{name} {i}"} for i in range(12)])
    outlook = plan(sciexam, "a.jsonl", "b.jsonl")
    assert (outlook["contestants"], outlook["prompts"], outlook["answered"]) == (["a", "b"], 12, 12)
    assert outlook["next"] == ["sciexam compare a.jsonl b.jsonl"]


def test_a_contestant_that_is_yet_to_be_trained_can_be_planned_for(tmp_path: Path, sciexam: Cli) -> None:
    old = {"responses": answers(tmp_path, "old", ["Because."] * PROMPTS)}
    models = {"old": old, "sft": {"weights": "meta-llama/Llama-2-7b"}}
    path = str(write_suite(tmp_path, PROMPTS, models))
    outlook = plan(sciexam, "--suite", path)
    (ground,) = outlook["grounds"]
    assert ground["source"] == "assumed"
    missing = "sft: weights: meta-llama/Llama-2-7b is not in the local cache"
    assert ground["why"].startswith(missing)
    assert outlook["unpriced"] == []
    why, then, command = outlook["next"]
    assert why.startswith(missing), "and so no pilot is advised either"
    assert (then, command) == ("then:", f"sciexam compare --suite {path}")


def test_files_of_answers_take_a_file_of_prompts_and_a_rubric_as_compare_does(tmp_path: Path, sciexam: Cli) -> None:
    for name in ("a", "b"):
        write_jsonl(tmp_path / f"{name}.jsonl", [{"prompt": f"p{i}", "text": f"{name} {i}"} for i in range(12)])
    write_jsonl(tmp_path / "asked.jsonl", [{"id": f"p{i}", "text": f"Why is it {i}?"} for i in range(12)])
    named = ["a.jsonl", "b.jsonl", "--judge", "openai:gpt-4"]
    refused = sciexam("plan", *named)
    assert (refused.returncode, "give the questions with --prompts FILE" in refused.stderr) == (2, True)
    outlook = plan(sciexam, *named, "--prompts", "asked.jsonl", "--rubric", "science-explanation")
    options = ["--rubric", "science-explanation", "--prompts", "asked.jsonl"]
    command = " ".join(["sciexam compare", *named, *options])
    key = "api.openai.com/v1: no key for the model 'gpt-4'; set OPENAI_API_KEY"
    assert outlook["next"] == [key, "then:", command]


def test_the_limit_counts_prompts_of_the_suite_and_reaches_as_many_as_are_answered(tmp_path: Path) -> None:
    path = suite(tmp_path)
    for name in ("old", "new"):
        write_jsonl(
            tmp_path / f"{name}.jsonl", [{"prompt": f"q{i}", "text": f"{name} {i}"} for i in range(1, PROMPTS, 2)]
        )
    outlook = look(tmp_path, "old", "new", judges=["measures"], effect=0.9)
    (design,) = outlook["effect"]["designs"]
    assert (outlook["answered"], design["prompts"]) == (20, 11)
    command = f"sciexam compare old new --judge measures --limit 22 --suite {path}"
    assert outlook["next"] == [command], "q1, q3 .. q21 are the answered ones among the first 22"


def test_a_judge_of_ones_own_is_not_said_to_cost_nothing(tmp_path: Path) -> None:
    class Mine:
        name = digest = "mine"

        def judge(self, presentations: Any) -> Any:
            raise AssertionError("a plan asks nobody")

    loaded = sx.load_suite(suite(tmp_path))
    outlook = plan_ahead(loaded, "old", "new", judges=[Mine()], budget=3, results=tmp_path / "results")
    assert outlook.uncounted == ("mine",)
    assert outlook.budget is not None
    assert outlook.budget.why == "what a call of mine costs is not known"
    said = [line for heading, lines in sections(outlook) if heading == "What it costs" for line in lines]
    assert said == ["Not counted: whatever mine may call, for it is of your own making."]


def test_recorded_verdicts_are_free_for_the_prompts_they_are_on_and_judge_no_others(sciexam: Cli) -> None:
    def planned(*words: str) -> list[str]:
        next_ones: list[str] = json.loads(sciexam("plan", "base", "sft", *words, "--json").stdout)["next"]
        return next_ones

    said = " ".join(sciexam("plan", "base", "sft").stdout.split())
    assert "Nothing for the prompts that are there: no model is called" in said
    assert "whoever judges more prompts, for the verdicts of tiny are recorded and end with those that are" in said
    steps = planned("--effect", "0.52")
    more = "let people judge more, or a judge that can be asked; what one costs:"
    assert steps[-2:] == [
        f"the verdicts of tiny are recorded and end with the prompts that are there: {more}",
        f"sciexam plan base sft --judge {READER} --effect 0.52",
    ]
    assert not any(step.startswith("sciexam compare") for step in steps)
    assert (
        planned("--judge", "tiny", "--judge", "truth", "--size", "300")[-1]
        == "sciexam plan base sft --judge truth --size 300"
    )
    assert planned() == ["sciexam compare base sft"]


def test_a_shipped_judge_of_the_toy_world_is_known_to_call_nobody(tmp_path: Path) -> None:
    outlook = plan_ahead("science", "base", "sft", judges=["truth"], results=tmp_path / "results")
    said = [line for heading, lines in sections(outlook) if heading == "What it costs" for line in lines]
    assert said == ["Nothing: no model is called, for answers and verdicts are recorded or measured offline."]


# ---------------------------------------------------------------- with a pilot


@pytest.fixture(scope="module")
def piloted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose ledger holds a pilot of all prompts by `llm` in both orders, on old and new."""
    folder = tmp_path_factory.mktemp("pilot")
    with Endpoint(reply=fickle) as endpoint:
        report = sx.compare(sx.load_suite(suite(folder, endpoint.url)), "old", "new", results=folder / "results")
    (folder / "pilot.json").write_text(json.dumps(report.to_json()))
    return folder


@pytest.fixture
def judged(piloted: Path, tmp_path: Path) -> Path:
    """The pilot's folder for one test alone. The endpoint is gone: a call would fail."""
    shutil.copytree(piloted, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_a_pilot_replaces_the_assumptions_and_nothing_is_called_or_written(judged: Path, sciexam: Cli) -> None:
    ledger = judged / "results" / "ledger.sqlite"

    def digest() -> str:
        return hashlib.sha256(ledger.read_bytes()).hexdigest()

    before, files = digest(), sorted(judged.rglob("*"))
    outlook = plan(sciexam, "old", "new", "--suite", "exam.yaml")
    assert (digest(), sorted(judged.rglob("*"))) == (before, files)
    (ground,) = outlook["grounds"]
    assert (ground["source"], ground["why"]) == ("pilot", "40 prompts in results/ledger.sqlite")
    spread = ground["components"]
    assert (spread["prompts"], spread["orders"], spread["samples"]) == (40, 2, 1)
    assert spread["order"]["value"] > 0.02
    assert spread["sample"] == {"value": None, "why": "no prompt has more than one sample"}


def test_a_pilot_stands_when_its_files_of_answers_have_grown(judged: Path) -> None:
    before = look(judged, "old", "new")["grounds"]
    people = [
        {"prompt": f"q{i}", "first": "old", "second": "new", "preferred": "tie" if i % 3 else "first"}
        for i in range(20)
    ]
    write_jsonl(judged / "people.jsonl", [one | {"rater": "ann", "kind": "human"} for one in people])
    sx.compare(
        str(judged / "exam.yaml"), "old", "new", judges=[str(judged / "people.jsonl")], results=judged / "results"
    )
    for name in ("old", "new"):
        with (judged / f"{name}.jsonl").open("a") as file:
            file.write(json.dumps({"prompt": "q900", "text": "Because."}) + "\n")
    with (judged / "prompts.jsonl").open("a") as file:
        file.write(json.dumps({"id": "q900", "text": "Why?"}) + "\n")
    grown = look(judged, "old", "new", labels=20)
    assert grown["prompts"] == PROMPTS + 1
    assert grown["grounds"] == before
    assert grown["labels"]["source"] == "labels vary as those on 20 prompts in the ledger do"


def test_a_judge_that_is_a_coin_and_goes_by_place_is_told_so(tmp_path: Path) -> None:
    models = {
        name: {"responses": answers(tmp_path, name, [f"{name} {i}" for i in range(12)])} for name in ("old", "new")
    }

    def verdicts(name: str, kind: str, firsts: int) -> dict[str, str]:
        shown = [("old", "new"), ("new", "old")]
        rows = [
            {"prompt": f"q{i}", "first": a, "second": b, "rater": name, "kind": kind}
            | {"preferred": "first" if i < firsts or a == "new" else "second"}
            for i in range(12)
            for a, b in shown
        ]
        return {"backend": "recorded", "verdicts": write_jsonl(tmp_path / f"{name}.jsonl", rows).name}

    judges = {
        "jury": verdicts("jury", "judge", 11),
        "fine": verdicts("fine", "judge", 0),
        "ann": verdicts("ann", "human", 0),
    }
    path = str(write_suite(tmp_path, 12, models, judges=judges, judge="jury"))
    for judge in ("jury", "fine"):
        sx.validate(path, judge, humans=["ann"], results=tmp_path / "results")
    outlook = plan_ahead(path, judges=["jury", "fine"], results=tmp_path / "results")
    jury, fine = outlook.grounds
    assert jury.held == (
        "held against 1 annotator: 0.54 of 12, not told from a coin: more prompts tell what it prefers, and not what "
        "people do"
    )
    assert jury.leaning.startswith("favours the answer shown first (position bias 0.9")
    assert (fine.held, fine.leaning) == ("held against 1 annotator: 1.00 of 12", "")
    said = [line for _, lines in sections(outlook) for line in lines]
    assert f"jury: {jury.held}." in said
    assert any(line.startswith(f"jury {jury.leaning}: what the order decides") for line in said)
    fault = f"jury was not told from a coin by the people who judged and {jury.leaning}, which more prompts do not mend"
    sound = f"sciexam plan --judge fine --size 12 --suite {path}"
    assert outlook.next == (f"{fault}; to plan without it:", sound)
    by_jury = plan_ahead(path, judges=["jury"], effect=0.6, results=tmp_path / "results").next
    another = f"sciexam validate {READER} --suite {path}"
    assert by_jury == (f"{fault}; to ask another:", another)
    alone = plan_ahead(path, judges=["fine"], results=tmp_path / "results")
    assert alone.grounds == (fine,)
    assert "sciexam compare --judge fine" in alone.next[-1]


def test_the_pilots_table_follows_from_its_scores_and_its_cost_from_its_tokens(judged: Path) -> None:
    outlook = look(judged, "old", "new")
    stored = sx.load_suite(str(judged / "exam.yaml"))
    report = json.loads((judged / "results" / "exam" / pilot(judged)["run"] / "report.json").read_text())
    scores = [
        sum(1.0 if o["preferred"] == "new" else 0.5 if o["preferred"] == "tie" else 0.0 for o in item["opinions"]) / 2
        for item in report["items"]
    ]
    assert len(scores) == len(stored.prompts) == 40
    variance = variance_at_one_half(scores)
    assert not isinstance(variance, Undefined)
    both = rows(outlook, "both")
    assert both[200]["finds"]["value"] == pytest.approx(detectable_win_rate(200, variance), abs=1e-6)
    (rate,) = outlook["rates"]
    calls = pilot(judged)["calls"]
    assert rate["basis"] == "measured in 80 replies"
    assert (rate["input_tokens"], rate["output_tokens"]) == (calls["input_tokens"] / 80, calls["output_tokens"] / 80)
    cost = both[40]["cost"]
    assert (cost["verdicts"], cost["stored"], cost["usd_left"]) == (80, 80, pytest.approx(0.0, abs=1e-9))
    assert cost["usd"] == pytest.approx(calls["usd"])
    assert rows(outlook, "one")[40]["cost"]["stored"] == 40


def pilot(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "pilot.json").read_text()))


def test_an_effect_a_budget_and_both_together_say_whether_it_is_enough(judged: Path) -> None:
    outlook = look(judged, "old", "new", effect=0.55)
    both, one = outlook["effect"]["designs"]
    ground = outlook["grounds"][0]
    for design in (both, one):
        assert design["prompts"] == prompts_needed(0.55, 0.25 / ground["worth"][design["orders"]])
        assert design["finds"]["value"] <= 0.55
    assert both["prompts"] < one["prompts"] < 2 * both["prompts"]
    enough = one["cost"]["usd_left"]

    for usd, said, last in ((1.2 * enough, "are enough", 0.55), (0.5 * enough, "are not enough", None)):
        asked = look(judged, "old", "new", effect=0.55, budget=usd)
        assert f"{usd:,.2f} USD {said} to find a win rate of 0.55" in asked["conclusion"][0]
        bought = asked["budget"]
        for design in bought["designs"]:
            assert design["cost"]["usd_left"] <= usd < design["cost"]["usd_left"] * 1.02
        finds = [design["finds"]["value"] for design in bought["designs"]]
        assert bought["best"]["finds"]["value"] == min(finds)
        assert (bought["best"]["finds"]["value"] <= 0.55) == (last is not None)
        assert bought["within"]["prompts"] == 40  # there are no more


def test_the_command_to_type_next_is_one_that_works(judged: Path, sciexam: Cli) -> None:
    outlook = plan(sciexam, "old", "new", "--suite", "exam.yaml", "--effect", "0.9", "--orders", "one")
    (command,) = outlook["next"]
    design = outlook["effect"]["designs"][0]
    limit = str(design["prompts"])
    words = ["sciexam", "compare", "old", "new", "--orders", "one", "--limit", limit, "--suite", "exam.yaml"]
    assert shlex.split(command) == words
    done = sciexam(*words[1:], "--json")  # its verdicts are all in the pilot, in whichever order is drawn
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["prompts"], report["calls"]["made"]) == (design["prompts"], 0)


def test_prompts_that_are_missing_are_asked_for_before_the_command(judged: Path, sciexam: Cli) -> None:
    done = sciexam("plan", "old", "new", "--suite", "exam.yaml", "--effect", "0.6")
    needed = [int(number) for number in re.findall(r"To find a win rate of 0.6 takes (\d+) prompts", done.stdout)]
    assert len(needed) == 2
    assert (
        f"write {needed[1] - 40} more prompts, and put an answer of everyone to each into the files: suite exam has 40"
    ) in " ".join(done.stdout.split())  # one order is cheaper, by its price
    assert done.stdout.rstrip().endswith("\n    sciexam compare old new --orders one --suite exam.yaml")


def test_without_a_price_one_order_is_no_cheaper_and_both_are_taken(piloted: Path) -> None:
    exam = sx.load_suite(str(piloted / "exam.yaml")).model_copy(update={"prices": {}})
    outlook = plan_ahead(exam, "old", "new", effect=0.6, results=piloted / "results")
    assert outlook.effect is not None
    takes = {design.orders: design.prompts for design in outlook.effect.designs}
    assert takes["both"] < takes["one"]
    assert outlook.next[0].startswith(f"write {takes['both'] - 40} more prompts, ")
    assert "--orders" not in outlook.next[-1]


def test_a_judge_that_costs_nothing_is_no_cheaper_in_one_order_and_no_budget_is_spent_on_it(piloted: Path) -> None:
    exam = sx.load_suite(str(piloted / "exam.yaml"))
    free = {name: price.model_copy(update={"input": 0.0, "output": 0.0}) for name, price in exam.prices.items()}
    exam = exam.model_copy(update={"prices": free})
    outlook = plan_ahead(exam, "old", "new", effect=0.6, results=piloted / "results")
    assert "--orders" not in outlook.next[-1]
    bought = plan_ahead(exam, "old", "new", budget=1, results=piloted / "results")
    assert bought.budget is not None
    assert bought.budget.why == "every call costs nothing"
    assert len(bought.next) == 1, "no more prompts are to be written"


def test_where_both_orders_find_it_with_the_prompts_that_are_there_they_are_taken(judged: Path, sciexam: Cli) -> None:
    outlook = plan(sciexam, "old", "new", "--suite", "exam.yaml", "--effect", "0.71")
    both, one = outlook["effect"]["designs"]
    assert both["prompts"] <= 40 < one["prompts"]
    assert outlook["next"] == [f"sciexam compare old new --limit {both['prompts']} --suite exam.yaml"]


def test_labels_by_people_count_for_more_with_the_judge_that_agrees_with_them(judged: Path, sciexam: Cli) -> None:
    assumed = look(judged, "old", "new", labels=30, size=300)["labels"]
    assert [(one["source"], one["correlation"]) for one in assumed["joint"]] == [
        ("assumed", 0.3),
        ("assumed", 0.5),
        ("assumed", 0.7),
    ]
    assert [one["worth"] for one in assumed["joint"]] == pytest.approx(
        [30 / (1 - rho**2 * 270 / 300) for rho in (0.3, 0.5, 0.7)]
    )
    told = json.loads((judged / "results" / "exam" / pilot(judged)["run"] / "report.json").read_text())["items"]
    people = [
        {
            "prompt": item["prompt"],
            "first": "old",
            "second": "new",
            "preferred": {"old": "first", "new": "second", "tie": "tie"}[item["opinions"][0]["preferred"]],
            "rater": "ann",
            "kind": "human",
        }
        for item in told
    ]
    write_jsonl(judged / "people.jsonl", people)
    assert sciexam("compare", "old", "new", "--suite", "exam.yaml", "--judge", "people.jsonl").returncode == 0
    outlook = look(judged, "old", "new", labels=30, size=300)
    assert outlook["comparisons"] == 1
    (joint,) = outlook["labels"]["joint"]
    assert joint["source"] == "measured"
    assert 0.5 < joint["correlation"] < 1
    assert outlook["labels"]["source"] == "labels vary as those on 40 prompts in the ledger do"
    assert joint["finds"]["value"] < outlook["labels"]["alone"]["value"]
    apart = look(judged, "old", "new", judges=["llm", str(judged / "people.jsonl")], labels=30, size=300)["labels"]
    assert [one["judge"] for one in apart["joint"]] == ["llm"], "people's own verdicts add nothing to their labels"
    everything = look(judged, "old", "new", labels=40)["labels"]
    assert everything["judged"] == 0
    assert {one["worth"] for one in everything["joint"]} == {40.0}


def test_people_are_asked_to_judge_before_they_are_compared_by_and_that_is_the_cost(judged: Path, sciexam: Cli) -> None:
    people = [
        {"prompt": f"q{i}", "first": "old", "second": "new", "preferred": "tie" if i % 3 else "first"}
        for i in range(20)
    ]
    write_jsonl(judged / "people.jsonl", [one | {"rater": "ann", "kind": "human"} for one in people])
    exam = ("--suite", "exam.yaml")
    assert sciexam("compare", "old", "new", *exam, "--judge", "people.jsonl").returncode == 0
    done = sciexam("plan", "old", "new", *exam, "--judge", "humans", "--size", "60")
    said = " ".join(done.stdout.split())
    assert "- 40 judgements by people, if one of them judges each comparison; no model is called." in said
    assert "Nothing: no model" not in said
    outlook = plan(sciexam, "old", "new", *exam, "--judge", "humans", "--size", "60")
    assert outlook["next"][1:] == [
        "then let people judge the answers, blind:",
        "sciexam annotate serve old new --suite exam.yaml",
        "then:",
        "sciexam compare old new --judge humans --suite exam.yaml",
    ]
    labels = look(judged, "old", "new", labels=30)
    assert labels["judgements"] == 10
    assert "sciexam annotate serve old new --draw 30 --suite" in labels["next"][-3]
    assert look(judged, "old", "new", labels=20)["judgements"] == 0


def test_samples_are_weighed_where_the_pilot_had_several(tmp_path: Path) -> None:
    with Endpoint(reply=lambda body: fickle(body) if nonce_of(prompt_of(body)) else f"{random.random()}") as endpoint:
        model = {"backend": "openai", "base_url": endpoint.url, "api_key_env": None}
        models = {name: {**model, "model": name} for name in ("one", "two")}
        judge = {**model, "model": "judge-1"}
        generation = {"temperature": 1.0, "samples": 2, "max_tokens": 64}
        prices = {name: {"input": 0.1, "output": 0.4} for name in ("one", "two", "judge-1")}
        path = write_suite(
            tmp_path, 12, models, judges={"llm": judge}, judge="llm", generation=generation, prices=prices
        )
        results = tmp_path / "results"
        sx.compare(sx.load_suite(str(path)), results=results)
        outlook = plan_ahead(str(path), budget=0.05, results=results)
    (ground,) = outlook.grounds
    assert not isinstance(ground.components.sample, Undefined)
    assert ground.components.samples == 2
    assert outlook.budget is not None
    assert {(d.orders, d.samples) for d in outlook.budget.designs} == {
        (orders, samples) for orders in ("both", "one") for samples in (1, 2, 4)
    }
    fixed = plan_ahead(str(path), budget=0.05, samples=2, results=results)
    assert fixed.budget is not None
    assert {d.samples for d in fixed.budget.designs} == {2}
    more = plan_ahead(str(path), samples=4, results=results).next[-1]
    assert more == f"sciexam compare --samples 4 --suite {path}", "the command asks for as many as were planned"
    assert [rate.basis for rate in outlook.rates] == ["measured in 24 replies"] * 2 + ["measured in 48 replies"]


def test_answers_that_are_in_the_ledger_are_paid_for_already_though_nobody_judged_them(tmp_path: Path) -> None:
    with Endpoint(reply=fickle) as endpoint:
        loaded = sx.load_suite(suite(tmp_path, endpoint.url))
        sx.compare(loaded, "old", "gpt", judges=["measures"], results=tmp_path / "results")
        asked = endpoint.requests
        outlook = look(tmp_path, "old", "gpt")
        assert endpoint.requests == asked == PROMPTS
    assert [ground["source"] for ground in outlook["grounds"]] == ["assumed"]
    assert outlook["rates"][0]["basis"] == f"measured in {PROMPTS} replies"
    assert rows(outlook, "both")[PROMPTS]["cost"]["stored"] == PROMPTS


def test_two_equal_answers_are_one_call_and_one_verdict_in_every_count(tmp_path: Path, sciexam: Cli) -> None:
    for name in ("old", "new"):
        lines = [{"prompt": f"Why is {i}?", "text": f"Because {'' if i < 3 else name}"} for i in range(12)]
        write_jsonl(tmp_path / f"{name}.jsonl", lines)
    with Endpoint("judge-first") as endpoint:
        env = {"OPENAI_BASE_URL": endpoint.url, "OPENAI_API_KEY": "none"}
        typed = ("old.jsonl", "new.jsonl", "--judge", "openai:m")
        before = sciexam("plan", *typed, "--json", env=env).stdout
        found = json.loads(sciexam("compare", *typed, "--json", env=env).stdout)
        asked = endpoint.requests
    after = sciexam("plan", *typed, env=env).stdout
    assert asked == 2 * 12 - 3
    (cost,) = [d["cost"] for d in json.loads(before)["designs"] if (d["prompts"], d["orders"]) == (12, "both")]
    assert cost["verdicts"] == asked == found["calls"]["made"]
    (pair,) = found["pairs"]
    assert pair["verdicts"] == {"ok": asked, "invalid": 0, "failed": 0}
    said = " ".join(after.split())
    assert f"{asked} of its calls are in the ledger" in said
    assert (
        "3 of 12 pairs of answers at hand are two equal texts, of which a judge is asked once for both orders" in said
    )
    (page,) = (tmp_path / "results").glob("*/*/report.html")
    assert page.read_text().count("two equal texts: asked once for both orders") == 3
    (told,) = [one for one in found["caveats"] if "two equal texts" in one]
    assert told.startswith("3 of 12 comparisons are of two equal texts: a judge is asked once for both orders")


def test_a_text_that_three_gave_is_counted_in_every_pair_and_is_not_owed_again(tmp_path: Path, sciexam: Cli) -> None:
    names = ("a", "b", "c")
    for name in names:
        lines = [{"prompt": f"Why is {i}?", "text": f"Because {'' if i < 4 else name}"} for i in range(12)]
        write_jsonl(tmp_path / f"{name}.jsonl", lines)
    with Endpoint("judge-first") as endpoint:
        env = {"OPENAI_BASE_URL": endpoint.url, "OPENAI_API_KEY": "none"}
        typed = (*(f"{name}.jsonl" for name in names), "--judge", "openai:m")
        found = json.loads(sciexam("compare", *typed, "--json", env=env).stdout)
        early = ("--until-decided", "--margin", "0.01")
        decided = json.loads(sciexam("compare", *typed, *early, "--json", env=env).stdout)
    planned = json.loads(sciexam("plan", *typed, "--json", env=env).stdout)
    looks = 2 * 12 - 4
    assert [pair["verdicts"]["ok"] for pair in found["pairs"]] == [looks, looks, looks]
    assert [pair["verdicts"]["ok"] for pair in decided["pairs"]] == [looks, looks, looks]
    (cost,) = [d["cost"] for d in planned["designs"] if (d["prompts"], d["orders"]) == (12, "both")]
    assert (cost["verdicts"], cost["stored"]) == (3 * looks, 3 * looks)


def test_a_board_counts_two_equal_answers_as_one_verdict(tmp_path: Path, sciexam: Cli) -> None:
    for name in ("a", "b"):
        lines = [{"prompt": f"Why is {i}?", "text": f"Because {'' if i < 4 else name}"} for i in range(12)]
        write_jsonl(tmp_path / f"{name}.jsonl", lines)
    with Endpoint(lambda body: "No verdict.") as endpoint:
        env = {"OPENAI_BASE_URL": endpoint.url, "OPENAI_API_KEY": "none"}
        typed = ("a.jsonl", "b.jsonl", "--judge", "openai:m")
        found = json.loads(sciexam("leaderboard", *typed, "--json", env=env).stdout)
    looks = (2 * 12 - 4) + 2 * 12  # of b against a, and of the null contestant against the baseline
    assert any(f"{looks} of {looks} verdicts are invalid or failed" in caveat for caveat in found["caveats"])


def test_the_correlation_with_people_is_within_pairs(tmp_path: Path) -> None:
    """Judge and people agree on which contestant is best, and in no pair on which prompts favour it."""
    texts = {name: answers(tmp_path, name, [f"{name} {i}" for i in range(20)]) for name in ("a", "b", "c")}
    path = write_suite(tmp_path, 20, {name: {"responses": file} for name, file in texts.items()})
    shares = {("a", "b"): 16, ("a", "c"): 16, ("b", "c"): 4}  # prompts of 20 that the second one wins

    def verdicts(name: str, kind: str, turned: bool) -> str:
        wins = {pair: [(19 - i if turned else i) < won for i in range(20)] for pair, won in shares.items()}
        lines = [
            {"prompt": f"q{i}", "first": a, "second": b, "preferred": "second" if won else "first"}
            for (a, b), listed in wins.items()
            for i, won in enumerate(listed)
        ]
        write_jsonl(tmp_path / f"{name}.jsonl", [line | {"rater": name, "kind": kind} for line in lines])
        return str(tmp_path / f"{name}.jsonl")

    judges = [verdicts("gpt", "judge", False), verdicts("ann", "human", True)]
    sx.compare(sx.load_suite(str(path)), judges=judges, results=tmp_path / "results")
    outlook = look(tmp_path, judges=judges[:1], labels=10)
    (joint,) = outlook["labels"]["joint"]
    # Within each pair the rarer outcome falls on four prompts, never the same for both: phi = -(4 / 20) / (16 / 20).
    assert (joint["source"], joint["correlation"]) == ("measured", pytest.approx(-0.25))


# ---------------------------------------------------------------- what it refuses, and how it shows


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--effect", "0.5"), "--effect: the win rate to find, between 0 and 1 and not one half, not 0.5"),
        (("--effect", "1"), "--effect: the win rate to find"),
        (("--budget", "0"), "--budget: a sum of USD above 0, not 0"),
        (("--power", "1"), "--power: the probability of finding the effect"),
        (("--size", "0"), "--size: 1 or more, not 0"),
        (("--samples", "0"), "--samples: 1 or more, not 0"),
        (("--labels", "99"), "--labels: 99 of 40 prompts"),
        (("--judge", "llm", "--judge", "llm"), "two judges are called 'llm'; name each once, and no two the same"),
        (("--judge", "lm"), "'lm' is not a judge of suite 'exam'; did you mean 'llm'?"),
        (("--store", "mysql://x/y"), "--store: a ledger is a file, or a database at postgresql://"),
    ],
)
def test_what_cannot_be_planned_is_refused_with_what_to_type(
    tmp_path: Path, sciexam: Cli, args: tuple[str, ...], said: str
) -> None:
    done = sciexam("plan", "old", "new", "--suite", suite(tmp_path), *args)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == ""


def test_one_contestant_and_an_unknown_one_are_refused(tmp_path: Path, sciexam: Cli) -> None:
    path = suite(tmp_path)
    for names, said in ((("old",), "needs two contestants"), (("old", "nwe"), "did you mean 'new'?")):
        done = sciexam("plan", *names, "--suite", path)
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_a_ledger_that_cannot_be_read_is_exit_5(tmp_path: Path, sciexam: Cli) -> None:
    (tmp_path / "broken.sqlite").write_bytes(
        b"this is no ledger, and long enough not to be taken for an empty one" * 99
    )
    done = sciexam("plan", "old", "new", "--suite", suite(tmp_path), "--store", "broken.sqlite")
    assert (done.returncode, "not a ledger" in done.stderr) == (5, True), done.stderr


def test_no_figure_is_ever_nan_and_none_is_missing_without_a_sentence(judged: Path, sciexam: Cli) -> None:
    done = sciexam("plan", "--suite", "exam.yaml", "--effect", "0.500001", "--budget", "1e-9", "--json")
    outlook = json.loads(done.stdout, parse_constant=lambda word: pytest.fail(word))
    assert outlook["effect"]["designs"] == []
    assert outlook["effect"]["why"] == "more than 10,000,000 prompts would be needed"
    for row in outlook["designs"]:
        assert (row["finds"]["value"] is None) == (row["finds"]["why"] is not None)
    shown = sciexam("plan", "--suite", "exam.yaml", "--effect", "0.500001", "--budget", "1e-9").stdout
    assert not re.search(r"\b(nan|inf|None|Undefined)\b", shown)


def test_a_hostile_name_reaches_the_terminal_as_nothing_but_text(tmp_path: Path) -> None:
    models = {
        name: {"responses": answers(tmp_path, f"m{i}", ["Because."] * 12)} for i, name in enumerate(("a/b_c_", "d:e"))
    }
    path = write_suite(tmp_path, 12, models)
    loaded = sx.load_suite(str(path)).model_copy(update={"name": "x\x1b[31m<b>|[bold]"})
    outlook = plan_ahead(loaded, results=tmp_path / "results")
    from rich.console import Console

    from sciexam.report.planning.outlook_text import print_outlook

    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    print_outlook(outlook, console)
    shown = console.export_text()
    assert "\x1b" not in shown
    assert "<b>|[bold]" in shown


def test_the_shipped_suite_can_be_planned_before_and_after_its_exam(tmp_path: Path, sciexam: Cli) -> None:
    before = plan(sciexam, "base", "sft")
    assert (before["prompts"], before["answered"], before["grounds"][0]["source"]) == (100, 100, "assumed")
    assert sciexam("compare", "base", "sft").returncode == 0
    after = plan(sciexam, "base", "sft")
    assert (after["grounds"][0]["source"], after["grounds"][0]["why"]) == (
        "pilot",
        "100 prompts in results/ledger.sqlite",
    )
    assert after["next"] == ["sciexam compare base sft"]


# ---------------------------------------------------------------- the figure for a report


def test_a_report_says_what_its_prompts_find_and_what_more_would() -> None:
    scores = [1.0] * 14 + [0.0] * 10
    assert outlook_sentence(scores) == (
        f"With 24 prompts like these a win rate of {detectable_win_rate(24):.2f} is found with a probability of 80%; "
        f"to find 0.60 takes about {prompts_needed(0.6)} prompts."
    )
    many = prompts_needed(0.55, comparisons=10)
    assert f"takes about {many:,} prompts" in outlook_sentence(scores, comparisons=10, effect=0.55)
    assert (outlook_sentence([1.0]), curve_of([1.0]), takes_of([1.0])) == ("", (), ())
    assert outlook_sentence([1, 0, 1]).startswith("Fewer than 10 prompts find hardly anything; to find 0.60")


def test_what_it_takes_to_find_an_effect_is_what_the_plan_says(sciexam: Cli, tmp_path: Path) -> None:
    assert takes_of([1.0] * 14 + [0.0] * 10)[0] == (0.6, prompts_needed(0.6))
    for name, texts in (
        ("old", ["Air.", "Ice.", "Because rust is iron oxide."]),
        ("new", ["Because.", "So it is.", "So."]),
    ):
        answers(tmp_path, name, texts)
    compared, planned = (
        " ".join(sciexam(*words, "old.jsonl", "new.jsonl", *more).stdout.split())
        for words, more in ((["compare"], []), (["plan"], ["--effect", "0.6"]))
    )
    (takes, lacking), *_ = re.findall(r"takes about (\d+) prompts, (\d+) more than were used", compared)
    assert f"To find a win rate of 0.6 takes {takes} prompts" in planned
    assert f"write {lacking} more prompts" in planned


def test_a_verdict_that_could_not_be_used_is_paid_for_all_the_same(sciexam: Cli, tmp_path: Path) -> None:
    """`compare` asks for it again only with --retry-invalid, so the plan does not count it as still to pay."""
    with Endpoint("judge-garbage") as endpoint:
        judge = {"backend": "openai", "model": "m", "base_url": endpoint.url, "api_key_env": None}
        models = {
            name: {"responses": answers(tmp_path, name, [f"{name} {i}" for i in range(6)])} for name in ("base", "sft")
        }
        exam = str(write_suite(tmp_path, 6, models, judges={"gpt": judge}))
        assert sciexam("compare", "-s", exam, cwd=tmp_path).returncode == 3
        asked = endpoint.requests
        done = sciexam("plan", "-s", exam, "--size", "6", "--orders", "both", "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        (row,) = (row for row in json.loads(done.stdout)["designs"] if row["prompts"] == 6 and row["orders"] == "both")
        assert row["cost"]["stored"] == asked


def test_a_key_that_is_not_set_is_what_has_to_be_there_first(sciexam: Cli, tmp_path: Path) -> None:
    models = {name: {"responses": answers(tmp_path, name, ["yes"] * 6)} for name in ("base", "sft")}
    judge = {"backend": "openai", "model": "m", "base_url": "https://far.invalid/v1", "api_key_env": "NO_SUCH_KEY"}
    exam = str(write_suite(tmp_path, 6, models, judges={"gpt": judge}))
    done = sciexam("plan", "-s", exam, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["next"][0] == "far.invalid/v1: no key for the model 'm'; set NO_SUCH_KEY"
