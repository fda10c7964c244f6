"""A site that is killed while it is written: the old one or the new one, whole, and it opens."""

from __future__ import annotations

import multiprocessing
import random
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boards
import pytest

from sciexam.folders import replace_folder
from sciexam.report.site.downloads import downloads_of
from sciexam.report.site.pages import site_files

Files = list[tuple[str, str]]
BUILD = re.compile('<meta name="sciexam-build" content="([0-9a-f]{16})">')
NAMES = ("base", "sft", "dpo", "rlhf", "gpt", "x/y")


@pytest.fixture(scope="module")
def builds() -> tuple[Files, Files]:
    """Two sites of one board's contestants, of which one has more."""
    old, new = boards.made(NAMES[:5], seed=1), boards.made(NAMES, seed=2)
    return tuple(
        list(site_files(board, downloads_of(board), boards.MANIFEST, Path("/nonexistent"))) for board in (old, new)
    )  # type: ignore[return-value]


def write_forever(write: Callable[[Path, Files], None], folder: Path, builds: tuple[Files, Files], begun: Any) -> None:
    while True:
        for build in builds:
            write(folder, build)
            begun.set()


def builds_after_kill_9(write: Callable[[Path, Files], None], folder: Path, builds: Any, times: int) -> list[set[str]]:
    """The builds that the pages of the site are of, after each of so many kills at a random moment."""
    rng, found = random.Random(1), []
    started = time.perf_counter()
    for build in builds:
        write(folder, build)
    both = time.perf_counter() - started  # what a slow disk takes
    for _ in range(times):
        forking = multiprocessing.get_context("fork")
        begun = forking.Event()
        child = forking.Process(target=write_forever, args=(write, folder, builds, begun))
        child.start()
        assert begun.wait(60)  # a fork of a large process is slow to begin
        time.sleep(rng.uniform(0, both))
        child.kill()
        child.join()
        found.append({_build(page) for page in folder.rglob("*.html")})
        pages = sorted(str(page.relative_to(folder)) for page in folder.rglob("*.html"))
        expected = [sorted(name for name, _ in build if name.endswith(".html")) for build in builds]
        found[-1] |= set() if pages in expected else {"other pages"}
    return found


def _build(page: Path) -> str:
    text = page.read_text()
    whole = text.rstrip().endswith("</html>") and BUILD.search(text)
    return whole[1] if whole else "torn"


def in_place(folder: Path, files: Files) -> None:
    """How not to do it."""
    for name, text in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.mark.slow  # tests/test_folders.py does the same to smaller folders
def test_kill_9_at_sixty_moments_leaves_the_old_site_or_the_new_one_and_it_opens(
    tmp_path: Path, builds: tuple[Files, Files], request: pytest.FixtureRequest
) -> None:
    folder = tmp_path / "leaderboard"
    replace_folder(folder, builds[0])
    found = builds_after_kill_9(replace_folder, folder, builds, 60)
    assert all(len(each) == 1 and not each & {"torn", "other pages"} for each in found)
    assert len(set.union(*found)) == 2, "either was found"
    page = request.getfixturevalue("opened")((folder / "index.html").as_uri())  # a browser is no process to fork
    assert page.locator("h1").inner_text() == "exam"
    for name in ("sft", "rlhf"):
        page.locator("#overall").get_by_role("link", name=name, exact=True).click()
        assert page.locator("h1").inner_text() == name
        page.go_back()


@pytest.mark.slow
def test_writing_in_place_would_be_seen(tmp_path: Path, builds: tuple[Files, Files]) -> None:
    replace_folder(tmp_path / "site", builds[0])
    found = builds_after_kill_9(in_place, tmp_path / "site", builds, 20)
    assert any(len(each) > 1 for each in found)
