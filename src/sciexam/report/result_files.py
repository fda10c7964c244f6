"""A result as files that say the same: its record, Markdown and a page. A comparison has files of its own (html.py)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sciexam.files import json_text
from sciexam.report.page import to_page
from sciexam.report.record import Step
from sciexam.report.tables import Table, to_markdown


def result_files(
    name: str,
    kind: str,
    title: str,
    found: Any,
    tables: Iterable[Table],
    manifest: Mapping[str, Any],
    *,
    sentence: str,
    caveats: Sequence[str] = (),
    remarks: Sequence[str] = (),
    steps: Sequence[Step] = (),
    **drawn: Any,
) -> Iterator[tuple[str, str]]:
    """NAME.json, NAME.md and NAME.html, each made after the one before it was taken. `drawn`: as `to_page` takes it."""
    yield f"{name}.json", json_text(found.to_json())
    shown = list(tables)
    said = [Table(title, (), (), (sentence,)), *shown]
    yield f"{name}.md", to_markdown(title, said, steps, caveats=caveats, notes=remarks)
    told: dict[str, Any] = {"sentence": sentence, "caveats": caveats, "remarks": remarks, "steps": steps}
    yield f"{name}.html", to_page(kind, title, found, shown, manifest, **told, **drawn)
