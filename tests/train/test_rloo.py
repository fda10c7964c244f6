"""RLOO on real tiny weights, by TRL: our tokens, our rewards, and the same weights wherever it was broken off."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("trl")

from job_world import World, killed_and_resumed, logged, make_world
from pydantic import ValidationError

from sciexam.digests import file_digest
from sciexam.errors import UsageError
from sciexam.lineage.stages import Rloo
from sciexam.models.checkpoint import LocalCheckpoint
from sciexam.models.reward_weights import RewardWeights
from sciexam.models.settings import RewardCheckpoint, Weights
from sciexam.train import rloo
from sciexam.train.fitting import Fitted
from sciexam.train.job import Job
from sciexam.train.ppo.rollouts import of_step
from sciexam.train.trainer_settings import check_trainer_settings
from sciexam.types import Conversation, Message

ASKED = ["Why?", "What is a tide, and who saw it first?", "How so?", "Name a star.", "Why?", "Where is rust?"]
SAID: dict[str, Any] = {
    "from": "sft",
    "stage": "rloo",
    "reward": "rm",
    "steps": 4,
    "batch_size": 8,
    "n": 2,
    "learning_rate": 1e-3,
    "max_new_tokens": 8,
    "save_steps": 2,
    "trainer": {"logging_steps": 1},
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("rloo"))


def made(world: World, name: str, **said: Any) -> Job:
    prompts = world.write("prompts.jsonl", ({"id": str(at), "text": text} for at, text in enumerate(ASKED)))
    return world.job(name, Rloo(**{**SAID, "prompts": prompts, **said}))


def weights_of(job: Job) -> str:
    return file_digest(job.weights / "model.safetensors")


class Seen:
    """What a training drew and scored, noted as it went on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        from sciexam.train.ppo import rollouts

        self.asked: list[list[Any]] = []
        self.answers: list[list[Any]] = []
        self.scores: list[list[float]] = []
        scores = rollouts.Scoring.scores

        def noted(scoring: Any, asked: Any, answers: Any) -> list[float]:
            found = scores(scoring, asked, answers)
            self.asked.append(list(asked))
            self.answers.append(list(answers))
            self.scores.append(found)
            return found

        monkeypatch.setattr(rollouts.Scoring, "scores", noted)


