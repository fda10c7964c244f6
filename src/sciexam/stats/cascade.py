"""From which confidence on a cheap judge is taken at its word, so that it agrees with a dear one often enough."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sciexam.stats.clusters import Floats, finite_vector
from sciexam.stats.estimate import Undefined
from sciexam.stats.mean import beta_limits

SHARES = np.arange(1, 11) / 10  # of the units, by falling confidence: where the thresholds lie
ROOM = 2  # times the fewest units that can pass: what the first threshold must expect, or a single miss would end it
DIGITS = 9  # confidences that differ by rounding are one


@dataclass(frozen=True, slots=True)
class Threshold:
    """`value`: the lowest confidence that is trusted. Of the `n` calibration units with it or more, `agreed` agree.

    `low` is the Clopper-Pearson lower limit of their agreement at the level 1 - error; `kept` the share of all units
    that have the confidence.
    """

    value: float
    n: int
    agreed: int
    low: float
    kept: float


def choose_threshold(
    confidence: ArrayLike, agrees: ArrayLike, population: ArrayLike, agreement: float, error: float
) -> Threshold | Undefined:
    """The most lenient threshold down to which the agreement is shown, by fixed-sequence testing.

    After Jung, Brahman and Choi (2024, Trust or Escalate, arXiv 2407.18370, section 2) with the sequence of Bauer
    (1991, Statistics in Medicine 10:871). `confidence` and `agrees`, shape (n,): of the calibration units, which were
    drawn from all units without looking at anything that was said. `population`, shape (N,): the confidences of all
    units, calibration or not. From the strictest threshold to the most lenient, the hypothesis "of all units with this
    confidence or more, fewer than `agreement` agree" is tested at the level `error`, and the first one that stands ends
    it. All hypotheses are about this finite set of units, so the thresholds may depend on all its confidences: they lie
    at its tenths. The units drawn are a sample without replacement, for which the limit of Clopper and Pearson (1934)
    is cautious. With probability 1 - `error` or more over the draw, the threshold that is returned has the agreement.

    The first threshold is one above which the draw may be expected to hold twice as many units as could pass at all
    (`fewest_units`), or else the last: so strict a one that nothing could pass would end the sequence at once.
    Undefined where none passes. Raises ValueError for shares outside (0, 1), an error of one half or more, arrays that
    do not fit and confidences that are no numbers.
    """
    if not 0 < agreement < 1 or not 0 < error < 0.5:
        raise ValueError(f"agreement must lie in (0, 1) and error in (0, 1/2), not {agreement!r} and {error!r}")
    own, everyone = (
        np.round(finite_vector(one, name), DIGITS)
        for one, name in ((confidence, "confidence"), (population, "population"))
    )
    same = np.asarray(agrees, np.bool_)
    if same.shape != own.shape or len(everyone) < len(own):
        raise ValueError(f"{len(own)} confidences, {same.size} outcomes and {len(everyone)} units do not fit")
    if len(own) == 0:
        return Undefined("no calibration prompt was judged by both")
    passed: Threshold | None = None
    refused = ""
    for value in _sequence(everyone, len(own), fewest_units(agreement, error)):
        trusted = own >= value
        n, agreed = int(trusted.sum()), int(same[trusted].sum())
        low = float(beta_limits(agreed / n, n, 1 - 2 * error, cautious=True)[0]) if n else 0.0
        if low < agreement:
            refused = f"of the {n} calibration prompts with a confidence of {value:.2g} or more, {agreed} agree"
            break
        passed = Threshold(float(value), n, agreed, low, float((everyone >= value).mean()))
    return passed or Undefined(f"{refused}, which does not show {100 * agreement:g} %", len(own))


def fewest_units(agreement: float, error: float) -> int:
    """The fewest calibration units that can show `agreement` at the level `error`: all of them agreeing."""
    return math.ceil(math.log(error) / math.log(agreement) - 1e-9)


def _sequence(population: Floats, drawn: int, fewest: int) -> Floats:
    """The thresholds, the strictest first."""
    falling = np.sort(population)[::-1]
    at = np.unique(falling[np.ceil(SHARES * len(falling) - 1e-9).astype(int) - 1])[::-1]
    expected = drawn * np.array([(population >= value).mean() for value in at])
    start = int(np.argmax(expected >= ROOM * fewest)) if (expected >= ROOM * fewest).any() else len(at) - 1
    return at[start:]
