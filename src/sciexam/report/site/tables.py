"""The table of a leaderboard as cells: a number to read, its interval, what to sort by, and a note where it is n/a."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from sciexam.report.record import Figure
from sciexam.report.site import bars, sentences
from sciexam.report.standings.leaderboard import IS_BASELINE, Leaderboard, Row, Standings
from sciexam.stats import Undefined

if TYPE_CHECKING:
    from markupsafe import Markup

NO_WORDS = "none of its answers has a score"
NO_COST = "its model has no price in the suite, or its answers were recorded"


@dataclass(frozen=True, slots=True)
class Column:
    """`first` is the order in which one wants to read it first."""

    key: str
    label: str
    first: Literal["ascending", "descending"]
    about: str


@dataclass(frozen=True, slots=True)
class Cell:
    """`value`, `low` and `high` have every digit; `note` is the number of the note that says why there is none."""

    text: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    interval: str = ""
    below: str = ""
    bar: Markup | str = ""
    note: int | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """The cells of one contestant, by the keys of their columns. `opens`: it is the first of its tie group."""

    row: Row
    cells: dict[str, Cell]
    opens: bool


@dataclass(frozen=True, slots=True)
class BoardTable:
    """The standings over all prompts or over one category, as they are shown under `id`."""

    id: str
    category: str | None
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...]
    absent: tuple[str, ...]  # why a column does not stand there
    cycles: tuple[str, ...]


def board_table(board: Leaderboard, standings: Standings, id: str) -> BoardTable:
    """The table of `standings`. A column without any value is left out, and `absent` says why."""
    columns = _columns(board)
    axis = bars.axis_of([row.rating for row in standings.rows], 1000.0)
    made = [dict(_cells(row, axis)) for row in standings.rows]
    reasons: dict[str, list[str]] = {}
    there = [c for c in columns if any(cells[c.key][1] is None for cells in made)]
    for row, cells in zip(standings.rows, made, strict=True):
        for column in there:
            if (why := cells[column.key][1]) is not None:
                names = reasons.setdefault(why, [])
                names += [row.contestant] if row.contestant not in names else []
    numbers = {why: number for number, why in enumerate(reasons, 1)}
    lines = []
    group: int | None = None
    for row, cells in zip(standings.rows, made, strict=True):
        shown = {c.key: _noted(*cells[c.key], numbers) for c in there}
        lines.append(Line(row, shown, opens=row.tie_group != group))
        group = row.tie_group
    return BoardTable(
        id,
        standings.category,
        tuple(there),
        tuple(lines),
        tuple(_note(why, names, len(standings.rows)) for why, names in reasons.items()),
        tuple(_absent(c, [cells[c.key][1] for cells in made]) for c in columns if c not in there),
        standings.cycles,
    )


def _columns(board: Leaderboard) -> tuple[Column, ...]:
    level = f"{100 * board.level:g} %"
    model = f" by {board.reward_model}" if board.reward_model else ""
    return (
        Column("rank", "Rank", "ascending", f"the ranks that are possible at {level}"),
        Column("contestant", "Contestant", "ascending", "who was judged"),
        Column("group", "Group", "ascending", "tie group: its contestants are not told apart"),
        Column("rating", "Rating", "descending", "400 points more are ten wins for one loss"),
        Column("win_rate", "Win rate", "descending", f"against {board.baseline}, ties half"),
        Column(
            "length_controlled", "At equal length", "descending", f"against {board.baseline}, had answers one length"
        ),
        Column("reward", "Reward", "descending", f"mean over prompts{model}, and standard deviation"),
        Column("order_consistency", "Orders agree", "descending", "share of prompts with one verdict in both orders"),
        Column("words", "Words", "descending", "mean length of its answers"),
        Column("n", "n", "descending", "prompts with a score"),
        Column("usd", "USD", "ascending", "per 1,000 answers"),
    )


def _cells(row: Row, axis: bars.Axis) -> Iterator[tuple[str, tuple[Cell, str | None]]]:
    """Each cell by its column, with the reason where it has no value."""
    why = row.rating.why if isinstance(row.rating, Undefined) else "it has no battle"
    rank = sentences.rank(row)
    low, high = row.rank_low, row.rank_high
    place = low if row.rank is None else row.rank  # of several that the battles leave open the best one sorts
    yield "rank", (Cell(rank or "n/a", place, low, high), None if rank else why)
    yield "contestant", (Cell(row.contestant), None)
    group = row.tie_group
    yield "group", (Cell("n/a" if group is None else str(group), group), None if group is not None else why)
    yield "rating", _figure(row.rating, axis, 0)
    yield "win_rate", _figure(row.win_rate, bars.RATES, 2)
    yield "length_controlled", _figure(row.length_controlled, bars.RATES, 2)
    yield "reward", _reward(row)
    yield "order_consistency", _figure(row.order_consistency, None, 2)
    yield "words", (Cell(number(row.words), row.words), NO_WORDS if row.words is None else None)
    yield "n", (Cell(f"{row.prompts:,}", row.prompts), None)
    yield "usd", (Cell(usd(row.usd), row.usd), NO_COST if row.usd is None else None)


def _figure(figure: Figure, axis: bars.Axis | None, digits: int) -> tuple[Cell, str | None]:
    if isinstance(figure, Undefined):
        return Cell("n/a"), figure.why
    bar = bars.interval(figure, axis) if axis else ""
    value, low, high = (rounded(number, digits) for number in (figure.value, figure.low, figure.high))
    interval = "" if figure.low == figure.high else f"[{low}, {high}]"
    return Cell(value, figure.value, figure.low, figure.high, interval, bar=bar), None


def _reward(row: Row) -> tuple[Cell, str | None]:
    cell, why = _figure(row.reward, None, 2)
    if row.reward_sd is None or why is not None:
        return cell, why
    return replace(cell, below=f"sd {row.reward_sd:.2f}"), None


def _noted(cell: Cell, why: str | None, numbers: dict[str, int]) -> Cell:
    return cell if why is None else Cell(cell.text, note=numbers[why])


def _note(why: str, names: Sequence[str], rows: int) -> str:
    who = "all" if len(names) == rows > 1 else ", ".join(names)
    return f"n/a for {who}: {why}."


def _absent(column: Column, reasons: Sequence[str | None]) -> str:
    why = dict.fromkeys(why for why in reasons if why and why != IS_BASELINE.why) or {IS_BASELINE.why: None}
    return f"{column.label} is n/a for all: {'; '.join(map(str, why))}."


def rounded(value: float, digits: int) -> str:
    """A number with so many digits; what rounds to zero has no sign."""
    return f"{round(value, digits) + 0.0:.{digits}f}"


def number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.0f}"


def usd(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.2f}" if value >= 0.1 or value == 0 else f"{value:.2g}"


def cells_of(rates: Sequence[Figure], counts: Sequence[int], consistency: Figure, used: int, planned: int) -> Markup:
    """The numbers of one pair as cells of a table that can be sorted. They hold numbers only."""
    from markupsafe import Markup

    made = [_td(_figure(rate, bars.RATES, 2)[0]) for rate in rates]
    made += [f'<td class="num" data-value="{count}">{count}</td>' for count in counts]
    made.append(_td(_figure(consistency, None, 2)[0]))
    made.append(f'<td class="num" data-value="{used}">{used:,} of {planned:,}</td>')
    return Markup("".join(made))  # noqa: S704  numbers only


def _td(cell: Cell) -> str:
    if cell.value is None:
        return '<td class="num none">n/a</td>'
    spread = f' <span class="reach-text">{cell.interval}</span>' if cell.interval else ""
    ends = f'data-value="{cell.value}" data-low="{cell.low}" data-high="{cell.high}"'
    return f'<td class="num rate" {ends}><span class="value">{cell.text}</span>{spread}{cell.bar}</td>'
