"""A link in the documentation leads somewhere: to a file of the repository, and to a heading that is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from pages import ROOT, anchors_on_github, anchors_on_the_site, links, name_of, pages, spans, tokens


def broken(page: Path) -> list[str]:
    """The relative links and images of a page that lead nowhere, each with the reason."""
    found = []
    for link in links(page):
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        if not target.exists():
            found.append(f"{link}: no such file")
        elif parts.fragment and target.suffix == ".md":
            for anchors in (anchors_on_github, anchors_on_the_site):
                if parts.fragment not in anchors(target):
                    found.append(f"{link}: no such heading ({anchors.__name__.replace('_', ' ')})")
    return found


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert not (found := broken(page)), f"{name_of(page)}: " + "; ".join(found)


def test_a_link_that_leads_nowhere_would_be_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A verdict, twice\n[a](#a-verdict-twice) [b](#b) [c](c.md) [d](https://example.org) ![e](e.png)\n\n"
        "    [no](link.md)\n\n[f](page.md#f) `[no](link.md)`\n",
        encoding="utf-8",
    )
    nowhere = ["#b", "#b", "c.md", "e.png", "page.md#f", "page.md#f"]
    assert [one.split(": ")[0] for one in broken(page)] == nowhere


def test_every_picture_is_shown() -> None:
    shown = {(page.parent / link).resolve() for page in pages() for link in links(page) if link.endswith(".png")}
    assert {*(ROOT / "docs").rglob("*.png")} <= shown


# What a page tells its reader to write, and a file of another project.
ELSEWHERE = {
    *("src/sciexam/models/echo.py", "src/sciexam/judges/longer.py", "src/sciexam/stats/superiority.py"),
    *("src/sciexam/train/cpt.py", "suites/clear.yaml", "src/matchers/comparison.ts"),
}
OURS = re.compile(r"(?:src|tests|docs|benchmarks|suites|rubrics|sciexam)/[\w./-]*")


def test_a_file_that_is_named_in_a_sentence_is_there() -> None:
    named = {span for page in pages() for span in spans(page) if OURS.fullmatch(span) and "NAME" not in span}
    assert len(named) > 50
    assert sorted(one for one in named if not any((top / one).exists() for top in (ROOT, ROOT / "src"))) == sorted(
        ELSEWHERE
    )


def test_a_target_of_make_that_is_named_is_there() -> None:
    made = (ROOT / "Makefile").read_text(encoding="utf-8")
    for page in pages():
        for target in re.findall(r"^make ([a-z-]+)$", "\n".join([*spans(page), *typed(page)]), re.MULTILINE):
            assert f"\n{target}: " in f"\n{made}", f"{name_of(page)}: make {target}"


def typed(page: Path) -> Iterator[str]:
    """The lines of a page's blocks, without what explains them."""
    for token in tokens(page):
        if token.type in ("fence", "code_block"):
            yield from (line.partition("#")[0].strip() for line in token.content.splitlines())
