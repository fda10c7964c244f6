"""Time and peak memory of alpha, kappa and Dawid-Skene, beside the package krippendorff and scikit-learn.

    python benchmarks/bench_agreement.py

Prints a Markdown table. Each row runs in a process of its own, on the same seeded ratings; the time is that of the call
without imports and without making the data, the best of `--repeat`; the peak is that of the whole process.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

import numpy as np

from sciexam.stats.clusters import Floats

CATEGORIES = 5
RIGHT = 0.7
DRAWS = 1_000


def ratings(raters: int, items: int, missing: float = 0.05) -> Floats:
    """Ratings 1 to 5: the item's own with probability .7, else any."""
    rng = np.random.default_rng(0)
    truth = rng.integers(1, CATEGORIES + 1, items)
    table = np.empty((raters, items))
    for row in table:
        guess = rng.integers(1, CATEGORIES + 1, items)
        row[:] = np.where(rng.random(items) < RIGHT, truth, guess)
        row[rng.random(items) < missing] = np.nan
    return table


def data_alone(table: Floats) -> float:
    return float(np.nanmean(table))


def alpha(table: Floats) -> float:
    from sciexam.stats.alpha import krippendorff_alpha

    return krippendorff_alpha(table, "ordinal").value


def alpha_bootstrap(table: Floats) -> float:
    from sciexam.stats.alpha import krippendorff_alpha

    return krippendorff_alpha(table, "ordinal", draws=DRAWS).value


def alpha_clusters(table: Floats) -> float:
    from sciexam.stats.alpha import krippendorff_alpha

    return krippendorff_alpha(table, "ordinal", clusters=np.arange(table.shape[1]) // 5, draws=DRAWS).value


def package(table: Floats) -> float:
    import krippendorff

    return float(krippendorff.alpha(table, level_of_measurement="ordinal"))


def package_bootstrap(table: Floats) -> float:
    """As a user of the package would write it: draw items, call it again; returns the value on the data."""
    import krippendorff

    rng = np.random.default_rng(0)
    items = table.shape[1]
    for _ in range(DRAWS):
        krippendorff.alpha(table[:, rng.integers(0, items, items)], level_of_measurement="ordinal")
    return package(table)


def kappa(table: Floats) -> float:
    from sciexam.stats.agreement import cohen_kappa

    return cohen_kappa(table[0], table[1], "quadratic").value


def sklearn_kappa(table: Floats) -> float:
    from sklearn.metrics import cohen_kappa_score

    both = ~np.isnan(table[:2]).any(0)
    return float(cohen_kappa_score(*table[:2, both].astype(int), weights="quadratic"))


def dawid_skene(table: Floats) -> float:
    from sciexam.stats.annotators import dawid_skene as fit

    return float(fit(table).accuracy.mean())


# name, function, items; a row is compared with the first row of its block
BLOCKS: tuple[tuple[tuple[str, Callable[[Floats], float], int], ...], ...] = (
    (("the ratings alone", data_alone, 1_000_000),),
    (
        ("alpha: package krippendorff, no interval", package, 1_000_000),
        ("alpha with interval: sciexam", alpha, 1_000_000),
        (f"alpha with {DRAWS:,} bootstrap draws: sciexam", alpha_bootstrap, 1_000_000),
        ("the same, clusters of 5 items: sciexam", alpha_clusters, 1_000_000),
    ),
    (
        (f"alpha with {DRAWS:,} bootstrap draws: package krippendorff in a loop", package_bootstrap, 1_000),
        (f"alpha with {DRAWS:,} bootstrap draws: sciexam", alpha_bootstrap, 1_000),
        ("alpha with interval: sciexam", alpha, 1_000),
    ),
    (
        ("quadratic kappa of two raters: scikit-learn, no interval", sklearn_kappa, 1_000_000),
        ("quadratic kappa with interval: sciexam", kappa, 1_000_000),
    ),
    (("Dawid-Skene, four raters: sciexam", dawid_skene, 1_000_000),),
)


def measure(block: int, row: int, repeat: int) -> None:
    """Run one row in this process and print seconds, peak megabytes, value."""
    _, function, items = BLOCKS[block][row]
    table = ratings(4, items)
    function(table[:, :50])  # the imports
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        value = function(table)
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(median(seconds), peak, repr(value))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--row", type=int, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        measure(*options.row, options.repeat)
        return
    print("| what | raters x items | seconds | ratio | peak MB | value |")
    print("|---|---|---|---|---|---|")
    for block, rows in enumerate(BLOCKS):
        first = 0.0
        for row, (name, _, items) in enumerate(rows):
            command = [sys.executable, __file__, "--repeat", str(options.repeat), "--row", str(block), str(row)]
            seconds, peak, value = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
            first = first or float(seconds)
            ratio = f"{float(seconds) / first:.3f}" if len(rows) > 1 else ""
            print(
                f"| {name} | 4 x {items:,} | {float(seconds):.3f} | {ratio} | {float(peak):.0f} | {value} |", flush=True
            )


if __name__ == "__main__":
    main()
