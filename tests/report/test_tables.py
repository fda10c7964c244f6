"""Tables on a terminal: nothing is cut, and the table stays a table as long as it can."""

from __future__ import annotations

import io

from rich.console import Console
from rich.text import Text

from sciexam.report.tables import Table, break_words, print_tables
from sciexam.stats import Estimate

HEAD = ("contestant", "rating", "win rate", "at equal length", "orders agree", "reward", "sd", "words", "n")
ESTIMATES = ("1690 [1593, 1787]", "0.88 [0.80, 0.93]", "n/a", "0.70 [0.64, 0.75]", "1.68 [1.48, 1.88]")
ROWS = [("the-first", *ESTIMATES, "0.84", "76", "72"), ("the-second", *ESTIMATES, "0.93", "73", "72")]


def printed(width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    print_tables([Table("A board", HEAD, ROWS)], console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_a_table_without_room_loses_empty_columns_and_then_its_last_intervals_before_it_falls_apart() -> None:
    wide, narrow, tight = "\n".join(printed(140)), "\n".join(printed(76)), "\n".join(printed(64))
    assert "equal" in wide
    assert "0.70 [0.64, 0.75]" in wide
    for shorter in (narrow, tight):
        assert "equal" not in shorter, "no row has a value there"
        assert "; win rate" not in shorter, "it is a table still"
        assert "[1593, 1787]" in shorter
    assert "[.64, .75]" in narrow
    assert "[.64, .75]" not in tight
    assert "No room here for the intervals of orders agree, reward." in tight
    assert "; win rate 0.88" in " ".join(" ".join(printed(30)).split()), "what has no room is in lines of its own"
    assert max(map(len, printed(76))) <= 76


def test_a_value_that_rounds_to_zero_has_no_sign() -> None:
    assert str(Estimate(-0.001, -0.004, 0.004, 0.95, 9, "m")) == "0.00 [0.00, 0.00]"
    assert str(Estimate(-0.051, -0.4, -0.004, 0.95, 9, "m")) == "-0.05 [-0.40, 0.00]"


def test_a_long_word_is_broken_after_a_mark_in_it_and_never_into_scraps() -> None:
    def broken(text: str, width: int) -> list[str]:
        return break_words(Text(text), width).plain.split("\n")

    assert broken("openai:gpt-4.1-mini and me", 12) == ["openai:gpt-", "4.1-mini and me"]
    assert broken("a:" + "b" * 20, 10) == ["a:" + "b" * 8, "b" * 10, "bb"]
    assert broken("openai:my-judge", 15) == ["openai:my-judge"]
