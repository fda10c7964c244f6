"""An answer of 300 kB makes the judge's prompt longer than its context."""

from __future__ import annotations

import json
from pathlib import Path

from conftest import Cli, answers
from endpoint import Body, Endpoint, judge_longer, prompt_of
from judged import exam, usable
from rows import Tally

CONTEXT = 100_000  # characters that the server takes
PROMPTS = 8


def test_a_prompt_that_is_too_long_is_sent_whole_and_fails_alone_by_name(
    tmp_path: Path, sciexam: Cli, tally: Tally
) -> None:
    long = "".join(f"Reason {number}. " for number in range(24_000))
    assert len(long) > 300_000

    def judge(body: Body) -> str:
        assert len(prompt_of(body)) < CONTEXT
        return judge_longer(body)

    with Endpoint(judge) as endpoint:
        endpoint._draw = lambda _: "too_long" if len(prompt_of(endpoint.received[-1])) > CONTEXT else None  # type: ignore[method-assign]
        suite = exam(tmp_path, endpoint.url, PROMPTS)
        texts = [f"Because of {number}, and that for a reason." for number in range(PROMPTS - 1)]
        answers(tmp_path, "new", [*texts, long])
        done = sciexam("compare", "--suite", str(suite), "--json")
        assert done.returncode == 3, done.stderr
        pair = json.loads(done.stdout)["pairs"][0]
        assert (pair["used"], pair["failed"], pair["wins"]) == (PROMPTS - 1, 1, PROMPTS - 1)
        [reason] = pair["reasons"]
        assert reason.startswith("failed: too-long: This model's maximum context length is 8192 tokens")
        sent = [prompt_of(body) for body in endpoint.received if len(prompt_of(body)) > CONTEXT]
        assert len(sent) == 2, "asking again would not help"
        assert all(long in text for text in sent), "an answer was cut in silence"
    assert len(usable(tmp_path)) == 2 * (PROMPTS - 1)
    tally(2)
