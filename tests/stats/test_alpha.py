import csv
import gzip
import json
import subprocess
import sys

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sciexam.stats.alpha import MEASUREMENTS, alpha_score, coincidence_matrix, krippendorff_alpha
from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.rating_table import read_ratings, tabulate

every_measurement = pytest.mark.parametrize("measurement", MEASUREMENTS)


@st.composite
def tables(draw):
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    shape = (draw(st.integers(2, 5)), draw(st.integers(4, 40)))
    truth = rng.integers(0, draw(st.integers(2, 6)), shape[1])
    ratings = np.where(rng.random(shape) < 0.6, truth, rng.integers(0, truth.max() + 1, shape)).astype(float)
    ratings[rng.random(shape) < draw(st.sampled_from([0, 0.3]))] = np.nan
    return ratings**2 / 3


def package(ratings, measurement):
    paired = ratings[:, np.count_nonzero(~np.isnan(ratings), axis=0) >= 2]
    if paired.shape[1] < 2 or len(np.unique(paired[~np.isnan(paired)])) < 2:
        return None
    return krippendorff.alpha(reliability_data=ratings, level_of_measurement=measurement)


def limits(result):
    return result.value, result.low, result.high


def same(one, other, slack=1e-9):
    assert type(one) is type(other)
    if isinstance(one, Undefined):
        assert one == other
    else:
        assert limits(one) == pytest.approx(limits(other), abs=slack)
        assert (one.n, one.method) == (other.n, other.method)


@every_measurement
@given(tables())
def test_the_value_is_the_packages(measurement, ratings):
    expected, result = package(ratings, measurement), krippendorff_alpha(ratings, measurement)
    if expected is None:
        assert isinstance(result, Undefined)
    else:
        assert result.value == pytest.approx(expected, abs=1e-12)


@every_measurement
@given(tables())
def test_our_coincidence_matrix_at_weight_one_gives_the_packages_value(measurement, ratings):
    expected = package(ratings, measurement)
    if expected is not None:
        ratings = ratings[:, np.count_nonzero(~np.isnan(ratings), axis=0) >= 2]
        read = read_ratings(ratings)
        table, _ = tabulate(read.codes, len(read.categories))
        assert alpha_score(table, read.numbers, measurement).value == pytest.approx(expected, abs=1e-12)


@every_measurement
@given(tables(), st.integers(0, 99))
@settings(max_examples=30)
def test_our_coincidence_matrix_at_whole_weights_is_that_of_repeated_items(measurement, ratings, seed):
    ratings = ratings[:, np.count_nonzero(~np.isnan(ratings), axis=0) >= 2]
    if package(ratings, measurement) is None:
        return
    times = np.random.default_rng(seed).integers(1, 4, ratings.shape[1])
    read = read_ratings(ratings)
    table, pattern = tabulate(read.codes, len(read.categories))
    weighted = table.weighted(np.bincount(pattern, times).astype(float))
    expected = package(np.repeat(ratings, times, axis=1), measurement)
    assert alpha_score(weighted, read.numbers, measurement).value == pytest.approx(expected, abs=1e-12)


@every_measurement
def test_the_influence_of_a_pattern_is_the_derivative_of_alpha_in_its_weight(measurement):
    rng = np.random.default_rng(4)
    ratings = np.where(rng.random((3, 50)) < 0.6, rng.integers(1, 6, 50), rng.integers(1, 6, (3, 50))).astype(float)
    ratings[0, :9] = np.nan
    read = read_ratings(ratings)
    table, _ = tabulate(read.codes, 5)
    influence = alpha_score(table, read.numbers, measurement).influence
    for place in range(len(table.counts)):
        step = np.zeros(len(table.counts))
        step[place] = 1e-4
        up, down = (alpha_score(table.weighted(table.counts + s), read.numbers, measurement) for s in (step, -step))
        assert influence[place] == pytest.approx((up.value - down.value) / 2e-4, abs=1e-9)


def test_the_coincidence_matrix_is_krippendorffs_by_hand():
    """Krippendorff 2011, section C: an item with m ratings adds 1 / (m - 1) for each ordered pair."""
    read = read_ratings([[1, 1, 2], [1, 2, 2], [1, np.nan, 1]])
    table, _ = tabulate(read.codes, 2)
    assert coincidence_matrix(table).tolist() == [[3, 2], [2, 1]]


def test_the_textbook_alphas_to_three_decimals(shared_data):
    """Krippendorff 2011, the worked example with missing ratings: .743, .815, .849, .797."""
    with (shared_data / "agreement" / "textbook_reliability.csv").open() as file:
        ratings = [[float(x or "nan") for x in row[1:]] for row in list(csv.reader(file))[1:]]
    published = json.loads((shared_data / "agreement" / "published.json").read_text())["textbook_alpha"]
    for measurement in MEASUREMENTS:
        result = krippendorff_alpha(ratings, measurement)
        assert round(result.value, 3) == published[measurement]
        assert result.n == 11


