"""Ratings of contestants from battles between pairs: Bradley-Terry with Davidson's ties, clustered by prompt."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, replace
from math import exp, log, sqrt

import numpy as np
from numpy.typing import ArrayLike

from sciexam.stats.clusters import Floats
from sciexam.stats.davidson import Fit, Sandwich, sandwich
from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.ranks import Ranks, rank_ranges
from sciexam.stats.rateable import SIDES, Field, Ties, field_of
from sciexam.stats.regularised import linked_ranks
from sciexam.stats.tournament import TINY, Bools, Codes, Intransitivity, Labels, Name, intransitivity

ANCHOR = 1000.0  # points of the baseline, or of the mean contestant
POINTS = 400 / log(10)  # points of one unit of log strength: 400 points are odds of 10 to 1
SPREADLESS = 1e-7  # a standard error of a log strength below this is rounding
LARGEST = 700.0  # exp of more is beyond float64

Figure = Estimate | Undefined
MODELS: dict[Ties, str] = {"davidson": " with Davidson's ties", "half": ", a tie half a win"}


@dataclass(frozen=True, slots=True)
class Standing:
    """One contestant's place.

    `rating` is in points: 400 more are ten times the odds to win, and the anchor has 1000. `strength` is the same as a
    log strength, the anchor at 0; None where the rating has no finite estimate. `rank` is the place as the battles have
    it: by strength, without one by who scored against whom; None where they do not tell it. `rank_low` to `rank_high`
    are the ranks that are possible, with a rating or without. `tie_group` counts from 1, the best; None without a
    rating. `battles` counts the rows it took part in.
    """

    name: Name
    rating: Figure
    strength: float | None
    rank: int | None
    rank_low: int
    rank_high: int
    tie_group: int | None
    battles: int


@dataclass(frozen=True, slots=True, eq=False)
class Ratings:
    """A board: `standings`, the best first.

    `rated`: the names that have a strength, in the order of the rows of `covariance`, of the log strengths relative to
    the anchor, of `freedom`, the degrees of freedom of each, and of `distinct`, whether two certainly differ (all pairs
    at `level`). `anchor`: the baseline's name; None where the mean of the rated is the anchor. `ties`: Davidson's nu;
    two equals tie with probability nu / (2 + nu). `clusters` counts the units behind the rated contestants.
    """

    standings: tuple[Standing, ...]
    anchor: Name | None
    ties: Figure
    intransitivity: Intransitivity
    rated: tuple[Name, ...]
    covariance: Floats
    freedom: Floats
    distinct: Bools
    clusters: int
    level: float
    method: str

    def __getitem__(self, name: Name) -> Standing:
        """The standing of `name`. Raises KeyError for a contestant without battles."""
        for standing in self.standings:
            if standing.name == name:
                return standing
        raise KeyError(name)

    def difference(self, a: Name, b: Name) -> Figure:
        """How many points a is above b, with the interval of this one difference."""
        return _scaled(self._gap(a, b), lambda x: POINTS * x)

    def win_probability(self, a: Name, b: Name) -> Figure:
        """The probability that a beats b if one of them wins: p_a / (p_a + p_b) (Bradley and Terry 1952)."""
        return _scaled(self._gap(a, b), lambda x: 1 / (1 + exp(-x)) if x > 0 else exp(x) / (1 + exp(x)))

    def _gap(self, a: Name, b: Name) -> Figure:
        """The difference in log strength."""
        if a == b:
            raise ValueError(f"{a!r} cannot be compared with itself; name two contestants")
        one, other = self[a], self[b]
        for standing in (one, other):
            if standing.name not in self.rated:
                return standing.rating
        assert one.strength is not None
        assert other.strength is not None
        i, j = self.rated.index(a), self.rated.index(b)
        variance = self.covariance[i, i] + self.covariance[j, j] - 2 * self.covariance[i, j]
        n = min(standing.rating.n for standing in (one, other))
        freedom = float(min(self.freedom[i], self.freedom[j]))
        return _interval(one.strength - other.strength, float(variance), freedom, n, self.level, self.method)


def bradley_terry(
    a: Labels,
    b: Labels,
    scores: ArrayLike,
    clusters: Iterable[Hashable] | None = None,
    *,
    baseline: Name | None = None,
    ties: Ties = "davidson",
    level: float = 0.95,
    seed: int = 0,
    draws: int = 10_000,
) -> Ratings:
    """The board of all contestants in battles (n,): `a`, `b` name the two, `scores` is a's score in [0, 1].

    1 is a win, 0 a loss, 1/2 a tie. Another score s, such as an average of two orders, is split into a win of weight
    max(0, 2s - 1), a loss of weight max(0, 1 - 2s) and a tie of the rest: 3/4 is half a win and half a tie.
    `ties="half"`: a tie is half a win for each, and scores are used as they are: the model of Bradley and Terry (1952).
    So orders averaged give more ties, and strengths further apart, than the same verdicts given one by one.
    `clusters`: one label a battle, the prompt; battles of one prompt, by all judges and in all orders, are one unit.
    Default: each battle is its own.
    `baseline`: the contestant with 1000 points. Default: the mean of the rated contestants has them.

    The model is fitted by maximum likelihood (`sciexam.stats.davidson`). Intervals are t intervals from the jackknife
    sandwich over clusters (`sandwich`), with the contestant's effective number of clusters less 1 as degrees of
    freedom (the smaller of the two for a difference); rank ranges and tie groups are those of
    `sciexam.stats.ranks.rank_ranges` from `draws` draws seeded by `seed`. benchmarks/coverage_ratings.py measures them.

    Who won all its battles, or lost all, has no finite rating, and is left out of the fit, with who is not linked to
    the others: the rated are the largest set in which everybody scored against everybody else, directly or through
    others; the one with the baseline, unless the baseline is alone in its set (then `anchor` is None: the mean is).
    The others have a rating that says why not. Nobody is rated where ties tell nothing of who is stronger, or where the
    odds of two who met are beyond 1e13.
    A run of wins may be chance, so the ranks possible for those without a rating are tested like all others: wherever
    somebody linked by battles has none, the rank ranges of all linked are those of a fit that pseudo clusters keep
    finite (`sciexam.stats.regularised.linked_ranks`). Battles tell nothing of the order of two whom none links.

    Raises ValueError for lengths that differ, scores outside [0, 1] or NaN, missing cluster labels, a contestant that
    meets itself or is no string or integer, a baseline without battles, an unknown `ties`, a level outside (0, 1), and
    draws below 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level!r}")
    if draws < 1:
        raise ValueError(f"draws must be at least 1, not {draws!r}")
    field = field_of(a, b, scores, clusters, baseline, ties)
    circles = intransitivity(field.everything, level)
    inner, anchor, fitted = field.inner, field.anchor, field.fitted
    if isinstance(fitted, Undefined):
        return _nobody(field, fitted, circles, level, _possible(field, None, level, seed, draws))

    robust = sandwich(inner, fitted.strengths, fitted.log_ties)
    # One cluster has no spread; two of very different size would have hardly any degree of freedom.
    freedom = np.where(robust.clusters > 1, np.maximum(robust.effective - 1, 1), 0.0)
    strengths, covariance = _anchored(fitted, robust, anchor)
    ranks = rank_ranges(strengths, covariance, freedom[:-1], level, seed, draws)
    units = "battles" if clusters is None else "prompts"
    method = f"Bradley-Terry{MODELS[ties]}, jackknife sandwich over {units}, t interval"
    ratings = _points(strengths, covariance, robust.clusters, freedom, anchor, level, method)
    possible = _possible(field, ranks, level, seed, draws)
    rated = [
        _rated(field, at, rating, float(strengths[at]), int((strengths > strengths[at] + TINY).sum()), ranks, possible)
        for at, rating in enumerate(ratings)
    ]
    outside = np.setdiff1d(np.arange(len(field.everything.names)), field.core)
    return Ratings(
        standings=_sorted(field, rated + [_unrated(field, i, possible) for i in outside.tolist()]),
        anchor=None if anchor is None else inner.names[anchor],
        ties=_nu(fitted, robust, float(freedom[-1]), ties, level, method),
        intransitivity=circles,
        rated=inner.names,
        covariance=covariance,
        freedom=freedom[:-1],
        distinct=ranks.distinct,
        clusters=int(robust.clusters[-1]),
        level=level,
        method=method,
    )


