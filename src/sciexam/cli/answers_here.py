"""The files of answers in the folder that a command is typed in."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sciexam.typed import Command

SUFFIXES = (".jsonl", ".json")
LOOKED_AT = 1_000_000  # bytes of a file that tell whether it holds answers


def answer_files() -> list[str]:
    """The names of the files here whose first line is an answer, the oldest first: old before new, base before sft."""
    found = [path for path in Path().iterdir() if path.suffix in SUFFIXES and path.is_file()]
    return [path.name for path in sorted(found, key=_age) if _holds_answers(path)]


def other_files() -> list[str]:
    """The names of the .jsonl and .json files here that hold objects, and no answers."""
    found = [path for path in Path().iterdir() if path.suffix in SUFFIXES and path.is_file()]
    return [path.name for path in sorted(found, key=_age) if _first(path) is not None and not _holds_answers(path)]


def file_named(name: str) -> str | None:
    """The file here that `name` is the stem of; None where there is none."""
    if "/" in name or len(name) > 200:
        return None
    return next((f"{name}{suffix}" for suffix in SUFFIXES if Path(f"{name}{suffix}").is_file()), None)


def compared_last(results: Path) -> Command | None:
    """The files of answers, or the file of a suite, of the newest run among `results` that is of no shipped suite;
    None where these are not here to be named again."""
    from sciexam.suite_file import DEFAULT_SUITE
    from sciexam.typed import LEDGER, command_of

    try:
        runs = (path for path in results.glob("*/*/run.json") if path.parts[-3] != DEFAULT_SUITE)
        newest = max(runs, key=lambda path: path.stat().st_mtime_ns)
        made = command_of(json.loads(newest.read_text(encoding="utf-8"))["argv"])
    except (OSError, ValueError, KeyError, TypeError):  # none, somebody's own file, or another version's
        return None
    if made is None:
        return None
    files = tuple(one for one in made.contestants if one.endswith(SUFFIXES) and _holds_answers(Path(one)))
    exam = {option: value for option, value in made.exam.items() if option not in LEDGER}
    if not files and not Path(exam.get("--suite", "")).is_file():
        return None
    return replace(made, contestants=files, exam=exam)


def refuse_answers_as_judge(named: str | None, contestants: Sequence[str]) -> None:
    """Raises UsageError where a file of answers stands in the place of the judge, with the command that was meant."""
    if named is None or not named.endswith(SUFFIXES) or not _holds_answers(Path(named)):
        return
    from sciexam.errors import UsageError

    other = () if contestants else (next((name for name in answer_files() if name != named), "OTHER.jsonl"),)
    meant = (("measures", word, *other) if word == named else (word,) for word in sys.argv[1:])
    raise UsageError(
        f"{named} is a file of answers, and the judge comes first: {shlex.join(['sciexam', *chain(*meant)])} "
        "(or openai:MODEL for measures)"
    )


def nearest_file(missing: Path) -> str:
    """The tail of a message about a file that is not here: `; did you mean base.jsonl?`, or nothing."""
    known = {Path(name).stem: name for name in answer_files()}
    near = get_close_matches(missing.stem, known, n=1, cutoff=0.6)
    return f"; did you mean {known[near[0]]}?" if near else ""


def _age(path: Path) -> tuple[int, str]:
    return path.stat().st_mtime_ns, path.name


def _holds_answers(path: Path) -> bool:
    item = _first(path)
    return item is not None and any(keys <= item.keys() for keys in ({"prompt", "text"}, {"instruction", "output"}))


def _first(path: Path) -> dict[str, Any] | None:
    """The first object in a file, which may be a list of them; None where there is none."""
    try:
        with path.open("rb") as file:
            text = file.read(LOOKED_AT).decode("utf-8-sig", errors="ignore").lstrip()
        item, _ = json.JSONDecoder().raw_decode(text.lstrip("[ \t\r\n"))
    except (OSError, ValueError, RecursionError):  # whoever names the file is told what is wrong with it
        return None
    return item if isinstance(item, dict) else None
