"""Rounds: people compare answers, a reward model learns from them, a model learns from it, and people compare again."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import httpx2
import pytest

from clicker import turn_of
from conftest import clean_environment
from forked import Commands
from study import Study
from train_world import BASE, write_world

for package in ("torch", "transformers", "trl"):
    pytest.importorskip(package)

CLEANER = """
import re

def marks(text):
    return len(re.findall(r"[^\\x20-\\x7e\\n]", text))

class Cleaner:
    name = "cleaner"
    def judge(self, presentations):
        for p in presentations:
            a, b = marks(p.first), marks(p.second)
            yield p.verdict(self.name, "tie" if a == b else "first" if a < b else "second")
"""
ANYTHING = {"margin": 0.49, "baseline": False, "length": 100, "unfinished": 1, "repetitive": 1, "gibberish": 1}
FITTED = {"from": "base", "stage": "reward", "learning_rate": 3e-3, "epochs": 4, "held_out": 0.3}
TOPICS = ("the sky", "rust", "yeast", "a fever")


def humans(of: str, round_: int) -> dict[str, Any]:
    return {"of": of, "prompts": f"round{round_}.jsonl", "n": 4, "judge": "humans"}


def better(of: str, reward: str) -> dict[str, Any]:
    data = {"of": of, "prompts": "train.jsonl", "n": 4, "reward": reward, "pairs": "best_worst"}
    return {"from": of, "stage": "dpo", "data": data, "learning_rate": 3e-4, "gate": ANYTHING}


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """base -> rm1, by people -> rl1; then rm2, by what people said in both rounds -> rl2."""
    models = {
        "base": BASE | {"epochs": 6},
        "rm1": FITTED | {"data": humans("base", 1)},
        "rl1": better("base", "rm1"),
        "rm2": FITTED | {"data": [humans("base", 1), humans("rl1", 2)]},
        "rl2": better("rl1", "rm2"),
    }
    write_world(tmp_path, models, judges={"cleaner": {"backend": "cleaner:Cleaner"}})
    (tmp_path / "cleaner.py").write_text(CLEANER)
    for number in (1, 2):
        asked = [f"How come {TOPICS[i % 4]} is so in round {number}, month {i}?" for i in range(40)]
        lines = [{"id": f"r{i}", "text": text} for i, text in enumerate(asked)]  # the ids are the same in both
        (tmp_path / f"round{number}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path


@pytest.fixture
def train(world: Path, commands: Commands) -> Callable[[str], CompletedProcess[str]]:
    environment = clean_environment() | {"PYTHONPATH": str(world), "OMP_NUM_THREADS": "1"}
    return lambda name: commands.run(["train", name, "--suite", "world.yaml"], world, environment, timeout=300)


@pytest.fixture
def annotate(world: Path, commands: Commands) -> Callable[..., int]:
    """Serve the page by the command that was printed, and judge there: how many items were."""

    def judge(printed: str, at_most: int = 1000) -> int:
        command = next(line for line in printed.splitlines() if "annotate serve" in line)
        options = shlex.split(command.partition("annotate serve")[2])
        for file in world.glob("results/*/*/links.csv"):
            file.unlink()
        served = Study(world, [*options, "--annotators", "1"], commands=commands).start()
        done = judged_at(served.links["annotator-1"], at_most)
        served.stop()
        return done

    return judge


def judged_at(link: str, at_most: int) -> int:
    """How many pairs an annotator has judged on the page, who likes the answer with fewer marks of no language."""
    with httpx2.Client(base_url="/".join(link.split("/")[:3]), timeout=30) as client:
        for done in range(at_most):
            page = client.get(link, follow_redirects=True)
            if "/item/" not in str(page.url):
                return done
            shown = re.findall(r'<article class="answer (?:left|right)"[^>]*>(.*?)</article>', page.text, re.DOTALL)
            left, right = (len(re.findall(r"[^\x20-\x7e\n]", re.sub("<[^>]*>", "", html))) for html in shown)
            choice = "left-much" if left < right else "right-much" if right < left else "left-slightly"
            answered = client.post(str(page.url), content=f"choice={choice}&turn={turn_of(page.text)}")
            assert answered.status_code == 303
    return at_most


def folders(world: Path, name: str) -> set[str]:
    return {path.name for path in (world / "results/models").glob(f"{name}-*") if path.is_dir()}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_second_reward_model_learns_from_what_people_said_in_both_rounds(
    world: Path, train: Callable[[str], CompletedProcess[str]], annotate: Callable[..., int]
) -> None:
    asked = train("rl2")
    assert "nobody has compared any of these answers yet" in asked.stderr
    first = annotate(asked.stderr)
    assert first > 150

    asked = train("rl2")  # trains rm1 and rl1, and then nobody has compared the answers of rl1
    assert folders(world, "rl1"), asked.stderr
    assert "nobody has compared any of these answers yet" in asked.stderr, asked.stdout
    assert "round2.jsonl" in asked.stderr.splitlines()[-1]
    first_reward, first_policy = folders(world, "rm1"), folders(world, "rl1")
    half = annotate(asked.stderr, at_most=60)
    assert half == 60

    done = train("rl2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folders(world, "rm1"), folders(world, "rl1")) == (first_reward, first_policy)
    [second] = folders(world, "rm2")
    told = json.loads((world / "results/models" / second / "lineage.json").read_text())
    assert told["data"]["rows"] + told["exam"]["shown"]["pairs"] > first

    again = train("rl2")
    assert "trained" not in again.stdout.replace("rl2: dpo: trained", ""), "nothing is trained anew"
    assert folders(world, "rm2") == {second}

    annotate(asked.stderr)  # the other pairs of the second round
    later = train("rl2")
    assert later.returncode == 0, later.stdout + later.stderr
    assert len(folders(world, "rm2")) == len(folders(world, "rl2")) == 2, "more was said, so they are others"
    assert (folders(world, "rm1"), folders(world, "rl1")) == (first_reward, first_policy)
