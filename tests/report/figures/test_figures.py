"""Every figure shows the numbers of its record, in its picture and in words, and none that the record does not hold."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cache
from itertools import pairwise
from math import isclose
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import worlds

from sciexam.annotate.scale import options_of
from sciexam.report.figures import Drawn, figures_of
from sciexam.report.figures.distributions import density_of
from sciexam.report.figures.drawing import Drawing, figure_of
from sciexam.report.figures.lengths import lengths
from sciexam.report.figures.palette import LIGHT
from sciexam.report.record import Pairs, Report
from sciexam.report.site.pages import site_files
from sciexam.report.standings.readme_table import readme_table
from sciexam.stats import Distribution, Ecdf, Estimate, Undefined

MAKERS: dict[str, Callable[[], Drawn]] = {
    "report of two": worlds.report,
    "report of two by two": lambda: worlds.report(judges=("gpt-4.1", "other"), margin=0.05),
    "report of four": lambda: worlds.report(worlds.names_of(4), prompts=40),
    "report of twelve": lambda: worlds.report(worlds.names_of(12), prompts=16),
    "watched": lambda: worlds.stopped(worlds.names_of(3), prompts=260),
    "board": worlds.board,
    "agreement": worlds.agreement,
    "rewards": lambda: worlds.rewards(worlds.names_of(3), samples=4),
    "grades": lambda: worlds.grades(worlds.names_of(3)),
    "validation": worlds.validation,
}


@cache
def made(kind: str) -> Any:
    return MAKERS[kind]()


@cache
def drawings(kind: str) -> dict[str, Drawing]:
    found = figures_of(made(kind))
    assert len({one.name for one in found}) == len(found), "each has a file of its own"
    return {one.name: one for one in found}


@cache
def drawn(kind: str, name: str) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """All numbers that a figure's lines, points and bars have, and all its texts."""
    with figure_of(drawings(kind)[name], LIGHT) as figure:
        numbers: list[float] = []
        texts = [text.get_text() for text in figure.texts]
        for axes in figure.axes:
            for line in axes.lines:
                numbers += [*map(float, line.get_xdata()), *map(float, line.get_ydata())]
            numbers += [bar.get_height() for bar in axes.patches if hasattr(bar, "get_height")]
            texts += [text.get_text() for text in axes.texts]
    return tuple(numbers), tuple(texts)


def shows(kind: str, name: str, *expected: float) -> None:
    numbers = np.array(drawn(kind, name)[0])
    for value in expected:
        assert np.isclose(numbers, value, rtol=0, atol=1e-12).any(), f"{name} does not show {value}"


def says(kind: str, name: str, *figures: Estimate | Undefined) -> None:
    """Its words hold each estimate with its limits, or why there is none."""
    for one in figures:
        words = f"{one.value:.2f}, from {one.low:.2f} to {one.high:.2f}" if isinstance(one, Estimate) else one.why
        assert words in drawings(kind)[name].alt, f"{name} does not say {words}"


def limits(figures: Iterable[Estimate | Undefined]) -> Iterator[float]:
    for one in figures:
        if isinstance(one, Estimate):
            yield from (one.value, one.low, one.high)


def both(kind: str, name: str, figures: Iterable[Estimate | Undefined]) -> None:
    listed = list(figures)
    assert any(isinstance(one, Estimate) for one in listed)
    shows(kind, name, *limits(listed))
    says(kind, name, *listed)


# ---------------------------------------------------------------- a comparison


REPORTS = [kind for kind in MAKERS if kind.startswith("report") or kind == "watched"]


@pytest.mark.parametrize("kind", REPORTS)
def test_a_forest_holds_the_win_rate_of_every_pair_by_every_judge(kind: str) -> None:
    report = made(kind)
    both(kind, "win-rates", [pair.win_rate for pair in report.pairs])
    texts = drawn(kind, "win-rates")[1]
    assert all(str(pair.win_rate) in texts for pair in report.pairs)
    if report.margin is not None:
        with figure_of(drawings(kind)["win-rates"], LIGHT) as figure:
            spans = [patch.get_x() for axes in figure.axes for patch in axes.patches]
        assert any(isclose(x, 0.5 - report.margin) for x in spans)


