"""How a ledger is opened: its connections, its version, and what its errors mean."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sciexam.errors import StoreError
from sciexam.store.tables import meta, tables

SCHEMA_VERSION = 3
APPEND_ONLY = ("names", "texts", "replies", "verdicts", "grades", "anchors", "runs", "items", "queues", "judgements")


def connect(file: Path) -> sa.Engine:
    """The engine of a SQLite ledger."""
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(file)))
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _configure_sqlite)
        sa.event.listen(engine, "begin", _begin)
    return engine


def prepare(connection: sa.Connection, location: str) -> None:
    """Make the tables of an empty ledger, or bring an older one up to date. Raises StoreError for a newer one."""
    found = _read_version(connection)
    if found > SCHEMA_VERSION:
        raise StoreError(
            f"{location}: written by a newer sciexam (store version {found}; this one reads up to "
            f"{SCHEMA_VERSION}). Nothing was touched; upgrade sciexam, or name another file with --store"
        )
    if found == SCHEMA_VERSION:
        return
    if found == 1:  # verdicts had no criteria; tables that an older one lacks are made below
        connection.exec_driver_sql("ALTER TABLE verdicts ADD COLUMN criteria INTEGER")
    tables.create_all(connection)
    version = str(SCHEMA_VERSION).encode()
    if found == 0:
        secret = {"name": "secret", "value": secrets.token_bytes(32)}
        connection.execute(sa.insert(meta), [secret, {"name": "version", "value": version}])
    else:
        connection.execute(sa.update(meta).where(meta.c.name == "version").values(value=version))
    if connection.dialect.name == "sqlite":
        _forbid_changes(connection)
        connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _configure_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy's BEGIN IMMEDIATE is the only BEGIN
    # What is deleted or replaced (a draft, a name) is overwritten, and not only released.
    for pragma in ("busy_timeout = 30000", "journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
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
    for table in APPEND_ONLY:
        for action in ("UPDATE", "DELETE"):
            connection.exec_driver_sql(
                f"CREATE TRIGGER IF NOT EXISTS {table}_no_{action.lower()} BEFORE {action} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
            )


@contextmanager
def erasing(connection: sa.Connection, *names: str) -> Iterator[None]:
    """Let rows of these tables be deleted within the transaction of `connection`: a person may ask to be forgotten."""
    for table in names:
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {table}_no_delete")
    yield
    _forbid_changes(connection)


def explain(message: str) -> str:
    """What a message of the database means for the user, and the way out."""
    if "disk is full" in message or "disk I/O error" in message:
        return f"no space left, or the disk fails ({message}). What was reported as stored is safe; make room and go on"
    if "readonly" in message or "unable to open" in message:
        return f"cannot be written ({message}); check its permissions, or choose another file with --store"
    if "malformed" in message or "not a database" in message:
        return f"damaged, or not a ledger ({message}). Nothing was changed; restore a backup, or use --store"
    if "locked" in message:
        return f"another process holds it for more than 30 s ({message}); wait for it and run again"
    return message
