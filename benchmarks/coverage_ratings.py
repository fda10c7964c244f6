"""How often the intervals and rank ranges of `sciexam.stats.ratings.bradley_terry` hold the truth.

    python benchmarks/coverage_ratings.py --runs 10000 --seed 0

Prints a Markdown section: coverage of the 95 % intervals of ratings relative to the baseline, and of rank ranges; then
how often equal contestants on few prompts are ranked as if they were not.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sciexam.stats.davidson import fit
from sciexam.stats.estimate import Estimate
from sciexam.stats.ratings import bradley_terry

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

FLOOR = 0.94
DRAWS = 400  # for the rank ranges; the shipped default is 10,000
SAMPLE = 400_000  # strengths drawn at once for the truth ...
PARTS = 20  # ... and how often: 1 to 2 million prompts stand for infinitely many

ABOUT = """\
## Ratings: Bradley-Terry with Davidson's ties

Each row: {runs:,} simulated boards, made by `{command}`; the shipped function with {draws} draws. A coverage below .94
is in bold. **Ratings**: the share of intervals, of all contestants against the baseline, that hold the true rating, and
the mean width in points; **least**: the same for the contestant with the lowest share. **Rank ranges**: the share of
contestants whose range holds the true rank; **width**: the mean number of ranks in it. **all**: the share of boards on
which all ranges do. **No rating**: the share of contestants without a finite rating, not counted elsewhere.

Contestants are evenly spaced over 1.2 log strengths (208 points), two equals tie in 20 % of battles, and the baseline
is the second weakest. Every prompt moves each contestant's strength by a normal deviate of sd 0.7, so that the truth is
the fit to infinitely many prompts.

- **one battle**: each pair meets once on each prompt.
- **three judges**: three verdicts on each pair and prompt, in one cluster.
- **two orders**: each pair twice on each prompt, the scores averaged: 0, 1/4, 1/2, 3/4 or 1.
- **near equals**: as one battle, over 0.03 log strengths.
- **far apart**: as one battle, over 4 log strengths.
- **sparse**: one pair, chosen at random, on each prompt, five times as many prompts as the row says.
- **newcomer**: as one battle, but the strongest contestant was met on 20 prompts only.
"""

ABOUT_EQUALS = """\
### Ranks of equal contestants on few prompts

On few prompts a contestant often wins or loses all its battles, and has no finite rating: **no rating** is the share of
contestants. Between equals no order is true, so a range that leaves out one of their ranks is false. **False order**:
the share of boards with a false range; **one contestant**: the largest share of false ranges of one contestant.
**Split**: the share of boards with two equals in different tie groups. The shipped function with its own number of
draws. A share above .06 is in bold.

- **equal**: each pair meets once on each prompt, and each of the two is as likely to win.
- **dominated**: as equal, with one more contestant who loses every battle. **Last**: how often it is certainly last.
- **bridge**: two equals meet on 60 prompts, so do two others, and one of the first meets one of the others on as many
  prompts as the row says. All four are equal.
