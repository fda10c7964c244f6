"""What a stranger sees first: the public names, the version, and help for every command."""

from __future__ import annotations

import importlib.metadata
import re

import pytest

import sciexam as sx
from conftest import Cli


def test_every_public_name_is_there_and_no_other() -> None:
    for name in sx.__all__:
        assert getattr(sx, name).__name__ == name
    assert set(sx.__all__) == set(sx._HOMES) <= set(dir(sx))
    with pytest.raises(AttributeError, match="module 'sciexam' has no attribute 'comapre'"):
        sx.comapre  # noqa: B018


def test_the_version_is_the_one_that_is_installed(sciexam: Cli) -> None:
    done = sciexam("--version")
    assert (done.returncode, done.stdout) == (0, f"sciexam {importlib.metadata.version('sciexam')}\n")


def test_every_command_has_help(sciexam: Cli) -> None:
    done = sciexam("--help")
    assert done.returncode == 0
    listed = re.findall(r"^  ([a-z]+) ", done.stdout[done.stdout.index("Commands:") :], re.MULTILINE)
    assert {"compare", "report", "check", "init", "rubric"} <= set(listed)
    for command in listed:
        assert sciexam(command, "--help").returncode == 0, command
