"""A ledger in a PostgreSQL database: its sessions, its lock, and what its errors mean."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import sqlalchemy as sa

from sciexam.errors import StoreError, UsageError
from sciexam.store.database import Database, Unavailable
from sciexam.store.opening import SCHEMA_VERSION, prepare, read_version
from sciexam.store.presence import WRITERS, SessionLock

ROOM = 0x6578616D  # the first half of the numbers of our advisory locks; see presence.py for the second
PERSONAL = ("texts", "verdicts", "judgements", "assignments", "annotators", "votes")  # what `forget` deletes from
# A client that is gone is noticed within half a minute by the server, and a server that is gone by the client.
CLIENT = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000}
CLIENT |= {"connect_timeout": 10}
SESSION = {"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3"}
SESSION |= {"lock_timeout": "30s"}
# A commit is on the disk before it is acknowledged; what is stricter than that is left.
DURABLE = "coalesce(nullif(current_setting('synchronous_commit'), 'off'), 'on')"
# A writer that is suspended in the middle holds up the others for so long.
WRITING = sa.text(
    f"SELECT set_config('idle_in_transaction_session_timeout', '60s', true), pg_advisory_xact_lock({ROOM}, {WRITERS})"
)


class PostgreSQL(Database):
    """The database at `location`, a URL without a password; its tables are made where there are none.

    Every write is one transaction under an advisory lock of the database, so the promises are SQLite's.
    """

    def __init__(self, location: str):
        self.location = location
        self._engine = _connect(location)
        self._readers = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._alone = threading.Lock()  # threads of one process wait here, and not each in a session of its own
        with self.reading() as connection:
            found = read_version(connection)
        if found != SCHEMA_VERSION:  # a role that may only read can open what is there
            with self.writing() as connection:
                prepare(connection, location)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        with self.translated(), self._readers.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        with self._alone, self.translated(), self._engine.begin() as connection:
            connection.execute(WRITING)
            yield connection

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn what the server and the driver say into a StoreError that names the database and the way out."""
        try:
            yield
        except (sa.exc.DBAPIError, psycopg.Error) as error:
            raise _explained(self.location, error) from error

    def rows(self, connection: sa.Connection, statement: sa.Select[Any], size: int) -> Iterator[Sequence[Any]]:
        """Through a cursor of the server: the driver's usual one fetches everything first."""
        compiled = statement.compile(dialect=connection.dialect, compile_kwargs={"render_postcompile": True})
        driver: Any = connection.connection.driver_connection
        with driver.cursor(name="rows", binary=True) as cursor:
            cursor.execute(str(compiled), compiled.params)
            while batch := cursor.fetchmany(size):
                yield batch

    def presence(self, owner: str) -> SessionLock:
        _, options = self._engine.dialect.create_connect_args(self._engine.url)

        def connect() -> Any:
            session = psycopg.connect(**_usual(options), **options, autocommit=True)
            _configure(session, None)
            return session

        return SessionLock(owner, ROOM, connect, self.reading, self.translated)

    def shred(self) -> None:
        """The tables from which a person's words were deleted are written anew."""
        with self.translated(), self._engine.connect() as connected:
            connection = connected.execution_options(isolation_level="AUTOCOMMIT")
            files = {table: _file_of(connection, table) for table in PERSONAL}
            try:
                for table in PERSONAL:
                    connection.exec_driver_sql(f"VACUUM (FULL) {table}")
            except sa.exc.DBAPIError as error:
                raise StoreError(f"{self._not_shredded} {_explained(self.location, error)}") from error
            if any(_file_of(connection, table) == file for table, file in files.items()):  # skipped with a warning
                raise StoreError(f"{self._not_shredded} Only who owns the tables may do that.")

    @property
    def _not_shredded(self) -> str:
        tables = ", ".join(PERSONAL)
        return (
            f"{self.location}: deleted, but the files of the server may still hold it, until `VACUUM (FULL) {tables}`."
        )

    def close(self) -> None:
        self._engine.dispose()


