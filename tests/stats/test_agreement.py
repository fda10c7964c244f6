import csv
import json
import warnings
from functools import partial
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import aggregate_raters
from statsmodels.stats.inter_rater import fleiss_kappa as statsmodels_fleiss

from sciexam.stats.agreement import cohen_kappa, fleiss_kappa, gwet_ac1, gwet_ac2, percent_agreement
from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.mean import mean

MANY = (percent_agreement, fleiss_kappa, gwet_ac1, gwet_ac2)


def noisy(seed, raters, items, categories, missing=0.0, right=0.7):
    """Ratings 1.. that are the item's true category with probability `right`, else any category."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(1, categories + 1, items)
    guess = rng.integers(1, categories + 1, (raters, items))
    ratings = np.where(rng.random((raters, items)) < right, truth, guess).astype(float)
    ratings[rng.random((raters, items)) < missing] = np.nan
    return ratings


@st.composite
def tables(draw, most_raters=4):
    missing = draw(st.sampled_from([0.0, 0.3]))
    raters = draw(st.integers(2, most_raters))
    return noisy(draw(st.integers(0, 10**6)), raters, draw(st.integers(4, 40)), draw(st.integers(2, 4)), missing)


def limits(result):
    return (result.value, result.low, result.high) if isinstance(result, Estimate) else result.why


def same(one, other, slack=1e-9):
    assert type(one) is type(other)
    if isinstance(one, Undefined):
        assert one == other
    else:
        assert limits(one) == pytest.approx(limits(other), abs=slack)
        assert (one.n, one.method) == (other.n, other.method)


def slow_gwet(ratings, weight, categories):
    """Gwet 2014, chapter 4, word for word: weight(a, b) of two categories; items with one rating shape the shares."""
    agreements, shares = [], {category: [] for category in categories}
    for item in ratings.T:
        given = [x for x in item if x == x]
        if given:
            for category in categories:
                shares[category].append(given.count(category) / len(given))
        if len(given) >= 2:
            pairs = list(combinations(given, 2))
            agreements.append(sum(weight(a, b) for a, b in pairs) / len(pairs))
    observed = sum(agreements) / len(agreements)
    q = len(categories)
    pi = [sum(shares[category]) / len(shares[category]) for category in categories]
    every = sum(weight(a, b) for a in categories for b in categories)
    chance = every / (q * (q - 1)) * sum(p * (1 - p) for p in pi)
    return (observed - chance) / (1 - chance)


@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
@given(tables(most_raters=2))
def test_cohens_kappa_is_scikit_learns_on_the_items_that_both_rated(weights, ratings):
    both = ~np.isnan(ratings).any(0)
    result = cohen_kappa(*ratings, weights)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = cohen_kappa_score(*ratings[:, both].astype(int), weights=weights) if both.any() else np.nan
    if isinstance(result, Estimate):
        assert result.value == pytest.approx(expected, abs=1e-12)
        assert result.n == both.sum()
    else:
        assert both.sum() < 2 or len(np.unique(ratings[:, both])) == 1


@given(tables())
def test_fleiss_kappa_is_statsmodels_where_every_item_has_as_many_ratings(ratings):
    ratings = ratings[:, ~np.isnan(ratings).any(0)]
    result = fleiss_kappa(ratings)
    if isinstance(result, Estimate):
        counts, _ = aggregate_raters(ratings.T.astype(int))
        assert result.value == pytest.approx(statsmodels_fleiss(counts), abs=1e-12)
    else:
        assert ratings.shape[1] < 2 or len(np.unique(ratings)) == 1


@given(tables())
def test_gwets_coefficients_are_those_of_his_formula(ratings):
    categories = sorted(set(ratings[~np.isnan(ratings)]))
    if len(categories) < 2 or (np.count_nonzero(~np.isnan(ratings), axis=0) >= 2).sum() < 2:
        return
    q, rank, widest = len(categories), categories.index, categories[-1] - categories[0]
    assert gwet_ac1(ratings).value == pytest.approx(slow_gwet(ratings, lambda a, b: a == b, categories), abs=1e-12)
    for name, weight in (
        ("linear", lambda a, b: 1 - abs(a - b) / widest),
        ("quadratic", lambda a, b: 1 - (a - b) ** 2 / widest**2),
        ("ordinal", lambda a, b: 1 - abs(rank(a) - rank(b)) * (abs(rank(a) - rank(b)) + 1) / (q * (q - 1))),
    ):
        assert gwet_ac2(ratings, name).value == pytest.approx(slow_gwet(ratings, weight, categories), abs=1e-12)


def test_a_grade_that_nobody_gave_still_keeps_its_neighbours_apart():
    """By hand: 1 and 3 of the grades 1, 3 and 4 are 2/3 of the scale apart, not half of it."""
    ratings = [[1, 3, 4, 1], [3, 3, 4, 1]]
    shares = np.array([3, 3, 2]) / 8
    chance = (3 + 2 * (1 / 3 + 2 / 3)) / 6 * (shares * (1 - shares)).sum()
    assert gwet_ac2(ratings, "linear").value == pytest.approx(((3 + 1 / 3) / 4 - chance) / (1 - chance))
    named = gwet_ac2(ratings, "linear", categories=[1, 2, 3, 4])
    assert named.value != pytest.approx(gwet_ac2(ratings, "linear").value)


def test_missing_ratings_of_pandas_are_missing():
    pd = pytest.importorskip("pandas")
    numbers = [[1, None, 2, 2, 1], [1, 2, 2, 1, None]]
    assert fleiss_kappa(pd.DataFrame(numbers, dtype="Int64")) == fleiss_kappa(numbers)
    words = [["a", pd.NA, "b", "b", "a"], ["a", "b", "b", "a", pd.NA]]
    assert fleiss_kappa(words).value == fleiss_kappa(numbers).value
    with pytest.raises(ValueError, match="a cluster label is missing"):
        fleiss_kappa(numbers, [1, 2, pd.NA, 3, 4])


def test_the_prevalence_paradox_kappa_falls_where_percent_and_ac1_stay():
    """Feinstein and Cicchetti 1990, by hand: 80 yes-yes, 10 yes-no, 10 no-yes: kappa (.8 - .82) / .18 = -1/9."""
    first, second = [1] * 90 + [0] * 10, [1] * 80 + [0] * 10 + [1] * 10
    assert cohen_kappa(first, second).value == pytest.approx(-1 / 9)
    assert percent_agreement([first, second]).value == pytest.approx(0.8)
    assert gwet_ac1([first, second]).value == pytest.approx((0.8 - 0.18) / 0.82)


def test_percent_agreement_averages_over_items_however_many_rated_them():
    ratings = [[1, 1, 1, np.nan], [1, 2, 2, 5], [1, 1, np.nan, np.nan]]
    assert percent_agreement(ratings).value == pytest.approx((1 + 1 / 3 + 0) / 3)
    assert percent_agreement(ratings).n == 3


def test_the_interval_of_percent_agreement_is_that_of_a_bounded_mean():
    ratings = noisy(1, 2, 30, 3)
    clusters = np.arange(30) // 2
    expected = mean(ratings[0] == ratings[1], clusters, low=0, high=1)
    assert limits(percent_agreement(ratings, clusters)) == pytest.approx(limits(expected))


def test_pandalm_annotators_have_their_published_kappas(shared_data):
    """README of WeOpenML/PandaLM prints two decimals; derived.json was computed from the same labels."""
    with (shared_data / "pandalm" / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    names = ["annotator1", "annotator2", "annotator3"]
    labels = {name: np.array([int(row[name]) for row in rows]) for name in names}
    published = json.loads((shared_data / "pandalm" / "published.json").read_text())["cohen_kappa"]
    derived = json.loads((shared_data / "pandalm" / "derived.json").read_text())
    for pair, kappa in published.items():
        one, other = pair.split("-")
        result = cohen_kappa(labels[one], labels[other])
        assert round(result.value, 2) == kappa
        assert result.value == pytest.approx(derived["cohen_kappa"][pair], abs=1e-12)
        percent = percent_agreement([labels[one], labels[other]])
        assert percent.value == pytest.approx(derived["percent_agreement"][pair], abs=1e-12)
    every = np.array(list(labels.values()))
    assert fleiss_kappa(every).value == pytest.approx(derived["fleiss_kappa"], abs=1e-12)


@pytest.mark.parametrize("statistic", MANY)
@given(ratings=tables(), seed=st.integers(0, 99))
@settings(max_examples=40)
def test_the_order_of_raters_and_items_does_not_matter(statistic, ratings, seed):
    rng = np.random.default_rng(seed)
    clusters = rng.integers(0, 7, ratings.shape[1])
    order = rng.permutation(ratings.shape[1])
    shuffled = rng.permutation(ratings, axis=0)[:, order]
    same(statistic(ratings), statistic(shuffled))
    same(statistic(ratings, clusters=clusters), statistic(shuffled, clusters=clusters[order]))
    if ratings.shape[0] > 1:
        same(cohen_kappa(*ratings[:2]), cohen_kappa(ratings[1][order], ratings[0][order]))


@pytest.mark.parametrize("statistic", [percent_agreement, fleiss_kappa, gwet_ac1])
@given(ratings=tables())
@settings(max_examples=40)
def test_other_names_for_nominal_categories_change_nothing(statistic, ratings):
    names = {1: "win", 2: "lose", 3: "tie", 4: "a"}
    words = np.array([[names.get(x) for x in row] for row in ratings], dtype=object)
    same(statistic(ratings), statistic(words))
    same(statistic(ratings), statistic(words.tolist()))
    same(cohen_kappa(*ratings[:2]), cohen_kappa(*words[:2].tolist()))


@pytest.mark.parametrize("statistic", [*MANY, lambda ratings, clusters=None: cohen_kappa(*ratings[:2], None, clusters)])
@given(ratings=tables(), times=st.integers(2, 4))
@settings(max_examples=40)
def test_items_repeated_inside_their_cluster_change_nothing(statistic, ratings, times):
    items = ratings.shape[1]
    repeated = statistic(np.repeat(ratings, times, axis=1), clusters=np.repeat(np.arange(items), times))
    once = statistic(ratings, clusters=np.arange(items))
    if isinstance(once, Undefined):
        assert isinstance(repeated, Undefined)
    else:
        assert repeated.n == once.n
        assert limits(repeated) == pytest.approx(limits(once), abs=1e-9)


def test_items_repeated_as_if_they_were_new_do_narrow_so_the_labels_matter():
    ratings = noisy(3, 3, 60, 3)
    once, repeated = fleiss_kappa(ratings), fleiss_kappa(np.repeat(ratings, 4, axis=1))
    assert repeated.high - repeated.low < 0.6 * (once.high - once.low)


@given(tables(), st.sampled_from([0.8, 0.9, 0.99]))
def test_the_interval_holds_the_value_has_a_width_and_stays_in_the_range(ratings, level):
    for statistic in MANY:
        result = statistic(ratings, level=level)
        if isinstance(result, Estimate):
            # Items of one rating join the chance agreement only: it can then be above one half, and these below -1.
            below = statistic in (fleiss_kappa, gwet_ac2) and np.isnan(ratings).any()
            least = -np.inf if below else -1 - 1e-9
            assert least <= result.low <= result.value <= result.high <= 1 + 1e-9
            assert result.high - result.low > 1e-3
            assert result.level == level


def test_raters_who_never_differed_still_have_an_interval_that_many_items_narrow():
    few, many = ([[1, 2] * n] * 3 for n in (15, 500))
    for statistic in (*MANY, lambda ratings: cohen_kappa(*ratings[:2])):
        one, other = statistic(few), statistic(many)
        assert one.value == one.high == other.value == pytest.approx(1)
        assert 0.1 < one.low < 0.9 < 0.97 < other.low < 1 - 3.6 / 1000  # 3.6: the exact limit of a zero count


def test_the_jackknife_agrees_with_the_bootstrap_where_items_are_many():
    ratings = noisy(5, 4, 2000, 4, 0.2)
    for statistic in (*MANY, lambda ratings, draws: cohen_kappa(*ratings[:2], "linear", draws=draws)):
        plain, drawn = statistic(ratings, draws=0), statistic(ratings, draws=1000)
        assert drawn.value == plain.value
        assert drawn.high - drawn.low == pytest.approx(plain.high - plain.low, rel=0.12)
        assert (drawn.low, drawn.high) == pytest.approx((plain.low, plain.high), abs=0.006)
        assert drawn.method == "approximate: percentile bootstrap over items, 1000 draws"


def test_a_bootstrap_is_seeded_and_does_not_see_the_order_of_items_or_of_raters():
    ratings = noisy(6, 3, 50, 3, 0.2)
    order = np.random.default_rng(0).permutation(50)
    first = fleiss_kappa(ratings, draws=50, seed=1)
    assert first == fleiss_kappa(ratings, draws=50, seed=1)
    assert first != fleiss_kappa(ratings, draws=50, seed=2)
    same(first, fleiss_kappa(ratings[::-1, order], draws=50, seed=1))
    clusters = np.arange(50) // 3
    grouped = fleiss_kappa(ratings, clusters, draws=50, seed=1)
    same(grouped, fleiss_kappa(ratings[:, order], clusters[order], draws=50, seed=1))
    assert grouped.method == "approximate: percentile bootstrap over groups, 50 draws"


def test_bootstrap_draws_without_a_value_are_counted_and_too_many_are_a_sentence():
    one_other = np.ones((2, 30))
    one_other[:, 0] = 2
    one_other[0, 1] = 2
    result = fleiss_kappa(one_other, draws=400)
    left_out = int(result.method.split("draws, ")[1].split()[0])
    assert 400 * 0.135 * 0.6 < left_out < 400 * 0.135 * 1.4  # (28 / 30)^30 = .126 draws miss both items
    assert result.method.endswith("left out because the statistic is not defined there")
    always = fleiss_kappa([[1, 2] * 20] * 2, draws=100)
    assert always == Undefined("every bootstrap draw gives the same value; without draws there is an interval", 40)


def test_few_units_are_called_approximate():
    assert fleiss_kappa(noisy(1, 3, 49, 3)).method.startswith("approximate: Fisher's z")
    assert fleiss_kappa(noisy(1, 3, 50, 3)).method.startswith("Fisher's z, infinitesimal jackknife over items")
    grouped = fleiss_kappa(noisy(1, 3, 120, 3), np.arange(120) // 2)
    assert grouped.method.startswith("Fisher's z, infinitesimal jackknife over groups")
    assert grouped.n == 60


def test_a_category_that_nobody_used_counts_for_ac1_only_where_it_is_named():
    ratings = noisy(2, 3, 60, 2)
    assert gwet_ac1(ratings, categories=[1, 2]) == gwet_ac1(ratings)
    expected = slow_gwet(ratings, lambda a, b: a == b, [1, 2, 3])
    assert gwet_ac1(ratings, categories=[1, 2, 3]).value == pytest.approx(expected, abs=1e-12)
    assert gwet_ac1(np.ones((2, 60)), categories=[1, 2]).value == 1
    assert gwet_ac2(np.ones((2, 60)), categories=[1, 2]).low < 0.999


def test_what_the_data_cannot_give_is_a_sentence():
    one_class = "every rating is the same category: there is no disagreement by chance to compare with"
    assert fleiss_kappa([[1, 1, 1], [1, 1, 1]]) == Undefined(one_class, 3)
    same_one = "both raters gave one and the same category: there is no disagreement by chance"
    assert cohen_kappa(["a"] * 4, ["a"] * 4) == Undefined(same_one, 4)
    assert gwet_ac1([[1, 1], [1, 1]]).why == "there is only one category: chance agreement is not defined"
    for statistic in MANY:
        assert statistic([[1, 2, np.nan], [np.nan, np.nan, 1]]) == Undefined("no item has two ratings", 0)
        assert statistic(np.empty((2, 0))) == Undefined("no item has two ratings", 0)
        assert statistic([[1, 2, 1]]) == Undefined("no item has two ratings", 0)
        only = "only one of the {} has two ratings, and an interval needs two"
        assert statistic([[1, 2], [2, np.nan]]) == Undefined(only.format("items"), 1)
        assert statistic([[1, 2, 1], [2, 2, 1]], clusters=[0, 0, 0]) == Undefined(only.format("groups"), 1)
    assert cohen_kappa([1, None], [None, 2]) == Undefined("no item has two ratings", 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (partial(percent_agreement, [1, 2, 3]), r"one row for each rater and one column for each item, not \(3,\)"),
        (partial(percent_agreement, [range(1001)] * 2), "ratings take 1001 different values, more than 1000; round"),
        (partial(cohen_kappa, range(1001), range(1001)), "ratings take 1001 different values, more than 1000; round"),
        (partial(gwet_ac2, [[1, 1]] * 2, "cubic"), "weights must be 'linear', 'quadratic' or 'ordinal', not 'cubic'"),
        (partial(percent_agreement, [[1, 2], [1]]), "one row for each rater, all of the same length"),
        (partial(fleiss_kappa, [[1, np.inf], [1, 2]]), "ratings must be finite numbers"),
        (partial(fleiss_kappa, [[1, 2], [1, 2]], ["a"]), "2 values but 1 cluster labels"),
        (partial(fleiss_kappa, [[1, 2], [1, 2]], ["a", None]), "a cluster label is missing"),
        (partial(fleiss_kappa, [[1, 2], [1, 2]], level=95), "level must lie between 0 and 1, not 95"),
        (partial(fleiss_kappa, [[1, 2], [1, 2]], draws=-1), "draws must be 0"),
        (partial(gwet_ac1, [[1, 3], [1, 2]], categories=[1, 2]), "ratings outside the categories: 3"),
        (partial(gwet_ac1, [["a", "b"]] * 2, categories=["a"]), "ratings outside the categories: 'b'"),
        (partial(gwet_ac2, [["a", "b"]] * 2), "weights need numbers as ratings"),
        (partial(gwet_ac2, [[1, 2]] * 2, "cubic"), "weights must be 'linear', 'quadratic' or 'ordinal', not 'cubic'"),
        (partial(cohen_kappa, ["a", "b"], ["a", "b"], "linear"), "weights need numbers as ratings"),
        (partial(cohen_kappa, [1, 2], [1, 2], "ordinal"), "weights must be None, 'linear' or 'quadratic'"),
        (partial(cohen_kappa, [1, 2], [1]), "2 ratings by the first but 1 by the second"),
        (
            partial(cohen_kappa, [[1, 2]], [1]),
            r"first must be one rating for each item, not an array of shape \(1, 2\)",
        ),
    ],
)
def test_what_cannot_be_ratings_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
