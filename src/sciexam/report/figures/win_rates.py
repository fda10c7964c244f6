"""Win rates with their intervals: every pair of contestants by every judge, as a forest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sciexam.report.figures.contests import TWO, in_full, judges_of, known_at, percent, places
from sciexam.report.figures.drawing import Drawing
from sciexam.report.figures.frame import SMALL, name_of, width_of
from sciexam.report.figures.rows import MOST_LABEL, Row, draw_rows, height_of, rate_scale
from sciexam.report.figures.words import said, sentences
from sciexam.report.record import Figure, Pair, Report

MOST_ROWS = 40  # of one figure; more are drawn judge by judge


def win_rates(report: Report) -> Iterator[Drawing]:
    """One forest, or one for each judge where the pairs are many."""
    for pairs, name in split(report, "win-rates"):
        yield _forest(report, pairs, name)


def split(report: Report, name: str) -> Iterator[tuple[Sequence[Pair], str]]:
    """The pairs that go into one figure, and its name."""
    judges = judges_of(report.pairs)
    if report.pairs and (len(report.pairs) <= MOST_ROWS or len(judges) == 1):
        yield report.pairs, name
        return
    for number, judge in enumerate(judges, 1):
        yield [pair for pair in report.pairs if pair.judge == judge], f"{name}-{number}"


def _forest(report: Report, pairs: Sequence[Pair], name: str) -> Drawing:
    rows = list(pair_rows(report, [(pair, pair.win_rate, None) for pair in pairs]))
    judges = judges_of(pairs)
    ends = (name_of(pairs[0].a), name_of(pairs[0].b)) if len({(p.a, p.b) for p in pairs}) == 1 else ("", "")
    measured = rate_scale(rows, "win rate", report.margin, ends)
    return Drawing(
        name=name,
        title=f"Win rates by {judges[0]}" if len(judges) == 1 else "Win rates",
        caption=_caption(report),
        words=sentences(f"{in_full(pair)}: {said(pair.win_rate)}, {pair.concluded}" for pair in pairs),
        height=height_of(rows, measured),
        draw=lambda figure, palette: draw_rows(figure, palette, rows, measured),
    )


def _caption(report: Report) -> str:
    margin = f" The band is the margin of {report.margin:g}." if report.margin is not None else ""
    level, corrected = known_at(report)
    return (
        "The win rate of the contestant named first against the other, ties half, with its "
        f"{percent(level)} interval over prompts. An interval that crosses the dashed line, one half, leaves open who "
        f"is better.{margin}{corrected}"
    )


def pair_rows(report: Report, shown: Sequence[tuple[Pair, Figure, Figure | None]]) -> Iterator[Row]:
    """A row for each pair with what is `shown` of it: below whom it meets, or below the pair where several judged."""
    place = places(report.contestants)
    several = len(judges_of(pair for pair, _, _ in shown)) > 1
    if len(shown) == 1:
        ((pair, estimate, other),) = shown
        a, b, colour = name_of(pair.a), name_of(pair.b), place.get(pair.b)
        brief = f"{b} vs {a}"
        label, detail = (brief, "") if width_of(brief) <= MOST_LABEL else (b, f"against {name_of(pair.a, 100, SMALL)}")
        yield Row(label, estimate, colour, detail, other)
        return
    before = ""
    for pair, estimate, other in sorted(shown, key=lambda one: (place.get(one[0].a, 0), place.get(one[0].b, 0))):
        b, colour = name_of(pair.b), place.get(pair.b)
        a = name_of(pair.a, TWO, bold=True)
        heading = f"{name_of(pair.b, TWO, bold=True)} against {a}" if several else f"against {a}"
        if heading != before:
            yield Row(heading, None)
            before = heading
        yield Row(name_of(pair.judge) if several else b, estimate, colour, other=other, inside=True)
