"""The server answers 500, 502, 503 or 529, resets the line, or sends half a body, in one request of five."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import Cli
from endpoint import Endpoint
from judged import PROMPTS, exam, result, usable
from rows import Tally

FAULTS = ("500", "502", "503", "529", "reset", "half", "truncated")


@pytest.mark.slow
def test_faults_that_pass_cost_no_verdict(tmp_path: Path, sciexam: Cli, tally: Tally) -> None:
    with Endpoint("judge-longer", faults=dict.fromkeys(FAULTS, 0.2 / len(FAULTS)), seed=3) as endpoint:
        suite = exam(tmp_path, endpoint.url)
        assert result(sciexam("compare", "--suite", str(suite), "--json"))["used"] == PROMPTS
        met = endpoint.requests - 2 * PROMPTS
        assert met > 0, "the faults were really met"
        assert sum(endpoint.statuses[fault] for fault in FAULTS) == met
    tally(met, 2 * PROMPTS - len(usable(tmp_path)))


@pytest.mark.slow
def test_a_fault_that_stays_is_asked_a_bounded_number_of_times_and_ends_with_its_last_reason(
    tmp_path: Path, sciexam: Cli, tally: Tally
) -> None:
    with Endpoint("judge-longer", faults={"503": 1.0}) as endpoint:
        suite = exam(tmp_path, endpoint.url)
        done = sciexam("compare", "--suite", str(suite))
        assert done.returncode == 3, done.stderr
        said = "calls in a row failed, the last with: 503: The server had an error (503). (asked 6 times)"
        assert said in done.stderr
        assert f"0/{2 * PROMPTS} verdicts; run the same command to go on" in done.stderr
        assert max(endpoint.bodies.values()) == 6
        endpoint.faults = ()
        assert result(sciexam("compare", "--suite", str(suite), "--json"))["used"] == PROMPTS
    tally(endpoint.statuses["503"], 2 * PROMPTS - len(usable(tmp_path)))


def test_an_endpoint_that_is_not_there_ends_incomplete_and_names_it(tmp_path: Path, sciexam: Cli) -> None:
    suite = exam(tmp_path, "http://127.0.0.1:9/v1")
    done = sciexam("compare", "--suite", str(suite))
    assert done.returncode == 3
    assert "127.0.0.1:9" in done.stderr
    assert "is it running, is base_url: right?" in done.stderr
    assert "Traceback" not in done.stderr
