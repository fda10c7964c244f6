"""The reply is cut at its limit of tokens, also right behind what looks like a verdict."""

from __future__ import annotations

import json
from pathlib import Path

from conftest import Cli
from endpoint import Body, Endpoint, judge_longer
from judged import exam, result, verdict_rows
from rows import Tally

PROMPTS = 6


def test_a_reply_that_is_cut_is_asked_for_once_more_with_more_room_and_is_never_read(
    tmp_path: Path, sciexam: Cli, tally: Tally
) -> None:
    def cut(body: Body) -> Body:
        return endpoint.body(body, judge_longer(body), finish="length")

    with Endpoint(cut) as endpoint:
        suite = exam(tmp_path, endpoint.url, PROMPTS)
        done = sciexam("compare", "--suite", str(suite), "--json")
        assert done.returncode == 3, done.stderr
        pair = json.loads(done.stdout)["pairs"][0]
        assert (pair["used"], pair["invalid"], pair["wins"], pair["ties"], pair["losses"]) == (0, PROMPTS, 0, 0, 0)
        assert list(pair["reasons"]) == ["invalid: truncated"]
        asked: dict[str, list[int]] = {}
        for body in endpoint.received:
            asked.setdefault(body["messages"][-1]["content"], []).append(body["max_tokens"])
        assert len(asked) == 2 * PROMPTS
        assert all(len(room) == 2 and room[0] < room[1] for room in asked.values())
        requests = endpoint.requests
        assert sciexam("compare", "--suite", str(suite)).returncode == 3
        assert endpoint.requests == requests, "cut twice, it is not asked for again"
    assert len(verdict_rows(tmp_path)) == 4 * PROMPTS, "both attempts are kept"
    tally(endpoint.requests)


def test_with_more_room_a_reply_is_whole_and_counts(tmp_path: Path, sciexam: Cli, tally: Tally) -> None:
    def needs_room(body: Body) -> Body:
        least = min(asked["max_tokens"] for asked in endpoint.received)
        return endpoint.body(body, judge_longer(body), finish="length" if body["max_tokens"] == least else "stop")

    with Endpoint(needs_room) as endpoint:
        suite = exam(tmp_path, endpoint.url, PROMPTS)
        pair = result(sciexam("compare", "--suite", str(suite), "--json"))
        assert (pair["used"], pair["wins"]) == (PROMPTS, PROMPTS)
        assert endpoint.requests == 4 * PROMPTS
    tally(2 * PROMPTS)
