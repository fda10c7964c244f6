"""Questions and answers in JSON Lines whose columns a YAML file names: forums, extracts, anything that is voted on.

What is named there tells the layout (post_columns.py).
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sciexam.digests import digest
from sciexam.documents import MOST_KEYS, read_yaml
from sciexam.exchange.post_columns import Columns, PostColumns
from sciexam.exchange.post_index import PostIndex
from sciexam.exchange.posts import Post, UnreadableError, utc
from sciexam.lines import distinct_keys, finite, json_lines, refuse_constant

Row = Mapping[str, Any]

_DECODER = json.JSONDecoder(parse_constant=refuse_constant, parse_float=finite, object_pairs_hook=distinct_keys)


def read_lines(paths: Sequence[Path], columns: Path, index: PostIndex) -> None:
    """Put the posts of JSON Lines files into the index; what is wrong with their lines becomes faults there."""
    mapping = read_yaml(columns, Columns)
    reader = LineReader(mapping.value, index)
    for path in paths:

        def told(number: int | None, what: str, file: Path = path) -> None:
            index.fault(f"{file}: {what}" if number is None else f"{file}:{number}: {what}")

        for number, row in json_lines(path, _DECODER, told):
            reader.take(f"{path}:{number}", row)
    for column in reader.unseen():
        where = ", ".join(map(str, paths))
        index.fault(f"{mapping.path}: no line of {where} has the column {column!r}; the first one has {reader.first}")


class LineReader:
    """What the columns of a line mean."""

    def __init__(self, columns: Columns, index: PostIndex):
        self.first = "none"  # the columns of the first line
        self._columns, self._index = columns, index
        self._seen: set[str] = set()

    def unseen(self) -> list[str]:
        """The columns that are named and stand in no line."""
        own = self._columns
        answer = own.answer.model_dump(exclude={"prefix"})
        named = {
            *own.question.model_dump().values(),
            *answer.values(),
            own.site_column,
            own.licence_column,
            own.answers,
        }
        return sorted(name for name in named if name is not None and name not in self._seen)

    def take(self, place: str, row: Row) -> None:
        """Put the posts of a line into the index."""
        if not self._seen:
            self.first = ", ".join(key[:40] for key in list(row)[:MOST_KEYS])
        self._seen |= row.keys()
        try:
            for post, again in self._posts(place, row):
                self._index.add(post, again)
        except UnreadableError as fault:
            self._index.fault(f"{place}: {fault}")

    def _posts(self, place: str, row: Row) -> Iterator[tuple[Post, bool]]:
        """The posts of a line, and whether each may stand in other lines as well."""
        columns = self._columns
        if columns.answer.question is not None:
            if (parent := _id(row, columns.answer.question)) is None:
                yield self._question(place, row), False
            elif parent.startswith(columns.answer.prefix):
                key = self._key(row, parent.removeprefix(columns.answer.prefix))
                yield self._answer(place, row, row, key), False
            else:
                self._index.read["other"] += 1
            return
        question = self._question(place, row)
        yield question, columns.answers is None
        answers = [row] if columns.answers is None else row.get(columns.answers)
        if not isinstance(answers, list):
            raise UnreadableError(f"{columns.answers}: must be a list of answers")
        for at, answer in enumerate(answers):
            if not isinstance(answer, dict):
                raise UnreadableError(f"{columns.answers}.{at}: an answer must be an object {{...}}")
            self._seen |= answer.keys()
            yield self._answer(place, row, answer, question.key), False

    def _question(self, place: str, row: Row) -> Post:
        columns = self._columns.question
        title, text = _text(row, columns.title), _text(row, columns.text)
        if not (title + text).strip():
            raise UnreadableError(f"{columns.title or columns.text}: the question is empty")
        id = _id(row, columns.id) or digest([title, text])[:16]
        accepted = _id(row, columns.accepted)
        tags = row.get(columns.tags) if columns.tags else None
        return self._post(
            place, row, row, columns, id, text, title=title, tags=_tags(columns.tags, tags), accepted_answer=accepted
        )

    def _answer(self, place: str, row: Row, answer: Row, question: str) -> Post:
        """`row` has the site and the licence of an answer that stands in its question's line."""
        columns = self._columns.answer
        text = _text(answer, columns.text)
        id = _id(answer, columns.id) or digest([question, text])[:16]
        accepted = answer.get(columns.accepted) if columns.accepted else None
        if accepted not in (None, True, False, 0, 1):
            raise UnreadableError(f"{columns.accepted}: must be true or false")
        return self._post(place, row, answer, columns, id, text, question=question, accepted=bool(accepted))

    def _post(self, place: str, row: Row, own: Row, columns: PostColumns, id: str, body: str, **more: Any) -> Post:
        accepted = more.pop("accepted_answer", None)
        return Post(
            key=self._key(row, id if "question" not in more else f"a/{id}"),
            place=place,
            site=self._constant(row, "site"),
            body=body,
            html=self._columns.html,
            licence=self._constant(row, "licence"),
            votes=_votes(own, columns.votes),
            accepted_answer=self._key(row, f"a/{accepted}") if accepted is not None else None,
            posted=_date(own, columns.date),
            author=_text(own, columns.author) or None,
            link=_text(own, columns.link) or None,
            question=more.pop("question", None),
            **more,
        )

    def _key(self, row: Row, id: str) -> str:
        return f"{self._constant(row, 'site')}/{id}"

    def _constant(self, row: Row, name: str) -> str:
        column = getattr(self._columns, f"{name}_column")
        found = getattr(self._columns, name) if column is None else _text(row, column)
        if not found.strip():
            raise UnreadableError(f"{column or name}: is empty")
        return str(found)


def _text(row: Row, column: str | None) -> str:
    value = row.get(column) if column else None
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UnreadableError(f"{column}: must be a text")
    return _whole_characters(value, column)


def _whole_characters(value: str, column: str | None) -> str:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise UnreadableError(f"{column}: holds half a character (a lone surrogate)") from None
    return value


def _id(row: Row, column: str | None) -> str | None:
    value = row.get(column) if column else None
    if value is None or (isinstance(value, str) and not value):
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise UnreadableError(f"{column}: must be a text or a whole number")
    return _whole_characters(str(value), column)


def _votes(row: Row, column: str | None) -> int | None:
    value = row.get(column) if column else None
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value) or abs(value) > 1e15:
        raise UnreadableError(f"{column}: must be a whole number of votes")
    return int(value)


def _date(row: Row, column: str | None) -> str:
    value = row.get(column) if column else None
    if value is None:
        return ""
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return utc(datetime.datetime.fromtimestamp(value, datetime.UTC).isoformat())
        return utc(value)
    except (ValueError, TypeError, OverflowError, OSError):
        raise UnreadableError(f"{column}: must be a date, as 2016-03-19T06:05:48 or in seconds since 1970") from None


def _tags(column: str | None, value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    if isinstance(value, list) and all(isinstance(word, str) for word in value):
        return tuple(value)
    raise UnreadableError(f"{column}: must be a list of tags, or one text with commas")
