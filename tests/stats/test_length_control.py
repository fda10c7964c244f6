import time

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.length_control import length_controlled
from sciexam.stats.logistic import jackknife, logistic_fit
from sciexam.stats.win_rate import win_rate

PAIRS = (("base", "sft"), ("base", "rlhf"), ("sft", "rlhf"))


def suite(seed=0, prompts=60, pairs=PAIRS, slope=1.5):
    """Scores of several pairs on the same prompts: rows of (score, length_a, length_b, pair, prompt, bold)."""
    rng = np.random.default_rng(seed)
    n = prompts * len(pairs)
    lengths = rng.lognormal(6, 0.6, (2, n))
    d = (lengths[0] - lengths[1]) / lengths.sum(0)
    bold = rng.normal(0, 1, n)
    theta = np.repeat(np.linspace(-1, 1, len(pairs)), prompts)
    scores = rng.binomial(2, expit(theta + slope * d + 0.4 * bold)) / 2
    labels = [pair for pair in pairs for _ in range(prompts)]
    return scores, lengths[0], lengths[1], labels, np.tile(np.arange(prompts), len(pairs)), bold


def numbers(estimate):
    assert isinstance(estimate, Estimate), estimate
    return estimate.value, estimate.low, estimate.high


def statsmodels_fit(scores, length_a, length_b, labels, features=()):
    design = np.stack([*[[label == pair for label in labels] for pair in PAIRS]], axis=1).astype(float)
    d = (length_a - length_b) / (length_a + length_b)
    x = np.column_stack([design, d, *features])
    return x, sm.GLM(scores, x, family=sm.families.Binomial()).fit(tol=1e-14, maxiter=100)


def test_the_estimates_are_those_of_the_plain_binomial_regression_of_statsmodels():
    scores, a, b, labels, prompt, bold = suite()
    found = length_controlled(scores, a, b, labels, prompt, {"bold": bold})
    _, oracle = statsmodels_fit(scores, a, b, labels, [bold])
    assert list(found.win_rates) == list(PAIRS)
    assert [numbers(e)[0] for e in found.win_rates.values()] == pytest.approx(expit(oracle.params[:3]), abs=1e-6)
    assert numbers(found.slope)[0] == pytest.approx(oracle.params[3], abs=1e-6)
    assert numbers(found.features["bold"])[0] == pytest.approx(oracle.params[4], abs=1e-6)


def test_the_jackknife_is_the_textbook_sandwich_with_cr3_residuals_and_near_that_of_statsmodels():
    scores, a, b, labels, prompt, bold = suite(prompts=40)
    prompt = prompt // 2  # two rows of a pair in a cluster, too
    x, oracle = statsmodels_fit(scores, a, b, labels, [bold])
    p = oracle.fittedvalues
    root = np.sqrt(p * (1 - p))
    half = root[:, None] * x
    inverse = np.linalg.inv(half.T @ half)
    meat = np.zeros_like(inverse)
    for c in np.unique(prompt):
        rows = prompt == c
        hat = half[rows] @ inverse @ half[rows].T
        residual = np.linalg.solve(np.eye(rows.sum()) - hat, (scores - p)[rows] / root[rows])
        meat += np.outer(half[rows].T @ residual, half[rows].T @ residual)
    textbook = np.diag(inverse @ meat @ inverse)

    groups = np.array([PAIRS.index(label) for label in labels])
    moves = jackknife(logistic_fit(scores, x[:, 3:], groups, np.ones(len(scores))), prompt)
    ours = [*[(moves.intercept(q) ** 2).sum() for q in range(3)], *(moves.slopes**2).sum(0)]
    assert ours == pytest.approx(textbook, rel=1e-6)

    clustered = sm.GLM(scores, x, family=sm.families.Binomial()).fit(cov_type="cluster", cov_kwds={"groups": prompt})
    assert ours == pytest.approx(np.diag(clustered.cov_params()), rel=0.25)
    assert np.sum(ours) > np.trace(clustered.cov_params())


