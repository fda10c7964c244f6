"""Articles of a page packed for a script to unpack, so that a report with thousands of answers opens at once."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count, islice

OPEN_BYTES = 1_200_000  # of articles that stand in the page as they are; those of further prompts are packed
CHUNK = 24  # prompts that are unpacked together


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some articles, deflated (zlib's form) and in base64, which holds no markup. `numbers`: of their prompts."""

    number: int
    numbers: tuple[int, ...]
    packed: str


def standing(articles: Iterable[str]) -> list[str]:
    """The first articles, as many as stand in the page as they are."""
    found: list[str] = []
    written = 0
    for article in articles:
        written += len(article.encode())
        if written > OPEN_BYTES:
            break
        found.append(article)
    return found


def packed(articles: Iterable[tuple[int, str]]) -> Iterator[Chunk]:
    """Articles with the numbers of their prompts, CHUNK of them together, and no more of them in memory."""
    coming = iter(articles)
    for number in count():
        if not (some := list(islice(coming, CHUNK))):
            return
        deflated = zlib.compress("".join(text for _, text in some).encode(), 6)
        yield Chunk(number, tuple(prompt for prompt, _ in some), base64.b64encode(deflated).decode("ascii"))
