import csv
import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.sequential import (
    STAKES,
    WEIGHTS,
    BettingSequence,
    ConfidenceSequence,
    Decision,
    confidence_sequence,
    decide,
    log_capital,
)
from sciexam.stats.win_rate import win_rate

scores = hnp.arrays(float, st.integers(1, 60), elements=st.sampled_from([0, 0.25, 0.5, 1]) | st.floats(0, 1))


def decided(*args, **kwargs):
    result = decide(*args, **kwargs)
    assert isinstance(result, Decision), result
    return result


def watched(*args, **kwargs):
    result = confidence_sequence(*args, **kwargs)
    assert isinstance(result, ConfidenceSequence), result
    return result


def slow_capital(values, m):
    """The capital after all `values`, each bettor's fortune written out."""
    total = 0.0
    for stake, weight in zip(STAKES, WEIGHTS, strict=True):
        above = below = 1.0
        for x in values:
            above *= 1 - stake + stake * x / m
            below *= 1 - stake + stake * (1 - x) / (1 - m)
        total += weight * (above + below) / 2
    return total


def exact_expectation(m, values, chances, steps):
    """The expected capital after `steps` scores drawn from `values`, over all paths."""
    expected = 0.0
    for path in np.ndindex(*(len(values),) * steps):
        expected += np.prod([chances[i] for i in path]) * slow_capital([values[i] for i in path], m)
    return expected


def in_runs(rng, draw, runs=2000, prompts=300):
    """The share of runs that ever refute one half at 5 %."""
    return np.mean((log_capital(draw(rng, (runs, prompts)), 0.5) >= np.log(20)).any(1))


@pytest.mark.parametrize("m", [0.1, 0.5, 0.8])
def test_the_capital_is_the_sum_of_the_bettors_fortunes(m):
    values = np.random.default_rng(0).random(30)
    slow = [np.log(slow_capital(values[:n], m)) for n in range(1, 31)]
    assert log_capital(values, m) == pytest.approx(slow, abs=1e-10)


@pytest.mark.parametrize(
    ("m", "values", "chances"),
    [(0.5, [0, 1], [0.5, 0.5]), (0.5, [0, 0.5, 1], [0.3, 0.4, 0.3]), (0.3, [0, 0.2, 1], [0.5, 0.25, 0.25])],
)
def test_the_capital_is_a_martingale_where_the_claim_is_true(m, values, chances):
    assert np.dot(values, chances) == pytest.approx(m)
    assert exact_expectation(m, values, chances, 6) == pytest.approx(1.0)


def test_the_exact_chance_of_ever_refuting_a_true_half_is_within_the_level():
    """No simulation: forced choices, the distribution of the wins carried forward, refuted paths taken out."""
    horizon = 400
    wins = np.arange(horizon + 1)
    alive, refuted = np.zeros(horizon + 1), 0.0
    alive[0] = 1.0
    for n in range(1, horizon + 1):
        alive = 0.5 * alive + 0.5 * np.concatenate([[0.0], alive[:-1]])
        won = wins[: n + 1, None]
        up = won * np.log1p(STAKES) + (n - won) * np.log1p(-STAKES)
        down = won * np.log1p(-STAKES) + (n - won) * np.log1p(STAKES)
        out = (np.exp(up) + np.exp(down)) @ WEIGHTS / 2 >= 20
        refuted += alive[: n + 1][out].sum()
        alive[: n + 1][out] = 0.0
    assert 0.02 < refuted <= 0.05


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, shape: rng.integers(0, 3, shape) / 2,
        lambda rng, shape: rng.integers(0, 2, (2, *shape)).mean(0),
        lambda rng, shape: rng.random(shape),
        lambda rng, shape: rng.choice([0.0, 0.55], shape, p=[1 / 11, 10 / 11]),
    ],
    ids=["ties", "two orders", "probabilities", "skewed"],
)
def test_watching_after_every_prompt_keeps_the_error_below_the_level(draw):
    assert in_runs(np.random.default_rng(7), draw) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 2000)


