"""How often a sequential test is ever wrong, and how many prompts it saves, beside a test of a fixed size.

    python benchmarks/sequential.py --runs 10000 --seed 0

Prints Markdown. It measures `sciexam.stats.sequential.log_capital`, the capital that `BettingSequence` holds.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import beta

from sciexam.stats.estimate import Undefined
from sciexam.stats.mean import bounded_interval
from sciexam.stats.sequential import log_capital
from sciexam.stats.win_rate import win_rate

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, int], float], Floats]  # (runs, prompts) scores with mean rate

LEVEL = 0.95
HORIZON = 1000
RATES = (0.52, 0.55, 0.6, 0.7, 0.85)
ORDER_BIAS = 1.5  # added to the logit of whichever answer is shown first
CHUNK = 250  # sequences in memory at once
ORDERS = 200  # of the prompts, for each model of the recorded verdicts
ABOUT_ERRORS = """\
## Sequential test: how often it is ever wrong

Sequences of up to {horizon:,} prompts with a win rate of exactly one half, watched after every prompt at 5 %. Ever
wrong: the share that at some point calls one side better; beside it the upper end of its one-sided 99 %
Clopper-Pearson interval. Scores: forced choices; ties (half of all that could be); the average of a forced choice in
each order, by a judge with a bias of {bias:g} on the logit for the answer shown first; the average of two probabilities
from beta(rate, 1 - rate).
"""
ABOUT_SAVINGS = """\
## Sequential test: prompts used

{runs:,} sequences a row, stopped when one half is refuted, at most {horizon:,} prompts. Fixed: the fewest prompts at
which the interval of `win_rate`, looked at once, has the same power. Power is the share of sequences that conclude the
right side by the horizon, or rather the lower end of its one-sided 99 % interval, as no simulation can tell a power of
1. The last two columns compare with a fixed test planned for a power of .9, which misses one real difference in ten.
No median is known where half of the sequences are undecided.
"""
ABOUT_RECORDED = """\
## Sequential test on recorded verdicts

