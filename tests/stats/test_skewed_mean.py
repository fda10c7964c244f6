import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import brentq

from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.mean import mean
from sciexam.stats.skewed_mean import skewed_mean

numbers = st.lists(st.integers(-20, 20).map(float), min_size=2, max_size=25)


def known(values, clusters=None, level=0.95):
    result = skewed_mean(values, clusters, level)
    assert isinstance(result, Estimate), result
    return result


def halls_interval(values, skewness, level=0.95):
    """The t statistics whose transform (Hall 1992, the monotone one) is a t quantile, found by bisection."""
    n, s = len(values), skewness / np.sqrt(len(values))
    error, quantile = stats.sem(values), stats.t(n - 1).ppf((1 + level) / 2)

    def limit(x):
        return values.mean() - error * brentq(
            lambda t: t + s * t**2 / 3 + s**2 * t**3 / 27 + s / 6 - x, -1e6, 1e6, xtol=1e-12
        )

    return limit(quantile), limit(-quantile)


@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("n", [5, 24, 200])
def test_each_limit_is_the_outer_one_of_the_t_interval_and_of_halls(n, sign, level):
    values = sign * np.random.default_rng(n).lognormal(size=n)
    low, high = halls_interval(values, 1.25 * stats.skew(values, bias=False), level)
    plain = mean(values, level=level)
    found = known(values, level=level)
    assert found.value == plain.value
    assert (found.low, found.high) == pytest.approx((min(low, plain.low), max(high, plain.high)), rel=1e-6)
    if sign > 0:
        assert found.low == plain.low
        assert found.high > plain.high
    else:
        assert found.low < plain.low
        assert found.high == plain.high


def test_few_lognormal_values_are_covered_where_the_t_interval_misses_the_tail():
    """The mean of exp(z) is exp(1/2); 1,000 samples of 24."""
    samples = np.random.default_rng(0).lognormal(size=(1000, 24))
    truth = np.exp(0.5)
    covered = np.mean([(e := known(x)).low <= truth <= e.high for x in samples])
    plain = np.mean([(e := mean(x)).low <= truth <= e.high for x in samples])
    assert plain < 0.89
    assert covered > 0.93


def test_long_tails_on_both_sides_are_covered_as_by_the_t_interval():
    """Student's t with 3 degrees of freedom, where Hall's own interval covers .92; 1,000 samples of 24."""
    samples = np.random.default_rng(1).standard_t(3, (1000, 24))
    assert np.mean([(e := known(x)).low <= 0 <= e.high for x in samples]) > 0.94


def test_values_without_skewness_have_the_t_interval():
    values = [-3, -2, -1.5, 0, 0, 1.5, 2, 3]
    found, plain = known(values), mean(values)
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high))


@given(numbers, st.floats(-100, 100), st.floats(0.01, 100))
def test_the_interval_moves_and_stretches_with_the_values_and_holds_the_t_interval(values, shift, scale):
    values = np.array(values)
    found = skewed_mean(values)
    if isinstance(found, Undefined):
        assert np.ptp(values) == 0
        return
    plain = mean(values)
    assert found.low <= plain.low <= plain.value <= plain.high <= found.high
    limits = np.array([found.low, found.value, found.high])
    moved, mirrored = known(shift + scale * values), known(-values)
    tolerance = 1e-6 * (abs(shift) + scale * (found.high - found.low))
    assert [moved.low, moved.value, moved.high] == pytest.approx(shift + scale * limits, abs=tolerance)
    assert [-mirrored.high, -mirrored.value, -mirrored.low] == pytest.approx(limits, abs=1e-9)


@given(numbers, st.integers(0, 1000))
def test_the_order_of_the_values_does_not_matter(values, seed):
    found, moved = skewed_mean(values), skewed_mean(np.random.default_rng(seed).permutation(values))
    if isinstance(found, Estimate):
        assert (moved.low, moved.high) == pytest.approx((found.low, found.high), abs=1e-9)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_values_repeated_within_their_cluster_are_no_more_evidence(level):
    values = np.random.default_rng(2).lognormal(size=30)
    once, copied = known(values, level=level), known(np.repeat(values, 3), np.repeat(np.arange(30), 3), level)
    assert (copied.low, copied.high, copied.n) == (pytest.approx(once.low), pytest.approx(once.high), 30)


def test_groups_of_different_sizes_have_the_skewness_of_their_sums():
    rng = np.random.default_rng(3)
    sizes = rng.integers(1, 4, 40)
    labels = np.repeat(np.arange(40), sizes)
    values = rng.lognormal(size=40)[labels]
    residuals = np.bincount(labels, values - values.mean())
    units = sizes.sum() ** 2 / (sizes**2).sum()
    s = 1.25 * (residuals**3).sum() / (residuals**2).sum() ** 1.5 * np.sqrt(units * (units - 1)) / (units - 2)
    plain, quantile = mean(values, labels), stats.t(units - 1).ppf(0.975)
    t = brentq(lambda t: t + s * t**2 / 3 + s**2 * t**3 / 27 + s / 6 + quantile, -1e6, 0)
    expected = plain.value - t * (plain.high - plain.value) / quantile
    assert known(values, labels).high == pytest.approx(expected)
    assert known(values, labels).high > plain.high


def test_fewer_than_a_hundred_units_are_approximate_and_two_have_the_t_interval():
    values = np.random.default_rng(4).lognormal(size=100)
    assert known(values).method == "t interval over prompts, lengthened towards the longer tail"
    assert known(values[:99]).method.startswith("approximate: t interval over prompts")
    assert known(values, np.repeat(np.arange(50), 2)).method.startswith("approximate: t interval over groups")
    two, plain = known([1, 5]), mean([1, 5])
    assert (two.low, two.high) == pytest.approx((plain.low, plain.high))


def test_huge_and_tiny_values_have_finite_limits():
    values = np.random.default_rng(5).lognormal(size=20)
    once = known(values)
    for unit in (1e150, 1e-150):
        found = known(unit * values)
        assert (found.low / unit, found.high / unit) == pytest.approx((once.low, once.high))


def test_undefined_and_bad_input_are_those_of_the_mean():
    assert skewed_mean([]) == Undefined("no prompt has a score")
    assert skewed_mean([1.0]) == mean([1.0])
    assert skewed_mean([2.0, 2.0, 2.0]) == mean([2.0, 2.0, 2.0])
    with pytest.raises(ValueError, match="values must be finite numbers"):
        skewed_mean([1.0, np.nan])
    with pytest.raises(ValueError, match="level must lie between 0 and 1, not 1"):
        skewed_mean([1.0, 2.0], level=1)
    with pytest.raises(ValueError, match="2 values but 1 cluster labels"):
        skewed_mean([1.0, 2.0], ["a"])
