"""How often the interval of the win rate holds the true rate, and how wide it is, beside what others use.

    python benchmarks/coverage_win_rate.py --runs 10000 --seed 0

Prints the section that `benchmarks/coverage.py` puts into docs/coverage.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import norm
from scipy.stats import t as student

from sciexam.stats.mean import bounded_interval

Floats = NDArray[np.float64]
Limits = tuple[Floats, Floats]
Draw = Callable[[np.random.Generator, tuple[int, int], float], Floats]  # (runs, prompts) scores with mean rate
Name = tuple[str, int, float]  # scenario, prompts, rate
Cell = dict[str, tuple[float, float]]  # (coverage, mean width) of each method

LEVEL = 0.95
FLOOR, CEILING = 0.94, 0.96
SIZES = (24, 50, 200, 1000)
LARGE = 200  # the units (prompts, or groups of them) from which coverage is to stay below the ceiling too
RATES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
MIDDLE = (0.1, 0.9)  # ... and the rates
GROUP_SIZES = (1, 2, 3)
UNEVEN = (*(1,) * 20, 10)
ORDER_BIAS = 1.5  # added to the logit of whichever answer is shown first
JUDGES = (0.5, 1.0, 1.5)  # the order bias of each of several judges
PROMPT_EFFECT = 2.0  # standard deviation over prompts of the logit that these judges share
RESAMPLES = 999
OURS = "sciexam"
PEERS = ("Wilson, effective n", "t", "bootstrap", "Wilson")
ALPHA = 0.05
MARGINS = {50: (0.15, 0.2), 200: (0.1, 0.15), 1000: (0.05, 0.1)}

ABOUT = """\
## Win rate

Each row: {runs:,} data sets with a known win rate; the share whose interval holds it, and the mean width.

- **coverage**, **mean width**: the shipped code (`sciexam.stats.mean.bounded_interval`, which `win_rate` calls).
- **Wilson, effective n**, the nearest alternative: the score interval at the effective n, the variance taken with one
  win and one loss added, t quantile. It is told the groups, as sciexam is.
- **t** is mean +- t s / sqrt(n), **bootstrap** the percentile bootstrap with {resamples} resamples (not run at
  n = 1000, to save time), **Wilson** the score interval at the number of prompts: each over prompts, blind to groups,
  as they are commonly used.

