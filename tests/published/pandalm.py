"""PandaLM's 999 answer pairs: three annotators, their majority, and two judges.

Figures: WeOpenML/PandaLM, README at 3871806 (kappas, labels) and 77cec46 (judges, win/lose/tie). The derived ones were
made for this data with scipy, scikit-learn's rules and the package krippendorff.
"""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from published.claims import Claim, Differs, Named, Reproduced, decimals
from published.rows import battle, document, objects, ratings, score_of, table, value
from sciexam.stats.agreement import cohen_kappa, fleiss_kappa, percent_agreement
from sciexam.stats.alpha import krippendorff_alpha
from sciexam.stats.annotators import majority_vote
from sciexam.types import Side

ANNOTATORS = ("annotator1", "annotator2", "annotator3")
SIDES: dict[int, Side] = {0: "tie", 1: "first", 2: "second"}
GPT35 = {"1": 1, "2": 2, "Tie": 0, "garbage": 0}  # the origin counts a reply that was no verdict as a tie
TRANSPOSED = "the origin printed two counts of one cell the wrong way round: pythia-6.9b won more, not bloom-7b"
Labels = NDArray[np.intp]


def published(data: Path) -> Claim:
    folder = data / "pandalm"
    file = document(folder / "published.json")
    majority, judges = labels(folder)
    items = objects(folder / "items.jsonl.gz")
    raters = {"human_majority": majority, **judges}
    ours = {
        "cohen_kappa": pairs_of_annotators(folder, cohen_kappa),
        "majority_label_counts": {str(label): int((majority == label).sum()) for label in SIDES},
        "judge_vs_majority_percent": {name: against(majority, said) for name, said in judges.items()},
        "win_lose_tie": {
            name: win_lose_tie(items, said, list(file["win_lose_tie"][name])) for name, said in raters.items()
        },
    }
    rules = (
        Named("source", "where the figures were printed"),
        Reproduced("cohen_kappa/*", decimals(2)),
        Reproduced("majority_label_counts/*"),
        Reproduced("judge_vs_majority_percent/*/accuracy|precision_macro|recall_macro|f1_macro", decimals(2)),
        Differs("win_lose_tie/human_majority/bloom-7b>pythia-6.9b", TRANSPOSED, ours=[47, 49, 11], theirs=[49, 47, 11]),
        Reproduced("win_lose_tie/*/*"),
    )
    return Claim(file, ours, rules)


def derived(data: Path) -> Claim:
    folder = data / "pandalm"
    annotators = ratings(table(folder / "labels.csv"), ANNOTATORS)
    ours = {
        "cohen_kappa": pairs_of_annotators(folder, cohen_kappa),
        "percent_agreement": pairs_of_annotators(folder, lambda one, other: percent_agreement([one, other])),
        "share_all_three_agree": majority_vote(annotators).unanimous / annotators.shape[1],
        "krippendorff_alpha_nominal": value(krippendorff_alpha(annotators, "nominal")),
        "fleiss_kappa": value(fleiss_kappa(annotators)),
    }
    rules = (
        Named("source", "how the figures were made"),
        Reproduced("cohen_kappa|percent_agreement/*", 1e-12),
        Reproduced("share_all_three_agree|krippendorff_alpha_nominal|fleiss_kappa", 1e-12),
    )
    return Claim(document(folder / "derived.json"), ours, rules)


def labels(folder: Path) -> tuple[Labels, dict[str, Labels]]:
    """The annotators' majority and the judges' labels, shape (items,): 0 tie, 1, 2."""
    rows = table(folder / "labels.csv")
    vote = majority_vote(ratings(rows, ANNOTATORS))
    assert vote.ties == vote.unrated == 0
    majority = np.array(vote.labels, dtype=np.float64).astype(np.intp)
    judges = {
        "gpt-3.5-turbo": np.array([GPT35[row["gpt35_raw"]] for row in rows]),
        "PandaLM-7B": np.array([int(row["pandalm7b_raw"]) for row in rows]),
    }
    return majority, judges


def pairs_of_annotators(folder: Path, statistic: Any) -> dict[str, float]:
    annotators = dict(zip(ANNOTATORS, ratings(table(folder / "labels.csv"), ANNOTATORS), strict=True))
    return {
        f"{one}-{other}": value(statistic(annotators[one], annotators[other]))
        for one, other in combinations(ANNOTATORS, 2)
    }


def against(truth: Labels, said: Labels) -> dict[str, float]:
    """Accuracy, and precision, recall and F1 averaged over the three labels, in percent."""
    right = np.array([((truth == label) & (said == label)).sum() for label in SIDES])
    precision = right / np.array([(said == label).sum() for label in SIDES])
    recall = right / np.array([(truth == label).sum() for label in SIDES])
    return {
        "accuracy": 100 * value(percent_agreement([truth, said])),
        "precision_macro": 100 * float(precision.mean()),
        "recall_macro": 100 * float(recall.mean()),
        "f1_macro": 100 * float((2 * precision * recall / (precision + recall)).mean()),
    }


def win_lose_tie(items: list[dict[str, Any]], said: Labels, pairs: list[str]) -> dict[str, list[int]]:
    """For each "x>y" how often x won, lost and tied, from battles."""
    fought = [
        battle(str(item["idx"]), item["model_1"], item["model_2"], {"ab": SIDES[int(label)]})
        for item, label in zip(items, said, strict=True)
    ]
    counts = {}
    for pair in pairs:
        one, other = pair.split(">")
        scores = [score_of(one, b) for b in fought if {b.a, b.b} == {one, other}]
        counts[pair] = [scores.count(1.0), scores.count(0.0), scores.count(0.5)]
    return counts
