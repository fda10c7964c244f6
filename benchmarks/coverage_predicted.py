"""How often a win rate from few human labels and many judge verdicts is covered by its interval, and how wide it is.

    python benchmarks/coverage_predicted.py --runs 10000 --seed 0

Prints Markdown. It measures `prediction_powered_mean` and `rogan_gladen` as they are called.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sciexam.stats.estimate import Undefined
from sciexam.stats.prediction_powered import PredictionPowered, prediction_powered_mean
from sciexam.stats.rogan_gladen import rogan_gladen

Floats = NDArray[np.float64]

FLOOR = 0.94
UNLABELLED = 1000
RATES = (0.5, 0.7, 0.9)
ABOUT_PPI = """\
## Prediction-powered win rate

{runs:,} data sets a row: n human labels, {unlabelled:,} more prompts with the judge's verdict only. A judge repeats the
human's choice with the given probability; the biased one then turns 30 % of all its verdicts into wins. Probabilities:
the judge gives the probability that the human's choice was drawn with. Ties: a third of all human verdicts that could
be at this rate, and of the judge's errors. Groups: prompts in fours, correlation 1/2, whole groups labelled. Labels
only: coverage and width of `win_rate` on the n labels. Gain: the median of how many times as many labels would serve as
well. Coverages below .94 are in bold.
"""
ABOUT_RG = """\
## Rogan-Gladen correction

{runs:,} data sets a row: n labelled forced choices, {unlabelled:,} judged only; the judge's sensitivity and
specificity. Undefined: the share of data sets in which the judge is not shown to be better than chance, or the humans
gave no win (or no loss); coverage and width are of the others.
"""


@dataclass(frozen=True)
class Judge:
    name: str
    accuracy: float = 1.0
    wins_added: float = 0.0
    ties: float = 0.0
    soft: bool = False
    group: int = 1

    def drawn(self, rng: np.random.Generator, n: int, rate: float) -> tuple[Floats, Floats]:
        """(labels, predictions) of n prompts with the win rate `rate`."""
        if self.soft:
            chance = rng.beta(2 * rate, 2 * (1 - rate), n)
            return np.where(rng.random(n) < chance, 1.0, 0.0), chance
        chance = np.full(n, rate)
        if self.group > 1:
            chance = np.repeat(rng.beta(rate, 1 - rate, -(-n // self.group)), self.group)[:n]
        label = np.where(rng.random(n) < chance, 1.0, 0.0)
        often = np.where(label == 1, min(1.0, (1 - rate) / rate), min(1.0, rate / (1 - rate)))  # the rate stays
        tied = np.where(rng.random(n) < self.ties * often, 0.5, label)
        prediction = np.where(rng.random(n) < self.accuracy, tied, np.where(rng.random(n) < self.ties, 0.5, 1 - label))
        return tied, np.where(rng.random(n) < self.wins_added, 1.0, prediction)

    def clusters(self, n: int) -> dict[str, NDArray[np.intp]]:
        """The groups of n labelled and UNLABELLED other prompts, as arguments; none where every prompt is its own."""
        if self.group == 1:
            return {}
        return {
            "clusters_labelled": np.arange(n) // self.group,
            "clusters_unlabelled": n + np.arange(UNLABELLED) // self.group,
        }


SMALL = "good (.85)"  # also with 20 labels
JUDGES = (
    Judge("weak (.55)", 0.55),
    Judge("good (.85)", 0.85),
    Judge("strong (.95)", 0.95),
    Judge("biased (.85, 30 % to wins)", 0.85, wins_added=0.3),
    Judge("probabilities", soft=True),
    Judge("ties (.8)", 0.8, ties=1 / 3),
    Judge("groups (.85)", 0.85, group=4),
)
CONFUSIONS = ((0.6, 0.6), (0.75, 0.75), (0.9, 0.9), (0.95, 0.7), (0.98, 0.98))


def prediction_powered(runs: int, seed: int) -> Iterator[str]:
    yield "| judge | n | rate | coverage | mean width | labels only | mean width | median gain | mean lambda |"
    yield "|---" * 9 + "|"
    for place, judge in enumerate(JUDGES):
        for n in (20, 50, 200) if judge.name == SMALL else (50, 200):
            for rate in RATES:
                rng = np.random.default_rng([seed, place, n, round(1000 * rate)])
                results = [one(rng, judge, n, rate) for _ in range(runs)]
                cells = [covered([(r.estimate, r.classical)[which] for r in results], rate) for which in (0, 1)]
                gain, weight = np.median([r.gain for r in results]), np.mean([r.lambda_ for r in results])
                yield f"| {judge.name} | {n} | {rate:g} | {' | '.join(cells)} | {gain:.2f} | {weight:.2f} |"


def one(rng: np.random.Generator, judge: Judge, n: int, rate: float) -> PredictionPowered:
    labels, predictions = judge.drawn(rng, n, rate)
    _, unlabelled = judge.drawn(rng, UNLABELLED, rate)
    result = prediction_powered_mean(labels, predictions, unlabelled, low=0.0, high=1.0, **judge.clusters(n))
    assert isinstance(result, PredictionPowered)
    return result


def covered(estimates: list[object], truth: float) -> str:
    low, high = (np.array([getattr(e, side) for e in estimates]) for side in ("low", "high"))
    return f"{shown(np.mean((low - 1e-12 <= truth) & (truth <= high + 1e-12)))} | {np.mean(high - low):.4f}"


def shown(coverage: float) -> str:
    text = f"{coverage:.4f}".removeprefix("0")
    return text if coverage >= FLOOR else f"**{text}**"


def corrected(runs: int, seed: int) -> Iterator[str]:
    yield "| sensitivity | specificity | prompts | n | rate | coverage | mean width | undefined |"
    yield "|---" * 8 + "|"
    for place, (q1, q0) in enumerate(CONFUSIONS):
        for group, n in ((1, 50), (1, 200), (4, 200)):
            for rate in RATES:
                rng = np.random.default_rng([seed, 100 + place, group, n, round(1000 * rate)])
                results = [confused(rng, q1, q0, group, n, rate) for _ in range(runs)]
                known = [e for e in results if not isinstance(e, Undefined)]
                cells = covered(known, rate) if known else "- | -"
                units = "in fours" if group > 1 else "single"
                yield f"| {q1:g} | {q0:g} | {units} | {n} | {rate:g} | {cells} | {1 - len(known) / runs:.4f} |"


def confused(rng: np.random.Generator, q1: float, q0: float, group: int, n: int, rate: float) -> object:
    human = Judge("human", group=group)
    labels, truth = (human.drawn(rng, size, rate)[0] for size in (n, UNLABELLED))
    said = [np.where(rng.random(len(wins)) < np.where(wins == 1, q1, q0), wins, 1 - wins) for wins in (labels, truth)]
    return rogan_gladen(labels, *said, **human.clusters(n)).estimate


def section(runs: int, seed: int) -> Iterator[str]:
    """The report, line by line, of `runs` simulated data sets a row."""
    yield from [*ABOUT_PPI.format(runs=runs, unlabelled=UNLABELLED).splitlines(), "", *prediction_powered(runs, seed)]
    yield from ["", *ABOUT_RG.format(runs=runs, unlabelled=UNLABELLED).splitlines(), "", *corrected(runs, seed)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000, help="data sets a row (default: 10000)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for line in section(options.runs, options.seed):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
