"""The database of a ledger: who reads it, who writes it alone, and what its errors mean."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sciexam.errors import StoreError, UsageError
from sciexam.store.opening import connect, explain, prepare


class Database:
    """The SQLite file at `location` (its path or its URL), made where there is none, and brought up to date.

    Every write is one IMMEDIATE transaction under an advisory lock beside the file (SQLite's WAL-reset bug corrupts
    rarely when two connections write or checkpoint at once). Everything raises StoreError with the path and what to do.
    """

    def __init__(self, location: str):
        self.location = location
        if "://" in location and not location.startswith("sqlite:///"):
            raise UsageError("--store: this version keeps its ledger in SQLite; give the path of a file")
        self.file = Path(location.removeprefix("sqlite:///")).absolute()
        with self.translated():
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self._engine = connect(self.file)
            with self.writing() as connection:
                prepare(connection, location)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A transaction that sees one state of the ledger, and holds nobody up."""
        with self.translated(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction that nobody else writes beside; durable on leaving, and undone by an exception."""
        with self._locked(), self._engine.execution_options(writes=True).begin() as connection:
            yield connection

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn what the database and the file system say into a StoreError that names the file and the way out."""
        try:
            yield
        except sa.exc.DBAPIError as error:
            raise StoreError(f"{self.location}: {explain(str(error.orig))}") from error
        except OSError as error:
            raise StoreError(
                f"{self.location}: {(error.strerror or str(error)).lower()}; choose another file with --store"
            ) from error

    def checkpoint(self) -> None:
        """Empty the write-ahead log, so that what was deleted is not in it either. Raises StoreError if it cannot."""
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
        with self.translated(), Path(f"{self.file}.lock").open("w") as file:
            hold(file)
            yield


def hold(file: Any) -> None:
    """Wait until this process is alone with `file`, for as long as it is open."""
    import fcntl

    fcntl.flock(file, fcntl.LOCK_EX)


def is_held(file: Any) -> bool:
    """Whether another process holds `file`; if not, this one does now."""
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
