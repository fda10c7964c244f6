import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm

from sciexam.stats.estimate import Undefined
from sciexam.stats.mean import bounded_interval
from sciexam.stats.paired import sign_flip
from sciexam.stats.power import (
    detectable_win_rate,
    power_at,
    power_curve,
    prompts_needed,
    variance_at_one_half,
    with_labels,
)
from sciexam.stats.variance import (
    VarianceComponents,
    forced_choice_components,
    pooled,
    variance_components,
)

# ---------------------------------------------------------------- power against the test that is really used


def forced(rate, shape, rng):
    return (rng.random(shape) < rate).astype(float)


def tied(rate, shape, rng):
    """Three verdicts in ten are a tie between equals; ties get rarer as the contestants part."""
    tie = 0.3 * 4 * rate * (1 - rate)
    drawn = rng.random(shape)
    return np.where(drawn < rate - tie / 2, 1.0, np.where(drawn < rate + tie / 2, 0.5, 0.0))


def probabilities(rate, shape, rng):
    return rng.beta(6 * rate, 6 * (1 - rate), shape)


def achieved(scores, comparisons, level=0.95):
    """The share of data sets (rows) that the shipped interval and test call decided for the first contestant."""
    _, low, _ = bounded_interval(scores, np.ones(scores.shape[1]), level)
    decided = [
        excluded and sign_flip(row, seed=index, draws=1999) < (1 - level) / comparisons
        for index, (row, excluded) in enumerate(zip(scores, low > 0.5, strict=True))
    ]
    return np.mean(decided)


@pytest.mark.parametrize("comparisons", [1, 6])
@pytest.mark.parametrize("prompts", [25, 60, 200])
@pytest.mark.parametrize("draw", [forced, tied, probabilities])
def test_the_promised_power_is_achieved_by_the_shipped_interval_and_test(draw, prompts, comparisons):
    rng = np.random.default_rng(5)
    variance = draw(0.5, 400_000, rng).var()
    rate = detectable_win_rate(prompts, variance, comparisons=comparisons)
    power = achieved(draw(rate, (500, prompts), rng), comparisons)
    # Standard error .018; forced choices add a saw tooth of their own, probabilities a conservative test at 25 prompts.
    assert 0.72 < power < 0.9


def test_without_a_difference_it_is_found_no_more_often_than_the_level_allows():
    rng = np.random.default_rng(6)
    assert achieved(tied(0.5, (800, 50), rng), 1) < 0.025 + 3 * 0.0055


