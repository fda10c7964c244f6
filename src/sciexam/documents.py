"""Documents that people write: YAML and JSON Lines, read with file:line: key faults."""

from __future__ import annotations

import json
import math
import re
import shlex
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError

from sciexam.errors import DocumentError, UsageError, did_you_mean
from sciexam.lines import BOM, Fault, decoded, distinct_keys, finite, json_lines, kind_of, open_file, refuse_constant

Loc = tuple[str | int, ...]
R = TypeVar("R", bound=BaseModel)

MAX_YAML_BYTES = 4_000_000
MAX_DEPTH = 60
MOST_KEYS = 12  # of a line, that a fault names


# ---------------------------------------------------------------- YAML


@dataclass(frozen=True)
class Document(Generic[R]):
    """A validated YAML file, and the line of every key in it for faults found later."""

    path: Path
    value: R
    lines: Mapping[Loc, int]

    def fault(self, loc: Loc, what: str) -> str:
        """`file:line: key: what` for the longest part of `loc` that is in the file."""
        return _fault(self.path, self.lines, loc, what)


def read_yaml(path: Path, model: type[R]) -> Document[R]:
    """Read `path` as `model`. All faults of the file are raised at once, as one DocumentError.

    YAML here is data: no tags, no aliases, no duplicate keys, one document; `yes`, `010` and `12:30` are strings.
    """
    value, lines = parse_yaml(_read_text(path, MAX_YAML_BYTES), path)
    try:
        return Document(path, model.model_validate(value), lines)
    except ValidationError as error:
        raise DocumentError(_faults(error, path, lines, value, model)) from None


def parse_yaml(text: str, path: Path) -> tuple[Any, dict[Loc, int]]:
    """The plain value of one YAML document and the line of every key and item. Raises DocumentError."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    lines: dict[Loc, int] = {(): 1}
    try:
        return _build(yaml, yaml.parse(text, Loader=loader), lines, path), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}:{mark.line + 1}" if mark else f"{path}"
        raise DocumentError([f"{where}: {error.problem or 'not YAML'}"]) from None
    except yaml.YAMLError as error:  # ReaderError: a character that YAML forbids
        position = getattr(error, "position", 0)
        line = text.count("\n", 0, position) + 1
        raise DocumentError([f"{path}:{line}: not YAML: {getattr(error, 'reason', error)}"]) from None


def _build(yaml: Any, events: Iterator[Any], lines: dict[Loc, int], path: Path) -> Any:
    """Build values from parse events with a stack of our own, so that nesting cannot exhaust Python's."""
    root: list[Any] = []
    # One frame an open collection: [container, loc, pending key]
    stack: list[list[Any]] = [[root, (), None]]
    documents = 0

    def fault(event: Any, what: str) -> DocumentError:
        return DocumentError([f"{path}:{event.start_mark.line + 1}: {what}"])

    def place(event: Any, value: Any) -> Loc:
        """Put a finished scalar or a just opened collection where it belongs; return its location."""
        container, loc, key = stack[-1]
        line = event.start_mark.line + 1
        if isinstance(container, dict):
            if key is None:
                if not isinstance(value, (str, int, float)) or isinstance(value, bool):
                    raise fault(event, "a key must be a word")
                name = event.value
                if name in container:
                    raise fault(event, f"{name}: this key stands here twice")
                container[name] = None
                stack[-1][2] = name
                lines[(*loc, name)] = line
                return (*loc, name)
            container[key] = value
            stack[-1][2] = None
            return (*loc, key)
        container.append(value)
        if container is root:
            return ()
        here = (*loc, len(container) - 1)
        lines[here] = line
        return here

    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise fault(event, "one document a file: a second '---' starts here")
        elif isinstance(event, yaml.AliasEvent):
            raise fault(event, "aliases (*name) are not allowed here; write the value out")
        elif isinstance(event, (yaml.ScalarEvent, yaml.SequenceStartEvent, yaml.MappingStartEvent)):
            if event.tag is not None:
                raise fault(event, f"tags ({event.tag}) are not allowed here")
            if event.anchor is not None:
                raise fault(event, f"anchors (&{event.anchor}) are not allowed here")
            if isinstance(event, yaml.ScalarEvent):
                place(event, _scalar(event.value) if event.implicit[0] else event.value)
                continue
            if len(stack) > MAX_DEPTH:
                raise fault(event, f"nested more than {MAX_DEPTH} deep")
            collection: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
            stack.append([collection, place(event, collection), None])
        elif isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
            stack.pop()
    return root[0] if root else None


_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)([eE][-+]?[0-9]{1,3})?")


def _scalar(word: str) -> Any:
    """A plain scalar by YAML 1.2's core words, in decimal only; everything else is a string."""
    if word in ("", "~", "null", "Null", "NULL"):
        return None
    if word in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return word[0] in "tT"
    if _INT.fullmatch(word):
        return int(word)
    if _FLOAT.fullmatch(word) and not re.fullmatch(r"[-+]?0[0-9]+", word) and math.isfinite(float(word)):
        return float(word)
    return word


