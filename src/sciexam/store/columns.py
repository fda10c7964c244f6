"""Many facts of the ledger at once, as arrays: what the Store reads, without a record for each."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from sciexam.errors import StoreError
from sciexam.store.database import Database, patient
from sciexam.store.tables import SIDES, STATUSES, chunks, damaged, encode, names, replies, texts, verdicts
from sciexam.types import TRUNCATED

BATCH = 2000  # rows that are Python's at once; more of them are slower
SHARE = 8  # with fewer keys than one in so many rows, keys are looked up and the table is not read through
OK, INVALID = STATUSES.index("ok"), STATUSES.index("invalid")

Keys = NDArray[np.uint8]  # (n, 32): the bytes of n keys
Codes = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class VerdictColumns:
    """The facts under n keys, each array of shape (n,): the first usable attempt, or else the last.

    `status`: a place in `tables.STATUSES`, -1 where there is no attempt; `attempt`: its number; `second`: how far it
    leans towards the answer shown second, which is its `probability_second`, or else 0, 1/2 or 1; NaN where it is not
    usable; `cut_off`: whether it is invalid because the token limit ended it.
    """

    status: NDArray[np.int8]
    attempt: NDArray[np.int64]
    second: NDArray[np.float64]
    cut_off: NDArray[np.bool_]


class Columns:
    """Reads columns of the ledger: in one pass over a table, or by looking keys up where they are few."""

    def __init__(self, database: Database):
        self._database = database

    @patient
    def verdicts(self, wanted: Wanted) -> VerdictColumns:
        """What `Store.verdicts` finds under each of the keys."""
        told, lean = np.full(wanted.count, -1, dtype=np.int64), np.full(wanted.count, np.nan)
        c = verdicts.c
        known = [SIDES.index(side) for side in ("first", "second", "tie")]
        side = sa.case(*zip(map(c.preferred.__eq__, known), (0.0, 1.0, 0.5), strict=True), (c.preferred.is_(None), 0.5))
        second = sa.func.coalesce(c.probability_second, side)
        cut = sa.case((c.failure == self._text_id(TRUNCATED), len(STATUSES)), else_=0)
        # One number a row, because every column costs: the attempt, whether it was cut off, the status.
        packed = sa.cast(c.attempt, sa.BigInteger) * 2 * len(STATUSES) + cut + c.status
        packed = sa.case((c.status.between(0, len(STATUSES) - 1), packed), else_=-1)
        for place, (of_row, leaning) in self._rows(verdicts, wanted, (packed, second)):
            self._check(of_row, leaning)
            usable = of_row % len(STATUSES) == OK
            # Attempts come in order: of the unusable ones the last is kept, of the usable ones the first.
            for rows in (np.flatnonzero(~usable), np.flatnonzero(usable)[::-1]):
                before = told[place[rows]]
                rows = rows[(before < 0) | (before % len(STATUSES) != OK)]
                told[place[rows]], lean[place[rows]] = of_row[rows], leaning[rows]
        status = np.where(told < 0, -1, told % len(STATUSES)).astype(np.int8)
        lean[status != OK] = np.nan
        cut_off = (status == INVALID) & (told % (2 * len(STATUSES)) >= len(STATUSES))
        attempt = np.maximum(told, 0) // (2 * len(STATUSES))
        of_key = wanted.of_key
        return VerdictColumns(status[of_key], attempt[of_key], lean[of_key], cut_off[of_key])

    def _check(self, of_row: NDArray[Any], leaning: NDArray[Any]) -> None:
        """Raises StoreError where a row says what none of ours does."""
        if not (np.issubdtype(leaning.dtype, np.number) and (of_row >= 0).all() and (abs(leaning - 0.5) <= 0.5).all()):
            raise StoreError(f"{self._database.location}: {damaged('a row of verdicts cannot be read')}")

    @patient
    def models(self, wanted: Wanted, but: Collection[str] = ()) -> dict[str, int]:
        """How many attempts under these keys each server-side model name answered (`Store.echoed`); `but` these names.

        To leave the usual one out saves the pass over all that it answered.
        """
        left_out = sa.select(names.c.id).where(names.c.name.in_([encode(name) for name in but]))
        where = replies.c.model.is_not(None) & replies.c.model.not_in(left_out)
        counts: Counter[int] = Counter()
        for _, (model,) in self._rows(replies, wanted, (replies.c.model,), where):
            counts.update(model.tolist())
        return {name: counts[code] for code, name in self._names(counts).items()}

    @patient
    def models_by_key(self, wanted: Wanted) -> dict[str, NDArray[np.int64]]:
        """How many attempts each server-side model name answered under each of the keys (as they are sorted)."""
        counts: dict[int, NDArray[np.int64]] = {}
        where = replies.c.model.is_not(None)
        for place, (model,) in self._rows(replies, wanted, (replies.c.model,), where):
            for code in np.unique(model).tolist():
                own = counts.setdefault(code, np.zeros(wanted.count, dtype=np.int64))
                np.add.at(own, place[model == code], 1)
        return {name: counts[code] for code, name in self._names(counts).items()}

    @patient
    def after_invalid(self, keys: Iterable[str]) -> int:
        """Under how many of these keys of verdicts there is an invalid attempt that the token limit did not end."""
        c = verdicts.c
        cut = c.failure == self._text_id(TRUNCATED)
        spoilt = sa.select(sa.func.count(c.key.distinct())).where(
            c.status == INVALID, sa.not_(sa.and_(c.failure.is_not(None), cut))
        )
        with self._database.reading() as connection:
            parts = chunks([bytes.fromhex(key) for key in keys])
            return sum(connection.execute(spoilt.where(c.key.in_(part))).scalar_one() for part in parts)

    @patient
    def model_names(self) -> list[str]:
        """All server-side model names that answered anything in this ledger."""
        with self._database.reading() as connection:
            codes = connection.execute(sa.select(replies.c.model).distinct()).scalars().all()
        return list(self._names(code for code in codes if code is not None).values())

    def _names(self, codes: Iterable[int]) -> dict[int, str]:
        found = {}
        with self._database.reading() as connection:
            for part in chunks(sorted(codes)):
                for row in connection.execute(sa.select(names).where(names.c.id.in_(part))):
                    found[row.id] = row.name.decode("utf-8", "surrogatepass")
        return found

    def _rows(
        self, table: sa.Table, wanted: Wanted, columns: Sequence[Any], where: Any = None
    ) -> Iterator[tuple[Codes, list[NDArray[Any]]]]:
        """The rows under wanted keys in order of arrival: the place of each one's key, and the values of `columns`."""
        statement = sa.select(table.c.key, *columns).order_by(table.c.seq)
        statement = statement if where is None else statement.where(where)
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(sa.func.max(table.c.seq))).scalar_one() or 0
            few = SHARE * wanted.count < rows
            parts = [statement.where(table.c.key.in_(part)) for part in chunks(list(wanted))] if few else [statement]
            for part in parts if wanted.count else ():
                for batch in self._database.rows(connection, part, BATCH):
                    found, *values = zip(*batch, strict=True)
                    place, row = wanted.places(b"".join(found))
                    yield place, [np.array(one)[row] for one in values]

    @patient
    def _text_id(self, text: str) -> int:
        """The id of a text of the ledger, -1 where it is not there."""
        known = sa.select(texts.c.id).where(texts.c.digest == hashlib.sha256(encode(text)).digest())
        with self._database.reading() as connection:
            found = connection.execute(known).scalar_one_or_none()
        return -1 if found is None else int(found)


