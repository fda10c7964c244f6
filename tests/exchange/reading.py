"""What the tests of importing share: files written a line each, and what an import left."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from sciexam.errors import DocumentError
from sciexam.exchange import read
from sciexam.exchange.landed import Landed, land

Lines = list[dict[str, Any]]


def write_lines(path: Path, rows: Iterable[Mapping[str, Any] | str]) -> Path:
    """A JSON Lines file; a row that is a text is written as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def imported(format: str, folder: Path, mapping: Path | None = None) -> Landed:
    return land(read(format, [folder], mapping), folder.parent / "out")


def refused(format: str, folder: Path, mapping: Path | None = None) -> list[str]:
    """The faults of an import that wrote nothing, without the path of the folder."""
    with pytest.raises(DocumentError) as told:
        imported(format, folder, mapping)
    assert not (folder.parent / "out").exists(), "nothing is half imported"
    return [line.replace(f"{folder}/", "") for line in str(told.value).splitlines()]


def lines(folder: Path, name: str) -> Lines:
    """A file of an import, `verdicts/gpt-4`."""
    text = (folder.parent / "out" / f"{name}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.split("\n") if line]


def said(rows: Lines, *keys: str) -> list[tuple[Any, ...]]:
    return [tuple(row.get(key) for key in keys) for row in rows]
