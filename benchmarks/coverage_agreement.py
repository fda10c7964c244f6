"""How often the intervals of the agreement statistics hold the true value, beside the percentile bootstrap.

    python benchmarks/coverage_agreement.py --runs 10000 --seed 0

Prints a Markdown section. The bootstrap, which is shown for comparison, gets fewer data sets and draws.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sciexam.stats import agreement, chance_corrected
from sciexam.stats.alpha import alpha_score
from sciexam.stats.chance_corrected import Score, Statistic
from sciexam.stats.clusters import Floats
from sciexam.stats.estimate import Estimate
from sciexam.stats.mean import bounded_interval
from sciexam.stats.rating_table import Codes, Table, tabulate

LEVEL = 0.95
FLOOR = 0.94
DRAWS = 200  # of the bootstrap
BOOTSTRAP_SHARE = 20  # the bootstrap sees one data set in so many
BOOTSTRAP_ITEMS = 50  # and only those of this size, where it differs most
LARGE = 10**9  # items of the table that the true value is computed from: every pattern at its exact expectation

ABOUT = """\
## Agreement statistics

Each row: {runs:,} simulated data sets of n items; the share whose 95 % interval holds the true value, and the mean
width. A coverage below .94 is in bold. An item's true class is the first with probability `first`, else any other;
a rater gives it with probability `right`, else any other class, and skips the item with probability `missing`. Items
with fewer than two ratings are drawn too and dropped. The true value is exact: the statistic of the table that holds
every pattern of ratings at its expectation for 10^9 items. `defined` is the share of data sets that have a value. The
percentile bootstrap is what `draws > 0` gives: {draws} draws, on {share:,} of the data sets, for n = 50 alone.
"""


class Case(NamedTuple):
    statistic: str
    raters: int
    classes: int
    first: float
    right: float
    missing: float


def cases() -> Iterator[Case]:
    for statistic, raters, classes in (
        ("alpha nominal", 3, 2),
        ("alpha nominal", 4, 3),
        ("alpha ordinal", 3, 4),
        ("Cohen kappa", 2, 3),
        ("Cohen kappa quadratic", 2, 4),
        ("Fleiss kappa", 3, 3),
        ("AC1", 3, 3),
        ("AC2 quadratic", 3, 4),
        ("percent", 3, 3),
    ):
        for first, right, missing in ((0.5, 0.8, 0.0), (0.8, 0.8, 0.2), (0.8, 0.95, 0.0)):
            yield Case(statistic, raters, classes, first, right, missing)


def statistic_of(case: Case) -> Statistic:
    k = case.classes
    values = np.arange(k, dtype=np.float64)
    known: dict[str, Statistic] = {
        "alpha nominal": partial(alpha_score, values=values, measurement="nominal"),
        "alpha ordinal": partial(alpha_score, values=values, measurement="ordinal"),
        "Cohen kappa": partial(agreement._cohen, distance=1 - np.eye(k)),
        "Cohen kappa quadratic": partial(agreement._cohen, distance=1 - agreement._closeness("quadratic", values)),
        "Fleiss kappa": agreement._fleiss,
        "AC1": partial(agreement._ac, closeness=np.eye(k)),
        "AC2 quadratic": partial(agreement._ac, closeness=agreement._closeness("quadratic", values)),
        "percent": agreement._percent,
    }
    return known[case.statistic]


def population(case: Case) -> tuple[Table, Floats]:
    """Every pattern of ratings and its probability. Alpha and Cohen's kappa see items with two ratings only."""
    k = case.classes
    codes = np.array(list(product(range(-1, k), repeat=case.raters)), dtype=np.int32).T
    chance = np.zeros(codes.shape[1])
    for truth in range(k):
        share = case.first if truth == 0 else (1 - case.first) / (k - 1)
        each = np.where(codes == truth, case.right, (1 - case.right) / (k - 1)) * (1 - case.missing)
        chance += share * np.where(codes < 0, case.missing, each).prod(0)
    table, pattern = tabulate(codes, k, ordered=case.statistic.startswith("Cohen"))
    chance = np.bincount(pattern, chance)
    if case.statistic.startswith(("alpha", "Cohen")):
        chance = np.where(table.rated >= 2, chance, 0.0)
    return table, chance


