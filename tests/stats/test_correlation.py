import csv
import gzip
import json

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from sciexam.stats.correlation import kendall_tau_b, pearson, spearman
from sciexam.stats.estimate import Estimate, Undefined

COEFFICIENTS = [
    (pearson, lambda x, y: stats.pearsonr(x, y).statistic),
    (spearman, lambda x, y: stats.spearmanr(x, y).statistic),
    (kendall_tau_b, lambda x, y: stats.kendalltau(x, y).statistic),
]
OURS = [ours for ours, _ in COEFFICIENTS]
each = pytest.mark.parametrize("coefficient", OURS)

with_ties = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=3, max_size=40)
without_ties = st.lists(st.tuples(st.floats(-10, 10), st.floats(-10, 10)), min_size=3, max_size=40)


def estimate(result):
    assert isinstance(result, Estimate), result
    return result


def sample(n, seed=0, levels=False):
    x, noise = np.random.default_rng(seed).standard_normal((2, n))
    y = 0.6 * x + 0.8 * noise
    return (np.round(x), np.round(y)) if levels else (x, y)


@pytest.mark.parametrize(("ours", "scipy"), COEFFICIENTS)
@given(pairs=with_ties | without_ties)
def test_coefficients_agree_with_scipy(ours, scipy, pairs):
    x, y = np.array(pairs, dtype=float).T
    assume(min(np.std(x), np.std(y)) > 1e-3)
    result = ours(x, y)
    if isinstance(result, Estimate):
        assert result.value == pytest.approx(scipy(x, y), abs=1e-9)
        assert -1 <= result.low <= result.value <= result.high <= 1


@pytest.mark.parametrize(("ours", "scipy"), COEFFICIENTS)
@pytest.mark.parametrize("levels", [False, True])
def test_a_thousand_items_agree_with_scipy(ours, scipy, levels):
    x, y = sample(1000, levels=levels)
    assert estimate(ours(x, y)).value == pytest.approx(scipy(x, y), abs=1e-12)


def shown_reweighted(x, y, weights, which):
    """A coefficient of items with integer weights, by repeating each: slow and obvious."""
    return dict(COEFFICIENTS)[which](np.repeat(x, weights), np.repeat(y, weights))


@pytest.mark.parametrize("which", [spearman, kendall_tau_b])
@pytest.mark.parametrize("levels", [False, True])
def test_the_interval_of_a_rank_coefficient_comes_from_its_derivative_in_each_items_weight(which, levels):
    """Every item 200 times, and one of them 201 times: the change of z per unit of weight is that item's influence."""
    x, y = sample(25, seed=3, levels=levels)
    n, copies = len(x), 200
    z = np.arctanh(shown_reweighted(x, y, np.full(n, copies), which))
    change = [np.arctanh(shown_reweighted(x, y, copies + (np.arange(n) == i), which)) - z for i in range(n)]
    influence = np.array(change) * copies * n
    half = stats.t(n - 1).ppf(0.975) * np.sqrt(np.sum(influence**2) / (n * (n - 1)))
    result = estimate(which(x, y))
    assert (np.arctanh(result.high) - np.arctanh(result.low)) / 2 == pytest.approx(half, rel=0.01)


def test_the_interval_of_pearson_is_that_of_the_textbook_jackknife():
    x, y = sample(30, seed=1)
    z = np.arctanh(np.corrcoef(x, y)[0, 1])
    without = np.array([np.arctanh(np.corrcoef(np.delete(x, i), np.delete(y, i))[0, 1]) for i in range(30)])
    half = stats.t(29).ppf(0.975) * np.sqrt(29 / 30 * np.sum((without - without.mean()) ** 2))
    result = estimate(pearson(x, y))
    assert (result.low, result.high) == pytest.approx((np.tanh(z - half), np.tanh(z + half)), abs=1e-12)


def test_the_jackknife_of_pearson_leaves_out_whole_clusters():
    x, y = sample(30, seed=2)
    cluster = np.repeat(np.arange(10), 3)
    without = np.array([np.arctanh(np.corrcoef(x[cluster != c], y[cluster != c])[0, 1]) for c in range(10)])
    half = stats.t(9).ppf(0.975) * np.sqrt(9 / 10 * np.sum((without - without.mean()) ** 2))
    result = estimate(pearson(x, y, cluster))
    assert (np.arctanh(result.high) - np.arctanh(result.low)) / 2 == pytest.approx(half, abs=1e-12)
    assert (result.n, result.method) == (10, "approximate: jackknife t interval over groups of Fisher's z")


@each
@pytest.mark.parametrize("levels", [False, True])
def test_copies_inside_a_cluster_add_no_evidence(coefficient, levels):
    x, y = sample(40, levels=levels)
    once = estimate(coefficient(x, y))
    copied = estimate(coefficient(np.repeat(x, 4), np.repeat(y, 4), np.repeat(np.arange(40), 4)))
    assert (copied.value, copied.low, copied.high) == pytest.approx((once.value, once.low, once.high), abs=1e-9)
    assert copied.n == 40
    as_if_independent = estimate(coefficient(np.repeat(x, 4), np.repeat(y, 4)))
    assert as_if_independent.high - as_if_independent.low < 0.6 * (once.high - once.low)


