"""How many earlier runs of a ledger looked at the pairs of a comparison, of which its p-values know nothing.

Whoever looks until a result is significant finds one: in twenty looks at two equals, one of them is at 5 %.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from sciexam.exam.null_contestant import NULL
from sciexam.store import Store

LOOKS = ("compare", "leaderboard")  # purposes of runs that say how contestants did against each other

Cell = tuple[str, str, str]  # a, b, the bench that judges them


def earlier_runs(run: str, plan: Mapping[str, Any], store: Store) -> dict[Cell, int]:
    """By pair and judge of `run`, how many other runs looked at it that were started before `run` ever was.

    `plan` is that of the run's manifest. Suite, contestants and judges are told by their names, so that other answers
    or another template of one of them are another look. A run whose figure is the same is none, as with other slices,
    unless it looked at comparisons that this run left out, so that Holm corrects for fewer. Of a run until decided
    nothing is counted: what it says holds at every look.
    """
    if plan.get("until_decided"):
        return {}
    cells, family, shared = list(_cells(plan)), set(map(_either_way, _cells(plan))), _shared(plan)
    found: Counter[Cell] = Counter()
    for text in store.manifests_before(run):
        earlier = json.loads(text)["plan"]
        if earlier.get("purpose", "compare") not in LOOKS or earlier["suite"]["name"] != plan["suite"]["name"]:
            continue
        theirs = set(map(_either_way, _cells(earlier)))
        otherwise = not theirs <= family or _shared(earlier) != shared
        for cell in cells:
            if _either_way(cell) in theirs and (otherwise or _asked(earlier, cell) != _asked(plan, cell)):
                found[cell] += 1
    return dict(found)


def _cells(plan: Mapping[str, Any]) -> Iterator[Cell]:
    """What a run says something of; empty words are on a board to try the judge."""
    for a, b in plan.get("pairs") or combinations(plan["contestants"], 2):
        if NULL not in (a, b):
            yield from ((a, b, bench) for bench in plan["benches"])


def _either_way(cell: Cell) -> tuple[frozenset[str], str]:
    return frozenset(cell[:2]), cell[2]


def _shared(plan: Mapping[str, Any]) -> list[Any]:
    """What the figures of all cells follow from."""
    asked = [plan["digests"]["suite"], plan["prompts"], _samples(plan)]
    return [*asked, plan["policy"], plan["margin"], plan.get("until_decided", False)]


def _asked(plan: Mapping[str, Any], cell: Cell) -> str:
    """What the figure of one cell follows from besides, as one text."""
    *pair, bench = cell
    raters = [rater for rater in plan["raters"] if rater["bench"] == bench]
    together = any(rater.get("part_of") for rater in raters)  # a panel or a cascade
    settings = plan["suite"]["judges"].get(bench) if together else None
    return json.dumps([sorted([name, plan["models"][name]] for name in pair), raters, settings], sort_keys=True)


def _samples(plan: Mapping[str, Any]) -> int:
    """`Plan.samples` of a manifest."""
    models, usual = plan["suite"]["models"], plan["suite"]["generation"]
    return min(int((usual | (models[name].get("generation") or {}))["samples"]) for name in plan["contestants"])
