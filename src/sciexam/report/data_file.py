"""Lines of data as a file, for programs: CSV, JSON Lines and Parquet hold the same values, and no text is altered.

What a spreadsheet would run is marked in CSV (`tables.to_cell`), and `tables.from_cell` takes the mark away. An empty
cell is no value, as a missing key is in JSON Lines; the text "" has a mark of its own. A list or a mapping has its JSON
in a cell of CSV.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args

from sciexam.errors import UsageError
from sciexam.files import write_atomically
from sciexam.report.tables import to_cell

Format = Literal["jsonl", "csv", "parquet"]
# What a column holds. `json` is a list or a mapping, `chat` a list of messages with a role and a content.
Kind = Literal["text", "integer", "number", "truth", "json", "chat"]
Columns = Mapping[str, Kind]
Line = Mapping[str, Any]  # what is None, or not there, is no value

GROUP = 2000  # lines of a Parquet file that are held at a time
_HALF = re.compile("[\ud800-\udfff]")
_QUOTED = re.compile('[",\r\n]|^ | $')


@dataclass(frozen=True, slots=True)
class Written:
    """What went into a file. `mended`: lines in which half a character, which no file can hold, became U+FFFD."""

    lines: int
    mended: int


def format_of(path: Path, wanted: str | None = None) -> Format:
    """The format that is `wanted`, or that the file's name ends with. Raises UsageError where there is none."""
    name = wanted or path.suffix.removeprefix(".")
    for known in get_args(Format):
        if name == known:
            found: Format = known
            return found
    raise UsageError(f"--out {path}: end its name with .jsonl, .csv or .parquet, or name one of these with --format")


def write_lines(path: Path, columns: Columns, lines: Iterable[Line], format: Format) -> Written:
    """Write `lines` to `path`, all or none of them, whenever it ends. Lines are taken one by one.

    Raises UsageError for Parquet without pyarrow, and for a path that cannot be written.
    """
    if format == "parquet":
        check_parquet()
    counts = {"lines": 0, "mended": 0}

    def whole() -> Iterator[Line]:
        for line in lines:
            sound = {key: _sound(value) for key, value in line.items()}
            counts["lines"] += 1
            counts["mended"] += sound != line
            yield sound

    try:
        write_atomically(path, _parquet(columns, whole()) if format == "parquet" else texts(columns, whole(), format))
    except OSError as error:
        raise UsageError(f"--out {path}: {(error.strerror or str(error)).lower()}") from None
    return Written(**counts)


def texts(columns: Iterable[str], lines: Iterable[Line], format: str) -> Iterator[str]:
    """The pieces of a text file with these lines: JSON Lines ("jsonl"), or else CSV."""
    if format == "jsonl":
        for line in lines:
            there = {key: line[key] for key in columns if line.get(key) is not None}
            yield json.dumps(there, ensure_ascii=False, allow_nan=False) + "\n"
        return
    head = list(columns)
    yield _row([to_cell(name) for name in head])
    for line in lines:
        yield _row([_cell(line.get(key)) for key in head])


def check_parquet() -> None:
    """Raises UsageError where Parquet cannot be written."""
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise UsageError("Parquet needs pyarrow: pip install 'sciexam[parquet]', or write .csv or .jsonl") from None


def _row(cells: list[str]) -> str:
    # The csv module of Python 3.11 leaves a carriage return bare, and a reader would take it for the end of the row.
    quoted = ['"' + cell.replace('"', '""') + '"' if _QUOTED.search(cell) else cell for cell in cells]
    return (",".join(quoted) or '""') + "\n"


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case str():
            return to_cell(value)
        case list() | dict():
            return json.dumps(value, ensure_ascii=False, allow_nan=False)
    return repr(value)


def _sound(value: Any) -> Any:
    """The value with U+FFFD for each half of a character (a lone surrogate)."""
    match value:
        case str():
            return _HALF.sub("\ufffd", value)
        case list() | tuple():
            return [_sound(one) for one in value]
        case Mapping():
            return {_sound(key): _sound(one) for key, one in value.items()}
    return value


# ---------------------------------------------------------------- Parquet


class _Sink(io.RawIOBase):
    """Where pyarrow writes: what was written since the last look is taken away piece by piece."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._length = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._length += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._length

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def _parquet(columns: Columns, lines: Iterable[Line]) -> Iterator[bytes]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    chat = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    types: dict[Kind, Any] = {"text": pa.string(), "integer": pa.int64(), "number": pa.float64(), "truth": pa.bool_()}
    types |= {"json": pa.string(), "chat": chat}
    schema = pa.schema([(name, types[kind]) for name, kind in columns.items()])
    packed: dict[str, Callable[[Any], Any]] = {name: _packed for name, kind in columns.items() if kind == "json"}
    sink = _Sink()
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        following = iter(lines)
        while group := list(islice(following, GROUP)):
            rows = {name: [packed.get(name, _same)(line.get(name)) for line in group] for name in columns}
            writer.write_table(pa.table(rows, schema=schema))
            yield sink.taken()
    yield sink.taken()


def _packed(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, allow_nan=False)


def _same(value: Any) -> Any:
    return value
