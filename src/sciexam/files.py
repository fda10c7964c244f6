"""A file replaced as a whole: whoever reads it, whenever a writer is killed, sees the old one or the new one.

And JSON as our files have it.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import json
import os
import tempfile
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path


def write_atomically(path: Path, content: str | bytes | Iterable[str | bytes], mode: int = 0o644) -> None:
    """Replace `path` whole: a reader, or a kill at any moment, sees the old file or the new one. Text becomes UTF-8.

    `content` may come in pieces, of which one is held at a time. What a kill left half written is removed by the next
    write.
    """
    pieces: Iterable[str | bytes] = [content] if isinstance(content, (str, bytes)) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    with _draft(path) as file:
        try:
            for piece in pieces:
                file.write(piece.encode("utf-8", "surrogatepass") if isinstance(piece, str) else piece)
            file.flush()
            os.fsync(file.fileno())
            os.chmod(file.name, mode)
            os.replace(file.name, path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def drafted(path: Path) -> Iterator[Path]:
    """An empty draft beside `path`, for what a library writes itself; who has filled it puts it in its place.

    It is removed on leaving where it still has its own name; what a kill left of it goes with the next write.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    with _draft(path) as file:
        try:
            yield Path(file.name)
        finally:
            Path(file.name).unlink(missing_ok=True)


def put_new(draft: Path, path: Path) -> None:
    """Give a filled draft the name `path`, which nothing has. Raises FileExistsError where something has it."""
    sync(draft)
    try:
        os.link(draft, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if path.exists():
            raise FileExistsError(f"{path} is there already") from None
        os.replace(draft, path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Bring the bytes of a file, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


_encoded = json.JSONEncoder(allow_nan=False).encode
LAID_OUT = 4  # levels of a JSON text that have a line for each entry


def json_text(value: typing.Any) -> str:
    """Strict JSON for a file, with an end of line. What lies deeper than LAID_OUT levels stands on one line.

    Python's own indentation takes ten times as long. Raises ValueError for NaN and infinities.
    """
    return "".join(json_pieces(value))


def json_pieces(value: typing.Any) -> Iterator[str]:
    """The same in pieces, of which one is held at a time: an iterator in the value stands for a list of what it gives,
    which is not empty.
    """
    yield from _laid_out(value, 1)
    yield "\n"


def _laid_out(value: typing.Any, level: int) -> Iterator[str]:
    if type(value) is str or level > LAID_OUT or not value or not isinstance(value, (dict, list, tuple, Iterator)):
        yield _encoded(value)
        return
    begin, end = "{}" if isinstance(value, dict) else "[]"
    before = f"{begin}\n{' ' * level}"
    for one in value:
        yield before
        if isinstance(value, dict):
            yield f"{_encoded(str(one))}: "
            one = value[one]
        if isinstance(value, Iterator):
            yield "".join(_laid_out(one, level + 1))
        else:
            yield from _laid_out(one, level + 1)
        before = f",\n{' ' * level}"
    yield f"\n{' ' * (level - 1)}{end}"


def _draft(path: Path) -> typing.BinaryIO:
    """A new file beside `path`, locked for as long as it is open: so it is known to be somebody's."""
    while True:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        os.close(handle)
        with contextlib.suppress(FileNotFoundError):  # swept before it could be locked
            file = open(name, "r+b")  # noqa: SIM115 - the caller closes it, when it is in its place
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file.fileno()).st_nlink:
                return file
            file.close()


def _sweep(path: Path) -> None:
    """Remove what a kill left of earlier writes: drafts that nobody holds, and what a database put beside them."""
    name = glob.escape(path.name)
    for draft in path.parent.glob(f".{name}.*.tmp"):
        # Its writer may still be at work, or done with it by now.
        with contextlib.suppress(FileNotFoundError, BlockingIOError), draft.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.unlink()
    for beside in path.parent.glob(f".{name}.*.tmp-*"):
        if not beside.with_name(beside.name.rpartition("-")[0]).exists():
            beside.unlink(missing_ok=True)