def is_there(location: str) -> bool:
    """Whether the database at `location` has the tables of a ledger."""
    engine = _connect(location)
    try:
        with engine.connect() as connection:
            return read_version(connection) > 0
    except (sa.exc.DBAPIError, psycopg.Error) as error:
        raise _explained(location, error) from error
    finally:
        engine.dispose()


def _connect(location: str) -> sa.Engine:
    try:
        url = sa.make_url(location).set(drivername="postgresql+psycopg")
    except (sa.exc.ArgumentError, ValueError):
        raise UsageError("--store: this is no address of a database: postgresql://USER@HOST/DATABASE") from None
    if url.password is not None or any("password" in name for name in url.query):
        raise UsageError(
            "--store: a password in an address is seen by everyone on this machine, and kept by the shell. Leave it "
            "out, and put it into PGPASSWORD or ~/.pgpass"
        )
    engine = sa.create_engine(
        url,
        connect_args=_usual(url.query),
        isolation_level="READ COMMITTED",  # who waited for the lock sees what was written meanwhile
        pool_size=3,
        max_overflow=-1,
        pool_use_lifo=True,
        pool_pre_ping=True,  # after a restart of the server, sessions that it ended are replaced
    )
    sa.event.listen(engine, "connect", _configure)
    return engine


def _usual(named: Mapping[str, Any]) -> dict[str, Any]:
    """How a session is opened where the address does not say it."""
    return {name: value for name, value in CLIENT.items() if name not in named} | {"client_encoding": "utf8"}


def _configure(session: Any, _: Any) -> None:
    settings = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in SESSION.items())
    session.execute(f"SELECT {settings}, set_config('synchronous_commit', {DURABLE}, false)")
    session.commit()


def _file_of(connection: sa.Connection, table: str) -> Any:
    return connection.execute(sa.select(sa.func.pg_relation_filenode(table))).scalar_one()


def _explained(location: str, error: sa.exc.DBAPIError | psycopg.Error) -> StoreError:
    """What an error of the server means for the user, and the way out."""
    original = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    message = " ".join(str(original).split())
    state = getattr(original, "sqlstate", None) or ""
    lost = isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated
    for states, words, meaning in MEANINGS:
        if state.startswith(states) or (not state and any(word in message for word in words)):
            return StoreError(f"{location}: {meaning.format(message)}")
    if lost or state.startswith(TRANSIENT) or (not state and isinstance(original, psycopg.OperationalError)):
        return Unavailable(f"{location}: the server is away ({message}); start it, or name another ledger with --store")
    return StoreError(f"{location}: {message}")


# Beginnings of SQLSTATE, words of a message that came without one, and what they mean.
MEANINGS: tuple[tuple[tuple[str, ...], tuple[str, ...], str], ...] = (
    (
        ("3D000",),
        (" does not exist",),
        "there is no such database or role ({}); make it (`createdb NAME`), or name another with --store",
    ),
    (
        ("28",),
        ("no password supplied", "password authentication failed", "no pg_hba.conf entry"),
        "the server does not let you in ({}); put the password into PGPASSWORD or ~/.pgpass",
    ),
    (
        ("42501", "25006"),
        (),
        "may not be changed by you ({}); ask its owner for the rights, or name another with --store",
    ),
    (("42P01", "42703", "42804"), (), "this is no ledger, or not a whole one ({}); name another with --store"),
    (
        ("53100", "53200", "58030"),
        (),
        "no space left, or the disk fails ({}). What was reported as stored is safe; make room and go on",
    ),
    (("55P03",), (), "another process holds it for more than 30 s ({}); wait for it and run again"),
    (("XX001", "XX002"), (), "damaged ({}). Restore a backup, or use --store"),
)
# The session was ended, the server stops or starts, has no session to give, or undid one of two transactions.
TRANSIENT = ("08", "57P0", "53300", "40", "25P03")