def _nobody(field: Field, why: Undefined, circles: Intransitivity, level: float, possible: Codes) -> Ratings:
    """The board where nobody can be rated."""
    standings = _sorted(field, [_unrated(field, i, possible) for i in range(len(field.everything.names))])
    nothing = np.empty((0, 0))
    return Ratings(standings, None, why, circles, (), nothing, np.empty(0), nothing > 0, 0, level, f"none: {why.why}")


def _possible(field: Field, rated: Ranks | None, level: float, seed: int, draws: int) -> Codes:
    """The best and the worst rank possible for each contestant, shape (2, k); `rated`: the ranks in the core."""
    k = len(field.everything.names)
    better, worse = np.zeros((2, k), dtype=np.intp)
    for members in field.linked():
        alone = np.array_equal(members, field.core)
        ranks = rated if alone and rated else linked_ranks(field.everything.among(members), level, seed, draws)
        if ranks is not None:
            better[members], worse[members] = ranks.better, ranks.worse
    return np.stack([1 + better, k - worse])


def _anchored(fitted: Fit, robust: Sandwich, anchor: int | None) -> tuple[Floats, Floats]:
    """Strengths and their covariance relative to the anchor; None is the mean."""
    k = len(fitted.strengths)
    contrast = np.eye(k)
    if anchor is not None:
        contrast[:, anchor] -= 1
    return contrast @ fitted.strengths, contrast @ robust.covariance[:k, :k] @ contrast.T


