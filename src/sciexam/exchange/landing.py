"""What a reader of another tool's files found, on its way to become a suite.

A reader makes a `Landing`, tells it each prompt, response, verdict and reward as it meets it, with the place (file and
line) where it stands, and returns it. `exchange/landed.py` writes the folder.

    landing = Landing("arena-hard")
    for at, row in rows(path, landing):                            # exchange/rows.py: any layout, a row at a time
        landing.prompt(at, row["id"], row["question"], kept={"cluster": row["cluster"]})
        landing.response(at, "gpt-4", row["id"], row["answer"])
        landing.verdict(at, row["id"], first="gpt-3", second="gpt-4", rater="judge", preferred="second")
    return landing

Nothing is raised for a row that is wrong: it becomes a fault, and all faults are raised together when the folder is
written. What is told lies in a private database that SQLite keeps on disk and removes by itself, so memory stays the
same however much is told. Each line is checked by the record that later reads it, so whatever lands can be loaded.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from sciexam.digests import digest
from sciexam.documents import parse_line
from sciexam.errors import DocumentError
from sciexam.judges.recorded import VerdictLine
from sciexam.judges.rewards import RewardLine
from sciexam.models.recorded import ResponseLine
from sciexam.suite import PromptLine
from sciexam.types import Kind, Side, Strength

PEOPLE = "annotators"  # the judge whose raters are the people of all files
MOST_FAULTS = 1000  # before reading is given up
LONGEST_NAME = 100

_TABLES = """
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -64000;
CREATE TABLE line (kind TEXT, file TEXT, prompt TEXT, key TEXT, text TEXT, at TEXT, UNIQUE (kind, file, prompt, key));
CREATE TABLE owed (model TEXT, prompt TEXT, sample INTEGER, at TEXT, PRIMARY KEY (model, prompt, sample)) WITHOUT ROWID;
"""
_SURROGATE = re.compile("[\ud800-\udfff]")


class Place(NamedTuple):
    """Where a row stands: a line of a text file, or a row of a Parquet file, both counted from 1."""

    path: Path
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class Omission:
    """Rows that were read and did not land: why, how many, and where the first of them stands."""

    why: str
    rows: int
    first: str


class Landing:
    """Everything that one import found. `kept` of any record is a mapping of what the format says besides; it is
    written into the same line and read by nobody but people."""

    def __init__(self, format: str):
        self.format = format
        self.baseline: str | None = None  # the model that the others were compared with
        self.licence: str | None = None  # where the files state one
        self.rows_read: Counter[str] = Counter()  # by file
        self.notes: list[str] = []  # what whoever imports has to know
        self.faults: list[str] = []
        self.kinds: dict[str, Kind] = {}  # of the raters, in order of appearance
        self.models: dict[str, str] = {}  # by the name that the files have, the name that the suite has
        self.judges: dict[str, str] = {}  # likewise, of judges
        self._omissions: dict[str, list[Any]] = {}
        self._base = sqlite3.connect("", isolation_level=None)
        self._base.executescript(_TABLES + "BEGIN;")

    def prompt(
        self,
        at: Place,
        id: Any,
        asked: str | Sequence[Mapping[str, Any]] | None,
        *,
        category: str | None = None,
        group: str | None = None,
        reference: str | None = None,
        kept: Mapping[str, Any] | None = None,
    ) -> None:
        """An item: its text or its messages, or None where the files do not hold them. The same one again is passed
        over; another one under the same id is a fault."""
        said = {"id": id, "text": asked} if isinstance(asked, str) else {"id": id, "messages": asked}
        if asked is None:
            said = {"id": id, "text": str(id)}
        said |= {"category": category, "group": group, "reference": reference}
        if (line := self._checked(PromptLine, at, said, kept)) is not None:
            self._add("prompt", "", line["id"], "", line, at, f"prompt {shown(line['id'])} is asked otherwise")

    def response(
        self, at: Place, model: str, prompt: Any, text: Any, *, sample: int = 0, kept: Mapping[str, Any] | None = None
    ) -> None:
        """An answer of `model` to the prompt with this id. The same text again is the same answer, of which the line
        keeps all that is said besides; what was told first counts."""
        said = {"prompt": prompt, "text": text, "sample": sample}
        name = self._model(at, model)
        if name and (line := self._checked(ResponseLine, at, said, kept)) is not None:
            what = f"{shown(model)} answers {shown(line['prompt'])} (sample {sample}) otherwise"
            self._add("response", name, line["prompt"], str(sample), line, at, what)

    def verdict(
        self,
        at: Place,
        prompt: Any,
        first: str,
        second: str,
        *,
        rater: str,
        kind: Kind = "judge",
        preferred: Side | None = None,
        probability_second: float | None = None,
        strength: Strength | None = None,
        failure: str = "",
        reason: str = "",
        sample: int = 0,
        repeat: int | None = 0,
        kept: Mapping[str, Any] | None = None,
    ) -> None:
        """What a rater said of two answers in the order in which they were shown, or why it said nothing usable.

        `repeat=None` numbers what one rater says again of the same order; a number that was given twice is a fault.
        """
        one, other = self._model(at, first), self._model(at, second)
        said = {"prompt": prompt, "first": one, "second": other, "preferred": preferred, "strength": strength}
        said |= {"probability_second": probability_second, "rater": rater, "kind": kind, "sample": sample}
        said |= {"repeat": repeat or 0, "reason": reason, "failure": failure}
        if not isinstance(rater, str) or not rater:
            self.fault(at, f"a rater's name is a text that is not empty, this is {shown(rater)}")
            return
        if not (one and other) or (line := self._checked(VerdictLine, at, said, kept)) is None:
            return
        if self.kinds.setdefault(line["rater"], kind) != kind:
            self.fault(at, f"{shown(rater)} is a person in one line, and a judge in another; name them apart")
        file = PEOPLE if kind == "human" else _named(self.judges, line["rater"])
        slot = [line["rater"], one, other, sample]
        if repeat is None:
            repeat = self._before("verdict", file, line["prompt"], slot)
            line |= {"repeat": repeat} if repeat else {}
        what = f"{shown(rater)} judged {shown(line['prompt'])} for {shown(first)} and {shown(second)}"
        self._add("verdict", file, line["prompt"], _text([*slot, repeat]), line, at, what, again=True)
        for name in (one, other):
            self._owe(name, line["prompt"], sample, at)

    def reward(
        self,
        at: Place,
        prompt: Any,
        model: str,
        reward: Any,
        *,
        rater: str,
        sample: int = 0,
        kept: Mapping[str, Any] | None = None,
    ) -> None:
        """The score that a reward model, or a judge by points, gave one answer; None where it gave none that counts."""
        name = self._model(at, model)
        said = {"prompt": prompt, "model": name, "reward": reward, "rater": rater, "sample": sample}
        if name and (line := self._checked(RewardLine, at, said, kept, optional=("reward",))) is not None:
            what = f"{shown(rater)} rewards {shown(model)} on {shown(line['prompt'])} otherwise"
            key = _text([line["rater"], name, sample])
            self._add("reward", _named(self.judges, line["rater"]), line["prompt"], key, line, at, what)
            self._owe(name, line["prompt"], sample, at)

    def fault(self, at: Place | Path, what: str) -> None:
        """Something that makes the files unfit to be imported. Raises DocumentError with all where there are many."""
        self.faults.append(f"{at}: {what}")
        if len(self.faults) >= MOST_FAULTS:
            raise DocumentError(self.faults)

    def left_out(self, at: Place | Path, why: str) -> None:
        """A row that does not land, and is counted with its reason."""
        self._omissions.setdefault(why, [0, str(at)])[0] += 1

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    # ------------------------------------------------ what was told

    def omissions(self) -> list[Omission]:
        return [Omission(why, rows, first) for why, (rows, first) in self._omissions.items()]

    def has(self, prompt: Any) -> bool:
        """Whether a prompt with this id was told."""
        found = self._base.execute("SELECT 1 FROM line WHERE kind = 'prompt' AND prompt = ?", (_text(str(prompt)),))
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
        """Rows of the two tables, `line` and `owed`; names and ids in them are JSON strings."""
        return self._base.execute(sql, values)

    # ------------------------------------------------ how it is kept

    def _checked(
        self,
        record: type[BaseModel],
        at: Place,
        said: Mapping[str, Any],
        kept: Mapping[str, Any] | None,
        optional: Sequence[str] = (),
    ) -> dict[str, Any] | None:
        """The line as it is written, without what is not said; None where it is not one, and that is a fault."""
        given = {key: value for key, value in said.items() if value not in (None, "") or key in ("text", *optional)}
        try:
            line = parse_line(record, given, at.path, at.line)
        except DocumentError as error:
            for what in error.faults:
                self.fault(at, what.removeprefix(f"{at}: "))
            return None
        plain = {key: getattr(line, key) for key in given}
        plain |= {"messages": [dict(m) for m in plain["messages"]]} if plain.get("messages") else {}
        plain = {key: value for key, value in plain.items() if value != 0 or key not in ("sample", "repeat")}
        return plain | {
            key if key not in record.model_fields else f"source_{key}": v for key, v in (kept or {}).items()
        }

    def _add(
        self, kind: str, file: str, prompt: str, key: str, line: Any, at: Place, what: str, *, again: bool = False
    ) -> None:
        """`again`: a second line under one key is a fault even where it says the same."""
        try:
            text = _text(line)
        except ValueError:  # a number that JSON does not have, or what is nested too deep
            self.fault(at, "holds a number that is none, or an infinite one; write null, or a text")
            return
        slot = (kind, file, _text(prompt), key)
        row = self._base.execute("INSERT OR IGNORE INTO line VALUES (?, ?, ?, ?, ?, ?)", (*slot, text, str(at)))
        if row.rowcount:
            return
        where = "kind = ? AND file = ? AND prompt = ? AND key = ?"
        found = self._base.execute(f"SELECT text, at FROM line WHERE {where}", slot)  # noqa: S608
        earlier, place = found.fetchone()
        if kind == "response" and (merged := _merged(earlier, text)):
            self._base.execute(f"UPDATE line SET text = ? WHERE {where}", (merged, *slot))  # noqa: S608
        elif again or earlier != text:
            self.fault(at, f"{what} {'already ' if again else ''}in {place}; which one counts? Remove the other")

    def _before(self, kind: str, file: str, prompt: str, slot: Sequence[Any]) -> int:
        """How many lines there are of this slot."""
        start = _text(slot)[:-1] + ", "
        found = self._base.execute(
            "SELECT count(*) FROM line WHERE kind = ? AND file = ? AND prompt = ? AND substr(key, 1, ?) = ?",
            (kind, file, _text(prompt), len(start), start),
        )
        return int(found.fetchone()[0])

    def _owe(self, model: str, prompt: str, sample: int, at: Place) -> None:
        self._base.execute("INSERT OR IGNORE INTO owed VALUES (?, ?, ?, ?)", (model, _text(prompt), sample, str(at)))

    def _model(self, at: Place, model: Any) -> str:
        if not isinstance(model, str) or not model.strip():
            self.fault(at, f"a model's name is a text that is not empty, this is {shown(model)}")
            return ""
        return _named(self.models, model)


def _named(names: dict[str, str], name: str) -> str:
    """The name that the suite has for `name`; two names of the files never get the same."""
    if name not in names:
        plain = plain_name(name)
        if plain in (*names.values(), PEOPLE):
            plain = f"{plain[: LONGEST_NAME - 9]}-{digest(name)[:8]}"
        names[name] = plain
    return names[name]


def plain_name(name: str) -> str:
    """`name` as a suite may call a model or a judge: letters, digits, `_.:+@/-` and blanks, at most 100 of them.

    `_` stands for anything else.
    """
    plain = re.sub(r"[^\w .:+@/-]+", "_", name).strip("_ ")
    if not re.match(r"\w", plain):
        plain = f"x{plain}"
    return plain if len(plain) <= LONGEST_NAME else f"{plain[: LONGEST_NAME - 9]}-{digest(name)[:8]}"


def shown(value: Any) -> str:
    """A value of a file in a message: short, and on one line."""
    word = repr(value)
    return word if len(word) <= 60 else f"{word[:57]}..."


def _merged(earlier: str, later: str) -> str:
    """One line of two that hold the same answer; empty where they hold two. What the earlier one says counts."""
    one, other = json.loads(earlier), json.loads(later)
    return _text(other | one) if one["text"] == other["text"] else ""


def _text(value: Any) -> str:
    """JSON on one line. Raises ValueError for NaN. What is half a character is escaped, or it could not be written."""
    written = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return _SURROGATE.sub(lambda half: f"\\u{ord(half.group()):04x}", written)
