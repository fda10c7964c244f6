"""LLMFAO: 8,931 votes of 124 crowd workers on 59 models, and the boards that evalica makes of them.

Figures: dustalov/evalica at 2ebe79e (its golden scores) and dustalov/llmfao at 9e224e9 (its leaderboard).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from published.claims import Claim, Named, Reproduced
from published.rows import battle, score_of, table
from sciexam.stats.elo import elo
from sciexam.stats.ratings import Ratings, Ties, bradley_terry
from sciexam.stats.tournament import fold
from sciexam.types import Side

SIDES: dict[str, Side] = {"left": "first", "right": "second", "tie": "tie"}
Votes = tuple[list[str], list[str], list[float]]


def golden(data: Path) -> Claim:
    published: dict[str, dict[str, float]] = {}
    for row in table(data / "llmfao" / "golden_evalica.csv"):
        published.setdefault(row["algorithm"], {})[row["item"]] = float(row["score"])
    left, right, scores = votes(data)
    met = fold(left, right, scores, None)
    rates = np.divide(met.scored, met.met, out=np.full_like(met.met, np.nan), where=met.met > 0)
    ours: dict[str, Any] = {
        "bradley_terry": strengths(data, "half", total=1.0),
        # Newman's model of ties (2023, JMLR 24:238) is Davidson's. Strengths are known up to a factor: ours has the
        # sum of theirs.
        "newman": strengths(data, "davidson", total=sum(published["newman"].values())),
        "elo": elo(left, right, scores, start=1000, k=4, base=10, scale=400),
        "counting": dict(zip(met.names, met.scored.sum(1).tolist(), strict=True)),
        "average_win_rate": dict(zip(met.names, np.nanmean(rates, axis=1).tolist(), strict=True)),
    }
    rules = (
        Reproduced("bradley_terry|newman|elo|average_win_rate/*", 1e-9),
        Reproduced("counting/*"),
        Named("eigen|pagerank/*", "a centrality in the graph of wins, which sciexam does not compute"),
    )
    return Claim(published, ours, rules)


def leaderboard(data: Path) -> Claim:
    published = {
        row["model"]: {
            "bt_score": float(row["bt_score"]),
            "n_comparisons": int(row["n_comparisons"]),
            "rank": int(row["rank"]),
        }
        for row in table(data / "llmfao" / "published_leaderboard_crowd.csv")
    }
    scores = strengths(data, "half", total=1.0)
    ours = {
        standing.name: {"bt_score": scores[standing.name], "n_comparisons": standing.battles, "rank": standing.rank}
        for standing in ratings(data, "half").standings
    }
    rules = (
        Reproduced("*/bt_score", 3e-6, "the origin stopped at a tolerance of 1e-6"),
        Reproduced("*/n_comparisons|rank"),
    )
    return Claim(published, ours, rules)


@cache
def votes(data: Path) -> Votes:
    """Both names and the score of the left one, a battle for each vote, in the order of the file."""
    rows = table(data / "llmfao" / "crowd.csv.gz")
    fought = [battle(row["id"], row["left"], row["right"], {"ab": SIDES[row["winner"]]}) for row in rows]
    return [b.a for b in fought], [b.b for b in fought], [score_of(b.a, b) for b in fought]


@cache
def ratings(data: Path, ties: Ties) -> Ratings:
    return bradley_terry(*votes(data), ties=ties, draws=10)


def strengths(data: Path, ties: Ties, total: float) -> dict[Any, float]:
    """The strengths, not their logarithms, scaled to sum to `total`."""
    board = ratings(data, ties)
    assert all(standing.strength is not None for standing in board.standings)
    raw = {standing.name: float(np.exp(standing.strength or 0.0)) for standing in board.standings}
    return {name: total * strength / sum(raw.values()) for name, strength in raw.items()}
