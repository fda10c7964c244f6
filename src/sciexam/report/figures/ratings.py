"""The ratings of a leaderboard, best first, with their intervals."""

from __future__ import annotations

from collections.abc import Iterator

from sciexam.report.figures.contests import percent, places, uncorrected
from sciexam.report.figures.drawing import Drawing
from sciexam.report.figures.frame import name_of, width_of
from sciexam.report.figures.rows import MOST_LABEL, Row, draw_rows, free_scale, height_of, rate_scale
from sciexam.report.figures.words import said, sentences
from sciexam.report.standings.leaderboard import Leaderboard
from sciexam.report.standings.leaderboard import Row as Place
from sciexam.stats import Estimate, Undefined
from sciexam.stats.ratings import ANCHOR


def ratings(board: Leaderboard) -> Iterator[Drawing]:
    """Every contestant with a rating."""
    rated = [row for row in board.rows if isinstance(row.rating, Estimate)]
    if len(rated) < 2:
        return
    place = places(board.contestants)
    rows = [Row(_ranked(row), row.rating, place.get(row.contestant)) for row in rated]
    measured = free_scale(rows, "rating", ANCHOR, _points)
    yield Drawing(
        name="ratings",
        title=f"Ratings by {board.judge}",
        caption=(
            f"Bradley-Terry ratings with their {percent(board.level)} intervals, beside each the ranks that it may "
            f"have. 400 points more are ten times the odds to win. At 1000 (dashed) stands {board.anchor}"
            f"{', which has no interval of its own' if board.anchor == board.baseline else ''}."
            f"{uncorrected(len(rated))}"
        ),
        words=sentences(f"{row.contestant}: {_in_words(row)}" for row in rated),
        height=height_of(rows, measured),
        draw=lambda figure, palette: draw_rows(figure, palette, rows, measured),
    )


def against_baseline(board: Leaderboard) -> Iterator[Drawing]:
    """Win rates against the baseline, with those at equal length."""
    met = [row for row in board.rows if isinstance(row.win_rate, Estimate)]
    if not met:
        return
    place = places(board.contestants)
    rows = [
        Row(name_of(row.contestant), row.win_rate, place.get(row.contestant), other=row.length_controlled)
        for row in met
    ]
    measured = rate_scale(rows, "win rate ●, at equal length ○")
    yield Drawing(
        name="win-rates",
        title=f"Win rates against {board.baseline} by {board.judge}",
        caption=(
            f"The win rate of each contestant against the baseline, {board.baseline}, ties half (filled), and what it "
            f"would be had the answers been equally long (hollow), each with its {percent(board.level)} interval."
            f"{uncorrected(len(met))}"
        ),
        words=sentences(
            f"{row.contestant}: {said(row.win_rate)}; at equal length {said(row.length_controlled)}" for row in met
        ),
        height=height_of(rows, measured),
        draw=lambda figure, palette: draw_rows(figure, palette, rows, measured),
    )


def _ranked(row: Place) -> str:
    ranks = _ranks(row)
    before = f"{ranks}  " if ranks else ""
    return before + name_of(row.contestant, MOST_LABEL - width_of(before))


def _ranks(row: Place) -> str:
    if row.rank_low is None or row.rank_high is None:
        return ""
    return str(row.rank_low) if row.rank_low == row.rank_high else f"{row.rank_low}–{row.rank_high}"


def _points(rating: Estimate) -> str:
    interval = "" if rating.low == rating.high else f" [{rating.low:.0f}, {rating.high:.0f}]"
    return f"{rating.value:.0f}{interval}"


def _in_words(row: Place) -> str:
    if isinstance(row.rating, Undefined):
        return row.rating.why
    ranks = _ranks(row)
    where = f", rank {ranks.replace('–', ' to ')}" if ranks else ""
    return f"{row.rating.value:.0f}, from {row.rating.low:.0f} to {row.rating.high:.0f}{where}"
