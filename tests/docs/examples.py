"""The blocks of commands in the documentation, and which lines of them are run. As a script it lists them all.

    python tests/docs/examples.py

A block is indented or fenced, and has a line that begins with `sciexam `. What a command prints follows after an empty
line, or after one that begins with `$ `. `cat > FILE <<'END'` writes a file. What is not run has a comment right before
its block that says what it needs; it may name lines, and at the top of a page it may speak for the whole page:

    <!-- not run: needs a key -->
    <!-- not run, lines 2, 3: needs a GPU -->
    <!-- no block is run: needs weights -->
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pages import name_of, pages, tokens

NOT_RUN = re.compile(r"<!-- not run(?:, lines? ([\d, ]+))?: (.+?) -->")
NONE_IS_RUN = re.compile(r"<!-- no block is run: (.+?) -->")
TYPED = re.compile(r"^(\$ )?sciexam( |$)", re.MULTILINE)
SHELLS = ("", "sh", "bash", "console")


@dataclass(frozen=True)
class Line:
    """One line of a terminal: commands that are run one after the other, and what they print, where the page says it.

    `given` is what a command reads up to the line END. `needs` says why it is not run.
    """

    where: str
    commands: tuple[tuple[str, ...], ...]
    given: str
    prints: tuple[str, ...] | None
    needs: str | None


def lines(page: Path) -> Iterator[Line]:
    """What a reader of a page types, from its top to its end."""
    comment, whole_page = "", None
    for token in tokens(page):
        if token.type == "html_block":
            comment += token.content
            if said := NONE_IS_RUN.search(token.content):
                whole_page = said[1]
        elif token.type in ("fence", "code_block"):
            if TYPED.search(token.content) and token.info in SHELLS:
                assert token.map is not None
                first = token.map[0] + (2 if token.type == "fence" else 1)
                yield from _lines(token.content, f"{name_of(page)}:{first}", _needs(comment, whole_page))
            comment = ""
        elif token.level == 0:
            comment = ""


def _needs(comment: str, whole_page: str | None) -> Mapping[int, str]:
    """By the number of a line in its block what it needs; 0 stands for all lines."""
    needs = {0: whole_page} if whole_page else {}
    for numbers, why in NOT_RUN.findall(comment):
        needs |= dict.fromkeys(map(int, re.findall(r"\d+", numbers)) if numbers else [0], why)
    return needs


def _lines(content: str, where: str, needs: Mapping[int, str]) -> Iterator[Line]:
    """What is typed, each with what it prints. `needs` is by the number of what is typed."""
    for number, (typed, given, prints) in enumerate(_typed(re.sub(r" *\\\n\s*", " ", content)), 1):
        yield Line(where, _commands(typed), given, prints, needs.get(number, needs.get(0)))


def _typed(content: str) -> Iterator[tuple[str, str, tuple[str, ...] | None]]:
    """Each line that is typed, what it reads up to END, and what it prints."""
    prompts = content.startswith("$ ")
    rest = content.splitlines()
    while rest:
        line = rest.pop(0)
        if not line or line.startswith("#"):
            continue
        given, prints = "", None
        if line.endswith("<<'END'"):
            end = rest.index("END")
            given, rest = "".join(f"{one}\n" for one in rest[:end]), rest[end + 1 :]
        if prompts:
            count = next((number for number, one in enumerate(rest) if one.startswith("$ ")), len(rest))
            prints, rest = tuple(filter(None, rest[:count])), rest[count:]
        elif rest[1:] and not rest[0] and not TYPED.match(rest[1]):  # an empty line, and no command after it
            count = next((number for number, one in enumerate(rest[1:], 1) if not one), len(rest))
            prints, rest = tuple(rest[1:count]), rest[count:]
        yield line.removeprefix("$ "), given, prints


def _commands(line: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(shlex.split(part, comments=True)) for part in re.split(r"\s&&\s", line))


def main() -> None:
    found = [line for page in pages() for line in lines(page)]
    for line in found:
        print(f"{line.where}: {shlex.join(line.commands[0])[:60]:60} {line.needs or 'run'}")
    print()
    for needs, many in Counter(line.needs or "run" for line in found).most_common():
        print(f"{many:4} {needs}")


if __name__ == "__main__":
    main()
