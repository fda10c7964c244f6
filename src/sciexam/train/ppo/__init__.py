"""Proximal policy optimisation: the model learns what a reward model likes, and is held near to what it began as.

    sciexam train rlhf       # models: {rlhf: {from: sft, stage: ppo, prompts: prompts.jsonl, reward: rm, beta: 0.05}}

An actor and a critic (Schulman et al. 2017, arXiv 1707.06347) on the tokens of language (Ziegler et al. 2019, arXiv
1909.08593). In each step the policy answers a batch of prompts, and the reward model scores the answers. Each token
costs its share of the divergence from the reference; a value function says by how much each was better than was to be
expected; and both networks follow that for a few epochs, no further than the clipped losses let them. `equations`
has the formulas, `rollouts` the answers, `networks` the networks and their checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sciexam.errors import UsageError
from sciexam.lineage.stages import Ppo
from sciexam.models.checkpoint_files import silence
from sciexam.prompts import read_prompts
from sciexam.train.at_step import AtStep, StepFile
from sciexam.train.fitting import Diverged, Fitted, as_it_fits, quietly
from sciexam.train.job import Job, rows_of
from sciexam.train.metrics import MetricsFile
from sciexam.train.resuming import last_complete
from sciexam.train.tracking import Tracker
from sciexam.train.workshop import Workshop

# Without dropout: the ratio of probabilities that is clipped would be noise where nothing has been learnt.
DEFAULTS = {"epochs": 1.0, "learning_rate": 3e-6, "dropout": 0.0}
WITH_LORA = {"learning_rate": 3e-5}


def rows(spec: Ppo, job: Job, workshop: Workshop) -> Iterator[Mapping[str, Any]]:
    """The prompts of the stage's file."""
    for prompt in read_prompts(Path(spec.prompts), f"{job.name}: prompts: "):
        yield {"messages": [message.model_dump() for message in prompt.messages]}


def train(job: Job, until: int | None = None) -> Fitted:
    """Train the job to its end, or to the step `until`. Raises UsageError, and Diverged."""
    from sciexam.train.ppo.together import together

    silence()
    with quietly(), together() as here:
        check(job, here.count)
        return as_it_fits(job, lambda micro: _train(job, micro, here, until))


def check(job: Job, processes: int = 1) -> None:
    """Raise UsageError for what would not be done as it is said."""
    said = job.settings
    parts = said["minibatches"] * processes
    faults = {
        "dtype: fp16 is too coarse for probabilities; write bf16": said["dtype"] == "fp16",
        "dropout makes noise of the ratio that is clipped; leave it out": said["dropout"]
        or (said["lora"] or {}).get("dropout"),
        "trainer: there is no trainer of another library that would read it; leave it out": said["trainer"],
        f"batch_size: {said['batch_size']} answers cannot be dealt to {said['minibatches']} minibatches of {processes} "
        "processes": said["batch_size"] % parts,
    }
    for fault, is_there in faults.items():
        if is_there:
            raise UsageError(f"{job.name}: {fault}")


