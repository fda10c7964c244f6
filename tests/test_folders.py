"""A folder that is replaced whole: killed while it is written, with somebody else's files in it, by two at once."""

from __future__ import annotations

import multiprocessing
import os
import random
import re
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sciexam import folders
from sciexam.errors import UsageError
from sciexam.folders import LARGEST, LIST, check_folder, replace_folder

Files = list[tuple[str, str]]
Writer = Callable[[Path, Files], None]


def site(build: str, pages: int = 40) -> Files:
    """Files that all say of which build they are; each build has a page that the others have not."""
    listed = [(f"pairs/{number}.html", f"{build} {'x' * 5_000}") for number in range(pages)]
    return [("index.html", f"{build} first"), *listed, (f"only/{build}.html", build)]


OLD, NEW = site("old"), site("new")


def held(folder: Path) -> dict[str, str]:
    """Every file in a folder but the list."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != LIST]
    return {str(path.relative_to(folder)): path.read_text() for path in paths}


def is_whole(folder: Path) -> bool:
    return held(folder) in (dict(OLD), dict(NEW))


def write_forever(write: Writer, folder: Path) -> None:
    while True:
        write(folder, NEW)
        write(folder, OLD)


def killed(write: Writer, folder: Path, times: int) -> Iterator[None]:
    """Kill -9 a process that replaces the folder by one build after the other, at any moment; yields after each."""
    rng = random.Random(3)
    started = time.perf_counter()
    for build in (NEW, OLD):
        write(folder, build)
    both = time.perf_counter() - started  # what a slow disk takes
    for _ in range(times):
        child = multiprocessing.get_context("fork").Process(target=write_forever, args=(write, folder))
        child.start()
        time.sleep(rng.uniform(0, both))
        child.kill()
        child.join()
        yield


def in_place(folder: Path, files: Files) -> None:
    """How not to do it."""
    for name, text in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for name in held(folder).keys() - dict(files).keys():
        (folder / name).unlink()


def by_two_renames(folder: Path, files: Files) -> None:
    """On a file system that cannot exchange."""
    exchange, folders.exchange = folders.exchange, lambda one, other: False
    try:
        replace_folder(folder, files)
    finally:
        folders.exchange = exchange


def test_kill_9_at_any_moment_leaves_one_whole_folder(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    replace_folder(folder, OLD)
    littered, builds = 0, set()
    for _ in killed(replace_folder, folder, 25):
        assert is_whole(folder)
        littered += len(os.listdir(tmp_path)) > 1
        builds.add((folder / "index.html").read_text())
    assert littered > 2, "it was killed while it wrote"
    assert len(builds) == 2
    replace_folder(folder, NEW)
    assert held(folder) == dict(NEW)
    assert os.listdir(tmp_path) == ["site"], "the litter is swept"


def test_writing_in_place_would_be_seen(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    replace_folder(folder, OLD)
    assert not all(is_whole(folder) for _ in killed(in_place, folder, 20))


def test_without_an_exchange_the_next_write_brings_the_old_folder_back(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    replace_folder(folder, OLD)
    for _ in killed(by_two_renames, folder, 20):
        assert is_whole(folder) or (not folder.exists() and is_whole(tmp_path / ".site.old"))
        with pytest.raises(ZeroDivisionError):  # the next write, which fails before it has anything to put there
            replace_folder(folder, (("index.html", str(1 // number)) for number in (1, 0)))
        assert is_whole(folder)
        assert os.listdir(tmp_path) == ["site"]


@pytest.mark.parametrize("failing", ["rename", "exchange"])
def test_an_error_at_the_last_step_leaves_the_old_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    folder, rename = tmp_path / "site", os.rename
    replace_folder(folder, OLD)

    def refused(one: object, other: object) -> bool:
        raise OSError(16, "Device or resource busy")

    if failing == "exchange":
        monkeypatch.setattr(folders, "exchange", refused)
    else:
        monkeypatch.setattr(folders, "exchange", lambda one, other: False)
        monkeypatch.setattr(os, "rename", lambda a, b: refused(a, b) if str(a).endswith(".new") else rename(a, b))
    with pytest.raises(UsageError, match="site: cannot be replaced: device or resource busy"):
        replace_folder(folder, NEW)
    assert held(folder) == dict(OLD)
    assert os.listdir(tmp_path) == ["site"]


def test_a_page_that_is_no_longer_written_is_gone(tmp_path: Path) -> None:
    replace_folder(tmp_path / "site", OLD)
    replace_folder(tmp_path / "site", NEW)
    assert held(tmp_path / "site") == dict(NEW)


def test_small_files_of_somebody_else_are_carried_over(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    replace_folder(folder, OLD)
    (folder / "CNAME").write_text("board.example\n")
    (folder / "CNAME").chmod(0o640)
    (folder / "pairs" / ".DS_Store").write_bytes(b"\0\1")
    for build in (NEW, OLD, NEW):
        replace_folder(folder, build)
    assert (folder / "CNAME").read_text() == "board.example\n"
    assert (folder / "CNAME").stat().st_mode & 0o777 == 0o640
    assert (folder / "pairs" / ".DS_Store").read_bytes() == b"\0\1"
    assert (folder / "only" / "new.html").exists()


def test_a_file_that_is_put_there_during_the_writing_is_carried_over_too(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    replace_folder(folder, OLD)

    def files() -> Iterator[tuple[str, str]]:
        (folder / "CNAME").write_text("board.example\n")
        yield from NEW

    replace_folder(folder, files())
    assert (folder / "CNAME").read_text() == "board.example\n"


def repository(folder: Path) -> Path:
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    return folder / ".git"


def large(folder: Path) -> Path:
    (folder / "video.mp4").write_bytes(bytes(LARGEST + 1))
    return folder / "video.mp4"


def link(folder: Path) -> Path:
    (folder / "latest").symlink_to("/etc/hostname")
    return folder / "latest"


@pytest.mark.parametrize("put", [repository, large, link])
def test_what_cannot_be_carried_over_is_never_touched(tmp_path: Path, put: Callable[[Path], Path]) -> None:
    folder = tmp_path / "site"
    replace_folder(folder, OLD)
    strange = put(folder)
    with pytest.raises(UsageError, match=f"site holds {strange.name}, which sciexam did not write"):
        replace_folder(folder, NEW)
    assert os.path.lexists(strange)
    assert (folder / "index.html").read_text() == "old first"
    assert os.listdir(tmp_path) == ["site"]


def test_a_folder_of_somebody_else_is_not_written_over(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "index.html").write_text("my own page")
    with pytest.raises(UsageError, match=r"home holds index\.html, which sciexam did not write"):
        replace_folder(folder, NEW)
    assert held(folder) == {"index.html": "my own page"}
    with pytest.raises(UsageError, match="is a file, and a folder is to be written there"):
        replace_folder(folder / "index.html", NEW)


def test_a_folder_behind_a_link_is_replaced_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    replace_folder(tmp_path / "disk" / "board", OLD)
    (tmp_path / "site").symlink_to("disk/board")
    replace_folder(tmp_path / "site", NEW)
    assert (tmp_path / "site").is_symlink()
    assert held(tmp_path / "disk" / "board") == dict(NEW)
    assert os.listdir(tmp_path / "disk") == ["board"]


def test_two_processes_replace_one_folder_one_after_the_other(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    args = [(tmp_path / "site", build) for build in (OLD, NEW)]
    children = [context.Process(target=replace_folder, args=each) for each in args * 3]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * 6
    assert is_whole(tmp_path / "site")
    assert os.listdir(tmp_path) == ["site"]


@pytest.mark.parametrize("place", [".site.new", ".site.old"])
@pytest.mark.parametrize("there", [True, False], ids=["beside the site", "without a site"])
def test_a_neighbour_of_somebody_else_is_neither_removed_nor_put_in_place(
    tmp_path: Path, place: str, there: bool
) -> None:
    folder, foreign = tmp_path / "site", tmp_path / place
    if there:
        replace_folder(folder, OLD)
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("mine")
    for refused in (check_folder, lambda folder: replace_folder(folder, NEW)):
        with pytest.raises(UsageError, match=rf"{re.escape(place)} was not written by sciexam, and its name is needed"):
            refused(folder)
    assert (foreign / "thesis.txt").read_text() == "mine"
    assert folder.exists() == there
    assert not there or held(folder) == dict(OLD)


def test_what_a_kill_leaves_of_a_folder_that_held_somebody_elses_file_alone_is_known_as_ours(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "CNAME").write_text("board.example\n")
    put_in_place = folders._put_in_place

    def killed_after(new: Path, folder: Path, aside: Path) -> None:
        put_in_place(new, folder, aside)
        os._exit(9)

    def write() -> None:
        folders._put_in_place = killed_after
        replace_folder(folder, OLD)

    child = multiprocessing.get_context("fork").Process(target=write)
    child.start()
    child.join()
    assert sorted(os.listdir(tmp_path)) == [".site.new", "site"]
    replace_folder(folder, NEW)
    assert held(folder) == dict(NEW) | {"CNAME": "board.example\n"}
    assert os.listdir(tmp_path) == ["site"]


def test_the_list_of_a_folder_is_the_last_that_is_removed_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, unlink = tmp_path / ".site.new", Path.unlink
    replace_folder(left, OLD)

    def seen(path: Path, missing_ok: bool = False) -> None:
        assert path.name == LIST or (left / LIST).exists()
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", seen)
    replace_folder(tmp_path / "site", OLD)
    assert os.listdir(tmp_path) == ["site"]


def test_a_folder_in_the_place_of_a_page_is_somebody_elses(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    replace_folder(folder, OLD)
    (folder / "index.html").unlink()
    (folder / "index.html").mkdir()
    (folder / "index.html" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"site holds index\.html, which sciexam did not write"):
        replace_folder(folder, NEW)
    assert (folder / "index.html" / "notes.txt").read_text() == "mine"


def test_a_file_in_the_place_of_a_folder_of_pages_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "pairs").write_text("my pairs")
    with pytest.raises(UsageError, match="site holds pairs, which sciexam did not write"):
        check_folder(folder, dict(NEW).keys())
    with pytest.raises(UsageError, match="site holds pairs, which sciexam did not write"):
        replace_folder(folder, NEW)
    assert held(folder) == {"pairs": "my pairs"}


@pytest.mark.parametrize("mode", [0o700, 0o750, 0o2775])
@pytest.mark.parametrize("write", [replace_folder, by_two_renames])
def test_a_folder_keeps_its_mode_and_its_owner(tmp_path: Path, mode: int, write: Writer) -> None:
    folder = tmp_path / "site"
    replace_folder(folder, OLD)
    if os.geteuid() == 0:
        os.chown(folder, 65534, 65534)
    folder.chmod(mode)
    before = folder.stat()
    write(folder, NEW)
    after = folder.stat()
    assert stat.S_IMODE(after.st_mode) == mode
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
    if mode & stat.S_ISGID:
        assert (folder / "pairs").stat().st_gid == before.st_gid


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a mount where nobody may write, as on Linux")
def test_what_can_never_be_replaced_is_refused_beforehand(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="/proc is where a disk is mounted, and cannot be replaced; name a folder in"):
        check_folder(Path("/proc"))
    with pytest.raises(UsageError, match=r"cannot be replaced: /proc: .*; name another folder"):
        check_folder(Path("/proc/board/site"))
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for refused in (check_folder, lambda folder: replace_folder(folder, NEW)):
        with pytest.raises(UsageError, match=r"circle leads nowhere: .*; name another folder"):
            refused(tmp_path / "circle")
    check_folder(tmp_path / "public" / "board")
    assert os.listdir(tmp_path) == ["circle"], "nothing is left of the trial"
