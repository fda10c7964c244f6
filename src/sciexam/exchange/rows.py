"""The rows of other tools' files, one at a time, each with its place: JSON Lines, a JSON list, CSV, TSV, Parquet.

Text files may be gzipped (`.gz`). What cannot be read becomes a fault of the landing, and reading goes on with the next
row where there is one. Of JSON Lines, CSV and Parquet no more than a row (of Parquet: a row group) is held; a JSON
list is read whole.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from sciexam.documents import MAX_LINE_BYTES
from sciexam.errors import UsageError
from sciexam.exchange.landing import Landing, Place
from sciexam.folders import LIST

Row = tuple[Place, dict[str, Any]]

BATCH = 1024  # rows of a Parquet file that are held at a time
_BOM = b"\xef\xbb\xbf"
_SPACE = " \t\r\n"
_NOTHING = object()  # in the place of a value that could not be read


def rows(path: Path, landing: Landing, *, delimiter: str | None = None) -> Iterator[Row]:
    """Each row of a file as an object, by the ending of its name; `.json` may be a list or JSON Lines.

    Cells of CSV are texts. Raises UsageError for a file that cannot be opened, or an ending that is not known.
    """
    suffix = next((end for end in reversed(path.suffixes) if end != ".gz"), "").lower()
    match suffix:
        case ".jsonl" | ".ndjson":
            found = _json_lines(path, landing)
        case ".json":
            found = _json_list(path, landing) if _begins(path, b"[") else _json_lines(path, landing)
        case ".csv" | ".tsv":
            found = _csv(path, landing, delimiter or ("\t" if suffix == ".tsv" else ","))
        case ".parquet":
            found = _parquet(path, landing)
        case _:
            raise UsageError(f"{path}: the name ends in none of .jsonl, .json, .csv, .tsv, .parquet (or .gz after it)")
    return _counted(path, found, landing)


def document(path: Path, landing: Landing) -> Any:
    """A JSON file as one value; None where it is none, and that is a fault."""
    text = _read(path, landing)
    value = _NOTHING if text is None else _value(text, Place(path, 1), landing)
    return None if value is _NOTHING else value


def value_of(raw: bytes, at: Place, landing: Landing) -> Any:
    """The bytes of a JSON text as one value; None where they are none, and that is a fault."""
    text = _decoded(raw.removeprefix(_BOM), at, landing)
    value = _NOTHING if text is None else _value(text, at, landing)
    return None if value is _NOTHING else value


def missing(at: Place, row: Mapping[str, Any], keys: Iterable[str], landing: Landing) -> bool:
    """Whether a row lacks one of these keys; each that it lacks is a fault."""
    lacking = [key for key in keys if key not in row]
    for key in lacking:
        landing.fault(at, f"{key}: this key is missing")
    return bool(lacking)


def _counted(path: Path, found: Iterator[Row], landing: Landing) -> Iterator[Row]:
    landing.rows_read[str(path)] += 0
    for row in found:
        landing.rows_read[str(path)] += 1
        yield row


def _open(path: Path) -> BinaryIO:
    try:
        return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]
    except OSError as error:
        raise UsageError(f"{path}: {(error.strerror or str(error)).lower()}") from None


def _begins(path: Path, start: bytes) -> bool:
    with _open(path) as file:
        return file.read(64).removeprefix(_BOM).lstrip().startswith(start)


def _json_lines(path: Path, landing: Landing) -> Iterator[Row]:
    with _open(path) as file:
        for number, raw in enumerate(_lines(path, file, landing), 1):
            at = Place(path, number)
            if len(raw) > MAX_LINE_BYTES:
                landing.fault(at, f"a line of more than {MAX_LINE_BYTES:,} bytes; reading ends here")
                return
            text = _decoded(raw.removeprefix(_BOM) if number == 1 else raw, at, landing)
            if text is not None and text.strip():
                value = _value(text.strip(), at, landing)
                if isinstance(value, dict):
                    yield at, value
                elif value is not _NOTHING:
                    landing.fault(at, f"each line must be an object {{...}}, this is {_kind(value)}")


def _lines(path: Path, file: BinaryIO, landing: Landing) -> Iterator[bytes]:
    """Up to one byte more than the longest line that is taken. A file that is cut off or no gzip is a fault."""
    number = 1
    try:
        for line in iter(lambda: file.readline(MAX_LINE_BYTES + 1), b""):
            number += 1
            yield line
    except (OSError, EOFError) as error:
        landing.fault(Place(path, number), f"cannot be read further: {str(error).lower()}")


def _json_list(path: Path, landing: Landing) -> Iterator[Row]:
    text = _read(path, landing)
    if text is None:
        return
    at, line, place = text.index("[") + 1, 1, 0
    while True:
        at = _after_space(text, at)
        line, place = line + text.count("\n", place, at), at
        where = Place(path, line)
        if text.startswith("]", at):
            if text[at + 1 :].strip():
                landing.fault(where, "something stands after the end of the list")
            return
        value, at = _item(text, at, where, landing)
        if isinstance(value, dict):
            yield where, value
        elif at < 0:
            return
        else:
            landing.fault(where, f"each item of the list must be an object {{...}}, this is {_kind(value)}")
        at = _after_space(text, at)
        if text.startswith(",", at):
            at += 1
        elif not text.startswith("]", at):
            line += text.count("\n", place, at)
            landing.fault(Place(path, line), "the list ends in the middle; was the file cut off?")
            return


def _after_space(text: str, at: int) -> int:
    while text[at : at + 1] in tuple(_SPACE):
        at += 1
    return at


def _item(text: str, at: int, where: Place, landing: Landing) -> tuple[Any, int]:
    """The item that begins at `at` and where it ends, or None and -1 where none does."""
    try:
        return _DECODER.raw_decode(text, at)
    except RecursionError:
        landing.fault(where, "nested too deep")
    except json.JSONDecodeError as error:
        line = where.line + text.count("\n", at, error.pos)
        cut = error.pos >= len(text) or "Unterminated" in error.msg
        what = "the list ends in the middle; was the file cut off?" if cut else f"not JSON: {error.msg.lower()}"
        landing.fault(Place(where.path, line), what)
    except ValueError as error:
        landing.fault(where, str(error))
    return None, -1


def _value(text: str, at: Place, landing: Landing) -> Any:
    try:
        return _DECODER.decode(text)
    except RecursionError:
        landing.fault(at, "nested too deep")
    except json.JSONDecodeError as error:
        cut = error.pos >= len(text) or "Unterminated" in error.msg
        what = "it ends in the middle of its JSON; was the file cut off?" if cut else f"not JSON: {error.msg.lower()}"
        landing.fault(Place(at.path, at.line + error.lineno - 1), what)
    except ValueError as error:
        landing.fault(at, str(error))
    return _NOTHING


def _csv(path: Path, landing: Landing, delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(MAX_LINE_BYTES)
    before = len(landing.faults)
    head: list[str] = []
    line = 1
    with _open(path) as file:
        found = csv.reader(_texts(path, file, landing), delimiter=delimiter, strict=True)
        try:
            for cells in found:
                at, line = Place(path, line), found.line_num + 1
                if not head:
                    head = cells
                    for name in sorted({name for name in head if head.count(name) > 1}):
                        landing.fault(at, f"{name}: two columns have this name")
                elif len(cells) == len(head):
                    yield at, dict(zip(head, cells, strict=True))
                elif cells:
                    landing.fault(at, f"{len(cells)} cells, and the head has {len(head)} names")
        except csv.Error as error:
            landing.fault(Place(path, line), f"not CSV: {error}")
    if not head and len(landing.faults) == before:
        landing.fault(path, "is empty")


def _texts(path: Path, file: BinaryIO, landing: Landing) -> Iterator[str]:
    """The lines of a text file, up to the first that is no text."""
    for number, raw in enumerate(_lines(path, file, landing), 1):
        text = _decoded(raw.removeprefix(_BOM) if number == 1 else raw, Place(path, number), landing)
        if text is None:
            return
        yield text


def _parquet(path: Path, landing: Landing) -> Iterator[Row]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise UsageError(f"{path}: Parquet is read with pyarrow: pip install 'sciexam[parquet]'") from None
    number = 0
    try:
        with parquet.ParquetFile(path, pre_buffer=False) as file:  # which would read ahead, and hold the file
            for group in range(file.num_row_groups):
                for batch in file.iter_batches(BATCH, row_groups=[group], use_threads=False):
                    for row in batch.to_pylist():
                        number += 1
                        yield Place(path, number), {key: _plain(value) for key, value in row.items()}
    except OSError as error:
        raise UsageError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    except ArrowException as error:
        landing.fault(Place(path, number + 1), f"not Parquet: {str(error).splitlines()[0].lower()}")


def _plain(value: Any) -> Any:
    """A cell of Parquet as JSON has it: what is no number is missing, a date is its ISO form, bytes are not taken."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _read(path: Path, landing: Landing) -> str | None:
    try:
        with _open(path) as file:
            raw = file.read()
    except (OSError, EOFError) as error:
        landing.fault(path, f"cannot be read: {str(error).lower()}")
        return None
    return _decoded(raw.removeprefix(_BOM), Place(path, 1), landing)


