"""What a leaderboard says in sentences: who leads, who is not told apart, how a pair came out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sciexam.report.record import Figure
from sciexam.report.standings.leaderboard import Leaderboard, Meeting, Row
from sciexam.report.wording import percent
from sciexam.stats import Estimate, Undefined

UNTESTED = "nothing is tested or corrected here, as `sciexam compare` does, which can call it undecided"
NAMED = 4  # contestants that a sentence names; more of them are counted


def answer(board: Leaderboard) -> str:
    """Who leads, and who may hold rank 1 as well."""
    ranked = [row for row in board.rows if row.rank_low is not None]
    if not ranked:
        why = next(
            (row.rating.why for row in board.rows if isinstance(row.rating, Undefined)), "there is no contestant"
        )
        return f"Nobody can be ranked: {why}."
    level = percent(board.level)
    first = [row for row in ranked if row.rank_low == 1]
    leader = ranked[0]
    if [row.contestant for row in first] == [leader.contestant]:
        return f"{leader.contestant} leads: at {level} no other contestant may hold rank 1."
    ahead = "has the highest rating" if isinstance(leader.rating, Estimate) else "stands first"
    others = [row.contestant for row in first if row is not leader]
    if len(first) == len(ranked):
        return (
            f"{leader.contestant} {ahead}, but nobody leads: at {level} each of the {len(ranked)} ranked contestants "
            "may hold rank 1."
        )
    return f"{leader.contestant} {ahead}, but at {level} {listed(others)} may hold rank 1 as well."


def place(board: Leaderboard, row: Row) -> str:
    """Where a contestant stands, and with whom it shares its tie group."""
    if row.rank_low is None:
        why = row.rating.why if isinstance(row.rating, Undefined) else "it has no battle"
        return f"{row.contestant} has no rank: {why}."
    ranked = sum(one.rank_low is not None for one in board.rows)
    range_ = (
        f"rank {row.rank_low}" if row.rank_low == row.rank_high else f"a rank from {row.rank_low} to {row.rank_high}"
    )
    said = f"{row.contestant} holds {range_} of {ranked} at {percent(board.level)}"
    tied = [one.contestant for one in board.rows if one.tie_group == row.tie_group and one is not row]
    if row.tie_group is None or not tied:
        return f"{said}."
    met = {name for one in board.meetings if row.contestant in (one.a, one.b) for name in (one.a, one.b)}
    never = [name for name in tied if name not in met]
    unmet = f"; it never met {listed(never)}" if never else ""
    return f"{said}, and is not told apart from {listed(tied)}{unmet}."


def meeting(board: Leaderboard, one: Meeting) -> str:
    """How b fared against a, and what that does not say."""
    rate = one.win_rate
    if isinstance(rate, Undefined):
        return f"By {board.judge}, nothing can be said of {one.b} against {one.a}: {rate.why}."
    said = f"By {board.judge}, {one.b} scores {rate} against {one.a} over {one.used:,} prompts, ties half"
    return f"{said}: {reading(rate, one.b, one.a)}"


def reading(rate: Estimate, own: str, other: str) -> str:
    """What an interval says of one half."""
    if rate.low > 0.5:
        return f"the interval lies above one half, in favour of {own}; {UNTESTED}."
    if rate.high < 0.5:
        return f"the interval lies below one half, in favour of {other}; {UNTESTED}."
    return (
        "the interval includes one half, so these prompts do not show which is better. That does not make them equal."
    )


def listed(names: Sequence[str]) -> str:
    """Names in a sentence; beyond a few they are counted."""
    if len(names) > NAMED:
        return f"{', '.join(names[: NAMED - 1])} and {len(names) - NAMED + 1} others"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def rank(row: Row) -> str | None:
    """The ranks that a row may have; None where it has none."""
    if row.rank_low is None:
        return None
    return str(row.rank_low) if row.rank_low == row.rank_high else f"{row.rank_low}–{row.rank_high}"


def methods_used(board: Leaderboard) -> tuple[tuple[str, str, str], ...]:
    """Every kind of figure on the board with a level and a method that made one of them, each once."""
    named: list[tuple[str, Iterable[Figure]]] = [
        ("Rating", (row.rating for one in board.standings for row in one.rows)),
        ("Win rate", _rates(board, "win_rate")),
        ("Win rate at equal length", _rates(board, "length_controlled")),
        ("Orders agree", _rates(board, "order_consistency")),
        ("Reward", (row.reward for one in board.standings for row in one.rows)),
        ("Slope of length", (one.slope for one in board.standings)),
        ("Gain of a stage", (gain.win_rate for gain in board.lineage)),
        ("Benchmark", (figure for of in board.benchmarks.values() for figure in of.values())),
    ]
    made = {
        (name, percent(figure.level), figure.method): None
        for name, figures in named
        for figure in figures
        if isinstance(figure, Estimate)
    }
    return tuple(made)


def _rates(board: Leaderboard, name: str) -> Iterable[Figure]:
    rows = [row for one in board.standings for row in one.rows]
    return [getattr(one, name) for one in (*rows, *board.meetings)]