def test_the_power_of_forced_choices_is_the_binomial_tests_read_between_its_steps():
    """Golden: the exact power of the two-sided binomial test at .05, by scipy, averaged over neighbouring n."""
    for prompts, rate in ((60, 0.65), (200, 0.6), (1000, 0.55)):
        exact = []
        for n in range(prompts - 6, prompts + 7):
            won = next(k for k in range(n // 2, n + 1) if 2 * binom.sf(k - 1, n, 0.5) < 0.05)
            exact.append(binom.sf(won - 1, n, rate))
        assert power_at(rate, prompts) == pytest.approx(np.mean(exact), abs=0.012)


def test_many_prompts_need_what_the_textbook_formula_says():
    """n = variance (z_.975 + z_.8)^2 / (p - 1/2)^2, Cohen 1988, with the variance at p and the null's in each term."""
    for variance in (0.25, 0.1):
        at_p = 4 * variance * 0.52 * 0.48
        textbook = ((norm.ppf(0.975) * variance**0.5 + norm.ppf(0.8) * at_p**0.5) / 0.02) ** 2
        assert prompts_needed(0.52, variance) == pytest.approx(textbook, rel=0.03)


@settings(max_examples=30, deadline=None)
@given(st.integers(10, 3000), st.floats(0.02, 0.25), st.sampled_from([0.6, 0.8, 0.95]), st.integers(1, 20))
def test_the_three_questions_answer_one_another(prompts, variance, power, comparisons):
    options = {"power": power, "comparisons": comparisons}
    rate = detectable_win_rate(prompts, variance, **options)
    if isinstance(rate, Undefined):
        assert "too few" in rate.why
        return
    assert 0.5 < rate <= 1
    assert power_at(rate, prompts, variance, comparisons=comparisons) == pytest.approx(power, abs=1e-4)
    assert prompts_needed(rate, variance, **options) <= prompts + 1
    assert power_at(1 - rate, prompts, variance, comparisons=comparisons) == pytest.approx(
        power_at(rate, prompts, variance, comparisons=comparisons), abs=1e-9
    )


def test_more_prompts_less_variance_and_fewer_comparisons_find_smaller_differences():
    assert detectable_win_rate(200) < detectable_win_rate(100) < detectable_win_rate(100, comparisons=3)
    assert detectable_win_rate(100, 0.1) < detectable_win_rate(100, 0.2)
    assert detectable_win_rate(100, power=0.6) < detectable_win_rate(100, power=0.9)
    curve = power_curve(0.2, (5, 25, 100, 400))
    assert [n for n, _ in curve] == [25, 100, 400]
    assert [rate for _, rate in curve] == sorted((rate for _, rate in curve), reverse=True)


def test_the_curve_is_smooth_where_the_interval_is_no_longer_looked_up():
    below, above = (detectable_win_rate(n, 0.2) - 0.5 for n in (1_900, 2_100))
    assert below / above == pytest.approx((2_100 / 1_900) ** 0.5, rel=2e-3)


def test_too_few_prompts_find_nothing_and_it_is_said():
    assert detectable_win_rate(9).why == "fewer than 10 prompts find hardly anything"
    why = detectable_win_rate(10, comparisons=100).why
    assert why == "10 prompts are too few to find any win rate at a level of 0.95 over 100 comparisons"
    assert "too few" in detectable_win_rate(500, comparisons=600).why  # 9,999 draws give no p-value below 1/10,000
    assert prompts_needed(0.5001).why == "more than 10,000,000 prompts would be needed"
    assert prompts_needed(0.999) == 10


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: power_at(0.5, 10), "win_rate must lie between 0 and 1 and differ from one half"),
        (lambda: power_at(0.6, 0), "prompts must be a whole number, 1 or more"),
        (lambda: power_at(0.6, 10.5), "prompts must be a whole number, 1 or more"),
        (lambda: power_at(0.6, float("nan")), "prompts must be a whole number, 1 or more, not nan"),
        (lambda: with_labels(-0.2, 10, 10, 0.5), "variance must be positive"),
        (lambda: detectable_win_rate(10, 0.0), "variance must be positive"),
        (lambda: detectable_win_rate(10, float("nan")), "variance must be positive"),
        (lambda: detectable_win_rate(10, power=1.0), "power must lie between 0 and 1"),
        (lambda: detectable_win_rate(10, level=1.0), "level must lie between 0 and 1"),
        (lambda: prompts_needed(0.6, comparisons=0), "comparisons must be 1 or more"),
        (lambda: with_labels(0.2, 0, 10, 0.5), "1 or more labels"),
        (lambda: with_labels(0.2, 10, 10, 1.5), "correlation must lie in"),
        (lambda: forced_choice_components(1.0), "ties must lie in"),
        (lambda: forced_choice_components(0.1, 0.5), "consistency must lie in"),
        (lambda: variance_components([0.5, 2], "ab"), "scores must lie in"),
        (lambda: variance_components([0.5, 1], ["a", None]), "label is missing"),
        (lambda: variance_components([0.5, 1, 0], "abc", order="ab"), "3 values but 2 cluster labels"),
        (lambda: variance_components([0.5, 1, 0], "aab", clusters="xyy"), "a prompt is in two clusters"),
    ],
)
def test_bad_input_is_refused_by_the_name_of_the_argument(call, said):
    with pytest.raises(ValueError, match=said):
        call()


# ---------------------------------------------------------------- people's labels


