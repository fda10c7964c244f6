"""Tests of a pair on the same prompts, with corrections where one command compares several pairs."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciexam.stats.clusters import Floats, cluster_totals, codes_of, finite_vector
from sciexam.stats.win_rate import unit_scores

EXACT = 14  # up to 2**14 sign patterns are all looked at, which is quicker than to draw 9,999 of them
BLOCK = 2**12  # units whose signs are drawn together, eight in a byte
CELLS = 2**20  # bytes of signs held in memory at once
# The signs of eight units for each value of a byte, shape (8, 256).
SIGNS = 2.0 * (np.arange(256) >> np.arange(8)[:, None] & 1) - 1


def sign_flip(
    scores: ArrayLike, clusters: Iterable[Hashable] | None = None, seed: int = 0, draws: int = 9_999
) -> float | None:
    """The two-sided p-value of "the two contestants' labels are exchangeable", by flipping signs.

    Under it the score s of a prompt could as well have been 1 - s, so the sign of s - 1/2 is a fair coin (Fisher 1935).
    `scores`, shape (n,), in [0, 1]; `clusters` as in `win_rate`: the scores of one cluster flip together.
    With at most 14 clusters that are not exactly one half every sign pattern is looked at, and p is the share of
    patterns at least as far from one half as the data. With more, p = (1 + b) / (1 + draws), where b of `draws` random
    patterns are (Phipson & Smyth 2010), drawn from `seed`. The order of the prompts does not matter.
    1.0 where every score is one half; None for no prompt. Raises ValueError as `win_rate` does, and for draws < 1.
    """
    return sign_flip_differences(unit_scores(scores) - 0.5, clusters, seed, draws)


def sign_flip_differences(
    differences: ArrayLike, clusters: Iterable[Hashable] | None = None, seed: int = 0, draws: int = 9_999
) -> float | None:
    """The two-sided p-value of "the two contestants' labels are exchangeable", from differences without bounds.

    `differences`, shape (n,): what one contestant has more than the other on each prompt; under the null its sign is a
    fair coin. Also a test that the differences are symmetric around 0. The rest is as in `sign_flip`, which flips the
    scores' distances from one half. Signed ranks as differences make it Wilcoxon's signed-rank test.
    Raises ValueError for NaN, infinities and draws < 1.
    """
    if draws < 1:
        raise ValueError(f"draws must be at least 1, not {draws!r}")
    differences = finite_vector(differences, "differences")
    if len(differences) == 0:
        return None
    # A power of two changes no digit, and keeps sums of the largest numbers finite.
    totals, _ = cluster_totals(np.ldexp(differences, -int(np.frexp(np.abs(differences).max())[1])), clusters)
    distances = np.sort(np.abs(totals))
    # Sums of the same terms in another order differ in the last bits: an equal pattern must count as equal.
    slack = 1e-10 * float(distances.sum())
    distances = distances[distances > slack / len(distances)]
    observed = abs(float(totals.sum())) - slack
    if len(distances) <= EXACT:
        patterns = np.arange(2 ** len(distances))[:, None] >> np.arange(len(distances)) & 1
        return float(np.mean(np.abs((2 * patterns - 1) @ distances) >= observed))
    return (1 + _as_far(distances, observed, seed, draws)) / (1 + draws)


def _as_far(distances: Floats, observed: float, seed: int, draws: int) -> int:
    """How many of `draws` random sign patterns give a sum at least `observed` away from zero.

    A random byte holds the signs of eight units, and their sum is looked up among the 256 that there can be.
    """
    rng, sums = np.random.default_rng(seed), np.zeros(draws)
    for start in range(0, len(distances), BLOCK):
        block = distances[start : start + BLOCK]
        eights = np.pad(block, (0, -len(block) % 8)).reshape(-1, 8)
        table, first = (eights @ SIGNS).ravel(), 256 * np.arange(len(eights))
        rows = CELLS // len(eights)
        for row in range(0, draws, rows):
            some = sums[row : row + rows]
            some += table[first + rng.integers(0, 256, (len(some), len(eights)), dtype=np.uint8)].sum(1)
    return int(np.count_nonzero(np.abs(sums) >= observed))


@dataclass(frozen=True, slots=True)
class McNemar:
    """Two contestants' right and wrong answers to the same prompts, counted, with McNemar's exact p-value."""

    p_value: float | None
    both: int
    only_first: int
    only_second: int
    neither: int


def mcnemar(first: ArrayLike, second: ArrayLike, clusters: Iterable[Hashable] | None = None) -> McNemar:
    """McNemar's exact test that two contestants are right equally often on the same prompts (1947, Psychometrika 12).

    `first`, `second`, shape (n,): True (or 1) where that contestant is right on the prompt. Of the prompts on which
    just one is right each is as likely to be right; p is the two-sided binomial probability of so uneven a split.
    1.0 where they never differ, None for no prompt.
    Raises ValueError for lengths that differ, for values other than true and false (a tie has no place in this test),
    and for `clusters` in which prompts share a label: it takes prompts as independent, where `sign_flip` need not.
    """
    from scipy.stats import binomtest

    right, also = _booleans(first, "first"), _booleans(second, "second")
    if len(right) != len(also):
        raise ValueError(f"{len(right)} answers of the first but {len(also)} of the second")
    if clusters is not None and len(np.unique(codes_of(clusters, len(right)))) < len(right):
        raise ValueError("McNemar's test takes every prompt as independent; with clusters use sign_flip")
    only_first, only_second = int((right & ~also).sum()), int((also & ~right).sum())
    p = None if len(right) == 0 else 1.0
    if only_first + only_second:
        p = float(binomtest(only_first, only_first + only_second).pvalue)
    return McNemar(p, int((right & also).sum()), only_first, only_second, int((~right & ~also).sum()))


def _booleans(values: ArrayLike, name: str) -> NDArray[np.bool_]:
    vector = finite_vector(values, name)
    if not np.isin(vector, (0, 1)).all():
        raise ValueError(f"{name} must be true or false for each prompt")
    return np.asarray(vector == 1)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down adjusted p-values, in the order given (Holm 1979).

    None marks a comparison without a test: it stays None and is not counted in the family.
    Raises ValueError for a p-value outside [0, 1] or NaN.
    """
    tested = [(p, place) for place, p in enumerate(p_values) if p is not None]
    if any(not 0 <= p <= 1 for p, _ in tested):
        raise ValueError("p-values must lie in [0, 1]")
    adjusted: list[float | None] = [None] * len(p_values)
    running = 0.0
    for rank, (p, place) in enumerate(sorted(tested)):
        running = max(running, min(1.0, (len(tested) - rank) * p))
        adjusted[place] = running
    return adjusted


