"""Files of a 7z archive, streamed to whoever reads them. Nothing of it reaches the disk, whatever its paths say."""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from sciexam.errors import UsageError

# A dump shrinks five to ten times. What claims to grow a hundred times, and beyond a size that hurts nobody, is a bomb.
LARGEST_RATIO = 100
HARMLESS = 1_000_000_000  # bytes
# The list of files is unpacked in memory. That of a dump, which holds eight, takes some hundred bytes.
LARGEST_LIST = 20_000  # bytes, packed
# What a header that is no header makes the library raise, besides its own errors.
_NO_HEADER = (
    ValueError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    AssertionError,
    NotImplementedError,
    MemoryError,
)


class Sink(Protocol):
    def feed(self, data: bytes | bytearray | memoryview) -> None: ...
    def close(self) -> None: ...


Sinks = Mapping[str, Callable[[str], Sink]]


def stream(path: Path, sinks: Sinks) -> list[str]:
    """Feed files of the archive, known by their names without folders, each to the sink that is made for it.

    A sink is made with the place to name in faults, `archive.7z/Posts.xml`. Returns the names that were found. Raises
    UsageError for what is no archive, is damaged, locked, or a bomb.
    """
    py7zr = _library(path)
    made: dict[str, Sink] = {}
    damaged = (py7zr.exceptions.ArchiveError, lzma.LZMAError, zlib.error, EOFError, OSError)
    try:
        with path.open("rb") as file, _opened(py7zr, path, file, damaged) as archive:
            wanted = _wanted(path, archive, sinks)
            archive.extract(targets=list(wanted), factory=_writers(py7zr, path, sinks, made))
        for sink in made.values():
            sink.close()
        return list(wanted.values())
    except damaged as error:
        raise _unreadable(path, error) from None


def _library(path: Path) -> Any:
    try:
        import py7zr
    except ImportError:
        unpack = f"7z x {path} Posts.xml Users.xml"
        raise UsageError(
            f"{path}: a .7z is read with py7zr: pip install 'sciexam[data]'; or unpack it: {unpack}"
        ) from None
    return py7zr


def _opened(py7zr: Any, path: Path, file: Any, damaged: Any) -> Any:
    start = file.read(32)  # the sizes of the list stand here (7zFormat.txt, "Archive structure")
    if start[:6] != b"7z\xbc\xaf\x27\x1c":
        raise UsageError(f"{path}: is no 7z archive")
    if int.from_bytes(start[20:28], "little") > LARGEST_LIST:
        raise UsageError(f"{path}: its list of files takes more than {LARGEST_LIST:,} bytes; that of a dump does not")
    file.seek(0)
    try:
        archive = py7zr.SevenZipFile(file)
    except py7zr.exceptions.PasswordRequired:
        raise UsageError(f"{path}: is locked with a password; unpack it first: 7z x {path}") from None
    except (*damaged, *_NO_HEADER) as error:
        raise _unreadable(path, error) from None
    if archive.needs_password():
        raise UsageError(f"{path}: is locked with a password; unpack it first: 7z x {path}")
    return archive


def _unreadable(path: Path, error: Exception) -> UsageError:
    what = (str(error) or type(error).__name__).splitlines()[0][:200]
    return UsageError(f"{path}: cannot be read ({what}); is it damaged or cut off?")


def _wanted(path: Path, archive: Any, sinks: Sinks) -> dict[str, str]:
    """What is called like one of the sinks: the name in the archive, and that of the sink."""
    wanted: dict[str, str] = {}
    packed, unpacked = path.stat().st_size, 0
    for member in archive.files:
        unpacked += member.uncompressed or 0
        name = PurePosixPath(member.filename).name
        if name in sinks and not member.is_directory:
            if name in wanted.values():
                raise UsageError(f"{path}: holds two files {name}; unpack the one that is meant")
            wanted[member.filename] = name
    if unpacked > max(HARMLESS, LARGEST_RATIO * packed):  # of all: what stands before a file is unpacked to reach it
        what = f"{packed:,} bytes would unpack to {unpacked:,}"
        raise UsageError(f"{path}: {what}; if this is no trap, unpack it yourself: 7z x {path}")
    return wanted


def _writers(py7zr: Any, path: Path, sinks: Sinks, made: dict[str, Sink]) -> Any:
    """Where py7zr writes each file to; these hand the bytes on and keep none."""

    class Writer(py7zr.io.Py7zIO):  # type: ignore[misc]
        def __init__(self, sink: Sink):
            self._sink, self._size = sink, 0

        def write(self, data: bytes | bytearray) -> int:
            self._size += len(data)
            self._sink.feed(data)
            return len(data)

        def size(self) -> int:
            return self._size

        def read(self, size: int | None = None) -> bytes:
            return b""

        def seek(self, offset: int, whence: int = 0) -> int:
            return 0

        def flush(self) -> None: ...

    class Writers(py7zr.io.WriterFactory):  # type: ignore[misc]
        def create(self, filename: str) -> Any:
            name = PurePosixPath(filename).name
            made[name] = sinks[name](f"{path}/{name}")
            return Writer(made[name])

    return Writers()
