from itertools import combinations
from math import comb, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sciexam.stats.best_of_n import _weights, best_of_n
from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.mean import mean

tied = hnp.arrays(float, st.tuples(st.just(2), st.integers(1, 6)), elements=st.integers(0, 3).map(float))


def by_every_subset(rewards, outcomes, n):
    """Choose the best of each subset of n samples; of several best ones take the mean outcome. Slow and obvious."""
    chosen = []
    for subset in combinations(range(len(rewards)), n):
        highest = max(rewards[i] for i in subset)
        chosen.append(np.mean([outcomes[i] for i in subset if rewards[i] == highest]))
    return np.mean(chosen)


@given(tied, st.integers(0, 10**6))
def test_the_value_is_the_mean_over_every_subset_of_n_samples(rewards, seed):
    outcomes = np.random.default_rng(seed).normal(size=rewards.shape)
    most = rewards.shape[1]
    for point in best_of_n(rewards, outcomes, ns=range(1, most + 1)):
        expected = [by_every_subset(r, y, point.n) for r, y in zip(rewards, outcomes, strict=True)]
        assert isinstance(point.value, Estimate), point
        assert point.value.value == pytest.approx(np.mean(expected), abs=1e-9)


@pytest.mark.parametrize(("n", "most"), [(1, 1), (1, 7), (3, 7), (7, 7), (5, 40)])
def test_the_weights_are_the_binomial_coefficients(n, most):
    expected = [comb(i - 1, n - 1) / comb(most, n) for i in range(1, most + 1)]
    assert _weights(n, most) == pytest.approx(expected, rel=1e-12)


def test_thousands_of_samples_overflow_nothing():
    assert _weights(2000, 5000).sum() == pytest.approx(1)


def test_the_best_of_n_uniform_rewards_is_n_over_n_plus_one():
    """The expectation of the maximum of n uniform numbers; 4,000 prompts with 16 samples."""
    rewards = np.random.default_rng(4).random((4000, 16))
    for point in best_of_n(rewards):
        assert point.value.low <= point.n / (point.n + 1) <= point.value.high


def test_the_curve_has_powers_of_two_and_the_bound_on_the_divergence():
    """log 4 - 3/4 = .6363 nats."""
    curve = best_of_n(np.random.default_rng(0).random((5, 6)))
    assert [point.n for point in curve] == [1, 2, 4]
    assert [point.kl for point in curve] == pytest.approx([0, log(2) - 1 / 2, 0.63629], abs=1e-5)


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_best_of_one_is_the_mean_and_more_samples_never_lower_the_reward(seed):
    rewards = np.random.default_rng(seed).normal(size=(4, 8))
    values = [point.value.value for point in best_of_n(rewards, ns=range(1, 9))]
    assert values[0] == pytest.approx(rewards.mean())
    assert values[-1] == pytest.approx(rewards.max(1).mean())
    assert (np.diff(values) >= -1e-12).all()


def test_a_reward_model_that_prefers_wrong_answers_lowers_the_outcome():
    right = np.tile([0.0, 0.0, 1.0, 1.0], (20, 1))
    curve = best_of_n(-right, right, ns=[1, 2, 3], low=0, high=1)
    # of the six pairs one is right twice; every three have a wrong one
    assert [point.value.value for point in curve] == pytest.approx([1 / 2, 1 / 6, 0])
    assert curve[2].value.low == 0
    assert 0 < curve[2].value.high < 0.2


def test_prompts_of_one_cluster_are_one_unit():
    rewards = np.random.default_rng(1).normal(size=(12, 4))
    clusters = np.repeat(list("abcd"), 3)
    point = best_of_n(rewards, ns=[4], clusters=clusters)[0]
    assert point.value == mean(rewards.max(1), clusters)


def test_one_prompt_has_no_interval():
    assert best_of_n([[1.0, 2.0]])[0].value == Undefined(
        "only one prompt has a score, and an interval needs two prompts", 1
    )
    assert best_of_n(np.empty((0, 3)))[0].value == Undefined("no prompt has a score")


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"rewards must have the shape \(prompts, samples\)"):
        best_of_n([1.0, 2.0])
    with pytest.raises(ValueError, match="outcomes must be finite numbers"):
        best_of_n([[1.0, 2.0]], [[np.nan, 1.0]])
    with pytest.raises(ValueError, match=r"rewards have the shape \(1, 2\) but outcomes \(2, 2\)"):
        best_of_n([[1.0, 2.0]], [[0, 1], [0, 1]])
    with pytest.raises(ValueError, match="n must be a whole number between 1 and the 2 samples of a prompt, not 3"):
        best_of_n([[1.0, 2.0]], ns=[1, 3])
    with pytest.raises(ValueError, match=r"n must be a whole number between 1 and the 2 samples of a prompt, not 1\.5"):
        best_of_n([[1.0, 2.0]], ns=[1.5])
    with pytest.raises(ValueError, match="2 values but 1 cluster labels"):
        best_of_n([[1.0, 2.0], [0.0, 1.0]], clusters=["a"])
    with pytest.raises(ValueError, match="give both bounds"):
        best_of_n([[1.0, 2.0], [0.0, 1.0]], low=0)
