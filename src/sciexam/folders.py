"""A folder of files that is replaced whole: a reader, or a kill at any moment, finds the old folder or the new one."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from sciexam.errors import UsageError
from sciexam.files import sync

# In the folder: the names of all files that were written into it, one a line. It is the first to be written, so that
# what is left of a folder after a kill can be told from what is somebody else's.
LIST = ".sciexam-files"
LARGEST = 1_000_000  # bytes of somebody else's file that is carried over
SHOWN = 3  # names in a message

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # Linux: renameat2(2)
_RENAME_SWAP = 2  # macOS: renamex_np(2)
_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP)  # what a file system says that cannot exchange


def replace_folder(folder: Path, files: Iterable[tuple[str, str | Iterable[str]]]) -> None:
    """Replace `folder` by one with these `files` (path inside it, text), all together. One writer at a time.

    A text may come in pieces, of which one is held at a time.

    A small file that somebody else put there (a CNAME, a favicon) is carried over. A folder, a link or a large file of
    somebody else is never touched: UsageError. So is a folder that cannot be replaced, with what the system says.

    The files are written into a sibling, and brought to the disk by one sync. Then the two exchange their names in one
    step. Where a file system cannot do that, the old folder is set aside first, and a kill between the two renames
    leaves it there: the next call puts it back.
    """
    folder = resolved(folder)
    made, aside = _beside(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder.parent):
            _check_place(folder)
            _tidy(folder, made, aside)
            _check_content(folder)
            try:
                names = _fill(made, files, like=folder)
                _sync_all(made)
                _carry_over(folder, made, names)
                _put_in_place(made, folder, aside)
            finally:
                _tidy(folder, made, aside)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be replaced: {_said(error)}") from None


def check_folder(folder: Path, names: Collection[str] = ()) -> None:
    """Raises UsageError where `replace_folder` would have to refuse: for what `folder` or its neighbours hold without
    having been written by it, or because nothing can be written there.

    `names` are the files that will be written; what somebody else put where one of them belongs is refused, too.
    """
    folder = resolved(folder)
    there = next(parent for parent in folder.parents if os.path.lexists(parent))
    try:
        with _alone(there):  # somebody else may be replacing it just now
            _check_place(folder)
            _check_content(folder, names)
            os.rmdir(tempfile.mkdtemp(prefix=f".{folder.name[:32]}.", dir=there))  # whoever may do this may write there
    except OSError as error:
        raise UsageError(f"{folder} cannot be replaced: {there}: {_said(error)}; name another folder") from None


def _check_place(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file, and a folder is to be written there; name another")
    if os.path.ismount(folder):
        raise UsageError(f"{folder} is where a disk is mounted, and cannot be replaced; name a folder inside it")
    for beside in _beside(folder):
        if os.path.lexists(beside) and not _is_ours(beside):
            raise UsageError(
                f"{beside} was not written by sciexam, and its name is needed while {folder.name} is replaced: move it"
            )


def _check_content(folder: Path, names: Collection[str] = ()) -> None:
    taken = {*names, *(str(parent) for name in names for parent in Path(name).parents)}
    kept = [str(path) for path in strangers(folder) if not _portable(folder / path) or str(path) in taken]
    if kept:
        more = f" and {len(kept) - SHOWN} more" if len(kept) > SHOWN else ""
        raise UsageError(
            f"{folder} holds {', '.join(kept[:SHOWN])}{more}, which sciexam did not write. The folder is replaced as a "
            "whole, and only small files are carried over: name a folder that holds nothing else"
        )


def strangers(folder: Path) -> list[Path]:
    """What lies in `folder` that `replace_folder` did not write, by its path inside; a strange folder stands for all
    that it holds."""
    listed = _listed(folder)
    ours = {parent for name in listed for parent in Path(name).parents}
    return sorted(_strange(folder, Path(), listed, ours)) if folder.is_dir() else []


def _strange(folder: Path, inside: Path, listed: Collection[str], ours: Collection[Path]) -> Iterator[Path]:
    for entry in os.scandir(folder / inside):
        path = inside / entry.name
        if entry.is_dir(follow_symlinks=False) and path in ours:
            yield from _strange(folder, path, listed, ours)
        elif str(path) not in listed or not entry.is_file(follow_symlinks=False):
            yield path


def _listed(folder: Path) -> frozenset[str]:
    try:
        return frozenset([*(folder / LIST).read_text(encoding="utf-8").splitlines(), LIST])
    except (OSError, UnicodeDecodeError):
        return frozenset()


def resolved(folder: Path) -> Path:
    """Where the folder lies, behind all links. Raises UsageError where these lead nowhere."""
    try:
        found = folder.resolve()
    except (OSError, RuntimeError) as error:  # Python 3.11 and 3.12 raise the latter for links that go in a circle
        why = _said(error) if isinstance(error, OSError) else "its links go in a circle"
        raise UsageError(f"{folder} leads nowhere: {why}; name another folder") from None
    if found.is_symlink():
        raise UsageError(f"{folder} leads nowhere: its links go in a circle; name another folder")
    return found


def _beside(folder: Path) -> tuple[Path, Path]:
    """Where the next folder is written, and where the old one is set aside."""
    return folder.with_name(f".{folder.name}.new"), folder.with_name(f".{folder.name}.old")


def _is_ours(folder: Path) -> bool:
    """Whether a folder was left by a call that was killed; an empty one is one that was just begun."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    return (folder / LIST).is_file() or not any(folder.iterdir())