def _decoded(raw: bytes, at: Place, landing: Landing) -> str | None:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        place = Place(at.path, at.line + raw.count(b"\n", 0, error.start))
        landing.fault(place, f"not UTF-8 (byte {raw[error.start]:#04x}); save the file as UTF-8")
        return None


def _kind(value: Any) -> str:
    return {list: "a list", str: "a text", bool: "true or false", type(None): "null"}.get(type(value), "a number")


def _constant(word: str) -> None:
    """NaN is how pandas writes a missing value; JSON has a word for it."""
    if word != "NaN":
        raise ValueError(f"{word} is not a JSON number")


def _finite(word: str) -> float:
    if not math.isfinite(number := float(word)):
        raise ValueError(f"{word} is too large for a number")
    return number


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        twice = next(key for key, _ in pairs if [name for name, _ in pairs].count(key) > 1)
        raise ValueError(f"{twice}: this key stands twice in one object")
    return value


_DECODER = json.JSONDecoder(parse_constant=_constant, parse_float=_finite, object_pairs_hook=_object)


def found(paths: Iterable[Path], *patterns: str) -> list[Path]:
    """The files among `paths`, and those in its folders whose path inside fits a pattern, in the order of both.

    What an earlier import left inside such a folder is passed over. Raises UsageError for a folder that holds none.
    """
    files: dict[Path, None] = {}
    for path in paths:
        inside = [path] if path.is_file() else [one for pattern in patterns for one in sorted(path.rglob(pattern))]
        inside = [one for one in inside if not _written_by_us(one, path)]
        if not inside:
            raise UsageError(f"{path}: holds no {' or '.join(patterns)}")
        files |= dict.fromkeys(inside)
    return list(files)


def _written_by_us(file: Path, folder: Path) -> bool:
    return any((parent / LIST).is_file() for parent in file.parents if folder in parent.parents)
