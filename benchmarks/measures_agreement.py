"""How often does the offline judge `measures` pick the side that people (or GPT-4) picked?

Prints a Markdown table. Needs the PandaLM, LLMBar and AlpacaEval data:

    python benchmarks/measures_agreement.py DATA_FOLDER        (or set SCIEXAM_SHARED_DATA)

All six measures with equal weights and the default threshold, both chosen before the labels were looked at.
Agreement: over the pairs where the label is a side, 1 where the judge picked that side, 1/2 where it called a tie.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sciexam.judges.measures import Measures
from sciexam.judges.text import MEASURES
from sciexam.stats.agreement import cohen_kappa
from sciexam.stats.win_rate import win_rate
from sciexam.types import Message, Presentation, Prompt, Side

PANDALM = ("tie", "first", "second")


@dataclass(frozen=True, slots=True)
class Labelled:
    prompt: str
    first: str
    second: str
    label: Side


def pandalm(folder: Path) -> Iterator[Labelled]:
    labels = {int(row["idx"]): row for row in rows(folder / "pandalm/labels.csv")}
    for item in lines(folder / "pandalm/items.jsonl.gz"):
        votes = Counter(labels[item["idx"]][f"annotator{i}"] for i in (1, 2, 3))
        prompt = "\n\n".join(part for part in (item["instruction"], item["input"]) if part)
        yield Labelled(prompt, item["response_1"], item["response_2"], PANDALM[int(votes.most_common(1)[0][0])])


def llmbar(folder: Path, subsets: tuple[str, ...]) -> Iterator[Labelled]:
    for item in lines(folder / "llmbar/items.jsonl.gz"):
        if item["subset"] in subsets:
            label: Side = "first" if item["label"] == 1 else "second"
            yield Labelled(item["instruction"], item["output_1"], item["output_2"], label)


def alpacaeval(folder: Path, version: str) -> Iterator[Labelled]:
    """Reference first, model second; a preference of 1.5 or 0 is a tie, an empty one is left out."""
    prompts = {p["index"]: p["instruction"] for p in lines(folder / "alpacaeval/prompts.jsonl.gz") if p["science"]}
    answers = list(lines(folder / "alpacaeval/answers_science.jsonl.gz"))
    by_model = {(a["model"], a["index"]): a["output"] for a in answers}
    reference = {a["index"]: a["output"] for a in answers if a["stage"] == f"reference_{version}"}
    for row in rows(folder / f"alpacaeval/verdicts_{version}.csv.gz"):
        key = row["model"], int(row["index"])
        if key in by_model and row["preference"]:
            preference = float(row["preference"])
            label: Side = "tie" if preference in (0, 1.5) else "second" if preference > 1.5 else "first"
            yield Labelled(prompts[key[1]], reference[key[1]], by_model[key], label)


def lines(path: Path) -> Iterator[dict[str, object]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def rows(path: Path) -> Iterator[dict[str, str]]:
    opened = gzip.open(path, "rt", encoding="utf-8", newline="") if path.suffix == ".gz" else path.open(newline="")
    with opened as file:
        yield from csv.DictReader(file)


def picks(judge: Measures, items: Iterable[Labelled]) -> list[Side]:
    return [verdict.preferred for verdict in judge.judge(map(presentation, items)) if verdict.preferred]


def presentation(item: Labelled) -> Presentation:
    prompt = Prompt(id=item.prompt, messages=(Message(role="user", content=item.prompt),))
    return Presentation(prompt=prompt, first=item.first, second=item.second, order="ab")


def longer(item: Labelled) -> Side:
    a, b = len(item.first), len(item.second)
    return "tie" if a == b else "first" if a > b else "second"


def agreement(items: list[Labelled], picked: list[Side]) -> str:
    decided = [(i, p) for i, p in zip(items, picked, strict=True) if i.label != "tie"]
    scores = np.array([0.5 if p == "tie" else float(p == i.label) for i, p in decided])
    estimate = win_rate(scores, np.array([i.prompt for i, _ in decided]))
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def all_measures() -> Measures:
    return Measures("measures", [(name, name, 1.0) for name in MEASURES])
