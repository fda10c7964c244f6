"""Writes docs/yaml.md: every key of suites, rubrics and stages, from the records that read them.

make reference
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from plain import cell, code, escaped

from sciexam.judges.settings import JudgeSpec
from sciexam.lineage.specs import ModelSpec
from sciexam.lineage.stages import Stage
from sciexam.rubric import Rubric
from sciexam.suite_file import SuiteFile
from sciexam.types import Record

PAGE = Path(__file__).parents[1] / "yaml.md"
HEAD = """\
<!-- Written by docs/reference/write_yaml.py: `make reference` writes it anew. -->

# Every key of the YAML files

`sciexam schema suite` and `sciexam schema rubric` print the same as JSON Schemas. With one of them an editor
completes keys and underlines faults: `sciexam init` writes both into `schemas/`, and the first line of its files
names them. An unknown key is an error. Paths are relative to the file. [suites.md](suites.md),
[judges.md](judges.md), [stages.md](stages.md) and [rubrics.md](rubrics.md) say what each is for.
"""

Kind = type[Record]


def page() -> str:
    stages = [kind for kind in _members(ModelSpec) if issubclass(kind, Stage)]
    others = [kind for kind in _members(ModelSpec) if kind not in stages]
    parts = {
        "A suite": [SuiteFile],
        "Models that can be asked": others,
        "Stages of training": stages,
        "Judges": _members(JudgeSpec),
        "A rubric": [Rubric],
    }
    told: list[Kind] = []
    lines = [HEAD]
    for heading, kinds in parts.items():
        lines.append(f"## {heading}\n")
        for kind in kinds:
            for one in _with_what_it_needs(kind, [*kinds, *told]):
                if one not in told:
                    told.append(one)
                    lines += _section(one)
    return "\n".join(lines)


def _members(union: Any) -> list[Kind]:
    """The records that a model or a judge can be."""
    return [get_args(member)[0] for member in get_args(get_args(union)[0])]


def _with_what_it_needs(kind: Kind, elsewhere: list[Kind]) -> Iterator[Kind]:
    """A record, after those that it extends, and before those that stand in its keys."""
    for base in _bases(kind):
        yield from _with_what_it_needs(base, elsewhere)
    yield kind
    for field in kind.model_fields.values():
        for inner in _records_in(field.annotation):
            if inner not in elsewhere and inner not in (*_members(ModelSpec), *_members(JudgeSpec)):
                yield from _with_what_it_needs(inner, [*elsewhere, kind])


def _bases(kind: Kind) -> list[Kind]:
    return [base for base in kind.__bases__ if issubclass(base, Record) and base.model_fields]


def _records_in(annotation: Any) -> Iterator[Kind]:
    if inspect.isclass(annotation) and issubclass(annotation, Record):
        yield annotation
    for part in get_args(annotation):
        yield from _records_in(part)


def _section(kind: Kind) -> Iterator[str]:
    yield f"### {_title(kind)}\n"
    yield f"{escaped(inspect.cleandoc(kind.__doc__ or ''))}\n"
    schema = kind.model_json_schema(by_alias=True)
    own = {
        field.alias or name: field for name, field in kind.model_fields.items() if name in inspect.get_annotations(kind)
    }
    if own:
        yield "| key | type | default | is |\n|---|---|---|---|"
    for key, field in own.items():
        what = schema["properties"][key]
        default = "required" if field.is_required() else code(_default(field.get_default(call_default_factory=True)))
        yield f"| `{key}` | {_type(what)} | {default} | {cell(field.description or '')} |"
    if bases := _bases(kind):
        also = " and ".join(f"[{_title(base)}](#{_anchor(base)})" for base in bases)
        yield f"\nAlso the keys of {also}." if own else f"The keys of {also}."
    yield ""


def _title(kind: Kind) -> str:
    """The record's name, and the key by which it is chosen."""
    for key in ("stage", "backend"):
        if (field := kind.model_fields.get(key)) and (words := get_args(field.annotation)):
            return f"{kind.__name__}, {key}: {words[0]}"
    return kind.__name__


def _anchor(kind: Kind) -> str:
    return re.sub(r"[^\w -]", "", _title(kind).lower()).replace(" ", "-")


def _type(what: Mapping[str, Any]) -> str:
    """A JSON Schema's type in words: `a | b`, number (≥ 0), list of text."""
    if "enum" in what:
        return " \\| ".join(f"`{word}`" for word in what["enum"])
    if "const" in what:
        return f"`{what['const']}`"
    if name := str(what.get("$ref", "")).rpartition("/")[2]:
        return name
    if members := what.get("anyOf") or what.get("oneOf"):
        if len(members) > 5:
            return "a record below"
        return " or ".join(dict.fromkeys(_type(one) for one in members if one != {"type": "null"}))
    if "allOf" in what:
        return _type(what["allOf"][0])
    return _plain_type(what)


def _plain_type(what: Mapping[str, Any]) -> str:
    kind = what.get("type")
    if kind == "array":
        inner = what.get("items") or (what.get("prefixItems") or [{}])[0]
        many = f" of {what['minItems']}" if what.get("minItems") == what.get("maxItems") and "minItems" in what else ""
        return f"list{many} ({_type(inner)})"
    if kind == "object":
        inner = what.get("additionalProperties")
        return f"name: {_type(inner)}" if isinstance(inner, dict) else "keys of its own"
    limits = (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "&lt;"))
    bounds = ", ".join(f"{mark} {what[key]:g}" for key, mark in limits if key in what)
    words = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    return words.get(str(kind), "anything") + (f" ({bounds})" if bounds else "")


def _default(value: Any) -> str:
    """As YAML writes it; a whole record is empty, for its keys have their own defaults."""
    if isinstance(value, Record):
        return "{}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {{backend: {one.backend}}}" for name, one in value.items()) + "}"
    return value if isinstance(value, str) and value else json.dumps(value)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