@pytest.mark.parametrize("kind", ["report of four", "report of twelve", "board"])
def test_a_matrix_reads_each_win_rate_from_both_sides(kind: str) -> None:
    texts = drawn(kind, "pairwise")[1]
    rates = [one.win_rate for one in (made(kind).meetings if kind == "board" else made(kind).pairs)]
    for rate in rates:
        for value in (rate.value, 1 - rate.value):
            assert f"{value:.2f}".replace("0.", ".", 1).replace("1.00", "1.0") in texts
    says(kind, "pairwise", *rates)


@pytest.mark.parametrize("kind", ["report of two", "report of four"])
def test_bars_are_the_shares_of_strengths_and_their_labels_the_counts(kind: str) -> None:
    for pair in made(kind).pairs:
        both(kind, "preference-strength", [one.share for one in pair.strengths])
        assert {str(one.verdicts) for one in pair.strengths} <= set(drawn(kind, "preference-strength")[1])


def test_strengths_are_called_as_on_the_buttons_that_people_press() -> None:
    (pair,) = made("report of two").pairs
    said = drawings("report of two")["preference-strength"]
    counts = {one.preference: one.verdicts for one in pair.strengths}
    for degree, words in ((-3, "base much better"), (1, "sft slightly better"), (2, "sft clearly better")):
        assert f"{words} in {counts[degree]} verdict" in said.alt
    with figure_of(said, LIGHT) as figure:
        (axes,) = figure.axes
        bars = [label.get_text() for label in axes.get_xticklabels()]
    assert bars == ["much", "clearly", "slightly", "tie", "slightly", "clearly", "much"]
    pressed = {option.strength: option.label for option in options_of("four-point") if option.side == "left"}
    assert pressed == {"strong": "Left much better", "slight": "Left slightly better"}


def test_a_strength_that_nobody_of_the_people_gave_has_no_bar() -> None:
    (pair,) = made("report of two").pairs
    without_clear = tuple(replace(one, verdicts=0 if abs(one.preference) == 2 else 1) for one in pair.strengths)
    for trust, bars in (("people", 5), ("doubtful", 7)):
        shown = replace(made("report of two"), pairs=Pairs([replace(pair, strengths=without_clear, trust=trust)]))
        (one,) = (one for one in figures_of(shown) if one.name == "preference-strength")
        assert ("clearly" in one.alt) == (trust == "doubtful")
        with figure_of(one, LIGHT) as figure:
            (axes,) = figure.axes
            assert len([bar for bar in axes.patches if hasattr(bar, "get_height")]) == bars
            assert len(axes.get_xticklabels()) == bars


def test_each_category_has_its_row_and_the_whole_one_too() -> None:
    (pair,) = made("report of two").pairs
    both("report of two", "by-category", [pair.win_rate, *(one.win_rate for one in pair.categories)])
    assert {one.name for one in pair.categories} <= set(drawn("report of two", "by-category")[1])


def test_many_comparisons_have_their_categories_in_one_table() -> None:
    names = worlds.names_of(5)
    (table,) = (one for one in figures_of(worlds.report(names, prompts=16)) if one.name.startswith("by-category"))
    assert table.name == "by-category-1"
    assert "biology" in table.alt
    assert table.height < 500


@pytest.mark.parametrize("kind", ["report of two", "report of two by two", "watched"])
def test_position_bias_shows_both_win_rates_and_says_the_bias(kind: str) -> None:
    pairs = made(kind).pairs
    both(kind, "position-bias", [rate for pair in pairs for rate in (pair.shown.first, pair.shown.second)])
    says(kind, "position-bias", *(pair.position_bias for pair in pairs))


def test_length_shows_every_bin_and_the_rate_at_equal_length() -> None:
    for pair in made("report of two").pairs:
        both("report of two", "length", [pair.length.controlled, *(one.win_rate for one in pair.length.bins)])
        edges = [edge for one in pair.length.bins for edge in (one.low, one.difference, one.high)]
        shows("report of two", "length", *edges)


def _differing(*edges: float, first: float, last: float) -> Report:
    """A comparison whose bins part at `edges`, the outermost differing by `first` and `last` words on average."""
    report = made("report of two")
    (pair,) = report.pairs
    means = [first, *((low + high) / 2 for low, high in pairwise(edges[1:-1])), last]
    bins = tuple(
        replace(pair.length.bins[0], low=low, difference=at, high=high)
        for (low, high), at in zip(pairwise(edges), means, strict=True)
    )
    return replace(report, pairs=(replace(pair, length=replace(pair.length, bins=bins)),))