def test_the_fixed_interval_looked_at_after_every_prompt_does_not():
    rng = np.random.default_rng(1)
    ever = 0
    for _ in range(40):
        x = rng.integers(0, 2, 200)
        looks = [win_rate(x[:n]) for n in range(5, 201, 3)]
        ever += any(isinstance(e, Estimate) and not e.low <= 0.5 <= e.high for e in looks)
    assert ever / 40 > 0.1


@pytest.mark.parametrize("mean", [0.2, 0.5, 0.9])
def test_the_interval_holds_the_mean_at_all_times_at_once(mean):
    rng = np.random.default_rng(11)
    missed = 0
    for _ in range(150):
        known = watched(rng.beta(mean, 1 - mean, 120))
        missed += bool(((known.low > mean) | (known.high < mean)).any())
    assert missed / 150 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 150)


@given(scores)
@settings(max_examples=40)
def test_swapping_the_contestants_mirrors_the_sequence(s):
    there, back = watched(s), watched(1 - s)
    assert there.low == pytest.approx(1 - back.high, abs=1e-9)
    assert there.high == pytest.approx(1 - back.low, abs=1e-9)
    assert there.p == pytest.approx(back.p)


@given(scores)
@settings(max_examples=40)
def test_the_interval_and_the_p_value_only_shrink_and_agree_about_one_half(s):
    known = watched(s)
    assert (np.diff(known.low) >= 0).all()
    assert (np.diff(known.high) <= 0).all()
    assert (np.diff(known.p) <= 0).all()
    assert ((known.p > 0) & (known.p <= 1)).all()
    refuted = (known.low > 0.5) | (known.high < 0.5)
    assert (refuted == (known.p <= 0.05)).all()


@given(scores)
@settings(max_examples=40)
def test_limits_lie_where_the_capital_reaches_the_threshold_or_just_outside(s):
    sequence = BettingSequence()
    for x in s:
        low_before, high_before = sequence.low, sequence.high
        sequence.update(x)
    if sequence.low > max(low_before, 0.0025):
        assert log_capital(s, sequence.low)[-1] >= np.log(20) - 1e-9
        assert log_capital(s, sequence.low + 0.0025)[-1] < np.log(20)
    if sequence.high < min(high_before, 0.9975):
        assert log_capital(s, sequence.high)[-1] >= np.log(20) - 1e-9
        assert log_capital(s, sequence.high - 0.0025)[-1] < np.log(20)


@given(scores)
@settings(max_examples=40)
def test_scores_fed_one_at_a_time_say_what_the_whole_says(s):
    known, sequence = watched(s), BettingSequence()
    for place, x in enumerate(s):
        sequence.update(x)
        assert (sequence.value, sequence.low) == (known.value[place], known.low[place])
        assert sequence.p == pytest.approx(np.exp(-max(0, log_capital(s[: place + 1], 0.5).max())))


def test_a_decision_stops_at_the_first_refutation_and_later_scores_do_not_matter():
    rng = np.random.default_rng(2)
    s = rng.random(400) ** 0.5
    result = decided(s)
    known = watched(s)
    first = int(np.argmax(known.p <= 0.05)) + 1
    assert (result.stopped_at, result.prompts, result.conclusion) == (first, first, "better")
    assert result.p == known.p[first - 1]
    assert (result.estimate.low, result.estimate.high) == (known.low[first - 1], known.high[first - 1])
    assert result.estimate.n == first
    assert decided(np.concatenate([s[:first], np.zeros(500)])) == result
    assert decided(1 - s).conclusion == "worse"


def test_equal_contestants_are_equivalent_within_a_margin_and_undecided_without():
    s = np.tile([1, 0, 0.5, 0.5], 200)
    within = decided(s, margin=0.1)
    assert within.conclusion == "equivalent"
    assert within.stopped_at < len(s)
    assert 0.4 < within.estimate.low < within.estimate.high < 0.6
    without = decided(s)
    assert (without.conclusion, without.stopped_at) == ("undecided", len(s))


