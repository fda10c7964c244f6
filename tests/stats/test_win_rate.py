import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import gammaln, xlogy
from scipy.stats import beta, binom, binomtest
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import DescrStatsW

from sciexam.stats import Estimate, Undefined, bounds, mean, win_rate
from sciexam.stats.mean import bounded_interval

scores = hnp.arrays(float, st.integers(2, 40), elements=st.sampled_from([0, 0.25, 0.5, 0.75, 1]) | st.floats(0, 1))


def estimate(*args, **kwargs):
    result = win_rate(*args, **kwargs)
    assert isinstance(result, Estimate), result
    return result


@pytest.mark.parametrize("won", [0, 1, 7, 12, 23, 24])
def test_forced_choices_are_limited_between_clopper_pearson_and_jeffreys(won):
    result = estimate([1] * won + [0] * (24 - won))
    wide = proportion_confint(won, 24, method="beta")
    narrow = proportion_confint(won, 24, method="jeffreys")
    assert (result.value, result.n) == (won / 24, 24)
    assert wide[0] - 1e-12 <= result.low <= max(narrow[0], wide[0]) + 1e-12
    assert min(narrow[1], wide[1]) - 1e-12 <= result.high <= wide[1] + 1e-12
    spread = won * (24 - won) / 24
    c = spread / (2 * spread + 20)
    assert result.low == pytest.approx(beta.ppf(0.025, won + c, 25 - won - c) if won else 0, abs=1e-12)
    assert result.high == pytest.approx(beta.ppf(0.975, won + 1 - c, 24 - won + c) if won < 24 else 1, abs=1e-12)


def test_a_hundred_thousand_forced_choices_have_the_jeffreys_interval():
    result = estimate([1] * 40_000 + [0] * 60_000)
    expected = proportion_confint(40_000, 100_000, method="jeffreys")
    assert (result.low, result.high) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("won", [0, 1, 7, 12, 23, 24])
def test_cautious_limits_of_forced_choices_are_the_exact_ones_of_clopper_and_pearson(won):
    scores = np.array([1.0] * won + [0.0] * (24 - won))
    limits = bounded_interval(scores, np.ones(24), 0.95, cautious=True)[1:]
    scipy = binomtest(won, 24).proportion_ci(method="exact")
    assert limits == pytest.approx(proportion_confint(won, 24, method="beta"), abs=1e-12)
    assert limits == pytest.approx((scipy.low, scipy.high), abs=1e-9)


def forced(n, level, cautious=False):
    """The interval for 0, 1 ... n wins."""
    patterns = np.where(np.arange(n) < np.arange(n + 1)[:, None], 1.0, 0.0)
    return bounded_interval(patterns, np.ones(n), level, cautious)[1:]


@pytest.mark.parametrize("n", [2, 5, 10, 24, 41, 50, 72, 100, 200, 400, 1000])
def test_exact_coverage_of_forced_choices_is_at_least_94_percent_at_any_rate(n):
    """No simulation: binomial probabilities, at many rates and just beside every limit, where coverage drops."""
    low, high = forced(n, 0.95)
    rates = np.concatenate([np.linspace(0.001, 0.999, 999), low + 1e-9, low - 1e-9, high + 1e-9, high - 1e-9])
    rates = rates[(rates > 0) & (rates < 1)]
    covered = (low[:, None] <= rates) & (rates <= high[:, None])
    coverage = (binom.pmf(np.arange(n + 1)[:, None], n, rates) * covered).sum(0)
    assert coverage.min() >= 0.94
    if n == 1000:
        assert coverage[(rates >= 0.1) & (rates <= 0.9)].max() <= 0.96


@pytest.mark.parametrize("n", [24, 50, 200, 1000])
def test_a_cautious_interval_is_inside_a_margin_by_error_in_at_most_5_percent(n):
    low, high = forced(n, 0.9, cautious=True)
    for margin in np.linspace(0.01, 0.49, 97):
        inside = (0.5 - margin < low) & (high < 0.5 + margin)
        assert binom.pmf(np.arange(n + 1)[inside], n, 0.5 + margin).sum() <= 0.05 + 1e-9


