"""Prompts that belong together (same group, same text) summed, because they are one piece of evidence, not several."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def cluster_totals(values: Floats, clusters: Iterable[Hashable] | None) -> tuple[Floats, Floats]:
    """The sum of `values` and the number of them in each cluster, both of shape (clusters,).

    `clusters` holds one hashable label for each value; None makes every value its own cluster.
    Raises ValueError when the lengths differ or a label is missing (None or NaN): missing labels are not one group.
    """
    if clusters is None:
        return values, np.ones(len(values))
    # A Python list keeps labels of mixed types apart: np.asarray([1, "1"]) would make them equal.
    labels = list(clusters)
    if len(labels) != len(values):
        raise ValueError(f"{len(values)} values but {len(labels)} cluster labels")
    if any(label is None or label != label for label in labels):
        raise ValueError("a cluster label is missing (None or NaN); give every prompt a label, or no clusters at all")
    codes: dict[Hashable, int] = {}
    index = np.array([codes.setdefault(label, len(codes)) for label in labels], dtype=np.intp)
    return np.bincount(index, values, len(codes)).astype(np.float64), np.bincount(index).astype(np.float64)


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
