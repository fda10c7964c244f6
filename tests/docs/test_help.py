"""Every command says what it does, what each flag is, and ends with an example that can be typed."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from conftest import Cli
from sciexam.cli import command_line
from sciexam.cli.examples import EXAMPLES
from sciexam.cli.grouped import GROUPS


def leaves(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Each command that does something, by the words that name it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


ROOT = typer.main.get_command(command_line())
COMMANDS = dict(leaves(ROOT))


def test_every_command_has_examples_and_no_other_has() -> None:
    assert list(EXAMPLES) == list(COMMANDS), "in the order in which they are registered"
    assert all(EXAMPLES.values())


def test_the_help_lists_every_command_once_in_a_line_that_80_columns_hold(sciexam: Cli) -> None:
    listed = [name for commands in GROUPS.values() for name in commands]
    assert sorted(listed) == sorted(ROOT.commands)
    assert listed[:5] == ["compare", "report", "plan", "init", "check"]
    lines = sciexam("--help").stdout.splitlines()
    for name, said in [pair for commands in GROUPS.values() for pair in commands.items()]:
        assert f"  {name:<11}  {said}" in lines
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_and_its_flags_are_explained(name: str) -> None:
    command = COMMANDS[name]
    assert command.help.strip().partition("\n")[0].endswith((".", ":"))
    for parameter in command.params:
        assert parameter.help, f"{name} {parameter.name} has no help"
        assert parameter.help.strip().endswith((".", "]")) or ":" in parameter.help, f"{name}: {parameter.help}"


@pytest.mark.parametrize("example", [one for examples in EXAMPLES.values() for one in examples])
def test_an_example_can_be_typed(example: str) -> None:
    """It is parsed, and not run; a fault would raise."""
    [name] = [name for name in COMMANDS if example.startswith(f"sciexam {name} ") or example == f"sciexam {name}"]
    words = shlex.split(example.partition(" > ")[0])[1 + len(name.split()) :]
    COMMANDS[name].make_context(name, words)


def test_a_flag_that_is_not_there_would_be_seen() -> None:
    with pytest.raises(Exception, match="No such option: --colour"):
        COMMANDS["compare"].make_context("compare", ["base", "sft", "--colour"])


def test_the_help_ends_with_the_examples(sciexam: Cli) -> None:
    for name in ("compare", "annotate serve"):
        done = sciexam(*name.split(), "--help")
        assert done.stdout.rstrip().endswith("\n".join(f"    {one}" for one in EXAMPLES[name]))


def test_a_group_alone_prints_its_help(sciexam: Cli) -> None:
    done = sciexam("rubric")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: sciexam rubric")
    assert "Print a rubric as a judge reads it." in done.stderr
