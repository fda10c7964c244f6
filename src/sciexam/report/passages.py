"""What somebody wrote as passages of prose and of code, so that a page can set code in letters of one width."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from sciexam.report.plain_text import plain_text

Kind = Literal["prose", "code", "block"]

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_OPENS = re.compile(r"[ \t]*(`{3,}(?=[^`]*$)|~{3,})")  # CommonMark 4.5, at any indent: answers fence code in lists, too
_INLINE = re.compile(r"(?<!`)`[^`\n]+`(?!`)")


@dataclass(frozen=True, slots=True)
class Passage:
    """`prose`, `code` within a line, or a `block` of lines from a fence to its end."""

    kind: Kind
    text: str


def passages_of(text: str) -> Iterator[Passage]:
    """The passages of `text`, which together are its plain text, character for character.

    A fence without an end reaches to the end of the text, as in Markdown. Fences and backticks are part of their
    passage: a reader sees and copies what was written.
    """
    text = plain_text(text)
    if "`" not in text and "~~~" not in text:
        yield from [Passage("prose", text)] if text else []
        return
    gathered: list[str] = []
    fence = ""
    for line in _LINE.findall(text):
        if fence:
            gathered.append(line)
            if _ends(line, fence):
                yield Passage("block", "".join(gathered))
                gathered, fence = [], ""
        elif opened := _OPENS.match(line.rstrip("\n")):
            yield from _in_line("".join(gathered))
            gathered, fence = [line], opened[1]
        else:
            gathered.append(line)
    if fence:
        yield Passage("block", "".join(gathered))
    else:
        yield from _in_line("".join(gathered))


def _ends(line: str, fence: str) -> bool:
    bare = line.strip()
    return len(bare) >= len(fence) and bare == fence[0] * len(bare)


def _in_line(prose: str) -> Iterator[Passage]:
    start = 0
    for match in _INLINE.finditer(prose):
        if match.start() > start:
            yield Passage("prose", prose[start : match.start()])
        yield Passage("code", match[0])
        start = match.end()
    if start < len(prose):
        yield Passage("prose", prose[start:])
