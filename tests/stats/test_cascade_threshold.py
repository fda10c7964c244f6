"""The threshold of a cascade: beside brute force, and against what it promises."""

from __future__ import annotations

from collections.abc import Callable
from math import comb

import numpy as np
import pytest

from sciexam.stats import Undefined
from sciexam.stats.cascade import Threshold, choose_threshold, fewest_units

Draw = tuple[np.ndarray, np.ndarray, np.ndarray]


def drawn(seed: int, rate: Callable[[np.ndarray], np.ndarray], n: int = 100, everyone: int = 300) -> Draw:
    """Confidences of all units, whether they agree, and which of them are the calibration."""
    rng = np.random.default_rng(seed)
    confidence = np.round(rng.random(everyone), 2)
    return confidence, rng.random(everyone) < rate(confidence), rng.permutation(everyone)[:n]


def by_hand(confidence: list[float], agrees: list[bool], population: list[float], share: float, error: float) -> float:
    """The same in plain loops with the binomial tail summed term by term; infinity where nothing passes."""

    def shown(n: int, agreed: int) -> bool:
        return n > 0 and sum(comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(agreed, n + 1)) <= error

    falling = sorted(population, reverse=True)
    candidates: list[float] = []
    for tenth in range(1, 11):
        value = falling[-(-tenth * len(falling) // 10) - 1]
        if value not in candidates:
            candidates.append(value)
    fewest = next(n for n in range(1, 10_000) if share**n <= error)
    roomy = [c for c in candidates if len(confidence) * sum(p >= c for p in population) / len(population) >= 2 * fewest]
    best = float("inf")
    for value in candidates[candidates.index(roomy[0]) :] if roomy else candidates[-1:]:
        kept = [same for sure, same in zip(confidence, agrees, strict=True) if sure >= value]
        if not shown(len(kept), sum(kept)):
            break
        best = value
    return best


@pytest.mark.parametrize("seed", range(60))
def test_the_threshold_is_that_of_brute_force(seed: int) -> None:
    confidence, agrees, own = drawn(seed, lambda c: 0.86 + 0.14 * c, n=60 + seed, everyone=200)
    if seed % 3 == 0:
        confidence = np.round(confidence)  # forced choices in both orders
    found = choose_threshold(confidence[own], agrees[own], confidence, 0.9, 0.1)
    expected = by_hand(confidence[own].tolist(), agrees[own].tolist(), confidence.tolist(), 0.9, 0.1)
    assert (found.value if isinstance(found, Threshold) else float("inf")) == expected


def test_brute_force_met_thresholds_of_every_kind() -> None:
    """Or the test above would compare nothing with nothing."""
    found = []
    for seed in range(60):
        confidence, agrees, own = drawn(seed, lambda c: 0.86 + 0.14 * c, n=60 + seed, everyone=200)
        found.append(choose_threshold(confidence[own], agrees[own], confidence, 0.9, 0.1))
    passed = {one.value for one in found if isinstance(one, Threshold)}
    assert len(passed) > 5
    assert any(isinstance(one, Undefined) for one in found)


# The hard cases: an agreement a little below what is promised, everywhere or from a confidence on, and rising smoothly.
WORLDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "everywhere a little below": lambda c: 0.885 + 0 * c,
    "right above one half alone": lambda c: np.where(c > 0.5, 0.97, 0.8),
    "rising": lambda c: 0.75 + 0.25 * c,
    "falling": lambda c: 1 - 0.2 * c,
}


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("everyone", [300, 4_000])
def test_what_is_trusted_agrees_less_than_promised_in_at_most_the_error_of_runs(world: str, everyone: int) -> None:
    runs, error, promised = 500, 0.1, 0.9
    broken = 0
    for seed in range(runs):
        confidence, agrees, own = drawn(seed, WORLDS[world], everyone=everyone)
        found = choose_threshold(confidence[own], agrees[own], confidence, promised, error)
        if isinstance(found, Threshold):
            broken += bool(agrees[confidence >= found.value].mean() < promised)
    tolerance = 3 * (runs * error * (1 - error)) ** 0.5
    assert broken <= runs * error + tolerance


def test_taking_the_share_at_its_face_value_would_break_the_promise() -> None:
    """What the test above can see: without the binomial limit, every second run or so trusts too much."""
    broken = 0
    for seed in range(200):
        _, agrees, own = drawn(seed, WORLDS["everywhere a little below"], everyone=4_000)
        broken += bool(agrees[own].mean() >= 0.9 and agrees.mean() < 0.9)
    assert broken > 40


def test_a_judge_that_always_agrees_is_trusted_with_everything() -> None:
    population = np.linspace(0, 1, 200)
    found = choose_threshold(population[::2], np.ones(100), population, 0.9, 0.1)
    assert isinstance(found, Threshold)
    assert (found.value, found.n, found.agreed, found.kept) == (0.0, 100, 100, 1.0)
    assert found.low == pytest.approx(0.1 ** (1 / 100), abs=1e-12), "Clopper and Pearson's for all of n, by hand"


def test_twenty_two_agreeing_units_are_the_fewest_that_show_ninety_percent() -> None:
    """0.9^22 = 0.0985 <= 0.1 < 0.9^21 = 0.1094, by hand."""
    assert fewest_units(0.9, 0.1) == 22
    assert isinstance(choose_threshold([1.0] * 22, [True] * 22, [1.0] * 22, 0.9, 0.1), Threshold)
    missed = choose_threshold([1.0] * 21, [True] * 21, [1.0] * 21, 0.9, 0.1)
    assert missed == Undefined(
        "of the 21 calibration prompts with a confidence of 1 or more, 21 agree, which does not show 90 %", 21
    )


def test_no_calibration_is_no_threshold() -> None:
    assert choose_threshold([], [], [0.5], 0.9, 0.1) == Undefined("no calibration prompt was judged by both")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (([1], [True], [1], 1.0, 0.1), "agreement must lie in (0, 1)"),
        (([1], [True], [1], 0.9, 0.5), "error in (0, 1/2)"),
        (([1, 1], [True], [1, 1], 0.9, 0.1), "2 confidences, 1 outcomes and 2 units do not fit"),
        (([1, 1], [True, True], [1], 0.9, 0.1), "do not fit"),
        (([float("nan")], [True], [1], 0.9, 0.1), "confidence must be finite numbers"),
    ],
)
def test_what_is_no_calibration_is_refused(arguments: tuple, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("(", r"\(").replace(")", r"\)")):
        choose_threshold(*arguments)
