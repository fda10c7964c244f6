"""What every contestant did to every other, as a matrix of win rates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sciexam.report.figures.contests import judges_of, known_at, percent, uncorrected
from sciexam.report.figures.drawing import Drawing
from sciexam.report.figures.frame import name_of
from sciexam.report.figures.matrix import Matrix, draw_matrix, matrix_height
from sciexam.report.figures.words import said, sentences
from sciexam.report.gains import mirrored
from sciexam.report.record import Figure, Report
from sciexam.report.standings.leaderboard import Leaderboard
from sciexam.stats import Estimate

FEWEST = 3  # contestants: two have one win rate
MOST = 30  # so many columns can still be told apart


def of_report(report: Report) -> Iterator[Drawing]:
    """One matrix for each judge."""
    judges = judges_of(report.pairs)
    for number, judge in enumerate(judges, 1):
        rates = {(p.a, p.b): p.win_rate for p in report.pairs if p.judge == judge}
        name = "pairwise" if len(judges) == 1 else f"pairwise-{number}"
        if drawn := _matrix(report.contestants, rates, judge, name, known_at(report)):
            yield drawn


def of_board(board: Leaderboard) -> Iterator[Drawing]:
    """The contestants as they are ranked."""
    rates = {(one.a, one.b): one.win_rate for one in board.meetings}
    ranked = [row.contestant for row in board.rows if any(row.contestant in pair for pair in rates)]
    known = board.level, uncorrected(len(rates))
    if drawn := _matrix(ranked, rates, board.judge, "pairwise", known):
        yield drawn


def _matrix(
    contestants: Sequence[str],
    rates: Mapping[tuple[str, str], Figure],
    judge: str,
    name: str,
    known: tuple[float, str],
) -> Drawing | None:
    level, corrected = known
    if not FEWEST <= len(contestants) <= MOST:
        return None
    shown = Matrix(
        rows=tuple(map(name_of, contestants)),
        columns=(),
        cells=tuple(tuple(_against(rates, row, column) for column in contestants) for row in contestants),
    )
    return Drawing(
        name=name,
        title=f"Pairwise win rates by {judge}",
        caption=(
            "The win rate of the contestant of the row against that of the column, ties half: blue above one half, "
            f"orange below, bold where the {percent(level)} interval leaves it out.{corrected}"
        ),
        words=sentences(f"{b} against {a}: {said(rate)}" for (a, b), rate in rates.items()),
        height=matrix_height(shown),
        draw=lambda figure, palette: draw_matrix(figure, palette, shown),
    )


def _against(rates: Mapping[tuple[str, str], Figure], own: str, other: str) -> Figure | None:
    if (found := rates.get((other, own))) is not None:
        return found
    found = rates.get((own, other))
    return mirrored(found) if isinstance(found, Estimate) else found
