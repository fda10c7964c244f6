"""The database of a ledger: a SQLite file or a PostgreSQL database, and how long a server may be away."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import wraps
from itertools import count
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

import sqlalchemy as sa

from sciexam.errors import StoreError, UsageError

PATIENCE = 60.0  # seconds that a server may be away before what was to be done is given up
LONGEST_PAUSE = 2.0  # seconds between two attempts

P = ParamSpec("P")
T = TypeVar("T")
_log = logging.getLogger(__name__)


class Unavailable(StoreError):
    """The server went away meanwhile. What was written is undone, or its commit was not answered."""


class Presence(Protocol):
    """How one process shows the others that it is alive, so that its claims stand."""

    def announce(self) -> None:
        """From now on this process counts as alive, until it closes or ends, however it ends."""
        ...

    def is_alive(self, connection: sa.Connection, owner: str) -> bool:
        """Whether another process is, looked at within a writing transaction."""
        ...

    def others(self) -> int:
        """How many other processes have announced themselves, and are alive."""
        ...

    def close(self) -> None:
        """No more."""
        ...


class Database(ABC):
    """What the ledger needs of a database. Everything raises StoreError with the location and what to do."""

    location: str

    @abstractmethod
    def reading(self) -> AbstractContextManager[sa.Connection]:
        """A transaction that sees one state of the ledger, and holds nobody up."""

    @abstractmethod
    def writing(self) -> AbstractContextManager[sa.Connection]:
        """A transaction that nobody else writes beside; durable on leaving, and undone by an exception.

        So what is numbered is numbered once, whoever has seen a row has seen all before it, and nothing deadlocks.
        """

    @abstractmethod
    def rows(self, connection: sa.Connection, statement: sa.Select[Any], size: int) -> Iterator[Sequence[Any]]:
        """What `statement` finds, as the driver's own tuples, `size` of them at once in memory."""

    @abstractmethod
    def presence(self, owner: str) -> Presence:
        """How the process `owner` (32 hex digits, drawn at random) shows that it is alive."""

    @abstractmethod
    def shred(self) -> None:
        """Overwrite or give back the room of what was deleted. Raises StoreError, with what is left, if it cannot."""

    @abstractmethod
    def close(self) -> None:
        """Give up the connections."""


def open_database(location: str) -> Database:
    """The database at `location`, made ready where it is empty: the path of a file, or a URL."""
    scheme, separator, _ = location.partition("://")
    if not separator or scheme == "sqlite":
        from sciexam.store.sqlite import SQLite

        return SQLite(location)
    return _postgresql(scheme).PostgreSQL(location)  # type: ignore[no-any-return]


def is_there(location: str) -> bool:
    """Whether a ledger lies at `location`. Nothing is made."""
    scheme, separator, path = location.partition("://")
    if not separator or scheme == "sqlite":
        return Path(path.removeprefix("/") if separator else location).is_file()
    return bool(_postgresql(scheme).is_there(location))


def _postgresql(scheme: str) -> Any:
    if scheme not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise UsageError("--store: a ledger is a file, or a database at postgresql://USER@HOST/DATABASE")
    try:
        from sciexam.store import postgresql
    except ImportError as error:  # psycopg is not there, or finds no libpq
        raise UsageError(
            f"--store: a ledger in PostgreSQL needs psycopg: pip install 'sciexam[postgres]' ({_in_a_line(error)})"
        ) from error
    return postgresql


def patient(method: Callable[P, T]) -> Callable[P, T]:
    """Do it again while the server is away, for a minute: for what is the same whether it is done once or twice."""

    @wraps(method)
    def persisting(*args: P.args, **kwargs: P.kwargs) -> T:
        begun = time.monotonic()
        for attempt in count():
            try:
                return method(*args, **kwargs)
            except Unavailable as error:
                if time.monotonic() - begun > PATIENCE:
                    raise StoreError(f"{error}. It was tried again for {PATIENCE:.0f} s") from error
                if attempt == 2:
                    _log.warning("%s; trying again for up to %.0f s", error, PATIENCE)
                time.sleep(min(LONGEST_PAUSE, 0.05 * 2**attempt))
        raise AssertionError("an endless count ended")

    return persisting


def _in_a_line(error: Exception) -> str:
    return " ".join(str(error).split())
