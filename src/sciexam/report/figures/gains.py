"""What each stage of training gained: a contestant against the nearest of its ancestors that sat the exam."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sciexam.report.figures.contests import TWO, percent, places
from sciexam.report.figures.drawing import Drawing
from sciexam.report.figures.frame import ROOM, SMALL, name_of
from sciexam.report.figures.rows import Row, draw_rows, height_of, rate_scale
from sciexam.report.figures.words import said, sentences
from sciexam.report.gains import Gain


def gains(
    lineage: Sequence[Gain], contestants: Sequence[str], known: tuple[float, str], margin: float | None = None
) -> Iterator[Drawing]:
    """Nothing where no contestant has an ancestor among them. `known`: the level, and whether it is corrected."""
    if not lineage:
        return
    level, corrected = known
    rows = list(_rows(lineage, places(contestants)))
    measured = rate_scale(rows, "win rate against its parent", margin, ("lost", "gained"))
    yield Drawing(
        name="gains",
        title="What each stage of training gained",
        caption=(
            "The win rate of each contestant against the one that it was trained from, with its "
            f"{percent(level)} interval; to the right of one half (dashed) the training gained.{corrected}"
        ),
        words=sentences(
            f"{one.contestant}, trained from {one.parent}{_by(one)}, judged by {one.judge}: {said(one.win_rate)}"
            for one in lineage
        ),
        height=height_of(rows, measured),
        draw=lambda figure, palette: draw_rows(figure, palette, rows, measured),
    )


def _rows(lineage: Sequence[Gain], place: Mapping[str, int]) -> Iterator[Row]:
    """A row for each stage, or a heading with a row for each judge where several judged."""
    several = len({one.judge for one in lineage}) > 1
    before = ""
    for one in lineage:
        name, colour = name_of(one.contestant), place.get(one.contestant)
        if not several:
            yield Row(name, one.win_rate, colour, detail=name_of(f"from {one.parent}{_by(one)}", ROOM, SMALL))
            continue
        if one.contestant != before:
            before = one.contestant
            parent = name_of(one.parent, TWO, bold=True)
            yield Row(f"{name_of(one.contestant, TWO, bold=True)} from {parent}", None)
        yield Row(name_of(one.judge), one.win_rate, colour, inside=True)


def _by(one: Gain) -> str:
    """The stages, where they have names of their own."""
    return f" by {', '.join(one.stages)}" if one.stages not in ((), (one.contestant,)) else ""
