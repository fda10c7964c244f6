"""A damaged ledger made readable: what is whole of it goes into a fresh file, and the damaged one is kept beside it."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, count, islice
from pathlib import Path

import sqlalchemy as sa

from sciexam.errors import StoreError
from sciexam.files import drafted, put_new, sync
from sciexam.store.examination import TABLES, Reading, Tally, examine, opened, secret_of
from sciexam.store.opening import prepare
from sciexam.store.salvaged_rows import DAMAGE, STEP
from sciexam.store.sqlite import file_of, locked, translated
from sciexam.store.tables import meta
from sciexam.store.texts import insert_new

SHARED_LOCK = 0x40000002, 510  # SQLite's file format: where every connection to a file in WAL mode holds a lock


@dataclass(frozen=True, slots=True)
class Salvage:
    """What a repair saved and lost, by table; `kept` is the damaged file. `secret`: whether that was saved."""

    location: str
    tallies: tuple[Tally, ...]
    kept: Path
    secret: bool

    @property
    def is_whole(self) -> bool:
        return self.secret and not any(tally.lost or tally.at_least for tally in self.tallies)


def repair(location: str) -> Salvage | None:
    """Replace the SQLite file at `location` by one with every row that is whole; None where nothing is wrong with it.

    Killed at any moment, there is a ledger at `location`, the old one or the new one, and the same call goes on: the
    damaged file is copied before it is touched, and the fresh one takes its name last. A row that refers to a text or
    a name that is lost is lost too, so that whatever is in the fresh file is whole. Raises StoreError, and changes
    nothing, where nothing can be read, or another process has the ledger open.
    """
    file = file_of(location)
    with locked(location), translated(location):
        if _is_open_elsewhere(file):
            raise StoreError(f"{location}: another process has it open; end that one first, then repair")
        if not examine(location).faults:
            return None
        with drafted(file) as draft:
            tallies, secret = _fill(draft, location)
            if not any(tally.sound for tally in tallies):
                raise StoreError(f"{location}: nothing can be read of it. Nothing was changed; restore a backup")
            if faults := examine(str(draft)).faults:
                raise StoreError(f"{location}: what can be read of it is not whole ({faults[0]}). Nothing was changed")
            kept = _kept(file)
            _put_in_place(draft, file)
    return Salvage(location, tallies, kept, secret)


def _is_open_elsewhere(file: Path) -> bool:
    """Whether another process has a connection to the file. This one must have none: it would lose its locks by it."""
    start, length = SHARED_LOCK
    with file.open("r+b") as opened_file:
        try:
            fcntl.lockf(opened_file, fcntl.LOCK_EX | fcntl.LOCK_NB, length, start)
        except (BlockingIOError, PermissionError):
            return True
    return False


def _kept(file: Path) -> Path:
    """A copy of the damaged file, and of the log beside it, under a name that says so."""
    named = f"{file.name}.damaged-{datetime.now(UTC).strftime('%Y%m%dT%H%M%SZ')}"
    names = chain([named], (f"{named}-{number}" for number in count(2)))  # one that was killed may have left a copy
    kept = next(path for path in map(file.with_name, names) if not path.exists())
    for end in ("-wal", ""):  # the log of a copy that is not there harms nobody
        Path(f"{kept}{end}").unlink(missing_ok=True)
        if (source := Path(f"{file}{end}")).exists():
            with drafted(Path(f"{kept}{end}")) as draft:
                shutil.copyfile(source, draft)
                put_new(draft, Path(f"{kept}{end}"))
    return kept


def _fill(draft: Path, location: str) -> tuple[tuple[Tally, ...], bool]:
    """Put every row that is whole into a ledger at `draft`; what was saved and lost, and whether the secret was."""
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(draft)))
    sa.event.listen(engine, "connect", _configure)
    try:
        with opened(location) as reading, engine.connect() as fresh:
            fresh.exec_driver_sql("BEGIN")
            prepare(fresh, str(draft))
            secret = secret_of(reading.connection)
            if secret is not None:
                fresh.execute(sa.update(meta).where(meta.c.name == "secret").values(value=secret))
            for table in TABLES:
                if table is not meta:
                    _copy(reading, table, fresh)
            fresh.exec_driver_sql("COMMIT")
            return tuple(reading.tallies), secret is not None
    finally:
        engine.dispose()


def _configure(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None
    for pragma in ("journal_mode = MEMORY", "synchronous = OFF"):  # a draft that is not finished is thrown away
        connection.execute(f"PRAGMA {pragma}")


def _copy(reading: Reading, table: sa.Table, fresh: sa.Connection) -> None:
    columns = [column.name for column in table.columns]
    rows = reading.sound(table)
    while batch := list(islice(rows, STEP)):
        fresh.execute(insert_new(fresh, table), [dict(zip(columns, row, strict=True)) for row in batch])
    tally = reading.tallies[-1]
    there = int(fresh.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())
    tally.lost, tally.sound = tally.lost + tally.sound - there, there  # what stood there twice is there once


def _put_in_place(draft: Path, file: Path) -> None:
    """Give the fresh file the ledger's name. The log of the damaged one would be taken for its own: it goes first."""
    shutil.copymode(file, draft)
    sync(draft)
    with suppress(*DAMAGE), closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # a kill before the last step leaves no fact in no file
    for end in ("-wal", "-shm"):
        Path(f"{file}{end}").unlink(missing_ok=True)
    os.replace(draft, file)
    sync(file.parent)
