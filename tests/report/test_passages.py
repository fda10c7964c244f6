"""What is code in an answer, and that nothing is lost or added where it is parted."""

from __future__ import annotations

import pytest

from sciexam.report.passages import passages_of
from sciexam.report.plain_text import plain_text


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("no code", []),
        ("a\n```python\nx = 1\n```\nb", [("block", "```python\nx = 1\n```\n")]),
        ("~~~\n```\n~~~~ \nb", [("block", "~~~\n```\n~~~~ \n")]),
        ("````\n```\n````", [("block", "````\n```\n````")]),
        ("an unclosed one\n```\nx\n\ny", [("block", "```\nx\n\ny")]),
        ("1. in a list\n   ```\n   x\n   ```\n2. b", [("block", "   ```\n   x\n   ```\n")]),
        ("```\r\nx\r\n```\r\nb", [("block", "```\nx\n```\n")]),
        ("use `f(x)` or `g`, ``not this``, nor `that\nor` this", [("code", "`f(x)`"), ("code", "`g`")]),
        ("```x``` within a line", []),
        ("```\nx\n``` not its end\n```\n`y`", [("block", "```\nx\n``` not its end\n```\n"), ("code", "`y`")]),
        ("", []),
    ],
)
def test_fences_and_backticks_make_code_and_all_passages_are_the_text(text: str, code: list[tuple[str, str]]) -> None:
    found = list(passages_of(text))
    assert "".join(passage.text for passage in found) == plain_text(text)
    assert [(passage.kind, passage.text) for passage in found if passage.kind != "prose"] == code


def test_many_backticks_and_fences_take_no_time() -> None:
    for text in ("`" * 200_000, "` " * 100_000, "```\n" * 50_000, "`a" * 100_001, " " * 200_000 + "```"):
        assert "".join(passage.text for passage in passages_of(text)) == text
