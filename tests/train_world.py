"""A lineage of a few thousand weights, trained from nothing in seconds: what the tests of training stand on."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

from conftest import COMMAND, clean_environment

TOPICS = ("the sky", "a rainbow", "the tide", "rust", "yeast", "a fever", "a cloud", "the moon")
WORDS = ("light", "water", "air", "heat", "moves", "cold", "slow", "fast", "grows", "falls", "because", "parts", "meet")
BASE = {
    "stage": "pretrain",
    "data": "documents.jsonl",
    "architecture": {"hidden": 32, "layers": 1, "heads": 2, "vocabulary": 360},
    "save_steps": 5,
}
SFT = {"from": "base", "stage": "sft", "data": "demonstrations.jsonl", "learning_rate": 1e-3, "save_steps": 5}

# A judge of one's own, as source for a module of the test's.
LONGER = """
class Longer:
    name = "longer"
    def judge(self, presentations):
        for p in presentations:
            a, b = len(p.first), len(p.second)
            yield p.verdict(self.name, "tie" if a == b else "first" if a > b else "second")
"""


def write_world(folder: Path, models: dict[str, Any] | None = None, documents: int = 320, **more: Any) -> Path:
    """A suite in `folder` with documents, demonstrations and prompts of its own; `models` beside `base` and `sft`."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = random.Random(0)
    _write(
        folder / "documents.jsonl",
        (_shown(f"Explain {t} in the way {i}", _rambling(draw, t)) for i, t in _topics(documents)),
    )
    _write(folder / "demonstrations.jsonl", (_shown(f"Explain {t} to child {i}", _good(t)) for i, t in _topics(128)))
    _write(folder / "train.jsonl", ({"id": f"t{i}", "text": f"What makes {t} so, year {i}?"} for i, t in _topics(16)))
    _write(
        folder / "prompts.jsonl",
        ({"id": f"p{i}", "text": f"Why is it so with {t} on day {i}?"} for i, t in _topics(12)),
    )
    suite = {
        "suite": "world",
        "prompts": "prompts.jsonl",
        "models": {"base": BASE, "sft": SFT} | (models or {}),
        "contestants": ["base", "sft"],
        "generation": {"max_tokens": 24},
    }
    path = folder / "world.yaml"
    path.write_text(json.dumps(suite | more), encoding="utf-8")
    return path


def _topics(number: int) -> list[tuple[int, str]]:
    return [(i, TOPICS[i % len(TOPICS)]) for i in range(number)]


def _rambling(draw: random.Random, topic: str) -> str:
    first, *middle, last = draw.choices(WORDS, k=8)
    return f"{topic} is {first} . First , {' '.join(middle)} . In short , it {last} ."


def _good(topic: str) -> str:
    return f"{topic} is light . First , heat moves . In short , it grows ."


def _shown(prompt: str, completion: str) -> dict[str, str]:
    return {"prompt": prompt, "completion": completion}


def _write(path: Path, lines: Any) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def run(folder: Path, name: str, *more: str, **how: Any) -> subprocess.Popen[str]:
    """`sciexam train NAME` as a process."""
    command = [str(COMMAND), "train", name, "--suite", "world.yaml", *more]
    return subprocess.Popen(command, cwd=folder, env=clean_environment(), text=True, **how)


def weights_of(folder: Path, name: str) -> Path:
    (found,) = (folder / "results/models").glob(f"{name}-*/model.safetensors")
    return found