"""


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    contestants: tuple[int, ...]
    spread: float = 1.2
    verdicts: int = 1
    averaged: bool = False
    sparse: bool = False
    newcomer: bool = False
    sd: float = 0.7
    sizes: tuple[int, ...] = (50, 200)


SCENARIOS = (
    Scenario("one battle", (4, 8), sizes=(50, 200, 1000)),
    Scenario("three judges", (4,), verdicts=3),
    Scenario("two orders", (4,), verdicts=2, averaged=True),
    Scenario("near equals", (5,), spread=0.03),
    Scenario("far apart", (4,), spread=4.0),
    Scenario("sparse", (8,), sparse=True),
    Scenario("newcomer", (4,), newcomer=True, sizes=(50, 1000)),
)
NU = 0.5  # nu / (2 + nu) = 20 % ties between equals
NEWCOMER = 20
EQUALS = (
    ("equal", 2, 0.0),
    ("equal", 2, NU),
    ("equal", 3, 0.0),
    ("equal", 3, NU),
    ("dominated", 3, 0.0),
    ("bridge", 4, 0.0),
)
FEW = (1, 2, 3, 5, 8, 12, 24)
CEILING = 0.06


def chances(scenario: Scenario, k: int, prompts: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """P(a wins) and P(tie) for each prompt and each pair (a < b), shape (prompts, pairs)."""
    a, b = np.triu_indices(k, 1)
    strength = np.linspace(scenario.spread / 2, -scenario.spread / 2, k)
    moved = strength + scenario.sd * rng.standard_normal((prompts, k))
    half = np.exp((moved[:, a] - moved[:, b]) / 2)
    over = 1 / (half + 1 / half + NU)
    return half * over, NU * over


def expected(scenario: Scenario, win: Floats, tie: Floats) -> tuple[Floats, Floats]:
    """Win and tie weight of one row of each pair, as `bradley_terry` splits scores, averaged over the prompts."""
    if not scenario.averaged:
        return win.mean(0), tie.mean(0)
    # Two verdicts: the average is 1/2 for two ties, and for a win and a loss; it is half a tie for a tie and a side.
    loss = 1 - win - tie
    of_both = tie**2 + 2 * win * loss + tie * (win + loss)
    return (win + tie / 2 - of_both / 2).mean(0), of_both.mean(0)


def truth(scenario: Scenario, k: int, prompts: int) -> Floats:
    """The strengths that infinitely many prompts would give, by the expected points and ties of many."""
    rng = np.random.default_rng(8)
    parts = [expected(scenario, *chances(scenario, k, SAMPLE // k, rng)) for _ in range(PARTS)]
    win, tie = np.mean(parts, axis=0)
    a, b = np.triu_indices(k, 1)
    weight = np.ones(len(a))
    if scenario.newcomer:
        weight[a == 0] = NEWCOMER / prompts
    met, points = np.zeros((k, k)), np.zeros(k)
    met[a, b] = met[b, a] = weight
    np.add.at(points, a, weight * (win + tie / 2))
    np.add.at(points, b, weight * (1 - win - tie / 2))
    return fit(met, points, (weight * tie).sum()).strengths


def battles(
    scenario: Scenario, k: int, prompts: int, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats, NDArray[np.intp]]:
    """a, b, a's score and the prompt of each battle of one board."""
    prompts = prompts * 5 if scenario.sparse else prompts
    a, b = np.triu_indices(k, 1)
    win, tie = chances(scenario, k, prompts, rng)
    u = rng.random((scenario.verdicts, *win.shape))
    score = np.where(u < win, 1.0, np.where(u < win + tie, 0.5, 0.0))
    score = score.mean(0, keepdims=True) if scenario.averaged else score
    seen = np.ones(win.shape, dtype=np.bool_)
    if scenario.sparse:
        seen = np.arange(len(a)) == rng.integers(0, len(a), prompts)[:, None]
    if scenario.newcomer:
        seen = (a > 0) | (np.arange(prompts) < NEWCOMER)[:, None]
    prompt, pair = np.nonzero(np.broadcast_to(seen, win.shape))
    kept = score[:, prompt, pair].ravel()
    times = len(score)
    return np.tile(a[pair], times), np.tile(b[pair], times), kept, np.tile(prompt, times)


