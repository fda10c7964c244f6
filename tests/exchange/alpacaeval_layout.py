"""AlpacaEval's own layout, rebuilt from the real verdicts: a folder a model, with outputs and annotations.

The answers to the prompts that are not of science are not at hand: texts of the published lengths stand for them.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

REFERENCE = {"v1": "text_davinci_003", "v2": "gpt4_1106_preview"}
RATER = {"v1": "alpaca_eval_gpt4", "v2": "weighted_alpaca_eval_gpt4_turbo"}


def rebuild(data: Path, folder: Path, version: str) -> dict[str, Any]:
    """Write the layout of one version into `folder`; returns the published rows of its models."""
    source = data / "alpacaeval"
    prompts = _objects(source / "prompts.jsonl.gz")
    answers = {(a["model"], a["index"]): a["output"] for a in _objects(source / "answers_science.jsonl.gz")}
    reference = REFERENCE[version]
    rows: dict[str, dict[int, dict[str, str]]] = defaultdict(dict)
    with gzip.open(source / f"verdicts_{version}.csv.gz", "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            rows[row["model"]][int(row["index"])] = row
    lengths = {i: int(row["len_reference"]) for found in rows.values() for i, row in found.items()}

    def text(model: str, index: int, length: int) -> str:
        return answers.get((model, index)) or "x" * length

    def output(model: str, prompt: dict[str, Any], length: int) -> dict[str, Any]:
        asked = {"dataset": prompt["dataset"], "instruction": prompt["instruction"]}
        return asked | {"output": text(model, prompt["index"], length), "generator": model}

    _write(folder / reference / "model_outputs.json", [output(reference, p, lengths[p["index"]]) for p in prompts])
    for model, found in rows.items():
        judged = [p for p in prompts if p["index"] in found]
        lines = [output(model, p, int(found[p["index"]]["len_model"])) for p in judged]
        _write(folder / model / "model_outputs.json", lines)
        annotations = [
            {
                **{"instruction": p["instruction"], "dataset": p["dataset"]},
                **{"output_1": text(reference, p["index"], lengths[p["index"]]), "generator_1": reference},
                **{"output_2": line["output"], "generator_2": model, "annotator": RATER[version]},
                "preference": float(found[p["index"]]["preference"]) if found[p["index"]]["preference"] else None,
                "price_per_example": 0.01,
            }
            for p, line in zip(judged, lines, strict=True)
        ]
        _write(folder / model / RATER[version] / "annotations.json", annotations)
    published: dict[str, Any] = json.loads((source / "published.json").read_text(encoding="utf-8"))
    return published[version]


def _objects(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=2), encoding="utf-8")
