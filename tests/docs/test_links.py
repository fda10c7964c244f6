"""A link in the documentation leads somewhere: to a file of the repository, and to a heading that is there."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from pages import ROOT, anchors_on_github, anchors_on_the_site, links, name_of, pages


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


def test_a_file_that_contributors_are_sent_to_is_there() -> None:
    said = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:src|tests|docs|benchmarks|suites|rubrics)/[\w./-]*)`", said))
    made = {"src/sciexam/models/echo.py", "src/sciexam/judges/longer.py", "src/sciexam/stats/superiority.py"}
    made |= {"src/sciexam/train/cpt.py", "src/sciexam/judges/templates/NAME.j2"}
    assert made <= named, "the recipes"
    assert not [path for path in named - made if not (ROOT / path).exists()]
    for target in re.findall(r"`?make ([a-z-]+)", said):
        assert f"\n{target}: " in f"\n{(ROOT / 'Makefile').read_text(encoding='utf-8')}", f"make {target}"
