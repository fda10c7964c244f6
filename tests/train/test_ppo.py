"""PPO trains real tiny weights: the same each time, also where it was broken off, and in any number of parts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from safetensors.torch import load_file

import checkpoints
from sciexam.digests import file_digest
from sciexam.errors import SciexamError, UsageError
from sciexam.lineage.stages import Ppo
from sciexam.train import fitting, ppo
from sciexam.train.fitting import Diverged, Fitted
from sciexam.train.job import Job
from sciexam.train.ppo.networks import ActorCritic
from sciexam.train.ppo.rollouts import Drawing, minibatches, of_step, prompts_of, rollouts_of
from sciexam.train.stages import settings_of

SAID: dict[str, Any] = {
    "steps": 4,
    "batch_size": 8,
    "learning_rate": 1e-3,
    "schedule": "linear",
    "max_new_tokens": 8,
    "inner_epochs": 2,
    "minibatches": 2,
    "save_steps": 2,
}


@dataclass(frozen=True)
class World:
    folder: Path
    policy: Path
    reward: Path

    def job(self, name: str, **said: Any) -> Job:
        """A job in a folder of its own, with six prompts."""
        folder, prompts = self.folder / name, self.folder / "prompts.jsonl"
        asked = ["Why?", "What is a tide, and who saw it first?", "How so?", "Name a star.", "Who?", "Where is rust?"]
        prompts.write_text("".join(json.dumps({"id": str(at), "text": one}) + "\n" for at, one in enumerate(asked)))
        given = {"from": "sft", "stage": "ppo", "prompts": str(prompts), "reward": "rm", **SAID, **said}
        spec = Ppo(**given)
        job = Job(name, "ppo", str(folder), settings_of(spec, None), 7, str(self.policy), str(self.reward))
        job.write(ppo.rows(spec, job, None))  # type: ignore[arg-type]  # it needs no workshop
        return job


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("ppo")
    return World(folder, checkpoints.causal(folder / "policy"), checkpoints.reward(folder / "reward"))


@pytest.fixture(scope="module")
def trained(world: World) -> Job:
    job = world.job("trained")
    assert ppo.train(job) == Fitted(4, 4, 8)
    return job


def logged(job: Job) -> list[dict[str, float]]:
    return [json.loads(line) for line in job.metrics.read_text().splitlines()]


def weights_of(job: Job) -> dict[str, Any]:
    found: dict[str, Any] = load_file(job.weights / "model.safetensors")
    return found


def test_what_is_left_is_whole_weights_and_nothing_of_the_training(trained: Job, world: World) -> None:
    left = set(os.listdir(trained.weights))
    assert {"model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"} <= left
    assert not [name for name in left if Path(name).suffix in (".pt", ".pth", ".bin", ".md")]
    before, after = load_file(world.policy / "model.safetensors"), weights_of(trained)
    assert before.keys() == after.keys()  # no head of a value function among them
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_each_step_is_told_with_what_it_did(trained: Job) -> None:
    lines = logged(trained)
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    told = {"reward", "kl", "beta", "entropy", "approx_kl", "clip_fraction", "explained_variance", "length"}
    assert told | {"loss", "policy_loss", "value_loss", "unfinished", "learning_rate", "grad_norm"} <= lines[0].keys()
    assert lines[0]["kl"] == 0.0  # the policy is the reference, to the last digit
    assert lines[-1]["kl"] != 0.0
    assert [line["learning_rate"] for line in lines] == pytest.approx([1e-3, 7.5e-4, 5e-4, 2.5e-4])
    assert all(0 < line["length"] <= 8 and 0 <= line["unfinished"] <= 1 for line in lines)


def test_broken_off_and_gone_on_with_it_ends_at_the_same_bits(trained: Job, world: World) -> None:
    job = world.job("again")
    assert ppo.train(job, until=3).step == 3
    assert not job.weights.exists()
    # The last checkpoint is torn, and what was logged behind the one before it comes again.
    (job.checkpoints / "checkpoint-3" / "value.safetensors").write_bytes(b"torn")
    assert ppo.train(job).step == 4
    assert file_digest(job.weights / "model.safetensors") == file_digest(trained.weights / "model.safetensors")
    assert job.metrics.read_text() == trained.metrics.read_text()
    assert sorted(os.listdir(job.checkpoints)) == ["checkpoint-2", "checkpoint-3", "checkpoint-4"]


@pytest.mark.slow
def test_held_in_smaller_parts_it_learns_the_same(trained: Job, world: World) -> None:
    job = world.job("parts", micro_batch=2, steps=2, schedule="constant")
    whole = world.job("whole", steps=2, schedule="constant")
    assert (ppo.train(job).micro_batch, ppo.train(whole).micro_batch) == (2, 8)
    for one, other in zip(logged(job), logged(whole), strict=True):
        assert one == pytest.approx(other, rel=1e-3, abs=1e-5)


@pytest.mark.slow
def test_memory_that_does_not_suffice_halves_what_is_held(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    job = world.job("memory", steps=1)
    through = ActorCritic.values

    def short(self: ActorCritic, rows: Any) -> Any:
        if len(rows.ids) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return through(self, rows)

    monkeypatch.setattr(ActorCritic, "values", short)
    assert ppo.train(job) == Fitted(1, 1, 2)
    # Where others wait for this process, they all begin again.
    job = world.job("memory-of-several", steps=1)
    monkeypatch.setattr(fitting, "world_size", lambda: 2)
    said = "memory-of-several: 4 rows at once do not fit into the memory of a process; train it again: it goes on with"
    with pytest.raises(SciexamError, match=said):
        ppo.train(job)
    assert ppo.train(job) == Fitted(1, 1, 2)


@pytest.mark.slow
def test_an_adapter_is_trained_against_the_policy_without_it(world: World) -> None:
    job = world.job("lora", lora={"r": 2}, steps=2, learning_rate=1e-2, dtype="bf16")
    ppo.train(job, until=1)
    ppo.train(job)
    first, second = logged(job)
    assert (first["kl"], first["learning_rate"]) == (0.0, 1e-2)
    assert second["kl"] != 0.0
    assert {"adapter_model.safetensors", "adapter_config.json"} <= set(os.listdir(job.weights))
    networks = ActorCritic(job, 2, torch.device("cpu"), job.checkpoints / "checkpoint-2")
    assert networks.step == 2
    names = [name for name, value in networks.policy.named_parameters() if value.requires_grad]
    assert names
    assert all("lora_" in name for name in names)


@pytest.mark.slow
def test_four_bits_that_have_answered_still_give_right_gradients(world: World) -> None:
    pytest.importorskip("bitsandbytes")
    folder, wide = world.folder / "wide", {"hidden_size": 64, "intermediate_size": 128}
    wide_world = World(folder, checkpoints.causal(folder / "p", **wide), checkpoints.reward(folder / "r", **wide))
    job = wide_world.job("nf4", quantization="nf4", lora={"r": 2}, dtype="bf16")
    found = []
    for answers_before in (False, True):
        networks = ActorCritic(job, 4, torch.device("cpu"))
        asked = prompts_of(job, networks.tokenizer, None)[:2]
        if answers_before:
            with networks.answering() as policy:
                Drawing(job, policy).answers(policy, asked, ["a", "b"], 2)
        prompts = [one.tokens for one in asked]
        rows = rollouts_of(prompts, [[9, 8, 7], [5]], torch.zeros(2), torch.ones(2).bool(), 0)
        networks.log_probabilities(rows)[0].sum().backward()
        found.append(torch.cat([one.grad.flatten() for one in networks.parameters if one.grad is not None]))
    assert torch.allclose(found[0], found[1], atol=1e-6)
    assert found[0].any()


@pytest.mark.slow
def test_an_answer_without_end_is_worth_less(world: World) -> None:
    jobs = [world.job(f"end-{much:g}", missing_end=much, steps=1) for much in (0.0, 5.0)]
    lines = []
    for job in jobs:
        ppo.train(job)
        lines.append(logged(job)[0])
    assert lines[0]["unfinished"] > 0.5
    assert lines[0]["reward"] == lines[1]["reward"]  # what the reward model said
    assert lines[1]["value_loss"] > 4 * lines[0]["value_loss"]


@pytest.mark.slow
def test_beta_follows_its_target(world: World) -> None:
    job = world.job("adaptive", target_kl=1000.0, beta=0.5, steps=3)
    ppo.train(job)
    assert [line["beta"] for line in logged(job)] == pytest.approx([0.5, 0.49, 0.4802])


def test_a_row_is_read_alike_alone_and_among_longer_ones(trained: Job) -> None:
    networks = ActorCritic(trained, 4, torch.device("cpu"))
    asked = prompts_of(trained, networks.tokenizer, None)
    prompts, answers = [one.tokens for one in asked[:3]], [[9, 8, 7, 6, 2], [5], [4, 2]]
    rows = rollouts_of(prompts, answers, torch.zeros(3), torch.ones(3).bool(), networks.tokenizer.pad_token_id)
    assert rows.mask.sum(-1).tolist() == [5, 1, 2]
    for at in range(3):
        alone = rollouts_of(prompts[at : at + 1], answers[at : at + 1], torch.zeros(1), torch.ones(1).bool(), 0)
        length = len(answers[at])
        for read in (lambda some: networks.log_probabilities(some)[0], networks.values):
            with torch.no_grad():
                among, by_itself = read(rows[[at]]), read(alone)
            assert torch.allclose(among[0, :length], by_itself[0], atol=1e-5)
            assert not among[0, length:].any()
        with torch.no_grad():
            whole = torch.tensor([[*prompts[at], *answers[at]]])
            logits = networks.policy(input_ids=whole).logits[0, len(prompts[at]) - 1 : -1].log_softmax(-1)
            expected = logits.gather(-1, torch.tensor(answers[at])[:, None])[:, 0]
            found = networks.log_probabilities(rows[[at]])[0][0, :length]
        assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_the_learning_rate_is_that_of_the_other_stages(world: World, schedule: str) -> None:
    from transformers import get_scheduler

    job = world.job(f"rate-{schedule}", schedule=schedule, warmup=0.25, steps=6, inner_epochs=1)
    ppo.train(job)
    name = "constant_with_warmup" if schedule == "constant" else schedule
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
    others = get_scheduler(name, optimizer, 2, 6)  # a quarter of six steps, rounded up
    for line in logged(job):
        assert line["learning_rate"] == pytest.approx(others.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        others.step()


def test_a_tracker_is_told_what_a_step_did(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import TrainerCallback
    from transformers.integrations import integration_utils

    told: list[tuple[int, float]] = []

    class Told(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            told.append((state.global_step, logs["reward"]))

    monkeypatch.setitem(integration_utils.INTEGRATION_TO_CALLBACK, "tensorboard", Told)
    job = world.job("tracked", steps=2)
    ppo.train(replace(job, settings={**job.settings, "track": "tensorboard"}))
    assert told == [(line["step"], line["reward"]) for line in logged(job)]


def test_every_prompt_is_asked_once_before_any_is_asked_again() -> None:
    asked = [at for step in range(1, 7) for at in of_step(step, 4, 6, seed=3)]
    for epoch in range(4):
        assert sorted(asked[6 * epoch : 6 * epoch + 6]) == list(range(6))
    assert asked[:6] != asked[6:12]
    parts = minibatches(1, 0, 8, 4, seed=3)
    assert sorted(row for part in parts for row in part) == list(range(8))
    assert {len(part) for part in parts} == {2}
    assert parts != minibatches(1, 1, 8, 4, seed=3)


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"dtype": "fp16"}, "rlhf: dtype: fp16 is too coarse for probabilities; write bf16"),
        ({"dropout": 0.1}, "rlhf: dropout makes noise of the ratio that is clipped; leave it out"),
        ({"lora": {"dropout": 0.1}}, "rlhf: dropout makes noise of the ratio that is clipped; leave it out"),
        (
            {"trainer": {"max_grad_norm": 1}},
            "rlhf: trainer: there is no trainer of another library that would read it; leave it out",
        ),
        ({"minibatches": 3}, "rlhf: batch_size: 8 answers cannot be dealt to 3 minibatches of 1 processes"),
        (
            {"max_length": 36, "max_new_tokens": 8},
            "rlhf: 1 of 6 prompts (the longest of 30 tokens) leave no room for max_new_tokens: 8 in 36 tokens; raise "
            "max_length as far as the model reads, lower max_new_tokens, or leave these prompts out of the file",
        ),
        ({"max_length": 4096, "max_new_tokens": 510}, "leave no room for max_new_tokens: 510 in 512 tokens"),
    ],
)
def test_what_cannot_be_done_as_it_is_said_is_refused(world: World, said: dict[str, Any], fault: str) -> None:
    with pytest.raises(UsageError) as caught:
        ppo.train(world.job("rlhf", **said))
    assert fault in str(caught.value)


@pytest.mark.slow
def test_weights_that_have_no_value_function_are_refused(world: World) -> None:
    other = World(world.folder / "h1", checkpoints.causal(world.folder / "h1" / "p", "falcon_h1"), world.reward)
    with pytest.raises(UsageError, match=r"h1: from: .*\(falcon_h1\) that makes a number.*write `stage: rloo`"):
        ppo.train(other.job("h1"))


@pytest.mark.slow
@pytest.mark.parametrize("family", ["gpt2", "qwen3_next", "mistral"])
def test_other_architectures_learn_with_a_value_function_of_their_own(world: World, family: str) -> None:
    folder = world.folder / family
    job = World(folder, checkpoints.causal(folder / "p", family), world.reward).job(family, steps=2)
    ppo.train(job)
    first, second = logged(job)
    assert first["kl"] == 0.0 != second["kl"]


@pytest.mark.slow
def test_a_plain_policy_is_judged_by_an_encoder(world: World) -> None:
    folder = world.folder / "plain"
    policy, reward = checkpoints.causal(folder / "p", chat_template=None), checkpoints.reward(folder / "r", "roberta")
    job = World(folder, policy, reward).job("plain", steps=2)
    ppo.train(job)
    assert logged(job)[1]["kl"] != 0.0


def test_a_loss_that_is_no_number_ends_training(world: World) -> None:
    job = world.job("wild", learning_rate=1e30)
    with pytest.raises(Diverged, match=r"wild: .*no number.*lower learning_rate, and train again"):
        ppo.train(job)


# ---------------------------------------------------------------- slow


def in_a_process(job: Job, *before: str) -> subprocess.Popen[bytes]:
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    return subprocess.Popen([sys.executable, *before, "-m", "sciexam.train", job.folder], env=environment)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_at_any_moment_it_ends_at_the_same_bits(trained: Job, world: World) -> None:
    whole = world.job("uninterrupted", steps=12, save_steps=1)
    ppo.train(whole)
    job = world.job("killed", steps=12, save_steps=1)
    for place in (1, 4, 7):
        running = in_a_process(job)
        while running.poll() is None and not (job.checkpoints / f"checkpoint-{place}").is_dir():
            time.sleep(0.002)
        running.send_signal(signal.SIGKILL)
        running.wait()
    assert not job.weights.is_dir()
    assert in_a_process(job).wait() == 0
    assert file_digest(job.weights / "model.safetensors") == file_digest(whole.weights / "model.safetensors")
    assert job.metrics.read_text() == whole.metrics.read_text()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_processes_learn_what_one_does(trained: Job, world: World) -> None:
    job = world.job("two")
    launched = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    assert in_a_process(job, *launched).wait() == 0
    for one, two in zip(logged(trained), logged(job), strict=True):
        assert one == pytest.approx(two, rel=1e-4, abs=1e-5)
    ours, theirs = weights_of(trained), weights_of(job)
    assert max(float((ours[name] - theirs[name]).abs().max()) for name in ours) < 1e-3