def test_a_real_difference_within_the_margin_is_equivalent_when_both_are_known_at_once():
    assert decided(np.full(2000, 0.51), margin=0.2).conclusion == "equivalent"


def test_a_clean_sweep_is_decided_by_ten_prompts_but_not_by_five():
    assert decided([1.0] * 5).conclusion == "undecided"
    assert decided([1.0] * 10).conclusion == "better"


def test_a_stricter_level_stops_later():
    s = np.random.default_rng(4).random(500) < 0.7
    assert decided(s, level=0.95).stopped_at < decided(s, level=0.99).stopped_at


def test_a_cluster_is_one_observation_that_comes_in_with_its_last_score():
    values, clusters = [1, 0, 1, 1, 0, 1], ["a", "b", "a", "c", "b", "c"]
    whole, means = decided(values, clusters), decided([1, 0, 1])
    assert (whole.estimate.value, whole.estimate.low, whole.p) == (means.estimate.value, means.estimate.low, means.p)
    assert (whole.stopped_at, whole.prompts) == (3, 6)
    assert "groups" in whole.estimate.method
    late = decided(np.ones(40), np.concatenate([[0], np.arange(1, 39), [0]]))
    early = decided(np.ones(40), np.arange(40))
    assert late.stopped_at == early.stopped_at
    assert late.prompts == early.prompts + 1  # the first score waits for the last of its cluster


def test_scores_copied_within_their_cluster_are_no_more_evidence():
    s = (np.random.default_rng(5).random(80) < 0.65).astype(float)
    once, copied = decided(s), decided(np.repeat(s, 4), np.repeat(np.arange(80), 4))
    assert (copied.stopped_at, copied.conclusion, copied.p) == (once.stopped_at, once.conclusion, once.p)


def test_no_mean_fits_scores_that_turn_and_the_estimate_still_holds_its_value():
    sequence = BettingSequence()
    for x in [1.0] * 300 + [0.0] * 600:
        sequence.update(x)
    assert sequence.low > sequence.high
    estimate = sequence.estimate()
    assert isinstance(estimate, Estimate)
    assert estimate.low <= estimate.value <= estimate.high
    assert sequence.conclusion == "better"


@pytest.mark.parametrize(
    ("model", "expected"), [("alpaca-7b", "worse"), ("phi-2-dpo", "better"), ("gpt-3.5-turbo-1106", "better")]
)
def test_recorded_verdicts_in_random_orders_stop_early_on_the_side_that_all_of_them_say(model, expected, shared_data):
    with gzip.open(shared_data / "alpacaeval" / "verdicts_v1.csv.gz", "rt", encoding="utf-8") as file:
        rows = [row["preference"] for row in csv.DictReader(file) if row["model"] == model and row["preference"]]
    s = np.array([(float(preference) or 1.5) - 1 for preference in rows])
    rng = np.random.default_rng(0)
    results = [decided(rng.permutation(s)) for _ in range(20)]
    assert {result.conclusion for result in results} == {expected}
    assert np.median([result.stopped_at for result in results]) < len(s) / 10


def test_no_score_is_undefined():
    assert decide([]) == Undefined("no prompt has a score")
    assert confidence_sequence([]) == Undefined("no prompt has a score")
    assert BettingSequence().estimate() == Undefined("no prompt has a score")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: decide([0.5, 1.2]), r"scores must lie in \[0, 1\]"),
        (lambda: decide([0.5, np.nan]), "scores must be finite"),
        (lambda: decide([0.5], clusters=["a", "b"]), "1 values but 2 cluster labels"),
        (lambda: decide([0.5], margin=0.5), "margin must lie"),
        (lambda: decide([0.5], level=1.0), "level must lie"),
        (lambda: BettingSequence().update(float("nan")), "a score must lie"),
        (lambda: BettingSequence().update(-0.1), "a score must lie"),
    ],
)
def test_bad_input_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()