Scenarios (the rate in a row is the exact expectation of a prompt's score):

- **forced choice**: a score is 1 or 0.
- **ties**: 1, 0 or 1/2; half of all that could be ties at this rate are.
- **mostly ties**: 95 % of all that could be ties at this rate are; at rate .5 that is 95 % of the prompts.
- **order bias**: a forced choice in each order by a judge whose logit is {bias:g} higher for the answer shown first,
  the two averaged to 1, 1/2 or 0. The rate is the expectation of that average, not that of a judge without the bias.
- **several judges**: the same by three judges, with order biases of {judges}, all six averaged. A prompt's logit,
  which the judges share, is normal with standard deviation {effect:g}.
- **probabilities**: a probability in each order, each from a beta distribution with parameters rate and 1 - rate,
  averaged.
- **groups**: forced choices in groups of 1, 2 and 3 prompts with intraclass correlation 1/2.
- **large groups**: the same, in groups of 5 (the last has what is left): 200 prompts are 40 units.
- **uneven groups**: one group of 10 prompts after every 20 single prompts; the prompts of a group all have the same
  outcome, so that a handful of groups holds most of the variance.

The target is a coverage of .94 or more everywhere, and of .96 or less with 200 units (prompts, or groups of them) and
more for rates from .1 to .9. At rates nearer to 0 or 1 a few wins decide, which are whole numbers: there no interval
can stay within .94-.96. With mostly ties at rate .5 and n = 200 ten prompts are not ties; fewer pseudo clusters would
stay below .96 there, and fall below .94 where one contestant wins all ten."""

ABOUT_EQUIVALENCE = """\
### Practical equivalence

The share of data sets that `equivalent` calls equivalent although the true rate is one half plus the margin. This error
is to be at most {alpha:g}; with {runs:,} data sets, shares above {limit:.4f} (three standard errors more) are in
bold. A share of 0 means that so few prompts cannot show so small a margin."""


def forced_choice(rng: np.random.Generator, shape: tuple[int, int], rate: float) -> Floats:
    return np.where(rng.random(shape) < rate, 1.0, 0.0)


def with_ties(share: float) -> Draw:
    def draw(rng: np.random.Generator, shape: tuple[int, int], rate: float) -> Floats:
        ties = share * 2 * min(rate, 1 - rate)
        wins = rate - ties / 2
        u = rng.random(shape)
        return np.where(u < wins, 1.0, np.where(u < wins + ties, 0.5, 0.0))

    return draw


def order_bias(rng: np.random.Generator, shape: tuple[int, int], rate: float) -> Floats:
    biases = np.array([ORDER_BIAS, -ORDER_BIAS])
    logit = logit_of(rate, biases)
    first, second = (forced_choice(rng, shape, expit(logit + bias)) for bias in biases)
    return (first + second) / 2


def several_judges(rng: np.random.Generator, shape: tuple[int, int], rate: float) -> Floats:
    biases = np.array([*JUDGES, *(-bias for bias in JUDGES)])
    nodes, weights = hermegauss(60)
    logit = logit_of(rate, biases + PROMPT_EFFECT * nodes[:, None], weights[:, None] / weights.sum() / len(biases))
    prompts = logit + PROMPT_EFFECT * rng.standard_normal(shape)
    wins = np.zeros(shape)
    for bias in biases:
        wins += rng.random(shape) < expit(prompts + bias)
    return wins / len(biases)


def logit_of(rate: float, effects: Floats, weights: Floats | None = None) -> float:
    """The logit at which the mean of expit(logit + effects) is the rate, by bisection."""
    low, high = -30.0, 30.0
    for _ in range(100):
        logit = (low + high) / 2
        chance = expit(logit + effects)
        average = chance.mean() if weights is None else (weights * chance).sum()
        low, high = (logit, high) if average < rate else (low, logit)
    return logit


def probabilities(rng: np.random.Generator, shape: tuple[int, int], rate: float) -> Floats:
    both: Floats = rng.beta(rate, 1 - rate, (2, *shape))
    average: Floats = both.mean(0)
    return average


def labels(n: int, sizes: tuple[int, ...]) -> NDArray[np.intp]:
    """The group of each of n prompts, in groups of `sizes` in turn."""
    return np.repeat(np.arange(n), np.resize(sizes, n))[:n]


def grouped(sizes: tuple[int, ...], alike: bool = False) -> Draw:
    def draw(rng: np.random.Generator, shape: tuple[int, int], rate: float) -> Floats:
        group = labels(shape[1], sizes)
        if alike:
            return forced_choice(rng, (shape[0], group[-1] + 1), rate)[:, group]
        chance = rng.beta(rate, 1 - rate, (shape[0], group[-1] + 1))  # intraclass correlation 1 / (1 + 1)
        return np.where(rng.random(shape) < chance[:, group], 1.0, 0.0)

    return draw


SCENARIOS: dict[str, tuple[Draw, tuple[int, ...]]] = {
    "forced choice": (forced_choice, (1,)),
    "ties": (with_ties(0.5), (1,)),
    "mostly ties": (with_ties(0.95), (1,)),
    "order bias": (order_bias, (1,)),
    "several judges": (several_judges, (1,)),
    "probabilities": (probabilities, (1,)),
    "groups": (grouped(GROUP_SIZES), GROUP_SIZES),
    "large groups": (grouped((5,)), (5,)),
    "uneven groups": (grouped(UNEVEN, alike=True), UNEVEN),
}


def draw_totals(
    scenario: str, n: int, rate: float, runs: int, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """The scores (runs, n), their sums over groups (runs, groups), and the prompts in each group (groups,)."""
    draw, sizes = SCENARIOS[scenario]
    scores = draw(rng, (runs, n), rate)
    group = labels(n, sizes)
    totals = np.add.reduceat(scores, np.flatnonzero(np.diff(group, prepend=-1)), axis=1)
    return scores, totals, np.bincount(group).astype(float)


def wilson_effective(totals: Floats, sizes: Floats) -> Limits:
    n, size = len(sizes), sizes.mean()
    value = totals.sum(1) / sizes.sum()
    regular = (totals.sum(1) + size) / (sizes.sum() + 2 * size)
    squares = ((totals - regular[:, None] * sizes) ** 2).sum(1) + size**2 * (regular**2 + (1 - regular) ** 2)
    variance = squares / size**2 / (n + 1)
    return score_interval(value, n * regular * (1 - regular) / variance, student.ppf((1 + LEVEL) / 2, n - 1))


def t_interval(scores: Floats) -> Limits:
    n = scores.shape[1]
    value = scores.mean(1)
    half = student.ppf((1 + LEVEL) / 2, n - 1) * scores.std(1, ddof=1) / np.sqrt(n)
    return value - half, value + half


def bootstrap(scores: Floats, rng: np.random.Generator) -> Limits:
    """One set of resamples serves all data sets of a cell: their means are then one matrix product."""
    n = scores.shape[1]
    weights = rng.multinomial(n, np.full(n, 1 / n), RESAMPLES) / n
    tail = round((1 - LEVEL) / 2 * (RESAMPLES + 1))
    means = np.partition(scores @ weights.T, (tail - 1, RESAMPLES - tail), axis=1)
    return means[:, tail - 1], means[:, -tail]


def score_interval(value: Floats, n: Floats | int, z: float) -> Limits:
    """Wilson 1927."""
    centre = (value + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(value * (1 - value) / n + z * z / (4 * n * n))
    return centre - half, centre + half


def cell(scenario: str, n: int, rate: float, runs: int, seed: int) -> Cell:
    rng = np.random.default_rng([seed, list(SCENARIOS).index(scenario), n, round(1000 * rate)])
    scores, totals, sizes = draw_totals(scenario, n, rate, runs, rng)
    limits = {
        OURS: bounded_interval(totals, sizes, LEVEL)[1:],
        "Wilson, effective n": wilson_effective(totals, sizes),
        "t": t_interval(scores),
        "Wilson": score_interval(scores.mean(1), n, norm.ppf((1 + LEVEL) / 2)),
    }
    if n < 1000:
        limits["bootstrap"] = bootstrap(scores, rng)
    return {
        method: (float(np.mean((low - 1e-12 <= rate) & (rate <= high + 1e-12))), float(np.mean(high - low)))
        for method, (low, high) in limits.items()
    }


def called_equivalent(scenario: str, n: int, margin: float, runs: int, seed: int) -> float:
    """The share that `sciexam.stats.equivalence.equivalent`, whose interval this is, would call equivalent."""
    rng = np.random.default_rng([seed, 1, list(SCENARIOS).index(scenario), n, round(1000 * margin)])
    _, totals, sizes = draw_totals(scenario, n, 0.5 + margin, runs, rng)
    _, low, high = bounded_interval(totals, sizes, 1 - 2 * ALPHA, cautious=True)
    return float(np.mean((0.5 - margin < low) & (high < 0.5 + margin)))


def shown(coverage: float) -> str:
    text = f"{coverage:.4f}".removeprefix("0")
    return text if coverage >= FLOOR else f"**{text}**"


def targeted(name: Name) -> bool:
    """Whether the cell's coverage is to lie within .94-.96."""
    scenario, n, rate = name
    units = labels(n, SCENARIOS[scenario][1])[-1] + 1
    return bool(units >= LARGE and MIDDLE[0] <= rate <= MIDDLE[1])


def summary(cells: dict[Name, Cell]) -> Iterator[str]:
    yield "| method | lowest coverage | cells below .94 | of those with a target: .94-.96 | mean width, n <= 200 |"
    yield "|---|---|---|---|---|"
    for method in (OURS, *PEERS):
        rows = {name: row[method] for name, row in cells.items() if method in row}
        coverage = np.array([row[0] for row in rows.values()])
        aimed = [FLOOR <= row[0] <= CEILING for name, row in rows.items() if targeted(name)]
        width = np.mean([row[1] for name, row in rows.items() if name[1] <= 200])
        below = f"{np.count_nonzero(coverage < FLOOR)} of {len(rows)}"
        yield f"| {method} | {shown(coverage.min())} | {below} | {sum(aimed)} of {len(aimed)} | {width:.4f} |"


def outside(cells: dict[Name, Cell]) -> Iterator[str]:
    """The cells that miss the target, with their coverage, a line for each scenario and n."""
    missed: dict[tuple[str, int], list[str]] = {}
    for name, row in cells.items():
        if targeted(name) and not FLOOR <= row[OURS][0] <= CEILING:
            missed.setdefault(name[:2], []).append(f"{shown(row[OURS][0])} at {name[2]:g}")
    if not missed:
        yield "No cell misses the target."
        return
    yield "These miss the target (coverage at rate):"
    yield ""
    for (scenario, n), which in missed.items():
        yield f"- {scenario}, n = {n}: {', '.join(which)}"


def table(cells: dict[Name, Cell]) -> Iterator[str]:
    yield f"| scenario | n | rate | coverage | mean width | {' | '.join(PEERS)} |"
    yield "|---" * (5 + len(PEERS)) + "|"
    for (scenario, n, rate), row in cells.items():
        peers = " | ".join(shown(row[peer][0]) if peer in row else "" for peer in PEERS)
        yield f"| {scenario} | {n} | {rate:g} | {shown(row[OURS][0])} | {row[OURS][1]:.4f} | {peers} |"


def equivalence(runs: int, seed: int) -> Iterator[str]:
    limit = ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / runs)
    yield ABOUT_EQUIVALENCE.format(alpha=ALPHA, runs=runs, limit=limit)
    yield ""
    heads = [(n, margin) for n, margins in MARGINS.items() for margin in margins]
    yield "| scenario | " + " | ".join(f"n = {n}, margin {margin:g}" for n, margin in heads) + " |"
    yield "|---" * (1 + len(heads)) + "|"
    for scenario in SCENARIOS:
        shares = [called_equivalent(scenario, *head, runs, seed) for head in heads]
        cells = [f"**{share:.4f}**" if share > limit else f"{share:.4f}" for share in shares]
        yield f"| {scenario} | " + " | ".join(cells) + " |"


def section(runs: int, seed: int) -> Iterator[str]:
    """The report, line by line, of `runs` data sets a cell."""
    names = [(scenario, n, rate) for scenario in SCENARIOS for n in SIZES for rate in RATES]
    cells = {name: cell(*name, runs, seed) for name in names}
    judges = f"{', '.join(f'{bias:g}' for bias in JUDGES[:-1])} and {JUDGES[-1]:g}"
    yield ABOUT.format(runs=runs, resamples=RESAMPLES, bias=ORDER_BIAS, judges=judges, effect=PROMPT_EFFECT)
    yield ""
    yield from summary(cells)
    yield ""
    yield from outside(cells)
    yield ""
    yield from equivalence(runs, seed)
    yield ""
    yield "### Every cell"
    yield ""
    yield from table(cells)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000, help="data sets in a cell (default: 10000)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for line in section(options.runs, options.seed):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
