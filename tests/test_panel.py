"""Several judges as one: what the panel says, what it would say without each of them, and what it costs."""

from __future__ import annotations

import hashlib
import random
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import sciexam as sx
from conftest import Cli, answers, write_jsonl, write_suite
from endpoint import Behaviour, Body, Endpoint, answers_of, nonce_of, prompt_of
from sciexam.battles import Battle
from sciexam.check import check
from sciexam.errors import DocumentError, UsageError
from sciexam.exam import reporting
from sciexam.exam.facts import read_facts
from sciexam.exam.plan import make_plan
from sciexam.exam.stored import stored_of
from sciexam.judges.settings import MeasuresJudge, RewardsJudge
from sciexam.models.terms import USUAL
from sciexam.report import wording
from sciexam.report.calls import Calls
from sciexam.report.evidence import Bench
from sciexam.report.panel import Member, Panel
from sciexam.report.record import Pair, Report
from sciexam.report.reliability import Reliability, reliability_of
from sciexam.stats import Undefined
from sciexam.store import Store

PROMPTS = 120
TRUTH = 0.75  # of the prompts, on which `new` has the higher quality
ACCURACY = {"sharp": 0.95, "fair": 0.8, "weak": 0.6}

TWO = ("old", "new")


def judging(accuracies: Mapping[str, float]) -> Behaviour:
    """Judges by the name of their model: each names the answer of higher quality with its accuracy, in both orders."""

    def reply(body: Body) -> str:
        texts = answers_of(prompt_of(body))
        qualities = [int((re.findall(r"quality (\d+)", text) or ["0"])[0]) for text in texts]
        drawn = hashlib.sha256("\0".join([body["model"], *sorted(texts)]).encode()).digest()
        right = int.from_bytes(drawn[:8]) / 2**64 < accuracies[body["model"]]
        first = (qualities[0] > qualities[1]) == right
        return f"I looked at both.\nVERDICT {nonce_of(prompt_of(body))}: {'A>B' if first else 'B>A'}"

    return reply


def suite(
    folder: Path, url: str, judges: Mapping[str, Any], prompts: int = PROMPTS, models: Any = None, **more: Any
) -> sx.Suite:
    """`new` has the higher quality on three prompts of four, and every judge of ACCURACY is there with its spammers."""
    rng = random.Random(5)
    better = [True] * round(TRUTH * prompts) + [False] * (prompts - round(TRUTH * prompts))
    rng.shuffle(better)
    texts = {
        name: [f"Because of {i}, quality {5 + (2 if up == (name == 'new') else 0)}." for i, up in enumerate(better)]
        for name in ("old", "new")
    }
    recorded = {name: {"responses": answers(folder, name, listed)} for name, listed in texts.items()}
    llm = {"backend": "openai", "base_url": url, "api_key_env": None}
    singles = {name: {**llm, "model": name} for name in ("sharp", "fair", "weak", "spammer")}
    path = write_suite(folder, prompts, models or recorded, judges={**singles, **judges}, **more)
    return sx.load_suite(str(path))


PANELS = {
    "panel": {"backend": "panel", "judges": ["sharp", "fair", "weak"]},
    "two": {"backend": "panel", "judges": ["sharp", "weak"]},
    "weighed": {"backend": "panel", "judges": ["sharp", "fair", "weak"], "weights": "reliability"},
    "four": {"backend": "panel", "judges": ["sharp", "fair", "weak", "spammer"], "weights": "reliability"},
    "plain": {"backend": "panel", "judges": ["sharp", "fair", "weak", "spammer"]},
}
EVERYONE = {**ACCURACY, "spammer": 0.5}


def compare(folder: Path, suited: sx.Suite, *judges: str, **more: Any) -> Report:
    return sx.compare(suited, "old", "new", judges=judges, results=folder / "results", **more)


def rate(found: Any) -> float:
    assert isinstance(found, sx.Estimate), found
    return found.value


def inside(pair: Pair) -> Panel:
    assert isinstance(pair.by_members, Panel)
    return pair.by_members


