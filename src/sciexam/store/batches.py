"""The ledger's journal of batches: which requests were handed to a provider, and may not be stored yet."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import sqlalchemy as sa

from sciexam.models.journal import OpenBatch
from sciexam.store.database import Database, patient
from sciexam.store.tables import batches, chunks, grades, replies, verdicts
from sciexam.store.texts import insert_new

if TYPE_CHECKING:
    from sciexam.store import Store

_REQUEST = struct.Struct(">32sH")  # the key of a request, and its attempt


class Batches:
    """A BatchJournal in the ledger's `database`; every line of it is durable when its method returns.

    A batch is forgotten when for each of its requests a fact of that attempt, or of a later one, is stored: not
    earlier, since what was collected may be lost by a kill before it is written.

    Models are opened before the ledger is: a journal without a database is given one by `keep_in` before anything is
    asked.
    """

    def __init__(self, database: Database | None = None):
        self._kept_in = database

    def keep_in(self, store: Store) -> None:
        self._kept_in = store.database

    @property
    def _database(self) -> Database:
        assert self._kept_in is not None, "a journal of batches needs its ledger (keep_in) before anything is asked"
        return self._kept_in

    @patient
    def intend(self, token: str, model: str, requests: Mapping[str, int]) -> None:
        packed = b"".join(_REQUEST.pack(bytes.fromhex(key), attempt) for key, attempt in requests.items())
        row = {"token": token, "model": model, "batch": None, "requests": packed, "at": time.time_ns() // 1_000_000}
        with self._database.writing() as connection:
            connection.execute(insert_new(connection, batches), [row])

    @patient
    def name(self, token: str, batch: str) -> None:
        with self._database.writing() as connection:
            connection.execute(sa.update(batches).where(batches.c.token == token).values(batch=batch))

    @patient
    def close(self, token: str) -> None:
        with self._database.writing() as connection:
            connection.execute(sa.delete(batches).where(batches.c.token == token))

    @patient
    def open_batches(self, model: str) -> list[OpenBatch]:
        statement = sa.select(batches).where(batches.c.model == model).order_by(batches.c.seq)
        with self._database.reading() as connection:
            rows = connection.execute(statement).all()
            found = [OpenBatch(row.token, row.batch, dict(_unpacked(row.requests)), row.at / 1000) for row in rows]
            stored = [batch.token for batch in found if _is_stored(connection, batch.requests)]
        for token in stored:
            self.close(token)
        return [batch for batch in found if batch.token not in stored]


def _unpacked(requests: bytes) -> Iterator[tuple[str, int]]:
    for key, attempt in _REQUEST.iter_unpack(requests):
        yield key.hex(), attempt


def _is_stored(connection: sa.Connection, requests: Mapping[str, int]) -> bool:
    for chunk in chunks([bytes.fromhex(key) for key in requests]):
        last: dict[bytes, int] = {}
        for table in (replies, verdicts, grades):
            statement = sa.select(table.c.key, sa.func.max(table.c.attempt)).where(table.c.key.in_(chunk))
            for key, attempt in connection.execute(statement.group_by(table.c.key)):
                last[key] = max(attempt, last.get(key, -1))
        if any(last.get(key, -1) < requests[key.hex()] for key in chunk):
            return False
    return True
