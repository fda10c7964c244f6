"""The PostgreSQL server of the ledger crashes, is stopped for 20 seconds and started again, or stays away."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from conftest import COMMAND, Cli, clean_environment
from endpoint import Endpoint
from judged import PROMPTS, exam, result
from postgres import Cluster, programs, raw
from rows import Tally
from sciexam.errors import StoreError
from sciexam.store import Store, database
from sciexam.types import Reply

# The command line with less patience than the minute that it has.
HASTY = """
import sys
from sciexam.store import database
database.PATIENCE = 1.0
from sciexam.cli import main
main()
"""


def begun(folder: Path, suite: Path, store: str, *more: str, code: str = "") -> subprocess.Popen[str]:
    program = [sys.executable, "-c", code] if code else [str(COMMAND)]
    command = [*program, "compare", "old", "new", "--suite", str(suite), "--store", store, *more]
    return subprocess.Popen(
        command, cwd=folder, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(endpoint: Endpoint, requests: int, child: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 60
    while endpoint.requests < requests:
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


# ---------------------------------------------------------------- a command


@pytest.mark.parametrize(
    ("mode", "seconds"),
    [("immediate", 1.0), pytest.param("fast", 20.0, marks=pytest.mark.slow)],
    ids=["crashed", "away for 20 s"],
)
def test_a_server_that_was_away_costs_no_verdict_and_no_call(
    tmp_path: Path, cluster: Cluster, postgresql: str, tally: Tally, mode: str, seconds: float
) -> None:
    with Endpoint("judge-longer", latency=0.05) as endpoint:
        suite = exam(tmp_path, endpoint.url)
        child = begun(tmp_path, suite, postgresql, "--json")
        try:
            wait_for(endpoint, 20, child)
            cluster.stop(mode)
            assert child.poll() is None
            time.sleep(seconds)
        finally:
            cluster.start()
        out, err = child.communicate(timeout=100)
        assert child.returncode == 0, err
        assert json.loads(out)["pairs"][0]["used"] == PROMPTS
        assert endpoint.requests == 2 * PROMPTS
        kept = raw(postgresql, "SELECT count(*), count(DISTINCT key) FROM verdicts WHERE status = 0")
        assert kept == [(2 * PROMPTS, 2 * PROMPTS)]
        assert "Traceback" not in err
    tally(2 * PROMPTS, 2 * PROMPTS - kept[0][1])


@pytest.mark.slow
def test_a_server_that_stays_away_ends_the_command_with_5_and_the_same_command_goes_on(
    tmp_path: Path, cluster: Cluster, postgresql: str, sciexam: Cli, tally: Tally
) -> None:
    with Endpoint("judge-longer", latency=0.05) as endpoint:
        suite = exam(tmp_path, endpoint.url)
        child = begun(tmp_path, suite, postgresql, code=HASTY)
        try:
            wait_for(endpoint, 20, child)
            cluster.stop("fast")
            _, err = child.communicate(timeout=60)
        finally:
            cluster.start()
        assert child.returncode == 5, err
        assert "the server is away" in err
        assert "start it, or name another ledger with --store. It was tried again for 1 s" in err
        assert "Traceback" not in err
        safe = raw(postgresql, "SELECT count(DISTINCT key) FROM verdicts WHERE status = 0")[0][0]
        before = endpoint.requests
        assert 0 < safe < 2 * PROMPTS
        again = sciexam("compare", "old", "new", "--suite", str(suite), "--store", postgresql, "--json")
        assert result(again)["used"] == PROMPTS
        assert endpoint.requests - before == 2 * PROMPTS - safe
    tally(1)


@pytest.mark.slow
def test_sessions_that_the_server_ends_cost_no_call(tmp_path: Path, cluster: Cluster, postgresql: str) -> None:
    name = urlsplit(postgresql).path.removeprefix("/")
    with Endpoint("judge-longer", latency=0.2) as endpoint:
        suite = exam(tmp_path, endpoint.url)
        child = begun(tmp_path, suite, postgresql, "--json")
        for asked in (10, 30, 50):
            wait_for(endpoint, asked, child)
            ended = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
            assert cluster.execute(ended), "there were sessions to end"
        out, err = child.communicate(timeout=100)
        assert child.returncode == 0, err
        assert json.loads(out)["pairs"][0]["used"] == PROMPTS
        assert endpoint.requests == 2 * PROMPTS
    assert raw(postgresql, "SELECT count(*), count(DISTINCT key) FROM verdicts") == [(2 * PROMPTS, 2 * PROMPTS)]


# ---------------------------------------------------------------- a ledger


def key(name: object) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()


def reply(name: object) -> Reply:
    return Reply(key(name), f"text {name}", raw=b"{}", model="m")


@pytest.fixture
def durable() -> Iterator[Cluster]:
    """A server of its own, with PostgreSQL's own settings."""
    pytest.importorskip("psycopg", reason="pip install 'sciexam[postgres]'")
    bin = programs()
    if bin is None:
        pytest.skip("no PostgreSQL server here: apt install postgresql")
    made = Cluster(bin, durable=True)
    yield made
    made.close()


@pytest.mark.slow
def test_a_server_that_crashes_and_comes_back_has_all_that_was_acknowledged(durable: Cluster) -> None:
    url = durable.url(durable.create())
    told: list[str] = []
    with Store(url) as store, Store(url) as other:
        assert store.claim([key("mine")]) == {key("mine")}
        with store.writer(lambda facts: told.extend(fact.key for fact in facts)) as writer:
            for number in range(400):
                if number in (100, 250):
                    durable.stop("immediate")
                    threading.Timer(1.0, durable.start).start()
                writer.put(reply(number))
        assert len(told) == 400
        assert other.claim([key("mine")]) == set(), "its process is alive"
        assert len(other.replies(told)) == 400
    assert raw(url, "SELECT count(*), count(DISTINCT key), max(attempt) FROM replies") == [(400, 400, 0)]


def test_a_server_that_stays_away_is_said_in_one_line(durable: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "PATIENCE", 0.5)
    with Store(durable.url(durable.create())) as store:
        store.append([reply(1)])
        durable.stop("fast")
        with pytest.raises(StoreError, match=r"the server is away \(.*\);.* --store\. It was tried again for") as said:
            store.append([reply(2)])
        assert "\n" not in str(said.value)
        durable.start()
        store.append([reply(3)])
        assert store.replies([key(n) for n in (1, 2, 3)]).keys() == {key(1), key(3)}


# ---------------------------------------------------------------- reading and forgetting