def section(runs: int, seed: int) -> Iterator[str]:
    command = f"python benchmarks/coverage_ratings.py --runs {runs} --seed {seed}"
    yield ABOUT.format(runs=runs, draws=DRAWS, command=command)
    yield (
        "| scenario | contestants | prompts | coverage | least | width, points "
        "| rank ranges | least | width | all | no rating |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    for scenario in SCENARIOS:
        for k in scenario.contestants:
            for prompts in scenario.sizes:
                yield row(scenario, k, prompts, runs, seed)
    yield "\n" + ABOUT_EQUALS
    yield "| scenario | equals | ties | prompts | false order | one contestant | split | no rating | last |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name, equals, nu in EQUALS:
        for prompts in FEW:
            yield row_of_equals(name, equals, nu, prompts, runs, seed)


def row(scenario: Scenario, k: int, prompts: int, runs: int, seed: int) -> str:
    rng = np.random.default_rng(seed)
    baseline = k - 2
    true = truth(scenario, k, prompts)
    gaps, ranks = true - true[baseline], np.argsort(np.argsort(-true)) + 1
    held, rated, widths = np.zeros(k), np.zeros(k), 0.0
    placed, boards, ranges = np.zeros(k), 0, 0.0
    for _ in range(runs):
        a, b, score, prompt = battles(scenario, k, prompts, rng)
        board = bradley_terry(a, b, score, prompt, baseline=baseline, draws=DRAWS)
        by_name = sorted(board.standings, key=lambda standing: standing.name)
        low, high = np.array([(s.rank_low, s.rank_high) for s in by_name]).T
        inside = (low <= ranks) & (ranks <= high)
        placed += inside
        boards += int(inside.all())
        ranges += float((high - low + 1).mean())
        for standing in by_name:
            i, rating = int(standing.name), standing.rating
            if i != baseline and isinstance(rating, Estimate) and board.anchor == baseline:
                points = 1000 + 400 / np.log(10) * gaps[i]
                rated[i] += 1
                held[i] += rating.low <= points <= rating.high
                widths += rating.high - rating.low
    others = np.arange(k) != baseline
    share = held[others] / np.maximum(rated[others], 1)
    missing = 1 - rated.sum() / ((k - 1) * runs)
    return (
        f"| {scenario.name} | {k} | {prompts} | {shown(held.sum() / rated.sum())} | {shown(share.min())} "
        f"| {widths / rated.sum():.0f} | {shown(placed.sum() / (k * runs))} | {shown(placed.min() / runs)} "
        f"| {ranges / runs:.2f} | {boards / runs:.3f} | {missing:.2%} |"
    )


def row_of_equals(name: str, equals: int, nu: float, prompts: int, runs: int, seed: int) -> str:
    rng = np.random.default_rng(seed)
    a, b, prompt, decided = pairings(name, equals, prompts)
    known: dict[bytes, Floats] = {}  # prompts are interchangeable: their order does not matter
    false, split, unrated, last = np.zeros(equals), 0.0, 0.0, 0.0
    boards = 0
    for _ in range(runs):
        u = rng.random(len(a)) * (2 + nu)
        score = np.where(decided, 1.0, np.where(u < 1, 1.0, np.where(u < 2, 0.0, 0.5)))
        if name != "bridge":
            rows = score.reshape(prompts, -1)
            score = rows[np.lexsort(rows.T)].ravel()
        found = known.get(score.tobytes())
        if found is None:
            found = known[score.tobytes()] = false_orders(a, b, score, prompt, equals)
        boards += int(found[:equals].any())
        false += found[:equals]
        split, unrated, last = split + found[-3], unrated + found[-2], last + found[-1]
    shares = [boards / runs, false.max() / runs, split / runs]
    figures = " | ".join(f"**{share:.3f}**" if share > CEILING else f"{share:.3f}" for share in shares)
    certain = f"{last / runs:.1%}" if name == "dominated" else ""
    return (
        f"| {name} | {equals} | {nu / (2 + nu):.0%} | {prompts} | {figures} | {unrated / (equals * runs):.1%} "
        f"| {certain} |"
    )


def pairings(name: str, equals: int, prompts: int) -> tuple[Places, Places, Places, NDArray[np.bool_]]:
    """a, b and the prompt of each battle of one board, and whether a is certain to win."""
    if name == "bridge":
        a, b, times = np.array([0, 2, 2]), np.array([1, 3, 0]), np.array([60, 60, prompts])
        prompt = np.concatenate([np.arange(n) for n in times])
        return np.repeat(a, times), np.repeat(b, times), prompt, np.zeros(times.sum(), dtype=np.bool_)
    a, b = np.triu_indices(equals + (name == "dominated"), 1)
    return (
        np.tile(a, prompts),
        np.tile(b, prompts),
        np.repeat(np.arange(prompts), len(a)),
        np.tile(b == equals, prompts),
    )


def false_orders(a: Places, b: Places, score: Floats, prompt: Places, equals: int) -> Floats:
    """Whether each equal's range leaves out a rank; whether equals are split; how many have no rating; who is last."""
    board = bradley_terry(a, b, score, prompt)
    standings = [board[i] for i in range(equals)]
    false = [s.rank_low > 1 or s.rank_high < equals for s in standings]
    split = len({s.tie_group for s in standings} - {None}) > 1
    unrated = sum(s.strength is None for s in standings)
    last = len(board.standings) > equals and board[equals].rank_low == equals + 1
    return np.array([*false, split, unrated, last], dtype=np.float64)


def shown(coverage: float) -> str:
    text = f"{coverage:.3f}"
    return f"**{text}**" if coverage < FLOOR else text


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for line in section(options.runs, options.seed):
        print(line, flush=True)
