"""A leaderboard as tables: what the console and Markdown print."""

from __future__ import annotations

from collections.abc import Iterator

from sciexam.models.spending import dollars
from sciexam.report.record import Figure
from sciexam.report.standings.leaderboard import IS_BASELINE, Leaderboard, Row, Standings
from sciexam.report.tables import Table, methods_table
from sciexam.stats import Estimate, Undefined


def tables_of(board: Leaderboard) -> list[Table]:
    """The standings over all prompts, those by category, and how the figures are made."""
    return [*_made(board)]


def _made(board: Leaderboard) -> Iterator[Table]:
    whole, *sliced = board.standings
    head = (
        "rank",
        "contestant",
        "rating",
        "win rate",
        "at equal length",
        "orders agree",
        *_besides(board),
        "words",
        "n",
    )
    yield Table(board.title, head, [_cells(board, row) for row in whole.rows], tuple(_reading(board, whole)))
    if board.lineage:
        yield _gains(board)
    if board.benchmarks:
        yield _benchmarks(board)
    if sliced:
        rows = [
            (
                one.category or "",
                row.contestant,
                _rank(row),
                _points(row.rating),
                _short(row.win_rate),
                str(row.prompts),
            )
            for one in sliced
            for row in one.rows
        ]
        why = {
            figure.why: None
            for one in sliced
            for row in one.rows
            for figure in (row.rating, row.win_rate)
            if isinstance(figure, Undefined) and figure != IS_BASELINE
        }
        columns = (board.by, "contestant", "rank", "rating", "win rate", "n")
        yield Table(f"By {board.by}", columns, rows, (which(board), *(f"n/a: {reason}." for reason in why)))
    yield from methods_table(_by_column(board), board.level)


def _by_column(board: Leaderboard) -> dict[str, list[Figure]]:
    """Every figure that has an interval, by the column in which it stands."""
    rows = [row for one in board.standings for row in one.rows]
    return {
        "rating": [row.rating for row in rows if row.contestant != board.baseline],  # which stands at 1000
        "win rate": [*(row.win_rate for row in rows), *(one.win_rate for one in board.lineage)],
        "at equal length": [row.length_controlled for row in rows],
        "orders agree": [row.order_consistency for row in rows],
        "reward": [row.reward for row in rows] if board.reward_model else [],
        "benchmarks": [figure for of in board.benchmarks.values() for figure in of.values()],
    }


def which(board: Leaderboard) -> str:
    """Which of the two intervals of a category is to be quoted for what."""
    return (
        f"Rank and rating: one fit to all pairs within the {board.by}. Win rate: the prompts against {board.baseline} "
        f"alone. With few prompts the two can disagree: quote the win rate for whether one beats {board.baseline}, the "
        "rank for who may be ahead of whom, and the table of all prompts before either."
    )


def at_equal_length(board: Leaderboard) -> str:
    """What the win rate at equal length is, and why `compare` may say another."""
    return (
        f"At equal length: the win rate against {board.baseline} had the answers been equally long, by one fit over "
        "all pairs of this board. `sciexam compare` of two contestants fits these two alone, and can come to another "
        "figure."
    )


def _gains(board: Leaderboard) -> Table:
    """What each stage of training gained: a contestant against the nearest contestant that it was made from."""
    rows = [(one.contestant, one.parent, " > ".join(one.stages), _short(one.win_rate)) for one in board.lineage]
    why = dict.fromkeys(one.win_rate.why for one in board.lineage if isinstance(one.win_rate, Undefined))
    note = (
        f"The win rate of a contestant against the one that it was made from, ties half, at {100 * board.level:g} %, "
        "with no correction for their number; above 0.5 is a gain."
    )
    columns = ("contestant", "from", "stages", "win rate against it")
    return Table("What training gained", columns, rows, (note, *(f"n/a: {reason}." for reason in why)))


def _benchmarks(board: Leaderboard) -> Table:
    """What the contestants did on benchmarks of others, in the order of the board."""
    names = [row.contestant for row in board.rows if row.contestant in board.benchmarked]
    rows = [(name, *(_short(of[name]) if name in of else "n/a" for of in board.benchmarks.values())) for name in names]
    note = "The mean over items, by `sciexam bench`, which compares each two of them item by item, too."
    return Table("Benchmarks", ("contestant", *board.benchmarks), rows, (note,))


def _besides(board: Leaderboard) -> tuple[str, ...]:
    """The columns of what is not known of every board."""
    rewards = ("reward", "sd") if board.reward_model else ()
    return (*rewards, "USD") if any(row.usd is not None for row in board.rows) else rewards


def _figures(board: Leaderboard, row: Row) -> dict[str, Figure]:
    """The figures of a row by the head of their column."""
    figures = {
        "rating": row.rating,
        "win rate": row.win_rate,
        "at equal length": row.length_controlled,
        "orders agree": row.order_consistency,
    }
    return figures | {"reward": row.reward} if board.reward_model else figures


def _cells(board: Leaderboard, row: Row) -> tuple[str, ...]:
    besides = {
        "reward": _short(row.reward),
        "sd": "n/a" if row.reward_sd is None else f"{row.reward_sd:.2f}",
        "USD": "n/a" if row.usd is None else dollars(row.usd),
    }
    return (
        _rank(row),
        row.contestant,
        _points(row.rating),
        *map(_short, (row.win_rate, row.length_controlled, row.order_consistency)),
        *(besides[name] for name in _besides(board)),
        "n/a" if row.words is None else f"{row.words:.0f}",
        str(row.prompts),
    )


def _rank(row: Row) -> str:
    if row.rank_low is None:
        return "n/a"
    return str(row.rank_low) if row.rank_low == row.rank_high else f"{row.rank_low}-{row.rank_high}"


def _points(rating: Figure) -> str:
    if isinstance(rating, Undefined):
        return "n/a"
    interval = "" if rating.low == rating.high else f" [{rating.low:.0f}, {rating.high:.0f}]"
    return f"{rating.value:.0f}{interval}"


def _short(figure: Figure) -> str:
    return str(figure) if isinstance(figure, Estimate) else "n/a"


def _reading(board: Leaderboard, whole: Standings) -> Iterator[str]:
    points = f" Rating: {board.anchor} stands at 1000, and 400 points more are ten wins for one loss."
    points = points if board.rated else ""
    level = f"{100 * board.level:g} %"
    yield f"Ranks that are possible at {level}.{points} Win rates are against {board.baseline}, ties half."
    if any(isinstance(row.length_controlled, Estimate) for row in whole.rows):
        yield at_equal_length(board)
    if board.reward_model:
        yield f"Reward: the mean over prompts by {board.reward_model}, and its standard deviation."
    if "USD" in _besides(board):
        yield "USD: what 1,000 answers cost by the suite's prices."
    reasons: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for row in whole.rows:
        for column, figure in _figures(board, row).items():
            if isinstance(figure, Undefined) and figure != IS_BASELINE:
                names, columns = reasons.setdefault(figure.why, ({}, {}))
                names[row.contestant] = columns[column] = None
    for why, (names, columns) in reasons.items():
        who = "all" if len(names) == len(whole.rows) > 1 else ", ".join(names)
        yield f"n/a for {who} ({', '.join(columns)}): {why}."
