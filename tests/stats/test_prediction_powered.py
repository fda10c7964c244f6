import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from sciexam.stats.estimate import Undefined
from sciexam.stats.mean import mean
from sciexam.stats.prediction_powered import PredictionPowered, prediction_powered_mean


def powered(*args, **kwargs):
    result = prediction_powered_mean(*args, **kwargs)
    assert isinstance(result, PredictionPowered), result
    return result


def drawn(rng, n, rate=0.6, accuracy=0.9):
    """(labels, predictions) of forced choices."""
    labels = (rng.random(n) < rate).astype(float)
    return labels, np.where(rng.random(n) < accuracy, labels, 1 - labels)


def slow_ppi(y, f, g, weight):
    """The estimate of the paper (arXiv 2311.01453, section 2, for a mean) and its variance, term by term."""
    n, big_n = len(y), len(g)
    value = weight * sum(g) / big_n + sum(y[i] - weight * f[i] for i in range(n)) / n
    rectifiers = [y[i] - weight * f[i] for i in range(n)]
    centre, centre_g = sum(rectifiers) / n, sum(g) / big_n
    variance = sum((r - centre) ** 2 for r in rectifiers) / n / n
    variance += weight**2 * sum((x - centre_g) ** 2 for x in g) / big_n / big_n
    return value, variance


@pytest.mark.parametrize("seed", range(5))
def test_value_lambda_and_t_interval_are_those_of_the_papers_formulas(seed):
    rng = np.random.default_rng(seed)
    y = rng.normal(2, 1, 40)
    f, g = 0.8 * y + rng.normal(1, 0.6, 40), 0.8 * rng.normal(2, 1, 300) + rng.normal(1, 0.6, 300)
    result = powered(y, f, g)
    covariance = sum((y - y.mean()) * (f - f.mean())) / 40
    # var(f) by its two samples: (1 + n/N) var(f) is var(f) + n/N var(f), one term for each mean of predictions.
    weight = covariance / (f.var() + 40 / 300 * g.var())
    value, variance = slow_ppi(y, f, g, weight)
    assert 0 < weight < 1
    assert result.lambda_ == pytest.approx(weight)
    assert result.estimate.value == pytest.approx(value)
    # n / (n - 2) makes the variance unbiased, one mean and one slope having been fitted.
    half = student.ppf(0.975, 38) * np.sqrt(variance * 40 / 38)
    assert result.estimate.low == pytest.approx(value - half)
    assert result.estimate.high == pytest.approx(value + half)
    assert result.gain == pytest.approx(y.var(ddof=1) / 40 / (variance * 40 / 38))


def test_the_tuned_lambda_gives_the_least_variance():
    rng = np.random.default_rng(9)
    y, f = drawn(rng, 100)
    _, g = drawn(rng, 400)
    best = powered(y, f, g, low=0, high=1).lambda_
    variances = {weight: slow_ppi(y, f, g, weight)[1] for weight in np.linspace(0, 1, 101)}
    assert best == pytest.approx(min(variances, key=variances.__getitem__), abs=0.0051)


def test_the_classical_estimate_is_that_of_the_labels_alone():
    rng = np.random.default_rng(1)
    y, f = drawn(rng, 60)
    _, g = drawn(rng, 500)
    result = powered(y, f, g, low=0, high=1)
    assert result.classical == mean(y, low=0, high=1)
    assert result.estimate.high - result.estimate.low < result.classical.high - result.classical.low
    assert result.note == f"the judge was worth {result.gain - 1:.0%} more labels"
    assert result.estimate.method.startswith("prediction-powered with lambda 0.")


def test_a_biased_judge_does_not_bias_the_estimate():
    """Half of its losses turned into wins: the judge's own rate is far off, the estimate is not."""
    rng = np.random.default_rng(2)
    values, raw = [], []
    for _ in range(400):
        y, f = drawn(rng, 100)
        _, g = drawn(rng, 1000)
        f, g = (np.where(rng.random(len(x)) < 0.5, 1.0, x) for x in (f, g))
        values.append(powered(y, f, g, low=0, high=1).estimate.value)
        raw.append(g.mean())
    assert np.mean(values) == pytest.approx(0.6, abs=0.01)
    assert np.mean(raw) > 0.75


