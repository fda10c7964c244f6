"""The ledger was written by a newer sciexam."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from conftest import Cli
from endpoint import Endpoint
from judged import exam
from rows import Tally
from sciexam.store import Store
from sciexam.store.opening import SCHEMA_VERSION


def test_a_newer_ledger_is_left_as_it_is_and_both_versions_are_named(
    tmp_path: Path, sciexam: Cli, tally: Tally
) -> None:
    file = tmp_path / "results" / "ledger.sqlite"
    file.parent.mkdir()
    Store(file).close()
    with sqlite3.connect(file) as raw:
        raw.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    raw.close()
    before = file.read_bytes()
    with Endpoint("judge-longer") as endpoint:
        suite = exam(tmp_path, endpoint.url, 4)
        for command in (("compare",), ("leaderboard",), ("grade", "--judge", "llm")):
            done = sciexam(*command, "--suite", str(suite))
            assert done.returncode == 5, done.stderr
            assert "written by a newer sciexam" in done.stderr
            assert f"store version {SCHEMA_VERSION + 1}; this one reads up to {SCHEMA_VERSION}" in done.stderr
            assert "upgrade sciexam" in done.stderr
            assert file.read_bytes() == before
        assert endpoint.requests == 0
    tally(3)