def test_the_newsroom_alphas_to_twelve_decimals(shared_data):
    """JUDGE-BENCH results/regular/newsroom.json."""
    with (shared_data / "agreement" / "newsroom.csv").open() as file:
        rows = list(csv.DictReader(file))
    published = json.loads((shared_data / "agreement" / "published.json").read_text())["newsroom_alpha_ordinal"]
    for metric, alpha in published.items():
        ratings = [
            [float(row[name]) for row in rows if row["metric"] == metric] for name in ("rater1", "rater2", "rater3")
        ]
        result = krippendorff_alpha(ratings, "ordinal")
        assert result.value == pytest.approx(alpha, abs=1e-12)
        assert result.low < alpha < result.high


def test_the_alphas_of_the_human_labels_of_three_studies(shared_data):
    """alttest/derived.json, computed with the package from the same rows; labels of MT-Bench are words."""
    derived = json.loads((shared_data / "alttest" / "derived.json").read_text())
    for name, alphas in derived["krippendorff_alpha_humans"].items():
        rows, ratings = humans(shared_data, name)
        for measurement, alpha in alphas.items():
            assert krippendorff_alpha(ratings, measurement).value == pytest.approx(alpha, abs=1e-12)
    rows, ratings = humans(shared_data, "summeval")
    dimension = np.array([row["item"].split("__")[-1] for row in rows])
    for quality, alpha in derived["summeval_alpha_interval_by_dimension"].items():
        there = np.array(ratings, dtype=float)[:, dimension == quality]
        assert krippendorff_alpha(there, "interval").value == pytest.approx(alpha, abs=1e-12)


