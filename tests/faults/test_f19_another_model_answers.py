"""The server answers as another model than was asked for."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from conftest import Cli
from endpoint import Endpoint
from judged import exam
from rows import Tally


def test_another_model_is_recorded_and_warned_of_and_strict_model_exits_with_4(
    tmp_path: Path, sciexam: Cli, tally: Tally
) -> None:
    with Endpoint("judge-longer", model="judge-2-mini") as endpoint:
        suite = exam(tmp_path, endpoint.url, 6)
        done = sciexam("compare", "--suite", str(suite), "--json")
        assert done.returncode == 0, done.stderr
        said = "'judge-1' was asked for, but 12 replies came from 'judge-2-mini'"
        assert any(said in caveat for caveat in json.loads(done.stdout)["caveats"])
        with sqlite3.connect(tmp_path / "results" / "ledger.sqlite") as raw:
            count = "SELECT count(*) FROM replies JOIN names ON model = names.id WHERE name = ?"
            assert raw.execute(count, [b"judge-2-mini"]).fetchone() == (12,)
        strict = sciexam("compare", "--suite", str(suite), "--strict-model")
        assert strict.returncode == 4
        assert "--strict-model:" in strict.stderr
        assert said in strict.stderr
        requests = endpoint.requests
        fresh = sciexam("compare", "--suite", str(suite), "--strict-model", "--results", "strict")
        assert fresh.returncode == 4, fresh.stderr
        assert "'judge-2-mini'" in fresh.stderr
        assert endpoint.requests - requests < 12, "it stopped at the first stranger"
    tally(endpoint.requests)


def test_the_date_of_a_model_is_no_other_model(tmp_path: Path, sciexam: Cli) -> None:
    with Endpoint("judge-longer", model="judge-1-2026-01-31") as endpoint:
        suite = exam(tmp_path, endpoint.url, 4)
        done = sciexam("compare", "--suite", str(suite), "--strict-model", "--json")
        assert done.returncode == 0, done.stderr
        assert not any("was asked for" in caveat for caveat in json.loads(done.stdout)["caveats"])
