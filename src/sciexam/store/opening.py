"""How a ledger is opened: its version, its tables, and what keeps them append-only."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from sciexam.errors import StoreError
from sciexam.store.tables import meta, tables

SCHEMA_VERSION = 4
APPEND_ONLY = (
    *("names", "texts", "replies", "verdicts", "grades", "anchors", "runs", "items", "queues", "judgements"),
    "votes",
)


def prepare(connection: sa.Connection, location: str) -> None:
    """Make the tables of an empty ledger, or bring an older one up to date. Raises StoreError for a newer one."""
    found = read_version(connection)
    if found == SCHEMA_VERSION:
        return
    refuse_newer(found, location)
    if found == 0 and (strange := tables.tables.keys() & set(sa.inspect(connection).get_table_names())):
        raise StoreError(
            f"{location}: no ledger, and it holds tables of the same names ({', '.join(sorted(strange))}). Nothing was "
            "touched; a ledger needs a database of its own: name another with --store"
        )
    if found == 1:  # verdicts had no criteria; tables that an older one lacks are made below
        connection.exec_driver_sql("ALTER TABLE verdicts ADD COLUMN criteria INTEGER")
    tables.create_all(connection)
    version = str(SCHEMA_VERSION).encode()
    if found == 0:
        secret = {"name": "secret", "value": secrets.token_bytes(32)}
        connection.execute(sa.insert(meta), [secret, {"name": "version", "value": version}])
    else:
        connection.execute(sa.update(meta).where(meta.c.name == "version").values(value=version))
    _forbid_changes(connection)
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")


def refuse_newer(found: int, location: str) -> None:
    """Raises StoreError where version `found` is one that this sciexam does not know."""
    if found > SCHEMA_VERSION:
        raise StoreError(
            f"{location}: written by a newer sciexam (store version {found}; this one reads up to "
            f"{SCHEMA_VERSION}). Nothing was touched; upgrade sciexam, or name another ledger with --store"
        )


def read_version(connection: sa.Connection) -> int:
    """The version of the tables, 0 where there are none."""
    if connection.dialect.name == "sqlite":
        return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
    if not sa.inspect(connection).has_table("meta"):
        return 0
    return int(connection.execute(sa.select(meta.c.value).where(meta.c.name == "version")).scalar_one_or_none() or 0)


@contextmanager
def erasing(connection: sa.Connection, *names: str) -> Iterator[None]:
    """Let rows of these tables be deleted within the transaction of `connection`: a person may ask to be forgotten."""
    if connection.dialect.name == "postgresql":
        yield from _allowed_postgresql(connection)
        return
    for table in names:
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {table}_no_delete")
    yield
    _forbid_changes_sqlite(connection)


def _forbid_changes(connection: sa.Connection) -> None:
    if connection.dialect.name == "sqlite":
        _forbid_changes_sqlite(connection)
    else:
        _forbid_changes_postgresql(connection)


def _forbid_changes_sqlite(connection: sa.Connection) -> None:
    for table in APPEND_ONLY:
        for action in ("UPDATE", "DELETE"):
            connection.exec_driver_sql(
                f"CREATE TRIGGER IF NOT EXISTS {table}_no_{action.lower()} BEFORE {action} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
            )


def _forbid_changes_postgresql(connection: sa.Connection) -> None:
    """To drop a trigger would wait for all who read: it looks at a setting of the transaction instead."""
    connection.exec_driver_sql(
        "CREATE OR REPLACE FUNCTION sciexam_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF TG_OP = 'DELETE' AND current_setting('sciexam.erasing', true) = 'on' THEN RETURN NULL; END IF; "
        "RAISE EXCEPTION 'the ledger is append-only'; END $$"
    )
    for table in APPEND_ONLY:
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {table}_append_only ON {table}")
        connection.exec_driver_sql(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION sciexam_append_only()"
        )


def _allowed_postgresql(connection: sa.Connection) -> Iterator[None]:
    connection.exec_driver_sql("SELECT set_config('sciexam.erasing', 'on', true)")
    yield
    connection.exec_driver_sql("SELECT set_config('sciexam.erasing', '', true)")
