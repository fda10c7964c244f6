"""JudgeBench: o1-mini's verdicts with ties in both orders, and two reward models' scores, on 350 pairs.

Figures: the paper (arXiv 2410.12784) by the metric of ScalerLab/JudgeBench at e2c52c2. The derived statistics were made
for this data with pandas.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from published.claims import Claim, Differs, Named, Reproduced, decimals
from published.rows import battle, document, objects, score_of, share, table, value
from sciexam.judges.parsing import parse_verdict
from sciexam.stats.ranking_accuracy import pairwise_accuracy
from sciexam.stats.rewards import Distribution, distribution
from sciexam.types import Order, Side

ORDERS: dict[int, Order] = {1: "ab", 2: "ba"}
A_TIE_IS_WRONG = (
    "one pair has equal scores, which the strict rule (chosen above rejected) counts as wrong; ours is half"
)
Said = dict[Order, Side | None]


def published(data: Path) -> Claim:
    folder = data / "judgebench"
    file = document(folder / "published.json")
    pairs = {row["pair_id"]: row for row in table(folder / "verdicts.csv")}
    judges = {"o1-mini-2024-09-12": said_by_o1(folder), **said_by_reward_models(folder)}
    rules = (
        Named("source", "where the figures come from"),
        Named("source_prefix/knowledge|reasoning|math|coding", "which pairs belong to a group; read as a setting"),
        Reproduced("accuracy_percent/*/*", decimals(2)),
    )
    ours = {judge: accuracies(said, pairs, file["source_prefix"]) for judge, said in judges.items()}
    return Claim(file, {"accuracy_percent": ours}, rules)


def said_by_o1(folder: Path) -> dict[str, Said]:
    """The one verdict of each reply, read by sciexam's grammar from a line of its own.

    The judge was asked to write "My final verdict is ...: [[A>B]]", where sciexam's templates ask for a last line with
    nothing else; and of the replies only the last 120 characters and every [[...]] are at hand.
    """
    said: dict[str, Said] = defaultdict(dict)
    for reply in objects(folder / "raw_tails.jsonl.gz"):
        lines = "\n".join(f"[[{token}]]" for token in reply["bracket_tokens"])
        parsed = parse_verdict(lines, "brackets", "")
        said[reply["pair_id"]][ORDERS[reply["game"]]] = parsed.preferred
    return said


def said_by_reward_models(folder: Path) -> dict[str, dict[str, Said]]:
    """The answer with the higher score, in both orders."""
    said: dict[str, dict[str, Said]] = defaultdict(dict)
    for row in table(folder / "reward_scores.csv"):
        a, b = float(row["score_A"]), float(row["score_B"])
        first, second = float(row["game2_score_first"]), float(row["game2_score_second"])
        said[row["reward_model"]][row["pair_id"]] = {"ab": higher(a, b), "ba": higher(first, second)}
    return said


def higher(first: float, second: float) -> Side:
    return "tie" if first == second else "first" if first > second else "second"


def accuracies(said: dict[str, Said], pairs: dict[str, dict[str, str]], prefixes: dict[str, str]) -> dict[str, float]:
    """Percent of the pairs on which the mean over both orders is for the right answer: more orders for than against."""
    right: dict[str, list[bool]] = defaultdict(list)
    for pair, row in pairs.items():
        score = score_of(row["label"][0], battle(pair, "A", "B", said[pair]))
        group = next(group for group, prefix in prefixes.items() if row["source"].startswith(prefix))
        right[group].append(score > 0.5)
        right["overall"].append(score > 0.5)
    return {group: 100 * share(found) for group, found in right.items()}


def derived(data: Path) -> Claim:
    folder = data / "judgebench"
    rows: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in table(folder / "reward_scores.csv"):
        rows[row["reward_model"]].append(row)
    ours = {"stats": {model: reward_stats(found) for model, found in rows.items()}}
    rules = (
        Named("source", "how the figures were made"),
        Reproduced("stats/*/all|correct|wrong|margin/*", 1e-12),
        Reproduced("stats/*/ties"),
        Differs(
            "stats/Skywork-Reward-Llama-3.1-8B/pairwise_accuracy",
            A_TIE_IS_WRONG,
            ours=218.5 / 350,
            theirs=share(right - wrong > 0 for right, wrong in chosen(rows["Skywork-Reward-Llama-3.1-8B"])),
            within=1e-12,
            theirs_within=1e-12,
        ),
        Reproduced("stats/*/pairwise_accuracy", 1e-12),
    )
    return Claim(document(folder / "derived_reward_stats.json"), ours, rules)


def chosen(rows: list[dict[str, str]]) -> NDArray[np.float64]:
    """Scores of the right and of the wrong answer, shape (pairs, 2)."""
    found = [(float(row["score_A"]), float(row["score_B"])) for row in rows]
    return np.array([(a, b) if row["label"] == "A>B" else (b, a) for (a, b), row in zip(found, rows, strict=True)])


def reward_stats(rows: list[dict[str, str]]) -> dict[str, Any]:
    both = chosen(rows)
    right, wrong = both.T
    prompts = np.repeat(np.arange(len(rows)), 2)
    return {
        "all": described(both.ravel()),
        "correct": described(right),
        "wrong": described(wrong),
        "margin": described(right - wrong),
        "pairwise_accuracy": value(pairwise_accuracy(both.ravel(), np.tile([1, 2], len(rows)), prompts)),
        "ties": int((right == wrong).sum()),
    }


def described(rewards: NDArray[np.float64]) -> dict[str, float]:
    found = distribution(rewards)
    assert isinstance(found, Distribution)
    assert isinstance(found.sd, float)
    return {
        "n": found.n,
        "mean": value(found.mean),
        "std_ddof1": found.sd,
        "median": value(found.median),
        "min": found.min,
        "max": found.max,
        "q05": found.q05,
        "q25": found.q25,
        "q75": found.q75,
        "q95": found.q95,
    }
