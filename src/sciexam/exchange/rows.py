"""The rows of other tools' files, one at a time, each with its place: JSON Lines, a JSON list, CSV, TSV, Parquet.

Text files may be gzipped (`.gz`). What cannot be read becomes a fault of the landing, and reading goes on with the next
row where there is one. No more than a row is held at a time, of Parquet a row group.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sciexam.errors import UsageError
from sciexam.exchange.json_list import json_list
from sciexam.exchange.landing import Landing, Place
from sciexam.folders import LIST
from sciexam.lines import (
    BOM,
    NOTHING,
    Fault,
    csv_rows,
    decoded,
    distinct_keys,
    finite,
    json_lines,
    json_value,
    open_file,
    refuse_constant,
)

Row = tuple[Place, dict[str, Any]]

BATCH = 1024  # rows of a Parquet file that are held at a time
MOST = 500_000_000  # bytes of a file that is read as one value


def rows(path: Path, landing: Landing, *, delimiter: str | None = None) -> Iterator[Row]:
    """Each row of a file as an object, by the ending of its name; `.json` may be a list or JSON Lines.

    Cells of CSV are texts. Raises UsageError for a file that cannot be opened, or an ending that is not known.
    """
    suffix = next((end for end in reversed(path.suffixes) if end != ".gz"), "").lower()
    match suffix:
        case ".parquet":
            found = _parquet(path, landing)
        case ".json" if _is_list(path):
            found = _placed(path, json_list(path, _DECODER, _told(path, landing)))
        case ".json" | ".jsonl" | ".ndjson":
            found = _placed(path, json_lines(path, _DECODER, _told(path, landing)))
        case ".csv" | ".tsv":
            between = delimiter or ("\t" if suffix == ".tsv" else ",")
            found = _placed(path, csv_rows(path, _told(path, landing), between))
        case ".xlsx" | ".xls" | ".ods":
            raise UsageError(f"{path}: a workbook; save its sheet as CSV in UTF-8, and name that file")
        case _:
            raise UsageError(f"{path}: the name ends in none of .jsonl, .json, .csv, .tsv, .parquet (or .gz after it)")
    return _counted(path, found, landing)


def document(path: Path, landing: Landing) -> Any:
    """A JSON file as one value; None where it is none, and that is a fault."""
    text = _read(path, landing)
    return None if text is None else _value(text, Place(path, 1), landing)


def value_of(raw: bytes, at: Place, landing: Landing) -> Any:
    """The bytes of a JSON text as one value; None where they are none, and that is a fault."""
    text = decoded(raw.removeprefix(BOM), at.line, _told(at.path, landing))
    return None if text is None else _value(text, at, landing)


def _value(text: str, at: Place, landing: Landing) -> Any:
    value = json_value(text, _DECODER, at.line, _told(at.path, landing))
    return None if value is NOTHING else value


def _told(path: Path, landing: Landing) -> Fault:
    """What makes the faults of a file faults of the landing."""
    return lambda number, what: landing.fault(path if number is None else Place(path, number), what)


def _placed(path: Path, found: Iterator[tuple[int, dict[str, Any]]]) -> Iterator[Row]:
    return ((Place(path, number), row) for number, row in found)


def missing(at: Place, row: Mapping[str, Any], keys: Iterable[str], landing: Landing) -> bool:
    """Whether a row lacks one of these keys; each that it lacks is a fault."""
    lacking = [key for key in keys if key not in row]
    for key in lacking:
        landing.fault(at, f"{key}: this key is missing{near_key(key, row)}")
    return bool(lacking)


def near_key(key: str, row: Mapping[str, Any]) -> str:
    """The tail of a message about a key that a row lacks: the one that it may be called there, or nothing."""
    plain = {"".join(filter(str.isalnum, name)).lower(): name for name in row}
    found = plain.get("".join(filter(str.isalnum, key)).lower())
    return f"; did you mean {found!r}?" if found and found != key else ""


def _counted(path: Path, found: Iterator[Row], landing: Landing) -> Iterator[Row]:
    landing.rows_read[str(path)] += 0
    for row in found:
        landing.rows_read[str(path)] += 1
        yield row


def _is_list(path: Path) -> bool:
    """Whether a JSON file begins as a list; what cannot be read is none, and is told by whoever reads on."""
    with open_file(path) as file:
        try:
            return file.read(64).removeprefix(BOM).lstrip().startswith(b"[")
        except (OSError, EOFError):
            return False


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
                        at = Place(path, number)
                        yield at, {key: _cell(at, key, value, landing) for key, value in row.items()}
    except OSError as error:
        raise UsageError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    except ArrowException as error:
        landing.fault(Place(path, number + 1), f"not Parquet: {str(error).splitlines()[0].lower()}")


def _cell(at: Place, column: str, value: Any, landing: Landing) -> Any:
    try:
        return _plain(value)
    except UnicodeDecodeError:
        landing.fault(at, f"{column}: bytes that are no text in UTF-8; leave this column out, or write it as text")
        return None


def _plain(value: Any) -> Any:
    """A cell of Parquet as JSON has it: what is no number is missing, a date is its ISO form, and bytes are a text in
    UTF-8. Raises UnicodeDecodeError where they are none."""
    if isinstance(value, bytes):
        return value.decode("utf-8")
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
        with open_file(path) as file:
            raw = file.read(MOST + 1)
    except (OSError, EOFError) as error:
        landing.fault(path, f"cannot be read: {str(error).lower()}")
        return None
    if len(raw) > MOST:
        landing.fault(path, f"more than {MOST:,} bytes as one JSON value; split it")
        return None
    return decoded(raw.removeprefix(BOM), 1, _told(path, landing))


def _constant(word: str) -> None:
    """NaN is how pandas writes a missing value; JSON has a word for it."""
    if word != "NaN":
        refuse_constant(word)


_DECODER = json.JSONDecoder(parse_constant=_constant, parse_float=finite, object_pairs_hook=distinct_keys)


def found(paths: Iterable[Path], *patterns: str) -> list[Path]:
    """The files among `paths`, and those in its folders whose path inside fits a pattern, in the order of both; each
    once, by whatever path it is reached.

    What an earlier import left inside such a folder is passed over. Raises UsageError for a folder that holds none.
    """
    files: dict[Path, Path] = {}
    for path in paths:
        inside = [path] if path.is_file() else [one for pattern in patterns for one in sorted(path.rglob(pattern))]
        inside = [one for one in inside if not _written_by_us(one, path)]
        if not inside:
            raise UsageError(f"{path}: holds no {' or '.join(patterns)}")
        for one in inside:
            files.setdefault(one.resolve(), one)
    return list(files.values())


def _written_by_us(file: Path, folder: Path) -> bool:
    return any((parent / LIST).is_file() for parent in file.parents if folder in parent.parents)
