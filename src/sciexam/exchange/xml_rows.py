"""The rows of an XML file of StackExchange's dump, one at a time: `<posts><row Id="1" .../>...</posts>`.

The parser is expat, fed piece by piece; no tree is built, so that memory is that of one row. The file is data: a
DOCTYPE is refused before it can define an entity, so that nothing is expanded or fetched. So is whatever is no row.
"""

from __future__ import annotations

from collections.abc import Callable
from xml.parsers import expat

from sciexam.errors import DocumentError

LARGEST_ROW = 16_000_000  # bytes; a post has 30,000 characters at most
PIECE = 1 << 18  # bytes that are parsed at once

Take = Callable[[int, dict[str, str]], None]


class XmlRows:
    """Calls `take(line, attributes)` for each row inside the element `root`. `where` names the file in faults."""

    def __init__(self, where: str, root: str, take: Take):
        self.where = where
        self._root, self._take = root, take
        self._depth = self._fed = self._row_at = 0
        self._parser = expat.ParserCreate()
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Parse the next bytes. Raises DocumentError with the line."""
        for begin in range(0, len(data), PIECE):
            self._parse(bytes(data[begin : begin + PIECE]), False)

    def close(self) -> None:
        """Say that the file has ended. Raises DocumentError where it may not end."""
        self._parse(b"", True)

    def _parse(self, data: bytes, last: bool) -> None:
        self._fed += len(data)
        try:
            self._parser.Parse(data, last)
        except expat.ExpatError as error:
            cut = last or error.code in (
                expat.errors.codes[expat.errors.XML_ERROR_UNCLOSED_TOKEN],
                expat.errors.codes[expat.errors.XML_ERROR_NO_ELEMENTS],
            )
            what = "the file ends in the middle; was it cut off?" if cut else expat.ErrorString(error.code)
            raise DocumentError([f"{self.where}:{error.lineno}: not XML: {what}"]) from None
        if self._fed - self._row_at > LARGEST_ROW:
            raise self._fault(f"more than {LARGEST_ROW:,} bytes without a row")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._row_at = max(self._parser.CurrentByteIndex, 0)
        if self._depth == 1 and name != self._root:
            raise self._fault(f"<{name[:40]}> where <{self._root}> is expected; is it another file of the dump?")
        if self._depth > 1:
            if self._depth > 2 or name != "row":
                raise self._fault(f"<{name[:40]}> where a <row> of <{self._root}> is expected")
            self._take(self._parser.CurrentLineNumber, attributes)

    def _end(self, _: str) -> None:
        self._depth -= 1

    def _refuse_doctype(self, *_: object) -> None:
        raise self._fault("a DOCTYPE, which no file of a dump has, is not read: it could define entities")

    def _fault(self, what: str) -> DocumentError:
        return DocumentError([f"{self.where}:{self._parser.CurrentLineNumber}: {what}"])
