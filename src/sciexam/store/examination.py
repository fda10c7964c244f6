"""Whether a ledger is whole: every row is read, and held against what the ledger promises of it."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from sciexam.errors import StoreError
from sciexam.store.database import Database, open_database
from sciexam.store.opening import APPEND_ONLY, SCHEMA_VERSION, read_version, refuse_newer
from sciexam.store.salvaged_rows import DAMAGE, STEP, Row, columns_of, listed, salvaged
from sciexam.store.sqlite import looked_at, translated
from sciexam.store.tables import (
    KINDS,
    SIDES,
    STATUSES,
    STRENGTHS,
    annotators,
    assignments,
    claims,
    grades,
    judgements,
    meta,
    names,
    replies,
    tables,
    texts,
    verdicts,
)
from sciexam.store.texts import REFERENCES

SHOWN = 20  # complaints of the database that are repeated
SECRET = 32  # bytes

# What is referred to is read first. Who is at work on what (`claims`) is no loss.
TABLES = (texts, names, annotators, *(t for t in tables.sorted_tables if t not in (texts, names, annotators, claims)))
REFERS_TO: Mapping[sa.Column[Any], sa.Table] = {
    **dict.fromkeys(REFERENCES, texts),
    **{replies.c[name]: names for name in ("finish_reason", "model")},
    **{verdicts.c[name]: names for name in ("rater", "prompt", "first", "second")},
    **{grades.c[name]: names for name in ("rater", "prompt", "contestant")},
    **{table.c.annotator: annotators for table in (judgements, assignments)},
}
CODES = {"status": len(STATUSES), "kind": len(KINDS), "preferred": len(SIDES), "strength": len(STRENGTHS)}


@dataclass(slots=True)
class Tally:
    """Of one table: rows that are whole, rows that are lost, and whether there may be more of these."""

    table: str
    sound: int = 0
    lost: int = 0
    at_least: bool = False

    def __str__(self) -> str:
        if self.at_least and not self.sound:
            return f"{self.table}: nothing can be read of it"
        return f"{self.table}: {self.sound:,} rows are whole, {self.losses} lost"

    def note_damage(self) -> None:
        """Not all of the table can be read."""
        self.at_least = True

    @property
    def losses(self) -> str:
        """How many rows are lost, in words."""
        if self.at_least and not self.lost:
            return "nobody can know how many"
        return f"at least {self.lost:,}" if self.at_least else f"{self.lost:,}"


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found. `faults` are sentences; there are none in a ledger that is whole."""

    location: str
    version: int
    tallies: tuple[Tally, ...]
    faults: tuple[str, ...]


@dataclass(slots=True)
class Reading:
    """The sound rows of a ledger, table by table: what a row refers to has to have been read before it.

    `connection` shows one state of it; `database` is PostgreSQL, None for a SQLite file, where what lies around a
    damaged page is read too. `tallies` are filled as tables are read to their ends.
    """

    connection: sa.Connection
    database: Database | None = None
    tallies: list[Tally] = field(default_factory=list)
    _known: dict[sa.Table, set[int]] = field(default_factory=lambda: {texts: set(), names: set(), annotators: set()})

    def sound(self, table: sa.Table) -> Iterator[Row]:
        """The rows of `table` that are whole, with all columns in the order of the table."""
        tally = Tally(table.name)
        self.tallies.append(tally)
        known = self._known.get(table)
        for row in self._rows(table, tally):
            if not self._is_sound(table, row):
                tally.lost += 1
                continue
            tally.sound += 1
            if known is not None:
                known.add(row[0])
            yield row
        if self.database is None:
            tally.lost = max(tally.lost, listed(self.connection, table) - tally.sound)

    def _rows(self, table: sa.Table, tally: Tally) -> Iterator[Row]:
        if self.database is not None:
            for batch in self.database.rows(self.connection, sa.select(table), STEP):
                yield from map(tuple, batch)
            return
        if there := columns_of(self.connection, table):
            yield from (row[1:] for row in salvaged(self.connection, table, there, tally.note_damage))
        else:  # an older version did not have it, or the list of tables is damaged
            tally.at_least = _version(self.connection) == SCHEMA_VERSION

    def _is_sound(self, table: sa.Table, row: Row) -> bool:
        if table is texts and not _is_its_digest(*row[1:]):
            return False
        return all(map(self._is_value, table.columns, row))

    def _is_value(self, column: sa.Column[Any], value: Any) -> bool:
        if value is None:
            return bool(column.nullable)
        kind = column.type.python_type
        if not isinstance(value, (int, float) if kind is float else kind):
            return False
        length = getattr(column.type, "length", None)
        if isinstance(value, bytes) and length and len(value) != length:
            return False
        if column.name in CODES and not 0 <= value < CODES[column.name]:
            return False
        target = REFERS_TO.get(column)
        return target is None or value in self._known[target]


