"""`sciexam` alone: what is in this folder, and what to type next."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sciexam.cli.answers_here import answer_files, other_files
from sciexam.documents import folders_with

MOST = 5  # suites, and steps after a result


def next_here() -> Iterator[str]:
    """What this folder has, and the commands that go on from there, a line each."""
    from sciexam.report.plain_text import plain_text
    from sciexam.suite_file import DEFAULT_SUITE

    names = (path.stem for path in Path("suites").glob("*.yaml"))
    suites = sorted(names, key=lambda name: (name != DEFAULT_SUITE, name))  # the usual one first
    for line in _lines(suites, _latest()):
        yield plain_text(line).replace("\n", " ")
    yield "Every command: sciexam --help. Its flags and an example: sciexam compare --help"


def _lines(suites: list[str], result: Mapping[str, Any] | None) -> Iterator[str]:
    links = _newest("*/*/links.csv")
    lacks = "comparison" if Path("results", "ledger.sqlite").is_file() else "results"
    if result is not None:
        yield f"The latest comparison here is {_compared(result['contestants'])}: {result['page']}"
        yield from _to("To open its report", "sciexam report --open")
        for step in result["next_steps"][:MOST]:
            yield from _to(step["why"], step["command"])
        yield from _of_people(links)
    elif suites:
        yield f"This folder has the suite{'s' * (len(suites) > 1)} {', '.join(suites[:MOST])}, and no {lacks} yet."
        name = shlex.quote(suites[0])
        yield from _to("To see what is wrong with it, before anything is asked", f"sciexam check {name}")
        yield from _to("To compare its contestants in all pairs", f"sciexam compare --suite {name}")
        yield from _of_people(links)
    elif links:
        yield from _of_people(links)
    elif (above := _of_the_folder_above()) is not None:
        yield from _to(
            f"This folder is part of {above.name or above}, where commands are run; to go there", _way(above)
        )
    else:
        yield from _of_files()
        yield f"This folder has no suite and no {lacks} yet."
        for name, folder in list(folders_with("suites").items())[:MOST]:
            yield from _to(f"There is the suite {name} in {folder}/; to go there", f"cd {shlex.quote(folder)}")
        yield from _to(
            "To compare two models of the shipped suite, without a key or a network", "sciexam compare base sft"
        )
        line = '{"prompt": "Why is the sky blue?", "text": "..."}'
        if len(answer_files()) != 2:
            yield from _to(
                f"To compare two files of answers with lines such as {line}", "sciexam compare old.jsonl new.jsonl"
            )
        yield from _to("To write a suite to start from", "sciexam init my-exam")


def _compared(contestants: list[str]) -> str:
    """As a report has it: a pair's second contestant against its first."""
    return " against ".join(reversed(contestants)) if len(contestants) == 2 else f"of {', '.join(contestants)}"


def _of_the_folder_above() -> Path | None:
    """The folder whose suites or results this one is among; None where it is among none."""
    here = Path.cwd()
    holds = {"suites": "*.yaml", "rubrics": "*.yaml", "results": "ledger.sqlite"}
    among = (one for one in (here, *here.parents) if one.name in holds and any(one.glob(holds[one.name])))
    return next((one.parent for one in among), None)


def _way(above: Path) -> str:
    """The command that goes up to a folder from this one."""
    return f"cd {'/'.join(['..'] * len(Path.cwd().relative_to(above).parts))}"


def _of_people(links: Sequence[Path]) -> Iterator[str]:
    """Where people were given links to judge with."""
    if links:
        yield from _to(
            f"People were given the links in {links[-1]}; to see who has judged what", "sciexam annotate status"
        )


def _of_files() -> Iterator[str]:
    """What to type where exactly two files of answers lie here; where there is none, which files are none."""
    if len(files := answer_files()) == 2:
        command = shlex.join(["sciexam", "compare", *files])
        yield from _to(f"To compare {files[0]} and {files[1]}, which lie here", command)
    elif not files and (others := other_files()[:2]):
        what = "is no file" if len(others) == 1 else "are no files"
        yield (
            f"{' and '.join(others)} {what} of answers: a line of these has the keys prompt and text, or instruction "
            "and output."
        )
        yield from _to("To be told which key is to be which", shlex.join(["sciexam", "compare", *others]))


def _to(why: str, command: str) -> Iterator[str]:
    yield f"{why}:"
    yield f"    {command}"


def _newest(files: str) -> list[Path]:
    """The files of this pattern in ./results, the newest last."""
    return sorted(Path("results").glob(files), key=lambda path: path.stat().st_mtime_ns)


def _latest() -> Mapping[str, Any] | None:
    """The newest comparison in ./results; None where there is none that can be read."""
    for path in reversed(_newest("*/*/report.json")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            steps = [{key: str(step[key]) for key in ("why", "command")} for step in record["next_steps"]]
            names = [str(name) for name in record["contestants"]]
        except (OSError, ValueError, KeyError, TypeError):  # somebody's own file, or another version's
            continue
        return {"contestants": names, "next_steps": steps, "page": path.with_suffix(".html")}
    return None
