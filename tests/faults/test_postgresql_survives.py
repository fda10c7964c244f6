"""The real command line over a ledger in PostgreSQL: what it prints, and what it survives."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clicker import Clicker
from conftest import COMMAND, Cli, clean_environment
from endpoint import Endpoint
from judged import PROMPTS, exam
from postgres import raw
from study import Study

PASSWORD = "correct-horse-battery"
# When a command ran, and where its ledger lies: also in the commands that a report says to type next.
TIMES = {"started", "argv", "command"}


def untimed(value: Any) -> Any:
    """`value` without times and places."""
    if isinstance(value, dict):
        return {name: untimed(one) for name, one in value.items() if name not in TIMES}
    return [untimed(one) for one in value] if isinstance(value, list) else value


def reports(results: Path) -> dict[str, Any]:
    """Every JSON file of the runs in `results`, by its place."""
    found = {str(path.relative_to(results)): json.loads(path.read_text()) for path in results.rglob("report.json")}
    assert found, list(results.rglob("*"))
    return {name: untimed(one) for name, one in found.items()}


def begun(folder: Path, suite: Path, store: str, *more: str) -> subprocess.Popen[str]:
    command = [str(COMMAND), "compare", "old", "new", "--suite", str(suite), "--store", store, *more]
    return subprocess.Popen(
        command, cwd=folder, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.slow
def test_the_commands_print_over_postgresql_what_they_print_over_sqlite(
    tmp_path: Path, postgresql: str, sciexam: Cli
) -> None:
    with Endpoint("judge-longer") as endpoint:
        suite = exam(tmp_path, endpoint.url, prompts=12)
        told: dict[str, list[Any]] = {}
        asked: list[int] = []
        for name, store in (("files", str(tmp_path / "ledger.sqlite")), ("server", postgresql)):
            where = ("--suite", str(suite), "--store", store, "--results", name, "--json")
            for command in (("compare", "old", "new"), ("leaderboard",), ("agree", "old", "new", "--judge", "llm")):
                done = sciexam(*command, *where, env={"PGPASSWORD": PASSWORD})
                assert done.returncode == 0, done.stderr
                assert PASSWORD not in done.stdout + done.stderr
                # The commands that are named next have the ledger and the folder, too.
                said = done.stdout.replace(shlex.quote(store), "LEDGER").replace(
                    f"--results {name}", "--results FOLDER"
                )
                told.setdefault(name, []).append(untimed(json.loads(said)))
            asked.append(endpoint.requests)
        assert asked[1] == 2 * asked[0]
    assert told["files"] == told["server"]
    assert reports(tmp_path / "files") == reports(tmp_path / "server")
    written = [path.read_bytes() for path in (tmp_path / "server").rglob("*") if path.is_file()]
    assert not any(PASSWORD.encode() in one for one in written)


def test_two_processes_on_one_ledger_ask_for_each_key_once(tmp_path: Path, postgresql: str) -> None:
    with Endpoint("judge-longer", latency=0.05) as endpoint:
        suite = exam(tmp_path, endpoint.url)
        children = [begun(tmp_path, suite, postgresql, "--json", "--results", f"r{n}") for n in range(2)]
        outs = [child.communicate(timeout=100) for child in children]
        assert [child.returncode for child in children] == [0, 0], outs
        first, second = (json.loads(out)["pairs"] for out, _ in outs)
        assert first == second
        assert endpoint.requests == 2 * PROMPTS
    assert raw(postgresql, "SELECT count(*), count(DISTINCT key) FROM verdicts") == [(2 * PROMPTS, 2 * PROMPTS)]


@pytest.mark.slow
def test_a_full_server_ends_the_command_with_5_and_keeps_what_it_has(tmp_path: Path, postgresql: str) -> None:
    with Endpoint("judge-longer", latency=0.05) as endpoint:
        suite = exam(tmp_path, endpoint.url)
        child = begun(tmp_path, suite, postgresql)
        wait_for(lambda: endpoint.requests >= 20, child)
        raw(
            postgresql,
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION "
            "'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$;"
            "CREATE TRIGGER full_disk BEFORE INSERT ON texts EXECUTE FUNCTION full_disk()",
        )
        _, err = child.communicate(timeout=100)
        assert child.returncode == 5, err
        assert "no space left" in err.splitlines()[-2]
        assert 0 < raw(postgresql, "SELECT count(*) FROM verdicts WHERE status = 0")[0][0] < 2 * PROMPTS


@pytest.mark.slow
def test_people_judge_on_a_page_whose_ledger_is_a_server(study: Callable[..., Study], postgresql: str) -> None:
    served = study("--annotators", "1", "--store", postgresql, prompts=3)
    clicker = Clicker(served.links["annotator-1"], seed=1)
    clicker.run()
    assert (clicker.failure, len(clicker.acknowledged)) == ("", 3)
    assert served.stop() == 0
    assert raw(postgresql, "SELECT count(*) FROM judgements") == [(3,)]
    assert raw(postgresql, "SELECT count(*) FROM verdicts WHERE kind = 1") == [(3,)]


def wait_for(reached: Callable[[], bool], child: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 60
    while not reached():
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)
