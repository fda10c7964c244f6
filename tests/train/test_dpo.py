"""DPO makes the chosen answer likelier than the rejected one, held against the parent: real tiny weights, by TRL."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("trl")

import torch
from job_world import World, killed_and_resumed, logged, make_world
from pydantic import ValidationError
from safetensors.torch import load_file

from conftest import write_jsonl, write_suite
from sciexam.digests import file_digest
from sciexam.errors import UsageError
from sciexam.lineage.sources import Judged
from sciexam.lineage.stages import LOSSES, BestOfN, Dpo, SelfRewarding, Sft, Trained
from sciexam.models.checkpoint import LocalCheckpoint
from sciexam.models.settings import Weights
from sciexam.models.token_prompts import TokenPrompts
from sciexam.suite import load_suite
from sciexam.train import dpo
from sciexam.train.data.preferences import Preference
from sciexam.train.fitting import Fitted
from sciexam.train.job import Job, rows_of
from sciexam.train.tokens import Turns
from sciexam.train.trainer_settings import check_trainer_settings
from sciexam.train.workshop import Workshop
from sciexam.types import Message

PAIRS = [
    {"prompt": f"What is {what}?", "chosen": f"{what} is light.", "rejected": f"It falls, {what}."}
    for what in ("a tide", "rust", "the moon", "a cloud", "yeast", "a fever", "the sky", "a star")
]
SAID: dict[str, Any] = {"from": "sft", "stage": "dpo", "steps": 4, "batch_size": 4, "learning_rate": 1e-3}
TRAINER = {"logging_steps": 1}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("dpo"))


def made(world: World, name: str, **said: Any) -> Job:
    data = world.write("pairs.jsonl", PAIRS)
    return world.job(name, Dpo(**{**SAID, "data": data, "save_steps": 2, "trainer": TRAINER, **said}))


@pytest.fixture(scope="module")
def trained(world: World) -> Job:
    job = made(world, "trained")
    assert dpo.train(job) == Fitted(4, 4, 4)
    return job


# ---------------------------------------------------------------- what is learnt


def test_a_row_is_what_the_exam_asks_and_the_answers_end_where_decoding_stops(world: World, trained: Job) -> None:
    tokenizer = LocalCheckpoint("sft", Weights(weights=str(world.policy)), "causal", "cpu").tokenizer
    asked = TokenPrompts("sft", tokenizer, None, None)
    for pair, row in zip(PAIRS, rows_of(trained), strict=True):
        assert row["prompt_ids"] == asked.tokens((Message(role="user", content=pair["prompt"]),))
        for side in ("chosen", "rejected"):
            assert row[f"{side}_ids"][-1] == tokenizer.eos_token_id
            assert tokenizer.decode(row[f"{side}_ids"][:-1]) == pair[side]


def test_an_answer_that_was_cut_off_has_no_end_to_be_learnt(world: World) -> None:
    turns = Turns("sft", LocalCheckpoint("sft", Weights(weights=str(world.policy)), "causal", "cpu").tokenizer)
    asked = (Message(role="user", content="What is rust?"),)
    whole, cut_off = (
        dpo.row_of(Preference(asked, "It is red.", "It", rejected_ended=ended), turns) for ended in (True, False)
    )
    assert cut_off["rejected_ids"] == whole["rejected_ids"][:-1]
    assert cut_off["chosen_ids"] == whole["chosen_ids"]


def test_the_first_loss_is_that_of_no_difference_and_what_was_chosen_becomes_likelier(trained: Job) -> None:
    """Before anything is learnt, policy and reference are one: -log sigmoid(0) = log 2 (arXiv 2305.18290, eq. 7)."""
    told = logged(trained)
    assert told[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert told[0]["rewards/margins"] == pytest.approx(0, abs=1e-6)
    assert told[-1]["loss"] < told[0]["loss"]
    assert told[-1]["rewards/margins"] > 0


def test_whole_weights_are_left_that_are_not_the_parents_and_no_pickle(world: World, trained: Job) -> None:
    before, after = (load_file(folder / "model.safetensors") for folder in (world.policy, trained.weights))
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert not [path for path in trained.weights.rglob("*") if path.suffix in (".bin", ".pt", ".pth")]


def test_pairs_are_made_of_answers_that_a_judge_has_marked(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The longest of four against the shortest; the longest was cut off, and has no end that could be learnt."""
    (tmp_path / "marking_length.py").write_text(
        "class Length:\n"
        "    name = 'length'\n"
        "    def grade(self, submissions):\n"
        "        for s in submissions:\n"
        "            yield s.grade('length', float(len(s.text)))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    prompts = write_jsonl(tmp_path / "train.jsonl", [{"id": "t", "text": "What is rust?"}])
    texts = [("It.", "stop"), ("It is red", "length"), ("It is.", "stop"), ("It is.", "stop")]
    lines = [{"prompt": "t", "sample": at, "text": text, "finish_reason": how} for at, (text, how) in enumerate(texts)]
    write_jsonl(tmp_path / "a.jsonl", lines)
    judges = {"length": {"backend": "marking_length:Length"}}
    suite = load_suite(str(write_suite(tmp_path, 2, {"a": {"responses": "a.jsonl"}}, judges=judges)))
    data = Judged(of=("a",), prompts=str(prompts), n=4, judge="length", pairs="best_worst")
    job = world.job("judged", Dpo(**{**SAID, "from": "a", "data": data}), Workshop(suite, tmp_path / "results"))
    (row,) = rows_of(job)
    tokenizer = LocalCheckpoint("sft", Weights(weights=str(world.policy)), "causal", "cpu").tokenizer
    assert tokenizer.decode(row["chosen_ids"]) == "It is red"
    assert tokenizer.decode(row["rejected_ids"]) == f"It.{tokenizer.eos_token}"


# ---------------------------------------------------------------- what is refused


def test_a_loss_that_is_none_is_refused_with_the_nearest_and_with_all_others() -> None:
    with pytest.raises(ValidationError, match=r"loss: 'sigmoit' is not a loss; did you mean 'sigmoid'\?"):
        Dpo(**{**SAID, "data": "x", "loss": "sigmoit"})
    with pytest.raises(ValidationError, match=r"'qqq' is not a loss; known: aot, aot_unpaired, .*, sppo_hard"):
        Dpo(**{**SAID, "data": "x", "loss": ["sigmoid", "qqq"]})
    with pytest.raises(ValidationError, match=r"loss_weights: 1 weights for 2 losses"):
        Dpo(**{**SAID, "data": "x", "loss": ["sigmoid", "sft"], "loss_weights": [1]})


def test_the_losses_are_those_of_the_trainer() -> None:
    from trl.trainer import dpo_trainer

    source = Path(str(dpo_trainer.__file__)).read_text(encoding="utf-8")
    there = {line.split('"')[1] for line in source.splitlines() if 'if loss_type == "' in line}
    assert there == set(LOSSES)


@pytest.mark.parametrize("noisy", [{"dropout": 0.1}, {"lora": {"dropout": 0.1}}])
def test_dropout_is_refused(noisy: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"dropout: it would be noise in what is held against the reference"):
        Dpo(**{**SAID, "data": "x", **noisy})


@pytest.mark.parametrize(
    ("trainer", "said"),
    [
        ({"betta": 1}, r"rlhf: trainer\.betta: DPOConfig has no such setting; did you mean 'beta'\?"),
        ({"beta": 0.3}, r"rlhf: trainer\.beta: the stage has a key for it: beta"),
        ({"loss_type": "ipo"}, r"rlhf: trainer\.loss_type: the stage has a key for it: loss"),
        ({"padding_free": True}, r"rlhf: trainer\.padding_free: it would have no effect here, or break what sciexam"),
        ({"trust_remote_code": True}, r"rlhf: trainer\.trust_remote_code: it would have no effect here, or break"),
        ({"push_to_hub": True}, r"rlhf: trainer\.push_to_hub: it would have no effect here, or break"),
        ({"report_to": "wandb"}, r"rlhf: trainer\.report_to: a tracker is named on the command line: --track"),
        ({"label_smoothing": 0.1}, r"label_smoothing: loss: sigmoid does not read it; it belongs to robust, exo_pair"),
        ({"ref_model_sync_steps": 8}, r"ref_model_sync_steps: it is read together with sync_ref_model, which is not"),
        ({"optim": "sgdd"}, r"rlhf: trainer: sgdd is not a valid OptimizerNames"),
    ],
)
def test_a_setting_that_the_trainer_would_not_heed_is_refused(trainer: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check_trainer_settings("rlhf", Dpo(**{**SAID, "data": "x", "trainer": trainer}))


@pytest.mark.parametrize(
    ("spec", "trainer"),
    [
        (BestOfN(**{"from": "sft", "stage": "best_of_n", "prompts": "x", "judge": "one"}), "packing"),
        (Sft(**{"from": "base", "stage": "sft", "data": "x"}), "train_sampling_strategy"),
    ],
)
def test_what_another_stage_has_a_key_for_is_refused_as_well(spec: Trained, trainer: str) -> None:
    with pytest.raises(UsageError, match=rf"m: trainer\.{trainer}: it would have no effect here"):
        check_trainer_settings("m", spec.model_copy(update={"trainer": {trainer: "ipo"}}))


def test_self_rewarding_says_its_loss_by_its_own_key() -> None:
    said = {"from": "m1", "stage": "self_rewarding", "prompts": "x", "judge": "self", "trainer": {"loss_type": "ipo"}}
    with pytest.raises(UsageError, match=r"m: trainer\.loss_type: the stage has a key for it: loss"):
        check_trainer_settings("m", SelfRewarding(**said))


def test_settings_that_are_heeded_are_let_through() -> None:
    kept = {"max_grad_norm": 0.5, "optim": "adafactor", "logging_steps": 1, "f_divergence_type": "js_divergence"}
    check_trainer_settings("rlhf", Dpo(**{**SAID, "data": "x", "trainer": kept}))
    smoothed = {**SAID, "data": "x", "loss": "robust", "trainer": {"label_smoothing": 0.1}}
    check_trainer_settings("rlhf", Dpo(**smoothed))
    with pytest.raises(UsageError, match=r"rlhf: loss: exo_pair needs a smoothing above 0: trainer: \{label_smoothing"):
        check_trainer_settings("rlhf", Dpo(**{**SAID, "data": "x", "loss": "exo_pair"}))


def test_a_pair_that_would_be_cut_off_is_refused(world: World) -> None:
    with pytest.raises(UsageError, match=r"short: 8 of 8 pairs have more than max_length: 5 tokens \(the longest \d+"):
        dpo.train(made(world, "short", max_length=5))


# ---------------------------------------------------------------- other ways


@pytest.mark.slow
@pytest.mark.parametrize("loss", [name for name in LOSSES if name != "exo_pair"])
def test_every_loss_is_trained(world: World, loss: str) -> None:
    job = made(world, f"by-{loss}", loss=loss, steps=2)
    assert dpo.train(job).step == 2
    assert all(math.isfinite(line["loss"]) for line in logged(job))


@pytest.mark.slow
def test_a_mix_of_losses_is_their_weighted_sum(world: World) -> None:
    """At the first step: log 2 of the one, and the likelihood of the chosen answers of the other."""
    first = {
        name: logged(job)[0]["loss"]
        for name, more in {
            "likelihood": {"loss": "sft"},
            "mixed": {"loss": ["sigmoid", "sft"], "loss_weights": [1.0, 0.5]},
            "ipo": {"loss": "ipo", "beta": 0.25},
        }.items()
        if dpo.train(job := made(world, name, steps=1, save_steps=1, **more))
    }
    assert first["mixed"] == pytest.approx(math.log(2) + 0.5 * first["likelihood"], rel=1e-5)
    assert first["ipo"] == pytest.approx((1 / (2 * 0.25)) ** 2, rel=1e-5)  # arXiv 2310.12036, equation 17, at 0


@pytest.mark.slow
def test_with_an_adapter_the_reference_is_the_weights_below_it(world: World) -> None:
    job = made(world, "adapted", lora={"r": 4})
    dpo.train(job)
    told = logged(job)
    assert told[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert told[-1]["rewards/margins"] > 0
    assert (job.weights / "adapter_model.safetensors").is_file()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_killed_it_goes_on_to_the_very_same_weights(world: World) -> None:
    """In the third time through the pairs."""
    whole, killed = (made(world, name, steps=12, save_steps=1) for name in ("whole", "killed"))
    dpo.train(whole)
    killed_and_resumed(killed, "checkpoint-5")
    assert file_digest(whole.weights / "model.safetensors") == file_digest(killed.weights / "model.safetensors")
