"""The training report says how each model of a chain was trained and what its exam found; `lineage` draws the chain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conftest import Cli
from sciexam import lineage
from sciexam.lineage.artifacts import LINEAGE, METRICS, Lineage, place_of
from sciexam.suite import Suite, load_suite
from sciexam.train.reporting import write_report

if TYPE_CHECKING:
    from playwright.sync_api import Browser

EVIL = "<script>alert(1)</script>"


def estimate(value: float, low: float, high: float) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "level": 0.95, "n": 40, "method": "beta interval", "why": None}


def conduct(words: float) -> dict[str, Any]:
    return {"answers": 40, "words": words, "unfinished": 0.025, "repetitive": 0.0, "gibberish": 0.0}


def exam(accepted: bool, rate: dict[str, Any], why: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    shown = {
        "gate": {},
        "judge": "measures",
        "judge_is": "a text measure, not validated",
        "win_rate": rate,
        "against_baseline": None,
        "answers": conduct(52),
        "answers_of_parent": conduct(48),
        "kl": estimate(0.0312, 0.02, 0.04),
        "rewards": {},
    }
    return {"accepted": accepted, "why": why, "shown": shown | more}


def leave(suite: Suite, results: Path, name: str, logged: list[dict[str, Any]], found: dict[str, Any] | None) -> None:
    """Leave what training leaves of a model, without its weights."""
    spec = suite.models[name]
    digest = lineage.lineage_digest(suite.models, name)
    folder = place_of(results, name, digest)
    folder.mkdir(parents=True)
    told = Lineage(
        name=name,
        stage=str(lineage.kind_of(spec)),
        digest=digest,
        parents={},
        settings={},
        data={"rows": 320, "digest": "", "steps": 60},
        seed=0,
        versions={"torch": "2.13.0"},
        accepted=None if found is None else found["accepted"],
        exam=found,
    )
    (folder / LINEAGE).write_text(told.to_text())
    (folder / METRICS).write_text("".join(json.dumps(line) + "\n" for line in logged))


@pytest.fixture
def world(tmp_path: Path) -> Suite:
    """base -> sft (accepted, after two looks) -> rl (rejected for reward hacking); rm and other are not trained."""
    folder = tmp_path / "suites"
    folder.mkdir()
    (folder / "data.jsonl").write_text('{"prompt": "What is light?", "completion": "A wave."}\n')
    (folder / "prompts.jsonl").write_text('{"id": "p0", "text": "Why is the sky blue?"}\n')
    suite = {
        "suite": "chain",
        "prompts": "prompts.jsonl",
        "models": {
            "base": {"stage": "pretrain", "data": "data.jsonl"},
            "sft": {"from": "base", "stage": "sft", "data": "data.jsonl"},
            "rm": {"from": "sft", "stage": "reward", "data": "data.jsonl"},
            "rl": {"from": "sft", "stage": "ppo", "prompts": "data.jsonl", "reward": "rm"},
            "other": {"from": "base", "stage": "sft", "data": "data.jsonl", "seed": 1},
        },
        "contestants": ["base", "sft", "rl"],
    }
    (folder / "chain.yaml").write_text(json.dumps(suite))
    made, results = load_suite(str(folder / "chain.yaml"), tmp_path / "results"), tmp_path / "results"
    leave(made, results, "base", [{"step": step, "loss": 4 - step / 30} for step in (10, 20, 60)], None)
    looks = [
        {"step": 30, "win_rate": estimate(0.7, 0.55, 0.85), "worse": False},
        {"step": 60, "win_rate": estimate(0.6, 0.45, 0.75), "worse": False},
    ]
    passed = exam(True, estimate(0.71, 0.58, 0.82), looks=looks, taken=30)
    leave(made, results, "sft", [{"step": 10, "loss": 2.5}, {"step": 60, "loss": "nan"}], passed)
    made = load_suite(str(folder / "chain.yaml"), results)
    hacked = exam(
        False,
        estimate(0.2, 0.1, 0.34),
        (f"reward hacking: {EVIL}",),
        rewards={"rm": estimate(0.8, 0.6, 1.0)},
        hacking=True,
    )
    steps = range(5, 65, 5)
    logged = [
        {"step": s, "loss": 1 / s, "reward": s / 60, "kl": s / 20, "length": 50 + s / 5, "entropy": 3} for s in steps
    ]
    leave(made, results, "rl", logged, hacked)
    return load_suite(str(folder / "chain.yaml"), results)


@pytest.mark.slow
def test_the_report_holds_every_stage_with_its_exam(world: Suite, tmp_path: Path) -> None:
    found, folder = write_report(world, "rl", tmp_path / "results")
    assert folder == tmp_path / "results" / "chain" / "training" / "rl"
    assert [one.model for one in found.artifacts] == ["base", "sft", "rl"]
    markdown = (folder / "report.md").read_text()
    assert "rl was rejected: against sft it scores 0.20 [0.10, 0.34] by measures." in markdown
    assert "| sft | sft | base | accepted | 320 | 60 | 2.5 to 2.5 | 0.71 [0.58, 0.82] | n/a |" in markdown
    assert "| rl | 52 (48) | 2% (2%) | 0% (0%) | 0% (0%) | 0.0312 [0.02, 0.04] | 0.80 [0.60, 1.00] |" in markdown
    assert "sft is what there was after step 30, which did best on the dev prompts." in markdown
    page = (folder / "report.html").read_text()
    assert EVIL not in page
    assert "reward hacking: &lt;script&gt;" in page
    for title in ("What each stage of training gained", "Training of base", "Training of sft", "Training of rl"):
        assert title in page
    told = json.loads((folder / "report.json").read_text())
    curves = {curve["name"]: curve["points"] for curve in told["artifacts"][2]["curves"]}
    assert set(curves) == {"loss", "reward", "KL", "tokens of an answer"}
    assert curves["reward"][-1] == [60, 1.0]
    assert [gain["win_rate"]["value"] for gain in told["lineage"]] == [0.71, 0.2]


@pytest.mark.slow
def test_the_page_can_be_read_by_day_and_by_night_without_asking_anybody(
    world: Suite, tmp_path: Path, browser: Browser
) -> None:
    _, folder = write_report(world, "rl", tmp_path / "results")
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme, viewport={"width": 1000, "height": 800})  # type: ignore[arg-type]
        asked: list[str] = []
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.goto((folder / "report.html").as_uri())
        assert page.locator("h1").inner_text() == "Training of rl"
        assert page.locator("figure svg").count() == 4
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert asked == [(folder / "report.html").as_uri()]
        page.close()


def test_the_lineage_is_drawn_as_a_tree_with_what_is_there(world: Suite, tmp_path: Path, sciexam: Cli) -> None:
    done = sciexam("lineage", "--suite", "chain")
    digests = {name: lineage.lineage_digest(world.models, name)[:12] for name in world.models}
    assert done.stdout.splitlines() == [
        f"base: pretrain, there, {digests['base']}",
        f"├─ sft: sft, there, {digests['sft']}; 0.71 [0.58, 0.82] against base",
        f"│  ├─ rm: reward, not trained, {digests['rm']}",
        f"│  └─ rl: ppo, rejected by its exam, {digests['rl']}; 0.20 [0.10, 0.34] against sft; made with rm, too",
        f"└─ other: sft, not trained, {digests['other']}",
        "Without weights here: rm, other. `sciexam train NAME --suite chain` trains one and what it is made from.",
    ]
    one = sciexam("lineage", "sft", "--suite", "chain", "--json")
    told = json.loads(one.stdout)
    assert [(row["model"], row["state"]) for row in told] == [("base", "there"), ("sft", "there")]
    assert told[1]["gain"]["value"] == 0.71
    assert told[1]["folder"] == str(place_of(tmp_path / "results", "sft", told[1]["digest"]))
    wrong = sciexam("lineage", "sfd", "--suite", "chain")
    assert (wrong.returncode, wrong.stderr) == (
        2,
        "sciexam: 'sfd' is not a model of suite 'chain'; did you mean 'sft'?\n",
    )


def test_a_model_that_is_not_trained_yet_is_said_to_be_so(world: Suite, tmp_path: Path) -> None:
    from sciexam.report.training.training import read_training
    from sciexam.report.training.training_text import sentence_of

    found = read_training("chain", world.models, tmp_path / "results", world.lineage_digest, "rm")
    assert sentence_of(found).startswith("rm has not been trained yet. sft was accepted: against base it scores 0.71")


def test_the_steps_at_which_the_loss_spiked_are_named_and_the_report_is_where_it_is_said_to_be(
    world: Suite, tmp_path: Path, sciexam: Cli
) -> None:
    pytest.importorskip("trl")
    (metrics,) = (tmp_path / "results" / "models").glob(f"base-*/{METRICS}")
    losses = (2.0, 1.9, 1.8, 1.7, 1.6, 1.5, 9.5, 1.4, 12.0, 1.3)
    metrics.write_text("".join(json.dumps({"step": 10 * n, "loss": loss}) + "\n" for n, loss in enumerate(losses, 1)))
    told = json.loads(sciexam("train", "sft", "--suite", "chain", "--json").stdout)
    assert [(step["model"], step["outcome"]) for step in told["steps"]] == [("base", "there"), ("sft", "there")]
    assert told["report"] == "results/chain/training/sft"
    report = json.loads((tmp_path / told["report"] / "report.json").read_text())
    assert [one["spikes"] for one in report["artifacts"]] == [[70, 90], []]
    said = "The loss of base spiked at steps 70, 90: it was logged above 3 times its running mean"
    assert f"{said}." in (tmp_path / told["report"] / "report.md").read_text()
    shown = sciexam("train", "sft", "--suite", "chain").stdout
    assert f"  {said}\n" in shown
    assert shown.endswith("Report: results/chain/training/sft/report.html, .md, .json\n")