@pytest.mark.parametrize(("n", "rate", "accuracy"), [(50, 0.5, 0.9), (50, 0.9, 0.8), (200, 0.7, 0.6)])
def test_the_interval_of_a_win_rate_covers(n, rate, accuracy):
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(600):
        y, f = drawn(rng, n, rate, accuracy)
        _, g = drawn(rng, 1000, rate, accuracy)
        estimate = powered(y, f, g, low=0, high=1).estimate
        covered += estimate.low <= rate <= estimate.high
    assert covered / 600 >= 0.92


def test_clusters_cover_where_items_taken_as_independent_do_not():
    rng = np.random.default_rng(4)
    covered, naive, groups = 0, 0, np.arange(1000) // 5
    for _ in range(300):
        chance = rng.beta(0.3, 0.3, 240)
        y = (rng.random(1200) < np.repeat(chance, 5)).astype(float)
        f = np.where(rng.random(1200) < 0.7, y, 1 - y)
        parts = y[:200], f[:200], f[200:]
        told = powered(*parts, 1000 + np.arange(200) // 5, groups, low=0, high=1).estimate
        blind = powered(*parts, low=0, high=1).estimate
        covered += told.low <= 0.5 <= told.high
        naive += blind.low <= 0.5 <= blind.high
    assert covered / 300 >= 0.93
    assert naive / 300 < 0.88


def test_labelled_items_left_among_the_unlabelled_are_known_by_their_cluster():
    """All unlabelled items are the labelled ones: with their labels the judge can add nothing, and is said to."""
    rng = np.random.default_rng(5)
    y, f = drawn(rng, 80)
    told = powered(y, f, f, np.arange(80), np.arange(80), low=0, high=1)
    leaked = powered(y, f, f, low=0, high=1)
    assert told.lambda_ == 0
    assert told.estimate == told.classical
    assert "lambda is 0" in told.note
    assert leaked.gain > 1.2  # counted as new items they would look like news


@given(st.integers(0, 10_000))
def test_neither_the_order_of_items_nor_the_units_matter(seed):
    rng = np.random.default_rng(seed)
    y, f = drawn(rng, 30)
    _, g = drawn(rng, 90)
    order, order_g = rng.permutation(30), rng.permutation(90)
    plain = powered(y, f, g, low=0, high=1)
    moved = powered(y[order], f[order], g[order_g], low=0, high=1)
    scaled = powered(10 * y - 5, 10 * f - 5, 10 * g - 5, low=-5, high=5)
    assert moved.lambda_ == pytest.approx(plain.lambda_)
    assert scaled.gain == pytest.approx(plain.gain)
    for field in ("value", "low", "high"):
        assert getattr(moved.estimate, field) == pytest.approx(getattr(plain.estimate, field))
        assert getattr(scaled.estimate, field) == pytest.approx(10 * getattr(plain.estimate, field) - 5)


@given(st.integers(0, 10_000))
def test_swapping_the_contestants_mirrors_the_estimate(seed):
    rng = np.random.default_rng(seed)
    y, f = drawn(rng, 25, 0.9)
    _, g = drawn(rng, 60, 0.9)
    there, back = powered(y, f, g, low=0, high=1), powered(1 - y, 1 - f, 1 - g, low=0, high=1)
    assert there.lambda_ == pytest.approx(back.lambda_)
    assert 0 <= there.estimate.low <= there.estimate.value <= there.estimate.high <= 1
    assert there.estimate.low == pytest.approx(1 - back.estimate.high)
    assert there.estimate.value == pytest.approx(1 - back.estimate.value)


@given(st.integers(0, 10_000), st.integers(2, 4))
def test_repeating_items_inside_their_cluster_changes_nothing(seed, times):
    rng = np.random.default_rng(seed)
    y, f = drawn(rng, 30)
    _, g = drawn(rng, 60)
    once = powered(y, f, g, np.arange(30), 30 + np.arange(60), low=0, high=1)
    repeated = powered(
        *(np.repeat(x, times) for x in (y, f, g, np.arange(30), 30 + np.arange(60))),
        low=0,
        high=1,
    )
    assert repeated.lambda_ == pytest.approx(once.lambda_)
    assert (repeated.estimate.low, repeated.estimate.high) == pytest.approx((once.estimate.low, once.estimate.high))


def test_a_judge_of_no_use_is_said_to_have_bought_nothing():
    rng = np.random.default_rng(6)
    y, _ = drawn(rng, 100)
    constant = powered(y, np.full(100, 0.5), np.full(900, 0.5), low=0, high=1)
    assert constant.note == "the judge bought nothing: its predictions do not go with the labels (lambda is 0)"
    assert (constant.lambda_, constant.gain, constant.estimate) == (0.0, 1.0, constant.classical)
    assert powered(y, 1 - y, rng.random(900), low=0, high=1).lambda_ == 0  # always against the labels: clipped
    alone = powered(y, y, [], low=0, high=1)
    assert alone.note == "the judge bought nothing: there are no items without a label"
    notes = []
    for _ in range(40):
        notes.append(powered(y, rng.random(100), rng.random(900), low=0, high=1).note)
    assert np.mean(["bought nothing" in note for note in notes]) > 0.5


@pytest.mark.parametrize("unlabelled", [1, 5, 19, 20])
def test_how_few_unlabelled_items_vary_is_not_known_and_the_judge_has_no_weight(unlabelled):
    """Of one item the variance is 0, and the interval would hardly ever hold the truth."""
    rng = np.random.default_rng(11)
    covers = []
    for _ in range(100):
        y, f = drawn(rng, 25)
        _, g = drawn(rng, unlabelled)
        found = powered(y, f, g, low=0, high=1)
        assert (found.lambda_ > 0) == (unlabelled == 20)
        if unlabelled < 20:
            assert found.note == "the judge bought nothing: it takes 20 items without a label, and there are fewer"
        covers.append(found.estimate.low <= 0.6 <= found.estimate.high)
    assert np.mean(covers) >= 0.9


def test_the_unit_of_quantities_without_bounds_does_not_matter():
    rng = np.random.default_rng(8)
    y, g = rng.normal(size=40), rng.normal(size=100)
    f = y + rng.normal(size=40)
    once = powered(y, f, g)
    assert 0 < once.lambda_ < 1
    for unit in (1e-13, 1e13):
        assert powered(unit * y, unit * f, unit * g).lambda_ == pytest.approx(once.lambda_)
        assert powered(unit * y, np.full(40, unit * 0.1), np.full(100, unit * 0.1)).lambda_ == 0


def test_few_labels_make_it_approximate():
    rng = np.random.default_rng(7)
    y, f = drawn(rng, 20)
    _, g = drawn(rng, 100)
    assert powered(y[:19], f[:19], g, low=0, high=1).estimate.method.startswith("approximate: ")
    assert powered(y, f, g, low=0, high=1).estimate.method.startswith("prediction-powered")


def test_it_is_undefined_where_the_labels_alone_are():
    none = prediction_powered_mean([], [], [1.0], low=0, high=1)
    assert none == Undefined("no prompt has a score")
    assert isinstance(prediction_powered_mean([1.0], [1.0], [1.0], low=0, high=1), Undefined)
    assert isinstance(prediction_powered_mean([2.0, 2.0], [1.0, 2.0], [1.0]), Undefined)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: prediction_powered_mean([1, 0], [1], [1]), "2 labels but 1 predictions"),
        (lambda: prediction_powered_mean([1, np.nan], [1, 1], [1]), "labels must be finite"),
        (lambda: prediction_powered_mean([1, 0], [1, np.inf], [1]), "predictions_labelled must be finite"),
        (lambda: prediction_powered_mean([1, 0], [1, 0], [np.nan]), "predictions_unlabelled must be finite"),
        (lambda: prediction_powered_mean([1, 2], [1, 0], [1], low=0, high=1), "must lie in"),
        (lambda: prediction_powered_mean([1, 0], [1, 0], [1], ["a", "b"]), "or neither"),
        (lambda: prediction_powered_mean([1, 0], [1, 0], [1], ["a"], ["b"]), "clusters_labelled must be one label"),
        (lambda: prediction_powered_mean([1, 0], [1, 0], [1], ["a", "b"], []), "clusters_unlabelled must be one"),
        (lambda: prediction_powered_mean([1, 0], [1, 0], [1], low=0), "give both bounds"),
        (lambda: prediction_powered_mean([1, 0], [1, 0], [1], level=0), "level must lie"),
    ],
)
def test_bad_input_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()
