"""The comparisons of a report as figures name, colour and count them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sciexam.report.figures.frame import name_of
from sciexam.report.record import Pair, Report
from sciexam.stats import Estimate

TWO, THREE = 145.0, 88.0  # points that each of two or of three names has in a heading
MOST = 6  # comparisons that have a picture each; more of them are read in one picture, or in the tables


def places(contestants: Sequence[str]) -> Mapping[str, int]:
    """By which place of a palette each contestant is coloured."""
    return {name: number for number, name in enumerate(contestants)}


def judges_of(pairs: Iterable[Pair]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(pair.judge for pair in pairs))


def heading(report: Report, pair: Pair) -> str:
    """Who meets whom, and by whose judgement where several judged; fit to be drawn."""
    if len(judges_of(report.pairs)) == 1:
        return f"{name_of(pair.b, TWO, bold=True)} against {name_of(pair.a, TWO, bold=True)}"
    b, a, judge = (name_of(name, THREE, bold=True) for name in (pair.b, pair.a, pair.judge))
    return f"{b} against {a}, by {judge}"


def in_full(pair: Pair) -> str:
    """The same in words, with every name whole."""
    return f"{pair.b} against {pair.a} by {pair.judge}"


def first_of(shown: int, all_of_them: int) -> str:
    """A sentence where not all comparisons are shown; empty where they are."""
    return f" These are the first {shown} of {all_of_them} comparisons." if shown < all_of_them else ""


def uncorrected(shown: int) -> str:
    """A sentence where several intervals are looked at; empty where there is one."""
    return " The intervals are not corrected for looking at several." if shown > 1 else ""


def known_at(report: Report) -> tuple[float, str]:
    """The level of the win rates of pairs, and a sentence that says whether it is that of all of them together."""
    if not report.watched:
        return report.level, uncorrected(len(report.pairs))
    level = next((one.win_rate.level for one in report.pairs if isinstance(one.win_rate, Estimate)), report.level)
    several = " and the level is corrected for the number of comparisons" if len(report.pairs) > 1 else ""
    return round(level, 4), f" Each is a confidence sequence where it stopped{several}."


def percent(share: float) -> str:
    return f"{100 * share:g}\u00a0%"
