"""The files of answers in the folder that a command is typed in."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from typing import Any

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