def member(pair: Pair, name: str) -> Member:
    (found,) = (one for one in inside(pair).members if one.name == name)
    return found


# ---------------------------------------------------------------- what it says


@pytest.mark.slow
def test_a_panel_is_nearer_to_the_truth_than_its_worst_member_and_a_weighed_one_nearer_still(tmp_path: Path) -> None:
    with Endpoint(judging(EVERYONE)) as endpoint:
        report = compare(tmp_path, suite(tmp_path, endpoint.url, PANELS), "weak", "panel", "weighed")
    off = {pair.judge: abs(rate(pair.win_rate) - TRUTH) for pair in report.pairs}
    assert off["weighed"] < off["panel"] < off["weak"]
    weighed = inside(report.pairs["old", "new", "weighed"])
    estimated = {one.name: one.accuracy for one in weighed.members}
    assert estimated == pytest.approx(ACCURACY, abs=0.1)
    assert [one.accuracy for one in inside(report.pairs["old", "new", "panel"]).members] == [None, None, None]


@pytest.mark.slow
def test_the_mean_of_a_panel_is_the_mean_of_its_members(tmp_path: Path) -> None:
    with Endpoint(judging(EVERYONE)) as endpoint:
        report = compare(tmp_path, suite(tmp_path, endpoint.url, PANELS), *ACCURACY, "panel")
    alone = {name: rate(report.pairs["old", "new", name].win_rate) for name in ACCURACY}
    pair = report.pairs["old", "new", "panel"]
    assert rate(pair.win_rate) == pytest.approx(sum(alone.values()) / 3)
    assert {one.name: rate(one.alone) for one in inside(pair).members} == pytest.approx(alone)
    assert (pair.raters, pair.judge_is) == (tuple(ACCURACY), "a panel of 3 judges, averaged, not validated")
    assert rate(inside(pair).agreement) < 0.6


@pytest.mark.slow
def test_the_panel_without_a_member_is_the_panel_of_the_others(tmp_path: Path) -> None:
    with Endpoint(judging(EVERYONE)) as endpoint:
        report = compare(tmp_path, suite(tmp_path, endpoint.url, PANELS), "panel", "two", "four", "weighed")
    of = {pair.judge: pair for pair in report.pairs}
    assert member(of["panel"], "fair").without == of["two"].win_rate
    assert member(of["four"], "spammer").without == of["weighed"].win_rate


@pytest.mark.slow
def test_a_spammer_gets_little_weight_and_is_missed_by_nobody(tmp_path: Path) -> None:
    with Endpoint(judging(EVERYONE)) as endpoint:
        report = compare(tmp_path, suite(tmp_path, endpoint.url, PANELS), "four", "plain")
    four, plain = report.pairs["old", "new", "four"], report.pairs["old", "new", "plain"]
    accuracies = {one.name: one.accuracy or 0.0 for one in inside(four).members}
    assert min(accuracies, key=accuracies.__getitem__) == "spammer"
    assert accuracies["spammer"] < 0.6
    moved = {pair.judge: abs(rate(member(pair, "spammer").without) - rate(pair.win_rate)) for pair in (four, plain)}
    assert moved["four"] < 0.02 < moved["plain"]
    assert member(four, "spammer").changes is False


@pytest.mark.slow
def test_whether_a_conclusion_hangs_on_one_member_is_said(tmp_path: Path) -> None:
    """Two judges that cannot tell, and one that always can: without it the interval includes one half."""
    judges = {"trio": {"backend": "panel", "judges": ["sharp", "weak", "spammer"]}}
    with Endpoint(judging({"sharp": 1.0, "weak": 0.5, "spammer": 0.5})) as endpoint:
        report = compare(tmp_path, suite(tmp_path, endpoint.url, judges), "trio")
    (pair,) = report.pairs
    assert pair.conclusion == "better"
    assert {one.name: one.changes for one in inside(pair).members} == {"sharp": True, "weak": False, "spammer": False}


