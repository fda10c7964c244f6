"""The server never answers, or sends one byte after the other and never comes to an end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conftest import Cli
from endpoint import Endpoint
from judged import exam, result, usable
from rows import Tally

PROMPTS = 10


@pytest.mark.parametrize("fault", ["drip", pytest.param("hang", marks=pytest.mark.slow)])
def test_a_call_that_stalls_is_asked_again_and_the_others_go_on_meanwhile(
    tmp_path: Path, sciexam: Cli, tally: Tally, fault: str
) -> None:
    others: list[int] = []

    def latency(_: object) -> float:
        others.append(endpoint.in_flight)
        return 0.0

    with Endpoint("judge-longer", faults=[fault], latency=latency, drip=0.005) as endpoint:
        suite = exam(tmp_path, endpoint.url, PROMPTS, timeout=2.0)
        pair = result(sciexam("compare", "--suite", str(suite), "--json"))
        assert (pair["used"], pair["failed"]) == (PROMPTS, 0)
        assert endpoint.requests == 2 * PROMPTS + 1
        assert len(others) == 2 * PROMPTS + 1
        # The stalled body is asked for once more, and all others came while it stalled.
        assert sorted(endpoint.bodies.values()) == [*[1] * (2 * PROMPTS - 1), 2]
        assert endpoint.received[-1] == endpoint.received[0]
    tally(1, 2 * PROMPTS - len(usable(tmp_path)))


def test_a_server_that_stays_silent_costs_two_timeouts_a_call_and_exits_with_3(
    tmp_path: Path, sciexam: Cli, tally: Tally
) -> None:
    with Endpoint("judge-longer", faults={"hang": 1.0}) as endpoint:
        suite = exam(tmp_path, endpoint.url, 2, timeout=0.5)
        done = sciexam("compare", "--suite", str(suite), "--json")
        assert done.returncode == 3, done.stderr
        reasons = json.loads(done.stdout)["pairs"][0]["reasons"]
        assert reasons == {"failed: timeout: no whole reply within 0.5 s (asked 2 times)": 2}
        assert max(endpoint.bodies.values()) == 2
    tally(endpoint.requests)
