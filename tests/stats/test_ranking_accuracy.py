from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.mean import mean
from sciexam.stats.ranking_accuracy import exact_match, five_best, mean_kendall, mean_spearman, pairwise_accuracy

ALL = [pairwise_accuracy, exact_match, mean_spearman, mean_kendall, five_best]
each = pytest.mark.parametrize("measure", ALL)

responses = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 3), st.sampled_from("pqrs")), max_size=30)


def by_hand(scores, ranks, prompts):
    """Every measure with plain loops over prompts and pairs; None where no prompt has it."""
    right, exact, rho, tau, top = [], [], [], [], []
    for prompt in sorted(set(prompts)):
        mine = [(s, r) for s, r, p in zip(scores, ranks, prompts, strict=True) if p == prompt]
        asked = [(x, y) if x[1] < y[1] else (y, x) for x, y in combinations(mine, 2) if x[1] != y[1]]
        points = [1.0 if better[0] > worse[0] else 0.5 if better[0] == worse[0] else 0.0 for better, worse in asked]
        right += points
        exact += [all(point == 1 for point in points)] if asked else []
        s, r = zip(*mine, strict=True)
        if len(set(s)) > 1 and len(set(r)) > 1:
            rho.append(stats.spearmanr(s, np.negative(r)).statistic)
            tau.append(stats.kendalltau(s, np.negative(r)).statistic)
        if len(mine) > 1:
            top += [rank == min(r) for score, rank in mine if score == 5]
    return [np.mean(values) if values else None for values in (right, exact, rho, tau, top)]


@given(responses)
def test_every_measure_is_that_of_loops_over_prompts_and_pairs(rows):
    scores, ranks, prompts = zip(*rows, strict=True) if rows else ([], [], [])
    for measure, expected in zip(ALL, by_hand(scores, ranks, prompts), strict=True):
        found = measure(scores, ranks, prompts)
        if isinstance(found, Estimate):
            assert found.value == pytest.approx(expected, abs=1e-9)
            assert found.low <= found.value <= found.high
        else:
            assert expected is None or found.n == 1


def many(prompts=200, noise=1.0, seed=0):
    rng = np.random.default_rng(seed)
    prompt = np.repeat(np.arange(prompts), rng.integers(2, 5, prompts))
    quality = rng.standard_normal(len(prompt))
    scores = np.clip(np.round(2.5 + 1.5 * (quality + noise * rng.standard_normal(len(prompt)))), 0, 5)
    ranks = np.empty(len(prompt))
    for p in range(prompts):
        ranks[prompt == p] = stats.rankdata(-quality[prompt == p])
    return scores, ranks, prompt


def test_two_hundred_prompts_agree_with_loops():
    scores, ranks, prompts = many()
    for measure, expected in zip(ALL, by_hand(scores, ranks, prompts), strict=True):
        assert measure(scores, ranks, prompts).value == pytest.approx(expected, abs=1e-9)


def test_a_small_example_worked_by_hand():
    """p: order 1 2 3 scored 5 3 4, two of three pairs right. q: order 1 2 scored 5 5, a tie. r: scored as ranked."""
    scores, ranks, prompts = [5, 3, 4, 5, 5, 4, 2], [1, 2, 3, 1, 2, 1, 2], list("pppqqrr")
    assert pairwise_accuracy(scores, ranks, prompts).value == pytest.approx((2 + 0.5 + 1) / 5)
    assert exact_match(scores, ranks, prompts).value == pytest.approx(1 / 3)
    assert mean_spearman(scores, ranks, prompts).value == pytest.approx((0.5 + 1) / 2)
    assert mean_kendall(scores, ranks, prompts).value == pytest.approx((1 / 3 + 1) / 2)
    assert five_best(scores, ranks, prompts).value == pytest.approx(2 / 3)
    assert [measure(scores, ranks, prompts).n for measure in ALL] == [3, 3, 2, 2, 2]


def test_a_prompt_without_an_order_is_left_out_of_the_correlations_and_told():
    found = mean_spearman([5, 3, 4, 4, 2, 1], [1, 2, 1, 2, 2, 1], list("aabbcc"))
    assert found.n == 2
    assert found.method.endswith("prompts; 1 without an order left out")