class Wanted:
    """Keys that are asked for, sorted and each once.

    `of_key` (n,): the place among them of each of the n keys that were given; `count`: how many there are.
    """

    def __init__(self, keys: Keys):
        whole = np.ascontiguousarray(keys).view("S32").ravel()  # compared byte by byte: all have the full length
        begin = _beginnings(whole)
        order = np.argsort(begin)  # numbers are sorted many times faster than bytes
        if (same := begin[order[1:]] == begin[order[:-1]]).any():
            mixed = np.flatnonzero(np.append(same, False) | np.insert(same, 0, False))
            order[mixed] = order[mixed][np.argsort(whole[order[mixed]], kind="stable")]
        whole, words = whole[order], np.take(whole.view(np.uint64).reshape(-1, 4), order, axis=0)
        new = np.ones(len(order), dtype=np.bool_)
        new[1:] = (words[1:] != words[:-1]).any(axis=1)
        self.of_key = np.empty(len(order), dtype=np.intp)
        self.of_key[order] = np.cumsum(new) - 1
        self._keys = whole[new]
        self.count = len(self._keys)
        self._begin = begin[order][new]
        self._alike = 1  # keys that may begin alike
        while (self._begin[self._alike :] == self._begin[: -self._alike]).any():
            self._alike += 1

    def __iter__(self) -> Iterator[bytes]:
        return (key.ljust(32, b"\0") for key in self._keys.tolist())  # numpy takes zeros at the end for padding

    def places(self, keys: bytes) -> tuple[Codes, Codes]:
        """Of keys one after the other: the places of those that are wanted, and which of the keys these are."""
        found = np.frombuffer(keys, dtype="S32")
        begin = _beginnings(found)
        order = np.argsort(begin)  # near places are found one after the other
        first = np.empty_like(order)
        first[order] = np.searchsorted(self._begin, begin[order])
        place = np.full(len(found), -1, dtype=np.intp)
        for further in range(self._alike):
            tried = np.minimum(first + further, self.count - 1)
            place = np.where(self._keys[tried] == found, tried, place)
        row = np.flatnonzero(place >= 0)
        return place[row], row


def _beginnings(keys: NDArray[np.bytes_]) -> NDArray[np.uint64]:
    """The first quarter of each key as a number, in the order of the keys."""
    return keys.view(np.uint8).reshape(-1, 32)[:, :8].copy().view(">u8").ravel().astype(np.uint64)
