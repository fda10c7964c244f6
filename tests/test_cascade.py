"""A cheap judge first, a dear one where it is not sure: who is asked what, what is kept, and what is promised."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import sciexam as sx
from conftest import COMMAND, Cli, answers, clean_environment, write_suite
from endpoint import Behaviour, Body, Endpoint, answers_of, nonce_of, prompt_of
from sciexam.battles import Battle, cluster
from sciexam.errors import DocumentError, Interrupted, UsageError
from sciexam.exam import reporting
from sciexam.exam.benches import spared_by
from sciexam.exam.cascade import Judged, cascades_of, confidence, rule
from sciexam.exam.plan import make_plan
from sciexam.models.terms import USUAL
from sciexam.report.escalation import Escalation
from sciexam.report.record import Report
from sciexam.stats.cascade import Threshold
from sciexam.store import Store
from sciexam.types import Comparison, Order, Reply, Response

PROMPTS = 120
CALIBRATION = 40
SURE = 0.7  # of the prompts, on which the small judge says the same in both orders
SETTINGS = {"agreement": 0.8, "error": 0.1, "calibration": CALIBRATION}


def draw(*words: str) -> float:
    return int.from_bytes(hashlib.sha256("\0".join(words).encode()).digest()[:8]) / 2**64


def is_sure(texts: tuple[str, str]) -> bool:
    return draw("sure", *sorted(texts)) < SURE


def judging(accuracy: float = 1.0, sure_of_all: bool = False) -> Behaviour:
    """`large` always names the longer answer; `small` does with `accuracy` where it is sure, and else the first."""

    def reply(body: Body) -> str:
        texts = answers_of(prompt_of(body))
        first = len(texts[0]) > len(texts[1])
        if body["model"] == "small" and (sure_of_all or is_sure(texts)):
            first = first == (draw("right", *sorted(texts)) < accuracy)
        elif body["model"] == "small":
            first = True
        return f"I looked at both.\nVERDICT {nonce_of(prompt_of(body))}: {'A>B' if first else 'B>A'}"

    return reply


def suite(folder: Path, url: str, prompts: int = PROMPTS, **settings: Any) -> sx.Suite:
    # An even length is never an odd one, so the longer answer is always one of the two.
    texts = {
        "old": [f"Because of {i}".ljust(20 + 2 * (i % 5), ".") for i in range(prompts)],
        "new": [f"Because of {i}".ljust(21 + 2 * (7 * i % 6), "!") for i in range(prompts)],
    }
    models = {name: {"responses": answers(folder, name, listed)} for name, listed in texts.items()}
    llm = {"backend": "openai", "base_url": url, "api_key_env": None, "concurrency": 4}
    judges = {
        "small": {**llm, "model": "small"},
        "large": {**llm, "model": "large"},
        "cascade": {"backend": "cascade", "judges": ["small", "large"], **SETTINGS, **settings},
    }
    prices = {"small": {"input": 0.1, "output": 0.4}, "large": {"input": 10.0, "output": 40.0}}
    return sx.load_suite(str(write_suite(folder, prompts, models, judges=judges, judge="cascade", prices=prices)))


def compare(folder: Path, suited: sx.Suite, *judges: str, **more: Any) -> Report:
    return sx.compare(suited, "old", "new", judges=judges or ("cascade",), results=folder / "results", **more)


def inside(report: Report) -> Escalation:
    (pair,) = report.pairs
    assert isinstance(pair.by_members, Escalation)
    return pair.by_members


def asked(endpoint: Endpoint) -> Counter[str]:
    return Counter(body["model"] for body in endpoint.received)


def texts_of(suited: sx.Suite, folder: Path) -> dict[str, tuple[str, str]]:
    """Prompt id -> both answers, as the judge's prompt shows them."""
    read = [
        {line["prompt"]: line["text"] for line in map(json.loads, (folder / f"{name}.jsonl").read_text().splitlines())}
        for name in ("old", "new")
    ]
    return {prompt.id: (f"{read[0][prompt.id]}\n", f"{read[1][prompt.id]}\n") for prompt in suited.prompts}


