"""The ledger's side of annotation: what annotators are shown, who has what before them, and everything they did."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from sciexam.errors import UsageError
from sciexam.store.database import Database, patient
from sciexam.store.tables import (
    Fact,
    annotators,
    assignments,
    chunks,
    decode,
    encode,
    items,
    judgements,
    now,
    queues,
    texts,
)
from sciexam.store.texts import insert_new, text_ids
from sciexam.types import ADJUDICATION

WITHDRAWN = "withdrawn"  # the choice of a judgement that takes the one before it back

Slots = tuple[int, ...]  # the places of an item's texts in the order in which they are laid out


@dataclass(frozen=True, slots=True)
class Assignment:
    """How an item is laid out for an annotator, and where it stands: `choice` is None where none stands."""

    item: str
    annotator: int
    shown: Slots
    until: int
    turns: int
    choice: str | None
    draft: str
    at: int


@dataclass(frozen=True, slots=True)
class Judgement:
    """One thing that an annotator did with an item. `body` is JSON: the comment, and what else there is to say."""

    queue: str
    item: str
    annotator: int
    turn: int
    choice: str
    body: str
    shown: Slots
    seconds: float | None
    at: int = 0
    seq: int = 0  # the order of arrival


@dataclass(frozen=True, slots=True)
class Load:
    """How many of the others have judged an item, how many have it before them, and in which layouts."""

    judged: int = 0
    leased: int = 0
    layouts: tuple[Slots, ...] = ()


class Annotations:
    """Queues, assignments and judgements in the ledger's `database`; durable when a method returns.

    `writing` opens a transaction, and `append` puts facts into one: a judgement and its verdicts are one write.
    """

    def __init__(
        self,
        database: Database,
        writing: Callable[[], AbstractContextManager[sa.Connection]],
        append: Callable[[sa.Connection, Sequence[Fact]], None],
    ):
        self._database, self._writing, self._append = database, writing, append

    # ------------------------------------------------------------ queues

    @patient
    def add_queue(self, queue: str, body: str, shown: Mapping[str, str]) -> None:
        """Keep what a queue holds, which is served now: its description, and by id the items that it shows.

        Nothing is written twice in a row.
        """
        raw = {item: encode(text) for item, text in shown.items()}
        with self._writing() as connection:
            ids = text_ids(connection, [encode(body), *raw.values()])
            rows = [{"item": item, "body": ids[text]} for item, text in raw.items()]
            if rows:
                connection.execute(insert_new(connection, items), rows)
            newest = connection.execute(sa.select(queues).order_by(queues.c.seq.desc()).limit(1)).one_or_none()
            if newest is None or (newest.queue, newest.body) != (queue, ids[encode(body)]):
                connection.execute(sa.insert(queues), [{"queue": queue, "body": ids[encode(body)], "at": now()}])

    @patient
    def queues(self) -> dict[str, str]:
        """The last description of each queue, the one that was served last at the end."""
        statement = sa.select(queues.c.queue, texts.c.body).join(texts, queues.c.body == texts.c.id)
        with self._database.reading() as connection:
            found: dict[str, str] = {}
            for row in connection.execute(statement.order_by(queues.c.seq)):
                found.pop(row.queue, None)
                found[row.queue] = decode(row.body)
            return found

    @patient
    def items(self, ids: Sequence[str]) -> dict[str, str]:
        """What is shown for each of these items."""
        statement = sa.select(items.c.item, texts.c.body).join(texts, items.c.body == texts.c.id)
        found: dict[str, str] = {}
        for chunk in chunks(ids):
            with self._database.reading() as connection:
                for row in connection.execute(statement.where(items.c.item.in_(chunk))):
                    found[row.item] = decode(row.body)
        return found

    # ------------------------------------------------------------ assignments

    @patient
    def assignment(self, queue: str, annotator: int, item: str) -> Assignment | None:
        if not item.isprintable():  # it comes from an address; PostgreSQL refuses a NUL, both refuse half a character
            return None
        with self._database.reading() as connection:
            row = connection.execute(_assigned(queue, annotator).where(assignments.c.item == item)).one_or_none()
        return None if row is None else _assignment(row)

    @patient
    def assignments(self, queue: str, annotator: int | None = None) -> list[Assignment]:
        """Those of an annotator, or of everyone, in the order in which they were given."""
        with self._database.reading() as connection:
            return [_assignment(row) for row in connection.execute(_assigned(queue, annotator))]

    @patient
    def loads(self, queue: str, annotator: int) -> dict[str, Load]:
        """What the others have done of each item, and are doing."""
        with self._database.reading() as connection:
            return _loads(connection, queue, annotator)

    @patient
    def assign(
        self,
        queue: str,
        annotator: int,
        minutes: float,
        choose: Callable[[Sequence[Assignment], Mapping[str, Load]], tuple[str, Slots] | None],
    ) -> Assignment | None:
        """Give the annotator the item that `choose` names, for so many minutes; None where it names none.

        Nobody else is given anything meanwhile. `choose` is told the annotator's assignments, and the others' loads.
        """
        moment = now()
        with self._writing() as connection:
            mine = [_assignment(row) for row in connection.execute(_assigned(queue, annotator))]
            chosen = choose(mine, _loads(connection, queue, annotator))
            if chosen is None:
                return None
            item, shown = chosen
            until = moment + round(minutes * 60_000)
            row = {"queue": queue, "item": item, "annotator": annotator, "shown": _joined(shown), "until": until}
            connection.execute(insert_new(connection, assignments), [row | {"turns": 0, "at": moment}])
            connection.execute(sa.update(assignments).where(_one(queue, item, annotator)).values(until=until))
            return _assignment(connection.execute(_assigned(queue, annotator).where(assignments.c.item == item)).one())

    @patient
    def keep_draft(self, queue: str, annotator: int, item: str, turn: int, draft: str, minutes: float) -> None:
        """Keep what is not yet judged, and the item with who wrote it for so many minutes more.

        Nothing is kept of a form that does not know of a judgement since (`turn`). An item that was given back stays
        given back: a page that is left sends its draft last.
        """
        moment = now()
        with self._writing() as connection:
            until = assignments.c.until
            longer = sa.case((until > moment, moment + round(minutes * 60_000)), else_=until)
            place = _one(queue, item, annotator) & (assignments.c.turns == turn)
            connection.execute(sa.update(assignments).where(place).values(draft=encode(draft), until=longer))

    @patient
    def give_back(self, queue: str, annotator: int) -> None:
        """Let others have what the annotator has before them and has not judged."""
        mine = (assignments.c.queue == queue) & (assignments.c.annotator == annotator)
        with self._writing() as connection:
            connection.execute(sa.update(assignments).where(mine).values(until=0))

    # ------------------------------------------------------------ judgements

    @patient
    def judge(self, judgement: Judgement, facts: Sequence[Fact]) -> bool:
        """Keep a judgement with its facts, if its turn has come; whether it is the last one of its item now.

        Whatever was sent twice, and from wherever, is one judgement: the first one of its turn.
        """
        place = _one(judgement.queue, judgement.item, judgement.annotator)
        with self._writing() as connection:
            turns = connection.execute(sa.select(assignments.c.turns).where(place)).scalar_one_or_none()
            if turns is None:
                raise UsageError("this item was not given to this annotator")
            if judgement.turn != turns:
                last = _judged(judgement.queue).where(_judged_by(judgement)).order_by(judgements.c.turn.desc()).limit(1)
                found = connection.execute(last).one_or_none()
                return found is not None and _are_same(_judgement(found), judgement)
            ids = text_ids(connection, [encode(judgement.body)])
            row = {name: getattr(judgement, name) for name in ("queue", "item", "annotator", "turn", "choice")}
            row |= {"body": ids[encode(judgement.body)], "shown": _joined(judgement.shown), "at": now()}
            connection.execute(sa.insert(judgements), [row | {"seconds": judgement.seconds}])
            stands = None if judgement.choice == WITHDRAWN else judgement.choice
            values = {"turns": turns + 1, "choice": stands, "draft": None, "until": 0}
            connection.execute(sa.update(assignments).where(place).values(**values))
            self._append(connection, facts)
        return True

    @patient
    def judgements(self, queue: str, annotator: int | None = None) -> list[Judgement]:
        """Everything that was done in a queue, in order of arrival."""
        statement = _judged(queue).order_by(judgements.c.seq)
        if annotator is not None:
            statement = statement.where(judgements.c.annotator == annotator)
        with self._database.reading() as connection:
            return [_judgement(row) for row in connection.execute(statement)]

    @patient
    def newest(self, queue: str) -> int:
        """The number of the last judgement of a queue, 0 before the first: what was counted then still holds."""
        with self._database.reading() as connection:
            last = sa.select(sa.func.max(judgements.c.seq)).where(judgements.c.queue == queue)
            return connection.execute(last).scalar_one() or 0


def standing(done: Sequence[Judgement]) -> Iterator[Judgement]:
    """Of judgements in order of arrival, the last one of each annotator on each item, where it was not withdrawn."""
    last = {(one.queue, one.item, one.annotator): one for one in done}
    return (one for one in last.values() if one.choice != WITHDRAWN)


def _are_same(kept: Judgement, sent: Judgement) -> bool:
    return (kept.turn, kept.choice, kept.body) == (sent.turn, sent.choice, sent.body)


def _one(queue: str, item: str, annotator: int) -> sa.ColumnElement[bool]:
    table = assignments.c
    return (table.queue == queue) & (table.item == item) & (table.annotator == annotator)


def _assigned(queue: str, annotator: int | None) -> sa.Select[Any]:
    statement = sa.select(assignments).where(assignments.c.queue == queue).order_by(assignments.c.at)
    return statement if annotator is None else statement.where(assignments.c.annotator == annotator)


def _loads(connection: sa.Connection, queue: str, annotator: int) -> dict[str, Load]:
    """Every row of the others counts once: as judged, or as leased."""
    judged = sa.case((assignments.c.choice.is_not(None), 1), else_=0)
    leased = sa.case((assignments.c.choice.is_(None) & (assignments.c.until > now()), 1), else_=0)
    adjudicating = sa.select(annotators.c.id).where(annotators.c.pseudonym == ADJUDICATION)
    statement = sa.select(
        assignments.c.item,
        sa.func.sum(judged),
        sa.func.sum(leased),
        sa.func.aggregate_strings(assignments.c.shown, ";"),
    ).where(assignments.c.queue == queue, assignments.c.annotator != annotator, judged + leased > 0)
    statement = statement.where(assignments.c.annotator.not_in(adjudicating))
    return {
        item: Load(done, doing, tuple(_split(shown) for shown in layouts.split(";")))
        for item, done, doing, layouts in connection.execute(statement.group_by(assignments.c.item))
    }


def _judged(queue: str) -> sa.Select[Any]:
    statement = sa.select(judgements, texts.c.body.label("text")).outerjoin(texts, judgements.c.body == texts.c.id)
    return statement.where(judgements.c.queue == queue)


def _judged_by(judgement: Judgement) -> sa.ColumnElement[bool]:
    return (judgements.c.item == judgement.item) & (judgements.c.annotator == judgement.annotator)


def _assignment(row: sa.Row[Any]) -> Assignment:
    draft = row.draft.decode("utf-8", "surrogatepass") if row.draft else ""
    return Assignment(row.item, row.annotator, _split(row.shown), row.until, row.turns, row.choice, draft, row.at)


def _judgement(row: sa.Row[Any]) -> Judgement:
    body = decode(row.text) if row.text else ""
    return Judgement(
        queue=row.queue,
        item=row.item,
        annotator=row.annotator,
        turn=row.turn,
        choice=row.choice,
        body=body,
        shown=_split(row.shown),
        seconds=row.seconds,
        at=row.at,
        seq=row.seq,
    )


def _joined(slots: Slots) -> str:
    return ",".join(map(str, slots))


def _split(text: str) -> Slots:
    return tuple(int(slot) for slot in text.split(",") if slot)
