"""LLMBar: three judges, eight ways to ask them, both orders, and a gold label for each of 419 items.

Figures: princeton-nlp/LLMBar at 900616b, one statistics.json for each of the 120 cells.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from sklearn.metrics import cohen_kappa_score

from published.claims import Claim, Differs, Keys, Reproduced
from published.rows import battle, document, share, table, value
from sciexam.battles import Battle, Policy
from sciexam.stats.agreement import cohen_kappa
from sciexam.stats.bias import order_consistency
from sciexam.types import Order, Side

ORDERS: dict[str, Order] = {"winner_original": "ab", "winner_swapped": "ba"}
TWO_IS_NOUGHT = (
    "the origin turns winner '2' into 0 before it compares winners with labels 1 and 2 (0.26 where accuracy is 94 %); "
    "ours compares the winners themselves, and leaves out the items with a reply that was no verdict"
)
FAILURES_ARE_TWO = (
    "the origin turns both winner '2' and a reply that was no verdict into 0, so that a failure agrees with a '2'; "
    "ours is over the items with a verdict in both orders"
)
Rows = list[dict[str, str]]


def published(data: Path) -> Claim:
    folder = data / "llmbar"
    cells: dict[Keys, Rows] = defaultdict(list)
    for row in table(folder / "verdicts.csv.gz"):
        cells[row["subset"], row["judge"], row["strategy"]].append(row)
    ours, oracles, origin = nested(), nested(), nested()
    for (subset, judge, strategy), rows in cells.items():
        ours[subset][judge][strategy] = figures(rows) | kappas(rows, kappa)
        oracles[subset][judge][strategy] = kappas(rows, scikit_kappa)
        origin[subset][judge][strategy] = kappas(rows, kappa, origins_way=True)

    def oracle(path: Keys) -> float:
        return oracles[path[0]][path[1]][path[2]][path[3]]

    def origins(path: Keys) -> float:
        return origin[path[0]][path[1]][path[2]][path[3]]

    unparsed = [cell for cell, rows in cells.items() if any(not row[column] for row in rows for column in ORDERS)]
    rules = (
        Reproduced("*/*/*/correct_False|correct_True|correct_average|correct_both|equal", 1e-9),
        Differs("*/*/*/kappa_False|kappa_True|kappa_average", TWO_IS_NOUGHT, oracle, origins, 1e-12, 1e-12),
        *(
            Differs(f"{'/'.join(cell)}/kappa_agreement", FAILURES_ARE_TWO, oracle, origins, 1e-12, 1e-12)
            for cell in unparsed
        ),
        Reproduced("*/*/*/kappa_agreement", 1e-12),
    )
    return Claim(numbers(document(folder / "published.json")), ours, rules)


def nested() -> dict[str, dict[str, dict[str, Any]]]:
    return defaultdict(lambda: defaultdict(dict))


def numbers(tree: Any) -> Any:
    """ "92 / 100 = 92.0%" as [92.0, 100.0, 92.0]."""
    if isinstance(tree, dict):
        return {key: numbers(branch) for key, branch in tree.items()}
    return [float(found) for found in re.findall(r"\d+(?:\.\d+)?", tree)] if isinstance(tree, str) else tree


def figures(rows: Rows) -> dict[str, list[float]]:
    """Counts of items, out of how many, in percent."""
    fought = [battle_of(row, "mean") for row in rows]
    right = {
        order: [b.by_order.get(order) == gold(row) for b, row in zip(fought, rows, strict=True)]
        for order in ORDERS.values()
    }
    both = [battle_of(row, "conservative").score == gold(row) for row in rows]
    average = (share(right["ab"]) + share(right["ba"])) / 2
    return {
        "correct_False": counted(share(right["ab"]), len(rows)),
        "correct_True": counted(share(right["ba"]), len(rows)),
        "correct_average": [100 * average],
        "correct_both": counted(share(both), len(rows)),
        "equal": counted(equal(fought), len(rows)),
    }


def battle_of(row: dict[str, str], policy: Policy) -> Battle:
    """The columns have the swap undone: the winner is output 1 or 2. A verdict names the first or the second shown."""
    said: dict[Order, Side | None] = {}
    for column, order in ORDERS.items():
        shown_first = "1" if order == "ab" else "2"
        said[order] = None if not row[column] else "first" if row[column] == shown_first else "second"
    return battle(row["id"], "output_1", "output_2", said, policy)


def gold(row: dict[str, str]) -> float:
    """The score of output 1 by the label."""
    return 1.0 if row["label"] == "1" else 0.0


def equal(fought: list[Battle]) -> float:
    """The share with the same winner in both orders; the origin counts two failures as equal too."""
    both = [b for b in fought if len(b.by_order) == 2]
    consistent = value(order_consistency([b.by_order["ab"] for b in both], [b.by_order["ba"] for b in both]))
    return (consistent * len(both) + sum(not b.by_order for b in fought)) / len(fought)


def counted(rate: float, n: int) -> list[float]:
    return [rate * n, n, 100 * rate]


def kappas(rows: Rows, statistic: Any, origins_way: bool = False) -> dict[str, float]:
    """Kappas of the winner with the label in each order, their mean, and of one order with the other."""
    columns = [[winner(row[column], origins_way) for row in rows] for column in ORDERS]
    label = [int(row["label"]) for row in rows]
    original, swapped = (statistic(label, column) for column in columns)
    return {
        "kappa_False": original,
        "kappa_True": swapped,
        "kappa_average": (original + swapped) / 2,
        "kappa_agreement": statistic(*columns),
    }


def winner(cell: str, origins_way: bool) -> int | None:
    if origins_way:
        return 1 if cell == "1" else 0
    return int(cell) if cell else None


def kappa(first: list[int | None], second: list[int | None]) -> float:
    return value(cohen_kappa(first, second))


def scikit_kappa(first: list[int | None], second: list[int | None]) -> float:
    both = [(x, y) for x, y in zip(first, second, strict=True) if x is not None and y is not None]
    return float(cohen_kappa_score(*zip(*both, strict=True)))
