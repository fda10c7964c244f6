"""The numbers that figures alone need: each counts every prompt once, and agrees with the others in its record."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import worlds
from hypothesis import given
from hypothesis import strategies as st

from sciexam.report.build import build
from sciexam.report.lengths import FEWEST_IN_BIN, bins_of
from sciexam.report.record import Look
from sciexam.report.scores import scores_of
from sciexam.report.stopping import MOST_LOOKS, thinned
from sciexam.stats import Ecdf, Estimate, Undefined, confidence_sequence, ecdf, mean

EVIDENCE = worlds.evidence(worlds.names_of(2), prompts=40)
WORLD = scores_of(EVIDENCE, EVIDENCE.benches[0])  # the scores of its one pair


def test_the_counts_by_strength_are_those_of_the_verdicts_and_their_shares_are_one() -> None:
    evidence = worlds.evidence(worlds.names_of(2), prompts=40)
    (pair,) = build(evidence).pairs
    degrees = {"slight": 1, "clear": 2, "strong": 3}
    counted: Counter[int] = Counter()
    for _, verdict in evidence.benches[0].verdicts:
        winner = {"first": verdict.first, "second": verdict.second}.get(verdict.preferred or "tie")
        counted[(1 if winner == pair.b else -1) * degrees[verdict.strength or "slight"] if winner else 0] += 1
    assert {one.preference: one.verdicts for one in pair.strengths} == {d: counted[d] for d in range(-3, 4)}
    shares = [one.share for one in pair.strengths if isinstance(one.share, Estimate)]
    assert sum(one.value for one in shares) == pytest.approx(1)
    for one in pair.strengths:
        assert isinstance(one.share, Estimate)
        assert one.share.value == pytest.approx(one.verdicts / 80), "two verdicts a prompt"
        assert one.share.n == 40, "the unit is the prompt"
    weighed = sum(one.preference * one.share.value for one in pair.strengths if isinstance(one.share, Estimate))
    assert isinstance(pair.preference, Estimate)
    assert weighed == pytest.approx(pair.preference.value)


def test_shown_first_and_second_average_to_the_win_rate_and_differ_by_the_bias() -> None:
    (pair,) = worlds.report(prompts=50, bias=0.3).pairs
    assert pair.shown is not None
    first, second = pair.shown.first, pair.shown.second
    for one in (first, second, pair.win_rate, pair.position_bias):
        assert isinstance(one, Estimate)
    assert (first.value + second.value) / 2 == pytest.approx(pair.win_rate.value)
    assert first.value - second.value == pytest.approx(pair.position_bias.value)
    assert first.value > second.value


def test_two_equal_texts_are_in_neither_rate_by_place_nor_in_the_bias() -> None:
    evidence = worlds.evidence(worlds.names_of(2), prompts=40, bias=0.3)
    (bench,) = evidence.benches
    equal = [replace(one, of_one_text=True) if at % 4 == 0 else one for at, one in enumerate(bench.battles)]
    (pair,) = build(replace(evidence, benches=[replace(bench, battles=equal)])).pairs
    assert pair.shown is not None
    first, second = pair.shown.first, pair.shown.second
    for one in (first, second, pair.position_bias):
        assert isinstance(one, Estimate)
        assert one.n == 30
    assert first.value - second.value == pytest.approx(pair.position_bias.value)


def test_bins_of_length_hold_every_prompt_once_and_never_part_equals() -> None:
    (pair,) = worlds.report(prompts=60).pairs
    assert pair.length is not None
    bins = pair.length.bins
    assert sum(one.prompts for one in bins) == pair.used
    assert len(bins) == 6
    assert all(one.low <= one.difference <= one.high for one in bins)
    assert all(left.high < right.low for left, right in pairwise(bins))
    total = sum(one.prompts * one.win_rate.value for one in bins if isinstance(one.win_rate, Estimate))
    assert isinstance(pair.win_rate, Estimate)
    assert total / pair.used == pytest.approx(pair.win_rate.value)


def test_too_few_prompts_are_not_sorted_into_bins() -> None:
    (pair,) = worlds.report(prompts=15).pairs
    assert pair.length is not None
    assert pair.length.bins == ()
    assert "bins" not in worlds.report(prompts=15).to_json()["pairs"][0]["length"]


@given(st.lists(st.sampled_from((-30.0, 0.0, 0.0, 0.0, 5.0, 8.0, 40.0)), min_size=1, max_size=40))
def test_no_bin_of_length_has_fewer_than_eight_prompts(differences: list[float]) -> None:
    (scores,) = WORLD.values()
    bins = bins_of(scores[: len(differences)], differences, 0.95)
    assert all(one.prompts >= FEWEST_IN_BIN for one in bins)
    assert len(bins) != 1
    assert not bins or sum(one.prompts for one in bins) == len(differences)


def test_a_bin_of_one_prompt_is_joined_to_its_neighbour() -> None:
    (scores,) = WORLD.values()
    assert bins_of(scores[:16], [0.0] * 15 + [40.0], 0.95) == ()
    few = bins_of(scores[:24], [-9.0] * 3 + [0.0] * 11 + [40.0] * 10, 0.95)
    assert [(one.low, one.high, one.prompts) for one in few] == [(-9, 0, 14), (40, 40, 10)]


def test_the_path_of_a_watched_pair_is_its_confidence_sequence() -> None:
    report = worlds.stopped(prompts=40, margin=None)
    (pair,) = report.pairs
    assert pair.stop is not None
    evidence = worlds.evidence(worlds.names_of(2), prompts=40)
    scores = [1 - (battle.score or 0.0) for battle in evidence.benches[0].battles][: pair.stop.prompts]
    known = confidence_sequence(scores, 0.95)
    assert not isinstance(known, Undefined)
    assert [one.value for one in pair.stop.path] == pytest.approx(known.value.tolist())
    assert [one.low for one in pair.stop.path] == pytest.approx(np.minimum(known.low, known.value).tolist())


def test_a_long_path_is_thinned_to_its_ends_and_evenly_between() -> None:
    path = [Look(n, n / 1000, 0.0, 1.0) for n in range(1, 1001)]
    kept = thinned(path)
    assert len(kept) == MOST_LOOKS
    assert (kept[0], kept[-1]) == (path[0], path[-1])
    assert {b.prompts - a.prompts for a, b in pairwise(kept)} <= {5, 6}
    assert thinned(path[:7]) == tuple(path[:7])


def test_each_point_of_a_distribution_function_is_a_mean_with_its_interval() -> None:
    draw = random.Random(1)
    values = [round(draw.gauss(0, 2), 1) for _ in range(90)]
    labels = [f"g{place // 3}" for place in range(90)]
    for clusters in (None, labels):
        found = ecdf(values, clusters)
        assert isinstance(found, Ecdf)
        assert found.values == tuple(sorted(set(values)))
        for at in range(0, len(found.values), 9):
            known = mean([float(v <= found.values[at]) for v in values], clusters, low=0.0, high=1.0)
            assert isinstance(known, Estimate)
            assert (found.share[at], found.low[at]) == pytest.approx((known.value, known.low))
            assert found.high[at] == pytest.approx(known.high)
        assert found.n == (90 if clusters is None else 30)
        assert found.share[-1] == 1.0


def test_a_distribution_function_of_many_values_keeps_200_points_of_which_each_is_exact() -> None:
    values = np.random.default_rng(3).normal(size=5_000)
    found = ecdf(values)
    assert isinstance(found, Ecdf)
    assert len(found.values) == 200
    assert (found.values[0], found.values[-1]) == (values.min(), values.max())
    assert found.share == tuple(float((values <= x).mean()) for x in found.values)


@pytest.mark.parametrize(("values", "clusters"), [([], None), ([1.0], None), ([1.0, 2.0], ["a", "a"])])
def test_one_unit_has_no_distribution_function(values: list[float], clusters: list[str] | None) -> None:
    found = ecdf(values, clusters)
    assert isinstance(found, Undefined)
    assert "needs two" in found.why
