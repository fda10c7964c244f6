"""AlpacaEval's leaderboard rows: GPT-4's verdicts on 805 prompts, and the win rate at equal length.

Figures: tatsu-lab/alpaca_eval at cd543a1. The reference fits at equal length were made for this data with the official
code (alpaca_eval 0.6.6) and with a plain logistic fit, on a reconstruction of AlpacaEval's calibration.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from published.claims import Claim, Differs, Keys, Named, Reproduced, decimals
from published.rows import battle, document, score_of, table, value
from sciexam.stats.alpacaeval import CALIBRATION_WEIGHT, Calibration, alpacaeval_length_controlled
from sciexam.stats.logistic import logistic_fit
from sciexam.stats.win_rate import win_rate

REFERENCE = {"v1": "text_davinci_003", "v2": "gpt4_1106_preview"}
MISSING_ROWS = "phi-2|alpaca-7b_concise|alpaca-7b_verbose"
PROPERLY_JOINED = {"phi-2": 3.757964, "alpaca-7b_concise": 4.619405, "alpaca-7b_verbose": 5.202287}
ROW_NUMBER = (
    "the official code joins difficulty by row number, so that after a missing row every difficulty belongs to another "
    "prompt; joined by prompt, and averaged over the prompts with a verdict, the fit gives another figure"
)
LONGER_BY_TWO = "published over 805 answers, and verdicts exist for 803 (phi-2) and 802 (alpaca-7b_verbose)"
NO_PENALTY = "the official code has an L1 penalty chosen by cross-validation, our fit has none"
Floats = NDArray[np.float64]


def published(data: Path) -> Claim:
    folder = data / "alpacaeval"
    file = document(folder / "published.json")
    boards = {version: board(folder, version) for version in REFERENCE}
    calibration = read_calibration(folder)
    fits = {model: Fits(rows, calibration) for model, rows in boards["v2"].items()}
    ours: dict[str, Any] = {v: {model: row(rows) for model, rows in boards[v].items()} for v in boards}
    for model, fit in fits.items():
        ours["v2"][model]["length_controlled_winrate"] = fit.by_prompt
    ours["v2_length_controlled_reference"] = {model: reference(fit) for model, fit in fits.items()}
    return Claim(file, ours, rules(fits, file["v2_length_controlled_reference"]))


def rules(fits: dict[str, Fits], reference_fits: dict[str, Any]) -> tuple[Any, ...]:
    fit = "v2_length_controlled_reference"

    def by_row(path: Keys) -> float:
        return fits[path[1]].by_row

    def joined(path: Keys) -> float:
        return PROPERLY_JOINED[path[1]]

    def error_by_row(path: Keys) -> float:
        return fits[path[1]].error_by_row

    def error_from_the_weights_of_the_file(path: Keys) -> float:
        weights = reference_fits[path[1]]["weights_by_prompt_index"]
        return standard_error(weights["difficulty"], weights["constant"], fits[path[1]].difficulty)

    return (
        Differs("v2/phi-2/avg_length", LONGER_BY_TWO, ours=628, theirs=626),
        Differs("v2/alpaca-7b_verbose/avg_length", LONGER_BY_TWO, ours=539, theirs=537),
        Differs(f"v2/{MISSING_ROWS}/length_controlled_winrate", ROW_NUMBER, joined, by_row, 2e-6, 0.21),
        Differs(f"{fit}/{MISSING_ROWS}/published", ROW_NUMBER, joined, by_row, 2e-6, 0.21),
        Differs(f"{fit}/{MISSING_ROWS}/official_code_with_our_calibration", ROW_NUMBER, joined, by_row, 2e-6, 0.12),
        Differs(
            f"{fit}/{MISSING_ROWS}/official_code_with_our_calibration_se",
            ROW_NUMBER,
            error_from_the_weights_of_the_file,
            error_by_row,
            within=1e-5,
            theirs_within=0.003,
        ),
        Reproduced("v1|v2/*/win_rate|standard_error|discrete_win_rate", decimals(6)),
        Reproduced("v1|v2/*/n_wins|n_wins_base|n_draws|n_total|avg_length"),
        Reproduced("v2/*/length_controlled_winrate", 0.21, "the calibration is a reconstruction"),
        Named("v2/*/lc_standard_error", "null: the leaderboard file states none"),
        Reproduced(f"{fit}/*/published", 0.21, "the calibration is a reconstruction"),
        Reproduced(f"{fit}/*/official_code_with_our_calibration", 0.12, NO_PENALTY),
        Reproduced(f"{fit}/*/official_code_with_our_calibration_se", 0.003, NO_PENALTY),
        Reproduced(f"{fit}/*/official_code_no_difficulty_no_regulariser", 0.9, NO_PENALTY),
        Reproduced(f"{fit}/*/unpenalised_fit_no_difficulty_no_regulariser", 5e-6),
        Reproduced(f"{fit}/*/unpenalised_fit_row_position|unpenalised_fit_by_prompt_index", 5e-6),
        Reproduced(f"{fit}/*/weights_by_prompt_index/length|difficulty|constant", 1e-6),
        Reproduced(f"{fit}/*/rows"),
        Named(f"{fit}/{MISSING_ROWS}/note", "the reason why the published figure is no target"),
    )


@dataclass(frozen=True, slots=True)
class Board:
    """The rows of one model; `scores` has NaN where the judge failed. Lengths are in characters."""

    prompts: list[int]
    scores: Floats
    length_reference: Floats
    length_model: Floats


def board(folder: Path, version: str) -> dict[str, Board]:
    """Every recorded verdict through a battle. The order of the two answers was random and is not recorded."""
    rows_of: dict[str, list[dict[str, str]]] = defaultdict(list)
    for found in table(folder / f"verdicts_{version}.csv.gz"):
        rows_of[found["model"]].append(found)
    return {
        model: Board(
            prompts=[int(found["index"]) for found in rows],
            scores=np.array([_score(found, REFERENCE[version], model) for found in rows]),
            length_reference=np.array([float(found["len_reference"]) for found in rows]),
            length_model=np.array([float(found["len_model"]) for found in rows]),
        )
        for model, rows in rows_of.items()
    }


def _score(found: dict[str, str], reference: str, model: str) -> float:
    """`preference` is 1 for the reference, 2 for the model, between for a probability, 0 or 1.5 for a draw."""
    preference = float(found["preference"]) if found["preference"] else None
    said = None if preference is None else 0.5 if preference == 0 else preference - 1
    fought = battle(found["index"], reference, model, {"ab": said})
    return float("nan") if fought.score is None else score_of(model, fought)


def row(rows: Board) -> dict[str, Any]:
    """A row of the leaderboard. Of the standard error, the discrete win rate and the length: AlpacaEval's own rules."""
    scores = rows.scores[~np.isnan(rows.scores)]
    return {
        "win_rate": 100 * value(win_rate(scores)),
        "standard_error": 100 * float(scores.std(ddof=1) / np.sqrt(len(scores))),
        "n_wins": int((scores > 0.5).sum()),
        "n_wins_base": int((scores < 0.5).sum()),
        "n_draws": int((scores == 0.5).sum()),
        "n_total": len(scores),
        "avg_length": int(rows.length_model.mean()),
        "discrete_win_rate": 100 * value(win_rate((np.sign(scores - 0.5) + 1) / 2)),
    }


