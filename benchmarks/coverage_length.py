"""How often the intervals of the two length-controlled win rates hold the true rate, and how wide they are.

python benchmarks/coverage_length.py --runs 10000 --seed 0
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import norm

from sciexam.stats.alpacaeval import Calibration, alpacaeval_length_controlled
from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.length_control import length_controlled

Floats = NDArray[np.float64]

FLOOR = 0.94
SLOPE = 1.5  # log-odds at d = 1
ALIKE = 0.5  # correlation of the normal scores behind the verdicts in one cluster

ABOUT = """\
## Length-controlled win rate

`length_controlled` on data whose odds follow its model: log-odds theta + 1.5 d, and the truth is the win rate at d = 0.
The lengths are log-normal; "skewed" means that a has the longer answer on 4 of 5 prompts. "Both orders": two verdicts
averaged, so that there are ties; "order bias": the same, by a judge who says "first" up to 80 % more often than the
odds have it. "Probabilities": scores from a beta distribution, most near 0 or 1. "Groups": five prompts each, with
verdicts that go together (correlation 1/2). "Three pairs": on the same prompts, with one slope, at win rates .3, .5 and
the one given; the lowest of the three coverages is shown. "No result" is the share of data sets in which the function
declines (too few prompts on one side of d = 0, or separation): the coverage is among the others. The last two columns
are the slope's.
"""

ABOUT_WRONG = """\
### Where the odds do not follow a straight line in d

The truth is still the win rate at d = 0. "Probit": the win rate is the normal distribution function of a line in d.
"Saturating": log-odds 1.5 tanh(3 d) / 3. "Order bias in log-odds": 1.5 for the answer shown first, both orders
averaged. With enough data the interval narrows about a value that is off: these cells show whether that has begun.
"""

ABOUT_ALPACAEVAL = """\
## AlpacaEval's length-controlled win rate

