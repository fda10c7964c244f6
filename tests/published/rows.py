"""The rows of the data, and verdicts that somebody gave as battles: the way every verdict goes in sciexam."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from sciexam.battles import Battle, Policy, resolve
from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.mean import mean
from sciexam.types import Comparison, Message, Order, Prompt, Reply, Response, Side

Said = Side | float | None  # a side, the probability of the second answer, or no usable verdict


def opened(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file; an empty cell is missing."""
    with opened(path) as file:
        return list(csv.DictReader(file))


def objects(path: Path) -> list[dict[str, Any]]:
    """The lines of a JSON Lines file."""
    with opened(path) as file:
        return [json.loads(line) for line in file]


def document(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def number(cell: str) -> float:
    """A cell as a number, NaN where it is empty."""
    return float(cell) if cell else float("nan")


def ratings(rows: Iterable[Mapping[str, str]], columns: Iterable[str]) -> NDArray[np.float64]:
    """Columns of numbers as ratings, shape (raters, items)."""
    return np.array([[number(row[column]) for column in columns] for row in rows]).T


def battle(prompt: str, a: str, b: str, said: Mapping[Order, Said], policy: Policy = "mean") -> Battle:
    """What a judge said of the answers of a and b in each order ("ab": a was shown first), resolved."""
    comparison = Comparison(_asked(prompt), _answer(a, prompt), _answer(b, prompt))
    shown = []
    for order, what in said.items():
        presentation = comparison.shown(order)
        if what is None:
            verdict = presentation.verdict("judge", failure="not parsable")
        elif isinstance(what, str):
            verdict = presentation.verdict("judge", what)
        else:
            verdict = presentation.verdict("judge", probability_second=what)
        shown.append((presentation, verdict))
    return resolve(comparison, shown, "judge", policy)


@cache
def _asked(prompt: str) -> Prompt:
    return Prompt(id=prompt, messages=(Message(role="user", content=f"question {prompt}"),))


def _answer(contestant: str, prompt: str) -> Response:
    return Response(contestant, prompt, 0, Reply(key="", text=f"the answer of {contestant}"))


def score_of(contestant: str, fought: Battle) -> float:
    """The contestant's score in a battle that is not void."""
    assert fought.score is not None, fought.failure
    return fought.score if contestant == fought.a else 1 - fought.score


def value(figure: Estimate | Undefined) -> float:
    assert isinstance(figure, Estimate), figure.why
    return figure.value


def share(true: Iterable[bool]) -> float:
    """The share of items on which something is true."""
    return value(mean([float(x) for x in true], low=0.0, high=1.0))
