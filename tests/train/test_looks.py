"""Looks end what gets worse, the best that was looked at goes on to the exam, and what is rejected stays rejected."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("trl")

from sciexam.lineage.artifacts import Lineage, read_lineage
from sciexam.train.walk import Step, train

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NAMES = ("tide", "cloud", "rainbow", "magnet", "flame", "echo", "frost", "tower")
GOOD, BAD = "it is so for it is light .", "no no no no no no no ."


def write_world(folder: Path, answer: str, gate: dict[str, Any], **more: Any) -> str:
    """base, which says GOOD, and `sft`, which learns to say `answer`; `less` prefers the answer with fewer "no"."""
    folder.mkdir(exist_ok=True)
    _write(folder / "documents.jsonl", [{"prompt": _asked(n), "completion": GOOD} for n in range(320)])
    _write(folder / "demonstrations.jsonl", [{"prompt": _asked(n), "completion": answer} for n in range(320)])
    _write(folder / "prompts.jsonl", [{"id": f"p{n}", "text": f"And why the {NAMES[n]} ?"} for n in range(8)])
    _write(folder / "dev.jsonl", [{"id": f"d{n}", "text": f"So why the {NAMES[n]} ?"} for n in range(8)])
    shape = {"hidden": 48, "layers": 2, "heads": 4, "vocabulary": 320, "context": 64}
    models = {
        "base": {"stage": "pretrain", "data": "documents.jsonl", "architecture": shape, "epochs": 4},
        "sft": {
            "from": "base",
            "stage": "sft",
            "data": "demonstrations.jsonl",
            "learning_rate": 3e-3,
            "schedule": "constant",
            "gate": gate,
            **more,
        },
    }
    suite = {
        "suite": "looked-at",
        "prompts": "prompts.jsonl",
        "models": models,
        "contestants": ["base", "sft"],
        "generation": {"max_tokens": 16},
        "judges": {"less": {"backend": "gate_world:Counts", "settings": {"word": "no", "less": True}}},
    }
    (folder / "world.yaml").write_text(json.dumps(suite), encoding="utf-8")
    return str(folder / "world.yaml")


def _asked(number: int) -> str:
    return f"Please why the {NAMES[number % len(NAMES)]} number {number} ?"


def _write(path: Path, lines: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def record(step: Step) -> Lineage:
    told = read_lineage(Path(step.folder))
    assert told is not None
    return told


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all, so that their base is trained once."""
    return tmp_path_factory.mktemp("looks")


def walked(world: str, results: Path, told: list[str] | None = None, **how: Any) -> Step:
    return train(world, "sft", results=results, tell=(told if told is not None else []).append, **how)[-1]


def test_what_a_look_shows_to_be_worse_ends_early_and_falls_back_to_the_best(tmp_path: Path, results: Path) -> None:
    said: list[str] = []
    world = write_world(tmp_path / "a", BAD, {"dev": "dev.jsonl", "looks": 5, "margin": 0.4}, steps=40)
    step = walked(world, results, said)
    shown = record(step).exam["shown"]  # type: ignore[index]
    looks = shown["looks"]
    assert looks[-1]["worse"]
    assert [look["worse"] for look in looks[:-1]] == [False] * (len(looks) - 1)
    assert looks[-1]["step"] < 40
    assert any(line.endswith("worse than its parent, so training ends here") for line in said)
    best = max(looks, key=lambda look: (look["win_rate"]["value"], look["step"]))
    assert shown["taken"] == best["step"]
    assert all(look["win_rate"]["level"] == pytest.approx(0.99) for look in looks)


def test_one_that_is_worse_at_every_look_is_rejected_without_an_exam_and_not_trained_again(
    tmp_path: Path, results: Path
) -> None:
    world = write_world(tmp_path / "a", BAD, {"dev": "dev.jsonl", "looks": 1}, steps=41)
    step = walked(world, results)
    assert step.outcome == "rejected"
    (why,) = step.exam["why"]  # type: ignore[index]
    assert why == "at every look it was worse than its parent: the win rate on the dev prompts is 0.00 [0.00, 0.37]"
    assert sorted(path.name for path in Path(step.folder).iterdir()) == ["lineage.json", "metrics.jsonl"]
    before = (Path(step.folder) / "lineage.json").stat().st_mtime_ns
    said: list[str] = []
    again = walked(world, results, said)
    assert (again.outcome, again.exam["why"]) == ("rejected", [why])  # type: ignore[index]
    assert said == []
    assert (Path(step.folder) / "lineage.json").stat().st_mtime_ns == before


def test_a_kept_checkpoint_sits_again_where_the_gate_has_changed(tmp_path: Path, results: Path) -> None:
    world = write_world(tmp_path / "a", GOOD, {"margin": 0.0}, steps=4)
    step = walked(world, results, keep_rejected=True)
    assert step.outcome == "rejected"
    weights = Path(step.folder) / "model.safetensors"
    before = weights.stat().st_mtime_ns
    said: list[str] = []
    again = walked(write_world(tmp_path / "a", GOOD, {"margin": 0.4}, steps=4), results, said)
    assert (again.outcome, again.folder) == ("trained", step.folder)
    assert record(again).accepted is True
    assert weights.stat().st_mtime_ns == before
    assert said == []


def test_a_loss_that_is_no_number_is_recorded_as_a_rejection(tmp_path: Path, results: Path) -> None:
    world = write_world(tmp_path / "a", GOOD, {}, steps=30, learning_rate=1e6, save_steps=1)
    step = walked(world, results)
    assert step.outcome == "rejected"
    (why,) = step.exam["why"]  # type: ignore[index]
    assert why.startswith("step ")
    assert "no number; lower learning_rate" in why or "times in a row above 3 times its mean" in why
    assert (Path(step.folder) / "metrics.jsonl").read_text()
