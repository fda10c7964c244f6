"""The page of any other result: what stands in its tables is text, and it asks for nothing."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from test_views import MANIFEST, PAYLOADS, Page

from sciexam.report.page import to_page
from sciexam.report.plain_text import plain_text
from sciexam.report.tables import Table


def made(mark: str = "") -> str:
    table = Table(mark + "title", (mark + "judge", "n"), ((mark + "one", "0.50 [0.40, 0.60]"),), (mark + "note",))
    return to_page(
        "Grades",
        mark + "Grades of base",
        SimpleNamespace(suite=mark + "science"),
        [table],
        {**MANIFEST, "argv": ["sciexam", mark]},
        sentence=mark + "It is better.",
        caveats=[mark + "few"],
        remarks=[mark + "remark"],
        has_figures=False,
    )


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_text_changes_the_tags_or_attributes_of_the_page(payload: str) -> None:
    hostile, innocent = Page(made(payload)), Page(made())
    assert hostile.shape == innocent.shape
    # What stands in backticks may be set as code, without them.
    assert hostile.text.replace("`", "").count(plain_text(payload).replace("`", "")) > 8


def test_the_page_gives_the_sentence_the_caveats_the_tables_and_the_manifest() -> None:
    shown = " ".join(Page(made()).text.split())
    for said in ("It is better.", "few", "remark", "0.50 [0.40, 0.60]", "note", "numpy 2.4.0", "Seed7"):
        assert said in shown
    assert shown.index("It is better.") < shown.index("few") < shown.index("0.50 [") < shown.index("numpy")


def test_the_page_asks_for_nothing_and_runs_nothing() -> None:
    page = made("".join(PAYLOADS))
    tags = {tag for tag, _ in Page(page).tags}
    assert not tags & {"script", "link", "img", "iframe", "form", "input", "object", "base"}
    assert "script-src" not in page[: page.index("<style>")]
    assert "default-src 'none'; style-src 'unsafe-inline'" in page
    assert not re.search(r"url\(|@import", page[page.index("<style>") : page.index("</style>")])


def test_what_is_good_to_know_is_told_apart_from_what_to_beware_of() -> None:
    shown = " ".join(Page(made()).text.split())
    assert shown.index("Before you rely on this") < shown.index("few") < shown.index("Notes") < shown.index("remark")
