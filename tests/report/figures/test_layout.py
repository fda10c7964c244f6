"""No name lies on a number, an interval or another name, whatever contestants and judges are called."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import pytest
import worlds
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.transforms import Bbox

from sciexam.report.figures import Drawn, figures_of
from sciexam.report.figures.drawing import figure_of
from sciexam.report.figures.palette import LIGHT
from sciexam.report.html import to_html

NAMES = (
    "\u6a21\u578b\u8bad\u7ec3\u9636\u6bb5\u4e00\u4e8c\u4e09\u56db\u4e94\u516d\u4e03\u516b\u4e5d\u5341\u7532\u4e59",
    "W" * 29,
    "MODEL-LLAMA-70B-CHAT-V2-SFT",
    "\u0429\u0416\u042e" * 9,
)
EDGE = 4.3  # points of paper around what is drawn
MAKERS: dict[str, Callable[[], Drawn]] = {
    "one judge": lambda: worlds.report(NAMES, prompts=24),
    "two judges": lambda: worlds.report(NAMES[:2], prompts=24, judges=(NAMES[2], NAMES[0]), margin=0.05),
    "many categories": lambda: worlds.report((*NAMES, "plain"), prompts=24),
    "board": lambda: worlds.board(NAMES, prompts=24),
    "watched": lambda: worlds.stopped(NAMES[:3], prompts=40),
    "rewards": lambda: worlds.rewards(NAMES, prompts=30),
    "grades": lambda: worlds.grades(NAMES, prompts=20),
}


def boxes(figure: Figure) -> Iterator[tuple[Any, Bbox]]:
    """The texts that stand beside axes or cells, with their boxes in points from the lower left corner."""
    FigureCanvasAgg(figure)
    for text in figure.texts:
        if text.get_text():
            yield text, Bbox(text.get_window_extent().get_points() * 72 / figure.dpi)


def overlap(one: Bbox, other: Bbox) -> bool:
    """By more than half a point, and not by the empty lines above and below letters."""
    return min(one.x1, other.x1) - max(one.x0, other.x0) > 0.5 and min(one.y1, other.y1) - max(
        one.y0, other.y0
    ) > 0.35 * min(one.height, other.height)


@pytest.mark.parametrize("kind", MAKERS)
def test_names_stay_in_the_room_that_there_is(kind: str) -> None:
    for drawing in figures_of(MAKERS[kind]()):
        with figure_of(drawing, LIGHT) as figure:
            texts = [(text, box) for text, box in boxes(figure) if not text.get_rotation()]
            points = figure.get_size_inches() * 72
            plots = [Bbox(axes.get_position().get_points() * points) for axes in figure.axes]
            whole = figure.transFigure.inverted()
            cells = [
                Bbox(whole.transform(one.get_window_extent().get_points()) * points)
                for one in figure.artists
                if isinstance(one, Rectangle)
            ]
            for text, box in boxes(figure):
                where = f"{drawing.name}: {text.get_text()}"
                assert box.x0 > -EDGE, where
                assert box.x1 < points[0] + EDGE, where
            for text, box in texts:
                where = f"{drawing.name}: {text.get_text()}"
                if text.get_ha() == "left" and text.get_weight() != "bold":
                    assert not any(overlap(box, other) for other in (*plots, *cells)), where
            for (one, box), (other, its) in combinations(texts, 2):
                assert not overlap(box, its), f"{drawing.name}: {one.get_text()} on {other.get_text()}"


def test_headings_are_left_free_of_lines() -> None:
    report = worlds.report(worlds.names_of(3), prompts=24, margin=0.05)
    (forest,) = (one for one in figures_of(report) if one.name == "win-rates")
    with figure_of(forest, LIGHT) as figure:
        (axes,) = figure.axes
        spans = [(y0, y1) for lines in axes.collections for (_, y0), (_, y1) in lines.get_segments()]  # type: ignore[attr-defined]
        bands = [(one.get_y(), one.get_y() + one.get_height()) for one in axes.patches if isinstance(one, Rectangle)]
    assert set(spans) == set(bands) == {(0.5, 2.5), (3.5, 4.5)}, "rows 0 and 3 are headings"


def test_a_page_says_all_numbers_of_its_figures_in_words_and_calls_none_by_more_than_a_breath() -> None:
    report = worlds.report(worlds.names_of(4), prompts=12)
    page = to_html(report, {})
    drawn = [one for one in figures_of(report) if one.name != "win-rates"]  # the cards at the top are these
    assert sum(len(one.words) for one in drawn) > 20
    for one in drawn:
        assert one.title in page
        assert all(f"<li>{html.escape(sentence, quote=True)}</li>" in page for sentence in one.words), one.name
    labels = re.findall(r'aria-label="([^"]*)"', page)
    assert max(map(len, labels)) < 400
