"""The ledger of facts: what models replied, what raters said, which runs there were. Append-only.

SQLite by default; SQLAlchemy Core keeps PostgreSQL one URL away. Rows are narrow: words are coded in `names`, texts lie
compressed in `texts`, keyed by their digest. A fact is the first usable attempt under its key.
"""

from __future__ import annotations

import hashlib
import hmac
import queue
import secrets
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from sciexam.errors import StoreError
from sciexam.types import Kind, Reply, Side, Status, Strength, Verdict

SCHEMA_VERSION = 1
FLUSH_ROWS = 200
UNCOMMITTED_REPLIES = 8  # paid for and not yet durable: what a kill can cost beyond the calls in flight
READ_CHUNK = 500

STATUSES: tuple[Status, ...] = ("ok", "invalid", "failed", "skipped")
SIDES: tuple[Side, ...] = ("first", "second", "tie")
STRENGTHS: tuple[Strength, ...] = ("slight", "clear", "strong")
KINDS: tuple[Kind, ...] = ("judge", "human")

_tables = sa.MetaData()
_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _facts(name: str, *columns: sa.Column[Any]) -> sa.Table:
    """A table of attempts: (key, attempt) is unique, `seq` is the order of arrival, `at` is UTC in milliseconds."""
    return sa.Table(
        name,
        _tables,
        sa.Column("seq", _id, primary_key=True, autoincrement=True),
        sa.Column("key", sa.LargeBinary(32), nullable=False),
        sa.Column("attempt", sa.SmallInteger, nullable=False),
        sa.Column("status", sa.SmallInteger, nullable=False),
        sa.Column("failure", _id),
        *columns,
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("key", "attempt"),
    )


