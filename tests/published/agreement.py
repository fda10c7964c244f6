"""Krippendorff's alpha: three raters of news summaries on four qualities, and the textbook's worked example.

Figures: dmg-illc/JUDGE-BENCH at 5a0bf50, results/regular/newsroom.json; Krippendorff (2011), Computing Krippendorff's
Alpha-Reliability.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from published.claims import Claim, Named, Reproduced, decimals
from published.rows import document, number, ratings, table, value
from sciexam.stats.alpha import MEASUREMENTS, krippendorff_alpha


def published(data: Path) -> Claim:
    folder = data / "agreement"
    file = document(folder / "published.json")
    rows = table(folder / "newsroom.csv")
    by_metric = {metric: [row for row in rows if row["metric"] == metric] for metric in file["newsroom_alpha_ordinal"]}
    raters = ("rater1", "rater2", "rater3")
    textbook = np.array(
        [
            [number(cell) for unit, cell in row.items() if unit != "observer"]
            for row in table(folder / "textbook_reliability.csv")
        ]
    )
    ours = {
        "newsroom_alpha_ordinal": {
            metric: value(krippendorff_alpha(ratings(found, raters), "ordinal")) for metric, found in by_metric.items()
        },
        "textbook_alpha": {scale: value(krippendorff_alpha(textbook, scale)) for scale in MEASUREMENTS},
    }
    rules = (
        Named("source", "where the figures were printed"),
        Named("textbook_alpha/source", "where the figures were printed"),
        Reproduced("newsroom_alpha_ordinal/*", decimals(12)),
        Reproduced("textbook_alpha/nominal|ordinal|interval|ratio", decimals(3)),
    )
    return Claim(file, ours, rules)
