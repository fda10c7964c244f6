import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.rogan_gladen import lang_reiczigel, rogan_gladen
from sciexam.stats.win_rate import win_rate


def known(*args, **kwargs):
    result = rogan_gladen(*args, **kwargs).estimate
    assert isinstance(result, Estimate), result
    return result


def drawn(rng, n, rate, q1, q0):
    """(human, judge) choices: the judge says win with q1 where the human does, loss with q0 where the human does."""
    human = rng.random(n) < rate
    judge = np.where(human, rng.random(n) < q1, rng.random(n) >= q0)
    return human.astype(float), judge.astype(float)


def table(wins_right, wins_wrong, losses_right, losses_wrong):
    """Labelled choices with these counts of each kind."""
    human = [1] * (wins_right + wins_wrong) + [0] * (losses_right + losses_wrong)
    judge = [1] * wins_right + [0] * wins_wrong + [0] * losses_right + [1] * losses_wrong
    return human, judge


def slow_lang_reiczigel(wins, n, right1, n1, right0, n0):
    """The steps of the paper for 95 %, one after the other."""
    z = norm.ppf(0.975)
    q1, q0 = (right1 + 1) / (n1 + 2), (right0 + 1) / (n0 + 2)
    p = (wins + z**2 / 2) / (n + z**2)
    theta = (p + q0 - 1) / (q1 + q0 - 1)
    shift = 2 * z**2 * (theta * q1 * (1 - q1) / (n1 + 2) - (1 - theta) * q0 * (1 - q0) / (n0 + 2))
    variance = p * (1 - p) / (n + z**2)
    variance += theta**2 * q1 * (1 - q1) / (n1 + 2) + (1 - theta) ** 2 * q0 * (1 - q0) / (n0 + 2)
    half = z * variance**0.5 / (q1 + q0 - 1)
    return max(0, theta + shift - half), min(1, theta + shift + half)


def test_the_estimate_and_interval_follow_the_formulas():
    human, judge = table(45, 5, 32, 8)
    estimate = known(human, judge, [1] * 260 + [0] * 140)
    assert estimate.value == pytest.approx((0.65 + 0.8 - 1) / (0.9 + 0.8 - 1))
    assert (estimate.low, estimate.high) == pytest.approx(slow_lang_reiczigel(260, 400, 45, 50, 32, 40))
    assert (estimate.n, estimate.level) == (90, 0.95)
    assert "Lang-Reiczigel interval over items" in estimate.method
    assert "approximate" not in estimate.method


def test_the_judges_own_rate_and_its_errors_are_shown_beside():
    human, judge = table(45, 5, 32, 8)
    result = rogan_gladen(human, judge, [1] * 260 + [0] * 140)
    assert result.judged == win_rate([1] * 260 + [0] * 140)
    assert result.sensitivity == win_rate([1] * 45 + [0] * 5)
    assert result.specificity == win_rate([1] * 32 + [0] * 8)


def test_a_perfect_judge_changes_nothing():
    human, judge = table(50, 0, 50, 0)
    assert known(human, judge, [1] * 70 + [0] * 30).value == pytest.approx(0.7)


@given(st.integers(0, 10_000))
def test_swapping_the_contestants_mirrors_the_estimate_and_the_order_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    human, judge = drawn(rng, 80, 0.6, 0.85, 0.9)
    _, others = drawn(rng, 200, 0.6, 0.85, 0.9)
    order = rng.permutation(80)
    there, back = known(human, judge, others), known(1 - human, 1 - judge, 1 - others)
    moved = known(human[order], judge[order], rng.permutation(others))
    assert (there.value, there.low) == pytest.approx((1 - back.value, 1 - back.high))
    assert (there.value, there.low, there.high) == pytest.approx((moved.value, moved.low, moved.high))
    assert 0 <= there.low <= there.value <= there.high <= 1


@pytest.mark.parametrize(("rate", "q1", "q0"), [(0.5, 0.8, 0.8), (0.7, 0.95, 0.7), (0.8, 0.9, 0.9)])
def test_it_undoes_the_judges_errors_and_covers(rate, q1, q0):
    rng = np.random.default_rng(0)
    values, judged, covered = [], [], 0
    for _ in range(500):
        human, judge = drawn(rng, 200, rate, q1, q0)
        _, others = drawn(rng, 1000, rate, q1, q0)
        estimate = known(human, judge, others)
        values.append(estimate.value)
        judged.append(others.mean())
        covered += estimate.low <= rate <= estimate.high
    assert np.mean(values) == pytest.approx(rate, abs=0.015)
    assert covered / 500 >= 0.93
    assert np.mean(judged) == pytest.approx(rate * q1 + (1 - rate) * (1 - q0), abs=0.01)


