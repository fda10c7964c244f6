"""How a process shows that it is alive: it holds a lock that ends with it, however it ends."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

GRACE = 2.0  # seconds in which a process whose session was ended takes its lock again, before it counts as dead
PAUSE = 0.2  # seconds between its attempts
WRITERS = 0  # the second half of the lock of who writes; the others are of who is alive
HELD = sa.text(
    "SELECT objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND classid::bigint = :room AND objsubid = 2 "
    "AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


class LockedFile:
    """Beside a SQLite file, each process holds a lock on a file of its own in `folder`."""

    def __init__(self, folder: Path, owner: str, translated: Callable[[], AbstractContextManager[None]]):
        self._folder, self._owner, self._translated = folder, owner, translated
        self._file: Any = None
        self._announcing = threading.Lock()

    def announce(self) -> None:
        # Threads claim at once, and a second handle would let go of the first one's lock.
        with self._announcing, self._translated():
            if self._file is None:
                self._folder.mkdir(exist_ok=True)
                file = (self._folder / self._owner).open("w")
                hold(file)
                self._file = file

    def is_alive(self, connection: sa.Connection, owner: str) -> bool:
        path = self._folder / owner
        if _is_locked(path):
            return True
        path.unlink(missing_ok=True)
        return False

    def others(self) -> int:
        files = self._folder.iterdir() if self._folder.is_dir() else ()
        return sum(path.name != self._owner and _is_locked(path) for path in files)

    def close(self) -> None:
        if self._file is not None:
            (self._folder / self._owner).unlink(missing_ok=True)
            self._file.close()
            self._file = None


class SessionLock:
    """In PostgreSQL, each process holds an advisory lock in a session of its own, on whatever machine it runs.

    The server lets go of the lock when the session ends: at once where a process ends, within half a minute where its
    machine is gone. A thread takes it again when the session is ended and the process is not, as when the server is
    restarted. `connect` opens a session in which every statement is a transaction; `room` is the first half of the
    numbers that are locked, the second half is the owner's.
    """

    def __init__(
        self,
        owner: str,
        room: int,
        connect: Callable[[], Any],
        reading: Callable[[], AbstractContextManager[sa.Connection]],
        translated: Callable[[], AbstractContextManager[None]],
    ):
        self._number, self._room = _number(owner), room
        self._connect, self._reading, self._translated = connect, reading, translated
        self._session: Any = None
        self._announcing = threading.Lock()
        self._missing: dict[str, float] = {}  # owners without a lock, and since when they were seen so
        self._ending, self._end = socket.socketpair()

    def announce(self) -> None:
        with self._announcing, self._translated():
            if self._session is None:
                self._session = self._locked()
                threading.Thread(target=self._keep, name="ledger presence", daemon=True).start()

    def is_alive(self, connection: sa.Connection, owner: str) -> bool:
        if _number(owner) in self._held(connection):
            self._missing.pop(owner, None)
            return True
        since = self._missing.setdefault(owner, time.monotonic())
        return time.monotonic() - since < GRACE

    def others(self) -> int:
        with self._reading() as connection:
            return len(self._held(connection) - {self._number, WRITERS})

    def close(self) -> None:
        self._end.close()  # wakes the thread, which ends the session
        if self._session is None:
            self._ending.close()

    def _held(self, connection: sa.Connection) -> set[int]:
        """The second halves of our locks that are held in this database, by whomever."""
        return set(connection.execute(HELD, {"room": self._room}).scalars())

    def _keep(self) -> None:
        """Hold a session with the lock until the end."""
        with self._ending:
            while not self._is_ending(self._session):
                try:
                    self._session.execute("SELECT 1")
                except Exception:  # whatever ended the session, another one is needed
                    self._session.close()
                    self._session = self._retaken()
            if self._session is not None:
                self._session.close()

    def _is_ending(self, session: Any) -> bool:
        """Wait until the session says something, and it never does but when it ends, or until the end is near."""
        if session is None:
            return True
        waiting = select.poll()
        waiting.register(session.fileno(), select.POLLIN)
        waiting.register(self._ending, select.POLLIN)
        return self._ending.fileno() in {number for number, _ in waiting.poll()}

    def _retaken(self) -> Any:
        """A session with the lock, as soon as there can be one; None when the end came first."""
        while True:
            try:
                return self._locked()
            except Exception:  # the server is away; how long that matters is for those to say who read and write
                waiting = select.poll()
                waiting.register(self._ending, select.POLLIN)
                if waiting.poll(PAUSE * 1000):
                    return None

    def _locked(self) -> Any:
        """A session with the lock. It is shared: the server may not have noticed yet that the one before is gone."""
        session = self._connect()
        signed = self._number - (self._number >> 31 << 32)  # as a number of 4 bytes with a sign
        session.execute("SELECT pg_advisory_lock_shared(%s, %s)", (self._room, signed))
        return session


def _number(owner: str) -> int:
    """Of an owner, a number of 4 bytes, and never that of the writers' lock."""
    return int(owner[:8], 16) or WRITERS + 1


def hold(file: Any) -> None:
    """Wait until this process is alone with `file`, for as long as it is open."""
    import fcntl

    fcntl.flock(file, fcntl.LOCK_EX)


def _is_locked(path: Path) -> bool:
    """Whether another process holds the file at `path`."""
    import fcntl

    try:
        with path.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False