@pytest.mark.parametrize("n", [5, 24, 50, 200])
def test_exact_coverage_with_ties_is_at_least_94_percent_at_every_rate(n):
    """No simulation: the probability of every possible (lost, tied, won) count, summed where the interval holds."""
    lost, tied = (counts.ravel() for counts in np.mgrid[0 : n + 1, 0 : n + 1])
    lost, tied = lost[lost + tied <= n], tied[lost + tied <= n]
    won = n - lost - tied
    patterns = np.where(np.arange(n) < won[:, None], 1.0, np.where(np.arange(n) < (won + tied)[:, None], 0.5, 0.0))
    _, low, high = bounded_interval(patterns, np.ones(n), 0.95)
    ways = gammaln(n + 1) - gammaln(lost + 1) - gammaln(tied + 1) - gammaln(won + 1)
    worst = 1.0
    # Rates above one half mirror these. Near one half and all ties is where an interval is tempted to claim too much.
    for rate in (*np.linspace(0.02, 0.5, 25), *(0.5 - np.geomspace(0.001, 0.1, 15))):
        for share in (0, 0.3, 0.6, 0.9, 0.98, 1):
            tie = share * 2 * rate
            win = max(rate - tie / 2, 0)
            chance = np.exp(ways + xlogy(lost, max(1 - win - tie, 0)) + xlogy(tied, tie) + xlogy(won, win))
            assert chance.sum() == pytest.approx(1)
            worst = min(worst, chance[(low <= rate + 1e-12) & (rate <= high + 1e-12)].sum())
    assert worst >= 0.94


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.2, 0.5])
def test_coverage_is_at_least_94_percent_where_a_few_large_groups_hold_most_of_the_variance(rate):
    """Ten groups of 10 prompts, all alike, among 200 single prompts."""
    sizes = np.tile([1.0] * 20 + [10], 10)
    totals = np.where(np.random.default_rng(21).random((4000, len(sizes))) < rate, sizes, 0)
    _, low, high = bounded_interval(totals, sizes, 0.95)
    assert np.mean((low <= rate) & (high >= rate)) >= 0.94


def test_coverage_in_groups_is_at_least_94_percent_where_prompts_taken_as_independent_fall_far_below():
    rng = np.random.default_rng(20)
    sizes = np.tile([1.0, 2, 3, 4], 10)
    chance = rng.beta(0.3, 0.7, (4000, 40))  # mean .3, intraclass correlation 1/2
    totals = rng.binomial(sizes.astype(int), chance).astype(float)
    _, low, high = bounded_interval(totals, sizes, 0.95)
    assert np.mean((low <= 0.3) & (high >= 0.3)) >= 0.94
    won, n = totals.sum(1), int(sizes.sum())
    naive_low, naive_high = proportion_confint(won, n, method="wilson")
    assert np.mean((naive_low <= 0.3) & (naive_high >= 0.3)) < 0.9


@given(scores)
def test_swapping_the_contestants_mirrors_the_estimate(s):
    there, back = estimate(s), estimate(1 - s)
    mirrored = (1 - there.value, 1 - there.high, 1 - there.low)
    assert (back.value, back.low, back.high) == pytest.approx(mirrored, abs=1e-9)


@given(scores, st.randoms(use_true_random=False))
def test_the_order_of_the_prompts_does_not_matter(s, random):
    clusters = [random.choice("abc") for _ in s]
    order = list(range(len(s)))
    random.shuffle(order)
    plain, shuffled = win_rate(s, clusters), win_rate(s[order], [clusters[i] for i in order])
    if isinstance(plain, Undefined):
        assert plain == shuffled
    else:
        assert (plain.value, plain.low, plain.high) == pytest.approx(
            (shuffled.value, shuffled.low, shuffled.high), abs=1e-9
        )


@given(scores, st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99]))
def test_the_interval_holds_the_value_has_a_width_and_stays_in_the_unit(s, level):
    result = estimate(s, level=level)
    assert 0 <= result.low <= result.value <= result.high <= 1
    assert result.high - result.low > 1e-3
    assert result.value == pytest.approx(s.mean())
    assert result.level == level


@given(scores)
def test_a_higher_level_is_wider(s):
    narrow, wide = estimate(s, level=0.9), estimate(s, level=0.99)
    assert wide.low <= narrow.low
    assert narrow.high <= wide.high


@given(scores, st.integers(2, 5))
def test_repeating_every_prompt_inside_its_cluster_changes_nothing(s, times):
    once, repeated = estimate(s), estimate(np.repeat(s, times), np.repeat(np.arange(len(s)), times))
    assert repeated.n == once.n
    assert (repeated.value, repeated.low, repeated.high) == pytest.approx((once.value, once.low, once.high), abs=1e-9)


def test_repeating_every_prompt_as_if_it_were_new_does_narrow_so_the_labels_matter():
    s = np.array([1, 0, 1, 1, 0.5, 0, 1, 1])
    once, repeated = estimate(s), estimate(np.repeat(s, 4))
    assert repeated.high - repeated.low < 0.7 * (once.high - once.low)


def test_ties_make_the_interval_narrower_than_forced_choices_with_the_same_rate():
    tied, forced = estimate([0.5] * 40), estimate([1, 0] * 20)
    assert tied.high - tied.low < 0.5 * (forced.high - forced.low)
    assert tied.high > 0.5 + 1.5 / 40  # the rule of three: wins in up to 3/n of the prompts can hide, each half a point


