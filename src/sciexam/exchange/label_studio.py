"""Label Studio's JSON export: a list of tasks, each with its data and the annotations of several people.

The results that say something of answers are `pairwise` (left or right), `choices` (one label) and `rating`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sciexam.exchange.annotated import Item, Said, land, read_layout
from sciexam.exchange.landing import Landing, Place, shown
from sciexam.exchange.rows import found, missing, rows


def read(paths: Sequence[Path], mapping: Path | None = None) -> Landing:
    landing = Landing("label-studio")
    return land(landing, partial(_items, paths), read_layout(mapping))


def _items(paths: Sequence[Path], landing: Landing) -> Iterator[Item]:
    files = found(paths, "*.json", "*.jsonl")
    for file in files:
        for at, task in rows(file, landing):
            if "data" not in task and "annotator" in task:
                landing.fault(at, "is of the export JSON-MIN; export as JSON, which keeps who said what")
            elif not missing(at, task, ("data", "annotations"), landing):
                id = str(task.get("id", f"{file.stem}-{at.line}"))
                if not isinstance(task["data"], dict) or not isinstance(task["annotations"], list):
                    landing.fault(at, "data and annotations: an object and a list")
                    continue
                _leave_out(at, task, landing)
                yield Item(at, id, task["data"], _meta(task), list(_said(at, task["annotations"], landing)))


def _meta(task: Mapping[str, Any]) -> Mapping[str, Any]:
    found = task.get("meta")
    return found if isinstance(found, dict) else {}


def _leave_out(at: Place, task: Mapping[str, Any], landing: Landing) -> None:
    """What a task holds of answers that nobody submitted."""
    for key, why in (("drafts", "a draft"), ("predictions", "a prediction, which no annotator gave")):
        given = task.get(key)
        for _ in given if isinstance(given, list) else ():
            landing.left_out(at, why)


def _said(at: Place, annotations: Sequence[Any], landing: Landing) -> Iterator[Said]:
    for annotation in annotations:
        if not isinstance(annotation, dict) or not isinstance(annotation.get("result"), list):
            landing.fault(at, f"annotations: objects with a result, this is {shown(annotation)}")
        elif annotation.get("was_cancelled"):
            landing.left_out(at, "skipped by the annotator")
        elif (person := _person(annotation.get("completed_by"))) is None:
            landing.fault(at, "annotations.completed_by: who annotated, or people cannot be told apart")
        else:
            for result in annotation["result"]:
                yield from _result(at, person, result, landing)


def _person(by: Any) -> str | None:
    if isinstance(by, dict):
        by = by.get("id", by.get("email"))
    return f"annotator {by}" if isinstance(by, (int, str)) and str(by) else None


def _result(at: Place, person: str, result: Any, landing: Landing) -> Iterator[Said]:
    value = result.get("value") if isinstance(result, dict) else None
    if not isinstance(value, dict):
        landing.fault(at, f"annotations.result: objects with a value, this is {shown(result)}")
        return
    question, of = str(result.get("from_name", "")), str(result.get("to_name", ""))
    match result.get("type"):
        case "pairwise":
            if (side := value.get("selected")) in ("left", "right"):
                yield Said(person, question, "side", side)
            else:
                landing.fault(at, f"{question}: selected: {shown(side)} is neither left nor right")
        case "choices":
            choices = value.get("choices")
            if isinstance(choices, list) and len(choices) == 1:
                yield Said(person, question, "label", choices[0], of)
            else:
                landing.left_out(at, f"question {question!r} has several choices, or none")
        case "rating":
            yield Said(person, question, "rating", value.get("rating"), of)
        case other:
            landing.left_out(at, f"a result of type {shown(other)}")
