"""Draws the pictures of docs/figures.md.

    python docs/figures/pictures.py

Two come from the shipped suite, whose models are those of a toy world. The others come from an exam that is made here:
answers without sense, and verdicts and rewards that a seed draws. They show figures, and say nothing about any model.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

import sciexam as sx
from sciexam.exam import leaderboard
from sciexam.exam.marking import reward
from sciexam.report.figures import Drawn, figures_of
from sciexam.report.figures.drawing import write_figures

HERE = Path(__file__).parent
PIXELS = 900  # wide
COLOURS = 128
SKILL = {"base": 0.0, "sft": 0.5, "dpo": 0.75, "dpo-2": 0.8}
REWARD = {"base": 0.0, "sft": 0.6, "dpo": 1.1, "dpo-2": 2.3}  # the last one learnt to please its reward model
PROMPTS = 120
STRENGTHS = ("slight", "clear", "strong")


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def verdicts(draw: random.Random) -> Iterable[Mapping[str, Any]]:
    """Of a judge that prefers the better model, leans to what it sees first, and is not always sure."""
    for i in range(PROMPTS):
        luck = {name: draw.gauss(skill, 0.6) for name, skill in SKILL.items()}
        for first in SKILL:
            for second in SKILL:
                if first == second:
                    continue
                ahead = luck[second] - luck[first] + draw.gauss(-0.1, 0.25)
                side = "tie" if abs(ahead) < 0.05 else "second" if ahead > 0 else "first"
                row = {"prompt": f"q{i}", "first": first, "second": second, "preferred": side, "rater": "made"}
                yield row if side == "tie" else row | {"strength": STRENGTHS[min(2, int(abs(ahead) / 0.6))]}


def made_exam(folder: Path) -> sx.Suite:
    draw = random.Random(7)
    write(folder / "prompts.jsonl", [{"id": f"q{i}", "text": f"Why does thing {i} happen?"} for i in range(PROMPTS)])
    models: dict[str, Any] = {}
    for name, parent in zip(SKILL, (None, "base", "sft", "dpo"), strict=True):
        answers = [{"prompt": f"q{i}", "text": f"{name}: " + "so " * draw.randint(20, 60)} for i in range(PROMPTS)]
        models[name] = {"responses": write(folder / f"{name}.jsonl", answers)}
        if parent:
            models[name] |= {"from": parent, "stage": name.partition("-")[0], "data": write(folder / "none.jsonl", [])}
    rewards = [
        {"prompt": f"q{i}", "model": name, "reward": draw.gauss(mean, 0.8) + draw.expovariate(2), "rater": "rm"}
        for name, mean in REWARD.items()
        for i in range(PROMPTS)
    ]
    suite = {
        "suite": "made",
        "prompts": "prompts.jsonl",
        "rubric": "helpfulness",
        "seed": 1,
        "models": models,
        "contestants": list(SKILL),
        "judges": {
            "made": {"backend": "recorded", "verdicts": write(folder / "verdicts.jsonl", verdicts(draw))},
            "rm": {"backend": "rewards", "rewards": write(folder / "rewards.jsonl", rewards)},
        },
        "judge": "made",
    }
    path = folder / "made.yaml"
    path.write_text(json.dumps(suite), encoding="utf-8")
    return sx.load_suite(str(path))


def draw(found: Drawn, names: Mapping[str, str]) -> None:
    """The figures of a record that are in `names`, under the names that they have there, small enough for a page."""
    with tempfile.TemporaryDirectory() as folder:
        for path in write_figures([one for one in figures_of(found) if one.name in names], Path(folder), "png"):
            with Image.open(path) as picture:
                height = round(picture.height * PIXELS / picture.width)
                small = picture.convert("RGB").resize((PIXELS, height), Image.Resampling.LANCZOS)
                small.quantize(COLOURS).save(HERE / f"{names[path.stem]}.png", optimize=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shipped = sx.compare("science", "base", "sft", results=folder / "a")
        draw(shipped, {"by-category": "by-category", "length": "length"})
        exam = made_exam(folder)
        draw(
            sx.compare(exam, margin=0.05, results=folder / "b"),
            {"win-rates": "win-rates", "pairwise": "pairwise", "position-bias": "position-bias"},
        )
        watched = sx.compare(exam, "sft", "dpo-2", until_decided=True, margin=0.05, results=folder / "c")
        draw(watched, {"sequence": "sequence"})
        two = sx.compare(exam, "sft", "dpo", results=folder / "d")
        draw(two, {"power": "power", "preference-strength": "strength"})
        draw(
            reward(exam, model="rm", results=folder / "e"),
            {"rewards": "rewards", "rewards-cumulative": "rewards-cumulative"},
        )
        draw(leaderboard(exam, results=folder / "e"), {"reward-by-stage": "reward-by-stage"})


if __name__ == "__main__":
    main()
