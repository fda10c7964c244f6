"""Texts of the ledger: each is kept once, compressed, under its digest."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from sciexam.store.statements import insert, look_up
from sciexam.store.tables import (
    anchors,
    chunks,
    grades,
    items,
    judgements,
    queues,
    replies,
    runs,
    texts,
    verdicts,
    votes,
)

# Every column that holds the id of a text.
REFERENCES = (
    *(replies.c[name] for name in ("text", "raw", "failure")),
    *(verdicts.c[name] for name in ("reason", "criteria", "failure")),
    *(grades.c[name] for name in ("reason", "criteria", "failure")),
    runs.c.manifest,
    *(table.c.body for table in (anchors, items, queues, judgements, votes)),
)


def insert_new(connection: sa.Connection, table: sa.Table) -> Any:
    """An insertion that leaves rows alone that are there."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()


def text_ids(connection: sa.Connection, bodies: Iterable[bytes]) -> dict[bytes, int]:
    """The ids of these texts; those that are new are added (in a writing transaction: nobody adds them meanwhile)."""
    by_digest = {hashlib.sha256(body).digest(): body for body in bodies}

    def known(digests: Sequence[bytes]) -> dict[bytes, int]:
        found = look_up(connection, texts, "id, digest", "digest", digests)
        return {by_digest[bytes(digest)]: id for id, digest in found}

    ids = known(list(by_digest))
    new = [digest for digest, body in by_digest.items() if body not in ids]
    insert(connection, texts, [{"digest": d, "body": zlib.compress(by_digest[d])} for d in new])
    return ids | known(new)


def erase_unused(connection: sa.Connection, ids: Iterable[int]) -> None:
    """Delete those of the texts that nothing refers to any more (within `opening.erasing`)."""
    for chunk in chunks(sorted(set(ids))):
        used: set[int] = set()
        for column in REFERENCES:
            used.update(connection.execute(sa.select(column).where(column.in_(chunk)).distinct()).scalars())
        unused: Sequence[int] = [one for one in chunk if one not in used]
        connection.execute(sa.delete(texts).where(texts.c.id.in_(unused)))
