"""The statements of every commit, handed to the driver as they are.

SQLAlchemy takes longer to build one than SQLite to run it, and a judge's reply is committed as soon as it is there
(benchmarks/RESULTS.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from sciexam.store.tables import chunks


def look_up(connection: sa.Connection, table: sa.Table, columns: str, by: str, keys: Sequence[Any]) -> Iterator[Any]:
    """The rows, as tuples of `columns`, whose column `by` is one of `keys`."""
    cursor = _cursor(connection)
    for chunk in chunks(keys):
        marks = ", ".join([_mark(connection)] * len(chunk))
        cursor.execute(f'SELECT {columns} FROM {table.name} WHERE "{by}" IN ({marks})', tuple(chunk))  # noqa: S608
        yield from cursor.fetchall()


def insert(
    connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]], numbered: bool = False
) -> None:
    """Add `rows`, all of the same columns. `numbered`: each as the next attempt under its key, which is safe, because
    writes hold the lock."""
    if not rows:
        return
    columns, mark = list(rows[0]), _mark(connection)
    named, values = [f'"{column}"' for column in columns], [mark] * len(columns)
    if numbered:
        named.append("attempt")
        values.append(f'(SELECT coalesce(max(attempt) + 1, 0) FROM {table.name} WHERE "key" = {mark})')  # noqa: S608
    statement = f"INSERT INTO {table.name} ({', '.join(named)}) VALUES ({', '.join(values)})"  # noqa: S608
    again = ["key"] if numbered else []
    _cursor(connection).executemany(statement, [[row[column] for column in (*columns, *again)] for row in rows])


def delete(connection: sa.Connection, table: sa.Table, by: str, keys: Sequence[Any], **also: Any) -> None:
    """Take away the rows whose column `by` is one of `keys` (a chunk of them), and whose others are as in `also`."""
    mark = _mark(connection)
    named = "".join(f' AND "{column}" = {mark}' for column in also)
    marks = ", ".join([mark] * len(keys))
    statement = f'DELETE FROM {table.name} WHERE "{by}" IN ({marks}){named}'  # noqa: S608
    _cursor(connection).execute(statement, (*keys, *also.values()))


def _cursor(connection: sa.Connection) -> Any:
    """The driver's own, within the transaction of `connection`."""
    return connection.connection.cursor()


def _mark(connection: sa.Connection) -> str:
    return "?" if connection.dialect.name == "sqlite" else "%s"
