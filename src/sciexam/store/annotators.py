"""Who annotates: people under pseudonyms, whose names stand in one table, and can be forgotten."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from sciexam.store.database import Database, patient
from sciexam.store.forgetting import FORGOTTEN, forget
from sciexam.store.tables import annotators, assignments, encode, now
from sciexam.types import ADJUDICATION

# Whether a link opens something: an imported annotator never had one; a tombstone (`FORGOTTEN`) has none any more.
OPEN, REVOKED, IMPORTED = "open", "revoked", "imported"


@dataclass(frozen=True, slots=True)
class Annotator:
    """One person, or the one who adjudicates. `name` stays in this table: facts have the pseudonym.

    `nonce` is part of the link, which ends at `until` (UTC, ms). `name` is None where none was given, or is kept.
    """

    id: int
    pseudonym: str
    name: str | None
    nonce: str
    until: int
    state: str
    forgotten: int | None = None  # judgements that were deleted with the name

    @property
    def is_owner(self) -> bool:
        """Whether this is who runs the study and adjudicates, and no annotator."""
        return self.pseudonym == ADJUDICATION

    @property
    def label(self) -> str:
        """What the owner knows them by."""
        return self.name or ("the owner" if self.is_owner else self.pseudonym)


class Annotators:
    """The people in the ledger's `database`; `writing` opens a transaction. Durable when a method returns."""

    def __init__(self, database: Database, writing: Callable[[], AbstractContextManager[sa.Connection]]):
        self._database, self._writing = database, writing

    @patient
    def all(self) -> list[Annotator]:
        """Everyone, in the order in which they came."""
        with self._database.reading() as connection:
            return [_annotator(row) for row in connection.execute(sa.select(annotators).order_by(annotators.c.id))]

    @patient
    def get(self, id: int) -> Annotator | None:
        with self._database.reading() as connection:
            row = connection.execute(sa.select(annotators).where(annotators.c.id == id)).one_or_none()
        return None if row is None else _annotator(row)

    def add(self, name: str | None, until: int, state: str = OPEN) -> Annotator:
        """The annotator of this name, who is added if there is none; the pseudonym is the next free number.

        Without a name somebody new is added.
        """
        raw = None if name is None else encode(name)
        with self._writing() as connection:
            by_name = sa.select(annotators).where(annotators.c.name == raw)
            if raw is not None and (known := connection.execute(by_name).one_or_none()) is not None:
                return _annotator(known)
            people = connection.execute(sa.select(annotators.c.pseudonym)).scalars().all()
            number = sum(one != ADJUDICATION for one in people) + 1
            return _added(connection, f"annotator-{number}", raw, until, state)

    @patient
    def owner(self, until: int) -> Annotator:
        """Whoever runs the study; added if nobody does yet."""
        with self._writing() as connection:
            mine = sa.select(annotators).where(annotators.c.pseudonym == ADJUDICATION)
            known = connection.execute(mine).one_or_none()
            return _added(connection, ADJUDICATION, None, until, OPEN) if known is None else _annotator(known)

    @patient
    def renew(self, id: int, until: int) -> Annotator:
        """Give an annotator a new link, which ends the old one. A forgotten one has none, here and in `revoke`."""
        return self._change(id, nonce=secrets.token_hex(16), until=until, state=OPEN)

    @patient
    def revoke(self, id: int) -> Annotator:
        """End an annotator's link, and give back what they have before them."""
        found = self._change(id, nonce=secrets.token_hex(16), state=REVOKED)
        with self._writing() as connection:
            connection.execute(sa.update(assignments).where(assignments.c.annotator == id).values(until=0))
        return found

    def _change(self, id: int, **values: Any) -> Annotator:
        with self._writing() as connection:
            one = (annotators.c.id == id) & (annotators.c.state != FORGOTTEN)
            connection.execute(sa.update(annotators).where(one).values(**values))
        found = self.get(id)
        assert found is not None
        return found

    def forget(self, id: int, keep_judgements: bool = False) -> int:
        """Delete an annotator's name, link, drafts, judgements and verdicts; the pseudonym stays, with how many.

        With `keep_judgements` what they chose stays under the pseudonym, and all that they wrote goes: comments, and
        answers of their own. A later call without it deletes what that one kept.

        In SQLite what is deleted is overwritten, in its journal too; in PostgreSQL the tables are written anew.
        """
        with self._writing() as connection:
            count = forget(connection, id, keep_judgements)
        self._database.shred()
        return count


def _added(connection: sa.Connection, pseudonym: str, name: bytes | None, until: int, state: str) -> Annotator:
    row = {"pseudonym": pseudonym, "name": name, "nonce": secrets.token_hex(16), "until": until, "state": state}
    connection.execute(sa.insert(annotators), [row | {"at": now()}])
    return _annotator(connection.execute(sa.select(annotators).where(annotators.c.pseudonym == pseudonym)).one())


def _annotator(row: sa.Row[Any]) -> Annotator:
    name = None if row.name is None else row.name.decode("utf-8", "surrogatepass")
    return Annotator(row.id, row.pseudonym, name, row.nonce, row.until, row.state, row.forgotten)
