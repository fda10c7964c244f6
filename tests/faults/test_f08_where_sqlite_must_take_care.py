"""The ledger lies on a network file system, or SQLite has the bug that damages a file when two write at once."""

from __future__ import annotations

import fcntl
import sqlite3
from itertools import islice
from pathlib import Path

import pytest

import sciexam as sx
from conftest import answers, write_suite
from rows import Tally
from sciexam import doctor
from sciexam.errors import StoreError
from sciexam.store import Store, file_system
from sciexam.types import Reply

FACT = Reply("0" * 64, "said")


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the system's list of mounts says is on NFS; a space in its name is written there as \\040."""
    folder = tmp_path / "a share"
    folder.mkdir()
    mounts = tmp_path / "mountinfo"
    escaped = str(folder).replace(" ", "\\040")
    mounts.write_text(
        f"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n97 22 0:51 / {escaped} rw shared:3 - nfs4 host:/x rw,vers=4.2\n"
    )
    monkeypatch.setattr(file_system, "MOUNTS", mounts)
    return folder


def journal_of(file: Path) -> str:
    with sqlite3.connect(file) as raw:
        return str(raw.execute("PRAGMA journal_mode").fetchone()[0])


def test_on_a_network_file_system_the_rollback_journal_is_used_and_said(
    tmp_path: Path, network: Path, caplog: pytest.LogCaptureFixture, tally: Tally
) -> None:
    texts = {name: [f"{name} says {i}." for i in range(20)] for name in ("old", "new")}
    models = {name: {"responses": answers(tmp_path, name, said)} for name, said in texts.items()}
    suite = sx.load_suite(str(write_suite(tmp_path, 20, models)))
    report = sx.compare(suite, "old", "new", results=network)
    assert report.pairs["old", "new"].used == 20
    assert journal_of(network / "ledger.sqlite") == "delete"
    assert not list(network.glob("*-wal"))
    assert "network file system (nfs4)" in caplog.text
    assert "--store postgresql://USER@HOST/DATABASE" in caplog.text
    local = tmp_path / "local"
    assert sx.compare(suite, "old", "new", results=local).pairs["old", "new"] == report.pairs["old", "new"]
    assert journal_of(local / "ledger.sqlite") == "wal"
    tally(2)


def test_a_ledger_that_is_moved_to_a_network_file_system_gives_its_log_up(
    tmp_path: Path, network: Path, tally: Tally
) -> None:
    with Store(tmp_path / "ledger.sqlite") as store:
        store.append([FACT])
    (tmp_path / "ledger.sqlite").rename(network / "ledger.sqlite")
    with Store(network / "ledger.sqlite") as store:
        assert store.replies([FACT.key]).keys() == {FACT.key}
    assert journal_of(network / "ledger.sqlite") == "delete"
    tally(1)


def test_every_write_waits_for_a_lock_beside_the_file_whatever_sqlite_does(tmp_path: Path, tally: Tally) -> None:
    """The bug needs two connections that write or checkpoint at once; this lock lets one."""
    with Store(tmp_path / "ledger.sqlite") as store:
        with (tmp_path / "ledger.sqlite.lock").open("w") as held, pytest.MonkeyPatch.context() as patch:

            def refused(file: object) -> None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # type: ignore[arg-type]

            fcntl.flock(held, fcntl.LOCK_EX)
            patch.setattr("sciexam.store.sqlite.hold", refused)
            for write in (lambda: store.append([FACT]), lambda: store.claim([FACT.key]), store.database.shred):
                with pytest.raises(StoreError, match="temporarily unavailable"):
                    write()
        store.append([FACT])
    tally(3)


def test_doctor_warns_of_a_sqlite_with_the_bug_and_of_a_network_file_system(
    tmp_path: Path, network: Path, monkeypatch: pytest.MonkeyPatch, tally: Tally
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 51, 2))
    Store(network / "ledger.sqlite").close()
    found = doctor.examine(None, str(network / "ledger.sqlite"), tmp_path)
    warnings = {one.topic: one.text for one in islice(found, 5) if one.state == "warning"}
    assert "has the WAL-reset bug" in warnings["sqlite"]
    assert "lies on a network file system (nfs4)" in warnings["store"]
    tally(2)