def benjamini_hochberg(p_values: Sequence[float | None]) -> list[float | None]:
    """Benjamini and Hochberg's adjusted p-values, in the order given (1995, J. R. Stat. Soc. B 57:289).

    To call those at most q real keeps the expected share of false ones among them at or below q, if the tests are
    independent or positively dependent (Benjamini & Yekutieli 2001); where they may not be: `benjamini_yekutieli`.
    None marks a comparison without a test, as in `holm`. Raises ValueError for a p-value outside [0, 1] or NaN.
    """
    return _step_up(p_values, 1.0)


def benjamini_yekutieli(p_values: Sequence[float | None]) -> list[float | None]:
    """Benjamini and Yekutieli's adjusted p-values, in the order given (2001, Annals of Statistics 29:1165).

    As `benjamini_hochberg`, but right under any dependence between the m tests, at the price of the factor
    1 + 1/2 + ... + 1/m. None marks a comparison without a test. Raises ValueError for a p-value outside [0, 1] or NaN.
    """
    tested = sum(p is not None for p in p_values)
    return _step_up(p_values, sum(1 / rank for rank in range(1, tested + 1)))


def _step_up(p_values: Sequence[float | None], factor: float) -> list[float | None]:
    """For the p-value of rank j among m: the least factor m p_(k) / k over the ranks k >= j, at most 1."""
    places = [place for place, p in enumerate(p_values) if p is not None]
    tested = np.array([p for p in p_values if p is not None], dtype=np.float64)
    if not ((tested >= 0) & (tested <= 1)).all():
        raise ValueError("p-values must lie in [0, 1]")
    falling = np.argsort(-tested, kind="stable")
    ranks = np.arange(len(tested), 0, -1)
    least = np.minimum(np.minimum.accumulate(factor * len(tested) * tested[falling] / ranks), 1.0)
    adjusted: list[float | None] = [None] * len(p_values)
    for rank, p in zip(falling, least, strict=True):
        adjusted[places[rank]] = float(p)
    return adjusted
