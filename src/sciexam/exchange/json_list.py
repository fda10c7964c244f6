"""The items of a JSON list, one at a time, each with its line. No more than two of the longest items are held."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from sciexam.lines import MAX_LINE_BYTES, Fault, kind_of, open_file

PIECE = 1 << 16  # bytes that are read at once, at least
_SPACE = " \t\r\n"
_CUT_OFF = "the list ends in the middle; was the file cut off?"


def json_list(path: Path, decoder: json.JSONDecoder, fault: Fault) -> Iterator[tuple[int, dict[str, Any]]]:
    """The line number and the object of each item. What is wrong is told to `fault`, and ends the reading where what
    follows cannot be known."""
    with open_file(path) as file:
        window = _Window(file)
        try:
            yield from _items(window, decoder, fault)
        except _Refused as refused:
            fault(*refused.args)
        except UnicodeDecodeError as error:
            line = window.line + window.text.count("\n", window.at) + error.object.count(b"\n", 0, error.start)
            cut = error.reason == "unexpected end of data"
            bad = f"not UTF-8 (byte {error.object[error.start]:#04x}); save the file as UTF-8"
            fault(line, "the file ends in the middle of a character; was it cut off?" if cut else bad)
        except (OSError, EOFError) as error:
            fault(window.line, f"cannot be read further: {str(error).lower()}")


class _Refused(Exception):
    """Why nothing further is read: the line, and what is wrong there."""


class _Window:
    """The part of a file that is held: `text`, of which what is before `at`, in line `line`, has been read."""

    def __init__(self, file: BinaryIO):
        self.text, self.at, self.line, self.ended = "", 0, 1, False
        self._file, self._decoder = file, codecs.getincrementaldecoder("utf-8-sig")()

    def more(self) -> None:
        """Hold as much again. Raises _Refused where an item, or the blanks before one, take more than one may."""
        if len(self.text) - self.at > MAX_LINE_BYTES:
            raise _Refused(self.line, f"an item of more than {MAX_LINE_BYTES:,} bytes")
        raw = self._file.read(max(PIECE, len(self.text) - self.at))
        self.text, self.at = self.text[self.at :] + self._decoder.decode(raw, not raw), 0
        self.ended = not raw

    def next(self) -> str:
        """The next character that is no blank, without going past it; "" at the end of the file."""
        blanks = 0
        while True:
            rest = len(self.text)
            while self.at < rest and self.text[self.at] in _SPACE:
                self.line += self.text[self.at] == "\n"
                self.at, blanks = self.at + 1, blanks + 1
            if self.at < rest or self.ended:
                return self.text[self.at : self.at + 1]
            if blanks > MAX_LINE_BYTES:
                raise _Refused(self.line, f"more than {MAX_LINE_BYTES:,} blanks in a row")
            self.more()

    def go_to(self, end: int) -> None:
        self.line += self.text.count("\n", self.at, end)
        self.at = end


def _items(window: _Window, decoder: json.JSONDecoder, fault: Fault) -> Iterator[tuple[int, dict[str, Any]]]:
    window.next()
    window.go_to(window.at + 1)  # the bracket that opens the list
    while window.next() != "]":
        line = window.line
        value = _item(window, decoder)
        if isinstance(value, dict):
            yield line, value
        else:
            fault(line, f"each item of the list must be an object {{...}}, this is {kind_of(value)}")
        if window.next() == ",":
            window.go_to(window.at + 1)
        elif window.next() != "]":
            raise _Refused(window.line, _CUT_OFF)
    line = window.line
    window.go_to(window.at + 1)
    if window.next():
        raise _Refused(line, "something stands after the end of the list")


def _item(window: _Window, decoder: json.JSONDecoder) -> Any:
    while True:
        try:
            value, end = decoder.raw_decode(window.text, window.at)
        except RecursionError:
            raise _Refused(window.line, "nested too deep") from None
        except json.JSONDecodeError as error:
            if window.ended:
                line = window.line + window.text.count("\n", window.at, error.pos)
                cut = error.pos >= len(window.text) or "Unterminated" in error.msg
                raise _Refused(line, _CUT_OFF if cut else f"not JSON: {error.msg.lower()}") from None
        except ValueError as error:
            raise _Refused(window.line, str(error)) from None
        else:
            if end < len(window.text) or window.ended:  # a number may go on
                window.go_to(end)
                return value
        window.more()