@each
@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), levels=st.booleans())
def test_neither_the_order_nor_a_rescaling_matters_and_a_mirror_mirrors(coefficient, seed, levels):
    x, y = sample(25, seed, levels)
    order = np.random.default_rng(seed).permutation(25)
    result = estimate(coefficient(x, y))
    same = estimate(coefficient(3 * y[order] - 7, x[order] / 9 + 1e3))
    mirror = estimate(coefficient(x, -y))
    assert (same.value, same.low, same.high) == pytest.approx((result.value, result.low, result.high), abs=1e-7)
    assert (-mirror.value, -mirror.high, -mirror.low) == pytest.approx((result.value, result.low, result.high))


@pytest.mark.parametrize(("ours", "scipy"), COEFFICIENTS)
def test_intervals_hold_the_truth_about_95_percent_of_the_time(ours, scipy):
    """200 samples of 60: 3.3 standard errors below .95 is .90; benchmarks/coverage_rewards.py has 10,000 a cell."""
    truth = {pearson: 0.6, spearman: 6 / np.pi * np.arcsin(0.3), kendall_tau_b: 2 / np.pi * np.arcsin(0.6)}[ours]
    results = [estimate(ours(*sample(60, seed))) for seed in range(200)]
    assert np.mean([r.low <= truth <= r.high for r in results]) >= 0.90
    assert np.mean([r.low <= 0 for r in results]) <= 0.2


def test_fifty_thousand_items_take_linear_memory():
    x, y = sample(50_000)
    assert estimate(kendall_tau_b(x, y)).value == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)


@each
def test_a_constant_score_is_undefined(coefficient):
    assert coefficient([1, 1, 1], [1, 2, 3]) == Undefined("the scores in x are all the same: nothing to correlate", 3)
    constant = coefficient([0.1] * 3, [0.3] * 3)
    assert constant.why == "the scores in x and y are all the same: nothing to correlate"
    assert coefficient([], []) == Undefined("no item has both scores")


@each
def test_one_cluster_is_undefined(coefficient):
    one = coefficient([1, 2, 3, 5], [2, 1, 3, 7], ["a"] * 4)
    assert one == Undefined("all 4 items are in one group, and an interval needs two groups", 1)


@each
def test_a_perfect_correlation_is_undefined(coefficient):
    x = np.arange(10.0)
    assert isinstance(coefficient(x, -2 * x), Undefined)


def test_why_a_perfect_correlation_is_undefined():
    x = np.arange(10.0)
    assert spearman(x, x**3).why == "the correlation is exactly +1: no spread to judge by"
    assert kendall_tau_b(x, -(x**3)).why == "the correlation is exactly -1: no spread to judge by"
    assert pearson(x, np.where(x < 9, x, 20)).why.startswith("the points lie on a line, or would without one unit")
    assert pearson([0, 0, 0, 1], [1, 2, 3, 5]).why.startswith("the points lie on a line, or would without one unit")


@each
def test_bad_input_is_refused(coefficient):
    with pytest.raises(ValueError, match="x has 3 scores but y has 2"):
        coefficient([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match="y must be finite numbers"):
        coefficient([1, 2, 3], [1, 2, np.nan])
    with pytest.raises(ValueError, match="3 values but 2 cluster labels"):
        coefficient([1, 2, 3], [1, 2, 4], ["a", "b"])
    with pytest.raises(ValueError, match="level must lie between 0 and 1"):
        coefficient([1, 2, 3, 5], [2, 1, 4, 3], level=95)


def test_llm_judges_against_the_mean_expert_on_summeval(shared_data):
    """Pearson, Spearman and tau-b of six judges on four qualities, computed with scipy from the same 6,400 rows."""
    derived = json.loads((shared_data / "alttest" / "derived.json").read_text())["summeval_judge_vs_mean_expert"]
    with gzip.open(shared_data / "alttest" / "summeval.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    compared = 0
    for quality, judges in derived.items():
        items = [row for row in rows if row["item"].endswith(f"__{quality}")]
        experts = np.array([[float(row[f"human:e{k}"]) for k in range(3)] for row in items]).mean(1)
        articles = [row["item"].split("__")[0] for row in items]
        for judge, figures in judges.items():
            scores = [float(row[f"llm:{judge}"]) for row in items]
            for name, coefficient in zip(("pearson", "spearman", "kendall_tau_b"), OURS, strict=True):
                by_article = estimate(coefficient(scores, experts, articles))
                assert by_article.value == pytest.approx(figures[name], abs=1e-9)
                assert by_article.n == 100
                compared += 1
    assert compared == 72


def test_repeated_grades_of_one_judge(shared_data):
    """Runs 1 and 2 of GPT-4 on 320 answers, computed with scipy from the same rows."""
    derived = json.loads((shared_data / "pointwise" / "derived.json").read_text())["repeat_agreement"]
    with open(shared_data / "pointwise" / "vicuna_gpt4_scores.csv") as file:
        rows = list(csv.DictReader(file))
    first, second = ([float(row[run]) for row in rows] for run in ("run1", "run2"))
    questions = [row["question"] for row in rows]
    for name, coefficient in zip(("pearson", "spearman", "kendall_tau_b"), OURS, strict=True):
        result = estimate(coefficient(first, second, questions))
        assert result.value == pytest.approx(derived[f"{name}_run1_run2"], abs=1e-9)
        assert result.n == 80
