import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, norm, permutation_test, wilcoxon
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportions_ztest

from sciexam.stats import holm, sign_flip
from sciexam.stats.paired import (
    McNemar,
    benjamini_hochberg,
    benjamini_yekutieli,
    mcnemar,
    sign_flip_differences,
)

any_scores = st.lists(st.sampled_from([0, 0.25, 0.5, 0.75, 1]), min_size=1, max_size=20)


@pytest.mark.parametrize(("won", "lost"), [(10, 0), (7, 3), (5, 5), (9, 4), (3, 11)])
def test_few_forced_choices_give_the_exact_sign_test(won, lost):
    ties = [0.5] * 30  # a tie cannot flip: it changes nothing
    assert sign_flip([1] * won + [0] * lost + ties) == pytest.approx(binomtest(won, won + lost).pvalue)


@pytest.mark.parametrize("seed", range(6))
def test_few_scores_agree_with_the_exact_permutation_test_of_scipy(seed):
    scores = np.random.default_rng(seed).choice([0, 0.25, 0.5, 0.75, 1, 0.3, 0.1], 11)
    oracle = permutation_test(
        (scores, 1 - scores), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=2**12
    )
    # scipy doubles the smaller tail; the distribution is symmetric, so the two agree unless the sum is zero
    assert sign_flip(scores) == pytest.approx(oracle.pvalue, abs=1e-12)


def test_ranks_as_distances_give_the_exact_wilcoxon_test():
    ranks = np.array([1, -2, 3, 4, -5, 6, 7, 8, 9, 10])
    assert sign_flip(0.5 + ranks / 20) == pytest.approx(wilcoxon(ranks, method="exact").pvalue)


def test_the_drawn_p_value_is_near_the_exact_one():
    """20 forced choices, 14 won: the sign test gives .1153; three standard errors of 9,999 draws are .0096."""
    assert sign_flip([1] * 14 + [0] * 6) == pytest.approx(binomtest(14, 20).pvalue, abs=0.0096)


def test_clusters_flip_whole():
    scores, clusters = np.array([1, 0.9, 0.2, 1, 0.7, 0]), np.array(["a", "a", "b", "b", "c", "c"])
    sums = [0.9, 0.2, -0.3]
    patterns = [abs(np.dot(signs, sums)) for signs in itertools.product((1, -1), repeat=3)]
    assert sign_flip(scores, clusters) == np.mean([p >= 0.8 - 1e-9 for p in patterns])


def test_copies_inside_a_cluster_add_no_evidence():
    scores = np.array([1, 1, 0.75, 1, 0, 1, 1, 0.5])
    assert sign_flip(np.repeat(scores, 5), np.repeat(np.arange(8), 5)) == sign_flip(scores)
    assert sign_flip(np.repeat(scores, 5)) < sign_flip(scores)


def test_equal_patterns_that_differ_by_rounding_count_as_equal():
    """.3 + .3 + .3 - .1 - .1 and its reorderings differ in the last bit; all six scores on one side give 2 / 2**6."""
    assert sign_flip([0.6, 0.7, 0.8, 0.6, 0.7, 0.8]) == 2 / 2**6
    assert sign_flip(np.array([0.1, 0.2, 0.3, 0.4, 0.9, 0.8, 0.7, 0.6])) == 1.0


@given(any_scores, st.randoms(use_true_random=False))
def test_p_lies_in_the_unit_and_depends_neither_on_order_nor_on_who_is_called_a(scores, random):
    p = sign_flip(scores, draws=199)
    assert 0 < p <= 1
    assert sign_flip([1 - s for s in scores], draws=199) == p
    random.shuffle(scores)
    assert sign_flip(scores, draws=199) == p


def test_the_same_seed_gives_the_same_p_and_another_seed_another():
    scores = np.random.default_rng(0).choice([0, 0.5, 1], 60, p=[0.3, 0.3, 0.4])
    assert sign_flip(scores, seed=5) == sign_flip(scores, seed=5)
    assert len({sign_flip(scores, seed=seed) for seed in range(5)}) > 1


