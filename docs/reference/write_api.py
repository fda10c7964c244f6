"""Writes docs/api.md: what `sciexam` and `sciexam.stats` offer to Python, with signatures and docstrings.

make reference
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_origin

from plain import escaped
from pydantic import BaseModel

import sciexam
import sciexam.stats

PAGE = Path(__file__).parents[1] / "api.md"
WIDTH = 100
HEAD = """\
<!-- Written by docs/reference/write_api.py: `make reference` writes it anew. -->

# The Python face

`import sciexam as sx` gives the names of the first part; a module is imported when one of its names is first used.
`from sciexam.stats import win_rate` gives those of the second: arrays in, frozen results out, and no noun of sciexam's.
Whatever raises on purpose raises a `SciexamError`. The package is typed (`py.typed`).
[A notebook](notebook/python.ipynb) shows it at work.
"""


def page() -> str:
    lines = [HEAD]
    for module in (sciexam, sciexam.stats):
        lines.append(f"## {module.__name__}\n")
        for name in sorted(module.__all__, key=str.lower):
            lines += _entry(name, getattr(module, name))
    return "\n".join(lines)


def _entry(name: str, thing: Any) -> Iterator[str]:
    yield f"### {name}\n"
    yield f"```python\n{_signature(name, thing)}\n```\n"
    if get_origin(thing):  # a type under another name
        return
    yield from _told(thing)
    for member, what in vars(thing).items() if inspect.isclass(thing) else ():
        if isinstance(what, property) and not member.startswith("_"):
            yield from (f"**`.{member}`**: {line}" for line in _told(what))
        elif inspect.isfunction(what) and not member.startswith("_"):
            yield from (f"**`.{_signature(member, what, flat=True)}`**: {line}" for line in _told(what))


def _told(thing: Any) -> Iterator[str]:
    said = inspect.cleandoc(thing.__doc__ or "")
    if said and not said.startswith(f"{getattr(thing, '__name__', '')}("):  # what a dataclass says of itself
        yield f"{escaped(said)}\n"


def _signature(name: str, thing: Any, flat: bool = False) -> str:
    """The name and what it takes: on one line if there is room, or else one parameter a line."""
    if inspect.isclass(thing) and issubclass(thing, BaseModel):
        parts = [
            _parameter(field.alias or one, thing.__annotations__[one]) for one, field in thing.model_fields.items()
        ]
        returns = ""
    elif get_origin(thing):
        return f"{name} = {str(thing).removeprefix('typing.')}"
    elif inspect.isclass(thing) and not dataclasses.is_dataclass(thing):
        return f"class {name}"
    else:
        given = inspect.signature(thing)
        parts = list(_parameters([p for p in given.parameters.values() if p.name != "self"]))
        returns = "" if inspect.isclass(thing) else f" -> {given.return_annotation}"
    line = f"{name}({', '.join(parts)}){returns}"
    if flat or len(line) <= WIDTH:
        return line
    return "\n".join([f"{name}(", *(f"    {part}," for part in parts), f"){returns}"])


def _parameters(parameters: list[inspect.Parameter]) -> Iterator[str]:
    starred = False
    for one in parameters:
        if one.kind is one.KEYWORD_ONLY and not starred:
            yield "*"
        starred = starred or one.kind in (one.KEYWORD_ONLY, one.VAR_POSITIONAL)
        mark = {one.VAR_POSITIONAL: "*", one.VAR_KEYWORD: "**"}.get(one.kind, "")
        yield f"{mark}{_parameter(one.name, one.annotation, one.default)}"


def _parameter(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> str:
    if default is inspect.Parameter.empty:
        return f"{name}: {annotation}"
    return f"{name}: {annotation} = {'...' if ' at 0x' in repr(default) or '<' in repr(default) else repr(default)}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