def test_labels_with_a_judge_have_the_variance_of_the_prediction_powered_mean():
    """Simulated: the tuned estimate lambda mean(f) + mean(Y - lambda f), lambda = cov / ((1 + n/N) var f)."""
    rng = np.random.default_rng(7)
    n, more, rho, runs = 60, 240, 0.6, 4_000
    judge = rng.normal(size=(runs, n + more))
    people = rho * judge + (1 - rho**2) ** 0.5 * rng.normal(size=(runs, n + more))
    tuned = rho / (1 + n / more)
    joint = tuned * judge[:, n:].mean(1) + (people[:, :n] - tuned * judge[:, :n]).mean(1)
    assert with_labels(1.0, n, more, rho) / n == pytest.approx(joint.var(), rel=0.06)
    assert with_labels(0.2, n, 0, rho) == with_labels(0.2, n, more, 0.0) == 0.2


# ---------------------------------------------------------------- variance components


def table(prompts=3_000, samples=2, judges=3, repeats=2, seed=1):
    """Scores with known components; indices of shape (prompt, sample, judge, order, repeat) as factor labels."""
    rng = np.random.default_rng(seed)
    shape = (prompts, samples, judges, 2, repeats)
    scores = (
        0.5
        + rng.normal(0, 0.10, (prompts, 1, 1, 1, 1))
        + rng.normal(0, 0.08, (prompts, samples, 1, 1, 1))
        + rng.normal(0, 0.06, (prompts, 1, judges, 1, 1))
        + rng.normal(0, 0.07, (prompts, samples, judges, 2, 1))
        + rng.normal(0, 0.05, shape)
        + np.array([0.03, -0.03])[:, None]
    )
    prompt, sample, judge, order, _ = (index.ravel() for index in np.indices(shape))
    return np.clip(scores, 0, 1), {"prompt": prompt, "order": order, "sample": sample, "judge": judge}


TRUE = {"prompt": 0.0100, "sample": 0.0064, "judge": 0.0036, "order": 0.0049, "residual": 0.0025}


@pytest.mark.parametrize("kept", [1.0, 0.6])
def test_known_components_are_found_again_also_where_cells_are_missing(kept):
    scores, factors = table()
    keep = np.random.default_rng(2).random(scores.size) < kept
    found = variance_components(scores.ravel()[keep], **{name: f[keep] for name, f in factors.items()})
    for name, value in TRUE.items():
        assert getattr(found, name) == pytest.approx(value, rel=0.12), name
    assert found.position == pytest.approx(0.03, abs=0.003)
    assert found.truncated == ()


def test_on_a_balanced_table_the_variance_of_a_prompts_score_is_the_one_of_its_means():
    scores, factors = table(prompts=80)
    found = variance_components(scores.ravel(), **factors)
    assert found.of_score(2, 2, 3, 2) == pytest.approx(scores.mean((1, 2, 3, 4)).var(ddof=1), rel=1e-9)


def test_two_orders_give_the_estimates_of_the_analysis_of_variance():
    """Oracle: expected mean squares of a two-way table without repeats, MS_within after the orders' effect."""
    rng = np.random.default_rng(3)
    scores = (rng.random((40, 2)) < rng.random((40, 1))).astype(float)
    n = len(scores)
    rows, columns, grand = scores.mean(1, keepdims=True), scores.mean(0, keepdims=True), scores.mean()
    residual = ((scores - rows - columns + grand) ** 2).sum() / (n - 1)
    between = 2 * ((rows - grand) ** 2).sum() / (n - 1)
    prompt, order = (index.ravel() for index in np.indices(scores.shape))
    found = variance_components(scores.ravel(), prompt, order)
    assert found.order == pytest.approx(residual)
    assert found.prompt == pytest.approx((between - residual) / 2)
    assert found.position == pytest.approx(abs(columns[0, 0] - columns[0, 1]) / 2)


