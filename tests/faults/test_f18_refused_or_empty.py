"""The judge refuses, is stopped by a content filter, says nothing, or answers with null."""

from __future__ import annotations

from pathlib import Path

from conftest import Cli
from endpoint import Endpoint
from judged import exam, result
from rows import Tally

WHY = {"refusal": "refused", "content_filter": "refused", "empty": "empty", "null": "empty"}
PROMPTS = 12


def test_refusals_and_silence_are_invalid_counted_apart_and_never_a_verdict(
    tmp_path: Path, sciexam: Cli, tally: Tally
) -> None:
    with Endpoint("judge-longer", faults=[*WHY, *WHY]) as endpoint:
        suite = exam(tmp_path, endpoint.url, PROMPTS, concurrency=1, orders="one")
        done = sciexam("compare", "--suite", str(suite), "--json")
        pair = result(done)
        assert pair["verdicts"] == {"ok": PROMPTS - 8, "invalid": 8, "failed": 0}
        assert (pair["used"], pair["invalid"], pair["wins"]) == (PROMPTS - 8, 8, PROMPTS - 8)
        assert pair["reasons"] == {"invalid: refused": 4, "invalid: empty": 4}
        bounds = pair["bounds"]
        assert bounds["low"] < bounds["high"] == 1.0, "had the missing ones all been lost or won"
        assert endpoint.requests == PROMPTS
        assert result(sciexam("compare", "--suite", str(suite), "--json"))["invalid"] == 8
        assert endpoint.requests == PROMPTS, "drawing until it can be used would select"
        retried = sciexam("compare", "--suite", str(suite), "--json", "--retry-invalid")
        assert result(retried)["used"] == PROMPTS
    tally(8)
