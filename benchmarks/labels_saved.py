"""Labels of people that a judge saves at an equal width of the interval, by prediction-powered inference.

    python benchmarks/labels_saved.py            # prints Markdown
    python benchmarks/labels_saved.py --runs 100 --seed 1

It measures `prediction_powered_mean`, which `sciexam validate` calls. Some of the items, drawn at random, have a label;
the judge has judged all. Saved: the share by which the labels would be more if they stood alone and their interval were
to be as narrow, 1 - n / n', where the mean width of n' labels alone is the mean width of n with the judge. The human
labels of PandaLM are read from SCIEXAM_SHARED_DATA; the simulation needs nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from coverage_predicted import Judge
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from published.pandalm import labels as pandalm_labels
from sciexam.stats.mean import mean
from sciexam.stats.prediction_powered import PredictionPowered, prediction_powered_mean

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], tuple[PredictionPowered, float]]  # result of n labels, and the truth

DATA = Path(os.environ.get("SCIEXAM_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
ITEMS = 1000  # of a simulated suite, labelled and not
SIZES = (50, 100, 200)
ACCURACIES = (0.6, 0.7, 0.8, 0.9, 0.95)
RATE = 0.6  # the people's win rate in the simulation
SCORE = np.array([0.5, 1.0, 0.0])  # of the first answer, for the labels tie, 1 and 2


def row(name: str, n: int, draw: Draw, width_alone: Callable[[float], float], runs: int, seed: list[int]) -> str:
    """`width_alone`: the mean width of an interval from so many labels alone."""
    rng = np.random.default_rng(seed)
    results, truths = zip(*(draw(rng, n) for _ in range(runs)), strict=True)
    low, high = (np.array([getattr(one.estimate, side) for one in results]) for side in ("low", "high"))
    alone = np.mean([one.classical.high - one.classical.low for one in results])
    width = float(np.mean(high - low))
    held = np.mean((low <= np.array(truths)) & (np.array(truths) <= high))
    as_many = as_narrow(width, n, width_alone)
    return f"| {name} | {n} | {alone:.4f} | {width:.4f} | {as_many:,.0f} | {1 - n / as_many:.0%} | {held:.3f} |"


def as_narrow(width: float, n: int, width_alone: Callable[[float], float]) -> float:
    """How many labels alone have an interval of this mean width."""
    low, high = n / 2, 40.0 * n
    while high - low > 0.1:
        middle = (low + high) / 2
        low, high = (low, middle) if width_alone(middle) <= width else (middle, high)
    return high


def widths(labels: Floats, seed: list[int], runs: int) -> Callable[[float], float]:
    """The mean width of `mean`'s interval from n of these labels, drawn with replacement; between whole n a line."""
    rng, known = np.random.default_rng(seed), dict[int, float]()

    def at(n: int) -> float:
        if n not in known:
            found = [mean(rng.choice(labels, n), low=0.0, high=1.0) for _ in range(runs)]
            known[n] = float(np.mean([one.high - one.low for one in found]))  # type: ignore[union-attr]
        return known[n]

    def width(n: float) -> float:
        whole = int(n)
        return at(whole) + (n - whole) * (at(whole + 1) - at(whole))

    return width


def powered(labels: Floats, predictions: Floats, labelled: NDArray[np.bool_]) -> PredictionPowered:
    result = prediction_powered_mean(labels[labelled], predictions[labelled], predictions[~labelled], low=0.0, high=1.0)
    assert isinstance(result, PredictionPowered), result
    return result


def drawn(rng: np.random.Generator, items: int, n: int) -> NDArray[np.bool_]:
    chosen = np.zeros(items, np.bool_)
    chosen[rng.permutation(items)[:n]] = True
    return chosen


def head(who: str) -> Iterator[str]:
    yield f"| {who} | labels | width, labels alone | with the judge | labels alone for this width | saved | covered |"
    yield "|---" * 7 + "|"


def pandalm(runs: int, seed: int) -> Iterator[str]:
    """The majority of PandaLM's three annotators, and its two judges; an item is one comparison."""
    majority, judges = pandalm_labels(DATA / "pandalm")
    labels = SCORE[majority]
    alone = widths(labels, [seed, 1], runs)
    yield from head("judge")
    for place, (name, said) in enumerate(sorted(judges.items())):
        predictions = SCORE[said]
        agree, rho = np.mean(said == majority), np.corrcoef(labels, predictions)[0, 1]

        def draw(
            rng: np.random.Generator, n: int, predictions: Floats = predictions
        ) -> tuple[PredictionPowered, float]:
            return powered(labels, predictions, drawn(rng, len(labels), n)), float(labels.mean())

        for n in SIZES:
            yield row(f"{name} (accuracy {agree:.2f}, rho {rho:.2f})", n, draw, alone, runs, [seed, 2, place, n])


def simulated(runs: int, seed: int) -> Iterator[str]:
    """Forced choices of people and a judge, by the judge's accuracy."""
    yield from head("judge's accuracy")
    people = Judge("people").drawn(np.random.default_rng([seed, 3]), 100_000, RATE)[0]
    alone = widths(people, [seed, 4], runs)
    for accuracy in ACCURACIES:

        def draw(rng: np.random.Generator, n: int, accuracy: float = accuracy) -> tuple[PredictionPowered, float]:
            labels, predictions = Judge("", accuracy).drawn(rng, ITEMS, RATE)
            return powered(labels, predictions, drawn(rng, ITEMS, n)), RATE

        for n in SIZES:
            yield row(f"{accuracy:.2f}", n, draw, alone, runs, [seed, 5, round(100 * accuracy), n])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=500, help="draws a row (default: 500)")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if (DATA / "pandalm").is_dir():
        for line in pandalm(given.runs, given.seed):
            print(line, flush=True)
    else:
        print("The human labels of PandaLM are not here (set SCIEXAM_SHARED_DATA): not run on them.")
    print()
    for line in simulated(given.runs, given.seed):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
