"""A prompt as a file: found by its name, compiled in the sandbox, and looked through for its variables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from traceback import walk_tb
from typing import Any

from sciexam.errors import UsageError, did_you_mean
from sciexam.sandbox import sandbox

FOLDER = Path(__file__).parent / "templates"


def read_template(name: str, shipped: Iterable[str], key: str, folder: Path = FOLDER) -> str:
    """The source of the template `name`: one of the `shipped`, which lie in `folder`, or a file.

    `key` is where an error says that it stands.
    """
    path = folder / f"{name}.j2" if name in shipped else Path(name)
    if name not in shipped and "." not in name:
        raise UsageError(f"{key}{name!r}: no such template{did_you_mean(name, shipped)} (a file needs its ending)")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{key}{name}: {error}") from None


def compile_template(name: str, source: str, variables: Sequence[str], kind: str) -> tuple[Any, set[str]]:
    """The template, and which `variables` it shows. Raises UsageError for one that does not compile or has others."""
    from jinja2 import TemplateSyntaxError, meta

    environment = sandbox()
    try:
        used = meta.find_undeclared_variables(environment.parse(source))
        template = environment.from_string(source)
    except TemplateSyntaxError as error:
        raise UsageError(f"{name}:{error.lineno}: {error.message}") from None
    except (RecursionError, SyntaxError, MemoryError):  # of Python's own compiler, too
        raise UsageError(f"{name}: an expression is nested too deep") from None
    if unknown := used - set(variables):
        word = min(unknown)
        raise UsageError(f"{name}: {{{{ {word} }}}} is not a variable of a {kind}{did_you_mean(word, variables)}")
    return template, used


def raised_by(name: str, error: Exception) -> UsageError:
    """What the template `name` raised while it was rendered, with its line where Jinja2 knows it."""
    lines = [line for frame, line in walk_tb(error.__traceback__) if frame.f_code.co_filename == "<template>"]
    place = f"{name}:{lines[-1]}" if lines else name
    return UsageError(f"{place}: {type(error).__name__}: {error}")