# ---------------------------------------------------------------- JSON Lines


_DECODER = json.JSONDecoder(parse_constant=refuse_constant, parse_float=finite, object_pairs_hook=distinct_keys)


def read_jsonl(path: Path, decoder: json.JSONDecoder = _DECODER) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, object) for each line of a JSON Lines file; blank lines and a BOM are passed over.

    Faults raise DocumentError with the line: not UTF-8, not JSON (a truncated line says so), not an object, a key
    twice.
    """
    return json_lines(path, decoder, refuse(path))


def read_answers_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The same of a file that somebody may have written by hand: it is read to its end, so that the one DocumentError
    says how many lines are at fault besides the first.
    """
    faults: list[str] = []

    def told(number: int | None, what: str) -> None:
        faults.append(f"{path}: {what}" if number is None else f"{path}:{number}: {what}")

    yield from json_lines(path, _DECODER, told)
    if faults:
        more = f" ({len(faults):,} lines of the file are malformed in all)" if len(faults) > 1 else ""
        raise DocumentError([faults[0] + more])


def refuse(path: Path) -> Fault:
    """What raises DocumentError for the first fault of a file."""

    def fault(number: int | None, what: str) -> None:
        raise DocumentError([f"{path}: {what}" if number is None else f"{path}:{number}: {what}"])

    return fault