@pytest.mark.parametrize(
    ("report", "beyond"),
    [
        (_differing(-15, -5, 5, 15, 1345, first=-10, last=150), 20),
        (_differing(-9000, -12, 5, 23, 40, first=-2000, last=30), 50),
        (_differing(-80, 3, 1345, first=-35, last=110), 50),
        (_differing(700, 950, 1100, 4000, first=900, last=1700), None),
        (_differing(-80, 3, 90, first=-35, last=40), None),
    ],
)
def test_a_few_prompts_that_differ_by_far_more_do_not_press_all_others_into_a_clump(
    report: Report, beyond: int | None
) -> None:
    (drawing,) = lengths(report)
    said = f"Beyond {beyond} words (dotted) the scale is logarithmic."
    assert (said in drawing.caption) == (beyond is not None)
    bins = report.pairs[0].length.bins
    with figure_of(drawing, LIGHT) as figure:
        (axes,) = figure.axes
        places = axes.transAxes.inverted().transform(
            axes.transData.transform([(at, 0.5) for one in bins for at in (one.low, one.difference, one.high)])
        )[:, 0]
        ticks = [label.get_text() for label in axes.get_xticklabels()]
    assert 0 < places.min() < places.max() < 1, "no prompt lies outside"
    assert np.diff(places[1::3]).min() > 0.02
    assert len(ticks) > 2
    assert "0" in ticks


def test_a_sequence_is_drawn_look_by_look() -> None:
    for pair in made("watched").pairs:
        for look in pair.stop.path:
            shows("watched", "sequence", look.prompts, look.value, look.low, look.high)
        last = pair.stop.path[-1]
        words = f"{last.prompts} prompts {last.value:.2f}, from {last.low:.2f} to {last.high:.2f}"
        assert words in drawings("watched")["sequence"].alt
        assert (last.value, last.low, last.high) == (pair.win_rate.value, pair.win_rate.low, pair.win_rate.high)


def test_power_has_every_point_of_the_curve() -> None:
    for pair in made("report of two").pairs:
        shows("report of two", "power", *(rate for _, rate in pair.power.curve))
        assert all(f"{rate:.3f} with {n:,}" in drawings("report of two")["power"].alt for n, rate in pair.power.curve)


def test_curves_of_power_are_told_apart_by_colour_and_by_dashes() -> None:
    for report in (worlds.report(judges=("a", "b", "c")), worlds.report(worlds.names_of(4), prompts=24)):
        (power,) = (one for one in figures_of(report) if one.name == "power")
        with figure_of(power, LIGHT) as figure:
            lines = [line for axes in figure.axes for line in axes.lines if line.get_linewidth() == 1.8]
            lines = [line for line in lines if len(line.get_xdata()) > 1]
            looks = [(line.get_color(), repr(line._dash_pattern)) for line in lines]  # type: ignore[attr-defined]
        count = len(report.pairs)
        assert len(lines) == 2 * count, "each curve, and each beside its name"
        for one in zip(*looks, strict=True):
            assert len(set(one)) == count


def test_strengths_come_after_categories() -> None:
    names = list(drawings("report of two"))
    assert names.index("by-category") < names.index("preference-strength")


@pytest.mark.parametrize("name", ["win-rates", "pairwise", "gains"])
def test_a_caption_says_whether_several_intervals_are_corrected(name: str) -> None:
    several = "not corrected for looking at several"
    assert several in drawings("report of four")[name].caption
    assert several in drawings("board")[name].caption
    watched = drawings("watched")[name].caption
    assert several not in watched
    assert "the level is corrected for the number of comparisons" in watched
    assert "98.33" in watched, "a third of .05"
    if name != "pairwise":
        assert several not in drawings("report of two")[name].caption


def test_the_caption_of_position_bias_names_the_policy() -> None:
    report = made("report of two")
    assert "the policy of this report, mean," in drawings("report of two")["position-bias"].caption
    pairs = Pairs(replace(pair, policy="conservative") for pair in report.pairs)
    (other,) = (one for one in figures_of(replace(report, pairs=pairs)) if one.name == "position-bias")
    assert "conservative, a prompt whose orders disagree is a tie, so that a win rate need not lie" in other.caption


