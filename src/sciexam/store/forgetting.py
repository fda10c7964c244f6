"""A person forgotten: what is deleted of them, what is kept without their words, and the tombstone that stays."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from sciexam.store.opening import erasing
from sciexam.store.tables import (
    KINDS,
    annotators,
    assignments,
    chunks,
    decode,
    encode,
    judgements,
    names,
    texts,
    verdicts,
)
from sciexam.store.texts import erase_unused, text_ids

FORGOTTEN = "forgotten"  # the state of a tombstone


def forget(connection: sa.Connection, id: int, keep_judgements: bool) -> int:
    """See `Annotators.forget`, within a writing transaction. How many judgements were ever deleted of this person."""
    person = connection.execute(sa.select(annotators).where(annotators.c.id == id)).one()
    mine = judgements.c.annotator == id
    rater = sa.select(names.c.id).where(names.c.name == encode(person.pseudonym)).scalar_subquery()
    theirs = (verdicts.c.rater == rater) & (verdicts.c.kind == KINDS.index("human"))
    judged = _rows(connection, judgements, mine)
    said = _rows(connection, verdicts, theirs)
    words = {row["body"] for row in judged} | {row["reason"] for row in said}
    with erasing(connection, "judgements", "verdicts", "texts"):
        connection.execute(sa.delete(judgements).where(mine))
        connection.execute(sa.delete(verdicts).where(theirs))
        kept = _without_words(connection, judged, said) if keep_judgements else []
        erase_unused(connection, words - {None})
    own = assignments.c.annotator == id
    items = {row["item"] for row in kept}
    for item in connection.execute(sa.select(assignments.c.item).where(own)).scalars().all():
        if item not in items:
            connection.execute(sa.delete(assignments).where(own, assignments.c.item == item))
    connection.execute(sa.update(assignments).where(own).values(draft=None, until=0))
    total = (person.forgotten or 0) + len(judged) - len(kept)
    gone = {"name": None, "nonce": "", "until": 0, "state": FORGOTTEN, "forgotten": total}
    connection.execute(sa.update(annotators).where(annotators.c.id == id).values(**gone))
    return int(total)


def _rows(connection: sa.Connection, table: sa.Table, which: sa.ColumnElement[bool]) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(sa.select(table).where(which).order_by(table.c.seq)).mappings()]


def _without_words(
    connection: sa.Connection, judged: Sequence[dict[str, Any]], said: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Put judgements and verdicts back in their places without what the person wrote; the judgements that are back.

    An answer that the person wrote is all that its judgement is, and stays away.
    """
    bodies = {}
    for chunk in chunks(sorted({row["body"] for row in judged} - {None})):
        found = connection.execute(sa.select(texts.c.id, texts.c.body).where(texts.c.id.in_(chunk)))
        bodies.update({row.id: json.loads(decode(row.body) or "{}") for row in found})
    back = [row for row in judged if not bodies.get(row["body"], {}).get("text")]
    kept = [encode(_without_comment(bodies.get(row["body"], {}))) for row in back]
    ids = text_ids(connection, kept)
    if back:
        rows = [row | {"body": ids[body]} for row, body in zip(back, kept, strict=True)]
        connection.execute(sa.insert(judgements), rows)
    if said:
        connection.execute(sa.insert(verdicts), [row | {"reason": None} for row in said])
    return back


def _without_comment(body: dict[str, Any]) -> str:
    return json.dumps({key: value for key, value in body.items() if key != "comment"}, sort_keys=True)