def _points(
    strengths: Floats, covariance: Floats, clusters: Floats, freedom: Floats, anchor: int | None, level: float, how: str
) -> Iterator[Figure]:
    """The ratings, on the scale where the anchor has 1000 points."""
    for i, strength in enumerate(strengths.tolist()):
        n, least = int(clusters[i]), float(freedom[i] if anchor is None else min(freedom[i], freedom[anchor]))
        if i == anchor:
            yield Estimate(ANCHOR, ANCHOR, ANCHOR, level, n, "the baseline, by definition")
        else:
            interval = _interval(strength, float(covariance[i, i]), least, n, level, how)
            yield _scaled(interval, lambda x: ANCHOR + POINTS * x)


def _nu(fitted: Fit, robust: Sandwich, freedom: float, ties: Ties, level: float, how: str) -> Figure:
    n = int(robust.clusters[-1])
    if ties == "half":
        return Undefined("a tie counts as half a win here, and has no parameter", n)
    if not np.isfinite(fitted.log_ties):
        return Undefined("no battle is a tie", n)
    interval = _interval(float(fitted.log_ties), float(robust.covariance[-1, -1]), freedom, n, level, how)
    if isinstance(interval, Estimate) and interval.high > LARGEST:
        return Undefined("too few prompts to give Davidson's tie parameter an upper limit", n)
    return _scaled(interval, exp)


def _interval(value: float, variance: float, freedom: float, n: int, level: float, how: str) -> Figure:
    from scipy.special import stdtrit

    if freedom <= 0:
        return Undefined("all battles of a contestant are of one prompt, and an interval needs two", n)
    if variance < SPREADLESS**2:
        return Undefined("leaving out any one prompt changes nothing: no spread to judge by", n)
    half = -float(stdtrit(freedom, (1 - level) / 2)) * sqrt(variance)
    return Estimate(value, value - half, value + half, level, n, how)


def _scaled(figure: Figure, scale: Callable[[float], float]) -> Figure:
    """An increasing `scale` of the value and its limits."""
    if isinstance(figure, Undefined):
        return figure
    return replace(figure, value=scale(figure.value), low=scale(figure.low), high=scale(figure.high))


def _rated(
    field: Field, at: int, rating: Figure, strength: float, stronger: int, ranks: Ranks, possible: Codes
) -> Standing:
    i = int(field.core[at])
    rank, (low, high) = field.seen(i)[0] + stronger, possible[:, i].tolist()
    return Standing(
        name=field.inner.names[at],
        rating=rating,
        strength=strength,
        rank=rank,
        rank_low=min(low, rank),  # the fit with pseudo clusters may order two the other way round
        rank_high=max(high, rank),
        tie_group=int(ranks.group[at]),
        battles=field.battles(i),
    )


def _unrated(field: Field, i: int, possible: Codes) -> Standing:
    everything = field.everything
    (first, last), (low, high) = field.seen(i), possible[:, i].tolist()
    rank = first if first == last else None
    prompts = everything.cluster[(everything.first == i) | (everything.second == i)]
    return Standing(
        name=everything.names[i],
        rating=Undefined(field.why_not(i), len(np.unique(prompts))),
        strength=None,
        rank=rank,
        rank_low=low if rank is None else min(low, rank),
        rank_high=high if rank is None else max(high, rank),
        tie_group=None,
        battles=field.battles(i),
    )


def _sorted(field: Field, standings: list[Standing]) -> tuple[Standing, ...]:
    """The best first; last, whom nothing orders against the others."""
    place = {name: i for i, name in enumerate(field.everything.names)}

    def key(standing: Standing) -> tuple[int, float, tuple[int, int], int]:
        i = place[standing.name]
        return SIDES.index(field.side(i)), -(standing.strength or 0.0), field.seen(i), i

    return tuple(sorted(standings, key=key))