@pytest.mark.slow
def test_a_verdict_that_one_member_lacks_widens_the_bounds_and_not_the_others_share(tmp_path: Path) -> None:
    def faulty(body: Body) -> str:
        if body["model"] == "weak" and "thing 3 " in prompt_of(body):
            return "I will not say."
        return str(judging(EVERYONE)(body))

    for name in ("panel", "weighed"):
        with Endpoint(faulty) as endpoint:
            (pair,) = compare(tmp_path / name, suite(tmp_path / name, endpoint.url, PANELS), name).pairs
        assert (pair.used, pair.verdicts["invalid"]) == (PROMPTS, 2)
        assert pair.bounds[1] - pair.bounds[0] == pytest.approx(1 / 3 / PROMPTS)
        assert pair.bounds[0] <= rate(pair.win_rate) <= pair.bounds[1]


@pytest.mark.slow
def test_a_panel_does_not_care_who_is_named_first(tmp_path: Path) -> None:
    with Endpoint(judging(EVERYONE)) as endpoint:
        suited = suite(tmp_path, endpoint.url, PANELS)
        there = compare(tmp_path, suited, "panel", "weighed")
        asked = endpoint.requests
        back = sx.compare(suited, "new", "old", judges=["panel", "weighed"], results=tmp_path / "results")
        assert endpoint.requests == asked
    for name in ("panel", "weighed"):
        pair, swapped = there.pairs["old", "new", name], back.pairs["new", "old", name]
        assert rate(swapped.win_rate) == pytest.approx(1 - rate(pair.win_rate), abs=1e-6)
        assert swapped.p_value == pytest.approx(pair.p_value, abs=1e-6)
        assert [one.accuracy for one in inside(swapped).members] == pytest.approx(
            [one.accuracy for one in inside(pair).members], abs=1e-6
        )


def test_what_is_weighed_is_the_probability_by_bayes_rule(tmp_path: Path) -> None:
    """Without ties each voter multiplies the odds of b by p / (1 - p), or divides them, p being its accuracy."""
    said = {
        "x": "bbbbbbbbaaaaaaaabbbbbbbbaaaaaaaa",
        "y": "bbbbbbbaaaaaaaabbbbbbbbbaaaaaab-",
        "z": "babababaabababababbbabaaabbaaa--",
    }
    battles = [
        Battle(f"q{i}", 0, "old", "new", name, 1.0 if vote == "a" else 0.0 if vote == "b" else None, {})
        for name, votes in said.items()
        for i, vote in enumerate(votes)
    ]
    found = reliability_of(Bench("panel", "", tuple(said), True, battles, (), weights="reliability"))
    assert isinstance(found, Reliability)
    assert found.converged
    for i in range(32):
        odds = 1.0
        for name, votes in said.items():
            ratio = found.accuracies[name] / (1 - found.accuracies[name])
            odds *= {"b": ratio, "a": 1 / ratio, "-": 1.0}[votes[i]]
        assert found.scores["old", "new", f"q{i}", 0] == pytest.approx(odds / (1 + odds), abs=1e-4)


def test_a_tie_that_all_members_see_is_half(tmp_path: Path) -> None:
    votes = [1.0] * 12 + [0.5] * 12 + [0.0] * 12
    battles = [Battle(f"q{i}", 0, "old", "new", name, vote, {}) for name in "xyz" for i, vote in enumerate(votes)]
    found = reliability_of(Bench("panel", "", ("x", "y", "z"), True, battles, (), weights="reliability"))
    assert isinstance(found, Reliability)
    scores = [found.scores["old", "new", f"q{i}", 0] for i in range(36)]
    assert scores == pytest.approx([1 - vote for vote in votes], abs=0.01)
    assert scores[12] == pytest.approx(0.5, abs=1e-9)


# ---------------------------------------------------------------- where it cannot be told


