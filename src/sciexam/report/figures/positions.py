"""What a judge's verdicts owe to the order: a contestant's win rate when it was shown first, and second."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sciexam.report.figures.contests import in_full, judges_of, percent
from sciexam.report.figures.drawing import Drawing
from sciexam.report.figures.rows import draw_rows, height_of, rate_scale
from sciexam.report.figures.win_rates import pair_rows, split
from sciexam.report.figures.words import said, sentences
from sciexam.report.record import Figure, Pair, Report

POLICY = {
    "mean": "By the policy of this report, mean, a prompt's score is the average of both orders.",
    "conservative": (
        "By the policy of this report, conservative, a prompt whose orders disagree is a tie, so that a win rate need "
        "not lie between the two."
    ),
}
Both = tuple[Pair, Figure, Figure]  # the win rates shown first and shown second


def positions(report: Report) -> Iterator[Drawing]:
    """Both win rates of every pair by every judge that sees the order."""
    for pairs, name in split(report, "position-bias"):
        shown = [(pair, pair.shown.first, pair.shown.second) for pair in pairs if pair.shown is not None]
        if shown:
            yield _forest(report, shown, name)


def _forest(report: Report, shown: Sequence[Both], name: str) -> Drawing:
    rows = list(pair_rows(report, shown))
    measured = rate_scale(rows, "win rate when shown first ●, second ○")
    judges = judges_of(pair for pair, _, _ in shown)
    pair = shown[0][0]
    return Drawing(
        name=name,
        title="Position bias" + (f" of {judges[0]}" if len(judges) == 1 else ""),
        caption=(
            "The win rate of the contestant named first over the prompts on which its answer was shown first (filled) "
            f"and over those on which it was shown second (hollow), each with its {percent(report.level)} interval. "
            "Two equal texts are left out. Without a bias the two lie together; filled to the right of hollow says "
            f"that the judge favours what it sees first. {POLICY[pair.policy]}"
        ),
        words=sentences(
            f"{in_full(pair)}: shown first {said(first)}; shown second {said(second)}; position bias "
            f"{said(pair.position_bias)}"
            for pair, first, second in shown
        ),
        height=height_of(rows, measured),
        draw=lambda figure, palette: draw_rows(figure, palette, rows, measured),
    )
