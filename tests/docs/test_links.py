"""A link in the documentation leads somewhere: to a file of the repository, and to a heading that is there."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from pages import anchors_on_github, anchors_on_the_site, links, name_of, pages


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