def test_the_jackknife_is_near_the_fits_that_really_leave_a_cluster_out():
    scores, a, b, labels, prompt, _ = suite(prompts=80)
    x = ((a - b) / (a + b))[:, None]
    groups = np.array([PAIRS.index(label) for label in labels])
    fit = logistic_fit(scores, x, groups, np.ones(len(scores)))
    left = [logistic_fit(scores[k], x[k], groups[k], np.ones(k.sum())) for k in (prompt != c for c in range(80))]
    moves = jackknife(fit, prompt)
    really = fit.intercepts[1] - np.array([other.intercepts[1] for other in left])
    assert moves.intercept(1) == pytest.approx(really, abs=0.05 * np.abs(really).max())
    assert moves.slopes[:, 0] == pytest.approx(fit.slopes[0] - np.array([o.slopes[0] for o in left]), abs=0.03)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), swapped=st.sets(st.sampled_from(range(3))))
def test_if_a_and_b_change_places_in_some_pairs_their_win_rates_are_mirrored_and_nothing_else_moves(seed, swapped):
    scores, a, b, labels, prompt, bold = suite(seed, prompts=30)
    turned = np.array([PAIRS.index(label) in swapped for label in labels])
    before = length_controlled(scores, a, b, labels, prompt, {"bold": bold})
    after = length_controlled(
        np.where(turned, 1 - scores, scores),
        np.where(turned, b, a),
        np.where(turned, a, b),
        [label[::-1] if turn else label for label, turn in zip(labels, turned, strict=True)],
        prompt,
        {"bold": np.where(turned, -bold, bold)},
    )
    assert numbers(after.slope) == pytest.approx(numbers(before.slope), abs=1e-9)
    assert numbers(after.features["bold"]) == pytest.approx(numbers(before.features["bold"]), abs=1e-9)
    for q, pair in enumerate(PAIRS):
        value, low, high = numbers(before.win_rates[pair])
        if q in swapped:
            assert numbers(after.win_rates[pair[::-1]]) == pytest.approx((1 - value, 1 - high, 1 - low), abs=1e-9)
        else:
            assert numbers(after.win_rates[pair]) == pytest.approx((value, low, high), abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_order_of_the_rows_and_the_unit_of_length_do_not_matter(seed):
    scores, a, b, labels, prompt, bold = suite(seed, prompts=30)
    mixed = np.random.default_rng(seed).permutation(len(scores))
    before = length_controlled(scores, a, b, labels, prompt, {"bold": bold})
    after = length_controlled(
        scores[mixed],
        4 * a[mixed],
        4 * b[mixed],
        [labels[i] for i in mixed],
        prompt[mixed],
        {"bold": 1e6 * bold[mixed]},
    )
    for pair in PAIRS:
        assert numbers(after.win_rates[pair]) == pytest.approx(numbers(before.win_rates[pair]), abs=1e-9)
    assert numbers(after.slope) == pytest.approx(numbers(before.slope), abs=1e-8)
    assert 1e6 * np.array(numbers(after.features["bold"])) == pytest.approx(numbers(before.features["bold"]), abs=1e-8)


def test_a_copy_that_ties_everywhere_is_at_one_half_with_no_slope():
    _, a, b, *_ = suite(pairs=PAIRS[:1])
    found = length_controlled(np.full(60, 0.5), a, b)
    value, low, high = numbers(found.win_rates["all"])
    assert value == pytest.approx(0.5, abs=1e-12)
    assert 0.4 < low < 0.5 < high < 0.6
    assert numbers(found.slope)[0] == pytest.approx(0, abs=1e-12)


def test_a_judge_that_only_counts_letters_leaves_a_win_rate_near_one_half():
    rng = np.random.default_rng(5)
    a, b = rng.lognormal(6.5, 0.5, 4000), rng.lognormal(6, 0.5, 4000)
    scores = (rng.random(4000) < expit(4 * (a - b) / (a + b))).astype(float)
    found = length_controlled(scores, a, b)
    assert win_rate(scores).low > 0.65
    _, low, high = numbers(found.win_rates["all"])
    assert low < 0.5 < high
    assert high - low < 0.06
    assert numbers(found.slope)[1] < 4 < numbers(found.slope)[2]


def test_a_judge_who_does_not_care_about_length_keeps_the_raw_win_rate():
    rng = np.random.default_rng(6)
    a, b = rng.lognormal(6.2, 0.5, 4000), rng.lognormal(6, 0.5, 4000)
    scores = (rng.random(4000) < 0.7).astype(float)
    found = length_controlled(scores, a, b)
    assert numbers(found.win_rates["all"])[0] == pytest.approx(scores.mean(), abs=0.012)
    assert numbers(found.slope)[1] < 0 < numbers(found.slope)[2]


def test_a_model_that_is_nearly_always_shorter_does_not_run_away_from_what_was_seen_at_equal_length():
    rng = np.random.default_rng(7)
    b = rng.lognormal(7, 0.3, 3000)
    a = b * np.exp(rng.normal(-0.6, 0.55, 3000))
    d = (a - b) / (a + b)
    scores = (rng.random(3000) < expit(-1 + 2 * d)).astype(float)
    assert np.mean(d > 0) < 0.2
    near = np.abs(d) < 0.1
    assert numbers(length_controlled(scores, a, b).win_rates["all"])[0] == pytest.approx(scores[near].mean(), abs=0.05)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), copies=st.integers(2, 4))
