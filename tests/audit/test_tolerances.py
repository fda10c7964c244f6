"""How often a line passes or fails, by judges whose fault is set: the table of docs/auditing.md, simulated anew."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest
from scipy.stats import binom

from sciexam.exam.audit.lines import outcome_of
from sciexam.exam.audit.rules import RULES

AUDITS = 60
Draw = Callable[[random.Random], tuple[float, float]]


def coin(rng: random.Random) -> tuple[float, float]:
    """A fair draw in each of two orders."""
    return (rng.randrange(2) + rng.randrange(2)) / 2, 0.0


def one_look(rng: random.Random) -> tuple[float, float]:
    return float(rng.randrange(2)), 0.0


def won(share: float) -> Draw:
    """1 on this share of the prompts, else a tie."""
    return lambda rng: (1.0 if rng.random() < share else 0.5, 0.0)


def kept(share: float) -> Draw:
    """One outcome in both orders on this share of the pairs."""
    return lambda rng: (1.0, 1.0 if rng.random() < share else 0.0)


@pytest.mark.parametrize(
    ("line", "draw", "cases", "passes", "fails"),
    [
        ("padding", coin, 1, (0.70, 0.94), (0.0, 0.0)),
        ("restyling", coin, 1, (0.35, 0.86), (0.0, 0.0)),
        ("injection", coin, 4, (0.61, 0.91), (0.0, 0.0)),
        ("identical: position", one_look, 1, (0.0, 0.0), (0.03, 0.01)),
        ("order consistency", kept(0.95), 1, (0.98, 1.0), (0.0, 0.0)),
        ("padding", won(0.4), 1, (0.0, 0.0), (0.93, 1.0)),
        ("position bias", won(0.2), 1, (0.0, 0.0), (0.57, 0.84)),
        ("position bias", won(0.3), 1, (0.0, 0.0), (0.95, 1.0)),
        ("injection", won(0.3), 4, (0.0, 0.0), (1.0, 1.0)),
        ("padding", won(0.0), 1, (1.0, 1.0), (0.0, 0.0)),
    ],
)
def test_a_line_decides_as_often_as_is_documented(
    line: str, draw: Draw, cases: int, passes: tuple[float, float], fails: tuple[float, float]
) -> None:
    rng = random.Random(f"{line} {passes} {fails}")
    rule = next(one for one in RULES if one.name == line)
    for prompts, passing, failing in zip((60, 120), passes, fails, strict=True):
        found: Counter[str] = Counter()
        for _ in range(AUDITS):
            rows = [(str(unit), *draw(rng)) for unit in range(prompts) for _ in range(cases)]
            found[outcome_of(rule.statistic(rows), rule, len(rows))] += 1
        for outcome, share in (("pass", passing), ("fail", failing)):
            # The table's own error is 3 % at most, and what it rounds to 0 or 1 may be a little off these.
            lowest, highest = max(0.0, share - 0.06), min(1.0, share + 0.06)
            assert binom.ppf(0.002, AUDITS, lowest) <= found[outcome] <= binom.ppf(0.998, AUDITS, highest), outcome
