"""Writes docs/commands.md: every command with its flags and examples, from the command line itself.

make reference
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main
from plain import cell, code, escaped

from sciexam.cli import command_line
from sciexam.cli.examples import EXAMPLES

PAGE = Path(__file__).parents[1] / "commands.md"
HEAD = """\
<!-- Written by docs/reference/write_commands.py: `make reference` writes it anew. -->
<!-- no block is run: tests/docs/test_help.py parses each example -->

# Commands

`sciexam` alone says what to type next in the folder you are in. `sciexam COMMAND --help` prints what stands here.

**Tab completes** commands, flags, suites, rubrics, files of answers, and the contestants and judges of the suite in
your folder; in a virtual environment once that is active (`. .venv/bin/activate`):

    sciexam --install-completion      # for your shell; then open a new terminal
    sciexam --show-completion         # prints the script, to put it elsewhere

It works in bash, zsh and fish.

Exit codes are the same everywhere: 0 done, 1 a bug of ours, 2 wrong usage or files, 3 incomplete (calls failed, or
were not made), 4 refused by a check that you asked for, 5 a damaged ledger, 130 interrupted.
"""


def page() -> str:
    return "\n".join([HEAD, *_sections(typer.main.get_command(command_line()), "sciexam")])


def _sections(group: Any, path: str) -> Iterator[str]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _sections(command, f"{path} {name}")
        else:
            yield from _section(command, f"{path} {name}")


def _section(command: Any, path: str) -> Iterator[str]:
    yield f"## {path}\n"
    yield f"{escaped(command.help.strip())}\n"
    yield from (f"    {example}" for example in EXAMPLES[path.removeprefix("sciexam ")])
    context = command.make_context(path, [], resilient_parsing=True)
    records = [record for one in command.params if (record := one.get_help_record(context))]
    if records:
        yield "\n| | |\n|---|---|"
        yield from (f"| {code(left)} | {cell(right)} |" for left, right in records)
    yield ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
