"""PandaLM's labels: two answers an item, marked by several annotators with 0 (tie), 1 or 2, and by judges.

The original JSON (`testset-v1.json`, and the files of judges with `gpt_result` or `pandalm_result`), or a file of items
(`model_1`, `model_2`, `response_1`, `response_2`) beside a table of labels by `idx`. A column `annotator...` is a
person, a column `..._result` or `..._raw` a judge.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sciexam.exchange.landing import Landing, Place, shown
from sciexam.exchange.rows import found, rows
from sciexam.types import Side

SIDES: Mapping[str, Side] = {"0": "tie", "tie": "tie", "1": "first", "2": "second"}
GARBAGE = "garbage"  # of a judge's reply that could not be read
NAMES = {"gpt_result": "gpt-3.5-turbo", "pandalm_result": "PandaLM-7B"}
_JUDGE = re.compile(r"(.+)_(?:result|raw)")
_MODELS, _TEXTS = ("model_1", "model_2"), (("response_1", "response1"), ("response_2", "response2"))


def read(paths: Sequence[Path]) -> Landing:
    landing = Landing("pandalm")
    pairs: dict[str, tuple[str, str]] = {}
    labels: list[tuple[Place, dict[str, Any]]] = []
    for file in found(paths, "*.json", "*.jsonl", "*.jsonl.gz", "*.csv"):
        for at, row in rows(file, landing):
            if "idx" not in row:
                landing.fault(at, "idx: this key is missing")
                continue
            if "instruction" in row and (pair := _pair(at, row, landing)) is not None:
                _item(at, row, pair, landing)
                if pairs.setdefault(str(row["idx"]), pair) != pair:
                    landing.fault(at, f"idx: {row['idx']} compares other models in another file")
            said = {key: value for key, value in row.items() if key.startswith("annotator") or _JUDGE.fullmatch(key)}
            labels += [(at, {"idx": row["idx"], **said})] if said else []
    for at, row in labels:
        _labels(at, row, pairs, landing)
    return landing


def _pair(at: Place, row: dict[str, Any], landing: Landing) -> tuple[str, str] | None:
    if all(isinstance(row.get(key), str) for key in _MODELS):
        return row["model_1"], row["model_2"]
    match str(row.get("cmp_key", "")).split("_"):
        case [one, two] if one and two:
            return one, two
    landing.fault(at, f"cmp_key: two models with one '_' between them, this is {shown(row.get('cmp_key'))}")
    return None


def _item(at: Place, row: dict[str, Any], pair: tuple[str, str], landing: Landing) -> None:
    text, more = row["instruction"], row.get("input")
    for key, value in (("instruction", text), ("input", more)):
        if not isinstance(value, str) and not (key == "input" and value is None):
            landing.fault(at, f"{key}: a text, this is {shown(value)}")
            return
    asked = f"{text}\n\n{more}" if more else text
    landing.prompt(at, row["idx"], asked, category=row.get("motivation_app"))
    for model, keys in zip(pair, _TEXTS, strict=True):
        answer = next((row[key] for key in keys if key in row), None)
        if isinstance(answer, str):
            landing.response(at, model, row["idx"], answer)
        else:
            landing.left_out(at, "an answer that is null")


def _labels(at: Place, row: dict[str, Any], pairs: Mapping[str, tuple[str, str]], landing: Landing) -> None:
    pair = pairs.get(str(row["idx"]))
    if pair is None:
        landing.fault(at, f"idx: no item is called {shown(row['idx'])}; give the file of items, too")
        return
    for column, label in row.items():
        if column == "idx":
            continue
        person = column.startswith("annotator")
        rater = column if person else NAMES.get(column, column.rpartition("_")[0])
        word = str(label).lower()
        if label is None or word == "":
            landing.left_out(at, f"no label of {rater}")
        elif word in SIDES:
            kind = "human" if person else "judge"
            landing.verdict(at, row["idx"], *pair, rater=rater, kind=kind, preferred=SIDES[word], kept={"label": label})  # type: ignore[arg-type]
        elif word == GARBAGE and not person:
            landing.verdict(at, row["idx"], *pair, rater=rater, failure=GARBAGE, kept={"label": label})
        else:
            landing.fault(at, f"{column}: {shown(label)} is none of 0 (tie), 1, 2")