def test_cautious_limits_have_the_effective_n_of_the_design_effect_with_two_wins_and_two_losses_added():
    """By hand: 1, 1, .5, 0 with two wins and two losses have mean .5625 and mean square residual .21484375."""
    effective = 4 * 0.5625 * (1 - 0.5625) / 0.21484375
    expected = proportion_confint(0.625 * effective, effective, method="beta")
    _, low, high = bounded_interval(np.array([1, 1, 0.5, 0]), np.ones(4), 0.95, cautious=True)
    assert (low, high) == pytest.approx(expected, abs=1e-12)


def test_the_limits_by_hand_with_groups_of_unequal_size():
    """Groups 1 0 1, 1 and 0.5: the variance lies in groups of (27 + 1 + 1) / (9 + 1 + 1) prompts."""
    size = 29 / 11
    regular = (3.5 + 1.25 * size) / (5 + 2.5 * size)
    squares = (2 - 3 * regular) ** 2 + (1 - regular) ** 2 + (0.5 - regular) ** 2
    squares += 1.25 * (size - size * regular) ** 2 + 1.25 * (size * regular) ** 2
    variance = squares / (5 + 2.5 * size) / 5  # of the mean of five prompts
    effective = regular * (1 - regular) / variance
    spread = 0.7 * 0.3 * effective
    c = spread / (2 * spread + 20)
    result = estimate([1, 0, 1, 1, 0.5], "aaabc")
    assert result.value == 0.7
    assert result.low == pytest.approx(beta.ppf(0.025, 0.7 * effective + c, 0.3 * effective + 1 - c), abs=1e-12)
    assert result.high == pytest.approx(beta.ppf(0.975, 0.7 * effective + 1 - c, 0.3 * effective + c), abs=1e-12)


@given(scores, st.integers(0, 39), st.booleans())
def test_a_hair_more_of_one_score_moves_the_limits_by_a_hair(s, i, up):
    moved = s.copy()
    moved[i % len(s)] = np.clip(moved[i % len(s)] + (1e-9 if up else -1e-9), 0, 1)
    before, after = estimate(s), estimate(moved)
    assert (after.low, after.high) == pytest.approx((before.low, before.high), abs=1e-6)


@pytest.mark.parametrize(("sweep", "low", "high"), [(1, 0.8315665, 1), (0, 0, 0.1684335)])
def test_a_clean_sweep_keeps_an_exact_interval(sweep, low, high):
    """Clopper-Pearson for 20 of 20: the lower limit is .025 ** (1 / 20)."""
    result = estimate([sweep] * 20)
    assert (result.value, result.low, result.high) == pytest.approx((sweep, low, high), abs=1e-6)


def test_clusters_may_be_words_numbers_or_pairs_and_are_counted():
    s = [1, 1, 0, 0.5]
    expected = estimate(s, ["a", "a", "b", "c"])
    assert expected.n == 3
    assert expected.method == "beta interval at the effective number of groups"
    assert estimate(s).method == "beta interval at the effective number of prompts"
    for labels in (np.array(["x", "x", "y", "z"]), np.array([7, 7, 1, 2]), [("p", 1), ("p", 1), 3, "3"]):
        assert estimate(s, labels) == expected


def test_an_average_that_rounding_put_just_outside_the_unit_is_a_clean_win_or_loss():
    assert estimate([np.nextafter(1, 2), -1e-17, 1]) == estimate([1, 0, 1])


def test_too_little_to_estimate_from_is_a_sentence():
    assert win_rate([]) == Undefined("no prompt has a score", 0)
    assert win_rate([], []) == Undefined("no prompt has a score", 0)
    assert win_rate([1.0]) == Undefined("only one prompt has a score, and an interval needs two prompts", 1)
    one_group = "all 3 prompts are in one group, and an interval needs two groups"
    assert win_rate([1, 0, 1], "aaa") == Undefined(one_group, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 1.01],), r"scores must lie in \[0, 1\], not \[0, 1.01\]"),
        (([0, 1 + 1e-6],), r"scores must lie in \[0, 1\]"),
        (([0, -0.1],), r"scores must lie in \[0, 1\]"),
        (([0, float("nan")],), "scores must be finite numbers"),
        (([[0, 1], [1, 0]],), r"not an array of shape \(2, 2\)"),
        (([0, 1], ["a"]), "2 values but 1 cluster labels"),
        (([0, 1], ["a", None]), "a cluster label is missing"),
        (([0, 1], [1.0, float("nan")]), "a cluster label is missing"),
        (([0, 1], None, 95), "level must lie between 0 and 1, not 95"),
    ],
)
def test_what_cannot_be_a_score_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        win_rate(*arguments)