def parse_line(model: type[R], value: Mapping[str, Any], path: Path, number: int) -> R:
    """Validate one JSON object as `model`; DocumentError names file, line and key."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise DocumentError(_faults(error, path, {(): number}, value, model)) from None


def parse_lines(
    model: type[R], lines: Iterable[tuple[int, Mapping[str, Any]]], path: Path, faults: list[str]
) -> Iterator[tuple[int, R]]:
    """Yield (line number, record) for each valid line; what is wrong with the others is put into `faults`.

    A fault that every line has is told once, with the keys that were found.
    """
    before, valid = len(faults), 0
    faulty: dict[int, tuple[list[str], Mapping[str, Any]]] = {}  # by line: what is wrong, and the line
    for number, value in lines:
        try:
            record = parse_line(model, value, path, number)
        except DocumentError as error:
            faults += error.faults
            faulty[number] = [fault.removeprefix(f"{path}:{number}: ") for fault in error.faults], value
            continue
        valid += 1
        yield number, record
    kinds = {tuple(what) for what, _ in faulty.values()}
    if len(faulty) > 1 and not valid and len(kinds) == 1:
        number, (what, value) = next(iter(faulty.items()))
        keys = ", ".join(key[:40] for key in list(value)[:MOST_KEYS])
        where = f"in each of the {len(faulty):,} lines; the first one has the keys {keys}"
        faults[before:] = [f"{path}:{number}: {one}, {where}" for one in what]


# ---------------------------------------------------------------- where shipped data lies


def locate(kind: str, name: str, suffix: str = ".yaml") -> Path:
    """The file of the rubric or suite called `name` (`kind` is "rubrics" or "suites").

    A path to a file is taken as it is; else `<kind>/<name>.yaml` in the working directory, or the shipped one.
    """
    if name.endswith((".yaml", ".yml")) or "/" in name:
        path = Path(name)
        if path.is_file():
            return path
        _refuse_folder(kind, name)
        raise UsageError(f"{name}: no such file")
    for folder in (Path(kind), shipped() / kind):
        path = folder / f"{name}{suffix}"
        if len(name) < 200 and path.is_file():  # the system refuses to look for a longer one
            return path
    _refuse_folder(kind, name)
    _refuse_elsewhere(kind, name, suffix)
    known = {p.stem for folder in (Path(kind), shipped() / kind) for p in folder.glob(f"*{suffix}")}
    raise UsageError(f"{kind[:-1]} {name!r}: no such {kind[:-1]}{did_you_mean(name, known)}")


def _refuse_folder(kind: str, name: str) -> None:
    """Raises UsageError where `name` is a folder with the file in it, as an import leaves it."""
    inside = Path(name) / f"{kind[:-1]}.yaml"
    if len(name) < 200 and inside.is_file():
        raise UsageError(f"{name} is a folder; name the file in it: {inside}")


def folders_with(kind: str, suffix: str = ".yaml") -> dict[str, str]:
    """The names of `kind` in folders below this one, as `sciexam init` makes them, each with its folder."""
    found = sorted(Path().glob(f"*/{kind}/*{suffix}"))
    return {path.stem: path.parts[0] for path in found}


def _refuse_elsewhere(kind: str, name: str, suffix: str) -> None:
    """Raises UsageError where a folder below this one holds what is sought."""
    if (folder := folders_with(kind, suffix).get(name)) is not None:
        raise UsageError(
            f"{kind[:-1]} {name!r}: no such {kind[:-1]} here; there is one in {folder}/: cd {shlex.quote(folder)}"
        )


def shipped() -> Path:
    """The folder that holds the shipped `rubrics/` and `suites/`: in the wheel, or the top of a checkout."""
    package = Path(__file__).parent
    return package / "data" if (package / "data").is_dir() else package.parent.parent


# ---------------------------------------------------------------- faults


def _read_text(path: Path, limit: int) -> str:
    with open_file(path) as file:
        raw = file.read(limit + 1)
    if len(raw) > limit:
        raise DocumentError([f"{path}: larger than {limit:,} bytes"])
    text = decoded(raw.removeprefix(BOM), 1, refuse(path))
    assert text is not None, "`refuse` raises"
    return text


def _faults(error: ValidationError, path: Path, lines: Mapping[Loc, int], value: Any, model: Any) -> list[str]:
    """One `file:line: key: what` for each pydantic error, with the nearest known key for an unknown one."""
    found = []
    items = error.errors(include_url=False)
    for item in items:
        if item["type"] == "too_short" and any(len(other["loc"]) > len(item["loc"]) for other in items):
            continue  # only the echo of a faulty item
        if item["type"] in ("tuple_type", "model_type") and _other_member(item["loc"], items, value):
            continue  # only that a value is not of the other kind that may stand there
        loc, what = _known_loc(item["loc"], value), item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden" and item["loc"][-1] == "api_key":
            what = "keys are never written in files; name the environment variable that holds it: api_key_env: NAME"
        elif item["type"] == "extra_forbidden":
            what = f"unknown key{did_you_mean(str(item['loc'][-1]), _keys_at(model, item['loc'][:-1]))}"
        elif item["type"] in ("unknown_model", "unknown_judge") and isinstance(item["input"], Mapping):
            key = "stage" if item["input"].get("stage") is not None else "backend"
            word, known = item["input"].get(key), re.findall(r"(?<= )[a-z_]+(?=,|$)", what.partition(":")[2])
            if word is not None:
                loc, what = (*loc, key), f"{word!r} is not known{did_you_mean(str(word), known)}"
        elif item["type"] == "missing":
            loc, what = (*loc, item["loc"][-1]), "this key is missing"
        elif item["type"] in ("model_type", "dict_type"):
            what = f"must have keys of its own (key: value), this is {kind_of(item['input'])}"
        else:
            what = what[:1].lower() + what[1:]
            if isinstance(item["input"], (str, int, float, bool)) and item["type"] != "value_error":
                what += f", not {item['input']!r}"
        found.append(_fault(path, lines, loc, what))
    return found


def _other_member(loc: Loc, items: Sequence[Any], value: Any) -> bool:
    """Whether `loc` ends with a member of a union of which another member has a fault further in."""
    is_member = _known_loc(loc, value) == _known_loc(loc[:-1], value)
    return is_member and any(
        other["loc"][: len(loc) - 1] == loc[:-1] and len(other["loc"]) > len(loc) for other in items
    )


def _fault(path: Path, lines: Mapping[Loc, int], loc: Loc, what: str) -> str:
    known = loc
    while known not in lines:
        known = known[:-1]
    key = ".".join(str(part) for part in loc)
    return f"{path}:{lines[known]}: {key}: {what}" if key else f"{path}:{lines[known]}: {what}"


def _known_loc(loc: Sequence[Any], value: Any) -> Loc:
    """`loc` without the names that pydantic adds for the members of a union."""
    kept: list[str | int] = []
    for part in loc:
        if (isinstance(value, Mapping) and part in value) or (
            isinstance(value, list) and isinstance(part, int) and part < len(value)
        ):
            value = value[part]
        else:
            continue
        kept.append(part)
    return tuple(kept)


def _keys_at(annotation: Any, loc: Sequence[Any]) -> set[str]:
    """The keys that a mapping at `loc` under `annotation` may have."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _keys_at(get_args(annotation)[0], loc)
    if origin in (typing.Union, types.UnionType):
        members = get_args(annotation)
        tagged = [m for m in members if loc and loc[0] in [t.tag for t in get_args(m)[1:] if isinstance(t, Tag)]]
        rest = loc[1:] if tagged else loc
        return set().union(*(_keys_at(m, rest) for m in tagged or members))
    if origin is not None and origin in (dict, Mapping):
        return _keys_at(get_args(annotation)[1], loc[1:]) if loc else set()
    if origin in (tuple, list):
        return _keys_at(get_args(annotation)[0], loc[1:]) if loc else set()
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        by_name = {f.alias or name: f.annotation for name, f in annotation.model_fields.items()}
        return set(by_name) if not loc else _keys_at(by_name.get(str(loc[0])), loc[1:])
    return set()
