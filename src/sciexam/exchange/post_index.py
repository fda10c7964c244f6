"""All posts that were read, in a database on the disk: answers find their question, whatever the order of rows.

The database is SQLite's own temporary one. It lies in SQLITE_TMPDIR, else in TMPDIR or /var/tmp, and ends with the
process, however that ends.
"""

from __future__ import annotations

import errno
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

from sciexam.errors import DocumentError, UsageError
from sciexam.exchange.posts import Post

CACHE = 32_000  # KiB of the database in memory
MOST_FAULTS = 1_000

_COLUMNS = [field.name for field in fields(Post)]
_TABLES = f"""
CREATE TABLE post (number INTEGER PRIMARY KEY, {", ".join(_COLUMNS)});
CREATE UNIQUE INDEX post_key ON post (key);
CREATE TABLE user (user TEXT PRIMARY KEY, name TEXT) WITHOUT ROWID;
CREATE TABLE linked (post TEXT, original TEXT, PRIMARY KEY (post, original)) WITHOUT ROWID;
"""


class PostIndex:
    """Posts, the names of accounts, and which question was closed as a duplicate of which."""

    def __init__(self, tick: Callable[[str, int], None] = lambda what, done: None) -> None:
        self._tick = tick
        self.database = sqlite3.connect("", isolation_level=None)
        self.database.executescript(f"PRAGMA cache_size = -{CACHE}; {_TABLES} BEGIN;")
        self.read: Counter[str] = Counter()  # questions, answers, other
        self.faults: list[str] = []

    def close(self) -> None:
        self.database.close()

    def fault(self, what: str) -> None:
        """Note what is wrong with a row. Raises DocumentError with all that was noted, where it is enough."""
        self.faults.append(what)
        if len(self.faults) >= MOST_FAULTS:
            self.check()

    def check(self) -> None:
        if self.faults:
            raise DocumentError(self.faults)

    def add(self, post: Post, again: bool = False) -> None:
        """Keep a post. A second one of the same key is a fault, unless it may come `again` and says the same."""
        values = [getattr(post, name) for name in _COLUMNS]
        values[_COLUMNS.index("tags")] = json.dumps(post.tags) if post.tags else ""
        try:
            self.database.execute(_INSERT, values)
        except sqlite3.IntegrityError:
            self._again(post, again)
        else:
            self.read["answers" if post.question else "questions"] += 1
            self._tick("read", self.read["answers"] + self.read["questions"])

    def _again(self, post: Post, allowed: bool) -> None:
        (known,) = self.posts("key = ?", post.key)
        if not allowed:
            self.fault(f"{post.place}: id {post.key!r} stands at {known.place}, too")
        elif (known.title, known.body, known.posted) != (post.title, post.body, post.posted):
            self.fault(f"{post.place}: id {post.key!r} is another question at {known.place}")

    def name_user(self, user: str, name: str) -> None:
        self.database.execute("INSERT OR REPLACE INTO user VALUES (?, ?)", (user, name))

    def link(self, post: str, original: str) -> None:
        """Note that a question was closed as a duplicate of another."""
        self.database.execute("INSERT OR IGNORE INTO linked VALUES (?, ?)", (post, original))

    def finish(self) -> None:
        """Make answers findable. Raises DocumentError with all faults."""
        self.check()
        self.database.execute("CREATE INDEX post_question ON post (question) WHERE question IS NOT NULL")

    def questions(self) -> Iterator[tuple[int, Post, bool]]:
        """Every question: its number, itself, and whether anybody answered it."""
        answered = "EXISTS (SELECT 1 FROM post AS a WHERE a.question = post.key)"
        for number, has_answers, *values in self.database.execute(
            f"SELECT number, {answered}, {_SELECT} FROM post WHERE question IS NULL ORDER BY number"  # noqa: S608
        ):
            yield number, _post(values), bool(has_answers)

    def posts(self, where: str, *values: Any) -> Iterator[Post]:
        """The posts for which a condition of ours is true."""
        for row in self.database.execute(f"SELECT {_SELECT} FROM post WHERE {where}", values):  # noqa: S608
            yield _post(row)

    def orphans(self) -> int:
        """The answers whose question is not here."""
        query = "SELECT count(*) FROM post WHERE question NOT IN (SELECT key FROM post WHERE question IS NULL)"
        return int(self.database.execute(query).fetchone()[0])

    def author(self, post: Post) -> str | None:
        """The name of who wrote a post; None where the account is gone and left none."""
        if post.author or not post.user:
            return post.author
        found = self.database.execute("SELECT name FROM user WHERE user = ?", (f"{post.site}/{post.user}",)).fetchone()
        return found[0] if found else None


_SELECT = ", ".join(_COLUMNS)
_INSERT = f"INSERT INTO post ({_SELECT}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608


def _post(values: Any) -> Post:
    found = dict(zip(_COLUMNS, values, strict=True))
    found |= {"html": bool(found["html"]), "accepted": bool(found["accepted"])}
    return Post(**found | {"tags": tuple(json.loads(found["tags"])) if found["tags"] else ()})


@contextmanager
def room_on_disk() -> Iterator[None]:
    """Says what to do when the disk of the temporary files is full. Raises UsageError then."""
    try:
        yield
    except (sqlite3.OperationalError, OSError) as error:
        if getattr(error, "errno", None) != errno.ENOSPC and "full" not in str(error):
            raise
        raise UsageError(
            f"no room for temporary files ({error}), which take about four times as much as the dump: name a larger "
            "folder with TMPDIR, or with SQLITE_TMPDIR for the database alone"
        ) from None
