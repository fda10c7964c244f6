"""The comparisons of a report as figures name, colour and count them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sciexam.report.figures.frame import name_of
from sciexam.report.record import Pair, Report

MOST = 6  # comparisons that have a picture each; more of them are read in one picture, or in the tables


def places(contestants: Sequence[str]) -> Mapping[str, int]:
    """By which place of a palette each contestant is coloured."""
    return {name: number for number, name in enumerate(contestants)}


def judges_of(pairs: Iterable[Pair]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(pair.judge for pair in pairs))


def heading(report: Report, pair: Pair) -> str:
    """Who meets whom, and by whose judgement where several judged; fit to be drawn."""
    who = f"{name_of(pair.b)} against {name_of(pair.a)}"
    return f"{who}, by {name_of(pair.judge)}" if len(judges_of(report.pairs)) > 1 else who


def in_full(pair: Pair) -> str:
    """The same in words, with every name whole."""
    return f"{pair.b} against {pair.a} by {pair.judge}"


def first_of(shown: int, all_of_them: int) -> str:
    """A sentence where not all comparisons are shown; empty where they are."""
    return f" These are the first {shown} of {all_of_them} comparisons." if shown < all_of_them else ""


def percent(share: float) -> str:
    return f"{100 * share:g}\u00a0%"
