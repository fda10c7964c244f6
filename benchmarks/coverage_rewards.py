"""How often the intervals of reward statistics and correlations hold the true figure, and how wide they are.

    python benchmarks/coverage_rewards.py --runs 10000 --seed 0

Prints Markdown. It measures the public functions of `sciexam.stats.rewards`, `sciexam.stats.effect_size`,
`sciexam.stats.skewed_mean` and `sciexam.stats.correlation`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.stats import multivariate_normal, norm
from scipy.stats import t as student

from sciexam.stats.correlation import kendall_tau_b, pearson, spearman
from sciexam.stats.effect_size import cliffs_delta, cohens_d, distances, sd_ratio
from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.rewards import median
from sciexam.stats.skewed_mean import skewed_mean

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, int]], tuple[Floats, Floats]]  # two scores of (runs, prompts)
Statistic = Callable[[Floats, Floats], Estimate | Undefined]

FLOOR = 0.94
BATCH = 500  # runs drawn at a time
CUTS = np.array([-1.2, -0.4, 0.3, 1.0])  # where a normal score becomes 1, 2, 3, 4 or 5
MEAN_LEVEL = 1 + float(norm.sf(CUTS).sum())
GROUP_SIZES = (1, 2, 3)
SLOWLY = ("Kolmogorov-Smirnov", "Wasserstein")
SLOW = 10  # the bootstrap is measured on one run in so many, with fewer resamples

ABOUT = """\
## Rewards and correlations: coverage of 95 % intervals

{runs:,} simulated data sets in each row; the share whose interval holds the true figure, the mean width, the shares of
intervals that lie wholly above and wholly below it, and how many had no interval at all. Coverage below .94 is in bold.

