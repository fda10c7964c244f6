"""Time and memory of ratings from many battles, beside other packages on the same data.

    python benchmarks/bench_ratings.py [--peer-python /path/to/venv/bin/python] [--repeat 3]

Prints a Markdown table. Every measurement is the whole call in a fresh process, imports and the making of the data left
out of the time; memory is the peak of the process, with the data. On a machine shared with others the CPU time says
more than the clock. evalica is run by `--peer-python`, an interpreter that has it; scikit-learn by this one.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from statistics import median
from typing import Any

import numpy as np

CONTESTANTS = 50
PROMPTS = 10_000
MILLION = 1_000_000

CASES = {
    "sciexam": (MILLION, "ties, clustered intervals, rank ranges (10,000 draws), tie groups, circles"),
    "sciexam, ties half": (MILLION, "the same without a tie parameter"),
    "sciexam, strings": (MILLION, "as the first, names and prompts as lists of Python strings"),
    "sciexam bootstrap": (MILLION, "1,000 fits to resampled prompts, with ties"),
    "sciexam, 10 million": (10 * MILLION, "as the first"),
    "sciexam elo": (MILLION, "scores in row order, no interval"),
    "evalica": (MILLION, "scores only, a tie half a win; no interval"),
    "evalica bootstrap": (MILLION, "100 resamples of rows, a tie half a win; rows as if independent; run once"),
    "scikit-learn": (MILLION, "logistic regression on sparse rows, a tie two half rows; no interval"),
}


FIGURES = {"seconds": ".2f", "cpu": ".2f", "megabytes": ".0f"}


def data(battles: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    strength = rng.normal(0, 0.7, CONTESTANTS)
    a = rng.integers(0, CONTESTANTS, battles)
    b = (a + rng.integers(1, CONTESTANTS, battles)) % CONTESTANTS
    half = np.exp((strength[a] - strength[b]) / 2)
    over, u = 1 / (half + 1 / half + 0.5), rng.random(battles)
    score = np.where(u < half * over, 1.0, np.where(u < (half + 0.5) * over, 0.5, 0.0))
    return a, b, score, rng.integers(0, PROMPTS, battles)


def measure(case: str) -> dict[str, float]:
    """Seconds by the clock and of CPU time, and the peak memory of this process in MB."""
    a, b, score, prompt = data(CASES[case][0])
    call = prepared(case, a, b, score, prompt)
    start, cpu = time.perf_counter(), time.process_time()
    call()
    return {
        "seconds": time.perf_counter() - start,
        "cpu": time.process_time() - cpu,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def prepared(case: str, a: Any, b: Any, score: Any, prompt: Any) -> Any:
    if case.startswith("evalica"):
        return evalica_call(case, a, b, score)
    if case == "scikit-learn":
        return scikit_learn_call(a, b, score)
    import scipy.sparse
    import scipy.special  # noqa: F401

    from sciexam.stats.elo import elo
    from sciexam.stats.ratings import bradley_terry
    from sciexam.stats.resampled_ratings import bootstrap_ratings

    match case:
        case "sciexam bootstrap":
            return lambda: bootstrap_ratings(a, b, score, prompt, draws=1000)
        case "sciexam elo":
            return lambda: elo(a, b, score)
        case "sciexam, ties half":
            return lambda: bradley_terry(a, b, score, prompt, ties="half")
        case "sciexam, strings":
            one, other = ([f"model {i}" for i in side.tolist()] for side in (a, b))
            prompts = [f"prompt {i}" for i in prompt.tolist()]
            return lambda: bradley_terry(one, other, score, prompts)
        case _:
            return lambda: bradley_terry(a, b, score, prompt)


def evalica_call(case: str, a: Any, b: Any, score: Any) -> Any:
    import evalica

    one, other = ([f"model {i}" for i in side.tolist()] for side in (a, b))
    outcome = {1.0: evalica.Winner.X, 0.0: evalica.Winner.Y, 0.5: evalica.Winner.Draw}
    winners = [outcome[s] for s in score.tolist()]
    if case == "evalica":
        return lambda: evalica.bradley_terry(one, other, winners)
    return lambda: evalica.bootstrap(
        evalica.bradley_terry, one, other, winners, n_resamples=100, bootstrap_method="percentile"
    )


def scikit_learn_call(a: Any, b: Any, score: Any) -> Any:
    from scipy.sparse import csr_array
    from sklearn.linear_model import LogisticRegression

    def call() -> Any:
        n = len(a)
        rows = np.repeat(np.arange(n), 2)
        design = csr_array((np.tile([1.0, -1.0], n), (rows, np.stack([a, b], 1).ravel())), (n, CONTESTANTS))
        tied = np.flatnonzero(score == 0.5)
        whole = np.concatenate([np.arange(n), tied])
        outcome = np.concatenate([np.where(score == 0, 0, 1), np.zeros(len(tied))])
        weight = np.concatenate([np.where(score == 0.5, 0.5, 1), np.full(len(tied), 0.5)])
        return LogisticRegression(C=1e6, fit_intercept=False).fit(design[whole], outcome, weight)

    return call


def in_fresh_process(python: str, case: str) -> dict[str, float] | str:
    done = subprocess.run([python, __file__, "--case", case], capture_output=True, text=True, check=False)
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["failed"])[-1]
    result: dict[str, float] = json.loads(done.stdout)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(options.case)))
        return
    print(f"{CONTESTANTS} contestants, {PROMPTS:,} prompts, {os.cpu_count()} cores; the median of {options.repeat}.\n")
    print("| | battles | computes | seconds | CPU seconds | peak MB |")
    print("|---|---|---|---|---|---|")
    for case, (battles, computes) in CASES.items():
        python = options.peer_python if case.startswith("evalica") else sys.executable
        runs = [in_fresh_process(python, case) for _ in range(1 if "once" in computes else options.repeat)]
        failed = [run for run in runs if isinstance(run, str)]
        fine = [run for run in runs if not isinstance(run, str)]
        if failed:
            figures = [failed[0], "", ""]
        else:
            figures = [f"{median(run[key] for run in fine):{form}}" for key, form in FIGURES.items()]
        print(f"| {case} | {battles:,} | {computes} | {' | '.join(figures)} |", flush=True)


if __name__ == "__main__":
    main()
