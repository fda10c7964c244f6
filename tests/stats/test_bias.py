import numpy as np
import pytest

from sciexam.stats import (
    Estimate,
    Undefined,
    longer_wins,
    order_consistency,
    position_bias,
    position_bias_between,
    win_rate,
)


def test_a_judge_that_always_says_first_has_bias_one_and_no_consistency():
    bias = position_bias([1] * 30)
    assert bias.value == 1.0
    assert bias.low > 0.7
    consistency = order_consistency([1] * 30, [0] * 30)
    assert (consistency.value, consistency.low) == (0, 0)
    assert consistency.high < 0.15


def test_a_judge_without_bias_is_near_zero_and_one_that_says_second_is_negative():
    assert position_bias([1, 0, 0.5, 0.5] * 10).value == 0
    assert position_bias([0, 0, 0.5, 0] * 10).high < 0


def test_position_bias_lies_on_twice_the_scale_of_the_rate():
    first = np.array([1, 1, 0.5, 0, 0.75, 1])
    rate, bias = win_rate(first), position_bias(first)
    assert (bias.value, bias.low, bias.high) == pytest.approx([2 * x - 1 for x in (rate.value, rate.low, rate.high)])


def test_consistent_means_the_same_winner_or_a_tie_both_times():
    #                    same  flip  tie   lost half  sides of probabilities
    a_first = np.array([1.0, 1.00, 0.5, 0.0, 1.0, 0.9, 0.6])
    b_first = np.array([1.0, 0.00, 0.5, 0.0, 0.5, 0.6, 0.4])
    result = order_consistency(a_first, b_first)
    assert result.value == pytest.approx(4 / 7)
    assert result.n == 7


def test_an_average_that_misses_one_half_by_rounding_is_a_tie():
    almost = np.nextafter(0.5, 1)
    assert order_consistency([almost, 1], [0.5, 1]).value == 1


def test_consistency_is_clustered():
    whole = order_consistency([1, 0] * 10, [1, 1] * 10, np.repeat(np.arange(10), 2))
    assert (whole.n, whole.value) == (10, 0.5)


def test_longer_wins_counts_decided_prompts_of_different_length_only():
    #          longer  shorter  tie  same length  longer b
    scores = [1.0, 1.0, 0.5, 1.0, 0.2]
    difference = [30, -5, 100, 0, -7]
    result = longer_wins(scores, difference, ["a", "b", "b", "b", "c"])
    assert result.value == pytest.approx(2 / 3)
    assert result.n == 3


def test_longer_wins_does_not_depend_on_who_is_called_a():
    rng = np.random.default_rng(2)
    scores, difference = rng.choice([0, 0.5, 1], 40), rng.integers(-9, 10, 40)
    assert longer_wins(scores, difference) == longer_wins(1 - scores, -difference)


def test_nothing_to_look_at_is_a_sentence():
    assert order_consistency([], []) == Undefined("no prompt was judged in both orders", 0)
    assert position_bias([]) == Undefined("no prompt was judged in a balanced set of orders", 0)
    assert longer_wins([0.5, 1], [3, 0]) == Undefined("no prompt has both a winner and a difference in length", 0)
    assert longer_wins([], []) == Undefined("no prompt has both a winner and a difference in length", 0)


def test_lengths_that_differ_and_values_that_are_no_scores_are_refused():
    with pytest.raises(ValueError, match="2 scores with a first but 1 with b first"):
        order_consistency([1, 0], [1])
    with pytest.raises(ValueError, match=r"b_first must lie in \[0, 1\]"):
        order_consistency([1, 0], [1, 2])
    with pytest.raises(ValueError, match="2 scores but 3 differences in length"):
        longer_wins([1, 0], [1, 2, 3])
    with pytest.raises(ValueError, match="length_difference must be finite"):
        longer_wins([1, 0], [1, float("nan")])
    with pytest.raises(ValueError, match="2 values but 1 cluster labels"):
        longer_wins([1, 0], [1, 2], ["a"])


def test_a_preference_shown_mostly_second_is_no_bias_between_the_orders() -> None:
    """A rater that always prefers a has no bias, however rarely a was shown first."""
    found = position_bias_between([1.0] * 10, [1.0] * 90)
    assert isinstance(found, Estimate)
    assert found.value == 0.0
    assert found.low < 0 < found.high


def test_a_judge_that_always_says_first_has_the_whole_bias_between_the_orders() -> None:
    found = position_bias_between([1.0] * 30, [0.0] * 50)
    assert isinstance(found, Estimate)
    assert (found.value, found.high, found.n) == (1.0, 1.0, 80)
    assert 0.8 < found.low < 1.0


def test_one_order_alone_gives_no_bias() -> None:
    assert isinstance(position_bias_between([1.0, 0.0], []), Undefined)
    too_few = "too few prompts were shown in one of the orders to tell a bias from a preference"
    assert position_bias_between([1.0], [0.0, 1.0]) == Undefined(too_few, 3)


def test_the_interval_between_the_orders_agrees_with_newcombe_for_forced_choices() -> None:
    """Against statsmodels' Newcombe interval (from Wilson's): ours is from exact intervals, so a little wider."""
    from statsmodels.stats.proportion import confint_proportions_2indep

    found = position_bias_between([1.0] * 56 + [0.0] * 14, [1.0] * 48 + [0.0] * 32)
    assert isinstance(found, Estimate)
    low, high = confint_proportions_2indep(56, 70, 48, 80, method="newcomb")
    assert found.value == pytest.approx(0.2)
    assert found.low == pytest.approx(low, abs=0.02)
    assert found.high == pytest.approx(high, abs=0.02)
    assert found.low <= low
    assert found.high >= high
