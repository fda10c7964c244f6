"""What the pages of a contestant and of a pair show of the record, one line or one cell after another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sciexam.report.gains import mirrored
from sciexam.report.record import Figure
from sciexam.report.site import bars, names
from sciexam.report.site.tables import NO_COST, NO_WORDS, cells_of, number, usd
from sciexam.report.standings.leaderboard import Leaderboard, Meeting, Row
from sciexam.report.wording import percent
from sciexam.stats import Estimate, Undefined

if TYPE_CHECKING:
    from markupsafe import Markup


@dataclass(frozen=True, slots=True)
class Met:
    """A meeting as the table of one contestant shows it, from its side. `reasons`: why figures of it are n/a."""

    other: str
    page: str
    cells: Markup
    reasons: tuple[str, ...]


def met(one: Meeting, own: str) -> Met:
    """A meeting of the contestant `own`."""
    turned = one.a == own
    rate, controlled = (_turned(figure) if turned else figure for figure in (one.win_rate, one.length_controlled))
    won, lost = (one.losses, one.wins) if turned else (one.wins, one.losses)
    cells = cells_of((rate, controlled), (won, one.ties, lost), one.order_consistency, one.used, one.planned)
    other = one.b if turned else one.a
    why = dict.fromkeys(f.why for f in (rate, controlled, one.order_consistency) if isinstance(f, Undefined))
    return Met(other, names.pair_page(one.a, one.b), cells, tuple(f"{other}: {reason}." for reason in why))


def _turned(figure: Figure) -> Figure:
    return mirrored(figure) if isinstance(figure, Estimate) else figure


def tiles(board: Leaderboard, row: Row, ratings: bars.Axis) -> list[tuple[str, Figure, int, bars.Axis | None, str]]:
    """Name, figure, digits, axis and a reading of each figure of a contestant."""
    against = f"against {board.baseline}, ties half"
    sd = "" if row.reward_sd is None else f", standard deviation {row.reward_sd:.2f}"
    reward = f"mean over prompts{f' by {board.reward_model}' if board.reward_model else ''}{sd}"
    return [
        ("Rating", row.rating, 0, ratings, ""),
        ("Win rate", row.win_rate, 2, bars.RATES, against),
        ("Win rate at equal length", row.length_controlled, 2, bars.RATES, against),
        ("Reward", row.reward, 2, None, reward if isinstance(row.reward, Estimate) else ""),
        ("Orders agree", row.order_consistency, 2, bars.RATES, "one verdict in both orders"),
    ]


def counts(row: Row) -> list[tuple[str, str, str]]:
    """Name, text and meaning of each number without an interval; where there is none, why."""
    return [
        ("Words", number(row.words), NO_WORDS if row.words is None else "mean length of its answers"),
        ("Prompts", f"{row.prompts:,}", f"with a score, in {row.battles:,} battles"),
        ("USD", usd(row.usd), NO_COST if row.usd is None else "per 1,000 answers"),
    ]


def lines(it: Meeting) -> list[tuple[str, str, Markup | str, str]]:
    """Name, value, bar and meaning of each figure of a pair; an undefined one has its reason as its meaning."""
    return [
        _line(f"Win rate of {it.b}", it.win_rate, f"against {it.a}, ties half"),
        _line(
            "At equal length",
            it.length_controlled,
            f"of {it.b}, had the answers been equally long; one fit over all pairs of the board",
        ),
        _line("Orders agree", it.order_consistency, "the share of prompts with one verdict in both orders"),
        ("Prompts", f"{it.used:,} of {it.planned:,}", "", "that have a score, of those that were planned"),
    ]


def _line(name: str, figure: Figure, about: str) -> tuple[str, str, Markup | str, str]:
    if isinstance(figure, Undefined):
        return name, "n/a", "", f"{figure.why}."
    how = f"{about}; {percent(figure.level)} {figure.method}, n = {figure.n:,}"
    return name, str(figure), bars.interval(figure), how
