"""Prompts that belong together (same group, same text) summed, because they are one piece of evidence, not several."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def cluster_totals(values: Floats, clusters: Iterable[Hashable] | None) -> tuple[Floats, Floats]:
    """The sum of `values` and the number of them in each cluster, both of shape (clusters,).

    `clusters` holds one hashable label for each value; None makes every value its own cluster. Raises as `codes_of`.
    """
    if clusters is None:
        return values, np.ones(len(values))
    codes = codes_of(clusters, len(values))
    return np.bincount(codes, values).astype(np.float64), np.bincount(codes).astype(np.float64)


def codes_of(clusters: Iterable[Hashable] | None, n: int) -> NDArray[np.intp]:
    """The cluster of each of `n` values as a code from 0 up, shape (n,), in the order of first appearance.

    Arrays of integers take a quick way, where the codes follow the labels' order. None: every value is its own.
    Raises ValueError when the lengths differ or a label is missing (None or NaN): missing labels are not one group.
    """
    if clusters is None:
        return np.arange(n, dtype=np.intp)
    if isinstance(clusters, np.ndarray) and clusters.ndim == 1 and np.issubdtype(clusters.dtype, np.integer):
        _check_lengths(len(clusters), n)
        return integer_codes(clusters)[1]
    # A Python list keeps labels of mixed types apart: np.asarray([1, "1"]) would make them equal.
    labels = list(clusters)
    _check_lengths(len(labels), n)
    try:
        missing = any(label is None or label != label for label in labels)
    except TypeError:  # the comparisons of pandas.NA have no truth value
        missing = True
    if missing:
        raise ValueError("a cluster label is missing (None or NaN); give every prompt a label, or no clusters at all")
    codes: dict[Hashable, int] = {}
    return np.array([codes.setdefault(label, len(codes)) for label in labels], dtype=np.intp)


def integer_codes(labels: NDArray[np.generic]) -> tuple[NDArray[np.generic], NDArray[np.intp]]:
    """np.unique of integers with its inverse, without a sort where the labels lie close together."""
    low, high = (int(labels.min()), int(labels.max())) if len(labels) else (0, -1)
    if high - low > 2 * len(labels):
        found, codes = np.unique(labels, return_inverse=True)
        return found, codes.astype(np.intp, copy=False)
    shifted = labels.astype(np.intp) - low
    present = np.bincount(shifted, minlength=high - low + 1) > 0
    return np.flatnonzero(present) + low, (np.cumsum(present) - 1)[shifted]


def _check_lengths(labels: int, values: int) -> None:
    if labels != values:
        raise ValueError(f"{values} values but {labels} cluster labels")


def finite_vector(values: ArrayLike, name: str) -> Floats:
    """`values` as float64 of shape (n,). Raises ValueError for another shape, NaN or an infinity; `name` is for it."""
    vector = np.asarray(values, dtype=np.float64)
    if vector.size == 0:
        return np.empty(0)
    if vector.ndim != 1:
        raise ValueError(f"{name} must be one number for each prompt, not an array of shape {vector.shape}")
    if not np.isfinite(vector).all():
        raise ValueError(f"{name} must be finite numbers; leave out the prompts that have none")
    return vector
