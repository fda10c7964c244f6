"""How often does the offline judge `measures` pick the side that people (or GPT-4) picked?

Prints three Markdown tables. Needs the PandaLM, LLMBar and AlpacaEval data:

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
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr
from sklearn.metrics import cohen_kappa_score

from sciexam.judges.measures import Measures
from sciexam.judges.text_measures import MEASURES
from sciexam.stats.estimate import Estimate
from sciexam.stats.win_rate import win_rate
from sciexam.types import Message, Presentation, Prompt, Side

LONG = 150  # words
PANDALM: tuple[Side, ...] = ("tie", "first", "second")


@dataclass(frozen=True, slots=True)
class Labelled:
    prompt: str
    first: str
    second: str
    label: Side


def pandalm(folder: Path) -> Iterator[Labelled]:
    """Two responses are a bare `true` in the file: str() keeps them."""
    labels = {int(row["idx"]): row for row in rows(folder / "pandalm/labels.csv")}
    for item in lines(folder / "pandalm/items.jsonl.gz"):
        votes = Counter(labels[item["idx"]][f"annotator{i}"] for i in (1, 2, 3))
        prompt = "\n\n".join(part for part in (item["instruction"], item["input"]) if part)
        yield Labelled(
            prompt, str(item["response_1"]), str(item["response_2"]), PANDALM[int(votes.most_common(1)[0][0])]
        )


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


def lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def rows(path: Path) -> Iterator[dict[str, str]]:
    packed = path.read_bytes()
    text = (gzip.decompress(packed) if path.suffix == ".gz" else packed).decode("utf-8")
    yield from csv.DictReader(text.splitlines())


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
    estimate = win_rate(scores, [i.prompt for i, _ in decided])
    assert isinstance(estimate, Estimate)
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def kappa(items: list[Labelled], picked: list[Side]) -> str:
    """Cohen's kappa over first, second and tie, on all pairs."""
    return f"{cohen_kappa_score([i.label for i in items], picked):.2f}"


def main_table(sets: dict[str, tuple[str, list[Labelled]]]) -> Iterator[str]:
    yield (
        "| data set | labels by | pairs (prompts) | decided | `measures` | longer answer | coin "
        "| ties of `measures` | kappa of `measures` | kappa of longer |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|"
    judge = Measures("measures", [(name, name, 1.0) for name in MEASURES])
    for name, (labels, items) in sets.items():
        picked, by_length = picks(judge, items), [longer(i) for i in items]
        prompts, decided = len({i.prompt for i in items}), sum(i.label != "tie" for i in items)
        yield (
            f"| {name} | {labels} | {len(items)} ({prompts}) | {decided} | {agreement(items, picked)} "
            f"| {agreement(items, by_length)} | 0.5 | {picked.count('tie') / len(items):.0%} "
            f"| {kappa(items, picked)} | {kappa(items, by_length)} |"
        )


def single_table(sets: dict[str, tuple[str, list[Labelled]]]) -> Iterator[str]:
    yield f"| measure alone | {' | '.join(sets)} |"
    yield "|---|" + "---|" * len(sets)
    for name in MEASURES:
        judge = Measures(name, [(name, name, 1.0)])
        yield f"| {name} | {' | '.join(agreement(items, picks(judge, items)) for _, items in sets.values())} |"


def length_table(sets: dict[str, tuple[str, list[Labelled]]]) -> Iterator[str]:
    """Spearman's rank correlation of a value with the length of the answer, over the distinct answers of all sets."""
    answers = sorted({(i.prompt, text) for _, items in sets.values() for i in items for text in (i.first, i.second)})
    words = np.array([len(text.split()) for _, text in answers])
    long = words >= LONG
    yield f"| value | mean | sd | correlation with words | from {LONG} words on | higher when said twice |"
    yield "|---|---|---|---|---|---|"
    judge = Measures("measures", [(name, name, 1.0) for name in MEASURES])
    once = np.array([judge.scores(prompt, text) for prompt, text in answers])
    twice = np.array([judge.scores(prompt, f"{text}\n\n{text}") for prompt, text in answers])
    for i, name in enumerate([*MEASURES, "total"]):
        value = once[:, i]
        yield (
            f"| {name} | {value.mean():.2f} | {value.std(ddof=1):.2f} | {spearmanr(value, words).statistic:+.2f} "
            f"| {spearmanr(value[long], words[long]).statistic:+.2f} | {np.mean(twice[:, i] > value + 1e-9):.1%} |"
        )
    yield f"\n{len(answers)} distinct answers, {long.sum()} of them of {LONG} words or more."


def main() -> None:
    given = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("SCIEXAM_SHARED_DATA", "../shared/data")
    folder = Path(given)
    if not (folder / "pandalm/items.jsonl.gz").exists():
        sys.exit(f"{folder} has no pandalm/items.jsonl.gz; name the data folder: {Path(__file__).name} DATA_FOLDER")
    adversarial = ("Neighbor", "GPTInst", "GPTOut", "Manual")
    sets = {
        "PandaLM": ("majority of 3 people", list(pandalm(folder))),
        "LLMBar Natural": ("its authors", list(llmbar(folder, ("Natural",)))),
        "LLMBar adversarial": ("its authors", list(llmbar(folder, adversarial))),
        "AlpacaEval science v1": ("GPT-4", list(alpacaeval(folder, "v1"))),
        "AlpacaEval science v2": ("GPT-4 Turbo", list(alpacaeval(folder, "v2"))),
    }
    print("\n".join([*main_table(sets), "", *single_table(sets), "", *length_table(sets)]))


if __name__ == "__main__":
    main()
