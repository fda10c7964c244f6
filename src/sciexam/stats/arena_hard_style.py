"""Arena-Hard v2.0's style control: what its score would be were the style of all answers that of an average pair."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciexam.stats.arena_hard import LEVEL_V2, ROUNDS, STRONG_WEIGHT
from sciexam.stats.clusters import Floats
from sciexam.stats.estimate import Undefined
from sciexam.stats.logistic import LogisticFit, logistic_fit
from sciexam.stats.win_rate import unit_scores

STYLES = ("tokens", "headers", "lists", "bold")  # the columns of a style
NO_FIT = Undefined("the fit has no maximum: a feature of style follows from the others, or tells wins from losses")
ONE_SIDED = Undefined("it won every game, or lost every game: no fit has finite odds")
ALIKE = Undefined("the styles of all answers differ from the baseline's alike, so there is nothing to control")


@dataclass(frozen=True, slots=True)
class ArenaHardStyle:
    """A row of the style-controlled table; the figures are of 100."""

    score: float
    low: float
    high: float


def style_differences(own: ArrayLike, baseline: ArrayLike) -> Floats:
    """How the style of answers differs from that of the baseline's, shape (n, 4), before it is normalised.

    `own` and `baseline`, shape (n, 4): tokens, headers, list items and bold passages of each answer, 0 or more. Tokens
    differ by (a - b) / (a + b); of the others, d per token, the difference is (d_a - d_b) / (d_a + d_b + 1).
    Raises ValueError for another shape, and for counts that are negative or not finite.
    """
    a, b = _counts(own, "own"), _counts(baseline, "baseline")
    if a.shape != b.shape:
        raise ValueError(f"own has {len(a)} rows, baseline has {len(b)}")
    tokens = a[:, :1] + b[:, :1]
    length = np.divide(a[:, :1] - b[:, :1], tokens, out=np.zeros_like(tokens), where=tokens > 0)
    dense_a, dense_b = (np.divide(x[:, 1:], x[:, :1], out=np.zeros_like(x[:, 1:]), where=x[:, :1] > 0) for x in (a, b))
    return np.hstack([length, (dense_a - dense_b) / (dense_a + dense_b + 1)])


def arena_hard_style_control(
    models: Sequence[Hashable], scores: ArrayLike, strong: ArrayLike, differences: ArrayLike, seed: int = 0
) -> dict[Hashable, ArenaHardStyle | Undefined]:
    """The style-controlled score of each model of one category (Arena-Hard v2.0; Li et al. 2024, the method of
    lmsys.org/blog/2024-08-28-style-control).

    One entry for each game, shape (n,), as in `arena_hard_score`: whose it is, its score and whether it counts three
    times; `differences` (n, 4) as `style_differences` gives them. A logistic regression of the rows of all models at
    once, with a constant for each model (its Bradley-Terry strength over the baseline) and a slope for each feature:

        log p / (1 - p) = strength[model] + normalised differences @ slopes,    score = 100 / (1 + exp(-strength))

    The features are normalised over all rows of the category, so a score is that of an average difference from the
    baseline, and not of none: it moves with the field, and a model that is the baseline's equal need not have 50. A
    feature that is the same in every row is left out. `low` and `high` are quantiles .05 and .95 of the scores in 100
    resamples of the rows of all models; the origin prints their median, here the score is the fit to all rows.

    Undefined for a model that won or lost every game, of which the other models' fit is independent; and for all where
    the fit has no maximum. Raises ValueError for arrays of different lengths.
    """
    played, strong = unit_scores(scores), np.asarray(strong, dtype=np.bool_)
    differences = np.asarray(differences, dtype=np.float64)
    if not len(models) == len(played) == len(strong) == len(differences):
        raise ValueError(
            f"{len(models)} models, {len(played)} scores, {len(strong)} values in strong and {len(differences)} "
            "differences; there is one of each for every game"
        )
    weight = np.where(strong, STRONG_WEIGHT, 1)
    x = _normalised(differences, np.repeat(np.arange(len(played)), weight))
    results: dict[Hashable, set[float]] = {}
    for name, score in zip(models, played.tolist(), strict=True):
        results.setdefault(name, set()).add(score)
    names = [name for name, found in results.items() if found not in ({0.0}, {1.0})]
    figures: dict[Hashable, ArenaHardStyle | Undefined] = dict.fromkeys(results, ONE_SIDED)
    if not names or not x.shape[1]:
        return figures | dict.fromkeys(names, ALIKE)
    place = {name: i for i, name in enumerate(names)}
    kept = np.array([name in place for name in models])
    group = np.array([place[name] for name in models if name in place], dtype=np.intp)
    played, x, weight = played[kept], x[kept], weight[kept]
    game = np.repeat(np.arange(len(played)), weight)
    whole = logistic_fit(played, x, group, weight.astype(np.float64))
    if whole is None:
        return figures | dict.fromkeys(names, NO_FIT)
    drawn = [*filter(None, (_again(played, x, group, game, whole, rng) for rng in _generators(seed)))]
    strengths = np.array([one.intercepts for one in drawn or [whole]])
    tail = (1 - LEVEL_V2) / 2
    low, high = np.quantile(_of_100(strengths), [tail, 1 - tail], axis=0)
    rows = zip(_of_100(whole.intercepts).tolist(), low.tolist(), high.tolist(), strict=True)
    return figures | {name: ArenaHardStyle(*row) for name, row in zip(names, rows, strict=True)}


def _generators(seed: int) -> list[np.random.Generator]:
    return np.random.default_rng(seed).spawn(ROUNDS)


def _again(
    scores: Floats,
    x: Floats,
    group: NDArray[np.intp],
    game: NDArray[np.intp],
    whole: LogisticFit,
    rng: np.random.Generator,
) -> LogisticFit | None:
    """The fit to a resample of the rows; None where it has no maximum, or a model is not drawn."""
    times = np.bincount(rng.choice(game, len(game)), minlength=len(scores)).astype(np.float64)
    there = times > 0
    if len(np.unique(group[there])) < len(whole.intercepts):
        return None
    return logistic_fit(scores[there], x[there], group[there], times[there], start=whole)


def _normalised(differences: Floats, game: NDArray[np.intp]) -> Floats:
    """The differences with mean 0 and standard deviation 1 over the rows, those that vary at all."""
    rows = differences[game]
    sd = rows.std(0, ddof=1) if len(rows) > 1 else np.zeros(differences.shape[1])
    varies = sd > 1e-12
    normalised: Floats = (differences[:, varies] - rows.mean(0)[varies]) / sd[varies]
    return normalised


def _of_100(strengths: Floats) -> Floats:
    found: Floats = 100 / (1 + np.exp(-strengths))
    return found


def _counts(values: ArrayLike, name: str) -> Floats:
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 2 or found.shape[1] != len(STYLES):
        raise ValueError(f"{name} must have a row for each answer and the columns {', '.join(STYLES)}")
    if not np.isfinite(found).all() or found.min(initial=0) < 0:
        raise ValueError(f"{name} holds counts that are negative or not finite")
    return found
