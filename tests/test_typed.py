"""Commands that go on from what was typed: on the same exam, in the same ledger, and each can be typed itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from conftest import Cli, answers, write_jsonl
from sciexam.cli import command_line
from sciexam.report.next_steps import READER
from sciexam.typed import OPTIONS, TAKES, Command, command_of

ROOT: Any = typer.main.get_command(command_line())


def commands(group: Any = ROOT, before: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{name} ")
        else:
            yield before + name, command


@pytest.mark.parametrize("name", [*TAKES, "agree", "annotate serve", "compare", "export", "plan", "validate"])
def test_a_command_gets_the_options_that_it_takes(name: str) -> None:
    known = {option for parameter in dict(commands())[name].params for option in parameter.opts}
    assert set(TAKES.get(name, OPTIONS)) == known & set(OPTIONS)


def test_a_line_says_the_same_exam_and_names_contestants_as_they_were_typed() -> None:
    options = ["-s", "my exam", "--store=x.sqlite", "--quiet", "--judge", "j.jsonl", "--samples", "2"]
    typed = command_of(["/bin/sciexam", "compare", "runs/a.jsonl", "b.jsonl", *options])
    assert typed is not None
    assert typed.contestants == ("runs/a.jsonl", "b.jsonl")
    named = Command(exam=typed.exam, typed={"a": "runs/a.jsonl", "b": "b.jsonl"})
    assert named.line("validate", "a", "a", "b", "--judge", "a") == (
        "sciexam validate runs/a.jsonl runs/a.jsonl b.jsonl --judge a --suite 'my exam' --samples 2 --store x.sqlite"
    )
    assert named.line("audit", "measures", "b") == "sciexam audit measures b.jsonl --suite 'my exam' --store x.sqlite"
    assert named.line("annotate", "link") == "sciexam annotate link --store x.sqlite"
    assert named.line("check") == "sciexam check --suite 'my exam'"


@pytest.mark.parametrize("argv", [["notebook.py", "compare", "a", "b"], ["sciexam"], ["/bin/sciexam", "plan", "a"]])
def test_what_is_no_command_line_of_a_comparison_is_none(argv: list[str]) -> None:
    assert command_of(argv, "compare") is None


def test_what_is_to_be_typed_for_files_is_about_these_files(tmp_path: Path, sciexam: Cli) -> None:
    for name in ("base", "sft"):
        answers(tmp_path / "runs", name, ["Because.", f"{name} says so, for a reason."])
    typed = ("runs/base.jsonl", "runs/sft.jsonl", "--store", "mine.sqlite")
    told = sciexam("compare", *typed).stderr
    assert f"sciexam compare runs/base.jsonl runs/sft.jsonl --judge {READER} --prompts FILE --store mine.sqlite" in told
    told = " ".join(sciexam("agree", *typed).stdout.split())
    for command in (
        "compare runs/base.jsonl runs/sft.jsonl --judge NAME",
        "annotate serve runs/base.jsonl runs/sft.jsonl",
    ):
        assert f"`sciexam {command} --store mine.sqlite`" in told


@pytest.mark.parametrize("command", ["compare", "leaderboard"])
def test_a_judge_that_reads_is_of_the_server_that_is_asked(tmp_path: Path, sciexam: Cli, command: str) -> None:
    for name in ("base", "sft"):
        write_jsonl(tmp_path / f"{name}.jsonl", [{"prompt": "Why is it so?", "text": f"{name} says: because."}])
    for url, named in ((None, READER), ("http://localhost:8000/v1", "openai:MODEL")):
        done = sciexam(command, "base.jsonl", "sft.jsonl", env={"OPENAI_BASE_URL": url} if url else {})
        assert f"to ask a language model: sciexam {command} base.jsonl sft.jsonl --judge {named}\n" in done.stderr
