"""How far a judge's probabilities are from the winners that the human majority names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sciexam.report.agreeing.votes import ItemKey
from sciexam.report.evidence import Bench
from sciexam.report.record import Figure
from sciexam.report.validating.human_verdicts import HumanVerdicts
from sciexam.stats import Undefined
from sciexam.stats.calibration import (
    BINS,
    ReliabilityBin,
    brier_score,
    error_if_calibrated,
    expected_calibration_error,
    reliability_table,
)

FEWEST_IN_BIN = 10  # items: with fewer of them there are fewer bins


@dataclass(frozen=True, slots=True)
class Calibrated:
    """The judge's probability that b is better, against the majority's winner, on the decided comparisons.

    `if_calibrated`: the calibration error that chance alone would give a perfectly calibrated judge here.
    """

    items: int
    error: Figure
    if_calibrated: float | None
    brier: Figure
    bins: tuple[ReliabilityBin, ...]


def calibrated(humans: HumanVerdicts, bench: Bench, scores: Mapping[ItemKey, float], level: float) -> Calibrated:
    """The judge's scores as probabilities, where its verdicts carry some or it was asked more than once an order."""
    decided = sorted(item for item in scores if humans.majority.get(item, 0.0) != 0)
    if not any(verdict.probability_second is not None or verdict.repeat for _, verdict in bench.verdicts):
        return _uncalibrated("the judge gives no probabilities, and was asked once in each order")
    if all(scores[item] in (0.0, 0.5, 1.0) for item in scores):
        return _uncalibrated("the judge's scores are wins, losses and ties, and no probabilities")
    if not decided:
        return _uncalibrated("the majority names no winner on a comparison that the judge has a verdict on")
    said = [scores[item] for item in decided]
    happened = [float(humans.majority[item] > 0) for item in decided]
    clusters = humans.clusters(decided)
    bins = max(1, min(BINS, len(decided) // FEWEST_IN_BIN))
    return Calibrated(
        items=len(decided),
        error=expected_calibration_error(said, happened, bins, clusters, level),
        if_calibrated=error_if_calibrated(said, bins),
        brier=brier_score(said, happened, clusters, level),
        bins=reliability_table(said, happened, bins, clusters, level),
    )


def _uncalibrated(why: str) -> Calibrated:
    none = Undefined(why)
    return Calibrated(0, none, None, none, ())
