"""GPT-4's scores from 1 to 5 of four models' answers to 80 questions, three runs each (prometheus-eval at dcfb442).

The figures were made for this data with scipy and the package krippendorff.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np

from published.claims import Claim, Named, Reproduced
from published.judgebench import described
from published.rows import document, ratings, table, value
from sciexam.stats.alpha import krippendorff_alpha
from sciexam.stats.annotators import majority_vote
from sciexam.stats.correlation import kendall_tau_b, pearson, spearman

RUNS = ("run1", "run2", "run3")


def derived(data: Path) -> Claim:
    folder = data / "pointwise"
    rows = table(folder / "vicuna_gpt4_scores.csv")
    runs = ratings(rows, RUNS)
    means: dict[str, list[float]] = defaultdict(list)
    for row, scores in zip(rows, runs.T, strict=True):
        means[row["model"]].append(float(scores.mean()))
    ours = {
        "per_model": {model: described(np.array(found)) for model, found in means.items()},
        "repeat_agreement": {
            "alpha_ordinal": value(krippendorff_alpha(runs, "ordinal")),
            "alpha_interval": value(krippendorff_alpha(runs, "interval")),
            "alpha_nominal": value(krippendorff_alpha(runs, "nominal")),
            "spearman_run1_run2": value(spearman(runs[0], runs[1])),
            "kendall_tau_b_run1_run2": value(kendall_tau_b(runs[0], runs[1])),
            "pearson_run1_run2": value(pearson(runs[0], runs[1])),
            "share_all_three_equal": majority_vote(runs).unanimous / len(rows),
        },
    }
    rules = (
        Named("source", "how the figures were made"),
        Reproduced("per_model/*/n"),
        Reproduced("per_model/*/mean|std_ddof1|median", 1e-12),
        Reproduced("repeat_agreement/*", 1e-12),
    )
    return Claim(document(folder / "derived.json"), ours, rules)