def test_clusters_cover_where_items_taken_as_independent_do_not():
    rng = np.random.default_rng(1)
    covered, naive = 0, 0
    for _ in range(300):
        human = np.repeat(rng.random(240) < 0.5, 5)
        judge = np.where(rng.random(1200) < 0.9, human, ~human)
        parts = human[:200] * 1.0, judge[:200] * 1.0, judge[200:] * 1.0
        told = known(*parts, np.arange(200) // 5, 1000 + np.arange(1000) // 5)
        blind = known(*parts)
        covered += told.low <= 0.5 <= told.high
        naive += blind.low <= 0.5 <= blind.high
    assert covered / 300 >= 0.93
    assert naive / 300 < 0.9


def test_errors_on_a_win_and_a_loss_of_one_group_cancel_and_do_not_widen():
    human = np.tile([1, 0], 50)
    judge = np.where(np.repeat(np.arange(50) < 40, 2), human, 1 - human)  # both right, or both wrong
    others = np.tile([1, 0], 100)
    together = known(human, judge, others, np.arange(100) // 2, 100 + np.arange(200))
    apart = known(human, judge, others)
    assert (together.value, together.low, together.high) == pytest.approx((0.5, apart.low, apart.high))


def test_copies_within_a_cluster_are_no_more_evidence():
    rng = np.random.default_rng(2)
    human, judge = drawn(rng, 120, 0.6, 0.85, 0.85)
    _, others = drawn(rng, 300, 0.6, 0.85, 0.85)
    labels = np.arange(120), 120 + np.arange(300)
    once = known(human, judge, others, *labels)
    copied = known(*(np.repeat(x, 4) for x in (human, judge, others, *labels)))
    assert copied.value == pytest.approx(once.value)
    assert copied.high - copied.low == pytest.approx(once.high - once.low, rel=0.02)


def test_a_value_outside_the_unit_is_clipped_and_says_so():
    human, judge = table(45, 5, 45, 5)
    estimate = known(human, judge, [1] * 98 + [0] * 2)
    assert estimate.value == 1.0
    assert estimate.high == 1.0
    assert "the value 1.10 is clipped to [0, 1]" in estimate.method


def test_a_judge_no_better_than_chance_cannot_be_corrected():
    human, judge = table(20, 20, 20, 20)
    result = rogan_gladen(human, judge, [1, 0, 1])
    assert isinstance(result.estimate, Undefined)
    assert "no better than chance" in result.estimate.why
    assert "its sensitivity (0.50) and specificity (0.50) add up to no more than 1" in result.estimate.why
    assert isinstance(result.sensitivity, Estimate)


def test_a_judge_not_shown_to_be_better_than_chance_cannot_be_corrected():
    human, judge = table(12, 8, 12, 8)
    estimate = rogan_gladen(human, judge, [1, 0, 1]).estimate
    assert isinstance(estimate, Undefined)
    assert "not shown to be better than chance by 40 labelled items" in estimate.why
    assert lang_reiczigel(0.6, 100, 0.6, 20, 0.6, 20, 0.95) is None
    assert lang_reiczigel(0.6, 100, 0.6, 2000, 0.6, 2000, 0.95) is not None


def test_few_labelled_losses_make_it_approximate():
    human, judge = table(45, 5, 5, 0)
    assert known(human, judge, [1] * 60 + [0] * 40).method.startswith("approximate: ")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (([1, 1], [1, 1], [1]), "there is no loss among the labels"),
        (([0, 0], [1, 1], [1]), "there is no win among the labels"),
        (([], [], [1]), "there is no win among the labels"),
        (([0, 1], [0, 1], []), "there is no unlabelled item"),
    ],
)
def test_a_class_that_is_missing_makes_it_undefined(arguments, why):
    estimate = rogan_gladen(*arguments).estimate
    assert isinstance(estimate, Undefined)
    assert estimate.why == why


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rogan_gladen([1, 0.5], [1, 1], [1]), "labels must be forced choices"),
        (lambda: rogan_gladen([1, 0], [1, 0.9], [1]), "predictions_labelled must be forced choices"),
        (lambda: rogan_gladen([1, 0], [1, 0], [0.5]), "predictions_unlabelled must be forced choices"),
        (lambda: rogan_gladen([1, 0], [1], [1]), "2 labels but 1 predictions"),
        (lambda: rogan_gladen([1, 0], [1, 0], [1], ["a", "b"]), "or neither"),
    ],
)
def test_bad_input_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()
