"""The win rate between two contestants had their answers been equally long, by a logistic regression on length."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciexam.stats.clusters import Floats, codes_of, finite_vector, integer_codes
from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.logistic import Jackknife, LogisticFit, jackknife, logistic_fit
from sciexam.stats.mean import beta_limits
from sciexam.stats.win_rate import unit_scores

CONFOUNDED = "so length and model cannot be told apart"
SIDE = 0.1  # the share of a pair's rows that must lie on either side of equal length
PSEUDO = 4  # clusters that join each pair for the variance: half of them wins, half losses
SEPARATED = "the length and the style separate the wins from the losses perfectly, so that the fit has no end"
DEPENDENT = "a style feature follows from the length, the pair and the other features, so that the fit is not unique"


@dataclass(frozen=True, slots=True)
class LengthControl:
    """What `length_controlled` found.

    `win_rates`: for each pair a's win rate against b at equal length (and equal style), in (0, 1). `slope`: what a
    length difference d = 1 adds to a's log-odds. `features`: what one unit of each style feature adds to them.
    """

    win_rates: Mapping[Hashable, Estimate | Undefined]
    slope: Estimate | Undefined
    features: Mapping[str, Estimate | Undefined]


def length_controlled(
    scores: ArrayLike,
    length_a: ArrayLike,
    length_b: ArrayLike,
    pairs: Iterable[Hashable] | None = None,
    clusters: Iterable[Hashable] | None = None,
    features: Mapping[str, ArrayLike] | None = None,
    level: float = 0.95,
) -> LengthControl:
    """The length-controlled win rate of every pair, from one fit in which all pairs share the effect of length.

    `scores`, shape (n,): a's score in [0, 1] on a prompt, averaged over orders, samples and judges. `length_a` and
    `length_b`, shape (n,): the lengths of the two answers in one unit, such as characters. `pairs`: one label for each
    row, the two contestants in the order (a, b); default: all rows are one pair, labelled "all". `clusters`: one label
    for each row; rows with one label are one unit, also across pairs. Give the prompt's where there are several pairs.
    `features`: further differences of style, a's minus b's, each of shape (n,), such as the share of bold text.

    The model, for row r of pair q, fitted by maximum quasi-likelihood (Papke and Wooldridge 1996):

        log-odds of a's score = theta_q + slope * d_r + features,    d = (length_a - length_b) / (length_a + length_b)

    with d = 0 where both lengths are 0. The win rate of pair q is 1 / (1 + exp(-theta_q)): the expected score at d = 0.
    No average over the prompts is needed, for at d = 0 all rows of a pair have the same odds. d is neither centred nor
    scaled by its spread in a pair, which would move "equally long" for a contestant that always writes less. So if a
    and b change places in a pair, its win rate becomes 1 minus what it was, and nothing else changes.

    It is an adjustment, not a causal effect: a longer answer can be better for what it says, and then this takes some
    of the quality away. It answers: what do the verdicts say where the answers were about equally long? Where the odds
    do not follow a straight line in d, the win rate at d = 0 is off by what the line misses there.

    Intervals: the estimates move as each cluster is left out of the whole fit (a jackknife, CR3). For this variance
    only, two clusters of wins and two of losses join each pair, at d (and each feature in turn) one root mean square
    either side of 0, for a fit close to separation does not know how uncertain it is. A win rate's variance gives its
    effective n (Korn and Graubard 1998), and that the limits of Clopper and Pearson. A slope has a t interval, with few
    degrees of freedom where few clusters hold its variance (Satterthwaite 1946). benchmarks/coverage_length.py measures
    both: where the model holds, at least .94 in each scenario, with up to .99 close to separation.

    A pair's win rate is Undefined, and the pair takes no part in the fit, if under 10 % of its rows have a longer
    answer by a, or by b; if all its rows are one cluster; and if it won or lost every row. All are Undefined where
    length and style separate wins from losses perfectly.
    Raises ValueError for scores outside [0, 1], negative lengths, NaN, arrays of different lengths, a missing label.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level!r}")
    scores = unit_scores(scores)
    x = _covariates(len(scores), length_a, length_b, features or {})
    labels, pair = _labels(pairs, len(scores))
    cluster = codes_of(clusters, len(scores))
    units = "prompts" if clusters is None else "groups"
    refused = _refusals(scores, x[:, 0], pair, cluster, len(labels))
    fitted = [q for q, why in enumerate(refused) if why is None]
    if fitted:
        rows = np.flatnonzero(np.isin(pair, fitted))
        rows = rows[np.argsort(pair[rows], kind="stable")]
        found, slopes = _estimates(
            scores[rows], x[rows], integer_codes(pair[rows])[1], integer_codes(cluster[rows])[1], level, units
        )
    else:
        found, slopes = [], [_no_slope(refused)] * x.shape[1]
    estimates = dict(zip(fitted, found, strict=True))
    win_rates = {label: refused[q] or estimates[q] for q, label in enumerate(labels)}
    return LengthControl(win_rates, slopes[0], dict(zip(features or {}, slopes[1:], strict=True)))