meta = sa.Table(
    "meta",
    _tables,
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("value", sa.LargeBinary, nullable=False),
)
names = sa.Table(
    "names",
    _tables,
    sa.Column("id", _id, primary_key=True, autoincrement=True),
    sa.Column("name", sa.LargeBinary, nullable=False, unique=True),
)
texts = sa.Table(
    "texts",
    _tables,
    sa.Column("id", _id, primary_key=True, autoincrement=True),
    sa.Column("digest", sa.LargeBinary(32), nullable=False, unique=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
)
replies = _facts(
    "replies",
    sa.Column("text", _id, nullable=False),
    sa.Column("raw", _id),
    sa.Column("finish_reason", _id),
    sa.Column("model", _id),
    sa.Column("input_tokens", sa.Integer),
    sa.Column("output_tokens", sa.Integer),
    sa.Column("reasoning_tokens", sa.Integer),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
)
verdicts = _facts(
    "verdicts",
    sa.Column("subject", sa.LargeBinary(32), nullable=False, index=True),
    sa.Column("rater", _id, nullable=False),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column("prompt", _id, nullable=False),
    sa.Column("first", _id, nullable=False),
    sa.Column("second", _id, nullable=False),
    sa.Column("repeat", sa.Integer, nullable=False),
    sa.Column("preferred", sa.SmallInteger),
    sa.Column("strength", sa.SmallInteger),
    sa.Column("probability_second", sa.Float),
    sa.Column("reason", _id),
)
runs = sa.Table(
    "runs",
    _tables,
    sa.Column("seq", _id, primary_key=True, autoincrement=True),
    sa.Column("run", sa.String(64), nullable=False, index=True),
    sa.Column("manifest", _id, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
)
# Not facts: who is working on what right now, so that two processes never pay for one key.
claims = sa.Table(
    "claims",
    _tables,
    sa.Column("key", sa.LargeBinary(32), primary_key=True),
    sa.Column("owner", sa.String(40), nullable=False, index=True),
)

Fact = Reply | Verdict


class Store:
    """The ledger at `location`: a path of a SQLite file, or a database URL. Use as a context manager.

    Every write is one IMMEDIATE transaction under an advisory lock beside the file (SQLite's WAL-reset bug corrupts
    rarely when two connections write or checkpoint at once). Raises StoreError with the path and what to do.
    """

    def __init__(self, location: str | Path):
        self.location = str(location)
        self._url = self.location if "://" in self.location else f"sqlite:///{Path(self.location).absolute()}"
        self._file = None if "://" in self.location else Path(self.location).absolute()
        self._names: dict[bytes, int] = {}
        self._words: dict[int, str] = {}
        self._owner = uuid.uuid4().hex
        self._owner_file: Any = None
        with self._translated():
            if self._file:
                self._file.parent.mkdir(parents=True, exist_ok=True)
            self._engine = self._connect()
            self._prepare()
        self._secret = self._read_secret()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up all claims and the connections. Facts are durable before this."""
        if self._owner_file is not None:
            with self._translated(), self._writing() as connection:
                connection.execute(claims.delete().where(claims.c.owner == self._owner))
            Path(self._owner_file.name).unlink(missing_ok=True)
            self._owner_file.close()
            self._owner_file = None
        with self._locked():
            self._engine.dispose()

    # ------------------------------------------------------------ facts in

    def append(self, facts: Sequence[Fact]) -> None:
        """Make `facts` durable in one transaction, each as the next attempt under its key, and release their claims."""
        if not facts:
            return
        with self._translated(), self._writing() as connection:
            now = _now()
            plain = [f for f in facts if isinstance(f, Reply)] + [
                replace(f.reply, key=f.key, status=f.status, failure=f.failure)
                for f in facts
                if isinstance(f, Verdict) and f.reply is not None
            ]
            judged = [f for f in facts if isinstance(f, Verdict)]
            name_ids = self._name_ids(
                connection,
                [w for f in plain for w in (f.finish_reason, f.model)]
                + [w for v in judged for w in (v.rater, v.prompt, v.first, v.second)],
            )
            bodies = [b for r in plain for b in (_encode(r.text), r.raw, _encode(r.failure))]
            bodies += [b for v in judged for b in (_encode(v.reason), _encode(v.failure))]
            text_ids = _text_ids(self, connection, [b for b in bodies if b] + [b""])
            for table, rows in (
                (replies, [_reply_row(r, name_ids, text_ids, now) for r in plain]),
                (verdicts, [_verdict_row(v, name_ids, text_ids, now) for v in judged]),
            ):
                if rows:
                    _number_attempts(connection, table, rows)
                    connection.execute(sa.insert(table), rows)
            keys = [bytes.fromhex(f.key) for f in facts]
            for chunk in _chunks(keys):
                connection.execute(claims.delete().where(claims.c.key.in_(chunk)))

    @contextmanager
    def writer(self, durable: Callable[[Sequence[Fact]], None] | None = None) -> Iterator[Writer]:
        """A group-committing writer; on leaving, everything put is durable. `durable` is told of each batch."""
        writer = Writer(self, durable)
        try:
            yield writer
        finally:
            writer.close()

    def add_run(self, run: str, manifest: str) -> None:
        """Record that a run was started, with its manifest (JSON). One row for each start, so looks are counted."""
        with self._translated(), self._writing() as connection:
            body = _encode(manifest)
            ids = _text_ids(self, connection, [body])
            connection.execute(sa.insert(runs), [{"run": run, "manifest": ids[body], "at": _now()}])

    # ------------------------------------------------------------ facts out

    def replies(self, keys: Iterable[str]) -> dict[str, Reply]:
        """The fact under each key: the first usable attempt, or else the last; a key without attempts is left out."""
        found: dict[str, Reply] = {}
        body = texts.alias("body")
        for row in self._attempts(replies, keys, body, replies.c.text == body.c.id):
            _keep(found, self._reply(row))
        return found

    def verdicts(self, keys: Iterable[str]) -> dict[str, Verdict]:
        """Like `replies`, for verdicts. What the judge's endpoint replied is in `replies` under the same key."""
        found: dict[str, Verdict] = {}
        body = texts.alias("body")
        for row in self._attempts(verdicts, keys, body, verdicts.c.reason == body.c.id):
            _keep(found, self._verdict(row))
        return found

    def echoed(self, keys: Iterable[str]) -> dict[str, int]:
        """How many attempts under these keys each server-side model name answered."""
        counts: dict[str, int] = {}
        statement = sa.select(names.c.name, sa.func.count()).join(replies, replies.c.model == names.c.id)
        for chunk in _chunks([bytes.fromhex(key) for key in keys]):
            with self._translated(), self._engine.connect() as connection:
                for name, count in connection.execute(statement.where(replies.c.key.in_(chunk)).group_by(names.c.name)):
                    word = name.decode("utf-8", "surrogatepass")
                    counts[word] = counts.get(word, 0) + count
        return counts

    def human_verdicts(self, subjects: Iterable[str]) -> list[Verdict]:
        """Every usable human verdict on these subjects (see Presentation.subject), in order of arrival."""
        body = texts.alias("body")
        rows = self._attempts(verdicts, subjects, body, verdicts.c.reason == body.c.id, verdicts.c.subject)
        latest: dict[str, Verdict] = {}
        for row in rows:
            verdict = self._verdict(row)
            if verdict.kind == "human" and verdict.status == "ok":
                latest[verdict.key] = verdict
        return list(latest.values())

    def manifest(self, run: str) -> str | None:
        """The manifest with which `run` (an id, or the unique beginning of one) was last started."""
        with self._translated(), self._engine.connect() as connection:
            statement = (
                sa.select(runs.c.run, texts.c.body)
                .join(texts, runs.c.manifest == texts.c.id)
                .where(runs.c.run.startswith(run, autoescape=True))
                .order_by(runs.c.seq.desc())
            )
            rows = connection.execute(statement).all()
        if len({row.run for row in rows}) > 1:
            raise StoreError(f"{self.location}: several runs begin with {run!r}; write more of the id")
        return _decode(rows[0].body) if rows else None

    def looks(self, run: str) -> int:
        """How many times `run` was started."""
        with self._translated(), self._engine.connect() as connection:
            count = connection.execute(
                sa.select(sa.func.count()).select_from(runs).where(runs.c.run == run)
            ).scalar_one()
            return int(count)

    def seal(self, key: str) -> str:
        """32 hex digits derived from a fact's key and the ledger's secret: repeatable here, not guessable elsewhere."""
        return hmac.new(self._secret, bytes.fromhex(key), hashlib.sha256).hexdigest()[:32]

    # ------------------------------------------------------------ claims

    def claim(self, keys: Sequence[str]) -> set[str]:
        """Of `keys`, those that nobody alive is working on; from now on this process is. Claims end with their fact."""
        mine: set[str] = set()
        with self._translated():
            self._announce()
            for chunk in _chunks([bytes.fromhex(key) for key in keys]):
                with self._writing() as connection:
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
        """Give claims up without a fact."""
        with self._translated():
            for chunk in _chunks([bytes.fromhex(key) for key in keys]):
                with self._writing() as connection:
                    connection.execute(claims.delete().where(claims.c.key.in_(chunk), claims.c.owner == self._owner))

    def _announce(self) -> None:
        """Hold a lock on a file of our own for as long as we live: that is how others see that our claims stand."""
        if self._owner_file is None and self._file:
            folder = self._file.with_name(self._file.name + ".owners")
            folder.mkdir(exist_ok=True)
            self._owner_file = (folder / self._owner).open("w")
            _flock(self._owner_file)

    def _alive(self, owner: str) -> bool:
        assert self._file is not None
        path = self._file.with_name(self._file.name + ".owners") / owner
        try:
            with path.open("r+") as file:
                if not _try_flock(file):
                    return True
        except FileNotFoundError:
            return False
        path.unlink(missing_ok=True)
        return False

    # ------------------------------------------------------------ reading

    def _attempts(
        self, table: sa.Table, keys: Iterable[str], body: Any, on: Any, column: Any = None
    ) -> Iterator[sa.Row[Any]]:
        """Rows of `table` by key in order of arrival, with the text of `body` and of the failure."""
        column = table.c.key if column is None else column
        why = texts.alias("why")
        statement = (
            sa.select(table, body.c.body.label("body"), why.c.body.label("why"))
            .outerjoin(body, on)
            .outerjoin(why, table.c.failure == why.c.id)
            .order_by(table.c.seq)
        )
        for chunk in _chunks([bytes.fromhex(key) for key in keys]):
            with self._translated(), self._engine.connect() as connection:
                rows = connection.execute(statement.where(column.in_(chunk))).all()
                self._learn_words(connection, table, rows)
            yield from rows

    def _learn_words(self, connection: sa.Connection, table: sa.Table, rows: Sequence[sa.Row[Any]]) -> None:
        columns = [c for c in ("finish_reason", "model", "rater", "prompt", "first", "second") if c in table.c]
        ids = {row._mapping[c] for row in rows for c in columns} - self._words.keys() - {None}
        for chunk in _chunks(sorted(ids)):
            for row in connection.execute(sa.select(names).where(names.c.id.in_(chunk))):
                self._words[row.id] = row.name.decode("utf-8", "surrogatepass")

    def _reply(self, row: sa.Row[Any]) -> Reply:
        return Reply(
            key=row.key.hex(),
            text=_decode(row.body),
            status=STATUSES[row.status],
            failure=_decode(row.why) if row.why else "",
            finish_reason=self._words.get(row.finish_reason, ""),
            model=self._words.get(row.model, ""),
            input_tokens=row.input_tokens,
            output_tokens=row.output_tokens,
            reasoning_tokens=row.reasoning_tokens,
            seconds=row.seconds,
            attempt=row.attempt,
            tries=row.tries,
        )

    def _verdict(self, row: sa.Row[Any]) -> Verdict:
        return Verdict(
            key=row.key.hex(),
            prompt=self._words[row.prompt],
            first=self._words[row.first],
            second=self._words[row.second],
            rater=self._words[row.rater],
            kind=KINDS[row.kind],
            subject=row.subject.hex(),
            repeat=row.repeat,
            attempt=row.attempt,
            status=STATUSES[row.status],
            failure=_decode(row.why) if row.why else "",
            preferred=None if row.preferred is None else SIDES[row.preferred],
            strength=None if row.strength is None else STRENGTHS[row.strength],
            probability_second=row.probability_second,
            reason=_decode(row.body) if row.body else "",
        )

    # ------------------------------------------------------------ writing

    def _name_ids(self, connection: sa.Connection, words: Iterable[str]) -> dict[str, int]:
        wanted = {word: word.encode("utf-8", "surrogatepass") for word in words if word}
        new = sorted({raw for raw in wanted.values() if raw not in self._names})
        if new:
            connection.execute(self._insert_new(names), [{"name": raw} for raw in new])
            for chunk in _chunks(new):
                for row in connection.execute(sa.select(names).where(names.c.name.in_(chunk))):
                    self._names[row.name] = row.id
        return {word: self._names[raw] for word, raw in wanted.items()}

    def _insert_new(self, table: sa.Table) -> Any:
        dialect = postgresql if self._engine.dialect.name == "postgresql" else sqlite
        return dialect.insert(table).on_conflict_do_nothing()

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with self._locked():
            try:
                with self._engine.execution_options(writes=True).begin() as connection:
                    yield connection
            except BaseException:
                self._names.clear()  # ids of a transaction that was rolled back
                raise

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if self._file is None:
            yield
            return
        with self._translated(), Path(f"{self._file}.lock").open("w") as file:
            _flock(file)
            yield

    # ------------------------------------------------------------ opening

    def _connect(self) -> sa.Engine:
        engine = sa.create_engine(self._url)
        if engine.dialect.name == "sqlite":
            sa.event.listen(engine, "connect", _configure_sqlite)
            sa.event.listen(engine, "begin", _begin)
        return engine

    def _prepare(self) -> None:
        with self._writing() as connection:
            found = _read_version(connection)
            if found > SCHEMA_VERSION:
                raise StoreError(
                    f"{self.location}: written by a newer sciexam (store version {found}; this one reads up to "
                    f"{SCHEMA_VERSION}). Nothing was touched; upgrade sciexam, or name another file with --store"
                )
            if found == 0:
                _tables.create_all(connection)
                secret = {"name": "secret", "value": secrets.token_bytes(32)}
                version = {"name": "version", "value": str(SCHEMA_VERSION).encode()}
                connection.execute(sa.insert(meta), [secret, version])
                if connection.dialect.name == "sqlite":
                    _forbid_changes(connection)
                    connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _read_secret(self) -> bytes:
        with self._translated(), self._engine.connect() as connection:
            return bytes(connection.execute(sa.select(meta.c.value).where(meta.c.name == "secret")).scalar_one())

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn what the database and the file system say into a StoreError that names the file and the way out."""
        try:
            yield
        except sa.exc.DBAPIError as error:
            raise StoreError(f"{self.location}: {_explain(str(error.orig))}") from error
        except OSError as error:
            raise StoreError(
                f"{self.location}: {(error.strerror or str(error)).lower()}; choose another file with --store"
            ) from error


class Writer:
    """Collects facts from any thread and commits them in groups: whatever came while the last commit was under way.

    A lone fact is durable after one commit, and under load a group grows by itself (at most 200), so durability costs
    neither a wait nor a commit a row.
    """

    def __init__(self, store: Store, durable: Callable[[Sequence[Fact]], None] | None):
        self._store = store
        self._durable = durable
        self._queue: queue.Queue[Fact | None] = queue.Queue(maxsize=10 * FLUSH_ROWS)
        self._error: BaseException | None = None
        self._room = threading.Semaphore(UNCOMMITTED_REPLIES)
        self._thread = threading.Thread(target=self._run, name="ledger writer", daemon=True)
        self._thread.start()

    def put(self, fact: Fact) -> None:
        """Hand a fact over; waits while 8 replies are not yet durable. Raises what an earlier commit raised."""
        if _is_paid(fact):
            self._room.acquire()
        if self._error:
            raise self._error
        self._queue.put(fact)

    def close(self) -> None:
        """Wait until everything is durable; raise what a commit raised."""
        self._queue.put(None)
        self._thread.join()
        if self._error:
            raise self._error

    def _run(self) -> None:
        done = False
        while not done:
            batch, done = self._gather()
            if self._error is not None:
                self._let_in(batch)  # keep draining, so that nobody waits for room
                continue
            try:
                self._store.append(batch)
                if self._durable and batch:
                    self._durable(batch)
            except BaseException as error:  # handed to the thread that puts or closes
                self._error = error
            finally:
                self._let_in(batch)

    def _let_in(self, batch: Sequence[Fact]) -> None:
        if paid := sum(map(_is_paid, batch)):
            self._room.release(paid)

    def _gather(self) -> tuple[list[Fact], bool]:
        batch: list[Fact] = []
        fact = self._queue.get()
        while fact is not None:
            batch.append(fact)
            if len(batch) == FLUSH_ROWS or self._queue.empty():
                return batch, False
            fact = self._queue.get()
        return batch, True


def _is_paid(fact: Fact) -> bool:
    """Whether a model was called for it: a reply of a recorded model has no count of tokens."""
    reply = fact.reply if isinstance(fact, Verdict) else fact
    return reply is not None and reply.input_tokens is not None


def _configure_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy's BEGIN IMMEDIATE is the only BEGIN
    for pragma in ("busy_timeout = 30000", "journal_mode = WAL", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    # A deferred BEGIN that later writes fails with "database is locked" whatever the busy timeout.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")


def _read_version(connection: sa.Connection) -> int:
    if connection.dialect.name == "sqlite":
        return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
    if not sa.inspect(connection).has_table("meta"):
        return 0
    return int(connection.execute(sa.select(meta.c.value).where(meta.c.name == "version")).scalar_one())


def _forbid_changes(connection: sa.Connection) -> None:
    for table in ("names", "texts", "replies", "verdicts", "runs"):
        for action in ("UPDATE", "DELETE"):
            connection.exec_driver_sql(
                f"CREATE TRIGGER {table}_no_{action.lower()} BEFORE {action} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
            )


def _explain(message: str) -> str:
    if "disk is full" in message or "disk I/O error" in message:
        return f"no space left, or the disk fails ({message}). What was reported as stored is safe; make room and go on"
    if "readonly" in message or "unable to open" in message:
        return f"cannot be written ({message}); check its permissions, or choose another file with --store"
    if "malformed" in message or "not a database" in message:
        return (
            f"damaged, or not a ledger ({message}). Nothing was changed; restore a backup, or use --store"
        )
    if "locked" in message:
        return f"another process holds it for more than 30 s ({message}); wait for it and run again"
    return message


def _number_attempts(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    """Give each row the next free attempt under its key. Safe: writes hold the lock."""
    following: dict[bytes, int] = {}
    for chunk in _chunks([row["key"] for row in rows]):
        statement = (
            sa.select(table.c.key, sa.func.max(table.c.attempt)).where(table.c.key.in_(chunk)).group_by(table.c.key)
        )
        following.update({key: last + 1 for key, last in connection.execute(statement)})
    for row in rows:
        row["attempt"] = following.get(row["key"], 0)
        following[row["key"]] = row["attempt"] + 1


def _text_ids(store: Store, connection: sa.Connection, bodies: Iterable[bytes]) -> dict[bytes, int]:
    by_digest = {hashlib.sha256(body).digest(): body for body in bodies}
    known: set[bytes] = set()
    ids: dict[bytes, int] = {}
    for chunk in _chunks(list(by_digest)):
        for row in connection.execute(sa.select(texts.c.id, texts.c.digest).where(texts.c.digest.in_(chunk))):
            known.add(row.digest)
            ids[by_digest[row.digest]] = row.id
    new = [d for d in by_digest if d not in known]
    if new:
        rows = [{"digest": d, "body": zlib.compress(by_digest[d])} for d in new]
        connection.execute(store._insert_new(texts), rows)
        for chunk in _chunks(new):
            for row in connection.execute(sa.select(texts.c.id, texts.c.digest).where(texts.c.digest.in_(chunk))):
                ids[by_digest[row.digest]] = row.id
    return ids


def _reply_row(reply: Reply, name_ids: dict[str, int], text_ids: dict[bytes, int], now: int) -> dict[str, Any]:
    return {
        "key": bytes.fromhex(reply.key),
        "status": STATUSES.index(reply.status),
        "failure": text_ids.get(_encode(reply.failure)) if reply.failure else None,
        "text": text_ids[_encode(reply.text)],
        "raw": text_ids[reply.raw] if reply.raw else None,
        "finish_reason": name_ids.get(reply.finish_reason),
        "model": name_ids.get(reply.model),
        "input_tokens": reply.input_tokens,
        "output_tokens": reply.output_tokens,
        "reasoning_tokens": reply.reasoning_tokens,
        "seconds": reply.seconds,
        "tries": reply.tries,
        "at": now,
    }


def _verdict_row(verdict: Verdict, name_ids: dict[str, int], text_ids: dict[bytes, int], now: int) -> dict[str, Any]:
    return {
        "key": bytes.fromhex(verdict.key),
        "subject": bytes.fromhex(verdict.subject),
        "status": STATUSES.index(verdict.status),
        "failure": text_ids[_encode(verdict.failure)] if verdict.failure else None,
        "rater": name_ids[verdict.rater],
        "kind": KINDS.index(verdict.kind),
        "prompt": name_ids[verdict.prompt],
        "first": name_ids[verdict.first],
        "second": name_ids[verdict.second],
        "repeat": verdict.repeat,
        "preferred": None if verdict.preferred is None else SIDES.index(verdict.preferred),
        "strength": None if verdict.strength is None else STRENGTHS.index(verdict.strength),
        "probability_second": verdict.probability_second,
        "reason": text_ids[_encode(verdict.reason)] if verdict.reason else None,
        "at": now,
    }


def _keep(found: dict[str, Any], fact: Fact) -> None:
    """Attempts arrive in order: keep the first usable one, or else the last."""
    known = found.get(fact.key)
    if known is None or known.status != "ok":
        found[fact.key] = fact


def _chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), READ_CHUNK):
        yield items[start : start + READ_CHUNK]


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _decode(body: bytes) -> str:
    return zlib.decompress(body).decode("utf-8", "surrogatepass")


def _now() -> int:
    return time.time_ns() // 1_000_000


def _flock(file: Any) -> None:
    import fcntl

    fcntl.flock(file, fcntl.LOCK_EX)


def _try_flock(file: Any) -> bool:
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
