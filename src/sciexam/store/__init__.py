"""The ledger of facts: what models replied, what raters said, which runs there were. Append-only.

A SQLite file, or a PostgreSQL database by its URL: the same tables and the same promises. Rows are narrow: words are
coded in `names`, texts lie compressed in `texts`, keyed by their digest. A fact is the first usable attempt under its
key.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa

from sciexam.errors import StoreError, UsageError
from sciexam.store.annotations import Annotations
from sciexam.store.annotators import Annotators
from sciexam.store.batches import Batches
from sciexam.store.claims import Claims
from sciexam.store.database import is_there, open_database, patient
from sciexam.store.statements import insert, look_up
from sciexam.store.tables import (
    KINDS,
    Fact,
    anchors,
    chunks,
    damaged,
    decode,
    encode,
    encode_criteria,
    grade_row,
    grades,
    meta,
    names,
    now,
    read_grade,
    read_reply,
    read_verdict,
    replies,
    reply_row,
    runs,
    texts,
    verdict_row,
    verdicts,
)
from sciexam.store.texts import insert_new, text_ids
from sciexam.store.votes import Votes
from sciexam.store.writer import Writer
from sciexam.types import TRUNCATED, Grade, Reply, Verdict

if TYPE_CHECKING:
    from sciexam.store.columns import Columns

__all__ = ["Fact", "Store", "Writer", "is_there"]

T = TypeVar("T", Reply, Verdict, Grade)

WORDS = ("finish_reason", "model", "rater", "prompt", "first", "second", "contestant")  # columns that are ids of names


class Store:
    """The ledger at `location`: the path of a SQLite file, or the URL of a PostgreSQL database. A context manager.

    Raises StoreError with the location and what to do. What is durable stays so; where a server goes away meanwhile,
    it is waited for (`database.patient`).
    """

    def __init__(self, location: str | Path):
        self.location = str(location)
        self.database = open_database(self.location)
        self._claims = Claims(self.database)
        self._names: dict[bytes, int] = {}
        self._words: dict[int, str] = {}
        self._moment, self._moving = 0, threading.Lock()
        self._secret = self._read_secret()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        try:
            self.close()
        except StoreError:  # a disk that is full refuses this, too: what was raised first says more
            if error is None:
                raise

    def close(self) -> None:
        """Give up all claims and the connections. Facts are durable before this."""
        try:
            self._claims.close()
        finally:
            self.database.close()

    # ------------------------------------------------------------ facts in

    def append(self, facts: Sequence[Fact]) -> None:
        """Make `facts` durable in one transaction, each as the next attempt under its key, and release their claims."""
        moment, tries = self._next_moment(), count()

        @patient
        def commit() -> None:
            with self._writing() as connection:
                # A commit that was not answered was made, or not: then all of it is there, or nothing.
                if next(tries) == 0 or not _is_stored(connection, facts[0], moment):
                    self._append_in(connection, facts, moment)

        if facts:
            commit()

    def _append_in(self, connection: sa.Connection, facts: Sequence[Fact], moment: int | None = None) -> None:
        """Append in a transaction that is under way."""
        moment = moment or now()
        judged = [fact for fact in facts if isinstance(fact, Verdict)]
        marked = [fact for fact in facts if isinstance(fact, Grade)]
        opinions: list[Verdict | Grade] = [*judged, *marked]
        # What a judge's endpoint said is kept under the verdict's key, with what became of it.
        said = [replace(v.reply, key=v.key, status=v.status, failure=v.failure) for v in opinions if v.reply]
        plain = [*(fact for fact in facts if isinstance(fact, Reply)), *said]
        name_ids = self._name_ids(
            connection,
            [w for f in plain for w in (f.finish_reason, f.model)]
            + [w for v in judged for w in (v.rater, v.prompt, v.first, v.second)]
            + [w for g in marked for w in (g.rater, g.prompt, g.contestant)],
        )
        bodies = [b for r in plain for b in (encode(r.text), r.raw, encode(r.failure))]
        bodies += [b for v in opinions for b in (encode(v.reason), encode(v.failure), encode_criteria(v.criteria))]
        ids = text_ids(connection, [b for b in bodies if b] + [b""])
        for table, rows in (
            (replies, [reply_row(r, name_ids, ids, moment) for r in plain]),
            (verdicts, [verdict_row(v, name_ids, ids, moment) for v in judged]),
            (grades, [grade_row(g, name_ids, ids, moment) for g in marked]),
        ):
            insert(connection, table, rows, numbered=True)
        # A verdict that was cut off gets a second attempt: until then nobody else may ask for it.
        ended = [fact for fact in facts if isinstance(fact, Reply) or fact.failure != TRUNCATED]
        self._claims.release_in(connection, [fact.key for fact in ended])

    @contextmanager
    def writer(self, durable: Callable[[Sequence[Fact]], None] | None = None) -> Iterator[Writer]:
        """A group-committing writer; on leaving, everything put is durable. `durable` is told of each batch."""
        writer = Writer(self.append, durable)
        try:
            yield writer
        finally:
            writer.close()

    def _next_moment(self) -> int:
        """The time, and no time twice: with its key it names what this process appended."""
        with self._moving:
            self._moment = max(now(), self._moment + 1)
            return self._moment

    def add_run(self, run: str, manifest: str) -> None:
        """Record that a run was started, with its manifest (JSON). One row for each start."""
        with self.database.writing() as connection:
            body = encode(manifest)
            ids = text_ids(connection, [body])
            connection.execute(sa.insert(runs), [{"run": run, "manifest": ids[body], "at": now()}])

    @patient
    def add_anchors(self, judge: str, shown: Mapping[str, str]) -> None:
        """Keep what the judge of this digest is to be shown again, by the key of its first verdict on it."""
        with self.database.writing() as connection:
            bodies = {key: encode(body) for key, body in shown.items()}
            ids = text_ids(connection, bodies.values())
            digest, moment = _digest(judge), now()
            rows = [{"judge": digest, "key": bytes.fromhex(k), "body": ids[b], "at": moment} for k, b in bodies.items()]
            if rows:
                connection.execute(insert_new(connection, anchors), rows)

    # ------------------------------------------------------------ facts out

    def replies(self, keys: Iterable[str]) -> dict[str, Reply]:
        """The fact under each key: the first usable attempt, or else the last; a key without attempts is left out."""
        found: dict[str, Reply] = {}
        body = texts.alias("body")
        for fact in self._attempts(read_reply, replies, keys, body, replies.c.text == body.c.id):
            _keep(found, fact)
        return found

    def verdicts(self, keys: Iterable[str]) -> dict[str, Verdict]:
        """Like `replies`, for verdicts. What the judge's endpoint replied is in `replies` under the same key."""
        found: dict[str, Verdict] = {}
        body = texts.alias("body")
        for fact in self._attempts(read_verdict, verdicts, keys, body, verdicts.c.reason == body.c.id):
            _keep(found, fact)
        return found

    def grades(self, keys: Iterable[str]) -> dict[str, Grade]:
        """Like `verdicts`, for grades."""
        found: dict[str, Grade] = {}
        body = texts.alias("body")
        for fact in self._attempts(read_grade, grades, keys, body, grades.c.reason == body.c.id):
            _keep(found, fact)
        return found

    def grades_on(self, subjects: Iterable[str], raters: str) -> list[Grade]:
        """The grades on these subjects by all whose names begin with `raters`, in order of arrival."""
        body = texts.alias("body")
        found = self._attempts(read_grade, grades, subjects, body, grades.c.reason == body.c.id, grades.c.subject)
        return [grade for grade in found if grade.rater.startswith(raters)]

    @patient
    def knows(self, beginning: str) -> bool:
        """Whether anything or anyone in the ledger has a name that begins like this."""
        low = encode(beginning)
        some = sa.select(names.c.id).where(names.c.name >= low, names.c.name < low + b"\xff").limit(1)
        with self.database.reading() as connection:
            return connection.execute(some).first() is not None

    @patient
    def echoed(self, keys: Iterable[str]) -> dict[str, int]:
        """How many attempts under these keys each server-side model name answered."""
        counts: dict[str, int] = {}
        statement = sa.select(names.c.name, sa.func.count()).join(replies, replies.c.model == names.c.id)
        for chunk in chunks([bytes.fromhex(key) for key in keys]):
            with self.database.reading() as connection:
                for name, count in connection.execute(statement.where(replies.c.key.in_(chunk)).group_by(names.c.name)):
                    word = name.decode("utf-8", "surrogatepass")
                    counts[word] = counts.get(word, 0) + count
        return counts

    def human_verdicts(self, subjects: Iterable[str]) -> list[Verdict]:
        """The last human verdict under each key on these subjects (see Presentation.subject), in order of arrival."""
        body = texts.alias("body")
        found = self._attempts(
            read_verdict, verdicts, subjects, body, verdicts.c.reason == body.c.id, verdicts.c.subject
        )
        latest: dict[str, Verdict] = {}
        for verdict in found:
            if verdict.kind == "human":
                latest.pop(verdict.key, None)  # a mind that was changed comes later than what others said meanwhile
                latest[verdict.key] = verdict
        return list(latest.values())

    @patient
    def last_judged(self, subjects: Iterable[str]) -> int | None:
        """When people last said something of these subjects, or took it back: UTC in milliseconds. None: never."""
        statement = sa.select(sa.func.max(verdicts.c.at)).where(verdicts.c.kind == KINDS.index("human"))
        found = []
        for chunk in chunks([bytes.fromhex(subject) for subject in subjects]):
            with self.database.reading() as connection:
                found.append(connection.execute(statement.where(verdicts.c.subject.in_(chunk))).scalar())
        return max((moment for moment in found if moment is not None), default=None)

    @patient
    def has_human_verdicts(self) -> bool:
        """Whether any person's verdict is in the ledger, on whatever."""
        some = sa.select(verdicts.c.seq).where(verdicts.c.kind == KINDS.index("human")).limit(1)
        with self.database.reading() as connection:
            return connection.execute(some).first() is not None

    @patient
    def manifest(self, run: str) -> str | None:
        """The manifest with which `run` (an id, or the unique beginning of one) was last started."""
        with self.database.reading() as connection:
            statement = (
                sa.select(runs.c.run, texts.c.body)
                .join(texts, runs.c.manifest == texts.c.id)
                .where(runs.c.run.startswith(run, autoescape=True))
                .order_by(runs.c.seq.desc())
            )
            rows = connection.execute(statement).all()
        if len({row.run for row in rows}) > 1:
            raise UsageError(f"{self.location}: several runs begin with {run!r}; write more of the id")
        return decode(rows[0].body) if rows else None

    def manifests(self) -> Iterator[str]:
        """The manifests of all starts of runs, the latest first."""
        statement = sa.select(texts.c.body).join(runs, runs.c.manifest == texts.c.id).order_by(runs.c.seq.desc())
        with self.database.reading() as connection:
            for body in connection.execute(statement.execution_options(yield_per=20)).scalars():
                yield decode(body)

    def manifests_before(self, run: str) -> Iterator[str]:
        """The manifests of all runs that were started before `run` ever was, each once, the earliest first."""
        first = sa.select(sa.func.min(runs.c.seq)).group_by(runs.c.run)
        begun = sa.select(sa.func.min(runs.c.seq)).where(runs.c.run == run).scalar_subquery()
        statement = sa.select(texts.c.body).join(runs, runs.c.manifest == texts.c.id)
        statement = statement.where(runs.c.seq.in_(first), runs.c.seq < begun).order_by(runs.c.seq)
        with self.database.reading() as connection:
            for body in connection.execute(statement.execution_options(yield_per=20)).scalars():
                yield decode(body)

    @patient
    def length(self) -> int:
        """A number that grows with every fact: whether anything has arrived is told without reading it."""
        with self.database.reading() as connection:
            last = (
                connection.execute(sa.select(sa.func.max(one.c.seq))).scalar() for one in (replies, verdicts, grades)
            )
            return sum(seq or 0 for seq in last)

    @patient
    def days(self) -> list[str]:
        """The days (UTC, YYYY-MM-DD) on which a run was started, the first one first."""
        with self.database.reading() as connection:
            started = connection.execute(sa.select(runs.c.at)).scalars()
            return sorted({datetime.fromtimestamp(at / 1000, UTC).date().isoformat() for at in started})

    @patient
    def anchors(self, judge: str) -> list[str]:
        """What `add_anchors` kept for a judge, the earliest first."""
        statement = sa.select(texts.c.body).join(anchors, anchors.c.body == texts.c.id).order_by(anchors.c.seq)
        with self.database.reading() as connection:
            return [
                decode(body)
                for body in connection.execute(statement.where(anchors.c.judge == _digest(judge))).scalars()
            ]

    def seal(self, key: str) -> str:
        """32 hex digits derived from a fact's key and the ledger's secret: repeatable here, not guessable elsewhere."""
        return hmac.digest(self._secret, bytes.fromhex(key), "sha256").hex()[:32]

    @property
    def columns(self) -> Columns:
        """Many facts at once, as arrays."""
        from sciexam.store.columns import Columns

        return Columns(self.database)

    @property
    def batches(self) -> Batches:
        """The journal of what was handed to a provider's batch API."""
        return Batches(self.database)

    @property
    def annotators(self) -> Annotators:
        """Who annotates."""
        return Annotators(self.database, self._writing)

    @property
    def annotations(self) -> Annotations:
        """What annotators are shown, and what they did."""
        return Annotations(self.database, self._writing, self._append_in)

    @property
    def votes(self) -> Votes:
        """What visitors of `sciexam serve` agreed to have kept."""
        return Votes(self.database, self._writing, self._append_in)

    # ------------------------------------------------------------ claims

    def claim(self, keys: Sequence[str]) -> set[str]:
        """Of `keys`, those that nobody alive is working on; from now on this process is. Claims end with their fact."""
        return self._claims.take(keys)

    @patient
    def workers(self) -> int:
        """How many other processes are at work on this ledger: alive, and asking for what they have claimed."""
        return self._claims.others()

    def release(self, keys: Iterable[str]) -> None:
        """Give claims up without a fact."""
        self._claims.release(keys)

    # ------------------------------------------------------------ reading

    def _attempts(
        self,
        read: Callable[[sa.Row[Any], Mapping[int, str]], T],
        table: sa.Table,
        keys: Iterable[str],
        body: Any,
        on: Any,
        column: Any = None,
    ) -> Iterator[T]:
        """What `read` makes of the rows of `table` by key in order of arrival, each with `body` and why it failed."""
        column = table.c.key if column is None else column
        why, parts = texts.alias("why"), texts.alias("parts")
        statement = sa.select(table, body.c.body.label("body"), why.c.body.label("why"))
        if "criteria" in table.c:
            statement = statement.add_columns(parts.c.body.label("parts"))
        statement = statement.outerjoin(body, on).outerjoin(why, table.c.failure == why.c.id)
        if "criteria" in table.c:
            statement = statement.outerjoin(parts, table.c.criteria == parts.c.id)
        statement = statement.order_by(table.c.seq)
        for chunk in chunks([bytes.fromhex(key) for key in keys]):
            rows = self._read(table, statement.where(column.in_(chunk)))
            try:
                found = [read(row, self._words) for row in rows]
            except (StoreError, LookupError, TypeError, ValueError) as error:  # a row that was not written so
                raise StoreError(f"{self.location}: {damaged(f'a row of {table.name} cannot be read')}") from error
            yield from found

    @patient
    def _read(self, table: sa.Table, statement: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        with self.database.reading() as connection:
            rows = connection.execute(statement).all()
            self._learn_words(connection, table, rows)
        return rows

    def _learn_words(self, connection: sa.Connection, table: sa.Table, rows: Sequence[sa.Row[Any]]) -> None:
        columns = [c for c in WORDS if c in table.c]
        ids = {row._mapping[c] for row in rows for c in columns} - self._words.keys() - {None}
        for chunk in chunks(list(ids)):
            for row in connection.execute(sa.select(names).where(names.c.id.in_(chunk))):
                self._words[row.id] = row.name.decode("utf-8", "surrogatepass")

    # ------------------------------------------------------------ writing

    def _name_ids(self, connection: sa.Connection, words: Iterable[str]) -> dict[str, int]:
        wanted = {word: word.encode("utf-8", "surrogatepass") for word in words if word}
        unseen = sorted({raw for raw in wanted.values() if raw not in self._names})

        def learn(some: Sequence[bytes]) -> None:
            self._names.update((bytes(raw), id) for id, raw in look_up(connection, names, "id, name", "name", some))

        learn(unseen)
        new = [raw for raw in unseen if raw not in self._names]
        insert(connection, names, [{"name": raw} for raw in new])
        learn(new)
        return {word: self._names[raw] for word, raw in wanted.items()}

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        try:
            with self.database.writing() as connection:
                yield connection
        except BaseException:
            self._names.clear()  # ids of a transaction that was rolled back
            raise

    def _read_secret(self) -> bytes:
        with self.database.reading() as connection:
            return bytes(connection.execute(sa.select(meta.c.value).where(meta.c.name == "secret")).scalar_one())


def _is_stored(connection: sa.Connection, fact: Fact, moment: int) -> bool:
    """Whether this process appended `fact` at `moment`."""
    table = replies if isinstance(fact, Reply) else verdicts if isinstance(fact, Verdict) else grades
    there = sa.select(table.c.seq).where(table.c.key == bytes.fromhex(fact.key), table.c.at == moment)
    return connection.execute(there).first() is not None


def _keep(found: dict[str, Any], fact: Fact) -> None:
    """Attempts arrive in order: keep the first usable one, or else the last."""
    known = found.get(fact.key)
    if known is None or known.status != "ok":
        found[fact.key] = fact


def _digest(word: str) -> bytes:
    """A judge's own digest may be any word."""
    return hashlib.sha256(word.encode("utf-8", "surrogatepass")).digest()