@given(scores, st.integers(0, 30))
def test_the_bounds_hold_the_value_and_are_those_of_all_lost_and_all_won(s, missing):
    low, high = bounds(s, len(s) + missing)
    assert low - 1e-12 <= estimate(s).value <= high + 1e-12
    assert low == pytest.approx(np.mean([*s, *[0] * missing]))
    assert high == pytest.approx(np.mean([*s, *[1] * missing]))


def test_bounds_refuse_more_scores_than_were_planned():
    assert bounds([], 4) == (0, 1)
    with pytest.raises(ValueError, match="3 prompts have a score, but only 2 were planned"):
        bounds([1, 1, 0], 2)
    with pytest.raises(ValueError, match="only 0 were planned"):
        bounds([], 0)


def test_a_bounded_mean_is_the_win_rate_on_its_own_scale():
    preferences = np.array([-3, -1, 0, 1, 2, 3, 3, 1])
    rate, result = estimate((preferences + 3) / 6), mean(preferences, low=-3, high=3)
    assert (result.value, result.low, result.high) == pytest.approx(
        [6 * x - 3 for x in (rate.value, rate.low, rate.high)], abs=1e-12
    )


def test_equal_values_have_an_interval_with_bounds_and_a_sentence_without():
    bounded = mean([2] * 10, low=-3, high=3)
    assert bounded.low < 2 - 0.1
    assert 2 < bounded.high <= 3
    assert mean([2] * 10) == Undefined("all 10 prompts have the same value: no spread to judge by", 10)
    assert mean([0.1, 0.3, 0.3, 0.1], "aabb") == Undefined("all 2 groups have the same value: no spread to judge by", 2)


def test_an_unbounded_mean_without_groups_is_the_t_interval():
    values = np.random.default_rng(3).normal(5, 2, 12)
    result = mean(values)
    assert (result.low, result.high) == pytest.approx(DescrStatsW(values).tconfint_mean(), abs=1e-10)
    assert result.method == "t interval over prompts"


def test_an_unbounded_mean_of_equal_groups_is_the_t_interval_of_their_means():
    values = np.random.default_rng(4).normal(5, 2, 12)
    result = mean(values, np.repeat(np.arange(4), 3))
    expected = DescrStatsW(values.reshape(4, 3).mean(1)).tconfint_mean()
    assert (result.low, result.high) == pytest.approx(expected, abs=1e-10)
    assert result.n == 4


@pytest.mark.parametrize("unit", [1e-200, 1e200, 1e307])
def test_an_unbounded_mean_does_not_depend_on_the_unit(unit):
    values = np.random.default_rng(3).normal(5, 2, 12)
    result, other = mean(values), mean(unit * values)
    scaled = (result.value * unit, result.low * unit, result.high * unit)
    assert (other.value, other.low, other.high) == pytest.approx(scaled, rel=1e-9)


def test_an_unbounded_mean_with_nearly_all_prompts_in_one_group_is_a_sentence():
    values = np.random.default_rng(3).normal(5, 2, 102)
    why = "100 of 102 prompts are in one of the 3 groups: the others are too few to compare it with"
    assert mean(values, [0] * 100 + [1, 2]) == Undefined(why, 3)
    uneven = mean(values, [0] * 50 + [1] * 40 + [2] * 12)
    assert np.isfinite([uneven.low, uneven.high]).all()


def test_mean_refuses_values_outside_its_bounds_and_half_a_bound():
    with pytest.raises(ValueError, match=r"values must lie in \[-3, 3\], not \[0, 4\]"):
        mean([0, 4], low=-3, high=3)
    with pytest.raises(ValueError, match="give both bounds, low below high, or neither"):
        mean([0, 4], low=0)


def test_an_estimate_and_a_sentence_are_written_with_the_same_keys():
    result, sentence = estimate([1] * 61 + [0] * 39), win_rate([])
    assert str(Estimate(0.61, 0.5517, 0.6666, 0.95, 200, "by hand")) == "0.61 [0.55, 0.67]"
    assert str(sentence) == "no prompt has a score"
    assert result.to_json().keys() == sentence.to_json().keys()
    assert result.to_json()["why"] is None
    assert json.loads(json.dumps(result.to_json(), allow_nan=False))["n"] == 100
    assert sentence.to_json() == {
        "value": None,
        "low": None,
        "high": None,
        "level": None,
        "n": 0,
        "method": None,
        "why": "no prompt has a score",
    }


def test_the_public_name_win_rate_is_the_function_even_after_its_module_is_imported_and_scipy_stays_out():
    code = (
        "import sys, sciexam.stats.win_rate, sciexam.stats.mean\n"
        "from sciexam.stats import win_rate, mean\n"
        "assert callable(win_rate) and callable(mean)\n"
        "assert 'scipy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
