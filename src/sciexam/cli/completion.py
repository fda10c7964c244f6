"""What the shell offers when Tab is pressed: suites and rubrics, and the names in the suite that is meant."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from sciexam.cli.answers_here import answer_files


def suites(incomplete: str) -> list[str]:
    return _files_of("suites", incomplete)


def rubrics(incomplete: str) -> list[str]:
    return _files_of("rubrics", incomplete)


def contestants(context: typer.Context, incomplete: str) -> list[str]:
    """Names of the suite and files of answers of this folder; these first where the suite is the shipped one."""
    from sciexam.suite_file import is_shipped_by_default

    names = _beginning(_suite(context).get("contestants", ()), incomplete)
    files = _beginning(answer_files(), incomplete)
    shipped = not context.params.get("suite") and is_shipped_by_default()
    return [*files, *names] if shipped else [*names, *files]


def models(context: typer.Context, incomplete: str) -> list[str]:
    return _beginning(_suite(context).get("models", ()), incomplete)


def judges(context: typer.Context, incomplete: str) -> list[str]:
    return _beginning((*_suite(context).get("judges", ()), "measures", "humans"), incomplete)


def _files_of(kind: str, incomplete: str) -> list[str]:
    from sciexam.documents import shipped

    folders = (Path(kind), shipped() / kind)
    return _beginning(sorted({path.stem for folder in folders for path in folder.glob("*.yaml")}), incomplete)


def _suite(context: typer.Context) -> Mapping[str, Any]:
    """The YAML of the suite that the line on the terminal means, as it is written; nothing where it cannot be read."""
    from sciexam.documents import locate, parse_yaml
    from sciexam.errors import SciexamError
    from sciexam.suite_file import usual_suite

    try:
        path = locate("suites", context.params.get("suite") or usual_suite())
        written, _ = parse_yaml(path.read_text(encoding="utf-8"), path)
    except (SciexamError, OSError, ValueError):  # the command itself will say what is wrong
        return {}
    return written if isinstance(written, dict) else {}


def _beginning(names: object, incomplete: str) -> list[str]:
    """Each name that begins so, once. What a suite says is not checked here: it may be no names at all."""
    words = (name for name in names if isinstance(name, str)) if isinstance(names, (list, tuple, dict)) else ()
    return list(dict.fromkeys(word for word in words if word.startswith(incomplete)))
