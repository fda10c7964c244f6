"""Articles of a page packed for a script to unpack, so that a report with thousands of answers opens at once."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

OPEN_BYTES = 1_200_000  # of articles that stand in the page as they are; those of further prompts are packed
CHUNK = 24  # prompts that are unpacked together


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some articles, deflated (zlib's form) and in base64, which holds no markup. `numbers`: of their prompts."""

    number: int
    numbers: tuple[int, ...]
    packed: str


def open_count(articles: Iterable[str]) -> int:
    """How many of the first articles stand in the page as they are."""
    count = written = 0
    for article in articles:
        written += len(article.encode())
        if written > OPEN_BYTES:
            break
        count += 1
    return count


def packed(articles: Sequence[tuple[int, str]]) -> Iterator[Chunk]:
    """Articles with the numbers of their prompts, CHUNK of them together."""
    for number, start in enumerate(range(0, len(articles), CHUNK)):
        some = articles[start : start + CHUNK]
        deflated = zlib.compress("".join(text for _, text in some).encode(), 9)
        yield Chunk(number, tuple(prompt for prompt, _ in some), base64.b64encode(deflated).decode("ascii"))