@pytest.mark.parametrize("kind", ["report of two", "report of four", "board"])
def test_gains_are_those_of_the_lineage(kind: str) -> None:
    assert made(kind).lineage
    both(kind, "gains", [one.win_rate for one in made(kind).lineage])


def test_a_report_without_any_verdict_has_no_figure_but_the_reasons() -> None:
    report: Report = made("report of two")
    none = Undefined("no prompt has a usable verdict")
    bare = [
        replace(pair, win_rate=none, strengths=(), shown=None, length=None, power=None, categories=())
        for pair in report.pairs
    ]
    (forest,) = figures_of(replace(report, pairs=Pairs(bare), lineage=()))
    assert none.why in forest.alt
    assert figures_of(replace(report, pairs=Pairs(), lineage=())) == ()


# ---------------------------------------------------------------- the others


def test_a_board_shows_ratings_rates_and_rewards() -> None:
    board = made("board")
    rated = [row for row in board.rows if isinstance(row.rating, Estimate)]
    shows("board", "ratings", *limits(row.rating for row in rated))
    for row in rated:
        assert f"{row.rating.value:.0f}, from {row.rating.low:.0f} to {row.rating.high:.0f}" in (
            drawings("board")["ratings"].alt
        )
    met = [row for row in rated if isinstance(row.win_rate, Estimate)]
    both("board", "win-rates", [one for row in met for one in (row.win_rate, row.length_controlled)])
    both("board", "reward-by-stage", [one for row in met for one in (row.reward, row.win_rate)])


def test_a_baseline_without_a_rating_is_not_said_to_stand_at_1000() -> None:
    board = made("board")
    assert "At 1000 (dashed) stands base, which has no interval of its own." in drawings("board")["ratings"].caption
    lost = Undefined("it lost every battle")
    rows = tuple(replace(row, rating=lost) if row.contestant == "base" else row for row in board.rows)
    board = replace(board, standings=(replace(board.standings[0], rows=rows), *board.standings[1:]))
    anchor = "the mean of the rated (base, the baseline, has no rating)"
    assert board.anchor == anchor
    (ratings,) = (one for one in figures_of(board) if one.name == "ratings")
    assert f"At 1000 (dashed) stands {anchor}." in ratings.caption
    with figure_of(ratings, LIGHT) as figure:
        dashed = [line for axes in figure.axes for line in axes.collections if line.get_linestyle()[0][1]]
        assert [line.get_segments()[0][0][0] for line in dashed] == [1000]
    assert f"Rating: {anchor} stands at 1000" in " ".join(board.tables()[0].notes)
    assert f"Rating: {anchor} stands at 1000" in readme_table(board)
    pages = dict(site_files(board, {}, {}, Path("none")))
    for page in ("index.html", "methods.html"):
        assert f"<bdi>{anchor}</bdi>" in pages[page]
        assert not re.search(r"<bdi>base</bdi> (stands )?at 1000", pages[page])


def test_arrows_lead_from_each_parent_to_what_was_trained_from_it() -> None:
    board = made("board")
    rows = {row.contestant: row for row in board.rows}
    with figure_of(drawings("board")["reward-by-stage"], LIGHT) as figure:
        arrows = [(one.xyann, one.xy) for axes in figure.axes for one in axes.texts if not one.get_text()]
    assert len(arrows) == len(board.lineage) == 3
    for gain, (begin, end) in zip(board.lineage, arrows, strict=True):
        assert begin[0] == rows[gain.parent].reward.value
        assert end == (rows[gain.contestant].reward.value, rows[gain.contestant].win_rate.value)


def test_agreement_shows_alpha_below_the_diagonal_and_the_share_above() -> None:
    found = made("agreement")
    pairs = [one for one in found.pairs if one.category is None]
    both("agreement", "agreement", [one.alpha for one in pairs])
    texts = drawn("agreement", "agreement-matrix")[1]
    for one in pairs:
        assert {f"{figure.value:.2f}".replace("0.", ".", 1) for figure in (one.alpha, one.percent)} <= set(texts)
    says("agreement", "agreement-matrix", *(figure for one in pairs for figure in (one.alpha, one.percent)))


