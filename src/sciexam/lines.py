"""The lines of text files, one at a time: as objects of JSON Lines, and as rows of CSV. `.gz` is unpacked.

What is wrong is told to `fault` with its line (None: the file as a whole), and reading goes on where it can; a `fault`
that raises ends it. No more than a line is held, and of CSV a row.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from sciexam.errors import UsageError

Fault = Callable[[int | None, str], None]

MAX_LINE_BYTES = 16_000_000
BOM = b"\xef\xbb\xbf"
NOTHING: Any = object()  # in the place of a value that could not be read
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
# What a file is whose first bytes are these, whatever its name says.
_NO_TEXT = {
    b"PK\x03\x04": "a zip archive, as a workbook of Excel is (.xlsx): save the sheet as CSV in UTF-8",
    b"\xd0\xcf\x11\xe0": "a workbook of Excel (.xls): save the sheet as CSV in UTF-8",
    b"PAR1": "Parquet: rename it to .parquet",
    b"\x1f\x8b": "gzipped: put .gz behind its name",
}
CUT_OFF = "ends in the middle of its JSON; was the file cut off?"
UNFINISHED = "ends in the middle of its JSON; is a quote or brace missing at its end?"  # a whole line
# What the rest of a text is, from where the parser gave up, when the cut went through a word, a number or an escape.
_CUT = re.compile(r"tr?u?|fa?l?s?|nu?l?|-|\.|\.?[0-9]*[eE][-+]?|\\?u?[0-9a-fA-F]{0,4}")


class TwiceError(ValueError):
    """A key stands twice in one object, which JSON allows."""


def open_file(path: Path) -> BinaryIO:
    """The bytes of a file. Raises UsageError where it cannot be opened."""
    try:
        return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]
    except OSError as error:
        raise UsageError(f"{path}: {(error.strerror or str(error)).lower()}") from None


def json_lines(path: Path, decoder: json.JSONDecoder, fault: Fault) -> Iterator[tuple[int, dict[str, Any]]]:
    """The line number and the object of each line of JSON Lines; blank lines are passed over."""
    for number, raw in _lines(path, fault):
        if len(raw) > MAX_LINE_BYTES:
            fault(number, f"a line of more than {MAX_LINE_BYTES:,} bytes")
            return
        text = decoded(raw, number, fault)
        if text is None or not (text := text.strip()):
            continue
        cut = UNFINISHED if raw.endswith(b"\n") else CUT_OFF
        value = json_value(text, decoder, number, fault, "the line", cut)
        if isinstance(value, dict):
            yield number, value
        elif value is not NOTHING:
            fault(number, f"each line must be an object {{...}}, this is {kind_of(value)}")


def json_value(
    text: str, decoder: json.JSONDecoder, number: int, fault: Fault, what: str = "it", unfinished: str = CUT_OFF
) -> Any:
    """The value of a JSON text that begins in line `number`, or NOTHING.

    `what`: what a fault calls the text; `unfinished`: what it says of one that ends too early.
    """
    try:
        return decoder.decode(text)
    except RecursionError:
        fault(number, "nested too deep")
    except json.JSONDecodeError as error:
        rest = None if error.msg == "Extra data" else _CUT.fullmatch(text, error.pos)
        cut = rest or "Unterminated" in error.msg
        fault(number + error.lineno - 1, f"{what} {unfinished}" if cut else _not_json(text, error))
    except TwiceError as error:
        fault(number, str(error))
    except ValueError as error:
        fault(number, f"not JSON: {error}")
    return NOTHING


def _not_json(text: str, error: json.JSONDecodeError) -> str:
    """What is wrong and in which column; the line stands before it."""
    if error.msg == "Extra data" and text[error.pos :].strip() == ",":
        return f"not JSON: column {error.colno}: a comma after the brace?"
    return f"not JSON: column {error.colno}: {error.msg[0].lower()}{error.msg[1:]}"


def csv_rows(path: Path, fault: Fault, delimiter: str = ",") -> Iterator[tuple[int, dict[str, str]]]:
    """The line number and the cells of each row of CSV by the names in its head; blank lines are passed over."""
    csv.field_size_limit(MAX_LINE_BYTES)
    head: list[str] = []
    line, faulty = 1, False

    def told(number: int | None, what: str) -> None:
        nonlocal faulty
        faulty = True
        fault(number, what)

    found = csv.reader(_texts(path, told), delimiter=delimiter, strict=True)
    try:
        for cells in found:
            number, line = line, found.line_num + 1
            if not head:
                head = cells
                if what := _of_head(head, delimiter):
                    told(number, what)
                    return
                for name in sorted({name for name in head if head.count(name) > 1}):
                    told(number, f"{name}: two columns have this name")
            elif len(cells) == len(head):
                yield number, dict(zip(head, cells, strict=True))
            elif cells:
                told(number, f"{len(cells)} cells, and the head has {len(head)} names")
    except csv.Error as error:
        told(line, f"not CSV: {error}")
    if not head and not faulty:
        fault(None, "is empty")


def _of_head(head: list[str], delimiter: str) -> str:
    """What is wrong where all names of a head are one, because they are separated otherwise than was thought."""
    other = next((one for one in DELIMITERS if one in head[0]), None) if len(head) == 1 else None
    if other is None:
        return ""
    means = {",": "call it .csv", "\t": "call it .tsv"}.get(other, f"save it with {DELIMITERS[delimiter]}")
    return (
        f"one column, {head[0][:60]!r}: the cells are separated by {DELIMITERS[other]}, not by "
        f"{DELIMITERS.get(delimiter, delimiter)}; {means}, or write `delimiter: {json.dumps(other)}` in the mapping of "
        "a table"
    )


def decoded(raw: bytes, number: int, fault: Fault) -> str | None:
    """The text of bytes that begin in line `number`; None where they are no UTF-8."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        at = number + raw.count(b"\n", 0, error.start)
        if error.reason == "unexpected end of data":
            fault(at, "the file ends in the middle of a character; was it cut off?")
        else:
            fault(at, f"not UTF-8 (byte {raw[error.start]:#04x}); save the file as UTF-8")
        return None


