"""The commands of the documentation do what it says: those of a page are run in one folder, from its top to its end.

What is not run says why (tests/docs/examples.py has the rule, and lists everything); that much it is, is tested here.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from examples import Line, lines
from pages import ROOT, name_of, pages, spans

from conftest import Cli, write_jsonl
from sciexam.cli import command_line

# What a line that is not run may need.
NEEDS = (
    "needs a key",
    "needs a GPU",
    "needs weights",
    "needs a server",
    "needs people",
    "needs files of another tool",
    "needs data of yours",
    "needs a repository",
    "takes minutes",
    "runs until it is stopped",
    "is no command but its form",
    "tests/docs/test_help.py parses each example",
)
# The pages that a reader begins with; whoever reads another one is taken to have compared base with sft.
FIRST = ("README.md", "docs/index.md", "docs/quickstart.md", "docs/quick-start.md")
# The pages whose commands take no longer than two seconds.
FAST = ("README.md",)
PAGES = [page for page in pages() if any(True for _ in lines(page))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a reader is taken to have: two files of answers with their prompts, and for the shipped suite a file of
    answers, rewards, and the names of annotators."""
    for name in ("old.jsonl", "new.jsonl", "prompts.jsonl"):
        shutil.copy(ROOT / "src" / "sciexam" / "starter" / name, tmp_path / name)
    shipped = ROOT / "suites" / "science"
    shutil.copy(shipped / "ppo.jsonl", tmp_path / "mine.jsonl")
    answers = {name: (shipped / f"{name}.jsonl").read_text(encoding="utf-8").splitlines() for name in ("base", "sft")}
    rewards = [{"model": name, **reward(json.loads(line))} for name, given in answers.items() for line in given]
    write_jsonl(tmp_path / "rm.jsonl", rewards)
    (tmp_path / "annotators.txt").write_text("Ann Lee\nBob\n", encoding="utf-8")
    return tmp_path


def reward(answer: dict[str, Any]) -> dict[str, Any]:
    return {"prompt": answer["prompt"], "sample": answer["sample"], "reward": len(answer["text"]) / 100}


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[] if name_of(page) in FAST else pytest.mark.slow, id=name_of(page))
        for page in PAGES
        if any(line.needs is None for line in lines(page))
    ],
)
def test_the_commands_of_a_page_run(page: Path, folder: Path, sciexam: Cli) -> None:
    if name_of(page) not in FIRST:
        assert sciexam("compare", "base", "sft", "--quiet", cwd=folder).returncode == 0
    here, block = folder, ""
    for line in lines(page):
        here, block = (here if line.where == block else folder), line.where  # a `cd` holds to the end of its block
        if line.needs is None:
            here = run(line, here, sciexam)


def run(line: Line, folder: Path, sciexam: Callable[..., Any]) -> Path:
    """Run the commands of a line, each of which must end well, and print what the page says. Returns where it ends."""
    out = err = ""
    for words in line.commands:
        if words[0] == "cd":
            folder = folder / words[1]
            continue
        if words[:2] == ("cat", ">"):
            (folder / words[2]).write_text(line.given, encoding="utf-8")
            continue
        assert words[0] == "sciexam", f"{line.where}: {' '.join(words)}: say why it is not run"
        typed, file = split(words)

        done = sciexam(*typed[1:], cwd=folder)
        if file:
            (folder / file).write_text(done.stdout, encoding="utf-8")
        assert done.returncode == 0, f"{line.where}: {' '.join(words)}\n{done.stdout}{done.stderr}"
        out, err = out + done.stdout, err + done.stderr
    if line.prints is not None:
        assert says(out, line.prints) or says(err, line.prints), f"{line.where}: it printed\n{out}{err}"
    return folder


def split(words: tuple[str, ...]) -> tuple[tuple[str, ...], str | None]:
    """A command, and the file to which it is sent with `>`."""
    return (words[: words.index(">")], words[-1]) if ">" in words else (words, None)


def says(printed: str, promised: tuple[str, ...]) -> bool:
    """Whether the lines were printed, one after the other; `...` stands for whatever comes between."""
    pattern = "".join(r"(.*\n)*?" if line.strip() == "..." else re.escape(line.strip()) + r"\n" for line in promised)
    return bool(re.search(f"^{pattern}", "".join(f"{line.strip()}\n" for line in printed.splitlines()), re.MULTILINE))