def prompts_asked(endpoint: Endpoint, model: str) -> Counter[str]:
    """Prompt id -> how often `model` was asked about it."""
    shown = (prompt_of(body) for body in endpoint.received if body["model"] == model)
    return Counter("q" + re.findall(r"Why does thing (\d+) happen", text)[0] for text in shown)


# ---------------------------------------------------------------- who is asked what


def test_the_dear_judge_is_asked_for_the_calibration_and_for_what_the_cheap_one_is_not_sure_of(tmp_path: Path) -> None:
    with Endpoint(judging()) as endpoint:
        suited = suite(tmp_path, endpoint.url)
        report = compare(tmp_path, suited)
        small, large = prompts_asked(endpoint, "small"), prompts_asked(endpoint, "large")
    unsure = {name for name, texts in texts_of(suited, tmp_path).items() if not is_sure(texts)}
    done = inside(report)
    assert isinstance(done.threshold, Threshold)
    assert (done.threshold.value, done.threshold.agreed) == (1.0, done.threshold.n)
    assert small == dict.fromkeys((f"q{i}" for i in range(PROMPTS)), 2)
    assert unsure < large.keys()
    assert set(large.values()) == {2}
    calibrating_and_sure = large.keys() - unsure
    assert len(calibrating_and_sure) == done.threshold.n, "a calibration prompt is asked of both, sure or not"
    assert done.calibrated == CALIBRATION
    assert done.escalated == len(unsure) - (CALIBRATION - done.threshold.n)
    assert (done.trusted, done.waiting) == (PROMPTS - CALIBRATION - done.escalated, 0)
    assert done.calls_alone == 2 * PROMPTS
    assert done.calls_saved == 2 * done.trusted == 2 * PROMPTS - large.total()


def test_the_verdicts_that_count_are_the_dear_ones_where_there_are_any(tmp_path: Path) -> None:
    """The cheap judge says the first where it is not sure: of its verdicts the ties would remain."""
    with Endpoint(judging()) as endpoint:
        report = compare(tmp_path, suite(tmp_path, endpoint.url), "cascade", "large", "small")
    of = {pair.judge: pair for pair in report.pairs}
    assert of["cascade"].win_rate == of["large"].win_rate != of["small"].win_rate
    assert (of["cascade"].ties, of["cascade"].order_consistency.value) == (0, 1.0)
    assert of["small"].ties > 20
    assert of["cascade"].judge_is == "a cascade from small to large, not validated"


@pytest.mark.slow
def test_beside_its_judges_a_cascade_asks_nothing_twice(tmp_path: Path) -> None:
    with Endpoint(judging()) as endpoint:
        compare(tmp_path, suite(tmp_path, endpoint.url), "large", "cascade", "small")
        assert asked(endpoint) == {"small": 2 * PROMPTS, "large": 2 * PROMPTS}


def test_where_no_threshold_passes_everything_escalates_and_this_is_said(tmp_path: Path) -> None:
    with Endpoint(judging(accuracy=0.6)) as endpoint:
        report = compare(tmp_path, suite(tmp_path, endpoint.url))
        assert asked(endpoint) == {"small": 2 * PROMPTS, "large": 2 * PROMPTS}
    done = inside(report)
    assert (done.escalated, done.trusted, done.calls_saved) == (PROMPTS - CALIBRATION, 0, 0)
    assert re.fullmatch(
        r"No verdict of small counts: of the \d+ calibration prompts with a confidence of 1 or more, \d+ agree, which "
        r"does not show 80 %, so everything else was escalated to large\.",
        done.guarantee,
    )