def read_calibration(folder: Path) -> Calibration:
    rows = table(folder / "lc_calibration_reconstructed.csv.gz")
    return Calibration(
        prompts=[int(found["index"]) for found in rows],
        scores=[float(found["preference"]) for found in rows],
        length=[float(found["std_delta_len"]) for found in rows],
        difficulty=[float(found["instruction_difficulty"]) for found in rows],
    )


class Fits:
    """Length-controlled win rates of one model, with the difficulty joined by prompt and, as officially, by row."""

    def __init__(self, rows: Board, calibration: Calibration) -> None:
        known = dict(zip(calibration.prompts, calibration.difficulty, strict=True))
        self.difficulty = np.array([known[prompt] for prompt in sorted(known)])
        here = np.array([known[prompt] for prompt in rows.prompts])
        by_row = self.difficulty[: len(rows.prompts)]
        self.rows = len(rows.prompts)
        self.by_prompt = self._controlled(rows, rows.prompts, here, calibration)
        self.by_row = self._controlled(rows, list(range(self.rows)), by_row, calibration)
        self.weights = coefficients(rows, here, calibration)
        self.error = standard_error(*self.weights[1:], self.difficulty)
        self.error_by_row = standard_error(*coefficients(rows, by_row, calibration)[1:], self.difficulty)
        self.minimal = minimal(rows)

    @staticmethod
    def _controlled(rows: Board, prompts: list[int], difficulty: Floats, calibration: Calibration) -> float:
        lengths = rows.length_reference, rows.length_model
        return 100 * value(
            alpacaeval_length_controlled(prompts, rows.scores, *lengths, difficulty=difficulty, calibration=calibration)
        )


def standardised(rows: Board) -> Floats:
    difference = rows.length_reference - rows.length_model
    return np.tanh(difference / difference.std(ddof=1))


def coefficients(rows: Board, difficulty: Floats, calibration: Calibration) -> tuple[float, float, float]:
    """Those of length, of difficulty and of the model, in the fit behind `alpacaeval_length_controlled`."""
    sizes = [len(rows.scores), len(np.asarray(calibration.scores))]
    length = np.concatenate([standardised(rows), np.tanh(calibration.length)])
    hard = np.concatenate([difficulty, calibration.difficulty])
    fit = logistic_fit(
        np.concatenate([rows.scores, calibration.scores]),
        np.stack([length, hard], axis=1),
        np.repeat([0, 1], sizes),
        np.repeat([1.0, CALIBRATION_WEIGHT], sizes),
        anchored=(1,),
    )
    assert fit is not None
    return float(fit.slopes[0]), float(fit.slopes[1]), float(fit.intercepts[0])


def standard_error(difficulty_weight: float, constant: float, difficulty: Floats) -> float:
    """AlpacaEval's rule, the standard error of the mean of the fitted probabilities, which takes the fit as known."""
    rates = 100 / (1 + np.exp(-(difficulty_weight * difficulty + constant)))
    return float(rates.std(ddof=1) / np.sqrt(len(rates)))


def minimal(rows: Board) -> float:
    """The fit on length alone, without calibration and difficulty."""
    n = len(rows.scores)
    fit = logistic_fit(rows.scores, standardised(rows)[:, None], np.zeros(n, dtype=np.intp), np.ones(n))
    assert fit is not None
    return float(100 / (1 + np.exp(-fit.intercepts[0])))


def reference(fit: Fits) -> dict[str, Any]:
    length, difficulty, constant = fit.weights
    return {
        "published": fit.by_prompt,
        "official_code_with_our_calibration": fit.by_prompt,
        "official_code_with_our_calibration_se": fit.error,
        "official_code_no_difficulty_no_regulariser": fit.minimal,
        "unpenalised_fit_no_difficulty_no_regulariser": fit.minimal,
        "unpenalised_fit_row_position": fit.by_row,
        "unpenalised_fit_by_prompt_index": fit.by_prompt,
        "rows": fit.rows,
        "weights_by_prompt_index": {"length": length, "difficulty": difficulty, "constant": constant},
    }
