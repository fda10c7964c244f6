"""A ledger in a SQLite file: its connections, its lock, and what its errors mean."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from sciexam.errors import StoreError, UsageError
from sciexam.store.database import Database
from sciexam.store.file_system import network_file_system
from sciexam.store.opening import prepare
from sciexam.store.presence import LockedFile, hold
from sciexam.store.tables import damaged

_log = logging.getLogger(__name__)


class SQLite(Database):
    """The file at `location` (its path or its URL), made where there is none, and brought up to date.

    Every write is one IMMEDIATE transaction under an advisory lock beside the file (SQLite's WAL-reset bug corrupts
    rarely when two connections write or checkpoint at once).
    """

    def __init__(self, location: str):
        self.location = location
        self.file = file_of(location)
        self._lock = f"{self.file}.lock"
        with self.translated():
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self._engine = _connect(self.file)
            self._writers = self._engine.execution_options(writes=True)
            with self.writing() as connection:
                prepare(connection, location)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        with self.translated(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        with self._locked(), self._writers.begin() as connection:
            yield connection

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn what the database and the file system say into a StoreError that names the file and the way out."""
        with translated(self.location):
            yield

    def rows(self, connection: sa.Connection, statement: sa.Select[Any], size: int) -> Iterator[Sequence[Any]]:
        cursor = connection.execute(statement).cursor
        while batch := cursor.fetchmany(size):
            yield batch

    def presence(self, owner: str) -> LockedFile:
        return LockedFile(self.file.with_name(self.file.name + ".owners"), owner, self.translated)

    def shred(self) -> None:
        """What is deleted is overwritten as it goes (`secure_delete`); the write-ahead log is emptied here."""
        with self._locked(), self._engine.connect() as connection:
            connection.exec_driver_sql("COMMIT")
            busy, *_ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
        if busy:
            raise StoreError(
                f"{self.location}: deleted, but {self.file.name}-wal may still hold it, because another process reads; "
                "end that one, and run any command on this ledger: the file is emptied when it is closed"
            )

    def close(self) -> None:
        with self._locked():
            self._engine.dispose()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self.translated(), _alone_with(self._lock):
            yield


def file_of(location: str) -> Path:
    """The file that a path or a URL means."""
    if "://" in location and not location.startswith("sqlite:///"):
        raise UsageError("--store: the URL of a file is sqlite:///PATH")
    path = Path(location.removeprefix("sqlite:///"))
    if os.path.isdir(path):  # a folder above it that nobody may look into is told of when it is opened
        raise StoreError(f"{location}: is a folder; name the ledger in it: --store {path / 'ledger.sqlite'}")
    return path.absolute()


@contextmanager
def translated(location: str) -> Iterator[None]:
    """See `SQLite.translated`."""
    try:
        yield
    except (sa.exc.DBAPIError, sqlite3.Error) as error:
        raise StoreError(f"{location}: {_explain(str(getattr(error, 'orig', error)))}") from error
    except (UnicodeDecodeError, OverflowError) as error:  # a damaged page gives the driver what is no text or number
        raise StoreError(f"{location}: {damaged(str(error))}") from error
    except OSError as error:
        raise StoreError(
            f"{location}: {(error.strerror or str(error)).lower()}; choose another file with --store"
        ) from error


@contextmanager
def locked(location: str) -> Iterator[None]:
    """Hold the lock of those who write, checkpoint or close."""
    with translated(location), _alone_with(f"{file_of(location)}.lock"):
        yield


@contextmanager
def _alone_with(path: str) -> Iterator[None]:
    """Hold the lock of the file at `path`, which is made where there is none; each thread has a handle of its own."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        hold(handle)
        yield
    finally:
        os.close(handle)


@contextmanager
def looked_at(location: str) -> Iterator[sa.Connection]:
    """One state of the file at `location`, as it is: it is not made, brought up to date, or written to.

    What the database says is not translated: whoever looks at a damaged file has to know what each row says.
    """
    file = file_of(location)
    if not file.is_file():
        raise StoreError(f"{location}: no ledger there; choose another file with --store")
    address = f"file:{quote(str(file))}?mode=ro"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(address, uri=True, timeout=30, isolation_level=None)

    engine = sa.create_engine("sqlite://", creator=connect)
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA writable_schema = ON")  # or a file that is too short is refused whole
            connection.exec_driver_sql("BEGIN")  # what others write meanwhile is not seen
            yield connection
    finally:
        engine.dispose()


def _connect(file: Path) -> sa.Engine:
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(file)))
    sa.event.listen(engine, "connect", partial(_configure, _journal(file)))
    sa.event.listen(engine, "begin", _begin)
    return engine


def _journal(file: Path) -> str:
    """WAL, or the rollback journal on a network file system, where WAL would damage the file."""
    remote = network_file_system(file)
    if remote is None:
        return "WAL"
    _log.warning(
        "%s lies on a network file system (%s): it is slower there, and no two machines may use it at once. "
        "For that there is PostgreSQL: --store postgresql://USER@HOST/DATABASE",
        file,
        remote,
    )
    return "DELETE"


def _configure(journal: str, connection: Any, _: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy's BEGIN IMMEDIATE is the only BEGIN
    # What is deleted or replaced (a draft, a name) is overwritten, and not only released.
    for pragma in ("busy_timeout = 30000", f"journal_mode = {journal}", "synchronous = FULL", "secure_delete = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    # A deferred BEGIN that later writes fails with "database is locked" whatever the busy timeout.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")


def _explain(message: str) -> str:
    """What a message of the database means for the user, and the way out."""
    if "disk is full" in message or "disk I/O error" in message:
        return f"no space left, or the disk fails ({message}). What was reported as stored is safe; make room and go on"
    if "readonly" in message or "unable to open" in message:
        return f"cannot be written ({message}); check its permissions, or choose another file with --store"
    if any(word in message for word in ("malformed", "not a database", "Could not decode")):
        return damaged(message)
    if "locked" in message:
        return f"another process holds it for more than 30 s ({message}); wait for it and run again"
    return message