def examine(location: str) -> Examination:
    """Read the whole ledger at `location`. Nothing is changed. Raises StoreError where there is none to read."""
    with opened(location) as reading:
        connection = reading.connection
        version = read_version(connection)
        if version == 0:
            raise StoreError(f"{location}: this is no ledger; name another with --store")
        refuse_newer(version, location)
        faults = [*_complaints(connection), *_without_guard(connection, version), *_without_secret(connection)]
        for table in TABLES:
            for _ in reading.sound(table):
                pass
        faults += [str(tally) for tally in reading.tallies if tally.lost or tally.at_least]
        return Examination(location, version, tuple(reading.tallies), tuple(faults))


@contextmanager
def opened(location: str) -> Iterator[Reading]:
    """The ledger at `location`, to be read as it is. What its database says becomes a StoreError."""
    if "://" in location and not location.startswith("sqlite:"):
        database = open_database(location)
        try:
            with database.reading() as connection:
                yield Reading(connection, database)
        finally:
            database.close()
        return
    with translated(location), looked_at(location) as connection:
        yield Reading(connection)


def secret_of(connection: sa.Connection) -> bytes | None:
    """The ledger's secret, None where it is lost."""
    try:
        found = connection.execute(sa.select(meta.c.value).where(meta.c.name == "secret")).scalar_one_or_none()
    except DAMAGE:
        return None
    return bytes(found) if isinstance(found, bytes) and len(found) == SECRET else None


# ---------------------------------------------------------------- what is wrong besides rows


def _complaints(connection: sa.Connection) -> Iterator[str]:
    """What SQLite finds wrong with its file. PostgreSQL looks after its own."""
    if connection.dialect.name != "sqlite":
        return
    try:
        said = connection.exec_driver_sql(f"PRAGMA integrity_check({SHOWN})").scalars().all()
    except DAMAGE as error:
        said = [str(getattr(error, "orig", error))]
    lines = [line for one in said for line in str(one).splitlines()]
    yield from (f"SQLite: {line}" for line in lines if line != "ok" and not line.startswith("*** in database"))


def _without_guard(connection: sa.Connection, version: int) -> Iterator[str]:
    """Tables of facts that could be changed, because somebody took a trigger away."""
    if version != SCHEMA_VERSION:
        return
    query, ends = "SELECT name FROM sqlite_master WHERE type = 'trigger'", ["no_update", "no_delete"]
    if connection.dialect.name != "sqlite":
        query, ends = "SELECT tgname FROM pg_trigger", ["append_only"]
    try:
        there = set(connection.exec_driver_sql(query).scalars())
    except DAMAGE:
        return  # the complaints say so
    for table in APPEND_ONLY:
        missing = [f"{table}_{end}" for end in ends if f"{table}_{end}" not in there]
        yield from (f"{table}: facts can be changed, because the trigger {name} is missing" for name in missing)


def _without_secret(connection: sa.Connection) -> Iterator[str]:
    if secret_of(connection) is None:
        yield "meta: the ledger's secret is lost, from which links of annotators and seals of verdicts are made"


def _is_its_digest(digest: Any, body: Any) -> bool:
    try:
        return bool(hashlib.sha256(zlib.decompress(body)).digest() == digest)
    except (zlib.error, TypeError):
        return False


def _version(connection: sa.Connection) -> int:
    try:
        return read_version(connection)
    except DAMAGE:
        return SCHEMA_VERSION
