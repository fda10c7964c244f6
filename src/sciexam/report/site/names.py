"""How a name from data becomes the name of a file, and the id of a section: never a path, never markup."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable

LONGEST = 48
# Names that Windows keeps for devices, with or without an ending; and the page that a server shows for a folder.
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?|index")
_PLAIN = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?")


def slug(name: str) -> str:
    """`name` itself where it is plain; otherwise what is plain of it, and a digest of the name.

    It depends on the name alone, so an address stays when others join. Two names never get one slug, whether a file
    system tells capital letters apart or not, and `a--b` can be taken apart: no slug holds `--`. A plain name holds no
    `~`, which stands before each digest.
    """
    if _is_plain(name):
        return name
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii").lower()
    words = re.sub(r"(?:[^a-z0-9.]|\.{2,})+", "-", letters).strip("-.")[:LONGEST].rstrip("-.")
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return f"{'x' if not words or _RESERVED.fullmatch(words) else words}~{digest}"


def _is_plain(name: str) -> bool:
    short = len(name) <= LONGEST and "--" not in name and ".." not in name
    return short and bool(_PLAIN.fullmatch(name)) and not _RESERVED.fullmatch(name)


FILES = (  # beside the pages of contestants, pairs and the judge
    *(".nojekyll", "index.html", "methods.html", "site.css", "site.js"),
    *("leaderboard.json", "leaderboard.csv", "leaderboard.md"),
)


def site_names(contestants: Iterable[str], pairs: Iterable[tuple[str, str]], judge: str) -> frozenset[str]:
    """The names of all files of the site of these contestants, who meet in these pairs."""
    pages = (*map(contestant_page, contestants), *(pair_page(a, b) for a, b in pairs), judge_page(judge))
    return frozenset((*FILES, *pages))


def contestant_page(name: str) -> str:
    """Where the page of a contestant lies in the site."""
    return f"contestants/{slug(name)}.html"


def pair_page(a: str, b: str) -> str:
    """Where the page of two contestants lies in the site, as the board names them."""
    return f"pairs/{slug(a)}--{slug(b)}.html"


def judge_page(name: str) -> str:
    """Where the page of a judge lies in the site."""
    return f"judges/{slug(name)}.html"


def category_id(name: str) -> str:
    """The id of a category's section on the first page."""
    return f"category-{slug(name)}"
