"""Who is working on which fact right now, so that two processes never pay for one key."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sciexam.store.database import Database, hold, is_held
from sciexam.store.tables import chunks, claims


class Claims:
    """This process's claims in `database`. They stand while it lives: it holds a lock on a file of its own."""

    def __init__(self, database: Database):
        self._database = database
        self._owners = database.file.with_name(database.file.name + ".owners")
        self._owner = uuid.uuid4().hex
        self._owner_file: Any = None
        self._announcing = threading.Lock()

    def take(self, keys: Sequence[str]) -> set[str]:
        """Of `keys`, those that nobody alive is working on; from now on this process is."""
        mine: set[str] = set()
        self._announce()
        for chunk in chunks([bytes.fromhex(key) for key in keys]):
            with self._database.writing() as connection:
                statement = sa.select(claims.c.owner).where(claims.c.key.in_(chunk)).distinct()
                for owner in connection.execute(statement).scalars().all():
                    if owner != self._owner and not self._alive(owner):
                        connection.execute(claims.delete().where(claims.c.owner == owner))
                taken = set(connection.execute(sa.select(claims.c.key).where(claims.c.key.in_(chunk))).scalars())
                free = [key for key in chunk if key not in taken]
                if free:
                    connection.execute(sa.insert(claims), [{"key": k, "owner": self._owner} for k in free])
            mine.update(key.hex() for key in free)
        return mine

    def release(self, keys: Iterable[str]) -> None:
        for chunk in chunks([bytes.fromhex(key) for key in keys]):
            with self._database.writing() as connection:
                self._delete(connection, chunk)

    def release_in(self, connection: sa.Connection, keys: Iterable[str]) -> None:
        """Give them up in a transaction that is under way."""
        for chunk in chunks([bytes.fromhex(key) for key in keys]):
            self._delete(connection, chunk)

    def others(self) -> int:
        """How many other processes have claimed anything here, and are alive. Nothing is taken from the dead."""
        files = self._owners.iterdir() if self._owners.is_dir() else ()
        return sum(path.name != self._owner and _is_locked(path) for path in files)

    def close(self) -> None:
        """Give all of them up."""
        if self._owner_file is not None:
            with self._database.writing() as connection:
                connection.execute(claims.delete().where(claims.c.owner == self._owner))
            (self._owners / self._owner).unlink(missing_ok=True)
            self._owner_file.close()
            self._owner_file = None

    def _delete(self, connection: sa.Connection, keys: Sequence[bytes]) -> None:
        connection.execute(claims.delete().where(claims.c.key.in_(keys), claims.c.owner == self._owner))

    def _announce(self) -> None:
        # Threads claim at once, and a second handle would let go of the first one's lock.
        with self._announcing, self._database.translated():
            if self._owner_file is None:
                self._owners.mkdir(exist_ok=True)
                file = (self._owners / self._owner).open("w")
                hold(file)
                self._owner_file = file

    def _alive(self, owner: str) -> bool:
        path = self._owners / owner
        try:
            with path.open("r+") as file:
                if is_held(file):
                    return True
        except FileNotFoundError:
            return False
        path.unlink(missing_ok=True)
        return False


def _is_locked(path: Path) -> bool:
    try:
        with path.open("r+") as file:
            return is_held(file)
    except FileNotFoundError:
        return False
