"""The share of wins behind a judge's error-prone forced choices, from its confusion with humans (Rogan & Gladen 1978).

American Journal of Epidemiology 107:71. With p the share of wins that the judge gives, its sensitivity q1 (it says win
where the human does) and its specificity q0 (it says loss where the human does), the human share of wins is

    theta = (p + q0 - 1) / (q0 + q1 - 1)

The interval is that of Lang & Reiczigel (2014, Preventive Veterinary Medicine 113:13).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciexam.stats.clusters import Floats
from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.prediction_powered import joined_codes
from sciexam.stats.win_rate import unit_scores, win_rate

FEW = 10  # labelled wins, or losses: with fewer the coverage can be below 94 % (benchmarks/coverage_predicted.py)


@dataclass(frozen=True, slots=True)
class RoganGladen:
    """`estimate`: the corrected share of wins; `judged`: the judge's own, on the items without a label.

    `sensitivity`, `specificity`: the judge's, on the labelled items that the human called a win, and a loss.
    """

    estimate: Estimate | Undefined
    judged: Estimate | Undefined
    sensitivity: Estimate | Undefined
    specificity: Estimate | Undefined


@dataclass(frozen=True, slots=True)
class _Share:
    """A share of ones: `value` among `n` items, `which` of all items (labelled first) they are."""

    value: float
    n: int
    which: NDArray[np.bool_]


def rogan_gladen(
    labels: ArrayLike,
    predictions_labelled: ArrayLike,
    predictions_unlabelled: ArrayLike,
    clusters_labelled: Iterable[Hashable] | None = None,
    clusters_unlabelled: Iterable[Hashable] | None = None,
    level: float = 0.95,
) -> RoganGladen:
    """The share of wins that humans would give the unlabelled items, from the judge's choices and its known errors.

    `labels`, `predictions_labelled`, shape (n,): the human's and the judge's choice on the labelled items, 1 a win and
    0 a loss; `predictions_unlabelled`, shape (N,): the judge's choice on the others. Forced choices only.
    It assumes that the judge errs on the unlabelled items as on the labelled ones, the same for all wins and the same
    for all losses of the contestant. Where it errs more often in favour of one contestant than it did in the sample,
    because the answers are longer, say, the correction is wrong; `prediction_powered_mean` needs no such assumption.
    `clusters_*`: as in `prediction_powered_mean`; the three sample sizes are then divided by the design effect.
    The estimate is Undefined without a win or a loss among the labels, without an unlabelled item, where sensitivity
    and specificity add up to 1 or less, and where their sum less 1 is not shown to be above 0 at `level`: nothing can
    be divided by it. Values outside [0, 1] are clipped, and `method` says so.
    Raises ValueError for a tie or anything else that is not 0 or 1, and for lengths that differ.
    """
    human, judge = _choices(labels, "labels"), _choices(predictions_labelled, "predictions_labelled")
    others = _choices(predictions_unlabelled, "predictions_unlabelled")
    if len(human) != len(judge):
        raise ValueError(f"{len(human)} labels but {len(judge)} predictions for them")
    codes = joined_codes(clusters_labelled, clusters_unlabelled, len(human), len(others))
    # 1 where the judge agrees with the human, and where it gives a win to an unlabelled item.
    ones = np.concatenate([judge == human, others]).astype(np.float64)
    classes = np.concatenate([human, np.full(len(others), 2.0)])

    grouped = clusters_labelled is not None
    loss, win, unlabelled = (classes == c for c in (0, 1, 2))
    judged, sensitivity, specificity = (
        win_rate(ones[which], codes[which] if grouped else None, level) for which in (unlabelled, win, loss)
    )
    estimate = _corrected(ones, unlabelled, win, loss, codes, grouped, level)
    return RoganGladen(estimate, judged, sensitivity, specificity)


def _corrected(
    ones: Floats,
    unlabelled: NDArray[np.bool_],
    win: NDArray[np.bool_],
    loss: NDArray[np.bool_],
    codes: NDArray[np.intp],
    grouped: bool,
    level: float,
) -> Estimate | Undefined:
    units = len(np.unique(codes[win | loss]))
    for which, what in (
        (win, "win among the labels"),
        (loss, "loss among the labels"),
        (unlabelled, "unlabelled item"),
    ):
        if not which.any():
            return Undefined(f"there is no {what}", units)
    parts = tuple(_Share(float(ones[which].mean()), int(which.sum()), which) for which in (unlabelled, win, loss))
    p, q1, q0 = parts
    youden = q1.value + q0.value - 1
    if youden <= 0:
        return Undefined(
            f"the judge is no better than chance on the labelled items: its sensitivity ({q1.value:.2f}) and "
            f"specificity ({q0.value:.2f}) add up to no more than 1",
            units,
        )
    theta = (p.value + q0.value - 1) / youden
    effect = _design_effect(ones, parts, theta, codes) if grouped else 1.0
    limits = lang_reiczigel(p.value, p.n / effect, q1.value, q1.n / effect, q0.value, q0.n / effect, level)
    if limits is None:
        return Undefined(
            f"the judge is not shown to be better than chance by {units} labelled items: its sensitivity "
            f"({q1.value:.2f}) and specificity ({q0.value:.2f}) may well add up to no more than 1",
            units,
        )
    low, high = limits
    method = f"Rogan-Gladen correction, Lang-Reiczigel interval over {'groups of items' if grouped else 'items'}"
    if min(q1.n, q0.n) / effect < FEW:
        method = f"approximate: {method}"
    value = min(1.0, max(0.0, theta))
    if value != theta:
        method += f"; the value {theta:.2f} is clipped to [0, 1]"
    return Estimate(value, min(low, value), max(high, value), level, units, method)


def lang_reiczigel(
    p: float, n: float, q1: float, n1: float, q0: float, n0: float, level: float
) -> tuple[float, float] | None:
    """The interval of theta, clipped to [0, 1]; None where q1 + q0 - 1 is not above 0 at `level`.

    `p`, `q1`, `q0`: the share of wins, the sensitivity, the specificity; `n`, `n1`, `n0`: the items each is a share of.
    z^2 / 2 wins and as many losses are added to the judged items, one success and one failure to each of the others.
    """
    from scipy.special import ndtri

    z = float(ndtri((1 + level) / 2))
    p, n = (n * p + z * z / 2) / (n + z * z), n + z * z
    q1, n1 = (n1 * q1 + 1) / (n1 + 2), n1 + 2
    q0, n0 = (n0 * q0 + 1) / (n0 + 2), n0 + 2
    youden = q1 + q0 - 1
    spread1, spread0 = q1 * (1 - q1) / n1, q0 * (1 - q0) / n0
    if youden <= z * np.sqrt(spread1 + spread0):
        return None
    theta = (p + q0 - 1) / youden
    shift = 2 * z * z * (theta * spread1 - (1 - theta) * spread0)
    error = np.sqrt(p * (1 - p) / n + theta**2 * spread1 + (1 - theta) ** 2 * spread0) / youden
    low, high = theta + shift - z * error, theta + shift + z * error
    return float(np.clip(low, 0.0, 1.0)), float(np.clip(high, 0.0, 1.0))


def _design_effect(ones: Floats, parts: tuple[_Share, ...], theta: float, codes: NDArray[np.intp]) -> float:
    """How much larger the variance of theta is between clusters than between items (delta method), at least 1."""
    influence = np.zeros(len(ones))
    for part, slope in zip(parts, (1.0, -theta, 1 - theta), strict=True):
        influence += np.where(part.which, slope * (ones - part.value) / part.n, 0.0)
    alone = float(influence @ influence)
    between = np.bincount(codes, influence)
    return max(1.0, float(between @ between) / alone) if alone > 0 else 1.0


def _choices(values: ArrayLike, name: str) -> Floats:
    choices = unit_scores(values, name)
    if not np.isin(choices, (0.0, 1.0)).all():
        raise ValueError(f"{name} must be forced choices, 1 or 0: the correction knows no ties and no probabilities")
    return choices
