"""A result as one HTML file: sentence, caveats, figures, tables. A comparison has a page of its own (html.py)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sciexam.report.making import making_of
from sciexam.report.pages import drawn, page_environment
from sciexam.report.record import Step
from sciexam.report.tables import Table


def to_page(
    kind: str,
    title: str,
    found: Any,
    tables: Iterable[Table],
    manifest: Mapping[str, Any],
    *,
    sentence: str = "",
    caveats: Iterable[str] = (),
    remarks: Iterable[str] = (),
    steps: Iterable[Step] = (),
    has_figures: bool = True,
    prompts: int | None = None,
) -> str:
    """The page as text, which can be written as UTF-8. `kind`: what was done, in a word or two above the title.

    `found` is the record that `tables` show, of which figures are drawn where it has any; it knows its suite.
    `prompts`: how many its figures are about; None: those of the manifest's plan.
    """
    return (
        page_environment("sciexam.report")
        .get_template("page.html.j2")
        .render(
            kind=kind,
            title=title,
            suite=found.suite,
            sentence=sentence,
            caveats=tuple(caveats),
            remarks=tuple(remarks),
            steps=tuple(steps),
            drawings=drawn(found, _prompts(manifest) if prompts is None else prompts) if has_figures else (),
            tables=list(tables),
            making=making_of(manifest),
        )
    )


def _prompts(manifest: Mapping[str, Any]) -> int:
    return len(manifest["plan"]["prompts"])