`alpacaeval_length_controlled` on data that follow its model, with phi = -2, psi = 1, difficulties like AlpacaEval's
(exponential, centred, standard deviation 1.4), scores from a beta distribution with most near 0 or 1, and a model that
is mostly the shorter one. The truth is the mean over the population of prompts.
"""

HEAD = "| scenario | n | win rate | coverage | mean width | no result | slope coverage | slope width |"


@dataclass(frozen=True)
class Scenario:
    name: str
    sizes: tuple[int, ...]
    rates: tuple[float, ...]
    verdicts: Callable[[np.random.Generator, Floats, Floats], Floats]
    skewed: bool = False
    group: int = 1
    curve: Callable[[Floats, Floats], Floats] = lambda at_zero, d: expit(logit(at_zero) + SLOPE * d)


def forced_choice(rng: np.random.Generator, rate: Floats, shared: Floats) -> Floats:
    """1 or 0; `shared` is a standard normal value for each row, the same for the rows of one cluster."""
    level = norm.cdf(np.sqrt(ALIKE) * shared + np.sqrt(1 - ALIKE) * rng.normal(size=len(rate)))
    return np.where(level < rate, 1.0, 0.0)


def both_orders(bias: float) -> Callable[[np.random.Generator, Floats, Floats], Floats]:
    def draw(rng: np.random.Generator, rate: Floats, shared: Floats) -> Floats:
        extra = bias * np.minimum(rate, 1 - rate)
        return (forced_choice(rng, rate + extra, shared) + forced_choice(rng, rate - extra, shared)) / 2

    return draw


def averaged_orders(at_zero: Floats, d: Floats) -> Floats:
    """The mean of two orders by a judge who adds 1.5 log-odds to whichever answer comes first."""
    low, high = np.full(len(d), -20.0), np.full(len(d), 20.0)
    for _ in range(60):  # the log-odds without the bias whose two orders average to the rate at d = 0
        middle = (low + high) / 2
        above = (expit(middle + 1.5) + expit(middle - 1.5)) / 2 > at_zero
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    both: Floats = (expit(low + SLOPE * d + 1.5) + expit(low + SLOPE * d - 1.5)) / 2
    return both


def probabilities(rng: np.random.Generator, rate: Floats, shared: Floats) -> Floats:
    return rng.beta(rate / 2, (1 - rate) / 2)


SCENARIOS = (
    Scenario("forced choice", (50, 200, 1000), (0.5,), forced_choice),
    Scenario("forced choice, skewed", (50, 200), (0.8,), forced_choice, skewed=True),
    Scenario("forced choice, skewed", (50, 200), (0.1,), forced_choice, skewed=True),
    Scenario("both orders", (50, 200), (0.7,), both_orders(0.0)),
    Scenario("order bias, skewed", (50, 200), (0.9,), both_orders(0.8), skewed=True),
    Scenario("probabilities, skewed", (50, 200), (0.9,), probabilities, skewed=True),
    Scenario("groups", (50, 200), (0.7,), forced_choice, group=5),
    Scenario("three pairs, skewed", (50, 200), (0.3, 0.5, 0.9), both_orders(0.4), skewed=True),
)
WRONG = (
    Scenario("probit", (50, 1000), (0.8,), forced_choice, curve=lambda at_zero, d: norm.cdf(norm.ppf(at_zero) + d)),
    Scenario(
        "saturating, skewed",
        (50, 1000),
        (0.8,),
        forced_choice,
        skewed=True,
        curve=lambda at_zero, d: expit(logit(at_zero) + SLOPE * np.tanh(3 * d) / 3),
    ),
    Scenario(
        "order bias in log-odds, skewed", (50, 1000), (0.8,), both_orders(0.0), skewed=True, curve=averaged_orders
    ),
)


class Tally:
    """How often an interval held the truth, and its width."""

    def __init__(self) -> None:
        self.held: list[bool] = []
        self.widths: list[float] = []
        self.undefined = 0

    def add(self, estimate: Estimate | Undefined, truth: float) -> None:
        if isinstance(estimate, Undefined):
            self.undefined += 1
            return
        self.held.append(estimate.low <= truth <= estimate.high)
        self.widths.append(estimate.high - estimate.low)

    @property
    def coverage(self) -> float:
        return float(np.mean(self.held))

    @property
    def width(self) -> float:
        return float(np.mean(self.widths))


def cell(scenario: Scenario, n: int, runs: int, rng: np.random.Generator) -> tuple[list[Tally], Tally]:
    """The tallies of each pair's win rate, and of the slope."""
    pairs = len(scenario.rates)
    pair = np.repeat(np.arange(pairs), n)
    cluster = np.tile(np.arange(n) // scenario.group, pairs)
    truth = np.array(scenario.rates)
    rates, slope = [Tally() for _ in range(pairs)], Tally()
    for _ in range(runs):
        length_a, length_b = rng.lognormal(6, 0.5, (2, n * pairs))
        if scenario.skewed:
            length_a *= np.exp(0.595)  # 4 of 5 longer: norm.ppf(.8) * sqrt(2) * .5
        d = (length_a - length_b) / (length_a + length_b)
        own = rng.normal(size=len(d)) if scenario.group == pairs == 1 else rng.normal(size=n)[cluster]
        rate = scenario.curve(truth[pair], d)
        found = length_controlled(scenario.verdicts(rng, rate, own), length_a, length_b, pair, cluster)
        for q, estimate in found.win_rates.items():
            assert isinstance(q, int | np.integer)
            rates[q].add(estimate, scenario.rates[q])
        slope.add(found.slope, SLOPE)
    return rates, slope


def row(scenario: Scenario, n: int, runs: int, seed: int, place: int, slope_known: bool) -> str:
    rates, slope = cell(scenario, n, runs, np.random.default_rng([seed, place, n]))
    lowest = min(rates, key=lambda tally: tally.coverage)
    missing = np.mean([tally.undefined / runs for tally in rates])
    slopes = f"{shown(slope.coverage)} | {slope.width:.2f}" if slope_known else "| "
    rate = scenario.rates[-1]
    width = np.mean([tally.width for tally in rates])
    return f"| {scenario.name} | {n} | {rate:g} | {shown(lowest.coverage)} | {width:.3f} | {missing:.3f} | {slopes} |"


def alpacaeval_row(n: int, theta: float, runs: int, seed: int) -> str:
    rng = np.random.default_rng([seed, n, round(-100 * theta)])
    population = np.random.default_rng(0).exponential(1.4, 1_000_000) - 1.4
    truth = float(expit(population + theta).mean())
    tally = Tally()
    for _ in range(runs):
        difficulty = rng.exponential(1.4, n) - 1.4
        baseline = rng.normal(2000, 800, n)
        model = baseline - rng.normal(1000, 900, n)
        z = (baseline - model) / 900
        scores = probabilities(rng, expit(-2 * np.tanh(z) + difficulty + theta), z)
        gamed_z = np.concatenate([rng.normal(1.3, 1, n), rng.normal(-0.6, 1, n)])
        twice = np.tile(difficulty, 2)
        gamed = probabilities(rng, expit(-2 * np.tanh(gamed_z) + twice), gamed_z)
        calibration = Calibration([*range(n), *range(n)], gamed, gamed_z, twice)
        tally.add(alpacaeval_length_controlled(range(n), scores, baseline, model, difficulty, calibration), truth)
    missing = tally.undefined / runs
    return f"| AlpacaEval | {n} | {truth:.3f} | {shown(tally.coverage)} | {tally.width:.3f} | {missing:.3f} | | |"


def shown(coverage: float) -> str:
    text = f"{coverage:.4f}".removeprefix("0")
    return text if coverage >= FLOOR else f"**{text}**"


def section(runs: int, seed: int) -> Iterator[str]:
    """The lines of the report, as Markdown."""
    place = 0
    for about, scenarios in ((ABOUT, SCENARIOS), (ABOUT_WRONG, WRONG)):
        yield from (about, HEAD, "|---" * 8 + "|")
        for scenario in scenarios:
            place += 1
            for n in scenario.sizes:
                yield row(scenario, n, runs, seed, place, slope_known=scenarios is SCENARIOS)
        yield ""
    yield from (ABOUT_ALPACAEVAL, HEAD, "|---" * 8 + "|")
    for n, theta in ((200, -3.7), (805, -3.7), (805, -1.9)):
        yield alpacaeval_row(n, theta, runs, seed)
    yield ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000, help="data sets in a cell (default: 10000)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for line in section(options.runs, options.seed):
        print(line, flush=True)


if __name__ == "__main__":
    main()
