"""Any table (CSV, TSV, JSON Lines, Parquet), with a YAML file that says what its columns are.

    prompts:   {id: question, text: asked}
    responses: [{model: left, text: left_answer}, {model: right, text: right_answer}]
    verdicts:  {first: left, second: right, preferred: winner, labels: {left: first, right: second, draw: tie}}

A word is the name of a column; `{value: gpt-4}` is the same in every row, and `{row: true}` the number of the row. Of
a section that is of several files a row is called by its file as well, so that no two rows are one item.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import Field

from sciexam.documents import read_yaml
from sciexam.errors import DocumentError, did_you_mean
from sciexam.exchange.landing import Landing, Place, shown
from sciexam.exchange.rows import found, rows
from sciexam.report.tables import from_cell
from sciexam.types import Kind, Record

Row = Mapping[str, Any]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Value(Record):
    """One value for every row."""

    value: str


class Number(Record):
    """The number of the row, so that each row is an item of its own."""

    row: Literal[True]


Column = str | Value | Number


class Section(Record):
    """What a row says. `file`: the name of the only file that it is in."""

    file: str | None = None


class Prompts(Section):
    id: Column = Number(row=True)
    text: Column | None = None
    category: Column | None = None
    group: Column | None = None
    reference: Column | None = None


class Responses(Section):
    prompt: Column | None = None  # None: as `prompts: id`
    model: Column
    text: Column
    sample: Column | None = None


class Verdicts(Section):
    """`labels` says what the words of `preferred` mean; without it they are first, second, tie, or a model's name."""

    prompt: Column | None = None
    first: Column
    second: Column
    preferred: Column | None = None
    labels: dict[str, Literal["first", "second", "tie", "failed"]] = Field(default_factory=dict)
    probability_second: Column | None = None
    strength: Column | None = None
    failure: Column | None = None
    rater: Column = Value(value="recorded")
    kind: Column = "judge"  # `judge` and `human` are what every row says, any other word is a column
    reason: Column | None = None
    sample: Column | None = None


class Rewards(Section):
    prompt: Column | None = None
    model: Column
    reward: Column
    rater: Column = Value(value="recorded")
    sample: Column | None = None


class Mapped(Record):
    """The YAML file. `spreadsheet_safe`: cells that a spreadsheet would run have an apostrophe before them."""

    delimiter: str | None = Field(None, min_length=1, max_length=1)
    spreadsheet_safe: bool = False
    baseline: str | None = None
    licence: str | None = None
    prompts: Prompts | tuple[Prompts, ...] = ()
    responses: Responses | tuple[Responses, ...] = ()
    verdicts: Verdicts | tuple[Verdicts, ...] = ()
    rewards: Rewards | tuple[Rewards, ...] = ()

    def sections(self) -> Iterator[tuple[str, int, Section]]:
        for key in ("prompts", "responses", "verdicts", "rewards"):
            given = getattr(self, key)
            for number, section in enumerate((given,) if isinstance(given, Section) else given):
                yield key, number, section


def read(paths: Sequence[Path], mapping: Path) -> Landing:
    document = read_yaml(mapping, Mapped)
    mapped = document.value
    sections = [section for _, _, section in mapped.sections()]
    if not any(isinstance(section, (Responses, Verdicts, Rewards)) for section in sections):
        raise DocumentError([document.fault((), "says nothing of responses, verdicts or rewards")])
    landing = Landing("table")
    landing.baseline, landing.licence = mapped.baseline, mapped.licence
    files = found(paths, "*.csv", "*.tsv", "*.jsonl", "*.json", "*.parquet", "*.csv.gz", "*.jsonl.gz")
    for file in files:
        _read_file(file, mapped, landing)
    if mapped.baseline is not None and mapped.baseline not in landing.models:
        what = f"no model is called {mapped.baseline!r}{did_you_mean(mapped.baseline, landing.models)}"
        landing.faults.append(document.fault(("baseline",), what))
    names = {file.name for file in files}
    for key, number, section in mapped.sections():
        if section.file is not None and section.file not in names:
            what = f"{section.file!r} is not among the files{did_you_mean(section.file, names)}"
            loc = (key, number, "file") if isinstance(getattr(mapped, key), tuple) else (key, "file")
            raise DocumentError([document.fault(loc, what)])
    return landing


