"""A private PostgreSQL server for the tests, and a ledger on each of the two databases.

The server lies in a temporary folder and listens on a Unix socket there, to nobody else. It is started once in a
session (with pytest-xdist, once in each worker that needs it), under another user where the tests run as root, since
PostgreSQL refuses that. Every test has a database of its own. Without an installed server these tests are skipped.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

USER = "sciexam"
GUARDED = "guarded"  # a role that needs a password, where a test makes it
OPTIONS = {"listen_addresses": "", "max_connections": "60", "shared_buffers": "32MB"}
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}  # the machine of a test does not lose its power


SLOWLY = ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]  # what many tests need, now and then on both


def programs() -> Path | None:
    """The folder of initdb and pg_ctl."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    if config := shutil.which("pg_config"):
        named = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=True).stdout
        folders.append(Path(named.strip()))
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "pg_ctl").exists()), None)


class Cluster:
    """A server of its own, made and started in a new folder. `durable`: with the server's own settings."""

    def __init__(self, bin: Path, durable: bool = False):
        self._bin, self._user = bin, _other_user()
        # Short, since the path of a socket has 107 bytes; and in memory, where there is room.
        self.folder = Path(tempfile.mkdtemp(prefix="sciexam-pg-", dir=None if durable else _memory()))
        if self._user:
            shutil.chown(self.folder, self._user)
        self._options = OPTIONS if durable else OPTIONS | NOT_DURABLE
        made = self._run("initdb", "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        assert made.returncode == 0, made.stderr
        rules = self.folder / "data" / "pg_hba.conf"
        rules.write_text(f"local all {GUARDED} scram-sha-256\n{rules.read_text()}")
        # The shell reads until this process ends, however it ends, so that no server is left behind.
        end = 'cat; "$0" -D "$1/data" -m immediate stop; rm -rf "$1"'
        self._end = subprocess.Popen(
            ["sh", "-c", end, str(self._bin / "pg_ctl"), str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=self._user,
            cwd="/",
            start_new_session=True,
        )
        self.start()

    def start(self) -> None:
        options = " ".join(f"-c {name}='{value}'" for name, value in self._options.items())
        started = self._run(
            "pg_ctl", "-w", "-o", f"-k {self.folder} {options}", "-l", str(self.folder / "log"), "start"
        )
        assert started.returncode == 0, (self.folder / "log").read_text()

    def stop(self, mode: str = "immediate") -> None:
        """Stop as by `pg_ctl`; "immediate" is a crash, after which the server recovers when it starts."""
        self._run("pg_ctl", "-m", mode, "stop")

    def close(self) -> None:
        assert self._end.stdin is not None
        self._end.stdin.close()
        self._end.wait(60)

    def url(self, database: str, user: str = USER) -> str:
        return f"postgresql://{user}@/{database}?host={self.folder}"

    def create(self) -> str:
        """The name of another, empty database."""
        name = f"ledger_{uuid.uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return name

    def drop(self, database: str) -> None:
        self.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    def execute(self, statement: str, database: str = "postgres", user: str = USER) -> list[tuple[Any, ...]]:
        """What a statement returns, each one a transaction of its own."""
        import psycopg

        with psycopg.connect(dbname=database, user=user, host=str(self.folder), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self._bin / program), "-D", str(self.folder / "data"), *arguments]
        # A server that is started keeps what it was given to write to: files, and no pipe that somebody waits for.
        with tempfile.TemporaryFile("w+") as said:
            done = subprocess.run(
                command, stdout=said, stderr=said, stdin=subprocess.DEVNULL, user=self._user, cwd="/", check=False
            )
            said.seek(0)
            return subprocess.CompletedProcess(command, done.returncode, "", said.read())


def _memory() -> str | None:
    """A file system in memory with a gigabyte free."""
    shared = Path("/dev/shm")
    return str(shared) if shared.is_dir() and shutil.disk_usage(shared).free > 2**30 else None


def _other_user() -> str | None:
    """Who runs the server where root may not."""
    if os.geteuid() != 0:
        return None
    known = {one.pw_name for one in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in known)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The server of this session."""
    pytest.importorskip("psycopg", reason="pip install 'sciexam[postgres]'")
    bin = programs()
    if bin is None:
        pytest.skip("no PostgreSQL server here: apt install postgresql")
    made = Cluster(bin)
    yield made
    made.close()


@pytest.fixture
def postgresql(cluster: Cluster) -> Iterator[str]:
    """The URL of an empty database."""
    name = cluster.create()
    yield cluster.url(name)
    cluster.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty ledger is to lie, on each of the two databases."""
    return place(request, tmp_path)


def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The same for a fixture of a module's own, with `params=SLOWLY`."""
    if request.param == "sqlite":
        return str(tmp_path / "ledger.sqlite")
    return str(request.getfixturevalue("postgresql"))


def raw(ledger: str, statement: str) -> list[tuple[Any, ...]]:
    """What one statement returns to another program than sciexam, committed."""
    if "://" not in ledger:
        import sqlite3

        with sqlite3.connect(ledger) as connection:
            return connection.execute(statement).fetchall()
    import psycopg

    with psycopg.connect(ledger, autocommit=True) as connection:
        cursor = connection.execute(statement)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []


def eventually(found: Any, seconds: float = 20.0) -> bool:
    """Whether `found()` becomes true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found():
            return True
        time.sleep(0.05)
    return False