def humans(shared_data, name):
    with gzip.open(shared_data / "alttest" / f"{name}.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    raters = [column for column in rows[0] if column.startswith("human:")]
    ratings = [[row[rater] or None for row in rows] for rater in raters]
    if name != "mtbench":
        ratings = [[None if x is None else float(x) for x in row] for row in ratings]
    return rows, ratings


def test_the_alphas_of_three_runs_of_a_pointwise_judge(shared_data):
    with (shared_data / "pointwise" / "vicuna_gpt4_scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    ratings = [[int(row[run]) for row in rows] for run in ("run1", "run2", "run3")]
    derived = json.loads((shared_data / "pointwise" / "derived.json").read_text())["repeat_agreement"]
    for measurement in ("ordinal", "interval", "nominal"):
        result = krippendorff_alpha(ratings, measurement, [row["question"] for row in rows])
        assert result.value == pytest.approx(derived[f"alpha_{measurement}"], abs=1e-12)
        assert result.n == 80


def test_the_pandalm_alpha(shared_data):
    with (shared_data / "pandalm" / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    ratings = [[row[f"annotator{i}"] for row in rows] for i in (1, 2, 3)]
    derived = json.loads((shared_data / "pandalm" / "derived.json").read_text())
    assert krippendorff_alpha(ratings).value == pytest.approx(derived["krippendorff_alpha_nominal"], abs=1e-12)


@every_measurement
@given(ratings=tables(), seed=st.integers(0, 99))
@settings(max_examples=30)
def test_the_order_of_raters_and_items_does_not_matter(measurement, ratings, seed):
    rng = np.random.default_rng(seed)
    clusters = rng.integers(0, 7, ratings.shape[1])
    order = rng.permutation(ratings.shape[1])
    shuffled = rng.permutation(ratings, axis=0)[:, order]
    same(krippendorff_alpha(ratings, measurement), krippendorff_alpha(shuffled, measurement))
    grouped = krippendorff_alpha(ratings, measurement, clusters)
    same(grouped, krippendorff_alpha(shuffled, measurement, clusters[order]))


def test_a_bootstrap_does_not_see_the_order_of_raters_or_items():
    rng = np.random.default_rng(1)
    ratings = rng.integers(1, 4, (3, 60))
    one = krippendorff_alpha(ratings, "ordinal", draws=60)
    same(one, krippendorff_alpha(ratings[::-1, rng.permutation(60)], "ordinal", draws=60))


@given(tables())
def test_other_names_for_nominal_categories_change_nothing(ratings):
    values = np.unique(ratings[~np.isnan(ratings)])
    names = dict(zip(values, np.random.default_rng(0).permutation(list("qwertz"))[: len(values)], strict=True))
    words = [[names.get(x) for x in row] for row in ratings]
    same(krippendorff_alpha(ratings), krippendorff_alpha(words))


@given(tables())
def test_ordinal_alpha_sees_ranks_alone_and_interval_alpha_no_shift_or_unit(ratings):
    same(krippendorff_alpha(ratings, "ordinal"), krippendorff_alpha(np.exp(ratings), "ordinal"))
    same(krippendorff_alpha(ratings, "interval"), krippendorff_alpha(1e150 * ratings - 3e150, "interval"), 1e-6)


def test_items_repeated_inside_their_cluster_do_not_narrow_the_interval():
    """Alpha itself rises by O(1 / ratings) with more ratings, so value and limits move by that, and no more."""
    rng = np.random.default_rng(2)
    ratings = np.where(rng.random((3, 100)) < 0.7, rng.integers(1, 5, 100), rng.integers(1, 5, (3, 100)))
    once = krippendorff_alpha(ratings, "ordinal")
    repeated = krippendorff_alpha(np.repeat(ratings, 5, axis=1), "ordinal", np.repeat(np.arange(100), 5))
    assert repeated.n == once.n == 100
    assert limits(repeated) == pytest.approx(limits(once), abs=0.004)
    blind = krippendorff_alpha(np.repeat(ratings, 5, axis=1), "ordinal")
    assert blind.high - blind.low < 0.5 * (once.high - once.low)


@every_measurement
def test_the_jackknife_agrees_with_the_bootstrap_where_items_are_many(measurement):
    rng = np.random.default_rng(3)
    ratings = np.where(rng.random((3, 2000)) < 0.7, rng.integers(1, 5, 2000), rng.integers(1, 5, (3, 2000)))
    for clusters in (None, np.arange(2000) // 2):
        plain = krippendorff_alpha(ratings, measurement, clusters)
        drawn = krippendorff_alpha(ratings, measurement, clusters, draws=500)
        assert (drawn.low, drawn.high) == pytest.approx((plain.low, plain.high), abs=0.008)
        assert drawn.value == plain.value


@every_measurement
def test_above_the_packages_size_our_own_value_is_the_same(measurement):
    rng = np.random.default_rng(5)
    items = 2**22 // 25 + 1000
    ratings = np.where(rng.random((3, items)) < 0.7, rng.integers(1, 6, items), rng.integers(1, 6, (3, items)))
    counts = np.array([np.count_nonzero(ratings == value, axis=0) for value in range(1, 6)]).T
    expected = krippendorff.alpha(value_counts=counts, value_domain=[1, 2, 3, 4, 5], level_of_measurement=measurement)
    result = krippendorff_alpha(ratings, measurement)
    assert isinstance(result, Estimate)
    assert result.value == pytest.approx(expected, abs=1e-12)


def test_coverage_of_the_interval_is_near_its_level_where_the_percentile_bootstrap_falls_short():
    """Three raters, each right with probability .9, 40 items, classes .8 and .2: alpha is .5325 with endless items."""
    rng = np.random.default_rng(6)
    truth = rng.random((400, 1, 40)) < 0.8
    ratings = truth ^ (rng.random((400, 3, 40)) < 0.1)
    share = 0.8 * 0.9 + 0.2 * 0.1
    alpha = 1 - 2 * 0.9 * 0.1 / (2 * share * (1 - share))
    found = [krippendorff_alpha(table.astype(int)) for table in ratings]
    assert np.mean([one.low <= alpha <= one.high for one in found]) >= 0.94


def test_perfect_agreement_still_has_an_interval():
    result = krippendorff_alpha([[1, 2, 3] * 20] * 3, "ordinal")
    assert result.value == result.high == 1
    assert 0.5 < result.low < 0.99


def test_what_the_data_cannot_give_is_a_sentence():
    one_class = "every rating is the same category: there is no disagreement by chance to compare with"
    assert krippendorff_alpha([[1, 1, 1], [1, 1, 1]]) == Undefined(one_class, 3)
    assert krippendorff_alpha([[1, 1, 2], [1, 1, np.nan]], "interval") == Undefined(one_class, 2)
    assert krippendorff_alpha([[1, 2, 3]]) == Undefined("no item has two ratings", 0)
    assert krippendorff_alpha([[np.nan, 2], [1, np.nan]]) == Undefined("no item has two ratings", 0)
    only = "only one of the items has two ratings, and an interval needs two"
    assert krippendorff_alpha([[1, 2], [2, np.nan]]) == Undefined(only, 1)


def test_what_cannot_be_ratings_is_refused():
    with pytest.raises(ValueError, match="measurement must be one of nominal, ordinal, interval, ratio, not 'rank'"):
        krippendorff_alpha([[1, 2], [1, 2]], "rank")
    with pytest.raises(ValueError, match="a measurement of 'ordinal' needs numbers as ratings"):
        krippendorff_alpha([["a", "b"], ["a", "b"]], "ordinal")
    with pytest.raises(ValueError, match="'ratio' needs ratings that are not negative"):
        krippendorff_alpha([[-1, 2], [1, 2]], "ratio")
    with pytest.raises(ValueError, match="ratings take 2000 different values, more than 1000; round them first"):
        krippendorff_alpha(np.arange(4000.0).reshape(2, 2000) % 2000, "interval")
    with pytest.raises(ValueError, match="one row for each rater"):
        krippendorff_alpha([1, 2, 3])


def test_the_package_is_imported_only_when_alpha_is_asked_for():
    code = "import sys, sciexam.stats.alpha\nassert not {'krippendorff', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
