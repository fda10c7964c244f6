"""The rows of a table of a SQLite file, as far as they can be read: around damaged pages too."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

Row = tuple[Any, ...]

STEP = 500  # rows that are read at once, and rowids that are looked up one by one where that fails
HOPELESS = 30_000  # rowids in a row under which nothing can be read, before the rest is read from the other end
# What reading a damaged page can end with: a text of it may be no text, and a length of it may be any.
DAMAGE = (sa.exc.DBAPIError, sqlite3.Error, UnicodeDecodeError, OverflowError, MemoryError)


def salvaged(
    connection: sa.Connection, table: sa.Table, there: Sequence[str], damaged: Callable[[], None]
) -> Iterator[Row]:
    """Every row of `table` that can be read, each after its rowid; columns that are not `there` are None.

    `damaged` is called where not all of it can be read.
    """
    # Without their types: what is damaged may hold anything.
    fields = [sa.column(c.name) if c.name in there else sa.null() for c in table.columns]
    rowid: sa.ColumnElement[Any] = sa.column("rowid")
    rows = sa.select(rowid, *fields).select_from(table)
    following = _query(connection, rows.where(rowid > sa.bindparam("at")).order_by(rowid).limit(STEP))
    single = _query(connection, rows.where(rowid == sa.bindparam("at")))
    at, dark = 0, 0
    while dark < HOPELESS:
        batch = following(at=at)
        # A page that points where it should not leads back.
        if batch is not None and all(second > first for first, second in pairwise([at, *(row[0] for row in batch)])):
            if not batch:
                return
            yield from batch
            at, dark = batch[-1][0], 0
            continue
        damaged()
        found = [row for one in range(at + 1, at + STEP + 1) for row in single(at=one) or ()]
        yield from found
        at, dark = at + STEP, 0 if found else dark + STEP
    yield from _from_the_end(connection, rows, rowid, at)


def _from_the_end(
    connection: sa.Connection, rows: sa.Select[Any], rowid: sa.ColumnElement[Any], at: int
) -> Iterator[Row]:
    """The last rows, the last one first, down to the first that cannot be read."""
    before = _query(connection, rows.where(rowid > at, rowid < sa.bindparam("at")).order_by(rowid.desc()).limit(1))
    below = 2**63 - 1
    while batch := before(at=below):
        yield from batch
        below = batch[-1][0]


def _query(connection: sa.Connection, statement: sa.Select[Any]) -> Callable[..., list[Row] | None]:
    """What asks SQLite itself, since it is asked for single rows: it gives rows, or None where a page is damaged."""
    compiled = statement.compile(dialect=sqlite.dialect(paramstyle="named"))
    raw, text, fixed = connection.connection.driver_connection, str(compiled), compiled.params
    assert raw is not None

    def ask(**values: int) -> list[Row] | None:
        try:
            return list(raw.execute(text, {**fixed, **values}))
        except DAMAGE:
            return None

    return ask


def listed(connection: sa.Connection, table: sa.Table) -> int:
    """How many rows the indexes of `table` list, as far as they can be read."""
    try:
        indexes = connection.exec_driver_sql(f"PRAGMA index_list({table.name})").all()
    except DAMAGE:
        return 0
    counts = []
    for index in indexes:
        try:
            count = f"SELECT count(*) FROM {table.name} INDEXED BY {index[1]}"  # noqa: S608 - names of our own tables
            counts.append(int(connection.exec_driver_sql(count).scalar_one()))
        except DAMAGE:
            continue
    return max(counts, default=0)


def columns_of(connection: sa.Connection, table: sa.Table) -> list[str]:
    try:
        return [row[1] for row in connection.exec_driver_sql(f"PRAGMA table_info({table.name})")]
    except DAMAGE:
        return []
