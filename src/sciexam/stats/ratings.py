"""Ratings of contestants from battles between pairs: Bradley-Terry with Davidson's ties, clustered by prompt."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, replace
from math import exp, log, sqrt
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from sciexam.stats.clusters import Floats
from sciexam.stats.davidson import CELLS, Fit, Sandwich, fit, sandwich, unbounded_ties
from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.ranks import Ranks, rank_ranges
from sciexam.stats.tournament import (
    TINY,
    Bools,
    Codes,
    Intransitivity,
    Labels,
    Name,
    Tournament,
    fold,
    intransitivity,
    reaches,
)

ANCHOR = 1000.0  # points of the baseline, or of the mean contestant
POINTS = 400 / log(10)  # points of one unit of log strength: 400 points are odds of 10 to 1
SPREADLESS = 1e-7  # a standard error of a log strength below this is rounding

Ties = Literal["davidson", "half"]
Figure = Estimate | Undefined


@dataclass(frozen=True, slots=True)
class Standing:
    """One contestant's place.

    `rating` is in points: 400 more are ten times the odds to win, and the anchor has 1000. `strength` is the same as a
    log strength, the anchor at 0; None where the rating has no finite estimate. `rank` is the place by strength, None
    where the battles do not tell it; `rank_low` to `rank_high` are the possible ones. `tie_group` counts from 1, the
    best; None without a rating. `battles` counts the rows it took part in.
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


