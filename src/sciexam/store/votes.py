"""Votes of visitors, with the conversations that they are about: kept only where a visitor agreed to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import sqlalchemy as sa

from sciexam.store.database import Database
from sciexam.store.opening import erasing
from sciexam.store.tables import KINDS, Fact, decode, encode, names, now, texts, verdicts, votes
from sciexam.store.texts import erase_unused, text_ids
from sciexam.types import Verdict


class Votes:
    """The votes in the ledger's `database`; `writing` opens a transaction, `append` puts facts into one."""

    def __init__(
        self,
        database: Database,
        writing: Callable[[], AbstractContextManager[sa.Connection]],
        append: Callable[[sa.Connection, Sequence[Fact]], None],
    ):
        self._database, self._writing, self._append = database, writing, append

    def keep(self, verdict: Verdict, body: str) -> None:
        """Make a vote durable together with what it is about (`body`, JSON)."""
        with self._writing() as connection:
            self._append(connection, [verdict])
            raw = encode(body)
            row = {"key": bytes.fromhex(verdict.key), "body": text_ids(connection, [raw])[raw], "at": now()}
            connection.execute(sa.insert(votes), [row])

    def all(self) -> list[tuple[str, str, int]]:
        """The key of each verdict with what it is about, and when it was given (UTC, ms), in order of arrival."""
        found = sa.select(votes.c.key, texts.c.body, votes.c.at).join(texts, votes.c.body == texts.c.id)
        with self._database.reading() as connection:
            rows = connection.execute(found.order_by(votes.c.seq)).all()
        return [(row.key.hex(), decode(row.body), row.at) for row in rows]

    def forget(self, visitor: str) -> int:
        """Delete all votes of a visitor, and what they are about; how many there were."""
        with self._writing() as connection:
            rater = sa.select(names.c.id).where(names.c.name == encode(visitor)).scalar_subquery()
            theirs = (verdicts.c.rater == rater) & (verdicts.c.kind == KINDS.index("human"))
            keys = list(connection.execute(sa.select(verdicts.c.key).where(theirs)).scalars())
            mine = votes.c.key.in_(keys)
            bodies = list(connection.execute(sa.select(votes.c.body).where(mine)).scalars())
            with erasing(connection, "votes", "verdicts", "texts"):
                connection.execute(sa.delete(votes).where(mine))
                connection.execute(sa.delete(verdicts).where(verdicts.c.key.in_(keys)))
                erase_unused(connection, bodies)
        self._database.shred()
        return len(bodies)