def kind_of(value: Any) -> str:
    """What kind of JSON value it is, in words."""
    return {list: "a list", str: "a string", bool: "a boolean", type(None): "null"}.get(type(value), "a number")


def finite(word: str) -> float:
    """The number that `word` spells, for a decoder. Raises ValueError for one that is too large."""
    if not math.isfinite(number := float(word)):
        raise ValueError(f"{word} is too large for a number")
    return number


def distinct_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, for a decoder, which by itself would take the last of two values in silence. Raises TwiceError."""
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise TwiceError(f"{twice}: this key stands twice in one object")
    return value


def refuse_constant(word: str) -> Any:
    """For a decoder: NaN and the infinities are no numbers of JSON."""
    raise ValueError(f"{word} is not a JSON number")


def _lines(path: Path, fault: Fault) -> Iterator[tuple[int, bytes]]:
    """Each line and its number; of one that is too long, one byte more than is taken."""
    number = 1
    with open_file(path) as file:
        try:
            for raw in iter(lambda: file.readline(MAX_LINE_BYTES + 1), b""):
                if number == 1 and (what := next((_NO_TEXT[one] for one in _NO_TEXT if raw.startswith(one)), None)):
                    fault(None, f"no text: the file is {what}")
                    return
                yield number, raw.removeprefix(BOM) if number == 1 else raw
                number += 1
        except (OSError, EOFError) as error:
            fault(number, f"cannot be read further: {str(error).lower()}")


def _texts(path: Path, fault: Fault) -> Iterator[str]:
    """The lines of a text file, up to the first that is no text."""
    for number, raw in _lines(path, fault):
        text = decoded(raw, number, fault)
        if text is None:
            return
        yield text