def _train(job: Job, micro: int, here: Any, until: int | None) -> Fitted:
    from sciexam.train.ppo.networks import VALUE, ActorCritic
    from sciexam.train.ppo.rollouts import Drawing, Scoring, prompts_of

    said, count = job.settings, sum(1 for _ in rows_of(job))
    steps = said["steps"] or math.ceil(said["epochs"] * count / said["batch_size"])
    networks = ActorCritic(job, steps, here.device, last_complete(job.checkpoints, also=(VALUE,)))
    prompts = prompts_of(job, networks.tokenizer, networks.loaded.context)
    training = Training(job, networks, prompts, Drawing(job, networks.loaded), Scoring(job), micro, here)
    metrics = MetricsFile(job.metrics, networks.step) if here.rank == 0 else None
    tracker = Tracker(job, micro, networks.step, steps, networks.policy) if here.rank == 0 and said["track"] else None
    step_file = StepFile(job) if here.rank == 0 else None
    if step_file:
        step_file.write(AtStep(networks.step, steps))
    while networks.step < min(steps, until or steps):
        told = training.step()
        if metrics:
            metrics.add(networks.step, told)
        if step_file:
            step_file.write(AtStep(networks.step, steps, told["loss"]))
        if tracker:
            tracker.log(networks.step, told)
        if not math.isfinite(told["loss"]):
            why = f"step {networks.step}: the loss is {told['loss']}, which is no number"
            raise Diverged(f"{job.name}: {why}; lower learning_rate, and train again")
        if networks.step % said["save_steps"] == 0 or networks.step in (steps, until):
            if here.rank == 0:
                networks.save(job.checkpoints)
            here.wait()
    if tracker:
        tracker.end()
    if networks.step >= steps and here.rank == 0:
        networks.leave(job.weights)
    here.wait()
    return Fitted(networks.step, steps, micro)


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a step learns from: rollouts, and of each token the numbers from before anything was learnt of it.

    `logprobs`, `values`, `advantages` and `returns` have the shape (answers, tokens).
    """

    rollouts: Any
    logprobs: Any
    values: Any
    advantages: Any
    returns: Any


@dataclass(frozen=True, slots=True)
class Training:
    """All that the steps of a job have in common. `micro`: how many answers this process holds at once."""

    job: Job
    networks: Any  # an ActorCritic
    prompts: Sequence[Any]
    drawing: Any
    scoring: Any
    micro: int
    here: Any  # which of the processes that train together

    def step(self) -> dict[str, float]:
        """One step of Schulman et al. 2017, algorithm 1; what is to be told of it."""
        from sciexam.train.ppo import equations

        said, networks = self.job.settings, self.networks
        beta, rate = networks.beta, networks.learning_rate

        # The policy answers, and the reward model scores the answers. One that did not end is worth less.
        rollouts = self.rollouts()
        scores, mask = rollouts.scores - said["missing_end"] * ~rollouts.ended, rollouts.mask

        # What the networks say of these answers, before they learn from them.
        logprobs, entropy, reference, values = self.opinions(rollouts)

        # What each token earned, and by how much that was more than expected.
        kl = logprobs - reference
        rewards = equations.token_rewards(scores, kl, beta, mask)
        if said["whiten"]:
            rewards = equations.whitened(rewards, mask, shift=False)
        advantages, returns = equations.advantages_of(rewards, values, mask, said["gamma"], said["lam"])

        # Both networks follow that; then the penalty follows them.
        learnt = self.learn(Lesson(rollouts, logprobs, values, equations.whitened(advantages, mask), returns))
        divergence = float(kl.sum(-1).mean())
        networks.end_step(equations.adapted(beta, divergence, said["target_kl"]) if said["target_kl"] else beta)
        return {
            **learnt,
            "reward": float(rollouts.scores.mean()),
            "kl": divergence,  # nats an answer
            "beta": beta,
            "entropy": float(entropy[mask].mean()),  # nats a token
            "explained_variance": equations.explained_variance(values, returns, mask),
            "length": float(mask.sum(-1).float().mean()),
            "unfinished": float(1 - rollouts.ended.float().mean()),
            "learning_rate": rate,
        }

    def rollouts(self) -> Any:
        """The answers of all processes to the prompts of the step that comes, with their scores."""
        from sciexam.train.ppo.rollouts import gathered, of_step, rollouts_of

        step, size, here = self.networks.step + 1, self.job.settings["batch_size"], self.here
        asked = [self.prompts[at] for at in of_step(step, size, len(self.prompts), self.job.seed)]
        own, seeds = here.share(asked), [f"{self.job.seed}:{step}:{row}" for row in here.share(range(size))]
        with self.networks.answering() as policy:
            answers = self.drawing.answers(policy, own, seeds, self.micro)
        scores = self.scoring.scores(own, answers)
        found = gathered(answers, scores, here, self.job.settings["max_new_tokens"])
        return rollouts_of([one.tokens for one in asked], *found, self.networks.tokenizer.pad_token_id)

    def opinions(self, rollouts: Any) -> list[Any]:
        """Of each token its log probability and the entropy there, its log probability by the reference, and the value.

        Each of shape (answers, tokens).
        """
        import torch

        found = []
        with torch.no_grad():
            for part in self._parts(range(len(rollouts.ids))):
                some = rollouts[part]
                said = (*self.networks.log_probabilities(some), self.networks.reference(some))
                found.append(torch.stack((*said, self.networks.values(some)), dim=1))
        return list(self.here.gathered(torch.cat(found)).unbind(1))

    def learn(self, lesson: Lesson) -> dict[str, float]:
        """Some epochs over the rollouts, in minibatches. Returns means over all tokens of all epochs.

        A minibatch's loss is the mean over its tokens, whoever holds them, and however many rows are held at once.
        """
        import torch

        from sciexam.train.ppo.rollouts import minibatches

        said, networks, mask = self.job.settings, self.networks, lesson.rollouts.mask
        sums, norms = torch.zeros(5, device=mask.device, dtype=torch.float64), []
        for epoch in range(said["inner_epochs"]):
            for rows in minibatches(networks.step + 1, epoch, len(mask), said["minibatches"], self.job.seed):
                for part in self._parts(rows):
                    sums += self._gradients(lesson, part, mask[rows].sum())
                self.here.add(parameter.grad for parameter in networks.parameters if parameter.grad is not None)
                norms.append(networks.follow())
        self.here.add([sums])
        actor, critic, clipped, held, moved = (sums / (said["inner_epochs"] * mask.sum())).tolist()
        return {
            "loss": actor + said["value_weight"] * critic,
            "policy_loss": actor,
            "value_loss": critic,
            "clip_fraction": clipped,
            "value_clip_fraction": held,
            "approx_kl": moved,  # nats a token by which the step has moved the policy
            "grad_norm": float(torch.stack(norms).mean()),
        }

    def _gradients(self, lesson: Lesson, part: list[int], tokens: Any) -> Any:
        """Add to the gradients those of some rows of a minibatch of so many `tokens`. Sums over the rows' tokens."""
        import torch

        from sciexam.train.ppo.equations import policy_loss, value_loss

        said, rows, old = self.job.settings, lesson.rollouts[part], lesson.logprobs[part]
        logprobs, _ = self.networks.log_probabilities(rows)
        actor = policy_loss(logprobs, old, lesson.advantages[part], rows.mask, said["clip"])
        (actor.total / tokens).backward()  # before the critic is read: they share nothing
        values = self.networks.values(rows)
        critic = value_loss(values, lesson.values[part], lesson.returns[part], rows.mask, said["value_clip"])
        (said["value_weight"] * critic.total / tokens).backward()
        moved = 0.5 * ((logprobs.detach() - old) ** 2).sum()
        found = (actor.total.detach(), critic.total.detach(), actor.clipped, critic.clipped, moved)
        return torch.stack([one.double() for one in found])

    def _parts(self, rows: Sequence[int]) -> Iterator[list[int]]:
        """This process's share of some rows, as many of them as it holds at once."""
        own = self.here.share(rows)
        for begin in range(0, len(own), self.micro):
            yield list(own[begin : begin + self.micro])
