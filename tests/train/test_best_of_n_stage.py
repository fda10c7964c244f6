"""The best of several answers is learnt: picked by marks, by comparisons or by a reward model; never one cut off."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from job_world import World, make_world

from conftest import write_jsonl, write_suite
from sciexam.errors import UsageError
from sciexam.lineage.stages import BestOfN
from sciexam.models.checkpoint import LocalCheckpoint
from sciexam.models.reward_weights import RewardWeights
from sciexam.models.settings import RewardCheckpoint, Weights
from sciexam.suite import load_suite
from sciexam.train.job import Job, rows_of
from sciexam.train.workshop import Workshop
from sciexam.types import Conversation, Message
from train_world import LONGER

JUDGES = (
    LONGER
    + """
class Length:
    name = "length"
    def grade(self, submissions):
        for s in submissions:
            yield s.grade(self.name, failure="unreadable") if "?" in s.text else s.grade(self.name, float(len(s.text)))
"""
)
CUT = "Cut off though it is by far the longest of all"
SAID = {
    "t0": ("One.", "One two.", CUT, "Two."),
    "t1": ("One?", "Seven?", "Eleven.", "Six."),  # with a judge that cannot read a question
    "t2": (CUT, CUT, CUT, CUT),
}


@dataclass
class Picking:
    world: World
    workshop: Workshop
    prompts: Path
    told: list[str] = field(default_factory=list)

    def job(self, name: str, **how: Any) -> Job:
        spec = BestOfN(**{"from": "a", "stage": "best_of_n", "prompts": str(self.prompts), "n": 4, **how})
        return self.world.job(name, spec, self.workshop)

    def picked(self, name: str, **how: Any) -> list[str]:
        """What is learnt, in words, without the token that ends it."""
        own = tokenizer(self.world)
        learnt = [[label for label in row["labels"] if label != -100] for row in rows_of(self.job(name, **how))]
        assert all(row[-1] == own.eos_token_id for row in learnt)
        return [own.decode(row[:-1]) for row in learnt]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("best_of_n"))


@pytest.fixture
def picking(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Picking:
    (tmp_path / "picking.py").write_text(JUDGES)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "picking", raising=False)
    prompts = write_jsonl(tmp_path / "train.jsonl", [{"id": name, "text": f"Explain {name}"} for name in SAID])
    lines = [
        {"prompt": name, "sample": sample, "text": text, "finish_reason": "length" if text == CUT else "stop"}
        for name, texts in SAID.items()
        for sample, text in enumerate(texts)
    ]
    write_jsonl(tmp_path / "a.jsonl", lines)
    pairs = write_jsonl(tmp_path / "pairs.jsonl", [{"prompt": "q", "chosen": "g", "rejected": "b"}])
    models = {
        "a": {"responses": "a.jsonl"},
        "rm": {"from": "a", "stage": "reward", "data": str(pairs), "weights": str(world.reward)},
    }
    judges = {name.lower(): {"backend": f"picking:{name}"} for name in ("Longer", "Length")}
    suite = load_suite(str(write_suite(tmp_path, 2, models, contestants=["a"], judges=judges)))
    told: list[str] = []
    return Picking(world, Workshop(suite, tmp_path / "results", tell=told.append), prompts, told)


def tokenizer(world: World) -> Any:
    return LocalCheckpoint("sft", Weights(weights=str(world.policy)), "causal", "cpu").tokenizer


def test_a_judge_that_marks_picks_the_answer_with_the_highest_mark_of_those_that_ended(picking: Picking) -> None:
    """A prompt whose answers are all cut off is left out; so is an answer without a mark."""
    assert picking.picked("marked", judge="length") == ["One two.", "Eleven."]
    assert "marked: the best of 4 answers to 2 of 3 prompts" in picking.told


def test_a_judge_that_compares_picks_the_answer_that_is_ahead_of_the_others(picking: Picking) -> None:
    assert picking.picked("compared", judge="longer") == ["One two.", "Eleven."]


def test_a_reward_model_picks_the_answer_that_it_scores_highest(picking: Picking) -> None:
    scoring = RewardWeights("rm", RewardCheckpoint(weights=str(picking.world.reward)), fetch=False)

    def best(name: str) -> str:
        texts = [text for text in SAID[name] if text != CUT]
        shown = [
            Conversation(
                str(row),
                (Message(role="user", content=f"Explain {name}"), Message(role="assistant", content=text)),
            )
            for row, text in enumerate(texts)
        ]
        return texts[max((float(reply.text), int(reply.key)) for reply in scoring.generate(shown))[1]]

    assert picking.picked("rewarded", reward="rm") == [best("t0"), best("t1")]


def test_where_all_answers_were_cut_off_it_says_what_to_do(picking: Picking) -> None:
    write_jsonl(picking.prompts, [{"id": "t2", "text": "Explain t2"}])
    with pytest.raises(UsageError, match=r"none: not one answer of a ended by itself; raise max_tokens in the suite"):
        picking.job("none", judge="length")


@pytest.mark.slow
def test_it_learns_what_was_picked(picking: Picking) -> None:
    pytest.importorskip("trl")
    from sciexam.train import best_of_n

    job = picking.job("learnt", judge="length", epochs=2, learning_rate=1e-3, batch_size=2)
    assert best_of_n.train(job).step == 2
    assert (job.weights / "model.safetensors").is_file()
