"""What annotators do on the real page, and what the ledger and the commands after it make of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from study import Study

Serve = Callable[..., Study]
Open = Callable[..., Any]


def press_and_wait(page: Any, key: str) -> None:
    before = page.url
    page.keyboard.press(key)
    page.wait_for_url(lambda url: url != before)


def test_one_key_judges_and_the_next_item_opens(study: Serve, opened: Open) -> None:
    served = study("--annotators", "1", prompts=3)
    page = opened(served.links["annotator-1"])
    for key in "142":
        press_and_wait(page, key)
    assert "Nothing left to judge" in page.inner_text("main")
    _, done, _ = served.kept()
    assert [one.choice for one in done] == ["left-much", "right-much", "left-slightly"]
