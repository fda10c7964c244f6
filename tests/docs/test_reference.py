"""The pages that are written by a script say what the code says now."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pages import ROOT

import sciexam
import sciexam.stats
from sciexam.cli.author import Kind, _schema


@pytest.mark.parametrize("name", ["commands", "yaml", "api"])
def test_a_reference_page_is_what_is_written_now(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "reference"))
    written: str = importlib.import_module(f"write_{name}").page()
    there = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    assert there == written, f"docs/{name}.md is not what the code says; write it anew with: make reference"


def keys(kind: Kind) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each record of a schema, its keys, and what the schema says of them."""
    schema = json.loads(_schema(kind))
    for record, what in {kind.value: schema, **schema["$defs"]}.items():
        yield from ((record, key, told) for key, told in what.get("properties", {}).items())


@pytest.mark.parametrize("kind", Kind)
def test_every_key_of_a_yaml_file_is_described(kind: Kind) -> None:
    page = (ROOT / "docs" / "yaml.md").read_text(encoding="utf-8")
    for record, key, told in keys(kind):
        assert told.get("description", "").endswith((".", "]")), f"{record}.{key} has no description"
        assert f"\n| `{key}` | " in page, f"{record}.{key} does not stand in docs/yaml.md"
    assert len([*keys(kind)]) > 15


def public() -> Iterator[tuple[str, Any]]:
    """Each public name of `sciexam` and `sciexam.stats`, and what its classes offer."""
    for module in (sciexam, sciexam.stats):
        for name in module.__all__:
            thing = getattr(module, name)
            if getattr(thing, "__module__", "") != "typing":
                yield name, thing
            for member, what in vars(thing).items() if inspect.isclass(thing) else ():
                if not member.startswith("_") and (isinstance(what, property) or inspect.isfunction(what)):
                    yield f"{name}.{member}", what


@pytest.mark.parametrize(("name", "thing"), [*public()], ids=lambda one: one if isinstance(one, str) else "")
def test_every_public_name_has_a_docstring(name: str, thing: Any) -> None:
    said = inspect.cleandoc(thing.__doc__ or "")
    assert re.match(r"[A-Z`\"(].*[.:]", said, re.DOTALL), f"{name} has no docstring"
    assert not said.startswith(f"{name}("), f"{name} has no docstring but that of dataclasses"