def _covariates(n: int, length_a: ArrayLike, length_b: ArrayLike, features: Mapping[str, ArrayLike]) -> Floats:
    """d and the features as columns, shape (n, 1 + features)."""
    a, b = finite_vector(length_a, "length_a"), finite_vector(length_b, "length_b")
    columns = [finite_vector(values, f"features[{name!r}]") for name, values in features.items()]
    for name, column in zip(["length_a", "length_b", *features], [a, b, *columns], strict=True):
        if len(column) != n:
            raise ValueError(f"{n} scores but {len(column)} values in {name}")
    if n and min(a.min(), b.min()) < 0:
        raise ValueError("length_a and length_b must not be negative")
    total = a + b
    return np.stack([(a - b) / np.where(total > 0, total, 1.0), *columns], axis=1)


def _labels(pairs: Iterable[Hashable] | None, n: int) -> tuple[list[Hashable], NDArray[np.intp]]:
    """The pairs in order of first appearance, and the place of each row's pair among them.

    Arrays of integers take a quick way, where the pairs follow the labels' order.
    """
    if pairs is None:
        return ["all"], np.zeros(n, dtype=np.intp)
    if isinstance(pairs, np.ndarray) and pairs.shape == (n,) and np.issubdtype(pairs.dtype, np.integer):
        found, codes = integer_codes(pairs)
        return found.tolist(), codes
    listed = list(pairs)
    if len(listed) != n:
        raise ValueError(f"{n} scores but {len(listed)} labels in pairs")
    if any(label is None or label != label for label in listed):
        raise ValueError("a label in pairs is missing (None or NaN); name every row's two contestants")
    places: dict[Hashable, int] = {}
    codes = np.array([places.setdefault(label, len(places)) for label in listed], dtype=np.intp)
    return list(places), codes


def _refusals(
    scores: Floats, d: Floats, pair: NDArray[np.intp], cluster: NDArray[np.intp], pairs: int
) -> list[Undefined | None]:
    """For each pair, why its rows cannot be fitted, if so."""
    if len(scores) == 0:
        return [Undefined("no prompt has a score")] * max(pairs, 1)
    which = (scores >= 0, d > 0, d < 0, scores == 1, scores == 0)
    rows, longer, shorter, won, lost = (np.bincount(pair[one], minlength=pairs) for one in which)
    counts = (rows, _units(pair, cluster), longer, shorter, won, lost)
    return [_refusal(*of_pair) for of_pair in zip(*(count.tolist() for count in counts), strict=True)]


def _refusal(rows: int, units: int, longer: int, shorter: int, won: int, lost: int) -> Undefined | None:
    """`longer`, `shorter`: on how many rows a's answer is so."""
    if units == 1:
        return Undefined("all prompts are in one group" if rows > 1 else "only one prompt has a score", 1)
    if max(longer, shorter) < (1 - SIDE) * rows and min(longer, shorter) < SIDE * rows:
        equal = f"the answers are equally long on {rows - longer - shorter} of {rows} prompts"
        return Undefined(f"{equal}, so what length does cannot be told", units)
    if min(longer, shorter) < SIDE * rows:
        lengths = f"its answer is the longer one on {longer} of {rows} prompts and the shorter one on {shorter}"
        return Undefined(f"{lengths}, {CONFOUNDED}", units)
    if rows in (won, lost):
        return Undefined(f"all {rows} prompts were {'won' if won else 'lost'}: no fit has finite odds", units)
    return None


def _no_slope(refused: list[Undefined | None]) -> Undefined:
    reasons = [why for why in refused if why is not None]
    if len(reasons) == 1:
        return reasons[0]
    return Undefined("no pair of contestants can be length-controlled; see each pair's own reason")


