import csv
import gzip
import json
import tracemalloc
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sciexam.stats.effect_size import cliffs_delta, cohens_d, distances, sd_ratio
from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.paired import sign_flip
from sciexam.stats.ranking_accuracy import pairwise_accuracy
from sciexam.stats.rewards import (
    RewardComparison,
    _brown_forsythe,
    _signed_ranks,
    compare_rewards,
    distribution,
    median,
)
from sciexam.stats.skewed_mean import skewed_mean

few_values = st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=2, max_size=25)


def estimate(result):
    assert isinstance(result, Estimate), result
    return result


def rewards(n=40, shift=0.5, seed=0):
    a, b, shared = np.random.default_rng(seed).standard_normal((3, n))
    return a + shared + shift, b + shared


def textbook_jackknife(statistic, a, b, units):
    """Half-width of the t interval from leaving out each unit in turn, and the number of units."""
    kept = [units != unit for unit in np.unique(units)]
    without = np.array([statistic(a[rest], b[rest]) for rest in kept])
    n = len(without)
    return stats.t(n - 1).ppf(0.975) * np.sqrt((n - 1) / n * np.sum((without - without.mean()) ** 2)), n


def d_av(a, b):
    return np.mean(a - b) / np.sqrt((np.var(a, ddof=1) + np.var(b, ddof=1)) / 2)


def log_sd_ratio(a, b):
    return np.log(np.std(a, ddof=1) / np.std(b, ddof=1))


def test_a_distribution_has_the_figures_of_numpy_and_counts_what_is_not_finite_apart():
    values = np.random.default_rng(0).lognormal(size=60)
    found = distribution(np.concatenate([values, [np.nan, np.inf, -np.inf]]))
    assert (found.n, found.not_finite) == (60, 3)
    assert found.mean.value == pytest.approx(values.mean())
    assert found.mean == skewed_mean(values)
    assert found.sd == pytest.approx(values.std(ddof=1))
    assert found.median == median(values)
    figures = (found.min, found.q05, found.q25, found.q75, found.q95, found.max)
    assert figures == pytest.approx(np.quantile(values, [0, 0.05, 0.25, 0.75, 0.95, 1]))


def test_a_prompt_whose_reward_is_not_finite_leaves_its_cluster():
    values, clusters = [1.0, np.nan, 2.0, 4.0, 5.0], ["a", "b", "c", "c", "d"]
    found = distribution(values, clusters)
    assert found.mean.n == 3
    assert found.mean.value == 3.0


def test_distributions_of_nothing_of_one_and_of_equal_rewards():
    assert distribution([]) == Undefined("there are no rewards")
    assert distribution([np.nan, np.inf]) == Undefined("none of 2 rewards is finite")
    one = distribution([2.5])
    assert one.sd == Undefined("one reward has no spread", 1)
    assert one.mean == Undefined("only one prompt has a score, and an interval needs two prompts", 1)
    assert one.median == Undefined("1 prompts are too few for an interval of the median", 1)
    equal = distribution([2.5] * 10)
    assert equal.sd == 0
    assert equal.mean.why == "all 10 prompts have the same value: no spread to judge by"
    assert (equal.median.low, equal.median.value, equal.median.high) == (2.5, 2.5, 2.5)


@pytest.mark.parametrize("n", [6, 7, 12, 25, 50, 101])
def test_the_medians_interval_is_the_sign_tests(n):
    """Order statistics: the largest k with P(Bin(n, 1/2) < k) <= .025 gives x_(k) .. x_(n+1-k)."""
    values = np.random.default_rng(n).standard_cauchy(n)
    k = int(np.searchsorted(stats.binom(n, 0.5).cdf(np.arange(n)), 0.025, "right"))
    ordered = np.sort(values)
    found = estimate(median(values))
    assert (found.low, found.value, found.high) == (ordered[k - 1], np.median(values), ordered[n - k])
    assert found.method == "inverted sign test over prompts"


def test_five_values_are_too_few_for_a_median_and_six_are_enough():
    """2 / 2**5 is .0625, and 2 / 2**6 is .031."""
    assert median([3, 1, 2, 5, 4]) == Undefined("5 prompts are too few for an interval of the median", 5)
    assert (median(range(6)).low, median(range(6)).high) == (0, 5)
    assert median(range(6), clusters=[0, 0, 1, 1, 2, 2]).why == "3 groups are too few for an interval of the median"


