"""The server answers 429: without a word of when, with 1 second, with a date, or with 300 seconds."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import pytest

from conftest import Cli
from endpoint import Endpoint
from judged import exam, result, usable
from rows import Tally

PROMPTS = 20


@pytest.mark.parametrize(
    ("fault", "least"),
    [
        ("429:1", 0.9),
        pytest.param("429", 0.0, marks=pytest.mark.slow),
        pytest.param("429:date:2", 0.9, marks=pytest.mark.slow),
        pytest.param("503:1", 0.9, marks=pytest.mark.slow),
    ],
)
def test_a_server_that_asks_for_a_wait_gets_it_and_no_verdict_is_lost(
    tmp_path: Path, sciexam: Cli, tally: Tally, fault: str, least: float
) -> None:
    arrivals: list[float] = []

    def latency(_: object) -> float:
        arrivals.append(time.monotonic())
        return 0.0

    with Endpoint("judge-longer", faults=[None, None, fault, fault], latency=latency) as endpoint:
        suite = exam(tmp_path, endpoint.url, PROMPTS)
        pair = result(sciexam("compare", "--suite", str(suite), "--json"))
        assert pair["used"] == PROMPTS
        assert endpoint.statuses[fault.partition(":")[0]] == 2, "the faults were really met"
        assert endpoint.requests == 2 * PROMPTS + 2
        assert max(later - earlier for earlier, later in pairwise(sorted(arrivals))) >= least, "all calls waited"
    tally(2, 2 * PROMPTS - len(usable(tmp_path)))


def test_a_wait_above_max_wait_ends_the_command_with_3_and_the_same_command_goes_on(
    tmp_path: Path, sciexam: Cli, tally: Tally
) -> None:
    with Endpoint("judge-longer", faults=[*[None] * 12, *["429:300"] * 100]) as endpoint:
        suite = exam(tmp_path, endpoint.url, PROMPTS)
        done = sciexam("compare", "--suite", str(suite))
        assert done.returncode == 3, done.stderr
        assert "the endpoint asks to wait 300 s, longer than --max-wait 120" in done.stderr
        assert "run the same command to go on" in done.stderr
        kept = usable(tmp_path)
        assert len(kept) == 12
        assert endpoint.requests <= 12 + 8
        endpoint.faults = ()
        before = endpoint.requests
        assert result(sciexam("compare", "--suite", str(suite), "--json"))["used"] == PROMPTS
        assert endpoint.requests - before == 2 * PROMPTS - len(kept)
    tally(1, len(kept - usable(tmp_path)))
