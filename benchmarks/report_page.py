"""How large the page of a comparison is, and how fast it opens in Chromium: the table of docs/reports.md.

    python benchmarks/report_page.py ../shared/data

Answers are AlpacaEval's, reasons are sentences of such answers, verdicts are drawn by a seed.
"""

from __future__ import annotations

import gzip
import itertools
import json
import random
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

import sciexam as sx

OPENINGS = 5
TIMES = """() => [
    performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd,
    performance.getEntriesByName("first-contentful-paint")[0].startTime,
]"""


def lines(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def compared(folder: Path, data: Path, prompts: int, contestants: int) -> Path:
    """The page of a comparison of so many prompts and contestants."""
    drawn = random.Random(3)
    asked = lines(data / "alpacaeval" / "prompts.jsonl.gz")[:prompts]
    given = [one["output"] for one in lines(data / "alpacaeval" / "answers_science.jsonl.gz")]
    long = [text for text in given if len(text) > 800]
    sentences = [one.strip() for text in given for one in text.replace("\n", " ").split(". ") if len(one) > 60]
    names = [f"model-{number}" for number in range(contestants)]
    write(
        folder / "prompts.jsonl",
        [{"id": str(p["index"]), "text": p["instruction"], "category": p["dataset"]} for p in asked],
    )
    for name in names:
        write(folder / f"{name}.jsonl", [{"prompt": str(p["index"]), "text": drawn.choice(long)} for p in asked])
    verdicts = [
        {
            **{"prompt": str(p["index"]), "first": first, "second": second, "rater": "judge"},
            **{"preferred": drawn.choice(["first", "second", "tie"]), "strength": "clear"},
            "reason": ". ".join(drawn.sample(sentences, 4)) + ".",
        }
        for p in asked
        for first, second in itertools.permutations(names, 2)
    ]
    write(folder / "verdicts.jsonl", verdicts)
    suite = {
        "suite": "opened",
        "prompts": "prompts.jsonl",
        "models": {name: {"responses": f"{name}.jsonl"} for name in names},
        "contestants": names,
        "judges": {"judge": {"backend": "recorded", "verdicts": "verdicts.jsonl"}},
    }
    (folder / "opened.yaml").write_text(json.dumps(suite), encoding="utf-8")
    report = sx.compare(str(folder / "opened.yaml"), results=folder / "results")
    return folder / "results" / report.suite / report.run / "report.html"


def main(data: Path) -> None:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    print("| prompts | contestants | page | content loaded | first paint |\n|---|---|---|---|---|")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for prompts, contestants in ((100, 2), (805, 2), (58, 10)):
            with tempfile.TemporaryDirectory() as name:
                page = compared(Path(name), data, prompts, contestants)
                times = []
                for _ in range(OPENINGS):
                    opened = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
                    opened.goto(page.as_uri())
                    opened.wait_for_timeout(500)
                    times.append(opened.evaluate(TIMES))
                    opened.context.close()
                loaded, painted = (statistics.median(kind) / 1000 for kind in zip(*times, strict=True))
                size = page.stat().st_size / 1e6
                print(f"| {prompts} | {contestants} | {size:.2f} MB | {loaded:.2f} s | {painted:.2f} s |", flush=True)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