MODELS = {"davidson": " with Davidson's ties", "half": ", a tie half a win"}


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
    The others have a rating that says why not, and the ranks that are possible for them.

    Raises ValueError for lengths that differ, scores outside [0, 1] or NaN, missing cluster labels, a contestant that
    meets itself, a baseline without battles, an unknown `ties`, a level outside (0, 1), and draws below 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level!r}")
    field = _field(a, b, scores, clusters, baseline, ties, draws)
    circles = intransitivity(field.everything, level)
    units = "battles" if clusters is None else "prompts"
    if field.why is not None:
        standings = _sorted(field, [_unrated(field, i) for i in range(len(field.everything.names))])
        nothing, why = np.empty((0, 0)), Undefined(field.why)
        method = f"none: {field.why}"
        return Ratings(standings, None, why, circles, (), nothing, np.empty(0), nothing > 0, 0, level, method)

    inner, anchor = field.inner, field.anchor
    fitted = fit(inner.met, inner.scored.sum(1), inner.tied.sum() / 2)
    robust = sandwich(inner, fitted.strengths, fitted.log_ties)
    # One cluster has no spread; two of very different size would have hardly any degree of freedom.
    freedom = np.where(robust.clusters > 1, np.maximum(robust.effective - 1, 1), 0.0)
    strengths, covariance = _anchored(fitted, robust, anchor)
    ranks = rank_ranges(strengths, covariance, freedom[:-1], level, seed, draws)
    method = f"Bradley-Terry{MODELS[ties]}, jackknife sandwich over {units}, t interval"
    ratings = _points(strengths, covariance, robust.clusters, freedom, anchor, level, method)
    rated = [
        _rated(field, at, rating, float(strengths[at]), int((strengths > strengths[at] + TINY).sum()), ranks)
        for at, rating in enumerate(ratings)
    ]
    others = [_unrated(field, i) for i in range(len(field.everything.names)) if i not in set(field.core.tolist())]
    return Ratings(
        standings=_sorted(field, rated + others),
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


def bootstrap_ratings(
    a: Labels,
    b: Labels,
    scores: ArrayLike,
    clusters: Iterable[Hashable] | None = None,
    *,
    baseline: Name | None = None,
    ties: Ties = "davidson",
    seed: int = 0,
    draws: int = 1000,
) -> tuple[tuple[Name, ...], Floats]:
    """The names that `bradley_terry` rates, and their log strengths in resamples of the clusters, shape (<= draws, k).

    A check on its intervals, with the same arguments. Each resample draws as many clusters as there are, with
    replacement, and fits the model to them. Resamples in which a strength has no finite estimate are left out: many of
    these mean that the interval is not to be trusted. No row where the battles themselves have no fit.
    """
    field = _field(a, b, scores, clusters, baseline, ties, draws)
    inner = field.inner
    if field.why is not None:
        return inner.names, np.empty((0, len(inner.names)))
    full = fit(inner.met, inner.scored.sum(1), inner.tied.sum() / 2)
    resamples = _resamples(inner, np.random.default_rng(seed), draws)
    strengths = np.concatenate([_refitted(met, scored, tied, full) for met, scored, tied in resamples])
    return inner.names, strengths if field.anchor is None else strengths - strengths[:, [field.anchor]]


def _resamples(inner: Tournament, rng: np.random.Generator, draws: int) -> Iterator[tuple[Floats, Floats, Floats]]:
    """Bootstrap samples of the clusters: battles met (d, k, k), points scored (d, k, k) and ties (d,)."""
    from scipy.sparse import csr_array

    k, n_clusters = len(inner.names), int(inner.cluster[-1]) + 1
    pair = inner.first * k + inner.second
    pairs, row = np.unique(pair, return_inverse=True)
    shape = len(pairs), n_clusters
    battles = csr_array((inner.battles, (row, inner.cluster)), shape)
    points = csr_array((inner.points, (row, inner.cluster)), shape)
    ties = np.bincount(inner.cluster, inner.ties).astype(np.float64, copy=False)
    rows = max(1, min(CELLS // k**2, 8 * CELLS // n_clusters))
    for start in range(0, draws, rows):
        size = min(rows, draws - start)
        chosen = rng.integers(0, n_clusters, (size, n_clusters)) + n_clusters * np.arange(size)[:, None]
        weights = np.bincount(chosen.ravel(), minlength=size * n_clusters).reshape(size, n_clusters)
        weights = np.ascontiguousarray(weights.T, dtype=np.float64)
        met, scored = np.zeros((size, k * k)), np.zeros((size, k * k))
        back = pairs % k * k + pairs // k
        met[:, pairs] = met[:, back] = (battles @ weights).T
        scored[:, pairs] = (points @ weights).T
        scored[:, back] = met[:, pairs] - scored[:, pairs]
        yield met.reshape(-1, k, k), scored.reshape(-1, k, k), ties @ weights


def _refitted(met: Floats, scored: Floats, ties: Floats, start: Fit) -> Floats:
    """Strengths (at most d, k) of those resamples that have them."""
    linked = reaches(scored).all((-2, -1))
    if not linked.any():
        return np.empty((0, met.shape[-1]))
    fitted = fit(met[linked], scored[linked].sum(-1), ties[linked], start)
    return fitted.strengths[fitted.finite]


@dataclass(frozen=True, slots=True, eq=False)
class _Field:
    """Who can be rated: `core` has their places in `everything`, `inner` their battles, `anchor` is a place in it.

    `reach` (k, k): who scored against whom, directly or through others. `why`: the reason if nobody can be rated.
    """

    everything: Tournament
    reach: Bools
    core: Codes
    inner: Tournament
    anchor: int | None
    why: str | None

    @property
    def above(self) -> Bools:
        """[i, j]: j is above i, having scored against it, directly or through others, and never the other way round."""
        return self.reach.T & ~self.reach


def _field(
    a: Labels,
    b: Labels,
    scores: ArrayLike,
    clusters: Iterable[Hashable] | None,
    baseline: Name | None,
    ties: Ties,
    draws: int,
) -> _Field:
    if ties not in MODELS:
        raise ValueError(f"ties must be 'davidson' or 'half', not {ties!r}")
    if draws < 1:
        raise ValueError(f"draws must be at least 1, not {draws!r}")
    everything = fold(a, b, scores, clusters)
    if baseline is not None and baseline not in everything.names:
        raise ValueError(f"baseline {baseline!r} has no battle; contestants: {', '.join(map(str, everything.names))}")
    if ties == "half":
        everything = everything.without_ties()
    reach = reaches(everything.scored)
    core = _core(everything, reach, baseline)
    inner = everything.among(core)
    anchor = inner.names.index(baseline) if baseline is not None and baseline in inner.names else None
    return _Field(everything, reach, core, inner, anchor, _unfit(inner))


def _core(everything: Tournament, reach: Bools, baseline: Name | None) -> Codes:
    """The places of the contestants to rate: the largest set of those who all reach each other, two at least.

    Of sets as large, the one with most battles, then the first by name.
    """
    mutual = reach & reach.T
    if baseline is not None:
        with_baseline = np.flatnonzero(mutual[everything.names.index(baseline)])
        if len(with_baseline) > 1:
            return with_baseline
    battles = everything.met.sum(1)
    sets = [np.flatnonzero(row) for i, row in enumerate(mutual) if row.argmax() == i and row.sum() > 1]
    return max(sets, key=lambda members: (len(members), battles[members].sum()), default=np.empty(0, dtype=np.intp))


def _unfit(inner: Tournament) -> str | None:
    if len(inner.names) < 2:
        return "no two contestants scored against each other, directly or through others"
    if not unbounded_ties(inner.scored, inner.tied):
        return None
    if (inner.tied > inner.met - TINY).all():
        return "every battle is a tie: nothing tells how strong the contestants are"
    return "where contestants tie, at most one of them ever wins: Davidson's tie parameter has no finite estimate"


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
    return _scaled(_interval(float(fitted.log_ties), float(robust.covariance[-1, -1]), freedom, n, level, how), exp)


def _interval(value: float, variance: float, freedom: float, n: int, level: float, how: str) -> Figure:
    from scipy.special import stdtrit

    if freedom <= 0:
        return Undefined("all battles of a contestant are of one prompt, and an interval needs two", n)
    if variance < SPREADLESS**2:
        return Undefined("all prompts give the same result: no spread to judge by", n)
    half = -float(stdtrit(freedom, (1 - level) / 2)) * sqrt(variance)
    return Estimate(value, value - half, value + half, level, n, how)


def _scaled(figure: Figure, scale: Callable[[float], float]) -> Figure:
    """An increasing `scale` of the value and its limits."""
    if isinstance(figure, Undefined):
        return figure
    return replace(figure, value=scale(figure.value), low=scale(figure.low), high=scale(figure.high))


def _rated(field: _Field, at: int, rating: Figure, strength: float, stronger: int, ranks: Ranks) -> Standing:
    i, above = int(field.core[at]), field.above
    first, last = 1 + int(above[i].sum()), len(above) - int(above[:, i].sum())
    return Standing(
        name=field.inner.names[at],
        rating=rating,
        strength=strength,
        rank=first + stronger,
        rank_low=first + int(ranks.better[at]),
        rank_high=last - int(ranks.worse[at]),
        tie_group=int(ranks.group[at]),
        battles=_battles(field, i),
    )


def _unrated(field: _Field, i: int) -> Standing:
    above, everything = field.above, field.everything
    low, high = 1 + int(above[i].sum()), len(above) - int(above[:, i].sum())
    prompts = everything.cluster[(everything.first == i) | (everything.second == i)]
    why = field.why if field.why is not None and i in field.core else _why(field, i)
    return Standing(
        name=everything.names[i],
        rating=Undefined(why, len(np.unique(prompts))),
        strength=None,
        rank=low if low == high else None,
        rank_low=low,
        rank_high=high,
        tie_group=None,
        battles=_battles(field, i),
    )


def _battles(field: _Field, i: int) -> int:
    return round(float(field.everything.met[i].sum()))


def _why(field: _Field, i: int) -> str:
    """Why a contestant outside the rated set has no finite rating."""
    battles, points = _battles(field, i), float(field.everything.scored[i].sum())
    if points > battles - TINY:
        return f"won all its battles ({battles}): its rating has no upper limit"
    if points < TINY:
        return f"lost all its battles ({battles}): its rating has no lower limit"
    side = _side(field, i)
    if field.why is not None:
        return field.why
    if side == "above":
        return "never lost to the rated contestants, directly or through others: its rating has no upper limit"
    if side == "below":
        return "never scored against the rated contestants, directly or through others: its rating has no lower limit"
    return "no chain of battles orders it against the rated contestants"


SIDES = ("above", "among", "below", "apart")


def _side(field: _Field, i: int) -> str:
    """Where contestant i stands to the rated ones."""
    if i in field.core:
        return "among"
    if len(field.core) == 0:
        return "apart"
    first = field.core[0]
    if field.reach[i, first]:
        return "above"
    return "below" if field.reach[first, i] else "apart"


def _sorted(field: _Field, standings: list[Standing]) -> tuple[Standing, ...]:
    """The best first; last, whom nothing orders against the others."""
    place = {name: i for i, name in enumerate(field.everything.names)}

    def key(standing: Standing) -> tuple[int, float, int, int, int]:
        i = place[standing.name]
        side = SIDES.index(_side(field, i))
        return side, -(standing.strength or 0.0), standing.rank_low, standing.rank_high, i

    return tuple(sorted(standings, key=key))
