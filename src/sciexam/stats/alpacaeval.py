"""AlpacaEval's own win rates: the plain one, and the length-controlled one, which needs its calibration data."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciexam.stats.clusters import Floats, codes_of, finite_vector
from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.logistic import LogisticFit, jackknife, logistic_fit
from sciexam.stats.mean import beta_limits
from sciexam.stats.sides import sides_of
from sciexam.stats.win_rate import unit_scores

CALIBRATION_WEIGHT = 0.1  # of each calibration row: AlpacaEval's lambda = 0.2, shared by its two gamed baselines
MODEL, GAMED = 0, 1
NO_CALIBRATION = (
    "AlpacaEval's length control needs its calibration: the scores of the baseline told to be verbose, and concise, "
    "against the baseline itself, with each prompt's difficulty. length_controlled needs none, on any set of prompts"
)


@dataclass(frozen=True, slots=True)
class AlpacaEvalRow:
    """A row of AlpacaEval's leaderboard under its own names: the rates and the standard error are of 100."""

    win_rate: float
    standard_error: float | None  # None with one score
    discrete_win_rate: float
    n_wins: int
    n_wins_base: int
    n_draws: int
    n_total: int


def alpacaeval_row(scores: ArrayLike) -> AlpacaEvalRow | Undefined:
    """AlpacaEval's own figures for one model against the baseline (Li et al. 2023, alpaca_eval 0.6.6).

    `scores`, shape (n,): the model's score in [0, 1] on each prompt that the judge gave a verdict on, which is
    AlpacaEval's preference minus 1 (and 1/2 for its 0). Prompts without a verdict are not part of n.

        win_rate = 100 mean(scores), standard_error = 100 sd(scores; n - 1) / sqrt(n),
        discrete_win_rate = 100 (wins + draws / 2) / n

    Undefined for no score. Raises ValueError for scores outside [0, 1] and NaN.
    """
    scores = unit_scores(scores)
    if (n := len(scores)) == 0:
        return Undefined("no prompt has a score")
    sides = sides_of(scores)
    wins, losses = int((sides > 0).sum()), int((sides < 0).sum())
    return AlpacaEvalRow(
        win_rate=100 * float(scores.mean()),
        standard_error=100 * float(scores.std(ddof=1) / np.sqrt(n)) if n > 1 else None,
        discrete_win_rate=100 * (wins + (n - wins - losses) / 2) / n,
        n_wins=wins,
        n_wins_base=losses,
        n_draws=n - wins - losses,
        n_total=n,
    )


@dataclass(frozen=True, slots=True)
class Calibration:
    """The answers of AlpacaEval's gamed baselines: the baseline told to be verbose, and to be concise.

    One entry for each answer, shape (m,). `prompts`: the label of its prompt. `scores`: its score in [0, 1] against the
    baseline. `length`: the baseline's length minus its own, over the standard deviation of that difference
    (AlpacaEval's `std_delta_len`). `difficulty`: its prompt's difficulty (AlpacaEval's `instruction_difficulty`).
    """

    prompts: Iterable[Hashable]
    scores: ArrayLike
    length: ArrayLike
    difficulty: ArrayLike


