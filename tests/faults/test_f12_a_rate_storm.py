"""64 calls at once meet a server that takes 8."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import Cli
from endpoint import Endpoint
from judged import exam, result, usable
from rows import Tally

PROMPTS = 200


@pytest.mark.slow
def test_of_400_calls_none_is_lost_and_fewer_than_one_in_ten_is_refused(
    tmp_path: Path, sciexam: Cli, tally: Tally
) -> None:
    with Endpoint("judge-longer", capacity=8, latency=0.02) as endpoint:
        suite = exam(tmp_path, endpoint.url, PROMPTS, concurrency=64)
        pair = result(sciexam("compare", "--suite", str(suite), "--json"))
        assert (pair["used"], pair["failed"], pair["invalid"]) == (PROMPTS, 0, 0)
        assert 0 < endpoint.statuses["429"] < 0.10 * endpoint.requests
        assert endpoint.requests <= 1.2 * 2 * PROMPTS
    tally(2 * PROMPTS, 2 * PROMPTS - len(usable(tmp_path)))
