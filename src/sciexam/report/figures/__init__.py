"""The figures of every record that a command makes, each drawn from the numbers that stand in its JSON."""

from __future__ import annotations

from collections.abc import Iterator

from sciexam.report.agreeing.agreement import Agreement
from sciexam.report.figures.drawing import Drawing
from sciexam.report.marking.grades import Grades
from sciexam.report.marking.rewards import Rewards
from sciexam.report.planning.outlook import Outlook
from sciexam.report.record import Report
from sciexam.report.standings.leaderboard import Leaderboard
from sciexam.report.training.training import Training
from sciexam.report.validating.validation import Validation

MANY = 8  # contestants


Drawn = Report | Leaderboard | Agreement | Rewards | Grades | Outlook | Validation | Training


def figures_of(found: Drawn) -> tuple[Drawing, ...]:
    """The figures of a record in reading order: the one that answers its question comes first."""
    if isinstance(found, Report):
        return tuple(_of_report(found))
    if isinstance(found, Leaderboard):
        return tuple(_of_board(found))
    if isinstance(found, Agreement):
        from sciexam.report.figures.agreement import agreement

        return tuple(agreement(found))
    if isinstance(found, Rewards):
        return tuple(_of_rewards(found))
    if isinstance(found, Grades):
        from sciexam.report.figures.grades import grades

        return tuple(grades(found))
    if isinstance(found, Outlook):
        from sciexam.report.figures import power

        return tuple(power.of_outlook(found))
    if isinstance(found, Training):
        from sciexam.report.figures.training import training

        return tuple(training(found))
    from sciexam.report.figures.validation import validation

    return tuple(validation(found))


def _of_report(report: Report) -> Iterator[Drawing]:
    from sciexam.report.figures import pairwise, power
    from sciexam.report.figures.contests import known_at
    from sciexam.report.figures.gains import gains
    from sciexam.report.figures.lengths import lengths
    from sciexam.report.figures.positions import positions
    from sciexam.report.figures.sequences import sequences
    from sciexam.report.figures.slices import by_category, by_criterion
    from sciexam.report.figures.strengths import strengths
    from sciexam.report.figures.win_rates import win_rates

    first, then = win_rates(report), pairwise.of_report(report)
    if len(report.contestants) >= MANY:  # a matrix can still be taken in where a forest is a page long
        first, then = then, first
    yield from first
    yield from then
    yield from sequences(report)
    yield from gains(report.lineage, report.contestants, known_at(report), report.margin)
    yield from by_category(report)
    yield from by_criterion(report)
    yield from strengths(report)
    yield from positions(report)
    yield from lengths(report)
    yield from power.of_report(report)


def _of_board(board: Leaderboard) -> Iterator[Drawing]:
    from sciexam.report.figures import pairwise
    from sciexam.report.figures.contests import uncorrected
    from sciexam.report.figures.gains import gains
    from sciexam.report.figures.ratings import against_baseline, ratings
    from sciexam.report.figures.reward_by_stage import reward_by_stage

    yield from ratings(board)
    yield from against_baseline(board)
    yield from pairwise.of_board(board)
    yield from gains(board.lineage, board.contestants, (board.level, uncorrected(len(board.lineage))))
    yield from reward_by_stage(board)


def _of_rewards(rewards: Rewards) -> Iterator[Drawing]:
    from sciexam.report.figures.best_of import best_of
    from sciexam.report.figures.distributions import cumulative, violins

    yield from violins(rewards)
    yield from cumulative(rewards)
    yield from best_of(rewards)