def test_a_cheap_judge_that_is_always_right_is_trusted_with_everything_else(tmp_path: Path) -> None:
    with Endpoint(judging(sure_of_all=True)) as endpoint:
        report = compare(tmp_path, suite(tmp_path, endpoint.url))
        assert asked(endpoint) == {"small": 2 * PROMPTS, "large": 2 * CALIBRATION}
    assert inside(report).trusted == PROMPTS - CALIBRATION


def test_an_unusable_verdict_of_the_cheap_judge_escalates(tmp_path: Path) -> None:
    def refusing(body: Body) -> Any:
        odd = re.search(r"Why does thing \d*[05] happen", prompt_of(body))
        return "I cannot say." if body["model"] == "small" and odd else judging(sure_of_all=True)(body)

    with Endpoint(refusing) as endpoint:
        (pair,) = compare(tmp_path, suite(tmp_path, endpoint.url)).pairs
        large = prompts_asked(endpoint, "large")
    assert {f"q{i}" for i in range(0, PROMPTS, 5)} <= large.keys()
    assert (pair.used, pair.invalid, pair.verdicts["invalid"]) == (PROMPTS, 0, 0)


@pytest.mark.slow
def test_the_calibration_is_drawn_by_the_seed_and_the_content_alone(tmp_path: Path) -> None:
    drawn = []
    for accuracy in (1.0, 0.9):
        folder = tmp_path / str(accuracy)
        with Endpoint(judging(accuracy, sure_of_all=True)) as endpoint:
            compare(folder, suite(folder, endpoint.url))
            drawn.append(prompts_asked(endpoint, "large").keys())
    assert len(drawn[0]) == CALIBRATION
    assert drawn[0] <= drawn[1], "whatever was said, the same prompts are calibrated with"
    numbers = sorted(int(name[1:]) for name in drawn[0])
    assert numbers != list(range(CALIBRATION))


# ---------------------------------------------------------------- what is kept


def test_the_same_command_asks_nothing_again_and_the_report_is_a_function_of_the_ledger(tmp_path: Path) -> None:
    with Endpoint(judging()) as endpoint:
        suited = suite(tmp_path, endpoint.url)
        first = compare(tmp_path, suited)
        requests = endpoint.requests
        second = compare(tmp_path, suited)
        assert endpoint.requests == requests
    again = reporting.report(first.run, results=tmp_path / "results")
    for other in (second, again):
        assert other.to_json(items=True) == first.to_json(items=True) | {"calls": other.to_json()["calls"]}
    assert again.calls.made == 0


def test_the_policy_asks_for_nothing_else(tmp_path: Path) -> None:
    with Endpoint(judging()) as endpoint:
        suited = suite(tmp_path, endpoint.url)
        compare(tmp_path, suited)
        requests = endpoint.requests
        compare(tmp_path, suited, policy="conservative")
        assert endpoint.requests == requests


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.3, 0.8, 1.2], ids=["cheap", "calibration", "escalation"])
def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path: Path, share: float) -> None:
    with Endpoint(judging()) as endpoint:
        suited = suite(tmp_path / "whole", endpoint.url)
        whole = compare(tmp_path / "whole", suited)
        requests = endpoint.requests
    with Endpoint(judging()) as endpoint:
        suited = suite(tmp_path, endpoint.url)
        stop = threading.Event()

        def enough(progress: Any) -> None:
            if progress.verdicts >= share * 2 * PROMPTS:
                stop.set()

        with pytest.raises(Interrupted):
            compare(tmp_path, suited, stop=stop, progress=enough)
        assert endpoint.requests < requests
        report = compare(tmp_path, suited)
        assert endpoint.requests == requests
    assert inside(report) == inside(whole)
    assert report.pairs["old", "new"].win_rate == whole.pairs["old", "new"].win_rate