def test_what_a_pilot_cannot_tell_is_said_and_promised_no_gain():
    found = variance_components([1, 0, 1, 1, 0, 0.5], "abcdef")
    for name, why in (
        ("order", "no prompt was judged in both orders"),
        ("sample", "no prompt has more than one sample"),
        ("judge", "one judge only"),
        ("residual", "no presentation was judged twice"),
        ("position", "every prompt was seen in the same order"),
    ):
        assert getattr(found, name).why == why
    assert found.of_score(1) == found.of_score(2, 4, 3, 2) == pytest.approx(np.var([1, 0, 1, 1, 0, 0.5], ddof=1))


def test_a_negative_estimate_is_zero_and_named():
    """Orders that disagree on every prompt: the scores of a prompt are farther apart than those of two prompts."""
    found = variance_components([1, 0, 0, 1, 1, 0, 0, 1], "aabbccdd", order="xyxyxyxy")
    assert (found.prompt, found.truncated) == (0.0, ("prompt",))


def test_one_drawn_order_adds_the_position_bias_and_a_fixed_one_does_not():
    found = variance_components([1, 0.5, 1, 0.5, 0, 0, 1, 0.5], "aabbccdd", order="xyxyxyxy")
    assert found.position == pytest.approx(0.1875)
    assert found.of_score(1) - found.of_score(1, position=False) == pytest.approx(0.1875**2)
    assert found.of_score(2) == found.of_score(2, position=False)


def test_prompts_of_one_group_are_one_unit():
    rng = np.random.default_rng(4)
    scores = (rng.random(30) < 0.5).astype(float)
    alone = variance_components(scores, np.arange(30))
    copied = variance_components(np.repeat(scores, 3), np.arange(90), clusters=np.repeat(np.arange(30), 3))
    assert copied.of_score() == pytest.approx(3 * alone.of_score())
    assert (copied.units, copied.size, copied.prompts) == (30, 3.0, 90)
    assert variance_components([1, 0], "ab", clusters="xx").why.startswith("all 2 prompts are in one group")


def test_too_little_to_have_components_is_said():
    assert variance_components([1, 0], "aa").why == "variance components need two prompts"
    assert variance_components([], []).why == "variance components need two prompts"
    assert variance_at_one_half([1.0]).why == "the variance of the prompts' scores needs two prompts"


@given(st.integers(2, 40), st.integers(0, 40))
def test_forced_choices_are_worth_one_quarter_whatever_the_rate(prompts, won):
    scores = [1.0] * min(won, prompts) + [0.0] * max(prompts - won, 0)
    assert variance_at_one_half(scores) == pytest.approx(0.25)
    found = variance_components(scores, range(prompts)).at_one_half()
    assert found.of_score(1) == pytest.approx(0.25)


@given(st.lists(st.sampled_from([0, 0.25, 0.5, 0.75, 1.0]), min_size=2, max_size=30), st.booleans())
def test_components_and_prompt_scores_agree_on_the_variance_at_one_half(scores, grouped):
    scores = scores * 2 if grouped else scores
    groups = [index // 2 for index in range(len(scores))] if grouped else None
    found = variance_components(scores, range(len(scores)), clusters=groups).at_one_half()
    assert found.of_score(1) == pytest.approx(variance_at_one_half(scores, groups))


def test_the_assumption_has_the_variance_of_the_judge_that_it_describes():
    """Golden by hand: 10 % ties, 70 % the same winner twice, 20 % opposite winners; one order .9/4, both .7/4."""
    assumed = forced_choice_components(0.1, 0.8)
    assert assumed.of_score(1) == pytest.approx(0.225)
    assert assumed.of_score(2) == pytest.approx(0.175)
    assert assumed.at_one_half() == assumed


def test_pooling_averages_what_is_identified():
    one, other = (VarianceComponents(*values) for values in (_values(0.1, 0.2), _values(0.3, Undefined("never"))))
    joint = pooled([one, other])
    assert (joint.prompt, joint.order) == (pytest.approx(0.2), 0.2)
    assert isinstance(pooled([other]).order, Undefined)


def _values(prompt, order):
    nothing = Undefined("one only")
    return (prompt, nothing, nothing, order, nothing, 0.0, 0.5, 30, 30, 1.0, 2.0, 1.0, 1.0, 1.0)
