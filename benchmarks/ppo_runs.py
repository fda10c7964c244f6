"""PPO beside another implementation of it, and with the penalty beside without: the tables of docs/ppo.md.

    OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 python benchmarks/ppo_runs.py FOLDER [--trl UNPACKED] [--seeds 1 2 3]

FOLDER is where everything is made. UNPACKED is an unpacked wheel of trl 1.12.0, the last that had a PPO trainer.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from ppo_world import pairs, prompts, true_score, write_documents

from sciexam.lineage.stages import Ppo, Pretrain
from sciexam.models.reward_text import Form
from sciexam.prompts import read_prompts
from sciexam.stats import Estimate, mean
from sciexam.train.fitting import fit_here
from sciexam.train.job import Job
from sciexam.train.pretrain import make_base
from sciexam.train.stages import module_of, settings_of
from sciexam.types import Message, Prompt

STEPS, BATCH, RATE, NEW, BETA = 40, 32, 1e-3, 40, 0.05


def made(folder: Path, spec: Any, parent: str, reward: str | None, seed: int) -> Job:
    """The job of a stage, with its rows, as a walk would make it."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = settings_of(spec, None)
    job = Job(settings["stage"], settings["stage"], str(folder), settings, seed, parent, reward)
    job.write(module_of(job.stage).rows(spec, job, None))
    return job


def base_of(folder: Path, seed: int) -> str:
    """Weights that write as people do: some of it good."""
    folder.mkdir(parents=True, exist_ok=True)
    documents = write_documents(folder / "documents.jsonl", 3000, seed)
    spec = Pretrain(
        stage="pretrain",
        data=str(documents),
        architecture={"hidden": 64, "layers": 2, "vocabulary": 400},
        batch_size=32,
        epochs=4,
    )
    job = made(folder, spec, make_base(spec, folder / "base", seed), None, seed)
    if not job.weights.is_dir():
        fit_here(job)
    return str(job.weights)


def answers_of(weights: str, prompts: Sequence[Prompt], seed: str) -> list[Any]:
    """One answer to each prompt, drawn at temperature 1."""
    from sciexam.models.checkpoint import LocalCheckpoint
    from sciexam.models.settings import Weights
    from sciexam.train.ppo.rollouts import Asked, Drawing
    from sciexam.train.tokens import Turns

    with LocalCheckpoint("policy", Weights(weights=weights), "causal", "cpu").use() as loaded:
        turns = Turns("policy", loaded.tokenizer)
        asked = [Asked(one.messages, turns.prompt(one.messages)) for one in prompts]
        job = Job("policy", "ppo", "", {"temperature": 1.0, "max_new_tokens": NEW}, 0, weights)
        return Drawing(job, loaded).answers(loaded, asked, [f"{seed}:{row}" for row in range(len(asked))], 256)


def reward_model(base: str, asked: Sequence[Prompt], folder: Path, seed: int) -> str:
    """A reward model of the annotator's choices among the base's answers: Bradley and Terry's loss, three epochs."""
    import torch
    from torch.nn.functional import logsigmoid
    from torch.nn.utils.rnn import pad_sequence
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    if folder.is_dir():
        return str(folder)
    drawn = [answers_of(base, asked, f"reward:{seed}:{sample}") for sample in range(8)]
    said = [(one, [answers[place].text for answers in drawn]) for place, one in enumerate(asked)]
    tokenizer = AutoTokenizer.from_pretrained(base)
    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1)
    model.config.pad_token_id = tokenizer.pad_token_id
    form = Form("reward", tokenizer, None, None, tokenizer.pad_token_id)
    rows = [[shown(form, one, text) for text in (better, worse)] for one, better, worse in pairs(said, seed)]
    optimizer, draw = torch.optim.AdamW(model.parameters(), lr=1e-3), random.Random(seed)
    for _ in range(3):
        draw.shuffle(rows)
        for begin in range(0, len(rows), 16):
            some = rows[begin : begin + 16]
            ids = [torch.tensor(ids) for pair in zip(*some, strict=True) for ids in pair]
            batch = pad_sequence(ids, True, tokenizer.pad_token_id)
            scores = model(input_ids=batch, attention_mask=(batch != tokenizer.pad_token_id).long()).logits[:, 0]
            better, worse = scores.chunk(2)
            (-logsigmoid(better - worse).mean() + 0.01 * (scores**2).mean()).backward()
            optimizer.step()
            optimizer.zero_grad()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def shown(form: Form, asked: Prompt, text: str) -> list[int]:
    return list(form.show((*asked.messages, Message(role="assistant", content=text))).ids)