def test_what_a_stopped_run_knows_is_told_as_unfinished(tmp_path: Path) -> None:
    """The surer comparisons alone are no sample of all: before the calibration is complete none of them counts."""
    with Endpoint(judging()) as endpoint:
        suited = suite(tmp_path, endpoint.url)
        stop = threading.Event()

        def in_the_calibration(progress: Any) -> None:
            if progress.verdicts >= 2 * PROMPTS + 8:
                stop.set()

        with pytest.raises(Interrupted):
            compare(tmp_path, suited, stop=stop, progress=in_the_calibration)
    (made,) = {path.parent.name for path in (tmp_path / "results").rglob("run.json")} or {None}
    plan, _ = make_plan(suited, ("old", "new"), ["cascade"], None, "mean", None, "category", None, USUAL)
    report = reporting.report(made or plan.run, results=tmp_path / "results")
    (pair,) = report.pairs
    done = inside(report)
    assert 0 < pair.used < CALIBRATION
    assert (done.pending, done.trusted) == (True, 0)
    assert pair.reasons["skipped: the calibration of the cascade is not complete"] == PROMPTS - CALIBRATION
    assert re.fullmatch(
        r"No verdict of small counts: \d+ calibration comparisons have no verdict of large\.", done.guarantee
    )
    assert any("run the same command again" in caveat for caveat in report.caveats)