def test_the_medians_interval_widens_where_prompts_of_a_cluster_are_alike():
    values = np.random.default_rng(2).standard_normal(30)
    copied, clusters = np.repeat(values, 4), np.repeat(np.arange(30), 4)
    once, told, untold = median(values), median(copied, clusters), median(copied)
    assert (told.low, told.high, told.n) == (once.low, once.high, 30)
    assert untold.high - untold.low < told.high - told.low


def by_every_pair(a, b):
    return np.mean(np.sign(np.subtract.outer(a, b)))


@given(few_values)
def test_cliffs_delta_is_the_mean_sign_over_every_pair(pairs):
    a, b = np.array(pairs, dtype=float).T
    found = cliffs_delta(a, b)
    if isinstance(found, Estimate):
        assert found.value == pytest.approx(by_every_pair(a, b), abs=1e-12)
        assert -1 <= found.low <= found.value <= found.high <= 1
        mirror = estimate(cliffs_delta(b, a))
        assert (-mirror.value, -mirror.high, -mirror.low) == pytest.approx((found.value, found.low, found.high))
    else:
        assert found.why.startswith("all ")


def test_cliffs_delta_is_that_of_the_mann_whitney_statistic():
    a, b = rewards()
    assert cliffs_delta(a, b).value == pytest.approx(2 * stats.mannwhitneyu(a, b).statistic / 40**2 - 1)


def test_the_interval_of_cliffs_delta_comes_from_its_derivative_in_each_prompts_weight():
    a, b = rewards(15)
    delta, copies = by_every_pair(a, b), 100
    weights = copies + np.eye(15, dtype=int)
    moved = np.array([by_every_pair(np.repeat(a, w), np.repeat(b, w)) for w in weights])
    influence = (moved - delta) * copies * 15 / (1 - delta**2)
    half = stats.t(14).ppf(0.975) * np.sqrt(np.sum(influence**2) / (15 * 14))
    found = estimate(cliffs_delta(a, b))
    assert (np.arctanh(found.high) - np.arctanh(found.low)) / 2 == pytest.approx(half, rel=0.01)


def test_a_clean_sweep_keeps_an_exact_limit():
    """Ten disjoint pairs of twenty prompts all won: the rate may be as low as .025 ** (1 / 10)."""
    sweep = estimate(cliffs_delta(np.arange(20) + 100, np.arange(20)))
    assert (sweep.value, sweep.high) == (1, 1)
    assert sweep.low == pytest.approx(2 * stats.beta(10, 1).ppf(0.025) - 1)
    swept = estimate(cliffs_delta(np.arange(20), np.arange(20) + 100))
    assert (swept.value, swept.low, swept.high) == (-1, -1, -sweep.low)
    assert estimate(cliffs_delta([5, 6], [1, 2])).low == pytest.approx(2 * 0.025 - 1)
    in_groups = estimate(cliffs_delta(np.arange(20) + 100, np.arange(20), np.repeat([1, 2, 3, 4], 5)))
    assert (in_groups.low, in_groups.n) == (pytest.approx(2 * 0.025 ** (1 / 2) - 1), 4)
    assert in_groups.method.startswith("approximate: ")