def _read_file(file: Path, mapped: Mapped, landing: Landing) -> None:
    sections = [section for _, _, section in mapped.sections() if section.file in (None, file.name)]
    used = {column for section in sections for column in _columns(section)}
    keyed = next((section.id for section in sections if isinstance(section, Prompts)), None)
    bare = not mapped.prompts
    for at, row in rows(file, landing, delimiter=mapped.delimiter):
        if lacking := sorted(used - row.keys()):
            for column in lacking:
                landing.fault(at, f"{column}: no such column{did_you_mean(column, row)}")
            if file.suffix != ".jsonl":
                return  # so it is in every row
            continue
        if mapped.spreadsheet_safe:
            row = {key: from_cell(value) if isinstance(value, str) else value for key, value in row.items()}
        kept = {key: value for key, value in row.items() if key not in used and value not in (None, "")}
        if kept:
            landing.note(f"{file.name}: kept as metadata: {', '.join(key for key in row if key not in used)}")
        for section in sections:
            _land(at, row, section, keyed, bare, kept if section is sections[-1] else {}, landing)


def _columns(section: Section) -> Iterator[str]:
    for key in type(section).model_fields:
        column = getattr(section, key)
        if key != "file" and isinstance(column, str) and not (key == "kind" and column in KINDS):
            yield column


def _land(at: Place, row: Row, section: Section, keyed: Column | None, bare: bool, kept: Row, landing: Landing) -> None:
    named = f"row-{at.line}" if section.file is not None else landing.row_id(at)

    def cell(column: Column | None) -> Any:
        return _cell(column, row, named)

    if isinstance(section, Prompts):
        more = {key: cell(getattr(section, key)) for key in ("category", "group", "reference")}
        landing.prompt(at, cell(section.id), cell(section.text), kept=kept, **more)
        return
    assert isinstance(section, (Responses, Verdicts, Rewards))
    prompt = cell(section.prompt if section.prompt is not None else keyed or Number(row=True))
    sample = _whole(at, "sample", cell(section.sample), landing)
    if bare and isinstance(prompt, str | int) and not landing.told.has(prompt):
        landing.prompt(at, prompt, None)
    if isinstance(section, Responses):
        landing.response(at, cell(section.model), prompt, cell(section.text), sample=sample, kept=kept)
    elif isinstance(section, Rewards):
        reward = _number(at, "reward", cell(section.reward), landing)
        model = cell(section.model)
        if (rater := _rater(at, section, cell, landing)) is None:
            return
        landing.reward(at, prompt, model, reward, rater=rater, sample=sample, kept=kept)
    else:
        _verdict(at, section, prompt, sample, cell, kept, landing)


def _verdict(at: Place, section: Verdicts, prompt: Any, sample: int, cell: Any, kept: Row, landing: Landing) -> None:
    first, second, word = cell(section.first), cell(section.second), cell(section.preferred)
    said: dict[str, Any] = {"failure": cell(section.failure) or ""}
    if section.probability_second is not None and not said["failure"]:
        said["probability_second"] = _number(at, "probability_second", cell(section.probability_second), landing)
    if section.preferred is not None and not said["failure"]:
        side = section.labels.get("" if word is None else str(word)) if section.labels else _side(word, first, second)
        if side is None:
            known = section.labels or ("first", "second", "tie", first, second)
            landing.fault(at, f"{section.preferred}: {shown(word)} is none of {', '.join(map(str, known))}")
            return
        said |= {"failure": str(word) or "failed"} if side == "failed" else {"preferred": side}
    if not said["failure"]:
        said["strength"] = cell(section.strength)
    kind = section.kind if section.kind in KINDS else cell(section.kind)
    if kind not in KINDS:
        landing.fault(at, f"kind: judge or human, this is {shown(kind)}")
        return
    if (rater := _rater(at, section, cell, landing)) is None:
        return
    said |= {"rater": rater, "kind": kind, "reason": cell(section.reason) or ""}
    landing.verdict(at, prompt, first, second, sample=sample, repeat=None, kept=kept, **said)


def _rater(at: Place, section: Verdicts | Rewards, cell: Any, landing: Landing) -> Any:
    """Who said it; None, and a fault, where the column that names the raters is empty: nobody is made up."""
    if (rater := cell(section.rater)) is None:
        landing.fault(at, f"{section.rater}: empty; write who said this, or remove the row")
    return rater


def _side(word: Any, first: Any, second: Any) -> str | None:
    return str(word) if word in ("first", "second", "tie") else {first: "first", second: "second"}.get(word)


def _cell(column: Column | None, row: Row, named: str) -> Any:
    """What a row says; an empty cell is nothing. `named`: what the row is called by its number."""
    if isinstance(column, Number):
        return named
    found = column.value if isinstance(column, Value) else None if column is None else row[column]
    return None if found == "" else found


def _number(at: Place, what: str, value: Any, landing: Landing) -> float | None:
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        landing.fault(at, f"{what}: a number, this is {shown(value)}")
        return None


def _whole(at: Place, what: str, value: Any, landing: Landing) -> int:
    if value is None or str(value).isdecimal():
        return int(value or 0)
    landing.fault(at, f"{what}: a whole number from 0, this is {shown(value)}")
    return 0
