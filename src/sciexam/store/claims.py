"""Who is working on which fact right now, so that two processes never pay for one key."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress

import sqlalchemy as sa

from sciexam.store.database import Database, Unavailable, patient
from sciexam.store.statements import delete
from sciexam.store.tables import chunks, claims


class Claims:
    """This process's claims in `database`. They stand while it lives (see presence.py)."""

    def __init__(self, database: Database):
        self._database = database
        self._owner = uuid.uuid4().hex
        self._presence = database.presence(self._owner)
        self._held: set[bytes] = set()  # a row of ours that is not in it was left by a commit that was not answered
        self._claimed = False

    def take(self, keys: Sequence[str]) -> set[str]:
        """Of `keys`, those that nobody alive is working on; from now on this process is."""
        return {key.hex() for chunk in chunks([bytes.fromhex(key) for key in keys]) for key in self._take(chunk)}

    @patient
    def _take(self, keys: Sequence[bytes]) -> set[bytes]:
        self._presence.announce()
        self._claimed = True
        free: set[bytes] = set()
        try:
            with self._database.writing() as connection:
                rows = connection.execute(sa.select(claims.c.key, claims.c.owner).where(claims.c.key.in_(keys))).all()
                for owner in {row.owner for row in rows} - {self._owner}:
                    if not self._presence.is_alive(connection, owner):
                        connection.execute(claims.delete().where(claims.c.owner == owner))
                        rows = [row for row in rows if row.owner != owner]
                free = set(keys) - {row.key for row in rows if row.owner != self._owner or row.key in self._held}
                new = free - {row.key for row in rows}
                if new:
                    rows_of_ours = [{"key": key, "owner": self._owner} for key in keys if key in new]
                    connection.execute(sa.insert(claims), rows_of_ours)
                self._held.update(free)  # before another thread can look
        except BaseException:
            self._held.difference_update(free)
            raise
        return free

    def release(self, keys: Iterable[str]) -> None:
        for chunk in chunks([bytes.fromhex(key) for key in keys]):
            self._release(chunk)

    def release_in(self, connection: sa.Connection, keys: Iterable[str]) -> None:
        """Give them up in a transaction that is under way."""
        for chunk in chunks([bytes.fromhex(key) for key in keys]):
            self._delete(connection, chunk)

    def others(self) -> int:
        """How many other processes have claimed anything here, and are alive. Nothing is taken from the dead."""
        return self._presence.others()

    def close(self) -> None:
        """Give all of them up."""
        if self._claimed:
            with suppress(Unavailable), self._database.writing() as connection:  # without a server nobody is alive
                connection.execute(claims.delete().where(claims.c.owner == self._owner))
        self._presence.close()

    @patient
    def _release(self, keys: Sequence[bytes]) -> None:
        with self._database.writing() as connection:
            self._delete(connection, keys)

    def _delete(self, connection: sa.Connection, keys: Sequence[bytes]) -> None:
        self._held.difference_update(keys)
        delete(connection, claims, "key", keys, owner=self._owner)
