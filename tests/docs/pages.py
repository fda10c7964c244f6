"""The pages that people read, and what stands in them: links, headings, blocks."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
AT_THE_TOP = ("README.md", "DESIGN.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")


def pages() -> list[Path]:
    return [*(ROOT / name for name in AT_THE_TOP), *sorted((ROOT / "docs").rglob("*.md"))]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@cache
def tokens(page: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))


def links(page: Path) -> Iterator[str]:
    """Where every link of a page leads, and where every image lies."""
    for token in tokens(page):
        for part in token.children or ():
            if part.type in ("link_open", "image"):
                yield str(part.attrGet("href") or part.attrGet("src"))


def spans(page: Path) -> Iterator[str]:
    """What stands in a page's sentences and tables as code."""
    yield from (part.content for token in tokens(page) for part in token.children or () if part.type == "code_inline")


@cache
def headings(page: Path) -> list[str]:
    """The headings of a page without their markup."""
    parsed = tokens(page)
    lines = (parsed[i + 1] for i, token in enumerate(parsed) if token.type == "heading_open")
    return ["".join(part.content for part in line.children or ()) for line in lines]


def anchors_on_github(page: Path) -> set[str]:
    return _numbered((re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings(page)), "-")


def anchors_on_the_site(page: Path) -> set[str]:
    """Those of MkDocs: ASCII alone, and a run of blanks and hyphens is one hyphen."""
    plain = (unicodedata.normalize("NFKD", one).encode("ascii", "ignore").decode() for one in headings(page))
    return _numbered((re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", one).strip().lower()) for one in plain), "_")


def _numbered(slugs: Iterator[str], mark: str) -> set[str]:
    """A heading that stands there again gets a number."""
    seen: dict[str, int] = {}
    made = set()
    for slug in slugs:
        made.add(f"{slug}{mark}{seen[slug]}" if slug in seen else slug)
        seen[slug] = seen.get(slug, 0) + 1
    return made