def test_violins_have_their_quantiles_and_the_whole_of_their_mass() -> None:
    for row in made("rewards").rows:
        one = row.distribution
        assert isinstance(one, Distribution)
        assert isinstance(row.below, Ecdf)
        shows("rewards", "rewards", one.q05, one.q25, one.q75, one.q95, one.median.value)
        says("rewards", "rewards", one.mean, one.median)
        x, density = density_of(one, row.below)
        assert (x[0], x[-1]) == (one.min, one.max)
        steps = np.diff(row.below.share, prepend=0.0)
        assert steps.sum() == pytest.approx(1.0)
        middle = float(np.average(x, weights=density))
        assert middle == pytest.approx(one.mean.value, abs=0.1 * one.sd)


def test_violins_have_equal_areas() -> None:
    with figure_of(drawings("rewards")["rewards"], LIGHT) as figure:
        paths = [lines.get_paths()[0].vertices for axes in figure.axes for lines in axes.collections]
        areas = []
        for path in paths:
            x, y = path[:, 0], path[:, 1]
            areas.append(abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2)
            assert np.ptp(y) <= 0.84 + 1e-9, "no violin leaves its row"
    assert len(areas) == 3
    assert areas == pytest.approx([areas[0]] * 3)


def test_distribution_functions_are_drawn_point_by_point() -> None:
    for row in made("rewards").rows:
        shows("rewards", "rewards-cumulative", *row.below.values, *row.below.share)


def test_best_of_n_has_its_curve() -> None:
    found = made("rewards")
    assert {one.samples for one in found.best_of_n} == {4}
    points = [point.value for one in found.best_of_n for point in one.curve]
    shows("rewards", "best-of-n", *(value.value for value in points))
    says("rewards", "best-of-n", *points)


def test_grades_are_shown_in_total_and_by_criterion() -> None:
    rows = made("grades").rows
    both("grades", "grades", [row.total for row in rows])
    both("grades", "grades-by-criterion", [one.points for row in rows for one in row.criteria])


def test_a_judge_is_shown_beside_people_and_its_calibration_by_bins() -> None:
    found = made("validation")
    both("validation", "against-people", [one.accuracy_decided for one in found.against])
    both("validation", "calibration", [one.observed for one in found.calibration.bins])
    shows("validation", "calibration", *(one.predicted for one in found.calibration.bins))


def test_a_plan_shows_what_each_design_finds() -> None:
    from sciexam.exam.planning import plan_ahead

    outlook = plan_ahead("science", "base", "sft", effect=0.6)
    (power,) = figures_of(outlook)
    with figure_of(power, LIGHT) as figure:
        heights = np.array([y for axes in figure.axes for line in axes.lines for y in line.get_ydata()])
    found = [design.finds for design in outlook.designs if isinstance(design.finds, float)]
    assert len(found) >= 7
    assert all(np.isclose(heights, rate).any() for rate in [*found, 0.6])
    assert all(f"{rate:.3f}" in power.alt for rate in found)
    twice = (replace(one, samples=samples) for one in outlook.designs for samples in (1, 2))
    (more,) = figures_of(replace(outlook, designs=tuple(twice)))
    names = [words.partition(":")[0] for words in more.words]
    assert len(set(names)) == len(names) == 2 * len(power.words), "each design of samples has its name"


# ---------------------------------------------------------------- the record behind them


@pytest.mark.parametrize("kind", MAKERS)
def test_what_is_drawn_stands_in_the_json_of_the_record(kind: str) -> None:
    """Strict JSON: it reads back to the same, and holds the numbers that figures alone need."""
    told = made(kind).to_json()
    assert json.loads(json.dumps(told, allow_nan=False)) == json.loads(json.dumps(told))
    if kind == "report of two":
        (pair,), (told_pair,) = made(kind).pairs, told["pairs"]
        assert [one["share"]["value"] for one in told_pair["strengths"]] == [s.share.value for s in pair.strengths]
        assert told_pair["shown"]["first"]["low"] == pair.shown.first.low
        assert [one["win_rate"]["high"] for one in told_pair["length"]["bins"]] == [
            one.win_rate.high for one in pair.length.bins
        ]
    if kind == "watched":
        assert [len(one["stop"]["path"]) for one in told["pairs"]] == [len(p.stop.path) for p in made(kind).pairs]
    if kind == "rewards":
        assert told["rows"][0]["below"]["share"] == list(made(kind).rows[0].below.share)
        assert told["best_of_n"][0]["curve"][1]["value"]["value"] == made(kind).best_of_n[0].curve[1].value.value