def test_reliability_that_cannot_be_estimated_is_told_and_not_replaced(tmp_path: Path) -> None:
    with Endpoint(judging(EVERYONE)) as endpoint:
        (pair,) = (report := compare(tmp_path, suite(tmp_path, endpoint.url, PANELS, prompts=6), "weighed")).pairs
    why = "6 comparisons have verdicts by two members or more, and 30 are needed"
    assert isinstance(pair.win_rate, Undefined)
    assert pair.reasons == {f"skipped: no reliability can be estimated: {why}": 6}
    assert f"weighed: no reliability can be estimated: {why}; `weights: mean` in the suite averages." in report.caveats


@pytest.mark.slow
def test_without_one_of_three_members_there_is_no_reliability(tmp_path: Path) -> None:
    with Endpoint(judging(EVERYONE)) as endpoint:
        (pair,) = compare(tmp_path, suite(tmp_path, endpoint.url, PANELS), "weighed").pairs
    without = member(pair, "fair").without
    assert isinstance(without, Undefined)
    assert "2 members have verdicts; of two who differ, nothing tells which one errs" in without.why
    assert member(pair, "fair").changes is None
    *_, last = wording.members(pair)
    assert last.startswith("Without sharp, or without fair, or without weak, the panel has no result: no reliability")


@pytest.mark.parametrize(
    ("panel", "said"),
    [
        (
            {"judges": ["sharp", "shrap"]},
            "judges.jury.judges.1: 'shrap' is not a judge of this suite; did you mean 'sharp'?",
        ),
        (
            {"judges": ["sharp", "jury"]},
            "judges.jury.judges.1: 'jury' is a panel itself; name its members (sharp, jury)",
        ),
        ({"judges": ["sharp"]}, "judges.jury.judges: "),
        ({"judges": ["sharp", "sharp"]}, "judges.jury: 'sharp' stands here twice"),
        ({"judges": ["sharp", "fair"], "weights": "reliability"}, "needs three or more; name another judge, or write"),
        ({"judges": ["sharp", "fair"], "weights": "best"}, "judges.jury.weights: input should be 'mean' or 'reliab"),
    ],
)
def test_what_is_no_panel_is_a_fault_of_its_line(tmp_path: Path, panel: dict[str, Any], said: str) -> None:
    with pytest.raises(DocumentError) as refused:
        suite(tmp_path, "http://127.0.0.1:9/v1", {"jury": {"backend": "panel", **panel}})
    assert said in str(refused.value)
    assert re.match(rf"{re.escape(str(tmp_path))}/exam.yaml:\d+: judges.jury", str(refused.value))


def test_a_panel_does_not_mark_answers_one_by_one(tmp_path: Path) -> None:
    suited = suite(tmp_path, "http://127.0.0.1:9/v1", PANELS)
    with pytest.raises(UsageError, match="judge 'two' compares answers and cannot mark them one by one; name one of "):
        make_plan(suited, ["old"], ["two"], None, "mean", None, "category", None, USUAL, "grade")


def test_a_member_that_is_a_contestant_judges_its_own_answers(tmp_path: Path) -> None:
    contestant = {"backend": "openai", "base_url": "http://127.0.0.1:9/v1", "api_key_env": None, "model": "fair"}
    models = {"old": {"responses": "old.jsonl"}, "new": contestant}
    suited = suite(tmp_path, "http://127.0.0.1:9/v1", PANELS, models=models)
    plan, _ = make_plan(suited, (), ["panel"], None, "mean", None, "category", None, USUAL)
    assert plan.caveats == ("fair judges its own answers: contestant new is the same model (fair).",)


# ---------------------------------------------------------------- what it costs


@pytest.mark.slow
def test_a_member_that_has_judged_before_costs_nothing_again(tmp_path: Path) -> None:
    with Endpoint(judging(EVERYONE)) as endpoint:
        suited = suite(tmp_path, endpoint.url, PANELS)
        compare(tmp_path, suited, "sharp")
        assert endpoint.requests == 2 * PROMPTS
        compare(tmp_path, suited, "panel")
        asked = Counter(body["model"] for body in endpoint.received)
        assert asked == dict.fromkeys(ACCURACY, 2 * PROMPTS)
        compare(tmp_path, suited, "weak", "weighed", "panel", "two")
        assert endpoint.requests == 3 * 2 * PROMPTS


