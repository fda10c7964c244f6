"""With status 200 comes HTML, no choice, JSON of another shape, bare text, or an error."""

from __future__ import annotations

import json
import sqlite3
import zlib
from pathlib import Path

import pytest

from conftest import Cli
from endpoint import HTML, Endpoint
from judged import PROMPTS, exam, result, usable, verdict_rows
from rows import Tally

ODD = ("html", "empty_choices", "schema", "text", "error_200")


def test_what_is_no_answer_is_failed_by_name_keeps_its_body_and_is_asked_again_by_the_next_run(
    tmp_path: Path, sciexam: Cli, tally: Tally
) -> None:
    with Endpoint("judge-longer", faults=[None, *ODD]) as endpoint:
        suite = exam(tmp_path, endpoint.url, 10)
        done = sciexam("compare", "--suite", str(suite), "--json")
        assert done.returncode == 3, done.stderr
        pair = json.loads(done.stdout)["pairs"][0]
        assert pair["verdicts"] == {"ok": 20 - len(ODD), "invalid": 0, "failed": len(ODD)}
        assert pair["used"] + pair["failed"] == 10
        assert (pair["wins"], pair["losses"], pair["ties"]) == (pair["used"], 0, 0)
        assert all(
            reason.startswith(("failed: endpoint did not answer like OpenAI", "failed: the endpoint answered with an"))
            for reason in pair["reasons"]
        )
        assert endpoint.requests == 20, "asking at once again would not help"
        assert HTML in bodies(tmp_path)
        assert result(sciexam("compare", "--suite", str(suite), "--json"))["used"] == 10
        assert endpoint.requests == 20 + len(ODD)
    assert len(verdict_rows(tmp_path)) == 20 + len(ODD), "every attempt is kept"
    tally(len(ODD), 20 - len(usable(tmp_path)))


@pytest.mark.slow
def test_failed_calls_are_asked_again_by_the_next_run_and_keep_their_attempts(
    tmp_path: Path, sciexam: Cli, tally: Tally
) -> None:
    with Endpoint("judge-longer", faults={"html": 0.2}, seed=5) as endpoint:
        suite = exam(tmp_path, endpoint.url)
        first = sciexam("compare", "--suite", str(suite), "--json")
        assert first.returncode == 3, first.stderr
        assert json.loads(first.stdout)["pairs"][0]["failed"] > 0
        for _ in range(8):
            done = sciexam("compare", "--suite", str(suite), "--json")
            if done.returncode == 0:
                break
        assert result(done)["used"] == PROMPTS
    rows = verdict_rows(tmp_path)
    assert len({row[0] for row in rows}) == 2 * PROMPTS
    assert len(rows) == endpoint.requests > 2 * PROMPTS
    assert len(usable(tmp_path)) == 2 * PROMPTS
    tally(endpoint.statuses["html"])


def bodies(folder: Path) -> list[str]:
    """Every text of the ledger, of which the bodies of replies are some."""
    with sqlite3.connect(folder / "results" / "ledger.sqlite") as raw:
        return [zlib.decompress(body).decode() for (body,) in raw.execute("SELECT body FROM texts")]
