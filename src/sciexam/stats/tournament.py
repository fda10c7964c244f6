"""Battles folded into sums over each pair of contestants and each cluster: who met whom, and scored against whom."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciexam.stats.clusters import Floats, codes_of, integer_codes
from sciexam.stats.mean import bounded_interval
from sciexam.stats.win_rate import unit_scores

Codes = NDArray[np.intp]
Bools = NDArray[np.bool_]
Name = str | int
Labels = Sequence[Name] | NDArray[np.generic]

TINY = 1e-9  # a share of a battle below this is the rounding of an average, not a score


@dataclass(frozen=True, slots=True, eq=False)
class Tournament:
    """Who met whom. Matrices of shape (k, k) over the contestants, in the order of `names`, hold the whole:

    `met` the number of battles of each pair, symmetric; `scored` [i, j] the points i has from battles with j; `tied`
    their tie weight, symmetric, where a score s is a tie by 1 - |2s - 1|.

    Vectors of shape (cells,) hold what one pair did in one cluster: `first` < `second` are places in `names`, `cluster`
    runs from 0 up and never falls, `battles` counts rows, `points` sums first's scores, `ties` the tie weights.
    """

    names: tuple[Name, ...]
    met: Floats
    scored: Floats
    tied: Floats
    first: Codes
    second: Codes
    cluster: Codes
    battles: Floats
    points: Floats
    ties: Floats

    def among(self, members: Codes) -> Tournament:
        """The battles of these contestants (places in `names`, ascending) with each other."""
        if len(members) == len(self.names):
            return self
        place = np.full(len(self.names), -1)
        place[members] = np.arange(len(members))
        first, second = place[self.first], place[self.second]
        inside = (first >= 0) & (second >= 0)
        cluster = self.cluster[inside]
        square = np.ix_(members, members)
        return Tournament(
            names=tuple(self.names[i] for i in members),
            met=self.met[square],
            scored=self.scored[square],
            tied=self.tied[square],
            first=first[inside],
            second=second[inside],
            cluster=np.cumsum(np.diff(cluster, prepend=cluster[:1]) > 0),
            battles=self.battles[inside],
            points=self.points[inside],
            ties=self.ties[inside],
        )

    def without_ties(self) -> Tournament:
        """The same scores, none of them with a tie weight."""
        return replace(self, tied=np.zeros_like(self.tied), ties=np.zeros_like(self.ties))


def fold(a: Labels, b: Labels, scores: ArrayLike, clusters: Iterable[Hashable] | None) -> Tournament:
    """The tournament of battles (n,): labels of the two contestants and a's score in [0, 1].

    Names come out sorted (integers before strings), so that the order of the rows does not matter. Raises ValueError
    for lengths that differ, scores outside [0, 1] or NaN, a missing label, and a contestant that meets itself.
    """
    score = unit_scores(scores)
    if not len(a) == len(b) == len(score):
        raise ValueError(f"a has {len(a)} labels, b has {len(b)}, and there are {len(score)} scores")
    names, one, other = contestants(a, b)
    cluster = codes_of(clusters, len(score))
    k, n_clusters = len(names), int(cluster.max(initial=-1)) + 1

    first, second = np.minimum(one, other), np.maximum(one, other)
    pair = first * (2 * k - first - 1) // 2 + second - first - 1
    pairs = k * (k - 1) // 2
    score = np.where(one < other, score, 1 - score)
    cell, battles, (points, ties) = summed(cluster * pairs + pair, pairs * n_clusters, score, 1 - np.abs(2 * score - 1))
    number, met = np.divmod(cell, max(pairs, 1))
    of_pairs = (_square(np.bincount(met, part, pairs).astype(np.float64), k) for part in (battles, points, ties))
    all_battles, all_points, all_ties = of_pairs
    upper, lower = np.triu_indices(k, 1)
    return Tournament(
        names=names,
        met=all_battles + all_battles.T,
        scored=all_points + (all_battles - all_points).T,
        tied=all_ties + all_ties.T,
        first=upper[met],
        second=lower[met],
        cluster=number,
        battles=battles,
        points=points,
        ties=ties,
    )


def _square(of_pairs: Floats, k: int) -> Floats:
    """One number for each pair as the upper triangle of a matrix (k, k)."""
    square = np.zeros((k, k))
    square[np.triu_indices(k, 1)] = of_pairs
    return square


def summed(keys: Codes, space: int, *values: Floats) -> tuple[Codes, Floats, list[Floats]]:
    """The keys that occur, ascending, with their number of rows and the sums of `values` over these."""
    if space <= 2 * len(keys):
        counts = np.bincount(keys, minlength=space)
        cell = np.flatnonzero(counts)
        sums = [np.bincount(keys, v, space)[cell].astype(np.float64, copy=False) for v in values]
        return cell, counts[cell].astype(np.float64), sums
    cell, place, counts = np.unique(keys, return_inverse=True, return_counts=True)
    sums = [np.bincount(place, v, len(cell)).astype(np.float64, copy=False) for v in values]
    return cell, counts.astype(np.float64), sums


def contestants(a: Labels, b: Labels) -> tuple[tuple[Name, ...], Codes, Codes]:
    """The names of all in `a` and `b`, integers before strings, and the places of both columns' among them.

    Raises ValueError for a label that is neither, and where a contestant meets itself.
    """
    names, one, other = _places(a, b)
    itself = np.flatnonzero(one == other)
    if len(itself):
        raise ValueError(f"row {itself[0]}: {names[one[itself[0]]]!r} meets itself; a battle needs two contestants")
    return names, one, other


def _places(a: Labels, b: Labels) -> tuple[tuple[Name, ...], Codes, Codes]:
    if _integers(a) and _integers(b):
        labels, codes = integer_codes(np.concatenate([np.asarray(a), np.asarray(b)]))
        return tuple(labels.tolist()), codes[: len(a)], codes[len(a) :]
    sides = [side.tolist() if isinstance(side, np.ndarray) else list(side) for side in (a, b)]
    known = set().union(*sides)
    strange = [label for label in known if not isinstance(label, str | int | np.integer)]
    if strange:
        raise ValueError(f"contestants must be named by strings or integers, not {strange[0]!r}")
    # A place is found by numpy's integer as by Python's, which has the same hash.
    known = {int(label) if isinstance(label, np.integer) else label for label in known}
    names = tuple(sorted(known, key=lambda label: (isinstance(label, str), label)))
    place = {name: i for i, name in enumerate(names)}
    one, other = (np.fromiter(map(place.__getitem__, side), np.intp, len(side)) for side in sides)
    return names, one, other


def _integers(labels: object) -> bool:
    return isinstance(labels, np.ndarray) and labels.ndim == 1 and np.issubdtype(labels.dtype, np.integer)


def reaches(scored: Floats) -> Bools:
    """[..., i, j]: i scored against j, or against one that reaches j. `scored` (..., k, k); everyone reaches itself."""
    k = scored.shape[-1]
    reach = (scored > TINY) | np.eye(k, dtype=np.bool_)
    for _ in range(max(k - 1, 1).bit_length()):
        reach = np.matmul(reach, reach, dtype=np.float32, casting="unsafe") > 0
    return reach


@dataclass(frozen=True, slots=True)
class Intransitivity:
    """Triples of contestants who all met each other, and those in which the direct win rates go round in a circle.

    `triples` were complete; in `cyclic` of them a beat b, b beat c and c beat a more often than not. Chance makes some:
    a quarter of all triples if all contestants are equal. `certain` lists those (a, b, c) whose three win rates all lie
    beyond one half, with family-wise level over all pairs that met: no rating on one scale can describe these.
    """

    triples: int
    cyclic: int
    certain: tuple[tuple[Name, Name, Name], ...]


def intransitivity(tournament: Tournament, level: float) -> Intransitivity:
    """Cyclic triples; a win rate's interval is `bounded_interval` by cluster, Bonferroni over the pairs that met."""
    played, beats = tournament.met > 0, tournament.scored - tournament.met / 2 > TINY
    names = tournament.names
    suspect = beats & (_paths(beats).T > 0)
    certain = np.zeros_like(beats)
    if suspect.any():
        pairs = int(played.sum()) // 2
        certain = suspect & _decided(tournament, suspect | suspect.T, 1 - (1 - level) / pairs)
    found = [
        (i, j, int(third))
        for i, j in np.argwhere(certain & (_paths(certain).T > 0)).tolist()
        for third in np.flatnonzero(certain[j] & certain[:, i])
    ]
    return Intransitivity(
        triples=round(float(np.trace(_paths(played) @ played)) / 6),
        cyclic=round(float(np.trace(_paths(beats) @ beats)) / 3),
        certain=tuple((names[i], names[j], names[m]) for i, j, m in found if i < min(j, m)),
    )


def _paths(edges: Bools) -> Floats:
    return edges.astype(np.float64) @ edges.astype(np.float64)


def _decided(tournament: Tournament, which: Bools, level: float) -> Bools:
    """(k, k), symmetric: among the pairs in `which`, those whose win rate's interval leaves out one half."""
    k = len(tournament.names)
    pair = tournament.first * k + tournament.second
    order = np.argsort(pair.astype(np.uint16) if k < 256 else pair, kind="stable")
    wanted = np.flatnonzero(np.triu(which))
    starts, ends = (np.searchsorted(pair, wanted, side, sorter=order) for side in ("left", "right"))
    decided = np.zeros(k * k, dtype=np.bool_)
    for at, start, end in zip(wanted, starts, ends, strict=True):
        cells = order[start:end]
        _, low, high = bounded_interval(tournament.points[cells], tournament.battles[cells], level)
        decided[at] = low > 0.5 or high < 0.5
    square = decided.reshape(k, k)
    return square | square.T