def test_a_member_beside_its_panel_is_asked_once(tmp_path: Path) -> None:
    with Endpoint(judging(EVERYONE)) as endpoint:
        compare(tmp_path, suite(tmp_path, endpoint.url, PANELS, prompts=20), "sharp", "panel", "two")
        assert endpoint.requests == 3 * 2 * 20


@pytest.mark.parametrize("members", [["one", "often"], ["often", "one"]])
def test_members_of_one_model_that_are_shown_other_things_are_told_apart(tmp_path: Path, members: list[str]) -> None:
    def reply(body: Body) -> str:  # by chance, which is another one in each repeat
        drawn = random.random()
        return f"VERDICT {nonce_of(prompt_of(body))}: {'A>B' if drawn < 0.6 else 'B>A'}"

    with Endpoint(reply) as server:
        llm = {"backend": "openai", "base_url": server.url, "api_key_env": None, "model": "sharp"}
        judges = {"one": {**llm, "orders": "one"}, "often": {**llm, "samples": 3}}
        panel = {"backend": "panel", "judges": members}
        suited = suite(tmp_path, server.url, {**judges, "pan": panel}, prompts=12)
        compare(tmp_path, suited, "pan")
        assert server.requests == 12 * 6  # the one look of the one is among the six of the other
    plan, _ = make_plan(suited, TWO, ["pan"], None, "mean", None, "category", None, USUAL)
    with Store(tmp_path / "results" / "ledger.sqlite") as ledger:
        stored = stored_of(plan, ledger)
        assert stored is not None
        by_arrays, by_records = (read_facts(plan, ledger, Calls(), {}, stored=given) for given in (stored, None))
    (said,), (expected,) = by_arrays.benches, by_records.benches
    assert said.battles == expected.battles
    assert Counter(battle.rater for battle in said.battles) == {"one": 12, "often": 12}


@pytest.mark.slow
def test_a_report_that_is_counted_again_is_the_same(tmp_path: Path) -> None:
    with Endpoint(judging(EVERYONE)) as endpoint:
        first = compare(tmp_path, suite(tmp_path, endpoint.url, PANELS), "panel", "four")
    again = reporting.report(first.run, results=tmp_path / "results")
    assert again.to_json(items=True) == first.to_json(items=True) | {"calls": again.to_json()["calls"]}


def test_other_weights_are_another_run(tmp_path: Path) -> None:
    runs = set()
    for weights in ("mean", "reliability"):
        judges = {"jury": {"backend": "panel", "judges": ["sharp", "fair", "weak"], "weights": weights}}
        suited = suite(tmp_path, "http://127.0.0.1:9/v1", judges)
        plan, _ = make_plan(suited, (), ["jury"], None, "mean", None, "category", None, USUAL)
        runs.add(plan.run)
    assert len(runs) == 2


# ---------------------------------------------------------------- other commands, and the views


def test_a_leaderboard_by_a_panel(tmp_path: Path) -> None:
    with Endpoint(judging(EVERYONE)) as endpoint:
        suited = suite(tmp_path, endpoint.url, PANELS, prompts=40, baseline="old")
        board = sx.leaderboard(suited, "old", "new", judge="weighed", results=tmp_path / "results")
    assert board.judge_is == "a panel of 3 judges, weighted by estimated reliability, not validated"
    assert [row.contestant for row in board.rows] == ["new", "old", "null"]


def test_members_of_a_panel_agree_or_not(tmp_path: Path) -> None:
    with Endpoint(judging(EVERYONE)) as endpoint:
        suited = suite(tmp_path, endpoint.url, PANELS, prompts=40)
        compare(tmp_path, suited, "panel")
    found = sx.agree(suited, "old", "new", judges=["panel"], results=tmp_path / "results")
    assert [row.rater for row in found.raters] == ["panel: sharp", "panel: fair", "panel: weak"]