def test_what_is_not_run_says_what_it_needs() -> None:
    for page in PAGES:
        for line in lines(page):
            assert line.needs is None or line.needs in NEEDS, f"{line.where}: not one of {NEEDS}: {line.needs}"


ROOT_COMMAND = typer.main.get_command(command_line())


def each_command() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every command of the documentation, run or not, by where it stands."""
    for page in PAGES:
        for line in lines(page):
            yield from ((line.where, words) for words in line.commands if words[0] == "sciexam")


def named(words: list[str]) -> tuple[Any, list[str]]:
    """The command that is named by the first of `words`, and those that follow its name."""
    command: Any = ROOT_COMMAND
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        if words[0] not in command.commands:
            raise LookupError(f"no such command: {words[0]}")
        command, words = command.commands[words[0]], words[1:]
    return command, words


def test_every_command_can_be_typed() -> None:
    """Also one that is not run: its name, its flags and its arguments are there."""
    for where, words in each_command():
        try:
            command, rest = named(list(split(words)[0][1:]))
            if not hasattr(command, "commands"):  # else `sciexam` alone, or with a flag that does something at once
                command.make_context(" ".join(words), rest)
        except Exception as error:
            if not isinstance(error, typer.Exit):
                pytest.fail(f"{where}: {' '.join(words)}: {error}")


def unknown(page: Path) -> Iterator[str]:
    """The commands within the sentences of a page that have a name or a flag that is not there."""
    for span in spans(page):
        if not re.match(r"sciexam [a-z]", span):
            continue
        try:
            command, rest = named(shlex.split(span)[1:])
        except LookupError as error:
            yield f"`{span}`: {error}"
            continue
        flags = {"--help", *(flag for one in command.params for flag in (*one.opts, *one.secondary_opts))}
        given = [match[0] for word in rest if (match := re.match("--?[a-z][a-z-]*", word))]
        yield from (f"`{span}`: no such option: {flag}" for flag in given if flag not in flags)


def test_a_command_within_a_sentence_is_there_with_its_flags(tmp_path: Path) -> None:
    assert [f"{name_of(page)}: {what}" for page in pages() for what in unknown(page)] == []
    (page := tmp_path / "page.md").write_text("| `sciexam initt a` | `sciexam plan a b --effekt .6`, `--x` |\n")
    faults = ["`sciexam initt a`: no such command: initt", "`sciexam plan a b --effekt .6`: no such option: --effekt"]
    assert [*unknown(page)] == faults


def test_a_promise_that_is_not_kept_would_be_seen() -> None:
    assert says("a\n b 1\nc\n", ("b 1", "c"))
    assert says("a\nb\nc\n", ("a", "...", "c"))
    assert not says("a\nb\n", ("b", "a"))
    assert not says("a\nx\nb\n", ("a", "b"))


MARKED = """\
<!-- not run, line 2: needs a key -->

    sciexam compare a b
    sciexam compare a b --batch

Text.

    sciexam compare a b   # the comment above is not for this block

<!-- not run: needs a GPU -->
```sh
sciexam compare a b \\
  --margin 0.1
cd a && sciexam compare a b
```

```
$ sciexam doctor
it is well
```

    cat > a.jsonl <<'END'
    {"a": 1}
    END
    sciexam compare a b

    a is better
    than b

    sciexam doctor
"""


def test_a_mark_speaks_for_its_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text(MARKED, encoding="utf-8")
    monkeypatch.setattr("examples.name_of", str)
    found = [*lines(page)]
    assert [line.needs for line in found] == [None, "needs a key", None, "needs a GPU", "needs a GPU", *[None] * 4]
    assert [len(line.commands) for line in found] == [1, 1, 1, 1, 2, 1, 1, 1, 1]
    assert found[3].commands == (("sciexam", "compare", "a", "b", "--margin", "0.1"),)
    printed = [line.prints for line in found]
    assert printed == [*[None] * 5, ("it is well",), None, ("a is better", "than b"), None]
    assert found[6].given == '{"a": 1}\n'