def limits(case: Case, score: Score, table: Table, n: int) -> tuple[float, float]:
    if case.statistic == "percent":
        paired = table.rated >= 2
        agreeing = 1 - agreement._differing(table, 1 - np.eye(table.size))[paired]
        shares = np.repeat(agreeing, table.counts[paired].astype(int))
        _, low, high = bounded_interval(shares, np.ones(n), LEVEL)
        return float(low), float(high)
    return chance_corrected.fisher_limits(score, n * score.influence, table.counts, n, LEVEL)


def observed(table: Table, counts: NDArray[np.int64]) -> Table:
    """The patterns that a data set has, in their order."""
    seen = counts > 0
    slots: Codes = np.ascontiguousarray(table.slots[:, seen])
    return Table(slots, counts[seen].astype(np.float64), table.size)


def cell(case: Case, n: int, runs: int, seed: int) -> str:
    """One row of the table."""
    statistic = statistic_of(case)
    table, chance = population(case)
    exact = statistic(table.weighted(chance * LARGE))
    assert isinstance(exact, Score)
    true = exact.value
    rng = np.random.default_rng([seed, n, *case.statistic.encode(), round(100 * case.first), round(100 * case.right)])
    rest = max(0.0, 1 - chance.sum())
    drawn = rng.multinomial(n, np.append(chance, rest), runs)[:, :-1]
    held, width, held_drawn, width_drawn = [], [], [], []
    for run, counts in enumerate(drawn):
        data = observed(table, counts)
        paired = int(data.counts[data.rated >= 2].sum())
        score = statistic(data) if paired >= 2 else None
        if not isinstance(score, Score):
            continue
        low, high = limits(case, score, data, paired)
        held.append(low - 1e-9 <= true <= high + 1e-9)
        width.append(high - low)
        if n == BOOTSTRAP_ITEMS and run % BOOTSTRAP_SHARE == 0:
            pattern = np.repeat(np.arange(len(data.counts)), data.counts.astype(int))
            drawn_limits = bootstrap(statistic, data, pattern, seed + run)
            if drawn_limits is not None:
                held_drawn.append(drawn_limits[0] - 1e-9 <= true <= drawn_limits[1] + 1e-9)
                width_drawn.append(drawn_limits[1] - drawn_limits[0])
    settings = f"{case.raters} | {case.classes} | {case.first:g} | {case.right:g} | {case.missing:g}"
    ours = f"{shown(np.mean(held))} | {np.mean(width):.3f}"
    other = f"{shown(np.mean(held_drawn))} | {np.mean(width_drawn):.3f}" if held_drawn else "|"
    return f"| {case.statistic} | {settings} | {n} | {true:.3f} | {ours} | {len(held) / runs:.3f} | {other} |"


def bootstrap(statistic: Statistic, data: Table, pattern: NDArray[np.intp], seed: int) -> tuple[float, float] | None:
    """The shipped percentile bootstrap; None where it gives no interval."""
    found = chance_corrected.estimate(statistic, data, pattern, None, LEVEL, seed, DRAWS)
    return (found.low, found.high) if isinstance(found, Estimate) else None


def shown(coverage: float | np.floating) -> str:
    text = f"{coverage:.4f}".removeprefix("0")
    return text if coverage >= FLOOR else f"**{text}**"


def section(runs: int, seed: int) -> Iterator[str]:
    """The lines of the section."""
    yield ABOUT.format(runs=runs, draws=DRAWS, share=-(-runs // BOOTSTRAP_SHARE))
    heads = ["statistic", "raters", "classes", "first", "right", "missing", "n", "true value", "coverage", "mean width"]
    heads += ["defined", "bootstrap coverage", "bootstrap width"]
    yield "| " + " | ".join(heads) + " |"
    yield "|---" * len(heads) + "|"
    for case in cases():
        for n in (50, 200, 1000):
            yield cell(case, n, runs, seed)


def main(lines: Callable[[int, int], Iterator[str]] = section) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000, help="data sets in a cell (default: 10000)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for line in lines(options.runs, options.seed):
        print(line, flush=True)


if __name__ == "__main__":
    main()
