"""The alternative annotator test: whether a model may stand in for human annotators (Calderon, Reichart & Dror 2025).

arXiv 2501.10970. Each human h in turn is left out, and the model and h are both scored against the remaining humans,
item by item: W_f = 1 where the model's score is at least h's, W_h = 1 where h's is at least the model's. The model may
be worse than h by a margin epsilon, the price of a human (they suggest .2 for experts, .15 for skilled annotators, .1
for a crowd): the null hypothesis E[W_h - W_f] >= epsilon is tested for each human, with Benjamini and Yekutieli's
correction. omega is the share of humans whose null is rejected; the model passes with omega >= 1/2.

rho, the mean of W_f, gives every tie to the model. Where humans mostly agree, most items are ties, and a model that
guesses reads far above one half. `rho_split` counts a tie as one half.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciexam.stats.clusters import Floats, codes_of
from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.mean import bounded_interval
from sciexam.stats.paired import benjamini_yekutieli

Scoring = Literal["accuracy", "neg_rmse"]


@dataclass(frozen=True, slots=True)
class AgainstHuman:
    """The model beside one human, over the `n` items that both and enough others labelled.

    `human` is the row in `humans`; `advantage` the mean of W_f; `p` as tested, before the correction; `rejected`
    after it. A human that was not tested has the reason in `skipped`, and neither advantage nor p.
    """

    human: int
    n: int
    advantage: float | None
    p: float | None
    rejected: bool
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class AltTest:
    """`omega`: the share of the tested humans that the model may replace; `passed`: whether it is at least one half.

    `rho`: the advantage probability as published, ties to the model, averaged over humans; `rho_split`: the same with a
    tie as one half. Their intervals are over items (or clusters of items), the humans taken as given.
    """

    omega: float
    passed: bool
    rho: Estimate | Undefined
    rho_split: Estimate | Undefined
    epsilon: float
    q: float
    humans: tuple[AgainstHuman, ...]


def alt_test(
    llm: ArrayLike,
    humans: ArrayLike,
    scoring: Scoring = "accuracy",
    epsilon: float = 0.2,
    q: float = 0.05,
    min_humans: int = 2,
    min_items: int = 30,
    clusters: Iterable[Hashable] | None = None,
    level: float = 0.95,
) -> AltTest | Undefined:
    """The alternative annotator test of `llm`, shape (items,), against `humans`, shape (humans, items).

    `scoring`: "accuracy" for labels (numbers or strings), the share of the other humans with the same label;
    "neg_rmse" for numbers, minus the root mean squared difference from the others. Missing labels are NaN or None.
    An item counts with a label of the model and of at least `min_humans` humans, a human with at least `min_items` such
    items. `q`: the false discovery rate. The test is a one-sided t test over items. `clusters`, one label for each
    item: items with one label are one unit of the test and of the intervals (the paper takes items as independent).
    Undefined where no human has enough items. Raises ValueError for shapes that do not fit, numbers that are not finite
    under "neg_rmse", numbers mixed with strings, and settings out of range.
    """
    _check_settings(scoring, epsilon, q, min_humans, min_items, level)
    labels = _stacked(llm, humans, scoring)
    present = ~np.isnan(labels)
    kept = present[0] & (present[1:].sum(0) >= min_humans)
    units = codes_of(clusters, labels.shape[1])
    differences = [_advantage(labels, human, kept & present[human], scoring) for human in range(1, len(labels))]
    tested = [not enough for enough in (_too_few(d, units, min_items) for d in differences)]
    if not any(tested):
        most = max((np.count_nonzero(~np.isnan(d)) for d in differences), default=0)
        why = f"no human has the {min_items} items that the alt-test asks for, which the judge judged, too"
        why += ", in two or more clusters"
        return Undefined(f"{why}; the most is {most}", int(kept.sum()))

    p_values = [_p_value(d, units, epsilon) if t else None for d, t in zip(differences, tested, strict=True)]
    adjusted = benjamini_yekutieli(p_values)
    rows = tuple(
        _row(human, d, p, p_adjusted is not None and p_adjusted <= q, _too_few(d, units, min_items))
        for human, (d, p, p_adjusted) in enumerate(zip(differences, p_values, adjusted, strict=True))
    )
    omega = sum(row.rejected for row in rows) / sum(tested)
    used = [d for d, t in zip(differences, tested, strict=True) if t]
    plain = [np.where(np.isnan(d), np.nan, d >= 0) for d in used]
    split = [(1 + d) / 2 for d in used]
    rho, rho_split = (_averaged(wins, units, level, clusters is not None) for wins in (plain, split))
    return AltTest(omega, omega >= 0.5, rho, rho_split, epsilon, q, rows)


def _advantage(labels: Floats, human: int, counted: NDArray[np.bool_], scoring: Scoring) -> Floats:
    """W_f - W_h for each item: 1 the model is nearer to the other humans, -1 the human is, 0 a tie, NaN not counted."""
    model, own = labels[0], labels[human]
    lead = np.zeros(labels.shape[1])
    for other in range(1, len(labels)):
        if other == human:
            continue
        theirs = labels[other]
        if scoring == "accuracy":
            gain = (model == theirs) * 1.0 - (own == theirs)
        else:
            gain = (own - theirs) ** 2 - (model - theirs) ** 2
        lead += np.where(np.isnan(theirs), 0.0, gain)
    if scoring == "neg_rmse":  # equal distances of fractions differ in the last bits, and are a tie all the same
        lead[np.abs(lead) <= 1e-9 * np.nanmax(np.abs(labels - model), axis=0, initial=0.0) ** 2] = 0.0
    return np.where(counted, np.sign(lead), np.nan)


def _p_value(differences: Floats, units: NDArray[np.intp], epsilon: float) -> float:
    """The one-sided p of E[W_h - W_f] >= epsilon: a t test over the means of clusters weighted by their size."""
    from scipy.special import stdtr

    counted = ~np.isnan(differences)
    sizes = np.bincount(units[counted])
    totals = np.bincount(units[counted], -differences[counted])[sizes > 0]
    sizes = sizes[sizes > 0]
    value, n = totals.sum() / sizes.sum(), len(sizes)
    variance = ((totals - value * sizes) ** 2).sum() / sizes.sum() ** 2 * n / (n - 1)
    if variance <= 1e-24:
        # All differences are alike and give no t. If E >= epsilon, one difference is `value` with a probability of
        # (1 - epsilon) / (1 - value) at most, as none exceeds 1; all are with that to the power of their number.
        return float(min(1.0, (1 - epsilon) / (1 - value)) ** n) if value < 1 else 1.0
    return float(stdtr(n - 1, (value - epsilon) / np.sqrt(variance)))


def _averaged(wins: list[Floats], units: NDArray[np.intp], level: float, grouped: bool) -> Estimate | Undefined:
    """The mean over humans of the mean of `wins` over their items, with the interval over clusters of items."""
    totals, sizes = np.zeros(units.max() + 1), np.zeros(units.max() + 1)
    for won in wins:
        counted = ~np.isnan(won)
        weight = 1 / np.count_nonzero(counted)  # every human has the same say
        totals += weight * np.bincount(units[counted], won[counted], len(totals))
        sizes += weight * np.bincount(units[counted], minlength=len(totals))
    totals, sizes = totals[sizes > 0], sizes[sizes > 0]
    value, low, high = (float(limit) for limit in bounded_interval(totals, sizes, level))
    method = f"beta interval at the effective number of {'clusters of items' if grouped else 'items'}"
    return Estimate(value, low, high, level, len(totals), method)


def _row(human: int, differences: Floats, p: float | None, rejected: bool, skipped: str) -> AgainstHuman:
    counted = differences[~np.isnan(differences)]
    advantage = None if skipped else float(np.mean(counted >= 0))
    return AgainstHuman(human, len(counted), advantage, p, rejected, skipped)


def _too_few(differences: Floats, units: NDArray[np.intp], min_items: int) -> str:
    counted = ~np.isnan(differences)
    if (items := np.count_nonzero(counted)) < min_items:
        return f"{items} items, and the test asks for {min_items}"
    return "all items are in one cluster" if len(np.unique(units[counted])) < 2 else ""


def _stacked(llm: ArrayLike, humans: ArrayLike, scoring: Scoring) -> Floats:
    """Row 0 the model, the others the humans, as numbers with NaN for missing; labels become codes."""
    model, people = np.asarray(llm, dtype=object), np.asarray(humans, dtype=object)
    if model.ndim != 1 or people.ndim != 2 or people.shape[1] != len(model):
        raise ValueError(
            f"llm must have shape (items,) and humans (humans, items), not {model.shape} and {people.shape}"
        )
    everyone = np.vstack([model[None, :], people])
    missing = np.array([x is None or x != x for x in everyone.ravel()], dtype=bool).reshape(everyone.shape)
    known = everyone[~missing]
    numbers = np.full(everyone.shape, np.nan)
    if scoring == "accuracy":
        numbers[~missing] = _codes(known)
        return numbers
    try:
        numbers[~missing] = known.astype(np.float64)
    except (TypeError, ValueError):
        raise ValueError('llm and humans must be numbers under scoring "neg_rmse"') from None
    if not np.isfinite(numbers[~missing]).all():
        raise ValueError('llm and humans must be finite numbers under scoring "neg_rmse"; a missing one is NaN or None')
    return numbers


def _codes(labels: NDArray[Any]) -> Floats:
    if len({isinstance(label, str) for label in labels}) > 1:
        raise ValueError("some labels are strings and some are not: they would never be equal")
    codes: dict[Hashable, int] = {}
    return np.array([codes.setdefault(label, len(codes)) for label in labels], dtype=np.float64)


def _check_settings(scoring: str, epsilon: float, q: float, min_humans: int, min_items: int, level: float) -> None:
    if scoring not in ("accuracy", "neg_rmse"):
        raise ValueError(f"scoring must be 'accuracy' or 'neg_rmse', not {scoring!r}")
    if not 0 <= epsilon < 1:
        raise ValueError(f"epsilon must lie in [0, 1), not {epsilon!r}")
    for name, share in (("q", q), ("level", level)):
        if not 0 < share < 1:
            raise ValueError(f"{name} must lie between 0 and 1, not {share!r}")
    if min_humans < 2 or min_items < 2:
        raise ValueError(f"min_humans and min_items must be at least 2, not {min_humans!r} and {min_items!r}")