AlpacaEval's published GPT-4 verdicts (805 prompts a model) in {orders} random orders a model. All say: the conclusion
from all prompts with the interval of `win_rate`. Opposite: the share of orders that stop with the other side (with any
side, where all prompts leave it undecided).
"""
DATA = Path(os.environ.get("SCIEXAM_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))


def forced(rng: np.random.Generator, shape: tuple[int, int], rate: float) -> Floats:
    return np.where(rng.random(shape) < rate, 1.0, 0.0)


def ties(rng: np.random.Generator, shape: tuple[int, int], rate: float) -> Floats:
    tied = min(rate, 1 - rate)  # half of all that could be
    u = rng.random(shape)
    return np.where(u < rate - tied / 2, 1.0, np.where(u < rate + tied / 2, 0.5, 0.0))


def two_orders(rng: np.random.Generator, shape: tuple[int, int], rate: float) -> Floats:
    logits = np.linspace(-6, 6, 100_001)
    logit = np.interp(rate, (expit(logits + ORDER_BIAS) + expit(logits - ORDER_BIAS)) / 2, logits)
    first, second = (forced(rng, shape, expit(logit + bias)) for bias in (ORDER_BIAS, -ORDER_BIAS))
    return (first + second) / 2


def probabilities(rng: np.random.Generator, shape: tuple[int, int], rate: float) -> Floats:
    average: Floats = rng.beta(rate, 1 - rate, (2, *shape)).mean(0)
    return average


SCENARIOS: dict[str, Draw] = {
    "forced choices": forced,
    "ties": ties,
    "two orders": two_orders,
    "probabilities": probabilities,
}


def stops(scores: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """For each row: the prompts used (all, where undecided), and 1 better, -1 worse, 0 undecided."""
    used, side = np.empty(len(scores), np.intp), np.empty(len(scores), np.intp)
    for start in range(0, len(scores), CHUNK):
        part = slice(start, start + CHUNK)
        refuted = log_capital(scores[part], 0.5) >= -np.log(1 - LEVEL)
        decided = refuted.any(1)
        used[part] = np.where(decided, refuted.argmax(1) + 1, scores.shape[1])
        total = np.take_along_axis(scores[part].cumsum(1), used[part, None] - 1, 1)[:, 0]
        side[part] = np.where(decided, np.sign(total - used[part] / 2), 0)
    return used, side


def drawn(scenario: str, rate: float, runs: int, seed: int) -> Floats:
    rng = np.random.default_rng([seed, list(SCENARIOS).index(scenario), round(1000 * rate)])
    return SCENARIOS[scenario](rng, (runs, HORIZON), rate)


def fixed(scores: Floats, power: float) -> int | None:
    """The fewest prompts at which the interval of `win_rate` excludes one half, and rightly, in a share `power`."""
    low, high = 1, HORIZON + 1
    while low < high:
        n = (low + high) // 2
        _, limit, _ = bounded_interval(scores[:, :n], np.ones(n), LEVEL)
        low, high = (low, n) if np.mean(limit > 0.5) >= power else (n + 1, high)
    return low if low <= HORIZON else None


def errors(runs: int, seed: int) -> Iterator[str]:
    yield "| scores | runs | ever wrong | 99 % upper bound | within 5.5 % |"
    yield "|---|---|---|---|---|"
    for scenario in SCENARIOS:
        _, side = stops(drawn(scenario, 0.5, runs, seed))
        wrong = int(np.count_nonzero(side))
        upper = float(beta.ppf(0.99, wrong + 1, runs - wrong))
        yield f"| {scenario} | {runs:,} | {wrong / runs:.4f} | {upper:.4f} | {'yes' if upper <= 0.055 else '**no**'} |"


def savings(runs: int, seed: int) -> Iterator[str]:
    yield (
        "| scores | win rate | median | 90th percentile | undecided | wrong side "
        "| power | fixed, equal power | median / fixed | fixed, power .9 | median / fixed |"
    )
    yield "|---" * 11 + "|"
    for scenario in SCENARIOS:
        for rate in RATES:
            scores = drawn(scenario, rate, runs, seed)
            used, side = stops(scores)
            right = int(np.count_nonzero(side == 1))
            power = float(beta.ppf(0.01, right, runs - right + 1))
            median = float(np.median(used))
            shown = " | ".join(beside(median, fixed(scores, wanted)) for wanted in (power, 0.9))
            yield (
                f"| {scenario} | {rate:g} | {median:g} | {np.quantile(used, 0.9):g} | {np.mean(side == 0):.4f} "
                f"| {np.mean(side == -1):.4f} | {power:.4f} | {shown} |"
            )


def beside(median: float, size: int | None) -> str:
    if size is None:
        return f"> {HORIZON:,} | < {median / HORIZON:.2f}" if median < HORIZON else f"> {HORIZON:,} | -"
    return f"{size:,} | {median / size:.2f}" if median < HORIZON else f"{size:,} | -"


def recorded(seed: int) -> Iterator[str]:
    """Each model's verdicts in random orders; the truth is what all of them say."""
    yield "| verdicts | model | win rate | all say | prompts | median used | 90th percentile | undecided | opposite |"
    yield "|---" * 9 + "|"
    for version in ("v1", "v2"):
        for place, (model, scores) in enumerate(read_verdicts(version).items()):
            whole = win_rate(scores, level=LEVEL)
            if isinstance(whole, Undefined):
                continue
            truth = int(whole.low > 0.5) - int(whole.high < 0.5)
            rng = np.random.default_rng([seed, place, int(version[1])])
            used, side = stops(rng.permuted(np.tile(scores, (ORDERS, 1)), axis=1))
            says = {1: "better", -1: "worse", 0: "undecided"}[truth]
            opposite = np.mean((side != 0) & (side == -truth)) if truth else np.mean(side != 0)
            yield (
                f"| {version} | {model} | {whole.value:.3f} | {says} | {len(scores)} | {np.median(used):g} "
                f"| {np.quantile(used, 0.9):g} | {np.mean(side == 0):.3f} | {opposite:.3f} |"
            )


def read_verdicts(version: str) -> dict[str, Floats]:
    """Preference - 1 for each model, as published; a preference of 0 is a draw, an empty one is missing."""
    scores: dict[str, list[float]] = {}
    with gzip.open(DATA / "alpacaeval" / f"verdicts_{version}.csv.gz", "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["preference"]:
                scores.setdefault(row["model"], []).append((float(row["preference"]) or 1.5) - 1)
    return {model: np.array(values) for model, values in scores.items()}


def section(runs: int, seed: int) -> Iterator[str]:
    """The report, line by line, of `runs` simulated sequences a row."""
    yield from ABOUT_ERRORS.format(horizon=HORIZON, bias=ORDER_BIAS).splitlines()
    yield from ["", *errors(runs, seed), ""]
    yield from ABOUT_SAVINGS.format(runs=runs, horizon=HORIZON).splitlines()
    yield from ["", *savings(runs, seed), ""]
    if (DATA / "alpacaeval").is_dir():
        yield from [*ABOUT_RECORDED.format(orders=ORDERS).splitlines(), "", *recorded(seed)]
    else:
        yield "The recorded AlpacaEval verdicts are not here (set SCIEXAM_SHARED_DATA): not run on them."


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000, help="sequences a row (default: 10000)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for line in section(options.runs, options.seed):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
