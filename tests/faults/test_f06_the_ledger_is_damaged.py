"""The ledger is damaged: bytes of it are flipped, it is cut short, or its write-ahead log is deleted."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from conftest import Cli
from endpoint import Endpoint
from forked import Commands
from judged import begin, exam, kill_after, result, server, usable
from rows import Tally

PROMPTS = 60
HEADER = 100  # bytes, by which SQLite knows its files


def damaged(whole: bytes, draw: random.Random, kind: str) -> bytes:
    if kind == "cut":
        return whole[: draw.randrange(len(whole) // 8, len(whole))]
    spoilt = bytearray(whole)
    if kind == "header":
        spoilt[:HEADER] = draw.randbytes(HEADER)
    for _ in range(20 if kind == "flipped" else 0):
        at = draw.randrange(HEADER, len(whole) - 64)
        spoilt[at : at + 64] = draw.randbytes(64)
    return bytes(spoilt)


@pytest.mark.parametrize(
    "kinds",
    [["flipped"], pytest.param(["header"] + ["flipped"] * 17 + ["cut"] * 3, marks=pytest.mark.slow)],
    ids=["once", "often"],
)
def test_a_damaged_ledger_is_refused_or_does_no_harm_and_a_repaired_one_ends_with_the_same_table(
    tmp_path: Path, sciexam: Cli, tally: Tally, kinds: list[str]
) -> None:
    file = tmp_path / "results" / "ledger.sqlite"
    draw = random.Random(6)
    refused = 0
    with Endpoint("judge-longer") as endpoint:
        suite = str(exam(tmp_path, endpoint.url, PROMPTS))
        known = result(sciexam("compare", "--suite", suite, "--json"))
        whole = file.read_bytes()
        for kind in kinds:
            file.write_bytes(damaged(whole, draw, kind))
            checked = sciexam("store", "check")
            assert checked.returncode == 5, "the damage was not found"
            assert "damaged" in checked.stderr
            found = sciexam("compare", "--suite", suite, "--json")
            refused += found.returncode == 5
            assert found.returncode in (0, 5), found.stderr
            if found.returncode == 0:
                assert json.loads(found.stdout)["pairs"][0] == known, "a table of a part was shown as the whole"
            else:
                assert "`sciexam store repair` salvages" in found.stderr
            _assert_repaired(sciexam, suite, known)
            _clear(file)
    assert refused, "no damage was met; the test shows nothing"
    tally(len(kinds))


def _assert_repaired(sciexam: Cli, suite: str, known: dict[str, Any]) -> None:
    """What can be read is salvaged, or nothing is changed where nothing can be; then the table is the same again."""
    repaired = sciexam("store", "repair")
    if repaired.returncode == 5:
        assert "Nothing was changed" in repaired.stderr or "restore a backup" in repaired.stderr
        return
    assert repaired.returncode in (0, 3), repaired.stderr
    assert sciexam("store", "check").returncode == 0
    assert result(sciexam("compare", "--suite", suite, "--json")) == known


def _clear(file: Path) -> None:
    for path in file.parent.glob("ledger.sqlite*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_a_row_that_cannot_be_read_is_damage_and_no_bug(tmp_path: Path, sciexam: Cli, tally: Tally) -> None:
    spoilt = ("status = 77", "preferred = 'x'", "first = 999999", "reason = 999999")
    with Endpoint("judge-longer") as endpoint:
        suite = str(exam(tmp_path, endpoint.url, 2))
        assert result(sciexam("compare", "--suite", suite, "--json"))["used"] == 2
        for what in spoilt:
            with sqlite3.connect(tmp_path / "results" / "ledger.sqlite") as raw:
                raw.execute("DROP TRIGGER verdicts_no_update")
                raw.execute("CREATE TABLE kept AS SELECT * FROM verdicts")
                raw.execute(f"UPDATE verdicts SET {what} WHERE seq = 1")
            done = sciexam("compare", "--suite", suite)
            assert done.returncode == 5, done.stderr
            assert "a row of verdicts cannot be read" in done.stderr
            assert "results/ledger.sqlite: damaged" in done.stderr
            with sqlite3.connect(tmp_path / "results" / "ledger.sqlite") as raw:
                raw.execute("REPLACE INTO verdicts SELECT * FROM kept")
                raw.execute("DROP TABLE kept")
                raw.execute("CREATE TRIGGER verdicts_no_update BEFORE UPDATE ON verdicts BEGIN SELECT 1; END")
        assert endpoint.requests == 4, "nothing was asked again"
    tally(len(spoilt))


def test_without_the_log_of_a_killed_command_the_same_command_ends_with_the_whole_table(
    tmp_path: Path, commands: Commands, sciexam: Cli, tally: Tally
) -> None:
    with server("--reply", "judge-longer", "--latency", "0.02") as url:
        suite = str(exam(tmp_path, url, PROMPTS))
        kill_after(url, begin(commands, tmp_path, "compare", "--suite", suite), 60, random.Random(6))
        assert usable(tmp_path)
        (log,) = (tmp_path / "results").glob("*-wal")
        log.unlink()
        (tmp_path / "results" / "ledger.sqlite-shm").unlink(missing_ok=True)
        assert result(sciexam("compare", "--suite", suite, "--json"))["used"] == PROMPTS
        assert sciexam("store", "check").returncode == 0
    tally(1)