def test_the_same_prompts_again_under_the_same_labels_change_nothing(seed, copies):
    scores, a, b, labels, prompt, _ = suite(seed, prompts=30)
    once = length_controlled(scores, a, b, labels, prompt)
    again = length_controlled(
        np.tile(scores, copies), np.tile(a, copies), np.tile(b, copies), labels * copies, np.tile(prompt, copies)
    )
    for pair in PAIRS:
        assert numbers(again.win_rates[pair]) == pytest.approx(numbers(once.win_rates[pair]), abs=1e-8)
        assert again.win_rates[pair].n == once.win_rates[pair].n == 30
    assert numbers(again.slope) == pytest.approx(numbers(once.slope), abs=1e-7)


def test_prompts_that_go_together_widen_the_interval_and_are_counted_as_groups():
    scores, a, b, labels, prompt, _ = suite(prompts=100)
    scores = np.repeat(scores[::5], 5)  # five prompts in a row have one outcome
    alone = length_controlled(scores, a, b, labels, prompt).win_rates[PAIRS[0]]
    grouped = length_controlled(scores, a, b, labels, prompt // 5).win_rates[PAIRS[0]]
    assert (grouped.n, alone.n) == (20, 100)
    assert grouped.high - grouped.low > 1.5 * (alone.high - alone.low)
    assert "groups" in grouped.method
    assert "prompts" in length_controlled(scores, a, b, labels).win_rates[PAIRS[0]].method


def test_a_shared_slope_lends_a_small_pair_the_precision_of_the_others():
    scores, a, b, labels, prompt, _ = suite(prompts=200)
    few = np.concatenate([np.arange(30), np.arange(200, 600)])
    alone = length_controlled(scores[:30], a[:30], b[:30])
    together = length_controlled(scores[few], a[few], b[few], [labels[i] for i in few], prompt[few])
    assert together.slope.high - together.slope.low < 0.5 * (alone.slope.high - alone.slope.low)


def test_a_higher_level_gives_a_wider_interval():
    scores, a, b, *_ = suite(pairs=PAIRS[:1])
    narrow, wide = (length_controlled(scores, a, b, level=level) for level in (0.8, 0.99))
    for one, other in ((narrow.slope, wide.slope), (narrow.win_rates["all"], wide.win_rates["all"])):
        assert other.low < one.low < one.value < one.high < other.high
        assert other.level == 0.99


def test_two_empty_answers_are_equally_long():
    scores, a, b, *_ = suite(pairs=PAIRS[:1])
    with_empty = length_controlled([*scores, 1.0], [*a, 0.0], [*b, 0.0])
    with_equal = length_controlled([*scores, 1.0], [*a, 7.0], [*b, 7.0])
    assert numbers(with_empty.win_rates["all"]) == numbers(with_equal.win_rates["all"])


def of_lengths(longer: int, shorter: int, rows: int) -> str:
    return (
        f"its answer is the longer one on {longer} of {rows} prompts and the shorter one on {shorter}, so length and "
        "model cannot be told apart"
    )


@pytest.mark.parametrize("longer", [2, 28])
def test_a_contestant_that_is_longer_or_shorter_on_under_ten_percent_of_the_prompts_is_refused(longer):
    a = np.where(np.arange(30) < longer, 200, 100)
    found = length_controlled(np.tile([0.0, 1.0], 15), a, np.full(30, 150))
    for outcome in (found.win_rates["all"], found.slope):
        assert isinstance(outcome, Undefined)
        assert outcome.why == of_lengths(longer, 30 - longer, 30)
        assert outcome.n == 30
    enough = length_controlled(np.tile([0.0, 1.0], 15), np.where(np.arange(30) < 3, 200, 100), np.full(30, 150))
    assert isinstance(enough.win_rates["all"], Estimate)


def test_answers_that_are_all_equally_long_are_refused():
    found = length_controlled([0, 1] * 10, [100] * 20, [100] * 20)
    why = "the answers are equally long on 20 of 20 prompts, so what length does cannot be told"
    assert found.slope == Undefined(why, 20)
    nearly = length_controlled([0, 1] * 10, [101, *[100] * 19], [100] * 20)
    assert nearly.slope == Undefined(why.replace("20 of", "19 of"), 20)


def test_a_refused_pair_takes_no_part_in_the_fit_of_the_others():
    scores, a, b, labels, prompt, bold = suite()
    without = length_controlled(scores[60:], a[60:], b[60:], labels[60:], prompt[60:], {"bold": bold[60:]})
    always_longer = np.where(np.arange(180) < 60, b + 1, a)
    found = length_controlled(scores, always_longer, b, labels, prompt, {"bold": bold})
    assert found.win_rates[PAIRS[0]].why == of_lengths(60, 0, 60)
    assert list(found.win_rates) == list(PAIRS)
    assert found.win_rates[PAIRS[1]] == without.win_rates[PAIRS[1]]
    assert found.slope == without.slope
    assert found.features == without.features


def test_a_pair_won_or_lost_throughout_is_undefined_and_the_others_are_not():
    scores, a, b, labels, prompt, _ = suite()
    scores[:60] = 1
    found = length_controlled(scores, a, b, labels, prompt)
    assert str(found.win_rates[PAIRS[0]]) == "all 60 prompts were won: no fit has finite odds"
    assert isinstance(found.win_rates[PAIRS[1]], Estimate)
    scores[60:120] = scores[120:] = 0
    found = length_controlled(scores, a, b, labels, prompt)
    assert str(found.win_rates[PAIRS[2]]) == "all 60 prompts were lost: no fit has finite odds"
    assert str(found.slope) == "no pair of contestants can be length-controlled; see each pair's own reason"


def test_length_that_separates_wins_from_losses_perfectly_is_a_sentence():
    a = np.arange(1, 41)
    for scores in (a > 20, a < 15, np.where(a == 18, 0.5, a > 18)):
        found = length_controlled(scores, a, np.full(40, 20))
        for outcome in (found.win_rates["all"], found.slope):
            assert isinstance(outcome, Undefined)
            assert "separate the wins from the losses perfectly" in outcome.why
    overlapping = np.where((a == 19) | (a == 22), 1 - (a > 20), a > 20)
    assert isinstance(length_controlled(overlapping, a, np.full(40, 20)).slope, Estimate)


def test_near_separation_the_interval_is_wide_instead_of_sure():
    a = np.arange(1, 41)
    found = length_controlled(np.where((a == 19) | (a == 22), 1 - (a > 20), a > 20), a, np.full(40, 20))
    value, low, high = numbers(found.win_rates["all"])
    assert low < value < high
    assert high - low > 0.4
    assert numbers(found.slope)[2] - numbers(found.slope)[1] > 10


def test_the_interval_holds_the_truth_where_few_prompts_are_nearly_all_won():
    rng = np.random.default_rng(8)
    truth, held = expit(2.5), []
    for _ in range(400):
        a, b = rng.lognormal(6.5, 0.5, 24), rng.lognormal(6, 0.5, 24)
        scores = rng.random(24) < expit(2.5 + 1.5 * (a - b) / (a + b))
        outcome = length_controlled(scores, a, b).win_rates["all"]
        if isinstance(outcome, Estimate):
            held.append(outcome.low <= truth <= outcome.high)
    assert len(held) > 200
    assert np.mean(held) > 0.94  # without the pseudo-clusters in the variance: .91


def test_a_feature_that_follows_from_the_length_or_never_varies_is_a_sentence():
    scores, a, b, *_ = suite(pairs=PAIRS[:1])
    for feature in (3 * (a - b) / (a + b), np.zeros(60), np.ones(60)):
        found = length_controlled(scores, a, b, features={"again": feature})
        for outcome in (found.win_rates["all"], found.slope, found.features["again"]):
            assert "follows from the length, the pair and the other features" in outcome.why


def test_no_prompt_one_prompt_and_one_group_are_sentences():
    assert str(length_controlled([], [], []).win_rates["all"]) == "no prompt has a score"
    assert str(length_controlled([1], [3], [2]).slope) == "only one prompt has a score"
    one_group = length_controlled([1, 0] * 10, [1, 3] * 10, [2] * 20, clusters=["g"] * 20)
    assert str(one_group.win_rates["all"]) == "all prompts are in one group"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": [0, 2]}, r"scores must lie in \[0, 1\]"),
        ({"scores": [0, float("nan")]}, "scores must be finite"),
        ({"length_a": [1, -1]}, "length_a and length_b must not be negative"),
        ({"length_b": [1, float("nan")]}, "length_b must be finite"),
        ({"length_b": [1]}, "2 scores but 1 values in length_b"),
        ({"pairs": ["x"]}, "2 scores but 1 labels in pairs"),
        ({"pairs": ["x", None]}, "a label in pairs is missing"),
        ({"clusters": ["x"]}, "2 values but 1 cluster labels"),
        ({"features": {"bold": [1]}}, "2 scores but 1 values in bold"),
        ({"features": {"bold": [1, float("inf")]}}, r"features\['bold'\] must be finite"),
        ({"level": 95}, "level must lie between 0 and 1"),
    ],
)
def test_bad_input_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        length_controlled(**({"scores": [0, 1], "length_a": [1, 2], "length_b": [2, 1]} | change))