def _units(pair: NDArray[np.intp], cluster: NDArray[np.intp]) -> NDArray[np.intp]:
    """In how many clusters each pair has a row; every pair has one."""
    clusters = int(cluster.max()) + 1
    cells = np.sort(pair * clusters + cluster)
    return np.bincount(cells[np.diff(cells, prepend=-1) > 0] // clusters)


def _estimates(
    scores: Floats, x: Floats, pair: NDArray[np.intp], cluster: NDArray[np.intp], level: float, units: str
) -> tuple[list[Estimate | Undefined], list[Estimate | Undefined]]:
    """The win rate of each pair 0..k-1, and the slopes of the columns of x."""
    from scipy.special import expit, stdtrit

    clusters = int(cluster.max()) + 1
    dependent = _dependent(x, pair)
    fit = None if dependent else logistic_fit(scores, x, pair, np.ones(len(scores)))
    padded = None if fit is None else _padded(scores, x, pair, cluster, fit)
    if fit is None or padded is None:
        none = Undefined(DEPENDENT if dependent else SEPARATED, clusters)
        return [none] * (int(pair.max()) + 1), [none] * x.shape[1]
    regular, moves = padded

    method = f"Clopper-Pearson interval at the effective number of {units}, from a jackknife of the whole fit"
    values, near = expit(fit.intercepts), expit(regular.intercepts)
    effective = 1 / (near * (1 - near) * moves.squares()[: len(values)])
    low, high = beta_limits(values, effective, level, cautious=True)
    found = (values.tolist(), low.tolist(), high.tolist(), _units(pair, cluster).tolist())
    rates: list[Estimate | Undefined] = [
        Estimate(value, low, high, level, n, method) for value, low, high, n in zip(*found, strict=True)
    ]

    slopes: list[Estimate | Undefined] = []
    method = f"t interval from a jackknife of the whole fit over {units}"
    for value, centre, squares in zip(fit.slopes.tolist(), regular.slopes.tolist(), moves.slopes.T**2, strict=True):
        variance, spread = squares.sum(), (squares**2).sum() - squares.sum() ** 2 / len(squares)
        freedom = clusters - 1 if spread <= 0 else min(clusters - 1, 2 * variance**2 / spread)
        half = float(-stdtrit(freedom, (1 - level) / 2) * np.sqrt(variance))
        slopes.append(Estimate(value, min(value, centre - half), max(value, centre + half), level, clusters, method))
    return rates, slopes


def _dependent(x: Floats, pair: NDArray[np.intp]) -> bool:
    """Whether a column of x follows from the others and the pairs."""
    means = np.stack([np.bincount(pair, column) for column in x.T], axis=1) / np.bincount(pair)[:, None]
    within = (x - means[pair]) / np.maximum(np.abs(x).max(0), np.finfo(float).tiny)
    return bool(np.linalg.matrix_rank(within, tol=1e-9 * np.sqrt(len(x))) < x.shape[1])


def _padded(
    scores: Floats, x: Floats, pair: NDArray[np.intp], cluster: NDArray[np.intp], start: LogisticFit
) -> tuple[LogisticFit, Jackknife] | None:
    """The fit and its jackknife with the pseudo-clusters, each as large as an average row's cluster in the pair."""
    pairs, clusters = int(pair.max()) + 1, int(cluster.max()) + 1
    blocks, sizes = np.unique(pair * clusters + cluster, return_counts=True)
    size = np.bincount(blocks // clusters, sizes**2) / np.bincount(pair)
    corners = np.kron(np.diag(np.sqrt((x**2).mean(0))), np.array([[1.0], [1.0], [-1.0], [-1.0]]))
    extra = len(corners)
    fit = logistic_fit(
        np.concatenate([scores, np.tile([1.0, 0.0], pairs * extra // 2)]),
        np.concatenate([x, np.tile(corners, (pairs, 1))]),
        np.concatenate([pair, np.repeat(np.arange(pairs), extra)]),
        np.concatenate([np.ones(len(scores)), np.repeat(size * PSEUDO / extra, extra)]),
        start=start,
    )
    if fit is None:
        return None
    return fit, jackknife(fit, np.concatenate([cluster, clusters + np.arange(pairs * extra)]))