@pytest.mark.slow
def test_it_asks_and_scores_as_the_exam_does(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, job = Seen(monkeypatch), made(world, "seen", missing_end=0.5)
    assert rloo.train(job) == Fitted(4, 4, 8)
    tokenizer = LocalCheckpoint("sft", Weights(weights=str(world.policy)), "causal", "cpu").tokenizer
    reward = RewardWeights("rm", RewardCheckpoint(weights=str(world.reward)), fetch=False)
    for step, (asked, answers, scores) in enumerate(zip(seen.asked, seen.answers, seen.scores, strict=True), 1):
        expected = [ASKED[place] for place in of_step(step, 4, len(ASKED), job.seed) for _ in range(2)]
        assert [one.messages[-1].content for one in asked] == expected
        said = [(Message(role="user", content=text),) for text in expected]
        assert [one.tokens for one in asked] == [
            tokenizer.apply_chat_template(
                [{"role": "user", "content": text}], add_generation_prompt=True, return_dict=False
            )
            for text in expected
        ]
        shown = [
            Conversation(str(row), (*messages, Message(role="assistant", content=answer.text)))
            for row, (messages, answer) in enumerate(zip(said, answers, strict=True))
        ]
        by_row = {int(reply.key): float(reply.text) for reply in reward.generate(shown)}
        assert scores == pytest.approx([by_row[row] for row in range(len(shown))], abs=1e-5)
    first = logged(job)[0]
    unfinished = sum(not answer.ended for answer in seen.answers[0]) / 8
    assert unfinished > 0
    assert first["completions/clipped_ratio"] == pytest.approx(unfinished)
    assert first["reward"] == pytest.approx(sum(seen.scores[0]) / 8 - 0.5 * unfinished, abs=1e-5)
    assert first["kl"] == pytest.approx(0, abs=1e-5)  # it begins as its reference


@pytest.mark.slow
def test_what_is_rewarded_is_said_more_often(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reward that counts a letter: after thirty steps the answers have half as many again."""
    from sciexam.train.ppo.rollouts import Scoring

    found: list[float] = []

    def scores(scoring: Any, asked: Any, answers: Any) -> list[float]:
        liked = [float(answer.text.count("e")) for answer in answers]
        found.append(sum(liked) / len(liked))
        return liked

    monkeypatch.setattr(Scoring, "scores", scores)
    rloo.train(made(world, "liked", steps=30, batch_size=32, n=4, learning_rate=1e-2, beta=0, missing_end=0))
    assert sum(found[-5:]) > 1.5 * sum(found[:5])


@pytest.mark.slow
def test_it_is_the_same_each_time_and_in_parts_and_broken_off_anywhere(world: World) -> None:
    """Broken off in the second time through the prompts, where the trainer's own sampler would begin anew."""
    whole, again, parts, broken = (
        made(world, name, **more)
        for name, more in {"whole": {}, "again": {}, "parts": {"micro_batch": 4}, "broken": {}}.items()
    )
    for job in (whole, again, parts):
        rloo.train(job)
    assert rloo.train(broken, until=3).step == 3
    assert rloo.train(broken).step == 4
    assert weights_of(whole) == weights_of(again) == weights_of(broken)
    assert logged(whole)[0]["reward"] == pytest.approx(logged(parts)[0]["reward"], abs=1e-4)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_killed_it_goes_on_to_the_very_same_weights(world: World) -> None:
    whole, killed = (made(world, name, steps=8, save_steps=1) for name in ("whole-8", "killed-8"))
    rloo.train(whole)
    killed_and_resumed(killed, "checkpoint-4")
    assert weights_of(whole) == weights_of(killed)


@pytest.mark.slow
def test_an_adapter_is_trained_against_the_weights_below_it(world: World) -> None:
    job = made(world, "adapted", lora={"r": 4})
    rloo.train(job)
    assert logged(job)[0]["kl"] == pytest.approx(0, abs=1e-5)
    assert (job.weights / "adapter_model.safetensors").is_file()


# ---------------------------------------------------------------- what is refused


def test_a_batch_is_dealt_evenly_to_prompts() -> None:
    with pytest.raises(ValidationError, match=r"batch_size: 16 answers are not 3 to each of some prompts \(`n`\)"):
        Rloo(**{**SAID, "prompts": "x", "batch_size": 16, "n": 3})


@pytest.mark.slow
def test_a_prompt_that_leaves_no_room_for_an_answer_is_refused(world: World) -> None:
    with pytest.raises(UsageError, match=r"short: 2 of 6 prompts .* leave no room for max_new_tokens: 8 in 24 tokens"):
        rloo.train(made(world, "short", max_length=24))


@pytest.mark.parametrize(
    ("trainer", "said"),
    [
        ({"top_p": 0.9}, r"rlhf: trainer\.top_p: it would have no effect here, or break what sciexam does"),
        ({"num_iterations": 2}, r"rlhf: trainer\.num_iterations: it would have no effect here"),
        ({"use_vllm": True}, r"rlhf: trainer\.use_vllm: it would have no effect here"),
        ({"temperature": 0.7}, r"rlhf: trainer\.temperature: the stage has a key for it: temperature"),
        ({"reward_clip": 1}, r"rlhf: trainer\.reward_clip: RLOOConfig has no such setting; did you mean"),
    ],
)
def test_a_setting_that_the_trainer_would_not_heed_is_refused(trainer: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check_trainer_settings("rlhf", Rloo(**{**SAID, "prompts": "x", "trainer": trainer}))