def test_weights_count_rows_and_an_anchored_group_has_no_intercept():
    rng = np.random.default_rng(3)
    x, groups = rng.normal(size=(50, 2)), np.repeat([0, 1], 25)
    scores, times = rng.random(50), rng.integers(1, 4, 50)
    weighted = logistic_fit(scores, x, groups, times.astype(float), anchored=(1,))
    design = np.column_stack([groups == 0, x]).astype(float)
    oracle = sm.GLM(scores, design, family=sm.families.Binomial(), freq_weights=times).fit(tol=1e-14)
    assert [weighted.intercepts[0], *weighted.slopes] == pytest.approx(oracle.params, abs=1e-6)
    assert weighted.intercepts[1] == 0


def test_odds_of_one_in_a_hundred_million_are_found():
    fit = logistic_fit(np.full(10, 1e-8), np.linspace(-1, 1, 10)[:, None], np.zeros(10, dtype=int), np.ones(10))
    assert fit.intercepts[0] == pytest.approx(logit(1e-8), rel=1e-9)


def test_a_hundred_thousand_rows_of_many_pairs_take_seconds():
    pairs = tuple((f"a{i}", f"b{i}") for i in range(100))
    scores, a, b, labels, prompt, bold = suite(prompts=1000, pairs=pairs)
    start = time.perf_counter()
    found = length_controlled(scores, a, b, labels, prompt, {"bold": bold})
    assert time.perf_counter() - start < 10
    assert found.slope.low < 1.5 < found.slope.high
    assert len(found.win_rates) == 100
