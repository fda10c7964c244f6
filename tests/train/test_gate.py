"""A checkpoint is accepted if it meets every condition of its gate, and each condition can fail by itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from gate_world import Answers, better, plain, workshop, write_suite

import checkpoints
from sciexam.errors import DocumentError, UsageError
from sciexam.stats import Estimate
from sciexam.train.gate import Candidate, Found, examine
from sciexam.train.gate.examiners import check
from sciexam.train.gate.log_ratio import Said, log_ratio
from sciexam.types import Message


@pytest.fixture(scope="session")
def began(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.causal(tmp_path_factory.mktemp("weights") / "began", seed=0)


@pytest.fixture(scope="session")
def became(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.causal(tmp_path_factory.mktemp("weights") / "became", seed=1)


def sat(
    folder: Path,
    began: Path,
    became: Path,
    answers: Answers,
    before: Answers = plain,
    gate: dict[str, Any] | None = None,
    **more: Any,
) -> Found:
    """What the exam of a model finds that answers so, and whose parent answered as it was `before`."""
    models = {
        "base": {"weights": str(began)},
        "sft": {"from": "base", "stage": "sft", "data": "data.jsonl", "gate": gate or {}},
    }
    suite = write_suite(folder, models, {"base": before, "sft": answers}, **more)
    return examine(workshop(suite, folder), Candidate("sft", became, str(began)))


def test_a_model_that_its_judge_prefers_is_accepted_with_all_its_numbers(
    tmp_path: Path, began: Path, became: Path
) -> None:
    found = sat(tmp_path, began, became, better)
    assert found.accepted is True
    assert found.why == ()
    assert found.shown["win_rate"]["value"] == 1
    assert found.shown["judge"] == "counts"
    assert found.shown["answers"]["unfinished"] == found.shown["answers"]["gibberish"] == 0
    assert found.shown["answers"]["words"] - found.shown["answers_of_parent"]["words"] == 4
    assert found.shown["kl"]["value"] != 0
    assert (tmp_path / "results" / "gates" / found.shown["run"] / "report.html").is_file()


def test_a_model_that_loses_is_rejected(tmp_path: Path, began: Path, became: Path) -> None:
    found = sat(tmp_path, began, became, plain, before=better)
    assert found.accepted is False
    assert found.why == (
        "against its parent base it scores 0.00 [0.00, 0.34] by counts: the interval begins at 0.000, "
        "which has to lie above 0.45",
    )


@pytest.mark.slow
def test_a_model_that_ties_is_accepted_within_the_margin_and_rejected_without_one(
    tmp_path: Path, began: Path, became: Path
) -> None:
    assert sat(tmp_path, began, became, plain, gate={"margin": 0.25}).accepted is True
    (why,) = sat(tmp_path, began, became, plain, gate={"margin": 0}).why
    assert why.endswith("which has to lie above 0.5")


@pytest.mark.slow
def test_the_baseline_has_to_be_beaten_unless_the_gate_leaves_it_out(tmp_path: Path, began: Path, became: Path) -> None:
    (why,) = sat(tmp_path, began, became, plain, gate={"margin": 0.25}, baseline="base").why
    assert why.startswith("against the baseline base it scores 0.50")
    left_out = {"margin": 0.25, "baseline": False}
    assert sat(tmp_path, began, became, plain, gate=left_out, baseline="base").accepted is True


@pytest.mark.slow
def test_a_baseline_that_is_not_the_parent_is_compared_by_itself(tmp_path: Path, began: Path, became: Path) -> None:
    models = {
        "old": {"weights": str(began)},
        "base": {"weights": str(began)},
        "sft": {"from": "base", "stage": "sft", "data": "data.jsonl"},
    }
    said: dict[str, Answers] = {"old": lambda n: better(n) + " better", "base": plain, "sft": better}
    suite = write_suite(tmp_path, models, said, baseline="old")
    found = examine(workshop(suite, tmp_path), Candidate("sft", became, str(began)))
    assert found.shown["win_rate"]["value"] == 1
    assert found.shown["against_baseline"]["value"] == 0
    assert [why.split(" it")[0] for why in found.why] == ["against the baseline old"]


@pytest.mark.slow
def test_answers_that_fell_apart_are_rejected_though_the_judge_prefers_them(
    tmp_path: Path, began: Path, became: Path
) -> None:
    broken = f"{',' * 60} {'better ' * 5}"
    found = sat(
        tmp_path, became, began, lambda n: {"text": f"{broken}{n}", "finish_reason": "length"}, gate={"kl": 1e-9}
    )
    assert found.accepted is False
    assert found.shown["win_rate"]["value"] == 1
    unfinished, repetitive, gibberish, kl = found.why
    assert unfinished.startswith("100.0% of its answers have no end or no text, 0.0% of base's: `unfinished")
    assert repetitive.startswith("100.0% of its answers say one thing over and over, 0.0% of base's: `repetitive")
    assert gibberish.startswith("100.0% of its answers are no text in any language, 0.0% of base's: `gibberish: 0.05`")
    assert kl.endswith("nats a token from what it began with, and `kl: 1e-09` are allowed")


@pytest.mark.slow
def test_weights_that_have_not_changed_are_nowhere_else(began: Path, became: Path) -> None:
    said = [Said((Message(role="user", content="What is light?"),), plain(n), True, str(n)) for n in range(4)]
    still = log_ratio("sft", str(began), str(began), said)
    moved, back = (log_ratio("sft", *map(str, pair), said) for pair in ((became, began), (began, became)))
    assert isinstance(still, Estimate)
    assert isinstance(moved, Estimate)
    assert isinstance(back, Estimate)
    assert (still.low, still.value, still.high) == (0, 0, 0)
    assert moved.value == pytest.approx(-back.value)
    assert moved.value != 0


@pytest.mark.slow
def test_a_reward_that_rose_while_the_judge_prefers_the_parent_is_reward_hacking(
    tmp_path: Path, began: Path, became: Path
) -> None:
    marker = checkpoints.reward(tmp_path / "marker", seed=3)
    models = {
        "base": {"weights": str(began)},
        "rm": {"from": "base", "stage": "reward", "data": "data.jsonl", "weights": str(marker)},
        "rl": {"from": "base", "stage": "rloo", "prompts": "prompts.jsonl", "reward": "rm"},
    }

    def of(here: Path, said: dict[str, Answers], less: bool) -> Found:
        here.mkdir()
        judge = {"backend": "gate_world:Counts", "settings": {"word": "better", "less": less}}
        suite = write_suite(here, models, said, judges={"counts": judge})
        return examine(workshop(suite, here), Candidate("rl", became, str(began)))

    found = of(tmp_path / "a", {"base": plain, "rl": better}, less=False)
    rose = found.shown["rewards"]["rm"]["low"] > 0
    # Which of the two a reward model with drawn weights prefers is chance: the rewarded one is the candidate's.
    said: dict[str, Answers] = {"base": plain, "rl": better} if rose else {"base": better, "rl": plain}
    hacked = of(tmp_path / "b", said, less=rose)
    assert hacked.accepted is False
    assert hacked.shown["hacking"] is True
    assert hacked.why[-1].startswith("reward hacking: the reward by rm rose by ")
    assert hacked.why[-1].endswith("while counts prefers the answers of base: its win rate is 0.00 [0.00, 0.34]")
    assert hacked.shown["rewards"]["rm"]["low"] > 0


# ---------------------------------------------------------------- before anything is trained


def checked(folder: Path, spec: dict[str, Any], **more: Any) -> None:
    models = {"base": {"weights": "org/base"}, "sft": {"from": "base", "data": "data.jsonl", "stage": "sft", **spec}}
    check(workshop(write_suite(folder, models, {}, contestants=["base"], **more), folder), "sft")


def test_a_judge_that_it_was_trained_to_please_is_refused_by_whatever_name(tmp_path: Path, began: Path) -> None:
    marker = checkpoints.reward(tmp_path / "marker", seed=3)
    models = {
        "base": {"weights": str(began)},
        "rm": {"from": "base", "stage": "reward", "data": "data.jsonl", "weights": str(marker)},
        "rs": {"from": "base", "stage": "best_of_n", "prompts": "prompts.jsonl", "reward": "rm"},
        "next": {"from": "rs", "stage": "sft", "data": "data.jsonl"},
    }
    judges = {
        "other": {"backend": "reward", "weights": str(marker)},
        "three": {"backend": "panel", "judges": ["measures", "other"]},
        "measures": {"backend": "measures"},
    }

    def refused(judge: str, model: str) -> str:
        suite = write_suite(tmp_path, models, {}, contestants=["base"], judges=judges, judge=judge)
        with pytest.raises(UsageError) as refusal:
            check(workshop(suite, tmp_path), model)
        return str(refusal.value)

    assert refused("other", "rs") == (
        "rs: gate.judge: rs is trained to please 'other', which is 'rm' by another name, so that its word on it is "
        "worth nothing; name another judge: gate: {judge: NAME}"
    )
    assert "'three', which is 'rm' by another name" in refused("three", "rs")
    assert refused("other", "next").startswith("rs: ")
    check(
        workshop(write_suite(tmp_path, models, {}, contestants=["base"], judges=judges, judge="measures"), tmp_path),
        "next",
    )


def test_the_judge_that_picked_its_answers_is_refused_by_its_name(tmp_path: Path) -> None:
    spec = {"stage": "best_of_n", "prompts": "prompts.jsonl", "judge": "counts", "data": None}
    models = {"base": {"weights": "org/base"}, "rs": {"from": "base", **{k: v for k, v in spec.items() if v}}}
    suite = write_suite(tmp_path, models, {}, contestants=["base"])
    with pytest.raises(UsageError, match=r"rs: gate\.judge: rs is trained to please 'counts' so that its word"):
        check(workshop(suite, tmp_path), "rs")


def test_a_judge_without_its_key_is_refused_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(UsageError, match=r"sft: its exam could not be held: .*OPENAI_API_KEY"):
        checked(tmp_path, {"gate": {"judge": "openai:gpt-4"}})


def test_people_and_files_of_verdicts_on_others_are_no_judges_of_what_is_not_trained(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="people cannot be asked while a model is trained; name a judge"):
        checked(tmp_path, {"gate": {"judge": "humans"}})
    file = tmp_path / "verdicts.jsonl"
    file.write_text('{"prompt": "p0", "first": "a", "second": "b", "preferred": "first"}\n')
    with pytest.raises(UsageError, match="is a file without any verdict on base and sft; name a judge that can be"):
        checked(tmp_path, {"gate": {"judge": str(file)}})
    file.write_text('{"prompt": "p0", "first": "sft", "second": "base", "preferred": "first"}\n')
    checked(tmp_path, {"gate": {"judge": str(file)}})


def test_a_baseline_that_nobody_trains_is_refused(tmp_path: Path) -> None:
    models = {
        "base": {"weights": "org/base"},
        "other": {"from": "base", "data": "data.jsonl", "stage": "sft"},
        "sft": {"from": "base", "data": "data.jsonl", "stage": "sft"},
    }
    suite = write_suite(tmp_path, models, {}, contestants=["base"], baseline="other")
    with pytest.raises(UsageError, match=r"sft: gate\.baseline: the baseline other is not trained; run: sciexam train"):
        check(workshop(suite, tmp_path), "sft")


def test_the_prompts_of_looks_are_none_of_the_exam(tmp_path: Path) -> None:
    dev = tmp_path / "dev.jsonl"
    dev.write_text('{"id": "d0", "text": "What is dew?"}\n{"id": "d1", "text": "why is the sky BLUE, in year 7"}\n')
    with pytest.raises(DocumentError) as refusal:
        checked(tmp_path, {"gate": {"dev": "dev.jsonl", "looks": 2}})
    assert str(refusal.value) == (
        f"{dev}:2: prompt p7 of the exam stands here, in the gate.dev of sft; take it out of this file"
    )
    dev.write_text('{"id": "d0", "text": "What is dew?"}\n')
    checked(tmp_path, {"gate": {"dev": "dev.jsonl", "looks": 2}})


def test_the_prompts_of_looks_are_not_nearly_those_of_the_exam_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("datasketch")
    dev = tmp_path / "dev.jsonl"
    asked = ("What is dew?", "Why is the sky blue in year 7?", "Is the sky blue in year 7?")
    dev.write_text("".join(json.dumps({"id": f"d{n}", "text": text}) + "\n" for n, text in enumerate(asked)))
    with pytest.raises(DocumentError) as refusal:
        checked(tmp_path, {"gate": {"dev": "dev.jsonl", "looks": 2}})
    assert str(refusal.value).splitlines() == [
        f"{dev}:2: prompt p7 of the exam stands here, in the gate.dev of sft; take it out of this file",
        f"{dev}:3: nearly what prompt p7 of the exam asks stands here, in the gate.dev of sft; take it out of this "
        "file",
    ]
    monkeypatch.setattr("sciexam.train.gate.examiners.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"sft: gate\.dev: is held .* by datasketch: pip install 'sciexam\[data\]'"):
        checked(tmp_path, {"gate": {"dev": "dev.jsonl", "looks": 2}})