@pytest.mark.slow
def test_a_killed_command_pays_for_nothing_twice(tmp_path: Path) -> None:
    with Endpoint(judging(), latency=0.01) as endpoint:
        suite(tmp_path, endpoint.url)
        command = [str(COMMAND), "compare", "old", "new", "--suite", "exam.yaml"]
        for seen in (PROMPTS, 2 * PROMPTS + 20):
            child = subprocess.Popen(
                command, cwd=tmp_path, env=clean_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            deadline = time.monotonic() + 60
            while endpoint.requests < seen and time.monotonic() < deadline:
                time.sleep(0.005)
            child.send_signal(signal.SIGKILL)
            child.wait(timeout=10)
        done = subprocess.run(
            command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=100
        )
        assert done.returncode == 0, done.stderr
        distinct, requests = len(endpoint.bodies), endpoint.requests
    # What a kill may cost: 4 calls in flight and 8 replies that were not yet durable; each of two kills.
    assert distinct <= requests <= distinct + 2 * 12
    (report,) = (json.loads(path.read_text()) for path in (tmp_path / "results").rglob("report.json"))
    told = report["pairs"][0]["by_members"]
    assert distinct == 2 * PROMPTS + told["calls_alone"] - told["calls_saved"]


def test_what_the_dear_judge_is_spared_is_known_once_the_calibration_is(tmp_path: Path) -> None:
    with Endpoint(judging()) as endpoint:
        suited = suite(tmp_path, endpoint.url)
        plan, _ = make_plan(suited, ("old", "new"), ["cascade"], None, "mean", None, "category", None, USUAL)
        texts = texts_of(suited, tmp_path)
        comparisons = [
            Comparison(
                p, *(Response(n, p.id, 0, Reply("", t[:-1])) for n, t in zip(("old", "new"), texts[p.id], strict=True))
            )
            for p in plan.prompts
        ]
        spared = []
        for run in (False, True):
            if run:
                compare(tmp_path, suited)
            (tmp_path / "results").mkdir(exist_ok=True)
            with Store(tmp_path / "results" / "ledger.sqlite") as store:
                spared.append([spared_by(plan, rater, store, comparisons) for rater in plan.raters])
        asked_for = prompts_asked(endpoint, "large").keys()
    assert spared[0] == [set(), set()]
    assert spared[1] == [set(), {("old", "new", p.id, 0) for p in plan.prompts if p.id not in asked_for}]


# ---------------------------------------------------------------- what is promised


@pytest.mark.slow
@pytest.mark.parametrize(("accuracy", "passes"), [(0.84, 0), (0.95, 100)])
def test_what_is_trusted_agrees_as_often_as_promised(tmp_path: Path, accuracy: float, passes: int) -> None:
    """Two hundred draws of verdicts and of calibration prompts; the large judge is right by definition."""
    runs, promised, error = 200, 0.85, 0.1
    suited = suite(tmp_path, "http://127.0.0.1:9/v1", agreement=promised, error=error, calibration=80)
    broken = passed = 0
    for seed in range(runs):
        seeded = suited.model_copy(update={"seed": seed})
        plan, _ = make_plan(seeded, ("old", "new"), ["cascade"], None, "mean", None, "category", None, USUAL)
        (cascade,) = cascades_of(plan)
        small, large = [], []
        for prompt in plan.prompts:
            a, b = (Response(name, prompt.id, 0, Reply("0" * 64, "text")) for name in ("old", "new"))
            sure = draw("sure", str(seed), prompt.id) < SURE
            right = draw("right", str(seed), prompt.id) < accuracy
            said: dict[Order, float] = {"ab": float(right), "ba": float(right)} if sure else {"ab": 1.0, "ba": 0.0}
            for judge, by_order in ((small, said), (large, {"ab": 1.0, "ba": 1.0})):
                score = sum(by_order.values()) / 2
                judge.append(
                    Judged(Comparison(prompt, a, b), Battle(prompt.id, 0, "old", "new", "", score, by_order), ())
                )
        ruling = rule(plan, cascade, small, large)["old", "new"]
        if isinstance(ruling.threshold, Threshold):
            trusted = [one.battle.score for one in small if confidence(one.battle) >= ruling.threshold.value]
            passed += 1
            broken += sum(score == 1.0 for score in trusted) < promised * len(trusted)
    assert passed >= passes
    assert broken <= runs * error + 3 * (runs * error * (1 - error)) ** 0.5


def recorded(folder: Path, seed: int, accuracy: float, agreement: float) -> Report:
    """The report of two files of verdicts: `small` contradicts itself on three prompts of ten."""
    texts = {name: [f"{name} says {i}" for i in range(150)] for name in ("old", "new")}
    models = {name: {"responses": answers(folder, name, listed)} for name, listed in texts.items()}
    for judge in ("small", "large"):
        rows = []
        for i in range(150):
            truth = draw(str(seed), str(i), "truth") < 0.6
            split = judge == "small" and draw(str(seed), str(i), "sure") > SURE
            right = judge == "large" or draw(str(seed), str(i), "right") < accuracy
            for first, second in (("old", "new"), ("new", "old")):
                winner = first if split else "new" if truth == right else "old"
                side = "first" if winner == first else "second"
                rows.append({"prompt": f"q{i}", "first": first, "second": second, "preferred": side, "rater": judge})
        (folder / f"{judge}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    judges: dict[str, Any] = {name: {"backend": "recorded", "verdicts": f"{name}.jsonl"} for name in ("small", "large")}
    settings = {"agreement": agreement, "error": 0.1, "calibration": 80}
    judges["cascade"] = {"backend": "cascade", "judges": ["small", "large"], **settings}
    suited = sx.load_suite(str(write_suite(folder, 150, models, judges=judges)))
    return compare(folder, suited)


def test_prompts_of_one_group_escalate_together(tmp_path: Path) -> None:
    with Endpoint(judging(sure_of_all=True)) as endpoint:
        suited = suite(tmp_path, endpoint.url)
        rows = [
            {"id": p.id, "text": p.text, "category": p.category, "group": f"g{int(p.id[1:]) // 2}"}
            for p in suited.prompts
        ]
        (tmp_path / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        suited = sx.load_suite(str(tmp_path / "exam.yaml"))
        report = compare(tmp_path, suited)
        large = prompts_asked(endpoint, "large").keys()
    groups = {cluster(p) for p in suited.prompts if p.id in large}
    assert len(groups) == CALIBRATION
    assert large == {p.id for p in suited.prompts if cluster(p) in groups}
    assert (inside(report).units, inside(report).comparisons) == (PROMPTS // 2, PROMPTS)


# ---------------------------------------------------------------- what it cannot be, and the views


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"judges": ["small", "cascade"]}, "judges.cascade.judges.1: 'cascade' is a cascade itself; name its members"),
        ({"judges": ["small"]}, "judges.cascade.judges.1: this key is missing"),
        ({"judges": ["small", "small"]}, "'small' stands here twice"),
        (
            {"agreement": 0.9, "calibration": 20},
            "20 calibration prompts cannot show an agreement of 90 % (error 0.1), ",
        ),
        ({"error": 0.5}, "judges.cascade.error: input should be less than 0.5, not 0.5"),
    ],
)
def test_what_is_no_cascade_is_a_fault_of_its_line(tmp_path: Path, settings: Mapping[str, Any], said: str) -> None:
    with pytest.raises(DocumentError) as refused:
        suite(tmp_path, "http://127.0.0.1:9/v1", **settings)
    assert said in str(refused.value)
    assert re.match(rf"{re.escape(str(tmp_path))}/exam.yaml:\d+: judges.cascade", str(refused.value))