The two contestants' rewards on a prompt correlate with .5 before they are transformed. **normal**; **t3**, Student's t
with 3 degrees of freedom; **lognormal**, the exponential of a normal; **exponential**; **groups**, normal rewards in
groups of 1, 2 and 3 prompts with intraclass correlation 1/2 (the interval is told the groups, n still counts prompts);
**1-5**, a normal score cut into five levels.
"""

HEADER = """\
| statistic | rewards | n | coverage | mean width | above | below | none |
|---|---|---:|---:|---:|---:|---:|---:|"""


def section(runs: int, seed: int) -> Iterator[str]:
    """The lines of the report."""
    yield ABOUT.format(runs=runs)
    yield HEADER
    for number, (statistic, rewards, n, truth, draw, measure) in enumerate(cells()):
        rng = np.random.default_rng([seed, number])
        some = max(1, runs // SLOW) if statistic in SLOWLY else runs
        yield f"| {statistic} | {rewards} | {n} | {row(measure, draw, rng, some, n, truth)} |"
    yield f"\nStatistics measured on one run in {SLOW}, with 199 resamples: {', '.join(SLOWLY)}."


def row(measure: Statistic, draw: Draw, rng: np.random.Generator, runs: int, n: int, truth: float) -> str:
    limits = []
    for start in range(0, runs, BATCH):
        a, b = draw(rng, (min(BATCH, runs - start), n))
        found = [measure(*pair) for pair in zip(a, b, strict=True)]
        limits += [(e.low, e.high) for e in found if isinstance(e, Estimate)]
    low, high = np.array(limits).T
    above, below = float(np.mean(low > truth)), float(np.mean(high < truth))
    covered = f"{1 - above - below:.3f}"
    covered = f"**{covered}**" if 1 - above - below < FLOOR else covered
    return f"{covered} | {np.mean(high - low):.3f} | {above:.3f} | {below:.3f} | {runs - len(limits)}"


Cell = tuple[str, str, int, float, Draw, Statistic]


def cells() -> Iterator[Cell]:
    yield from means()
    yield from medians()
    yield from effects()
    yield from correlations()


def means() -> Iterator[Cell]:
    for n in (24, 50, 100, 200, 1000):
        groups = labels(n)
        told = partial(skewed_mean, clusters=groups)
        yield "mean", "lognormal", n, np.exp(0.5), partial(lognormal, 0), lambda a, b: skewed_mean(a)
        yield "mean", "exponential", n, 1.0, exponential, lambda a, b: skewed_mean(a)
        yield "mean", "1-5", n, MEAN_LEVEL, partial(levels, 0), lambda a, b: skewed_mean(a)
        yield "mean", "lognormal groups", n, np.exp(0.5), lognormal_groups, lambda a, b, m=told: m(a)
        yield "paired difference", "normal", n, 0.5, partial(normal, 0.5), lambda a, b: skewed_mean(a - b)
        yield "paired difference", "t3", n, 0.5, partial(student_t, 0.5), lambda a, b: skewed_mean(a - b)
        truth = np.exp(1.0) - np.exp(0.5)
        yield "paired difference", "lognormal", n, truth, partial(lognormal, 0.5), lambda a, b: skewed_mean(a - b)
        yield "paired difference", "groups", n, 0.5, partial(grouped, 0.5), lambda a, b, m=told: m(a - b)


def medians() -> Iterator[Cell]:
    for n in (24, 50, 200):
        groups = labels(n)
        yield "median", "lognormal", n, 1.0, partial(lognormal, 0), lambda a, b: median(a)
        yield "median", "1-5", n, 3.0, partial(levels, 0.5), lambda a, b: median(a)
        yield "median", "groups", n, 0.0, partial(grouped, 0), lambda a, b, g=groups: median(a, g)


def effects() -> Iterator[Cell]:
    for n in (24, 50, 200):
        groups = labels(n)
        for shift in (0.0, 0.5, 1.5, 2.5):
            delta = 2 * norm.cdf(shift / np.sqrt(2)) - 1
            yield "Cliff's delta", f"normal, shift {shift}", n, delta, partial(normal, shift), cliffs_delta
        delta = t3_delta(1.0)
        yield "Cliff's delta", "t3, shift 1.0", n, delta, partial(student_t, 1.0), cliffs_delta
        delta = 2 * norm.cdf(0.5 / np.sqrt(2)) - 1
        in_groups = partial(grouped, 0.5)
        yield "Cliff's delta", "groups, shift 0.5", n, delta, in_groups, lambda a, b, g=groups: cliffs_delta(a, b, g)
        for shift in (0.0, 0.5, 1.5):
            yield "Cohen's d", f"normal, shift {shift}", n, shift, partial(normal, shift), cohens_d
        yield "Cohen's d", "t3, shift 1.0", n, 1 / np.sqrt(3), partial(student_t, 1.0), cohens_d
        yield "Cohen's d", "groups, shift 0.5", n, 0.5, in_groups, lambda a, b, g=groups: cohens_d(a, b, g)
        yield "ratio of sds", "normal", n, 1.0, partial(normal, 0.5), sd_ratio
        yield "ratio of sds", "t3", n, 1.0, partial(student_t, 0.5), sd_ratio
        yield "ratio of sds", "lognormal, shift 0.5", n, np.exp(0.5), partial(lognormal, 0.5), sd_ratio
        yield "ratio of sds", "groups", n, 1.0, in_groups, lambda a, b, g=groups: sd_ratio(a, b, g)
    for n in (50, 200):
        for shift in (0.0, 0.5):
            greatest = 2 * norm.cdf(shift / 2) - 1
            draw = partial(normal, shift)
            yield SLOWLY[0], f"normal, shift {shift}", n, greatest, draw, lambda a, b: distances(a, b, resamples=199)[0]
            yield SLOWLY[1], f"normal, shift {shift}", n, shift, draw, lambda a, b: distances(a, b, resamples=199)[1]


def correlations() -> Iterator[Cell]:
    for n in (50, 200):
        groups = labels(n)
        for rho in (0.0, 0.5, 0.9):
            truths = (rho, 6 / np.pi * np.arcsin(rho / 2), 2 / np.pi * np.arcsin(rho))
            for name, truth, measure in zip(NAMES, truths, (pearson, spearman, kendall_tau_b), strict=True):
                yield name, f"normal, rho {rho}", n, truth, partial(correlated, rho), measure
            for name, truth, measure in zip(NAMES, level_truths(rho), (pearson, spearman, kendall_tau_b), strict=True):
                yield name, f"1-5, rho {rho}", n, truth, partial(levels, rho), measure
        truth = (np.exp(0.5) - 1) / (np.e - 1)
        yield "Pearson", "lognormal, rho 0.5", n, truth, partial(lognormal, 0), pearson
        yield "Pearson", "t3, rho 0.5", n, 0.5, partial(student_t, 0), pearson
        yield "Kendall", "t3, rho 0.5", n, 1 / 3, partial(student_t, 0), kendall_tau_b
        for name, measure in (("Pearson", pearson), ("Spearman", spearman), ("Kendall", kendall_tau_b)):
            truth = dict(zip(NAMES, (0.5, 6 / np.pi * np.arcsin(0.25), 1 / 3), strict=True))[name]
            told = lambda a, b, g=groups, m=measure: m(a, b, g)  # noqa: E731
            yield name, "groups, rho 0.5", n, truth, partial(grouped, 0), told


NAMES = ("Pearson", "Spearman", "Kendall")


def correlated(rho: float, rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Floats, Floats]:
    x, noise = rng.standard_normal((2, *shape))
    return x, rho * x + np.sqrt(1 - rho**2) * noise


def normal(shift: float, rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Floats, Floats]:
    a, b = correlated(0.5, rng, shape)
    return a + shift, b


def lognormal(shift: float, rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Floats, Floats]:
    a, b = normal(shift, rng, shape)
    return np.exp(a), np.exp(b)


def student_t(shift: float, rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Floats, Floats]:
    a, b = correlated(0.5, rng, shape)
    scale = np.sqrt(rng.chisquare(3, shape) / 3)
    return a / scale + shift, b / scale


def exponential(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Floats, Floats]:
    a, b = correlated(0.5, rng, shape)
    return -norm.logsf(a), -norm.logsf(b)


def lognormal_groups(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Floats, Floats]:
    a, b = grouped(0, rng, shape)
    return np.exp(a), np.exp(b)


def levels(rho: float, rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Floats, Floats]:
    a, b = (np.searchsorted(CUTS, score) + 1.0 for score in correlated(rho, rng, shape))
    return a, b


def grouped(shift: float, rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Floats, Floats]:
    group = labels(shape[1])
    shared = correlated(0.5, rng, (shape[0], int(group[-1]) + 1))
    own = correlated(0.5, rng, shape)
    a, b = ((common[:, group] + single) / np.sqrt(2) for common, single in zip(shared, own, strict=True))
    return a + shift, b


def labels(n: int) -> NDArray[np.intp]:
    """The group of each of n prompts, in groups of `GROUP_SIZES` in turn."""
    return np.repeat(np.arange(n), np.resize(GROUP_SIZES, n))[:n]


def t3_delta(shift: float) -> float:
    """P(a > b) - P(a < b) for independent a - shift and b with Student's t distribution, by quadrature."""
    at = student(3).ppf((np.arange(200_000) + 0.5) / 200_000)
    return float(2 * student(3).cdf(at + shift).mean() - 1)


def level_truths(rho: float) -> tuple[float, float, float]:
    """The three coefficients of the table of two normal scores cut into five levels each."""
    edges = np.array([-9, *CUTS, 9])
    below = multivariate_normal([0, 0], [[1, rho], [rho, 1]])
    corners = np.array([[below.cdf([x, y]) if min(x, y) > -9 else 0.0 for y in edges] for x in edges])
    table = np.diff(np.diff(corners, axis=0), axis=1)
    table /= table.sum()
    rows, columns = table.sum(1), table.sum(0)

    def moment(u: Floats, v: Floats) -> float:
        u, v = u - rows @ u, v - columns @ v
        return float(u @ table @ v / np.sqrt((rows @ u**2) * (columns @ v**2)))

    sign = np.sign(np.subtract.outer(np.arange(5), np.arange(5)))
    concordance = np.einsum("ij,kl,ik,jl", table, table, sign, sign)
    tau = concordance / np.sqrt((1 - rows @ rows) * (1 - columns @ columns))
    return moment(np.arange(5), np.arange(5)), moment(rows.cumsum() - rows / 2, columns.cumsum() - columns / 2), tau


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for line in section(options.runs, options.seed):
        print(line, flush=True)