def _said(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _portable(path: Path) -> bool:
    found = path.lstat()
    return stat.S_ISREG(found.st_mode) and found.st_size <= LARGEST


def _fill(folder: Path, files: Iterable[tuple[str, str | Iterable[str]]], like: Path) -> list[str]:
    """Write the files and their list into a fresh folder, which takes after the one it replaces. No file is synced by
    itself.
    """
    folder.mkdir()
    (folder / LIST).touch()
    _take_after(like, folder)  # before it is filled: what is made in it may inherit its group
    names, there = [], {""}
    for name, text in files:
        parent = os.path.dirname(name)
        if parent not in there:
            (folder / parent).mkdir(parents=True, exist_ok=True)
            there.add(parent)
        with open(folder / name, "xb") as file:
            for piece in [text] if isinstance(text, str) else text:
                file.write(piece.encode("utf-8", "surrogatepass"))
        names.append(name)
    (folder / LIST).write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    return names


def _carry_over(old: Path, new: Path, names: Collection[str]) -> None:
    """Copy what somebody else put into the old folder. It is looked at again: writing takes a while."""
    _check_content(old, names)
    for path in strangers(old):
        (new / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(old / path, new / path)
        sync(new / path)


def _take_after(old: Path, new: Path) -> None:
    """Give a folder the mode of the one it replaces, and the owner and group where the system lets us."""
    if old.exists():
        found = old.stat()
        with contextlib.suppress(OSError):
            os.chown(new, found.st_uid, found.st_gid)
        new.chmod(stat.S_IMODE(found.st_mode) | stat.S_IRWXU)


def _put_in_place(new: Path, folder: Path, aside: Path) -> None:
    if not folder.exists():
        os.rename(new, folder)
    else:
        (folder / LIST).touch()  # so that it is known as ours wherever a kill leaves it
        if not exchange(new, folder):
            os.rename(folder, aside)
            os.rename(new, folder)
    sync(folder.parent)


def exchange(one: Path, other: Path) -> bool:
    """Let two folders exchange their names in one step. False where the system cannot; OSError where it may not."""
    libc = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(other)
    try:
        if sys.platform == "darwin":
            failed = libc.renamex_np(*names, _RENAME_SWAP)
        else:
            failed = libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE)
    except AttributeError:  # an older libc
        return False
    if failed and (code := ctypes.get_errno()) not in _CANNOT:
        raise OSError(code, os.strerror(code), str(other))
    return not failed


def _tidy(folder: Path, made: Path, aside: Path) -> None:
    """Put right what a kill or an error left. Whoever gets here is alone: nobody is still writing any of it."""
    if (aside / LIST).is_file() and not folder.exists():
        os.rename(aside, folder)
    for left in (made, aside):
        if left.is_dir() and _is_ours(left):
            with contextlib.suppress(OSError):
                _remove(left)


def _remove(folder: Path) -> None:
    """Remove a folder of ours, and its list last: what a kill leaves of it is still known as ours."""
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name == LIST):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink()
    folder.rmdir()


@contextlib.contextmanager
def _alone(parent: Path) -> Iterator[None]:
    """One writer at a time in a folder. The lock is the system's, and ends with the process."""
    handle = os.open(parent, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _sync_all(folder: Path) -> None:
    """Bring everything that was written to the disk; of this file system alone where the system can tell it apart."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "syncfs"):
        os.sync()
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        if libc.syncfs(handle):
            raise OSError(code := ctypes.get_errno(), os.strerror(code))
    finally:
        os.close(handle)
