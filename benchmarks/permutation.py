"""How often the sign-flip test gives a p-value of at most a where there is no difference: at most a of the time?

    python benchmarks/permutation.py --runs 10000 --seed 0

Prints Markdown. It measures `sciexam.stats.paired.sign_flip`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from sciexam.stats.paired import sign_flip

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Floats]

ALPHAS = np.array([0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5])
SIZES = (8, 24, 200)
DRAWS = 999  # fewer than by default: the smallest p is then .001
GROUP_SIZES = (1, 2, 3)

ABOUT = """\
## The sign-flip test where there is no difference

{runs:,} simulated data sets in each row, in which either label could as well have been the other; the share whose
p-value is at most a, for some a, and the greatest excess of that share over a, at any a. A test is valid if no share
is greater than a, but for chance. A share more than three standard errors above a is in bold, and so is an
excess above {bound:.4f}, which a valid test passes one time in a thousand at most (Dvoretzky, Kiefer and Wolfowitz).
The test draws {draws} sign patterns, or looks at all of them where at most 14 units have a winner.

**forced**: every prompt has a winner. **ties**: a third of the prompts are tied. **probabilities**: the score is beta
distributed with both parameters 1/2. **groups**: forced choices in groups of 1, 2 and 3 prompts with intraclass
correlation 1/2; the test is told the groups. **groups, untold**: the same, and it is not; this one is not valid.
"""


def section(runs: int, seed: int) -> Iterator[str]:
    """The lines of the report."""
    bound = np.sqrt(np.log(1000) / (2 * runs))
    yield ABOUT.format(runs=runs, draws=DRAWS, bound=bound)
    yield f"| scenario | n | {' | '.join(f'a = {a:g}' for a in ALPHAS)} | greatest excess |"
    yield f"|---|---:|{'---:|' * (len(ALPHAS) + 1)}"
    for number, (scenario, draw) in enumerate(SCENARIOS.items()):
        for n in SIZES:
            p = p_values(scenario, draw, n, runs, [seed, number, n])
            shares = [marked(np.mean(p <= a), a + 3 * np.sqrt(a * (1 - a) / runs), 4) for a in ALPHAS]
            yield f"| {scenario} | {n} | {' | '.join(shares)} | {marked(excess(p), bound, 4)} |"


def p_values(scenario: str, draw: Draw, n: int, runs: int, seed: list[int]) -> Floats:
    """One p-value for each simulated data set, in ascending order."""
    rng = np.random.default_rng(seed)
    clusters = labels(n) if scenario == "groups" else None
    found = [sign_flip(draw(rng, n), clusters, seed=run, draws=DRAWS) for run in range(runs)]
    return np.sort(np.array(found, dtype=np.float64))


def excess(p: Floats) -> float:
    """The greatest value of (share of p at most a) - a over all a, from sorted p."""
    return float(np.max(np.arange(1, len(p) + 1) / len(p) - p))


def marked(share: float, bound: float, digits: int) -> str:
    return f"**{share:.{digits}f}**" if share > bound else f"{share:.{digits}f}"


def labels(n: int) -> NDArray[np.intp]:
    """The group of each of n prompts, in groups of `GROUP_SIZES` in turn."""
    return np.repeat(np.arange(n), np.resize(GROUP_SIZES, n))[:n]


def forced(rng: np.random.Generator, n: int) -> Floats:
    return rng.integers(0, 2, n).astype(np.float64)


def ties(rng: np.random.Generator, n: int) -> Floats:
    return rng.integers(0, 3, n) / 2


def probabilities(rng: np.random.Generator, n: int) -> Floats:
    return rng.beta(0.5, 0.5, n)


def groups(rng: np.random.Generator, n: int) -> Floats:
    chance = rng.beta(0.5, 0.5, n)[labels(n)]  # intraclass correlation 1 / (1/2 + 1/2 + 1)
    return np.where(rng.random(n) < chance, 1.0, 0.0)


SCENARIOS: dict[str, Draw] = {
    "forced": forced,
    "ties": ties,
    "probabilities": probabilities,
    "groups": groups,
    "groups, untold": groups,
}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for line in section(options.runs, options.seed):
        print(line, flush=True)
