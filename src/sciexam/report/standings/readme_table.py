"""A leaderboard as one Markdown table for a README: ranks, intervals, and a footnote that says what they are."""

from __future__ import annotations

from collections.abc import Iterator

from sciexam.report.markdown import escape
from sciexam.report.record import Figure
from sciexam.report.standings.leaderboard import Leaderboard, Row
from sciexam.report.wording import noted
from sciexam.stats import Estimate, Undefined


def readme_table(board: Leaderboard) -> str:
    """The standings over all prompts, and what the suite says of its contestants; a line break at the end.

    Nothing in the record can become markup.
    """
    head = ("rank", "contestant", "rating", f"win rate against {board.baseline}", "at equal length", "n")
    rows = "\n".join(_line(row) for row in map(_cells, board.rows))
    table = f"{_line(head)}\n{'|---' * len(head)}|\n{rows}"
    notes = "".join(f"\n\n{escape(line)}" for line in noted(board.notes))
    return f"{table}\n\n{escape(_footnote(board))}{notes}\n"


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(map(escape, cells))} |"


def _cells(row: Row) -> tuple[str, ...]:
    return (_rank(row), row.contestant, _shown(row.rating, 0), *_rates(row), f"{row.prompts:,}")


def _rates(row: Row) -> Iterator[str]:
    for figure in (row.win_rate, row.length_controlled):
        own = isinstance(figure, Estimate) and figure.low != figure.high and figure.n != row.prompts
        yield f"{_shown(figure, 2)}, n {figure.n:,}" if own else _shown(figure, 2)


def _rank(row: Row) -> str:
    if row.rank_low is None:
        return "n/a"
    return str(row.rank_low) if row.rank_low == row.rank_high else f"{row.rank_low}-{row.rank_high}"


def _shown(figure: Figure, digits: int) -> str:
    if isinstance(figure, Undefined):
        return "n/a"
    value = f"{figure.value:.{digits}f}"
    return value if figure.low == figure.high else f"{value} [{figure.low:.{digits}f}, {figure.high:.{digits}f}]"


def _footnote(board: Leaderboard) -> str:
    prompts = max((row.prompts for row in board.rows), default=0)
    points = f"Rating: {board.anchor} stands at 1000, and 400 points more are ten wins for one loss. "
    return (
        f"By the judge {board.judge} ({board.judge_is}) with the rubric {board.rubric}, on up to {prompts:,} prompts "
        f"of {board.suite}. Ranks are those that are possible at {100 * board.level:g} %, and intervals are at that "
        f"level. {points if board.rated else ''}Win rates are against {board.baseline}, ties half; "
        "at equal length they come from one fit over all pairs; n counts prompts "
        f"with a score, or stands beside its figure. sciexam, run {board.run}."
    )