def test_the_prompt_is_the_unit_and_not_the_pair():
    scores, ranks, prompts = many()
    found = pairwise_accuracy(scores, ranks, prompts)
    assert found.n == 200
    copied = pairwise_accuracy(
        np.tile(scores, 5), np.tile(ranks, 5), np.arange(5).repeat(len(scores)) * 1000 + np.tile(prompts, 5)
    )
    assert copied.high - copied.low < found.high - found.low
    assert "prompts" in found.method
    assert "groups" not in found.method


def test_pairs_have_the_interval_of_a_clustered_mean():
    agreed, prompts = [1, 0.5, 1, 0, 1, 1], list("aaabcd")
    scores, ranks = [5, 4, 4, 1, 2, 2, 1, 2, 1], [1, 2, 3, 1, 2, 1, 2, 1, 2]
    found = pairwise_accuracy(scores, ranks, list("aaabbccdd"))
    expected = mean(agreed, prompts, low=0.0, high=1.0)
    assert (found.value, found.low, found.high) == pytest.approx((expected.value, expected.low, expected.high))


@each
def test_only_the_order_within_a_prompt_counts(measure):
    scores, ranks, prompts = many(40)
    shuffled = np.random.default_rng(1).permutation(len(scores))
    moved = measure(
        scores[shuffled], 10 * ranks[shuffled] + 100 * prompts[shuffled], [f"p{k}" for k in prompts[shuffled]]
    )
    found = measure(scores, ranks, prompts)
    assert (moved.value, moved.low, moved.high) == pytest.approx((found.value, found.low, found.high))


@pytest.mark.parametrize("measure", ALL[:4])
def test_a_better_judge_scores_higher(measure):
    values = [measure(*many(noise=noise)).value for noise in (3, 1, 0.2)]
    assert values == sorted(values)
    assert values[0] < values[2] - 0.2


def test_perfect_scores_get_the_top_of_every_measure():
    ranks, prompts = np.tile([1, 2, 3], 30), np.repeat(np.arange(30), 3)
    for measure in ALL:
        found = measure(7 - 2 * ranks, ranks, prompts)
        assert found.value == pytest.approx(1)
        assert found.low < 0.95


def test_another_top_score_can_be_called_perfect():
    scores, ranks, prompts = [10, 9, 10, 2], [1, 2, 2, 1], list("aabb")
    assert five_best(scores, ranks, prompts, perfect=10).value == 0.5
    assert five_best(scores, ranks, prompts, perfect=10.5).why == "no response to a prompt with several scores 10.5"


def test_what_has_no_order_is_undefined():
    apart = Undefined("no prompt has two responses that humans ranked apart")
    different = Undefined("no prompt has several responses with different scores and different ranks")
    assert pairwise_accuracy([1, 2], [1, 1], ["a", "a"]) == exact_match([1, 2], [1, 2], ["a", "b"]) == apart
    assert mean_spearman([1, 1], [1, 2], ["a", "a"]) == mean_kendall([1, 2], [1, 1], ["a", "a"]) == different
    assert pairwise_accuracy([], [], []) == apart
    assert mean_kendall([], [], []) == different
    assert (
        five_best([], [], []).why == five_best([5], [1], ["a"]).why == "no response to a prompt with several scores 5"
    )
    only = "only one prompt has an order to compare, and an interval needs two"
    assert pairwise_accuracy([1, 2], [2, 1], ["a", "a"]) == Undefined(only, 1)


@each
def test_bad_input_is_refused(measure):
    with pytest.raises(ValueError, match="2 scores but 1 ranks"):
        measure([1, 2], [1], ["a", "a"])
    with pytest.raises(ValueError, match="2 values but 1 cluster labels"):
        measure([1, 2], [1, 2], ["a"])
    with pytest.raises(ValueError, match="ranks must be finite numbers"):
        measure([1, 2], [1, np.nan], ["a", "a"])
    with pytest.raises(ValueError, match="a cluster label is missing"):
        measure([1, 2], [1, 2], ["a", None])
