"""Argilla's records: the JSON that `records.to_json` writes, and the flat rows of `to_datasets` (JSON Lines, Parquet).

Questions of type ranking, label and rating are read; each has the responses of several people. In the flat layout the
columns of a question `q` are `q.responses`, `q.responses.users` and `q.responses.status`; in that of Argilla 1 the
column `q` is a list of objects with user_id, value and status.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sciexam.exchange.annotated import Item, Said, land, read_layout
from sciexam.exchange.landing import Landing, Place, shown
from sciexam.exchange.rows import found, rows

Response = Mapping[str, Any]  # with value and user_id, and maybe status
_RESPONSES = ".responses"


def read(paths: Sequence[Path], mapping: Path | None = None) -> Landing:
    landing = Landing("argilla")
    return land(landing, partial(_items, paths), read_layout(mapping))


def _items(paths: Sequence[Path], landing: Landing) -> Iterator[Item]:
    for file in found(paths, "*.json", "*.jsonl", "*.parquet"):
        for at, record in rows(file, landing):
            id = str(record.get("id") or record.get("external_id") or f"{file.stem}-{at.line}")
            nested = "fields" in record
            fields = record["fields"] if nested else record
            given = record.get("responses") or {} if nested else _flat(record)
            if not isinstance(fields, dict) or not isinstance(given, dict):
                landing.fault(at, "fields and responses: objects by field and by question")
                continue
            for _ in _suggested(record):
                landing.left_out(at, "a suggestion, which no annotator gave")
            metadata = record.get("metadata")
            about = metadata if isinstance(metadata, dict) else {} if nested else record
            said = [one for question, listed in given.items() for one in _said(at, question, listed, landing)]
            plain = {key: value for key, value in fields.items() if nested or key not in _besides(record)}
            yield Item(at, id, plain, {key: value for key, value in about.items() if isinstance(value, str)}, said)


def _suggested(record: Mapping[str, Any]) -> list[str]:
    """The questions that a record has a suggestion for; in Argilla 1 a column of its own holds each."""
    nested = record.get("suggestions")
    found = nested if isinstance(nested, dict) else {}
    ends = (".suggestion", "-suggestion")
    return [*found, *(key for key, value in record.items() if key.endswith(ends) and value not in (None, ""))]


def _besides(record: Mapping[str, Any]) -> set[str]:
    """The columns of a flat row that are no fields."""
    return {"id", "_server_id", "external_id", "status", "metadata", *_flat(record)} | {
        key for key in record if "." in key or key.endswith(("-suggestion", "-suggestion-metadata"))
    }


def _flat(record: Mapping[str, Any]) -> dict[str, list[Response]]:
    """The responses of a flat row by question, in the form of the nested layout."""
    found: dict[str, list[Response]] = {}
    for key, values in record.items():
        if key.endswith(_RESPONSES) and isinstance(values, list):
            users, status = (record.get(f"{key}{end}") or [] for end in (".users", ".status"))
            found[key.removesuffix(_RESPONSES)] = [
                {"value": value, "user_id": _at(users, i), "status": _at(status, i)} for i, value in enumerate(values)
            ]
        elif isinstance(values, list) and values and all(isinstance(v, dict) and "user_id" in v for v in values):
            found[key] = values
        elif isinstance(values, dict) and isinstance(values.get("value"), list) and "user_id" in values:
            found[key] = [
                {"user_id": _at(values["user_id"], i), "value": value, "status": _at(values.get("status"), i)}
                for i, value in enumerate(values["value"])
            ]
    return found


def _at(values: Any, place: int) -> Any:
    return values[place] if isinstance(values, list) and place < len(values) else None


def _said(at: Place, question: str, responses: Any, landing: Landing) -> Iterator[Said]:
    if not isinstance(responses, list):
        landing.fault(at, f"responses.{question}: a list, this is {shown(responses)}")
        return
    for response in responses:
        if not isinstance(response, dict) or "value" not in response:
            landing.fault(at, f"responses.{question}: objects with a value, this is {shown(response)}")
        elif response.get("status") not in (None, "submitted"):
            landing.left_out(at, f"a response that was not submitted: {response['status']}")
        elif response["value"] is None:
            landing.left_out(at, "a response without a value")
        elif not response.get("user_id"):
            landing.fault(at, f"responses.{question}: user_id: who said it, or people cannot be told apart")
        else:
            yield from _one(at, question, str(response["user_id"]), response["value"], landing)


def _one(at: Place, question: str, person: str, value: Any, landing: Landing) -> Iterator[Said]:
    match value:
        case bool():
            landing.left_out(at, f"question {question!r} has values that are true or false")
        case int() | float():
            yield Said(person, question, "rating", value)
        case str():
            yield Said(person, question, "label", value)
        case [{"value": _, "rank": _}, *_] if all(isinstance(one, dict) for one in value):
            yield Said(person, question, "ranking", [(one.get("value"), one.get("rank")) for one in value])
        case {"value": [*names], "rank": [*ranks]}:  # how `datasets` stores a list of objects
            yield Said(person, question, "ranking", list(zip(names, ranks, strict=False)))
        case [str(), str(), *_]:
            yield Said(person, question, "ranking", [(name, rank) for rank, name in enumerate(value, 1)])
        case _:
            landing.left_out(at, f"question {question!r} has values of another kind")