@pytest.mark.parametrize("size", [1, 3])
def test_the_interval_of_cohens_d_is_that_of_the_textbook_jackknife(size):
    a, b = rewards(30)
    units = np.repeat(np.arange(30 // size), size)
    kept = [units != unit for unit in np.unique(units)]
    without, n = np.array([d_av(a[rest], b[rest]) for rest in kept]), len(kept)
    expected = estimate(skewed_mean(d_av(a, b) + (n - 1) * (without.mean() - without)))
    found = estimate(cohens_d(a, b, None if size == 1 else units))
    assert (found.value, found.n) == (pytest.approx(d_av(a, b)), n)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.method.startswith("approximate: jackknife t interval over ")


def test_the_interval_of_cohens_d_covers_under_long_tails():
    """Student's t with 3 degrees of freedom, 1,000 samples of 50; a t interval of the pseudo-values covers .92."""
    rng = np.random.default_rng(6)
    a, b = rng.standard_t(3, (2, 1000, 50))
    found = [estimate(cohens_d(x + 1, y)) for x, y in zip(a, b, strict=True)]
    assert np.mean([d.low <= 1 / np.sqrt(3) <= d.high for d in found]) > 0.94


@pytest.mark.parametrize("size", [1, 3])
def test_the_interval_of_the_sd_ratio_is_that_of_the_textbook_jackknife(size):
    a, b = rewards(30)
    a = a * 1.7
    units = np.repeat(np.arange(30 // size), size)
    half, n = textbook_jackknife(log_sd_ratio, a, b, units)
    found = estimate(sd_ratio(a, b, None if size == 1 else units))
    value = log_sd_ratio(a, b)
    assert (found.value, found.n) == (pytest.approx(np.exp(value)), n)
    assert (found.low, found.high) == pytest.approx((np.exp(value - half), np.exp(value + half)))


@settings(max_examples=25)
@given(few_values)
def test_distances_agree_with_scipy(pairs):
    a, b = np.array(pairs, dtype=float).T
    smirnov, wasserstein = distances(a, b, resamples=19)
    if np.array_equal(a, b):
        assert smirnov == wasserstein == Undefined("both rewards are the same on every prompt", len(a))
        return
    assert smirnov.value == pytest.approx(stats.ks_2samp(a, b, method="asymp").statistic)
    assert wasserstein.value == pytest.approx(stats.wasserstein_distance(a, b))
    assert 0 <= smirnov.low <= smirnov.value <= smirnov.high <= 1
    assert 0 <= wasserstein.low <= wasserstein.value <= wasserstein.high


def test_the_half_widths_of_the_distances_are_the_bootstraps_errors():
    """The same resamples through scipy: the error of the difference of the weighted distribution functions."""
    a, b = rewards(15)
    a, b = a[np.argsort(a)], b[np.argsort(a)]  # the resamples do not depend on the order of the prompts
    rng = np.random.default_rng(7)
    grid = np.sort(np.concatenate([a, b]))
    gap = np.array([np.mean(a <= x) - np.mean(b <= x) for x in grid])
    greatest, area = [], []
    for _ in range(99):
        drawn = rng.integers(0, 15, 15)
        error = np.array([np.mean(a[drawn] <= x) - np.mean(b[drawn] <= x) for x in grid]) - gap
        greatest.append(np.abs(error).max())
        area.append(np.sum(np.abs(error[:-1]) * np.diff(grid)))
    smirnov, wasserstein = distances(a, b, seed=7, resamples=99)
    assert smirnov.high - smirnov.value == pytest.approx(np.quantile(greatest, 0.95, method="higher"))
    assert wasserstein.high - wasserstein.value == pytest.approx(np.quantile(area, 0.95, method="higher"))


def test_two_equal_distributions_have_distances_whose_interval_reaches_zero():
    found = [distances(*rewards(60, shift=0, seed=seed), resamples=99) for seed in range(60)]
    for k in range(2):
        assert all(pair[k].value > 0 for pair in found)
        assert np.mean([pair[k].low == 0 for pair in found]) >= 0.86  # .95 less 3.3 standard errors


@pytest.mark.parametrize("n", [6, 10, 14])
def test_few_pairs_have_wilcoxons_exact_p(n):
    a, b = rewards(n)
    assert compare_rewards(a, b, resamples=1).wilcoxon_p == pytest.approx(stats.wilcoxon(a, b, mode="exact").pvalue)


def test_many_pairs_have_wilcoxons_p_up_to_the_draws():
    """At p = .09 three standard errors of 9,999 draws are .009."""
    a, b = rewards(40, seed=2)
    exact = stats.wilcoxon(a, b, mode="exact").pvalue
    assert 0.02 < exact < 0.3
    assert compare_rewards(a, b, resamples=1).wilcoxon_p == pytest.approx(exact, abs=3 * np.sqrt(exact / 9999))


@given(few_values)
def test_signed_ranks_are_those_of_scipy_without_the_zeros(pairs):
    difference = np.subtract(*np.array(pairs, dtype=float).T)
    changed = difference[difference != 0]
    expected = stats.rankdata(np.abs(changed)) * np.sign(changed)
    ranks = _signed_ranks(difference)
    assert (ranks[difference == 0] == 0).all()
    assert ranks[difference != 0] == pytest.approx(expected)


def test_the_spread_test_is_levenes_around_the_median():
    a, b = rewards()
    assert _brown_forsythe(3 * a, b) == pytest.approx(stats.levene(3 * a, b, center="median").pvalue)
    assert _brown_forsythe(np.ones(3), np.ones(3)) is None
    assert _brown_forsythe(np.array([1.0]), np.array([2.0])) is None


def test_a_comparison_is_made_of_its_parts():
    a, b = rewards(24)
    clusters = np.repeat(np.arange(8), 3)
    found = compare_rewards(a, b, clusters, draws=199, resamples=49)
    assert found.pairs == 24
    assert found.not_finite == 0
    assert found.difference.value == pytest.approx(np.mean(a - b))
    assert found.difference == skewed_mean(a - b, clusters)
    assert found.cliffs_delta == cliffs_delta(a, b, clusters)
    assert found.cohens_d == cohens_d(a, b, clusters)
    assert found.sd_ratio == sd_ratio(a, b, clusters)
    assert (found.kolmogorov_smirnov, found.wasserstein) == distances(a, b, clusters, resamples=49)
    assert found.cliffs_delta.n == 8


def test_the_permutation_test_of_bounded_rewards_is_the_win_rates():
    rng = np.random.default_rng(3)
    a, b = rng.random((2, 12))
    assert compare_rewards(a, b, resamples=1).permutation_p == sign_flip((a - b) / 2 + 0.5)


def test_a_pair_with_a_reward_that_is_not_finite_is_left_out_of_both_and_counted():
    a, b = rewards(30)
    spoiled_a, spoiled_b = np.append(a, [np.nan, 1, np.inf]), np.append(b, [0, -np.inf, np.inf])
    spoiled = compare_rewards(spoiled_a, spoiled_b, draws=99, resamples=19)
    clean = compare_rewards(a, b, draws=99, resamples=19)
    assert (spoiled.pairs, spoiled.not_finite) == (30, 3)
    for field in fields(RewardComparison):
        if field.name != "not_finite":
            assert getattr(spoiled, field.name) == getattr(clean, field.name)


def test_the_same_seed_gives_the_same_comparison():
    a, b = rewards(60)
    assert compare_rewards(a, b, draws=99, resamples=29) == compare_rewards(a, b, draws=99, resamples=29)
    other = compare_rewards(a, b, seed=1, draws=99, resamples=29)
    assert other.wasserstein != compare_rewards(a, b, draws=99, resamples=29).wasserstein


@pytest.mark.parametrize("levels", [False, True])
def test_the_order_of_the_prompts_does_not_matter(levels):
    a, b = rewards(60)
    a, b = (np.round(x) if levels else x for x in (a, b))
    clusters = np.random.default_rng(4).integers(0, 25, 60)
    there = compare_rewards(a, b, clusters, draws=99, resamples=29)
    moved = np.random.default_rng(5).permutation(60)
    again = compare_rewards(a[moved], b[moved], [f"group {c}" for c in clusters[moved]], draws=99, resamples=29)
    assert (again.permutation_p, again.wilcoxon_p) == (there.permutation_p, there.wilcoxon_p)
    for name in ("difference", "sd_ratio", "cliffs_delta", "cohens_d", "kolmogorov_smirnov", "wasserstein"):
        one, other = getattr(there, name), getattr(again, name)
        assert (other.low, other.value, other.high) == pytest.approx((one.low, one.value, one.high)), name


def test_the_distances_with_clusters_are_those_of_resampled_clusters():
    """Slowly: draw clusters of one size, which are numbered by the sum of their a, and lay their prompts end to end."""
    a, b = rewards(20)
    clusters = np.random.default_rng(8).permutation(np.repeat(np.arange(5), 4))
    numbered = sorted(range(5), key=lambda c: a[clusters == c].sum())
    grid = np.sort(np.concatenate([a, b]))
    gap = np.array([np.mean(a <= x) - np.mean(b <= x) for x in grid])
    rng, greatest = np.random.default_rng(3), []
    for _ in range(49):
        rows = np.concatenate([np.flatnonzero(clusters == numbered[k]) for k in rng.integers(0, 5, 5)])
        error = np.array([np.mean(a[rows] <= x) - np.mean(b[rows] <= x) for x in grid]) - gap
        greatest.append(np.abs(error).max())
    smirnov, _ = distances(a, b, clusters, seed=3, resamples=49)
    half = np.quantile(greatest, 0.95, method="higher")
    assert (smirnov.low, smirnov.high) == pytest.approx((max(0, smirnov.value - half), min(1, smirnov.value + half)))


def test_fifty_thousand_pairs_take_memory_for_them_alone():
    """The arrays are of 0.4 MB each; all sign patterns at once would be of 500 MB."""
    a, b = rewards(50_000)
    tracemalloc.start()
    found = compare_rewards(a, b, resamples=9)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.permutation_p == found.wilcoxon_p == 1 / 10_000
    assert peak < 60e6


@pytest.mark.parametrize("pairs", [0, 1])
def test_no_pair_and_one_pair_are_undefined_in_every_figure(pairs):
    found = compare_rewards([np.nan, 1.0][: pairs + 1], [1.0, 2.0][: pairs + 1], draws=9, resamples=9)
    assert found.pairs == pairs
    figures = ("difference", "sd_ratio", "cliffs_delta", "cohens_d", "kolmogorov_smirnov", "wasserstein")
    for name in figures:
        assert isinstance(getattr(found, name), Undefined), name
        assert getattr(found, name).n == pairs
    assert found.brown_forsythe_p is None
    assert found.permutation_p == found.wilcoxon_p == (1.0 if pairs else None)


def test_undefined_says_why():
    assert cliffs_delta([], []) == Undefined("no prompt has two finite rewards")
    one = "only one prompt with two finite rewards, and an interval needs 2"
    assert cliffs_delta([1], [2]) == Undefined(one, 1)
    assert cohens_d([1, 2], [2, 3]).why == "only 2 prompts with two finite rewards, and an interval needs 3"
    assert cohens_d([1, 2, 3], [3, 2, 1], ["g"] * 3).why == (
        "only one group with two finite rewards, and an interval needs 3"
    )
    flat = "the rewards do not vary, or would not without one unit: no unit to measure by"
    assert cohens_d([1] * 5, [2] * 5) == Undefined(flat, 5)
    still = "the rewards of one contestant do not vary, or would not without one unit"
    assert sd_ratio([1, 2, 3, 4], [7] * 4) == Undefined(still, 4)
    assert sd_ratio([1, 2, 3, 4], [7, 7, 7, 8]) == Undefined(still, 4)
    # means of .1 and .3 are off in the last bit
    assert cohens_d([0.1] * 7, [0.3] * 7) == cohens_d([0.1] * 6 + [0.7], [0.3] * 7) == Undefined(flat, 7)
    assert sd_ratio(range(7), [0.1] * 7) == sd_ratio([0.1] * 6 + [0.7], range(7)) == Undefined(still, 7)
    assert cliffs_delta([1] * 5, [1] * 5).why == "all 5 prompts have the same value: no spread to judge by"


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="a has 2 rewards but b has 1; give both contestants' on the same prompts"):
        compare_rewards([1, 2], [1])
    with pytest.raises(ValueError, match="resamples must be at least 1, not 0"):
        compare_rewards([1, 2], [1, 3], resamples=0)
    with pytest.raises(ValueError, match="draws must be at least 1, not 0"):
        compare_rewards([1, 2], [1, 3], draws=0)
    with pytest.raises(ValueError, match="2 values but 1 cluster labels"):
        compare_rewards([1, 2], [1, 3], clusters=["a"])
    with pytest.raises(ValueError, match="rewards must be one number for each prompt"):
        distribution([[1, 2], [3, 4]])
    with pytest.raises(ValueError, match="a must be finite numbers"):
        cliffs_delta([np.nan, 1], [1, 2])
    with pytest.raises(ValueError, match="values must be finite numbers"):
        median([np.inf, 1])
    with pytest.raises(ValueError, match=r"rewards must not exceed 1e\+100 in size"):
        distribution([1e101, 1, 2])
    with pytest.raises(ValueError, match=r"b must not exceed 1e\+100 in size"):
        cohens_d([3, 1, 2], [1, 2, -1e200])


@pytest.mark.parametrize("measure", [cliffs_delta, cohens_d, sd_ratio, distances, compare_rewards])
def test_a_level_outside_0_and_1_is_refused_everywhere(measure):
    for level in (0.0, 1.5):
        with pytest.raises(ValueError, match=f"level must lie between 0 and 1, not {level}"):
            measure(np.arange(9) + 100.0, np.arange(9.0), level=level)
        with pytest.raises(ValueError, match=f"level must lie between 0 and 1, not {level}"):
            median(np.arange(9.0), level=level)


def test_the_smallest_and_largest_rewards_have_figures_that_are_numbers():
    for unit in (1e-200, 1e99):
        a, b = (unit * x for x in rewards(12))
        found = compare_rewards(a, b, draws=99, resamples=19)
        for field in fields(RewardComparison):
            figure = getattr(found, field.name)
            numbers = [figure.low, figure.value, figure.high] if isinstance(figure, Estimate) else [figure]
            assert all(x is None or isinstance(x, Undefined) or np.isfinite(x) for x in numbers), field.name


def assert_figures(values, figures, clusters=None):
    """Every figure that `figures` has of `values`."""
    found = distribution(values, clusters)
    ours = {
        "n": found.n,
        "mean": found.mean.value,
        "std_ddof1": found.sd,
        "median": found.median.value,
        "share_above_half": float(np.mean(np.array(values) > 0.5)),
    } | {name: getattr(found, name) for name in ("min", "q05", "q25", "q75", "q95", "max")}
    assert figures
    for name, expected in figures.items():
        assert ours[name] == pytest.approx(expected, abs=1e-9), name


def test_two_reward_models_on_judgebench(shared_data):
    """Figures of 350 pairs of answers, correct and wrong, computed with pandas from the same rows."""
    derived = json.loads((shared_data / "judgebench" / "derived_reward_stats.json").read_text())["stats"]
    with open(shared_data / "judgebench" / "reward_scores.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(derived) == 2
    for model, figures in derived.items():
        of_model = [row for row in rows if row["reward_model"] == model]
        scores = np.array([[float(row["score_A"]), float(row["score_B"])] for row in of_model])
        a_is_right = np.array([row["label"] == "A>B" for row in of_model])
        right, wrong = np.where(a_is_right, scores.T, scores.T[::-1])
        pairs = np.arange(len(of_model))
        assert_figures(scores.ravel(), figures["all"], np.repeat(pairs, 2))
        assert_figures(right, figures["correct"])
        assert_figures(wrong, figures["wrong"])
        assert_figures(right - wrong, figures["margin"])
        comparison = compare_rewards(right, wrong, draws=99, resamples=19)
        assert comparison.difference.value == pytest.approx(figures["margin"]["mean"], abs=1e-9)
        assert comparison.difference.low > 0
        order = np.tile([1, 2], len(right))
        accuracy = pairwise_accuracy(np.ravel([right, wrong], "F"), order, np.repeat(pairs, 2))
        # the file counts a tie as an error, as RewardBench does; here it is half of each
        assert accuracy.value == pytest.approx(figures["pairwise_accuracy"] + figures["ties"] / 2 / len(right))


def test_truthfulness_and_informativeness_by_training_stage(shared_data):
    """12 models on 100 questions with three prompts, computed with pandas from the same 3,600 rows."""
    derived = json.loads((shared_data / "instructgpt" / "derived.json").read_text())["stats"]
    with gzip.open(shared_data / "instructgpt" / "truthfulqa_scores.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    compared = 0
    for prompt_type, models in derived.items():
        for model, scores in models.items():
            of_model = [row for row in rows if (row["prompt_type"], row["model"]) == (prompt_type, model)]
            for score, figures in scores.items():
                assert_figures([float(row[score]) for row in of_model], figures)
                compared += 1
    assert compared == 3 * 12 * 2


def test_grades_of_four_models(shared_data):
    """The mean of three runs of GPT-4 on each of 80 questions, computed with pandas from the same 320 rows."""
    derived = json.loads((shared_data / "pointwise" / "derived.json").read_text())["per_model"]
    with open(shared_data / "pointwise" / "vicuna_gpt4_scores.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(derived) == 4
    for model, figures in derived.items():
        grades = [np.mean([int(row[f"run{k}"]) for k in (1, 2, 3)]) for row in rows if row["model"] == model]
        assert_figures(grades, figures)
