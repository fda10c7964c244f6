"""Ratings of items by several raters, read into category codes and counted by their distinct patterns."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciexam.stats.clusters import Floats

Codes = NDArray[np.int32]
MISSING = -1
MOST_CATEGORIES = 1_000  # different ratings: a matrix over pairs of them takes 8 MB


@dataclass(frozen=True, slots=True)
class CodedRatings:
    """`codes`, shape (raters, items): the place of each rating among `categories`, -1 where there is none.

    Numbers stand in rising order in `categories`, other labels in the order of their text; `numbers` holds the
    categories as float64, or is None where they are not numbers.
    """

    codes: Codes
    categories: tuple[Hashable, ...]
    numbers: Floats | None


@dataclass(frozen=True, slots=True)
class Table:
    """The distinct patterns of ratings with how often each occurs: all that agreement without clusters depends on.

    `slots`, shape (raters or most ratings on an item, patterns): codes as in CodedRatings; `counts`, shape
    (patterns,): the weight of each pattern, one for each item that has it; `size`: how many categories there are.
    """

    slots: Codes
    counts: Floats
    size: int

    @property
    def rated(self) -> NDArray[np.intp]:
        """How many ratings an item of each pattern has, shape (patterns,)."""
        rated: NDArray[np.intp] = np.count_nonzero(self.slots != MISSING, axis=0)
        return rated

    def weighted(self, counts: Floats) -> Table:
        """The same patterns with other counts."""
        return Table(self.slots, counts, self.size)


def read_ratings(ratings: ArrayLike, categories: Iterable[Any] | None = None) -> CodedRatings:
    """`ratings`, shape (raters, items): numbers with NaN, or labels with None, where a rating is missing.

    `categories`: all that could have been given, where some were not. Raises ValueError for another shape, an
    infinite rating, and a rating outside the categories.
    """
    table = _array(ratings)
    if table.ndim != 2:
        raise ValueError(f"ratings must have one row for each rater and one column for each item, not {table.shape}")
    if table.dtype.kind in "biuf":
        return _numbers(table, categories)
    return _labels(table, categories)


def _array(ratings: ArrayLike) -> NDArray[Any]:
    """Numbers as they are, labels as objects: numpy alone would turn a missing NaN among words into the word "nan"."""
    try:
        table = np.asarray(ratings)
        if table.dtype.kind not in "biuf":
            table = np.asarray(ratings, dtype=object)
    except ValueError as error:
        raise ValueError("ratings must be one row for each rater, all of the same length") from error
    if table.dtype == object and all(_is_missing(x) or isinstance(x, Real) for x in table.flat):
        return np.array([np.nan if _is_missing(x) else x for x in table.flat], np.float64).reshape(table.shape)
    return table


def _is_missing(label: Any) -> bool:
    try:
        return label is None or bool(label != label)
    except TypeError:  # the comparisons of pandas.NA have no truth value
        return True


def _numbers(table: NDArray[Any], categories: Iterable[Any] | None) -> CodedRatings:
    if table.dtype.kind == "f" and np.isinf(table).any():
        raise ValueError("ratings must be finite numbers, or NaN where one is missing")
    seen = [np.unique(row[row == row]) for row in table]
    values = np.unique(np.concatenate(seen)) if seen else np.empty(0)
    if categories is not None:
        known = np.unique(np.asarray(list(categories), dtype=np.float64))
        _check_known(set(values.tolist()) - set(known.tolist()))
        values = known
    codes = np.full(table.shape, MISSING, dtype=np.int32)
    for rater, row in enumerate(table):
        given = row == row
        codes[rater, given] = np.searchsorted(values, row[given])
    return CodedRatings(codes, tuple(values.tolist()), values.astype(np.float64))


def _labels(table: NDArray[Any], categories: Iterable[Any] | None) -> CodedRatings:
    seen = {label for label in table.flat if not _is_missing(label)}
    if categories is not None:
        known = set(categories)
        _check_known(seen - known)
        seen = known
    values = sorted(seen, key=lambda label: (type(label).__name__, str(label)))
    place = {label: code for code, label in enumerate(values)}
    flat = [MISSING if _is_missing(label) else place[label] for label in table.flat]
    codes = np.array(flat, dtype=np.int32).reshape(table.shape)
    return CodedRatings(codes, tuple(values), None)


def _check_known(unknown: set[Any]) -> None:
    if unknown:
        raise ValueError(f"ratings outside the categories: {', '.join(sorted(map(repr, unknown))[:5])}")


def check_number(categories: int) -> None:
    """Raises ValueError for more categories than a matrix over pairs of them should have."""
    if categories > MOST_CATEGORIES:
        raise ValueError(f"ratings take {categories} different values, more than {MOST_CATEGORIES}; round them first")


def tabulate(codes: Codes, size: int, ordered: bool = False) -> tuple[Table, NDArray[np.intp]]:
    """The table of `codes`, shape (raters, items), and the pattern of each item, shape (items,).

    Unless `ordered`, who gave which rating does not matter, and the slots of a pattern hold its ratings from the
    highest category to the lowest.
    """
    slots = codes if ordered else np.sort(codes, axis=0)[::-1]
    if not ordered:
        slots = slots[: max(1, int(np.count_nonzero(codes != MISSING, axis=0).max(initial=1)))]
    key = np.zeros(codes.shape[1], dtype=np.int64)
    distinct = 1
    for row in slots:
        if distinct * (size + 1) > 2**62:
            found, key = np.unique(key, return_inverse=True)
            distinct = len(found)
        key = key * (size + 1) + (row - MISSING)
        distinct *= size + 1
    _, first, pattern, counts = np.unique(key, return_index=True, return_inverse=True, return_counts=True)
    return Table(np.ascontiguousarray(slots[:, first]), counts.astype(np.float64), size), pattern


def pair_sums(table: Table, matrix: Floats) -> Floats:
    """For each pattern the sum of matrix[a, b] over its pairs of ratings, each pair once, shape (patterns,)."""
    sums = np.zeros(table.slots.shape[1])
    # A last row and column of zeros, which the code -1 of a missing rating falls on.
    padded = np.pad(matrix, (0, 1))
    for one, first in enumerate(table.slots):
        for second in table.slots[one + 1 :]:
            sums += padded[first, second]
    return sums


def rating_sums(slots: Codes | Sequence[Codes], vector: Floats) -> Floats:
    """For each pattern the sum of vector[a] over its ratings, shape (patterns,)."""
    padded = np.append(vector, 0.0)
    sums = np.zeros(len(slots[0]))
    for slot in slots:
        sums += padded[slot]
    return sums


def totals(slots: Codes | Sequence[Codes], weights: Floats, size: int) -> Floats:
    """The summed weight of the ratings in each category, shape (size,); `weights`, shape (patterns,): of one rating."""
    sums = np.zeros(size + 1)
    for slot in slots:
        sums += np.bincount(slot - MISSING, weights, size + 1)
    return sums[1:]
