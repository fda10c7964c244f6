"""The raw replies of two published benchmarks, read in the forms that were made for them."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

from sciexam.judges.parsing import Parsed, parse_verdict


def rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(row) for row in file]


def test_all_of_llmbars_chain_of_thought_replies_are_read_as_llmbar_read_them(shared_data: Path) -> None:
    """GPT-4's and ChatGPT's `CoT` replies (arXiv 2310.07641); `presented_winner` is what the origin read.

    Where both sentences occur the origin takes (a) and this form none; no one of the 1,676 replies has both.
    """
    replies = rows(shared_data / "llmbar" / "raw_cot.jsonl.gz")
    origin: list[tuple[str | None, str]] = [
        {"a": ("first", ""), "b": ("second", ""), None: (None, "no verdict")}[row["presented_winner"]]
        for row in replies
    ]
    parsed = [parse_verdict(row["text"], "output-ab", "") for row in replies]
    assert [(p.preferred, p.failure) for p in parsed] == origin
    assert Counter(side for side, _ in origin) == {"first": 1020, "second": 651, None: 5}


LEVELS = {
    "A>>B": ("first", "strong"),
    "A>B": ("first", "clear"),
    "A=B": ("tie", None),
    "B>A": ("second", "clear"),
    "B>>A": ("second", "strong"),
}
DECISIONS = {"A>B": "first", "B>A": "second", "A=B": "tie"}


def test_all_of_judgebenchs_arena_hard_replies_are_read_as_judgebench_read_them(shared_data: Path) -> None:
    """o1-mini's replies (arXiv 2410.12784): the last 120 characters of each, and all [[...]] of the whole text.

    In 25 of the 700 the token stands before the 120 characters that are kept; it is put where it was, before them.
    """
    replies = rows(shared_data / "judgebench" / "raw_tails.jsonl.gz")
    before = 0
    for row in replies:
        tokens = [f"[[{token}]]" for token in row["bracket_tokens"]]
        text = row["tail"]
        if not all(token in text for token in tokens):
            before += 1
            text = " ".join(tokens) + text
        parsed = parse_verdict(text, "last-brackets", "")
        assert parsed.preferred == DECISIONS[row["decision"]]
        assert (parsed.preferred, parsed.strength) == LEVELS[row["bracket_tokens"][0]]
    assert (len(replies), before) == (700, 25)


def test_what_an_origin_reads_as_its_first_choice_is_two_verdicts_here() -> None:
    both = "Output (b) is better in style, but on the whole Output (a) is better."
    assert parse_verdict(both, "output-ab", "") == Parsed(failure="two verdicts")
    assert parse_verdict("[[A>B]], no: [[B>A]]", "last-brackets", "") == Parsed(failure="two verdicts")
