"""Calibration error and Brier score, beside scikit-learn's and beside brute force."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from sciexam.stats import Undefined
from sciexam.stats.calibration import (
    brier_score,
    error_if_calibrated,
    expected_calibration_error,
    reliability_table,
)


def said(n: int, seed: int = 0, off: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, and outcomes that are more often 1 by `off` than they say."""
    rng = np.random.default_rng(seed)
    probabilities = np.round(rng.uniform(0.05, 0.9 - off, n), 2)
    return probabilities, (rng.random(n) < probabilities + off).astype(float)


def test_the_brier_score_is_scikit_learns():
    probabilities, outcomes = said(200)
    found = brier_score(probabilities, outcomes)
    assert found.value == pytest.approx(brier_score_loss(outcomes, probabilities), abs=1e-12)
    assert found.low < found.value < found.high
    assert brier_score([0.5] * 20, [1, 0] * 10).value == 0.25


@pytest.mark.parametrize("bins", [1, 5, 10])
def test_bins_and_calibration_error_are_those_of_scikit_learns_curve(bins):
    probabilities, outcomes = said(300, seed=3)
    observed, predicted = calibration_curve(outcomes, probabilities, n_bins=bins, strategy="quantile")
    rows = reliability_table(probabilities, outcomes, bins)
    assert [row.predicted for row in rows] == pytest.approx(list(predicted), abs=1e-12)
    assert [row.observed.value for row in rows] == pytest.approx(list(observed), abs=1e-12)
    weights = np.array([row.items for row in rows])
    by_hand = float(weights @ np.abs(observed - predicted)) / 300
    assert expected_calibration_error(probabilities, outcomes, bins).value == pytest.approx(by_hand, abs=1e-12)


def test_the_interval_is_the_jackknife_by_brute_force():
    probabilities, outcomes = said(40, seed=5)
    edges = np.quantile(probabilities, np.linspace(0, 1, 6)[1:-1])
    where = np.searchsorted(edges, probabilities)

    def error(kept: np.ndarray) -> float:
        gaps = [abs((outcomes - probabilities)[kept & (where == one)].sum()) for one in range(5)]
        return sum(gaps) / kept.sum()

    everyone = np.ones(40, bool)
    without = np.array([error(everyone & (np.arange(40) != left)) for left in range(40)])
    spread = np.sqrt(39 / 40 * ((without - without.mean()) ** 2).sum())
    found = expected_calibration_error(probabilities, outcomes, 5)
    assert found.value == pytest.approx(error(everyone), abs=1e-12)
    from scipy.stats import t

    assert found.high - found.value == pytest.approx(t.ppf(0.975, 39) * spread, rel=1e-9)
    assert "5 bins of equal mass" in found.method


def test_items_of_one_cluster_are_one_unit():
    probabilities, outcomes = said(60, seed=6, off=0.1)
    twice = np.repeat(np.arange(60), 2)
    alone = expected_calibration_error(probabilities, outcomes)
    doubled = expected_calibration_error(np.repeat(probabilities, 2), np.repeat(outcomes, 2), clusters=twice)
    assert (doubled.n, doubled.value) == (60, pytest.approx(alone.value))
    assert (doubled.low, doubled.high) == (pytest.approx(alone.low), pytest.approx(alone.high))


def test_chance_alone_gives_the_error_that_is_announced():
    rng = np.random.default_rng(1)
    probabilities = rng.uniform(0, 1, 200)
    drawn = [
        expected_calibration_error(probabilities, (rng.random(200) < probabilities).astype(float)).value
        for _ in range(400)
    ]
    assert error_if_calibrated(probabilities) == pytest.approx(np.mean(drawn), rel=0.06)


def test_the_interval_covers_an_error_that_is_there():
    """300 data sets of 300 items whose probabilities are 0.15 too low everywhere."""
    covered = 0
    for seed in range(300):
        found = expected_calibration_error(*said(300, seed, off=0.15))
        covered += found.low <= 0.15 <= found.high
    assert covered / 300 > 0.9


def test_what_cannot_be_told_is_said_in_a_sentence():
    assert brier_score([], []) == Undefined("no item has both a probability and an outcome")
    assert isinstance(expected_calibration_error([0.3], [1]), Undefined)
    assert isinstance(expected_calibration_error([0.3, 0.3], [1, 0], clusters=["p", "p"]), Undefined)
    assert reliability_table([], []) == ()
    perfect = expected_calibration_error([0.0, 1.0] * 10, [0, 1] * 10)
    assert perfect == Undefined("all 20 prompts have the same value: no spread to judge by", 20)
    with pytest.raises(ValueError, match="2 probabilities but 1 outcomes"):
        brier_score([0.1, 0.2], [1])
    with pytest.raises(ValueError, match="bins must be at least 1"):
        expected_calibration_error([0.1, 0.2], [1, 0], bins=0)
    with pytest.raises(ValueError, match="there are no probabilities"):
        error_if_calibrated([])
