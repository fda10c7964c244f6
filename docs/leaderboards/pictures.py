"""Takes the pictures of docs/leaderboards.md: a real command, its site, a real browser.

    python docs/leaderboards/pictures.py

The exam is made up: answers, verdicts and rewards are drawn by a seed, so the figures say nothing about any model.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
COMMAND = Path(sys.executable).parent / "sciexam"
NOTE = "made up to take pictures: its answers and verdicts are drawn by a seed"
PROMPTS, CATEGORIES = 240, ("biology", "chemistry", "earth science", "physics")
# How strong each is made, in log-odds; how many words it writes; what a reward model would give it.
MADE = {
    "base": (0.0, 120, -0.4),
    "sft": (0.7, 150, 0.3),
    "dpo": (1.25, 185, 1.1),
    "dpo-long": (1.3, 260, 1.9),
    "rejection": (0.95, 160, 0.8),
    "other-7b": (0.75, 140, 0.2),
    "other-70b": (1.7, 175, 1.2),
}
LINEAGE = {
    "sft": {"stage": "sft", "from": "base", "data": "none.jsonl"},
    "dpo": {"stage": "dpo", "from": "sft", "data": "none.jsonl"},
    "dpo-long": {"stage": "dpo", "from": "dpo", "data": "none.jsonl"},
    "rejection": {"stage": "best_of_n", "from": "sft", "prompts": "none.jsonl", "reward": "rm"},
}


def write_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_exam(folder: Path) -> None:
    """A suite whose contestants, judge and reward model are files."""
    rng = random.Random(4)
    ids = [f"q{number:03}" for number in range(PROMPTS)]
    rows = [{"id": id, "text": f"Question {id}?", "category": CATEGORIES[n % 4]} for n, id in enumerate(ids)]
    write_lines(folder / "prompts.jsonl", rows)
    write_lines(folder / "none.jsonl", [])
    rewards = []
    for name, (_, words, reward) in MADE.items():
        lengths = {id: max(5, round(rng.gauss(words, words / 4))) for id in ids}
        write_lines(folder / f"{name}.jsonl", [{"prompt": id, "text": "word " * lengths[id]} for id in ids])
        rewards += [{"prompt": id, "model": name, "reward": rng.gauss(reward, 0.9), "rater": "rm"} for id in ids]
    write_lines(folder / "rewards.jsonl", rewards)
    write_lines(folder / "verdicts.jsonl", [row for pair in combinations(MADE, 2) for row in verdicts(rng, ids, *pair)])
    models = {name: {**LINEAGE.get(name, {}), "responses": f"{name}.jsonl", "note": NOTE} for name in MADE}
    models["base"]["weights"] = "somebody/base"
    models["rm"] = {"stage": "reward", "from": "sft", "data": "none.jsonl"}
    suite = {
        "suite": "made-up",
        "prompts": "prompts.jsonl",
        "models": models,
        "contestants": list(MADE),
        "baseline": "base",
        "judges": {
            "recorded": {"backend": "recorded", "verdicts": "verdicts.jsonl"},
            "rm": {"backend": "rewards", "rewards": "rewards.jsonl"},
        },
        "judge": "recorded",
    }
    (folder / "made-up.yaml").write_text(json.dumps(suite), encoding="utf-8")


def verdicts(rng: random.Random, ids: Sequence[str], a: str, b: str) -> list[dict[str, Any]]:
    """What a judge that leans a little to the answer shown first says of two contestants, in both orders."""
    found = []
    for id in ids:
        taste = rng.gauss(0, 1.2)
        for first, second in ((a, b), (b, a)):
            edge = MADE[first][0] - MADE[second][0] + (taste if first == a else -taste) + 0.15 + rng.gauss(0, 0.7)
            side = "tie" if abs(edge) < 0.2 else "first" if edge > 0 else "second"
            found.append({"prompt": id, "first": first, "second": second, "preferred": side, "rater": "recorded"})
    return found


def photograph(browser: Any, page: Path, name: str, width: int, height: int, at: str = "", **options: Any) -> None:
    context = browser.new_context(viewport={"width": width, "height": height}, **options)
    shown = context.new_page()
    shown.goto(page.as_uri())
    if at:
        shown.locator(at).evaluate("part => part.scrollIntoView({behavior: 'instant'})")
    shown.screenshot(path=HERE / f"{name}.png")
    context.close()


def main() -> None:
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        write_exam(folder)
        done = subprocess.run([COMMAND, "leaderboard", "--suite", "made-up.yaml"], cwd=folder, check=True)
        assert done.returncode == 0
        site = folder / "results" / "made-up" / "leaderboard"
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        photograph(browser, site / "index.html", "standings", 1280, 800, at="#standings")
        photograph(browser, site / "index.html", "figures", 1080, 700, at="#figures")
        photograph(browser, site / "contestants" / "dpo.html", "contestant-dark", 1280, 800, color_scheme="dark")
        photograph(browser, site / "pairs" / "sft--dpo.html", "pair", 1280, 700)
        photograph(browser, site / "index.html", "phone", 390, 800, at="#standings")
        browser.close()


if __name__ == "__main__":
    main()
