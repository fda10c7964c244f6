"""The files that `sciexam data stackexchange` makes, as TRL's own trainers take them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")
pytest.importorskip("datasketch")
pytest.importorskip("markdownify")

from dump import answer, question, write_dump

import checkpoints
from sciexam.exchange.question_draw import Choice
from sciexam.exchange.training_data import make

pytestmark = pytest.mark.slow


def rows_of(path: Path) -> Any:
    from datasets import load_dataset

    return load_dataset("json", data_files=str(path), split="train", cache_dir=str(path.parent.parent / "cache"))


def trainer(kind: str, folder: Path, rows: Any) -> Any:
    import trl

    config = getattr(trl, f"{kind}Config")(
        output_dir=str(folder / "trained"),
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to="none",
        save_strategy="no",
        max_steps=1,
        per_device_train_batch_size=1,
        disable_tqdm=True,
    )
    model = checkpoints.causal(folder / "model")
    return getattr(trl, f"{kind}Trainer")(
        model=str(model), args=config, train_dataset=rows, processing_class=checkpoints.tokenizer()
    )


@pytest.fixture
def made(tmp_path: Path) -> Path:
    posts = [
        question(1, "Why is my bread flat?", "<p>It is <em>flat</em>.</p>"),
        answer(11, 1, 1000, "<p>Old yeast.</p>"),
        answer(12, 1, 0, "<p>Cold water.</p>"),
    ]
    make([write_dump(tmp_path, posts)], tmp_path / "plain", Choice(test_share=0.0))
    make([write_dump(tmp_path, posts)], tmp_path / "chat", Choice(test_share=0.0, messages=True))
    return tmp_path


def test_a_demonstration_teaches_its_completion(made: Path) -> None:
    trains = trainer("SFT", made, rows_of(made / "plain" / "demonstrations.jsonl"))
    (batch,) = trains.get_train_dataloader()
    learnt = [label for label in batch["labels"][0].tolist() if label >= 0]
    assert checkpoints.tokenizer().decode(learnt) == "Old yeast.<|im_end|>"
    trains.train()


def test_messages_go_through_the_chat_template(made: Path) -> None:
    trains = trainer("SFT", made, rows_of(made / "chat" / "demonstrations.jsonl"))
    (batch,) = trains.get_train_dataloader()
    asked = "<|im_start|>user\nWhy is my bread flat?\n\nIt is *flat*.<|im_end|>\n"
    shown = checkpoints.tokenizer().decode(batch["input_ids"][0].tolist())
    assert shown == f"{asked}<|im_start|>assistant\nOld yeast.<|im_end|>\n"
    trains.train()


def test_a_pair_teaches_a_reward_model_with_its_margin(made: Path) -> None:
    rows = rows_of(made / "plain" / "preferences.jsonl")
    assert rows["margin"] == [10.0], "log2(1 + 1000), and nothing"
    loss = trainer("Reward", made, rows).train().training_loss
    assert loss == pytest.approx(-math.log(1 / (1 + math.exp(10))), abs=1), (
        "of an untrained model: -log sigmoid(-margin)"
    )


def test_a_pair_teaches_a_model_by_dpo(made: Path) -> None:
    trains = trainer("DPO", made, rows_of(made / "plain" / "preferences.jsonl"))
    (batch,) = trains.get_train_dataloader()
    chosen, rejected = (checkpoints.tokenizer().decode(one.tolist()) for one in batch["input_ids"])
    assert "Old yeast." in chosen
    assert "Cold water." in rejected
    assert trains.train().training_loss == pytest.approx(math.log(2), abs=0.01)