def test_without_a_judge_named_members_are_listed_and_panels_are_passed_over(tmp_path: Path) -> None:
    with Endpoint(judging(EVERYONE)) as endpoint:
        suited = suite(tmp_path, endpoint.url, PANELS, prompts=40)
        compare(tmp_path, suited, "panel")
    found = sx.agree(suited, "old", "new", results=tmp_path / "results")
    assert [row.rater for row in found.raters] == ["sharp", "fair", "weak"]
    assert not any("left out" in caveat for caveat in found.caveats)


def test_a_judge_that_marks_takes_part_in_an_agreement(tmp_path: Path) -> None:
    suited = suite(tmp_path, "http://127.0.0.1:9/v1", {}, prompts=40)
    rows = [
        {"prompt": f"q{i}", "model": name, "rater": "rm", "reward": len(name) + i % 3}
        for i in range(40)
        for name in ("old", "new")
    ]
    path = write_jsonl(tmp_path / "rm.jsonl", rows)
    marks = RewardsJudge(backend="rewards", rewards=str(path))
    suited = suited.model_copy(update={"judges": {"rm": marks, "measures": MeasuresJudge(backend="measures")}})
    compare(tmp_path, suited, "rm", "measures")
    found = sx.agree(suited, "old", "new", results=tmp_path / "results")
    assert [row.rater for row in found.raters] == ["rm", "measures"]


def test_a_plan_is_made_with_the_members_of_a_panel_one_by_one(tmp_path: Path, sciexam: Cli) -> None:
    suite(tmp_path, "http://127.0.0.1:9/v1", PANELS)
    done = sciexam("plan", "old", "new", "-s", "exam.yaml", "--judge", "panel")
    said = "'panel' is a panel; plan with its judges one by one: --judge sharp --judge fair --judge weak"
    assert (done.returncode, done.stderr.strip()) == (2, f"sciexam: {said}")


def test_what_is_a_tie_is_part_of_the_runs_id(tmp_path: Path) -> None:
    rows = [{"prompt": f"q{i}", "model": name, "rater": "rm", "reward": 1.0} for i in range(6) for name in TWO]
    path = write_jsonl(tmp_path / "rm.jsonl", rows)
    suited = suite(tmp_path, "http://127.0.0.1:9/v1", {}, prompts=6)
    runs = set()
    for within in (0.0, 0.5):
        judges = {"rm": RewardsJudge(backend="rewards", rewards=str(path), tie_within=within)}
        plan, _ = make_plan(
            suited.model_copy(update={"judges": judges}), TWO, ["rm"], None, "mean", None, "category", None, USUAL
        )
        runs.add(plan.run)
    assert len(runs) == 2


def test_a_check_names_the_members_of_a_panel(tmp_path: Path) -> None:
    suited = suite(tmp_path, "http://127.0.0.1:9/v1", PANELS)
    found = {finding.text: finding.fault for finding in check(suited)}
    assert found["judge two: a panel of sharp, weak"] is False


def test_every_view_shows_the_members(tmp_path: Path, sciexam: Cli) -> None:
    with Endpoint(judging(EVERYONE)) as endpoint:
        suite(tmp_path, endpoint.url, PANELS)
        done = sciexam("compare", "old", "new", "--suite", "exam.yaml", "--judge", "four", env={"COLUMNS": "200"})
    assert done.returncode == 0, done.stderr
    (markdown,) = (tmp_path / "results").rglob("report.md")
    (page,) = (tmp_path / "results").rglob("report.html")
    for text in (done.stdout, markdown.read_text()):
        assert re.search(r"The members agree with a Krippendorff's alpha of 0\.\d\d \[0\.\d\d, 0\.\d\d\]\.", text)
        assert re.search(r"spammer: alone it gives new 0\.\d\d .*, estimated accuracy 0\.\d\d; the panel without", text)
    assert "<h4>The members of this panel</h4>" in page.read_text()
    assert re.search(r"<th><bdi>spammer</bdi></th>(<td class=\"num\"[^>]*>0\.\d\d \[.*?\]</td>){2}", page.read_text())