@dataclass(frozen=True)
class Outcome:
    """Of a policy: its mean reward and true score on all prompts, eight answers to each; the KL of its last steps."""

    reward: float
    true: float
    kl: float
    length: float
    unfinished: float
    seconds: float
    by_prompt: tuple[float, ...]


def examined(weights: str, reward: str, asked: Sequence[Prompt], kl: float, seconds: float) -> Outcome:
    from sciexam.train.ppo.rollouts import Asked, Scoring

    drawn = [answers_of(weights, asked, f"exam:{sample}") for sample in range(8)]
    scoring = Scoring(Job("exam", "ppo", "", {}, 0, weights, reward))
    rewards = [
        score for answers in drawn for score in scoring.scores([Asked(one.messages, []) for one in asked], answers)
    ]
    true = [[true_score(one.text, a.text, a.ended) for one, a in zip(asked, answers, strict=True)] for answers in drawn]
    flat = [a for answers in drawn for a in answers]
    return Outcome(
        fmean(rewards),
        fmean(map(fmean, true)),
        kl,
        fmean(len(a.tokens) for a in flat),
        fmean(not a.ended for a in flat),
        seconds,
        tuple(fmean(one) for one in zip(*true, strict=True)),
    )


def ours(folder: Path, base: str, reward: str, asked: Path, beta: float, seed: int) -> tuple[str, float, float]:
    """Weights that our stage left, the mean KL of the last ten steps, and the seconds that it took."""
    said = {"steps": STEPS, "batch_size": BATCH, "learning_rate": RATE, "max_new_tokens": NEW, "schedule": "constant"}
    spec = Ppo(**{"from": "base"}, stage="ppo", prompts=str(asked), reward="rm", beta=beta, **said)
    job = made(folder, spec, base, reward, seed)
    began = time.monotonic()
    fit_here(job)
    logged = [json.loads(line) for line in job.metrics.read_text().splitlines()]
    return str(job.weights), fmean(line["kl"] for line in logged[-10:]), time.monotonic() - began


def theirs(
    wheel: Path, folder: Path, base: str, reward: str, asked: Path, beta: float, seed: int
) -> tuple[str, float, float]:
    """The same of trl 1.12.0, in a process of its own."""
    said = {"policy": base, "reward": reward, "prompts": str(asked), "out": str(folder), "batch": BATCH, "beta": beta}
    said |= {"steps": STEPS, "rate": RATE, "new": NEW, "seed": seed}
    command = [sys.executable, str(Path(__file__).with_name("ppo_trl.py")), json.dumps(said)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(wheel)})
    if done.returncode:
        raise SystemExit(done.stderr)
    told = json.loads(done.stdout.splitlines()[-1])
    return str(folder), told["kl"], told["seconds"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--trl", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    given = parser.parse_args()
    folder = given.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "prompts.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in prompts()), encoding="utf-8")
    asked, base = read_prompts(file), base_of(folder / "base", 1)
    reward = reward_model(base, asked, folder / "rm", 1)
    print("| by | seed | beta | reward | true score | KL | tokens | without end | seconds |")
    print("|---|---|---|---|---|---|---|---|---|")
    show("before", "", "", examined(base, reward, asked, 0.0, 0.0))
    for seed in given.seeds:
        held: dict[str, list[Outcome]] = {}
        for beta in (BETA, 0.0):
            runs = {"ours": lambda: ours(folder / f"ours-{beta}-{seed}", base, reward, file, beta, seed)}  # noqa: B023
            if given.trl:
                runs["trl"] = lambda: theirs(given.trl, folder / f"trl-{beta}-{seed}", base, reward, file, beta, seed)  # noqa: B023
            for by, run in runs.items():
                weights, kl, seconds = run()
                held.setdefault(by, []).append(examined(weights, reward, asked, kl, seconds))
                show(by, seed, beta, held[by][-1])
        for by, (with_it, without) in held.items():
            gain = gain_of(with_it, without)
            said = f"{gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"
            print(f"\n{by}, seed {seed}: the penalty gains {said} of true score\n", flush=True)


def gain_of(one: Outcome, other: Outcome) -> Estimate:
    """By how much the true score of `one` is higher, prompt by prompt."""
    found = mean([mine - theirs for mine, theirs in zip(one.by_prompt, other.by_prompt, strict=True)])
    assert isinstance(found, Estimate)
    return found


def show(by: str, seed: Any, beta: Any, of: Outcome) -> None:
    numbers = (
        f"{of.reward:.2f} | {of.true:.3f} | {of.kl:.1f} | {of.length:.1f} | {of.unfinished:.2f} | {of.seconds:.0f}"
    )
    print(f"| {by} | {seed} | {beta} | {numbers} |", flush=True)


if __name__ == "__main__":
    main()
