"""Texts of the ledger: each is kept once, compressed, under its digest."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

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
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(table).on_conflict_do_nothing()


def text_ids(connection: sa.Connection, bodies: Iterable[bytes]) -> dict[bytes, int]:
    """The ids of these texts; those that are new are added."""
    by_digest = {hashlib.sha256(body).digest(): body for body in bodies}
    known: set[bytes] = set()
    ids: dict[bytes, int] = {}
    for chunk in chunks(list(by_digest)):
        for row in connection.execute(sa.select(texts.c.id, texts.c.digest).where(texts.c.digest.in_(chunk))):
            known.add(row.digest)
            ids[by_digest[row.digest]] = row.id
    new = [d for d in by_digest if d not in known]
    if new:
        rows = [{"digest": d, "body": zlib.compress(by_digest[d])} for d in new]
        connection.execute(insert_new(connection, texts), rows)
        for chunk in chunks(new):
            for row in connection.execute(sa.select(texts.c.id, texts.c.digest).where(texts.c.digest.in_(chunk))):
                ids[by_digest[row.digest]] = row.id
    return ids


def erase_unused(connection: sa.Connection, ids: Iterable[int]) -> None:
    """Delete those of the texts that nothing refers to any more (within `opening.erasing`)."""
    for chunk in chunks(sorted(set(ids))):
        used: set[int] = set()
        for column in REFERENCES:
            used.update(connection.execute(sa.select(column).where(column.in_(chunk)).distinct()).scalars())
        unused: Sequence[int] = [one for one in chunk if one not in used]
        connection.execute(sa.delete(texts).where(texts.c.id.in_(unused)))
