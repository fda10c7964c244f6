"""The alt-test's own three data sets: six language models as annotators beside humans.

Figures: nitaytech/AltTest at 18428b1, printed output of alt_test_example.ipynb. The derived ones were made for this
data with scipy and the package krippendorff.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from published.claims import Claim, Named, Reproduced, decimals
from published.rows import document, value
from sciexam.stats.alpha import krippendorff_alpha
from sciexam.stats.alt_test import AltTest, alt_test
from sciexam.stats.correlation import kendall_tau_b, pearson, spearman

CORRELATIONS = {"pearson": pearson, "spearman": spearman, "kendall_tau_b": kendall_tau_b}


def published(data: Path) -> Claim:
    file = document(data / "alttest" / "published.json")
    ours = {"datasets": {name: winners(data, name, settings) for name, settings in file["datasets"].items()}}
    settings = "epsilon|scoring|q_fdr|min_humans_per_instance|min_instances_per_human"
    rules = (
        Named("source", "where the figures were printed"),
        Named(f"datasets/*/{settings}", "a setting of the test, given to ours"),
        Reproduced("datasets/*/llms/*/passed"),
        Reproduced("datasets/*/llms/*/winning_rate|advantage_probability", decimals(2)),
    )
    return Claim(file, ours, rules)


def winners(data: Path, name: str, settings: dict[str, Any]) -> dict[str, Any]:
    frame = read(data, name)
    return {"llms": {llm: outcome(frame, llm, settings) for llm in settings["llms"]}}


def outcome(frame: pd.DataFrame, llm: str, settings: dict[str, Any]) -> dict[str, Any]:
    found = alt_test(
        frame[f"llm:{llm}"].to_numpy(),
        humans(frame),
        settings["scoring"],
        settings["epsilon"],
        settings["q_fdr"],
        settings["min_humans_per_instance"],
        settings["min_instances_per_human"],
    )
    assert isinstance(found, AltTest), found
    return {"passed": found.passed, "winning_rate": found.omega, "advantage_probability": value(found.rho)}


def derived(data: Path) -> Claim:
    file = document(data / "alttest" / "derived.json")
    summaries = read(data, "summeval")
    quality = summaries["item"].str.rsplit("__", n=1).str[1]
    by_quality = {name: summaries[quality == name] for name in file["summeval_judge_vs_mean_expert"]}
    ours = {
        "krippendorff_alpha_humans": {
            name: {scale: value(krippendorff_alpha(humans(read(data, name)), scale)) for scale in scales}
            for name, scales in file["krippendorff_alpha_humans"].items()
        },
        "summeval_alpha_interval_by_dimension": {
            name: value(krippendorff_alpha(humans(frame), "interval")) for name, frame in by_quality.items()
        },
        "summeval_judge_vs_mean_expert": {name: correlations(frame) for name, frame in by_quality.items()},
    }
    rules = (
        Named("source", "how the figures were made"),
        Reproduced("krippendorff_alpha_humans/*/nominal|ordinal|interval", 1e-12),
        Reproduced("summeval_alpha_interval_by_dimension/*", 1e-12),
        Reproduced("summeval_judge_vs_mean_expert/*/*/pearson|spearman|kendall_tau_b", 1e-12),
    )
    return Claim(file, ours, rules)


def correlations(frame: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Each model's scores beside the mean of the experts."""
    expert = humans(frame).mean(axis=0)
    return {
        column.removeprefix("llm:"): {
            name: value(statistic(frame[column].to_numpy(), expert)) for name, statistic in CORRELATIONS.items()
        }
        for column in frame.columns
        if column.startswith("llm:")
    }


def humans(frame: pd.DataFrame) -> np.ndarray[Any, Any]:
    """Their labels, shape (humans, items)."""
    return frame.filter(like="human:").to_numpy().T


def read(data: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(data / "alttest" / f"{name}.csv.gz")
