"""The lines that an import is made of, kept on disk until the folder is written.

They lie in a private database of SQLite that removes itself, so memory stays the same however many there are.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

_TABLES = """
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -64000;
CREATE TABLE line (kind TEXT, file TEXT, prompt TEXT, key TEXT, text TEXT, at TEXT, UNIQUE (kind, file, prompt, key));
CREATE TABLE owed (model TEXT, prompt TEXT, sample INTEGER, at TEXT, PRIMARY KEY (model, prompt, sample)) WITHOUT ROWID;
CREATE TABLE slot (file TEXT, prompt TEXT, slot TEXT, count INTEGER, sides TEXT, PRIMARY KEY (file, prompt, slot))
WITHOUT ROWID;
"""
_SURROGATE = re.compile("[\ud800-\udfff]")


class Told:
    """Lines by kind (prompt, response, verdict, reward), by file (the model, or the judge) and by what they are of."""

    def __init__(self) -> None:
        self._base = sqlite3.connect("", isolation_level=None)
        self._base.executescript(_TABLES + "BEGIN;")

    def add(self, kind: str, file: str, prompt: str, key: str, line: Any, at: str) -> tuple[str, list[str]] | None:
        """Keep a line that stands at `at`. Where another has its key: where that stands, and in which keys they differ.

        Two responses of one text become one line. Raises ValueError for what is not JSON.
        """
        text = as_json(line)
        slot = (kind, file, as_json(prompt), key)
        row = self._base.execute("INSERT OR IGNORE INTO line VALUES (?, ?, ?, ?, ?, ?)", (*slot, text, at))
        if row.rowcount:
            return None
        where = "kind = ? AND file = ? AND prompt = ? AND key = ?"
        found = self._base.execute(f"SELECT text, at FROM line WHERE {where}", slot)  # noqa: S608
        earlier, place = found.fetchone()
        if kind == "response" and (merged := _merged(earlier, text)):
            self._base.execute(f"UPDATE line SET text = ? WHERE {where}", (merged, *slot))  # noqa: S608
            return place, []
        return place, _differing(json.loads(earlier), json.loads(text))

    def again(self, file: str, prompt: str, slot: Sequence[Any], side: str | None) -> tuple[int, bool]:
        """Note a verdict of this slot: how many came before, and whether one of them named another side."""
        key = file, as_json(prompt), as_json(slot)
        where = "file = ? AND prompt = ? AND slot = ?"
        row = self._base.execute(f"SELECT count, sides FROM slot WHERE {where}", key).fetchone()  # noqa: S608
        count, sides = (row[0], {*row[1].split()}) if row else (0, set())
        now = sides | ({side} if side else set())
        self._base.execute("INSERT OR REPLACE INTO slot VALUES (?, ?, ?, ?, ?)", (*key, count + 1, " ".join(now)))
        return count, side is not None and bool(sides - {side})

    def owe(self, model: str, prompt: str, sample: int, at: str) -> None:
        """That somebody spoke of an answer, which a file should hold."""
        self._base.execute("INSERT OR IGNORE INTO owed VALUES (?, ?, ?, ?)", (model, as_json(prompt), sample, at))

    def has(self, prompt: Any) -> bool:
        """Whether a prompt with this id was told."""
        found = self._base.execute("SELECT 1 FROM line WHERE kind = 'prompt' AND prompt = ?", (as_json(str(prompt)),))
        return found.fetchone() is not None

    def files(self, kind: str) -> list[str]:
        """Whose lines of this kind there are: models for responses, raters for verdicts and rewards."""
        found = self._base.execute("SELECT file FROM line WHERE kind = ? GROUP BY file ORDER BY min(rowid)", (kind,))
        return [file for (file,) in found]

    def lines(self, kind: str, file: str = "") -> Iterator[str]:
        """The lines of one file, each a JSON object with its line feed, in order of appearance."""
        found = self._base.execute("SELECT text FROM line WHERE kind = ? AND file = ? ORDER BY rowid", (kind, file))
        return (f"{text}\n" for (text,) in found)

    def count(self, kind: str, file: str | None = None) -> int:
        where = (kind,) if file is None else (kind, file)
        more = "" if file is None else " AND file = ?"
        (found,) = self._base.execute(f"SELECT count(*) FROM line WHERE kind = ?{more}", where).fetchone()  # noqa: S608
        return int(found)

    def query(self, sql: str, *values: Any) -> Iterable[tuple[Any, ...]]:
        """Rows of the tables `line` and `owed`; names and ids in them are JSON strings."""
        return self._base.execute(sql, values)


def _differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return [key for key in {**one, **other} if one.get(key) != other.get(key)]


def _merged(earlier: str, later: str) -> str:
    """One line of two that hold the same answer; empty where they hold two. What the earlier one says counts."""
    one, other = json.loads(earlier), json.loads(later)
    return as_json(other | one) if one["text"] == other["text"] else ""


def as_json(value: Any) -> str:
    """JSON on one line. Raises ValueError for NaN. What is half a character is escaped, or it could not be written."""
    written = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return _SURROGATE.sub(lambda half: f"\\u{ord(half.group()):04x}", written)