def test_a_cascade_goes_between_two_raters(tmp_path: Path) -> None:
    recorded(tmp_path, 0, 0.9, 0.85)
    both = (tmp_path / "small.jsonl").read_text() + (tmp_path / "large.jsonl").read_text()
    (tmp_path / "small.jsonl").write_text(both)
    with pytest.raises(UsageError, match="judge 'cascade': 'small' is 2 raters, and a cascade goes from one to anoth"):
        compare(tmp_path, sx.load_suite(str(tmp_path / "exam.yaml")))


def test_a_cascade_agrees_with_others_as_one_rater(tmp_path: Path) -> None:
    recorded(tmp_path, 0, 0.9, 0.85)
    suited = sx.load_suite(str(tmp_path / "exam.yaml"))
    found = sx.agree(suited, "old", "new", judges=["cascade", "large"], results=tmp_path / "results")
    assert [row.rater for row in found.raters] == ["cascade", "large"]
    assert any("count with the verdict of small" in caveat for caveat in found.caveats)


def test_what_is_saved_is_told_in_dollars(tmp_path: Path) -> None:
    with Endpoint(judging()) as endpoint:
        suited = suite(tmp_path, endpoint.url)
        report = compare(tmp_path, suited)
        tokens = {
            model: [
                endpoint.body(body, judging()(body))["usage"] for body in endpoint.received if body["model"] == model
            ]
            for model in ("small", "large")
        }
    spent = {
        model: sum(
            one["prompt_tokens"] * suited.prices[model].input + one["completion_tokens"] * suited.prices[model].output
            for one in used
        )
        / 1e6
        for model, used in tokens.items()
    }
    done = inside(report)
    expected = spent["large"] / len(tokens["large"]) * done.calls_saved - spent["small"]
    assert done.usd_saved == pytest.approx(expected)
    assert f"about {expected:.2f} USD at the mean cost of those made" in done.saved


def test_every_view_shows_the_threshold_and_what_it_promises(tmp_path: Path, sciexam: Cli) -> None:
    with Endpoint(judging()) as endpoint:
        suite(tmp_path, endpoint.url)
        done = sciexam("compare", "old", "new", "--suite", "exam.yaml", env={"COLUMNS": "1000"})
    assert done.returncode == 0, done.stderr
    (markdown,) = (tmp_path / "results").rglob("report.md")
    (page,) = (tmp_path / "results").rglob("report.html")
    for text in (done.stdout, markdown.read_text(), page.read_text()):
        assert "Where small has a confidence of 1 or more, it names the same winner as large (or both a tie)" in text
        assert "if prompts are exchangeable." in text
        assert re.search(r"Of 120 comparisons \d+ were escalated to large, 40 were judged by both", text)
        assert re.search(r"\d+ of the 240 calls that large alone would take were saved: about \d\.\d\d USD", text)
