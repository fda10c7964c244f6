"""Ratings fitted again to resamples of the prompts: a check on the intervals of `sciexam.stats.ratings`."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator

import numpy as np
from numpy.typing import ArrayLike

from sciexam.stats.clusters import Floats
from sciexam.stats.davidson import CELLS, Fit, fit
from sciexam.stats.estimate import Undefined
from sciexam.stats.rateable import Ties, field_of
from sciexam.stats.tournament import Labels, Name, Tournament, reaches


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
    replacement, and fits the model to them (Efron 1979). Resamples in which a strength has no finite estimate are left
    out: many of these mean that the interval is not to be trusted. No row where the battles themselves have no fit.
    """
    if draws < 1:
        raise ValueError(f"draws must be at least 1, not {draws!r}")
    field = field_of(a, b, scores, clusters, baseline, ties)
    inner, full = field.inner, field.fitted
    if isinstance(full, Undefined):
        return inner.names, np.empty((0, len(inner.names)))
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