def alpacaeval_length_controlled(
    prompts: Iterable[Hashable],
    scores: ArrayLike,
    length_baseline: ArrayLike,
    length_model: ArrayLike,
    difficulty: ArrayLike,
    calibration: Calibration | None,
    unjudged: Mapping[Hashable, float] | None = None,
    level: float = 0.95,
) -> Estimate | Undefined:
    """AlpacaEval 2's length-controlled win rate of one model against the baseline, as a share (theirs is 100 times it).

    One entry for each judged prompt, shape (n,): `prompts`, its label; `scores`, the model's score in [0, 1], which is
    AlpacaEval's preference minus 1 (and 1/2 for its 0); `length_baseline` and `length_model`, in characters;
    `difficulty`, AlpacaEval's instruction difficulty, taken as known. `unjudged`: the difficulty of each prompt that
    the judge gave no verdict on, by its label; the average runs over those prompts too.

    The model (Dubois et al. 2024, arXiv 2404.04475), fitted to these rows with weight 1 and to the calibration rows,
    which have no theta, with weight 0.1:

        log-odds = phi * tanh(z) + psi * difficulty + theta,    z = (length_baseline - length_model) / their sd

    The win rate is the mean over prompts of 1 / (1 + exp(-(psi * difficulty + theta))), that is at z = 0. The
    calibration rows keep phi from running away where a model is nearly always shorter than the baseline: without them
    and without the difficulty, alpaca-7b, which wins 2.6 %, comes out at 20 %.

    Two things differ from the official code (alpaca_eval 0.6.6). It puts an L1 penalty, chosen by cross-validation, on
    the three coefficients; here there is none. Over the eight models of AlpacaEval's v2 data that we have with all 805
    verdicts this changes the result by at most 0.08 of 100. And it joins the difficulties by row number, so that after
    a missing verdict each belongs to another prompt; here every row brings its own.

    The interval is not the official standard error, which takes the fit as known. It leaves each prompt with its
    calibration rows out of the whole fit and out of the average (a jackknife, CR3); the variance gives an effective
    number of prompts, and that the limits of Clopper and Pearson. The sd in z is taken as known.

    Undefined for fewer than two prompts, where the difference in length or the difficulty never varies, under perfect
    separation, where the fit hangs on a single prompt, and where it fits every score exactly.
    Raises ValueError without a calibration, for scores outside [0, 1], NaN, arrays of different lengths, and a prompt
    that is both judged and `unjudged`.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level!r}")
    unjudged = dict(unjudged or {})
    judged, gamed = list(prompts), [] if calibration is None else list(calibration.prompts)
    if calibration is None or not gamed:
        raise ValueError(NO_CALIBRATION)
    columns = {
        "scores": unit_scores(scores),
        "length_baseline": finite_vector(length_baseline, "length_baseline"),
        "length_model": finite_vector(length_model, "length_model"),
        "difficulty": finite_vector(difficulty, "difficulty"),
    }
    gamed_columns = {
        "calibration.scores": unit_scores(calibration.scores, "calibration.scores"),
        "calibration.length": finite_vector(calibration.length, "calibration.length"),
        "calibration.difficulty": finite_vector(calibration.difficulty, "calibration.difficulty"),
    }
    _check_lengths("prompts", len(judged), columns)
    _check_lengths("calibration.prompts", len(gamed), gamed_columns)
    averaged = finite_vector([*columns["difficulty"], *unjudged.values()], "unjudged")
    # Prompts without a row in the fit come last, so that the fit's rows have the codes 0 to the number of prompts.
    cluster = codes_of([*judged, *gamed, *unjudged], len(judged) + len(gamed) + len(unjudged))
    if unjudged.keys() & set(judged):
        raise ValueError(f"prompt {next(p for p in judged if p in unjudged)!r} is in prompts and in unjudged")
    units = len(np.unique(cluster[: len(judged)]))
    if units < 2:
        return Undefined("only one prompt has a score" if units else "no prompt has a score", units)
    difference = columns["length_baseline"] - columns["length_model"]
    if np.ptp(difference) == 0:
        return Undefined("the answers differ from the baseline's by the same length on every prompt", units)

    rows = len(judged) + len(gamed)
    z = np.concatenate([difference / difference.std(ddof=1), gamed_columns["calibration.length"]])
    hard = np.concatenate([columns["difficulty"], gamed_columns["calibration.difficulty"]])
    x, group = np.stack([np.tanh(z), hard], axis=1), np.repeat([MODEL, GAMED], [len(judged), len(gamed)])
    if np.linalg.matrix_rank(np.column_stack([x, group == MODEL])) < 3:
        return Undefined("the difficulty varies too little to tell what it does", units)
    fit = logistic_fit(
        np.concatenate([columns["scores"], gamed_columns["calibration.scores"]]),
        x,
        group,
        np.repeat([1.0, CALIBRATION_WEIGHT], [len(judged), len(gamed)]),
        anchored=(GAMED,),
    )
    if fit is None:
        return Undefined("length and difficulty separate the wins from the losses perfectly", units)
    places = np.concatenate([cluster[: len(judged)], cluster[rows:]])
    with np.errstate(all="ignore"):
        try:
            value, variance = _average(fit, cluster[:rows], averaged, places)
        except np.linalg.LinAlgError:
            value, variance = np.nan, np.nan
    if not np.isfinite(variance):
        return Undefined("without one of the prompts the others do not determine the fit", units)
    if variance < 1e-24:
        return Undefined(f"all {units} prompts have what the fit expects: no spread to judge by", units)
    effective = value * (1 - value) / variance
    low, high = map(float, beta_limits(value, effective, level, cautious=True))
    method = "Clopper-Pearson interval at the effective number of prompts, from a jackknife of the whole fit"
    return Estimate(value, low, high, level, units, method)


def _average(
    fit: LogisticFit, clusters: NDArray[np.intp], difficulty: Floats, places: NDArray[np.intp]
) -> tuple[float, float]:
    """The mean at equal length over the prompts with these difficulties, in these clusters, and its variance."""
    from scipy.special import expit

    theta, psi = fit.intercepts[MODEL], fit.slopes[1]
    rates = expit(psi * difficulty + theta)
    value = float(rates.mean())
    steep = rates * (1 - rates)
    moves = jackknife(fit, clusters)
    by_fit = steep.mean() * moves.intercept(MODEL) + (steep * difficulty).mean() * moves.slopes[:, 1]

    number = int(max(clusters.max(), places.max())) + 1
    size = np.bincount(places, minlength=number)
    shift = np.bincount(places, rates - value, minlength=number) / (len(rates) - size)
    shift[: len(by_fit)] += by_fit
    return value, float((shift**2).sum())


def _check_lengths(name: str, n: int, columns: Mapping[str, Floats]) -> None:
    for other, values in columns.items():
        if len(values) != n:
            raise ValueError(f"{n} labels in {name} but {len(values)} values in {other}")