def test_p_is_never_zero():
    assert sign_flip([1] * 500) == 1 / 10_000
    assert sign_flip([1] * 500, draws=99) == 1 / 100


def test_many_prompts_fit_in_memory_and_draw_every_pattern_once():
    scores = np.tile([1, 0], 15_000)
    assert sign_flip(scores, draws=100) == 1.0


def test_under_the_null_p_is_not_below_alpha_too_often():
    rng = np.random.default_rng(8)
    p = [sign_flip(rng.choice([0, 0.5, 1], 30), seed=i, draws=199) for i in range(400)]
    assert np.mean(np.array(p) <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_all_ties_have_p_one_and_no_prompt_has_no_p():
    assert sign_flip([0.5] * 4) == 1.0
    assert sign_flip([0.5] * 40) == 1.0
    assert sign_flip([]) is None


def test_sign_flip_refuses_what_is_not_a_score_and_no_draws():
    with pytest.raises(ValueError, match=r"scores must lie in \[0, 1\]"):
        sign_flip([2, 0])
    with pytest.raises(ValueError, match="draws must be at least 1, not 0"):
        sign_flip([1, 0], draws=0)


@settings(max_examples=30)  # the oracle is slow
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
@pytest.mark.slow
def test_holm_agrees_with_statsmodels(p_values):
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


def test_a_comparison_without_a_test_is_passed_through_and_not_counted():
    assert holm([0.01, None, 0.04, None]) == [0.02, None, 0.04, None]
    assert holm([None]) == [None]
    assert holm([]) == []


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_holm_refuses_what_is_not_a_probability(p):
    with pytest.raises(ValueError, match=r"p-values must lie in \[0, 1\]"):
        holm([0.5, p])


def test_differences_without_bounds_have_the_exact_permutation_test():
    differences = np.array([31.5, -2.25, 14, 0.5, -8, 22, 3, 40.75])
    oracle = permutation_test(
        (differences, -differences), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=2**9
    )
    assert sign_flip_differences(differences) == pytest.approx(oracle.pvalue, abs=1e-12)


@given(any_scores, st.sampled_from([1e-6, 3.0, 1e9]))
def test_the_unit_of_the_differences_does_not_matter(scores, unit):
    assert sign_flip_differences((np.array(scores) - 0.5) * unit, draws=99) == sign_flip(scores, draws=99)


@pytest.mark.parametrize("n", [15, 16, 4_096, 4_100, 9_000])
def test_random_signs_are_fair_and_independent(n):
    """Of equal differences the exact p is binomial, of 1 .. n that of every pattern or, for large n, of a normal."""
    ones, lead = np.ones(n), round(n**0.5)
    lead += (lead - n) % 2  # a sum of n signs is odd where n is
    ones[: (n - lead) // 2] = -1
    exact = 2 * binom.sf((n + lead) // 2 - 1, n, 0.5)
    assert sign_flip_differences(ones) == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 9_999))
    weights = np.random.default_rng(n).permutation(np.arange(1, n + 1)) * ones
    if n > 16:
        far = 2 * norm.sf(abs(weights.sum()) / np.sqrt((weights**2).sum()))
    else:
        patterns = np.array(list(itertools.product([-1, 1], repeat=n)))
        far = np.mean(np.abs(patterns @ weights) >= abs(weights.sum()))
    assert sign_flip_differences(weights) == pytest.approx(far, abs=0.02)  # four standard errors


@pytest.mark.parametrize("unit", [1e-310, 1e308])
def test_the_largest_and_the_smallest_numbers_have_the_same_p_value(unit):
    differences = np.array([1, -0.5, 0.25, 1, 1, -0.5, 1, 0.75] * 3)
    assert sign_flip_differences(unit * differences) == sign_flip_differences(differences)


def test_sign_flips_of_differences_refuse_what_is_not_finite():
    with pytest.raises(ValueError, match="differences must be finite numbers"):
        sign_flip_differences([1.0, np.inf])


both_right = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


@given(both_right)
def test_mcnemar_agrees_with_the_exact_test_of_statsmodels_and_with_the_sign_flips(pairs):
    first, second = (np.array(answers) for answers in zip(*pairs, strict=True))
    table = [[np.sum(first & second), np.sum(first & ~second)], [np.sum(~first & second), np.sum(~first & ~second)]]
    result = mcnemar(first, second)
    oracle = min(1.0, statsmodels_mcnemar(table, exact=True).pvalue)
    assert result.p_value == pytest.approx(oracle, abs=1e-12)
    assert [[result.both, result.only_first], [result.only_second, result.neither]] == table
    if result.only_first + result.only_second <= 14:
        assert sign_flip((first.astype(float) - second + 1) / 2) == pytest.approx(result.p_value)


def test_an_unpaired_test_misses_what_mcnemar_sees():
    """Of 200 prompts 150 are right for both, 19 for the first alone, 6 for the second alone: 84.5 % against 78 %.

    The two-proportion z test of statsmodels gives p = .095, as if the two had answered different prompts.
    """
    first = np.array([1] * 169 + [0] * 31)
    second = np.array([1] * 150 + [0] * 19 + [1] * 6 + [0] * 25)
    _, unpaired = proportions_ztest([169, 156], [200, 200])
    assert unpaired == pytest.approx(0.095, abs=0.001)
    assert mcnemar(first, second).p_value == pytest.approx(2 * binom.cdf(6, 25, 0.5))
    assert mcnemar(first, second).p_value < 0.015


def test_mcnemar_with_nothing_to_tell_the_two_apart():
    assert mcnemar([1, 0, 1], [1, 0, 1]) == McNemar(1.0, 2, 0, 0, 1)
    assert mcnemar([], []) == McNemar(None, 0, 0, 0, 0)


def test_mcnemar_refuses_clusters_ties_and_lengths_that_differ():
    assert mcnemar([1, 0], [0, 0], clusters=["a", "b"]).p_value == 1.0
    with pytest.raises(ValueError, match="takes every prompt as independent; with clusters use sign_flip"):
        mcnemar([1, 0], [0, 0], clusters=["a", "a"])
    with pytest.raises(ValueError, match="second must be true or false for each prompt"):
        mcnemar([1, 0], [0, 0.5])
    with pytest.raises(ValueError, match="2 answers of the first but 1 of the second"):
        mcnemar([1, 0], [0])


@settings(max_examples=50)
@pytest.mark.parametrize(("ours", "theirs"), [(benjamini_hochberg, "fdr_bh"), (benjamini_yekutieli, "fdr_by")])
@given(p_values=st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_false_discovery_adjustments_agree_with_statsmodels(ours, theirs, p_values):
    assert ours(p_values) == pytest.approx(multipletests(p_values, method=theirs)[1], abs=1e-15)


@pytest.mark.parametrize("adjust", [benjamini_hochberg, benjamini_yekutieli])
def test_false_discovery_adjustments_treat_a_comparison_without_a_test_as_holm_does(adjust):
    tested = adjust([0.04, 0.01])
    assert adjust([None, 0.04, None, 0.01]) == [None, tested[0], None, tested[1]]
    assert adjust([None]) == [None]
    assert adjust([]) == []
    for p in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=r"p-values must lie in \[0, 1\]"):
            adjust([0.5, p])


def test_the_example_of_benjamini_and_hochberg():
    """Their section 3.3: of these 15 p-values four are significant at q = .05, where Holm's way finds three."""
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528]
    p += [0.7590, 1.0000]
    assert sum(adjusted <= 0.05 for adjusted in benjamini_hochberg(p)) == 4
    assert sum(adjusted <= 0.05 for adjusted in holm(p)) == 3
