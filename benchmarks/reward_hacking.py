"""Reward hacking in a world where the truth is known, and whether the gate finds it: the table of docs/gate.md.

    OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 python benchmarks/reward_hacking.py FOLDER [--seeds 1 2 3]

A lineage of the toy world: base, sft, and a reward model of a simulated annotator's choices. From the same sft, by the
same reward model, PPO is run twice with one seed: `held` pays for its divergence, `free` does not. `sciexam train` says
which of them the gate accepts; `sciexam reward` and `sciexam grade` compare both on the prompts of the exam.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sciexam.documents import shipped
from sciexam.lineage.artifacts import read_lineage
from sciexam.toy.data import FULL, SMALL, Size, write

BETA = 0.3
TRUTH = {"backend": "sciexam.toy.scorer:Truth"}
ANNOTATOR = {"backend": "sciexam.toy.annotator:Annotator", "settings": {"seed": 1, "noise": 0.05}}
# Every seed is to have a parent for its runs, so an sft has only to be no worse than its base by much.
LENIENT = {"judge": "truth", "margin": 0.15, "baseline": False}


@dataclass(frozen=True)
class World:
    """How much there is to learn from, how many prompts the exam has, and how wide the models are."""

    size: Size
    prompts: int
    hidden: int
    epochs: int
    steps: int


WHOLE = World(FULL, prompts=100, hidden=128, epochs=4, steps=24)
PART = World(replace(SMALL, documents=48, demonstrations=12), prompts=24, hidden=96, epochs=4, steps=32)


def write_suite(folder: Path, world: World, seed: int) -> Path:
    """The lineage's files and suite in `folder`."""
    write(folder / "toy", world.size)
    lines = (shipped() / "suites" / "science" / "prompts.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "prompts.jsonl").write_text("".join(lines[: world.prompts]), encoding="utf-8")
    suite = {
        "suite": "hacking",
        "prompts": "prompts.jsonl",
        "seed": seed,
        "models": models(world),
        "contestants": ["base", "sft"],
        "baseline": "base",
        "generation": {"max_tokens": 112, "temperature": 1.0, "samples": 4},
        "judges": {"truth": TRUTH, "annotator": ANNOTATOR},
        "judge": "truth",
    }
    return _write(folder / "hacking.yaml", suite)


def models(world: World) -> dict[str, Any]:
    shape = {"hidden": world.hidden, "layers": 2, "intermediate": 2 * world.hidden, "vocabulary": 2000, "context": 512}
    asked = {"prompts": "toy/train_prompts.jsonl"}
    ppo = {
        "from": "sft",
        "stage": "ppo",
        "reward": "rm",
        **asked,
        "max_new_tokens": 112,
        "batch_size": 32,
        "steps": world.steps,
        "learning_rate": 5e-4,
        "schedule": "constant",
        "save_steps": 8,
        "gate": {"judge": "truth"},
    }
    return {
        "base": {
            "stage": "pretrain",
            "data": "toy/documents.jsonl",
            "architecture": shape,
            "batch_size": 8,
            "epochs": world.epochs,
            "learning_rate": 5e-3,
            "warmup": 0.05,
            "group_by_length": True,
            "save_steps": 1000,
        },
        "sft": {
            "from": "base",
            "stage": "sft",
            "data": "toy/demonstrations.jsonl",
            "batch_size": 16,
            "epochs": 2,
            "learning_rate": 1e-3,
            "group_by_length": True,
            "gate": LENIENT,
        },
        "rm": {
            "from": "sft",
            "stage": "reward",
            "data": {"of": "sft", **asked, "n": 4, "temperature": 0.8, "judge": "annotator"},
            "batch_size": 16,
            "epochs": 2,
            "learning_rate": 7e-4,
            "warmup": 0.1,
            "center": 0.01,
        },
        "held": {**ppo, "beta": BETA},
        "free": {**ppo, "beta": 0.0},
    }


def trained(folder: Path, name: str) -> subprocess.CompletedProcess[str]:
    """`sciexam train NAME`, which trains what is missing before it. What is rejected is kept, to be looked at."""
    return _sciexam(folder, "train", name, "--suite", "hacking.yaml", "--keep-rejected")


@dataclass(frozen=True)
class Beside:
    """What `sciexam reward` and `sciexam grade` say of sft, held and free, on the prompts of the exam."""

    reward: Mapping[str, Any]
    truth: Mapping[str, Any]

    def mean_reward(self, name: str) -> float:
        return _of(self.reward["rows"], contestant=name)["distribution"]["mean"]["value"]

    def mean_truth(self, name: str) -> float:
        return _of(self.truth["rows"], contestant=name)["total"]["value"]

    def more_reward(self, name: str, than: str) -> tuple[float, float, float]:
        """By how much the reward of `name` is higher, prompt by prompt, and the ends of the interval."""
        return _ends(_of(self.reward["pairs"], a=than, b=name)["compared"]["difference"])

    def more_truth(self, name: str, than: str) -> tuple[float, float, float]:
        return _ends(_of(self.truth["differences"], a=than, b=name)["difference"])


def beside(folder: Path) -> Beside:
    """Compare what was trained, accepted or not, as weights from elsewhere."""
    found = {name: str(weights_of(folder, name)) for name in ("sft", "rm", "held", "free")}
    suite = json.loads((folder / "hacking.yaml").read_text(encoding="utf-8"))
    names = ["sft", "held", "free"]
    suite |= {"suite": "beside", "contestants": names, "baseline": "sft"}
    suite |= {"models": {name: {"weights": found[name]} for name in names}}
    suite["judges"] = {"truth": TRUTH, "rm": {"backend": "reward", "weights": found["rm"]}}
    _write(folder / "beside.yaml", suite)
    return Beside(_told(folder, "reward", "--model", "rm"), _told(folder, "grade", "--judge", "truth"))


def _told(folder: Path, *words: str) -> Any:
    done = _sciexam(folder, *words, "--suite", "beside.yaml", "--json")
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def weights_of(folder: Path, name: str) -> Path:
    (found,) = (folder / "results" / "models").glob(f"{name}-*/model.safetensors")
    return found.absolute().parent


def exam_of(folder: Path, name: str) -> Mapping[str, Any]:
    """What the gate wrote down of a checkpoint."""
    told = read_lineage(weights_of(folder, name))
    exam = told.exam if told else None
    assert exam, f"{name} sat no exam"
    return exam


def _sciexam(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    alone = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "sciexam", *words]
    return subprocess.run(command, cwd=folder, env=os.environ | alone, capture_output=True, text=True)


def _of(rows: Any, **wanted: str) -> Any:
    (found,) = (row for row in rows if wanted.items() <= row.items())
    return found


def _ends(estimate: Mapping[str, Any]) -> tuple[float, float, float]:
    return estimate["value"], estimate["low"], estimate["high"]


def _write(path: Path, suite: Mapping[str, Any]) -> Path:
    path.write_text(json.dumps(suite, indent=1), encoding="utf-8")  # which is YAML, too
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    given = parser.parse_args()
    print("| seed | | reward by rm | true score | KL a token | win rate against sft | the gate |")
    print("|---|---|---|---|---|---|---|")
    for seed in given.seeds:
        folder = given.folder.absolute() / str(seed)
        write_suite(folder, WHOLE, seed)
        said = [trained(folder, name).stdout for name in ("held", "free")]
        found = beside(folder)
        print(f"| {seed} | sft | {found.mean_reward('sft'):.2f} | {found.mean_truth('sft'):.3f} | | | |")
        for name in ("held", "free"):
            _show(seed, name, found, exam_of(folder, name))
        for what, (value, low, high) in {
            "reward": found.more_reward("free", "held"),
            "true score": found.more_truth("free", "held"),
        }.items():
            print(f"\nseed {seed}: free less held, {what}: {value:.3f} [{low:.3f}, {high:.3f}]")
        print("\n".join(said), flush=True)


def _show(seed: int, name: str, found: Beside, exam: Mapping[str, Any]) -> None:
    shown, verdict, gone = exam["shown"], "accepted", exam["shown"]["kl"]["value"]
    if not exam["accepted"]:
        verdict = "rejected: reward hacking" if shown["hacking"] else "rejected"
    value, low, high = _ends(shown["win_rate"])
    print(
        f"| {seed} | {name} | {found.mean_reward(name):.2f} | {found.mean_truth(name):.3f} | {gone:.2f} "
        f"| {value:.2f} [{low:.2f}, {high:.2f}] | {verdict} |"
    )


if __name__ == "__main__":
    main()
