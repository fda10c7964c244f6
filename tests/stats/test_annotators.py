import csv
import json
from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sciexam.stats.alpha import krippendorff_alpha
from sciexam.stats.annotators import alpha_if_removed, dawid_skene, majority_vote
from sciexam.stats.estimate import Undefined


def simulated(seed, items, prior, confusion, missing=0.0):
    """(truth, ratings) with known confusion matrices, shape (raters, classes, classes)."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(len(prior), items, p=prior)
    steps = np.cumsum(confusion, axis=2)[:, truth]
    ratings = (rng.random((len(confusion), items))[:, :, None] > steps).sum(2).astype(float)
    ratings[rng.random(ratings.shape) < missing] = np.nan
    return truth, ratings


def slow_em(ratings, steps, smoothing=0.0):
    """Dawid and Skene 1979, equations 2.3 to 2.5, one cell at a time; returns (posteriors, prior, confusion)."""
    raters, items = len(ratings), len(ratings[0])
    classes = sorted({x for row in ratings for x in row if x == x})
    said = [
        [(r, classes.index(ratings[r][i])) for r in range(raters) if ratings[r][i] == ratings[r][i]]
        for i in range(items)
    ]
    k = range(len(classes))
    posterior = [[sum(code == c for _, code in said[i]) / len(said[i]) for c in k] for i in range(items)]
    likelihoods = []
    for _ in range(steps):
        prior = [smoothing + sum(posterior[i][c] for i in range(items)) for c in k]
        prior = [p / sum(prior) for p in prior]
        confusion = [[[smoothing] * len(classes) for _ in k] for _ in range(raters)]
        for i in range(items):
            for rater, code in said[i]:
                for c in k:
                    confusion[rater][c][code] += posterior[i][c]
        confusion = [[[x / sum(row) for x in row] for row in matrix] for matrix in confusion]
        likelihood = 0.0
        for i in range(items):
            joint = [prior[c] for c in k]
            for c in k:
                for rater, code in said[i]:
                    joint[c] *= confusion[rater][c][code]
            likelihood += log(sum(joint))
            posterior[i] = [x / sum(joint) for x in joint]
        likelihoods.append(likelihood)
    return np.array(posterior), np.array(prior), np.array(confusion), likelihoods


CONFUSION = np.array(
    [
        [[0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.05, 0.05, 0.9]],
        [[0.7, 0.2, 0.1], [0.05, 0.9, 0.05], [0.1, 0.2, 0.7]],
        [[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.0, 0.1, 0.9]],
        [[0.4, 0.3, 0.3], [0.3, 0.4, 0.3], [0.3, 0.3, 0.4]],
        [[0.85, 0.1, 0.05], [0.1, 0.85, 0.05], [0.1, 0.1, 0.8]],
    ]
)
PRIOR = np.array([0.5, 0.2, 0.3])


def test_two_against_two_is_a_tie_and_no_label():
    result = majority_vote(
        [[1, 1, np.nan, 1, 3], [1, 2, np.nan, 2, 3], [2, 1, np.nan, 3, np.nan], [1, 2, np.nan, 1, 3]]
    )
    assert result.labels == (1, None, None, 1, 3)
    assert (result.ties, result.unrated, result.unanimous) == (1, 1, 1)


def test_labels_come_back_as_they_went_in():
    words = majority_vote([["win", None, "tie"], ["win", "lose", "lose"], ["lose", None, None]])
    assert words.labels == ("win", "lose", None)
    numbers = majority_vote(np.array([[1, 2], [1, 2]]))
    assert [type(label) for label in numbers.labels] == [int, int]
    assert majority_vote(np.empty((3, 0))).labels == ()
    assert majority_vote([[np.nan, np.nan]]).unrated == 2


@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 30))
def test_the_majority_is_the_one_that_counting_gives(seed, raters, items):
    rng = np.random.default_rng(seed)
    ratings = rng.integers(0, 3, (raters, items)).astype(float)
    ratings[rng.random(ratings.shape) < 0.3] = np.nan
    result = majority_vote(ratings)
    for label, column in zip(result.labels, ratings.T, strict=True):
        given_ = [x for x in column if x == x]
        votes = sorted(((given_.count(x), x) for x in set(given_)), reverse=True)
        clear = votes and (len(votes) == 1 or votes[0][0] > votes[1][0])
        assert label == (votes[0][1] if clear else None)
    assert sum(label is None for label in result.labels) == result.ties + result.unrated


def test_a_vote_among_very_many_answers_takes_no_table_of_them():
    """With one count for each answer and item it would take some 20 GB."""
    answers = np.arange(100_000).reshape(2, 50_000)
    result = majority_vote(np.vstack([answers, answers[:1]]))
    assert result.labels == tuple(range(50_000))
    assert majority_vote(answers).ties == 50_000


def test_pandalm_majorities_are_the_published_counts_and_every_item_has_one(shared_data):
    """README of WeOpenML/PandaLM: 105 ties, 422 first, 472 second; .8799 unanimous is derived from the same rows."""
    with (shared_data / "pandalm" / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    result = majority_vote([[row[f"annotator{i}"] for row in rows] for i in (1, 2, 3)])
    published = json.loads((shared_data / "pandalm" / "published.json").read_text())["majority_label_counts"]
    assert {label: result.labels.count(label) for label in "012"} == published
    assert result.ties == 0
    derived = json.loads((shared_data / "pandalm" / "derived.json").read_text())
    assert result.unanimous / len(rows) == pytest.approx(derived["share_all_three_agree"], abs=1e-12)


def test_the_share_of_pointwise_scores_that_three_runs_agree_on(shared_data):
    with (shared_data / "pointwise" / "vicuna_gpt4_scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    result = majority_vote([[int(row[f"run{i}"]) for row in rows] for i in (1, 2, 3)])
    derived = json.loads((shared_data / "pointwise" / "derived.json").read_text())["repeat_agreement"]
    assert result.unanimous / len(rows) == derived["share_all_three_equal"]


def test_known_confusion_matrices_are_recovered():
    truth, ratings = simulated(1, 40_000, PRIOR, CONFUSION, 0.2)
    result = dawid_skene(ratings)
    assert result.converged
    assert result.classes == (0, 1, 2)
    assert np.abs(result.confusion - CONFUSION).max() < 0.03
    assert np.abs(result.prior - PRIOR).max() < 0.02
    assert result.accuracy == pytest.approx([PRIOR @ np.diag(matrix) for matrix in CONFUSION], abs=0.02)
    right = np.mean(result.posteriors.argmax(1) == truth)
    majority = np.mean([label == t for label, t in zip(majority_vote(ratings).labels, truth, strict=True)])
    assert right > majority + 0.02


@pytest.mark.parametrize("smoothing", [0.0, 0.5])
def test_every_step_is_the_textbooks(smoothing):
    _, ratings = simulated(2, 60, PRIOR, CONFUSION, 0.3)
    ratings = ratings[:, ~np.isnan(ratings).all(0)]
    for steps in (1, 2, 7):
        result = dawid_skene(ratings, smoothing, tolerance=1e-300, iterations=steps)
        posteriors, prior, confusion, likelihoods = slow_em(ratings.tolist(), steps, smoothing)
        assert (result.iterations, result.converged) == (steps, False)
        assert result.posteriors == pytest.approx(posteriors, abs=1e-10)
        assert result.prior == pytest.approx(prior, abs=1e-10)
        assert result.confusion == pytest.approx(confusion, abs=1e-10)
        assert result.log_likelihood == pytest.approx(likelihoods[-1], abs=1e-8)


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_the_likelihood_never_falls_and_all_probabilities_are_probabilities(seed):
    _, ratings = simulated(seed, 30, PRIOR, CONFUSION, 0.4)
    fits = [dawid_skene(ratings, tolerance=1e-300, iterations=steps) for steps in range(1, 12)]
    likelihoods = [fit.log_likelihood for fit in fits]
    assert np.all(np.diff(likelihoods) >= -1e-9)
    for values, axis in ((fits[-1].posteriors, 1), (fits[-1].confusion, 2), (fits[-1].prior, 0)):
        assert np.isfinite(values).all()
        assert values.sum(axis) == pytest.approx(1)


def test_the_order_of_items_and_raters_only_reorders_the_fit():
    _, ratings = simulated(3, 200, PRIOR, CONFUSION, 0.2)
    order = np.random.default_rng(0).permutation(200)
    there, back = dawid_skene(ratings), dawid_skene(ratings[::-1][:, order])
    assert back.confusion[::-1] == pytest.approx(there.confusion, abs=1e-6)
    assert back.posteriors == pytest.approx(there.posteriors[order], abs=1e-6)


def test_an_item_without_a_rating_has_the_prior():
    _, ratings = simulated(4, 100, PRIOR, CONFUSION)
    ratings[:, 0] = np.nan
    result = dawid_skene(ratings)
    assert result.posteriors[0] == pytest.approx(result.prior, abs=1e-6)
    without = dawid_skene(ratings[:, 1:])
    assert result.confusion == pytest.approx(without.confusion, abs=1e-12)
    assert result.log_likelihood == pytest.approx(without.log_likelihood, abs=1e-9)


def test_a_fit_that_the_data_cannot_give_is_a_sentence():
    alone = "no item has ratings by two raters, who could confirm or contradict each other"
    assert dawid_skene([[1, 2, 1]]) == Undefined(alone, 3)
    assert dawid_skene([[1, 2, np.nan], [np.nan, np.nan, 1]]) == Undefined(alone, 3)
    assert dawid_skene([[1, 1], [1, 1]]) == Undefined(
        "every rating is the same category: there is nothing to confuse", 2
    )
    with pytest.raises(ValueError, match="smoothing must not be negative"):
        dawid_skene([[1, 2], [1, 2]], -1)
    with pytest.raises(ValueError, match="smoothing must not be negative or infinite, not nan"):
        dawid_skene([[1, 2], [1, 2]], float("nan"))
    with pytest.raises(ValueError, match="ratings take 1001 different values"):
        dawid_skene([range(1001)] * 2)
    with pytest.raises(ValueError, match="iterations must be at least 1 and tolerance above 0"):
        dawid_skene([[1, 2], [1, 2]], tolerance=float("nan"))
    with pytest.raises(ValueError, match="iterations must be at least 1 and tolerance above 0"):
        dawid_skene([[1, 2], [1, 2]], iterations=0)


def test_alpha_rises_without_the_rater_who_guesses():
    _, ratings = simulated(5, 300, PRIOR, CONFUSION)
    every, without = krippendorff_alpha(ratings), alpha_if_removed(ratings)
    assert np.argmax([one.value for one in without]) == 3
    assert without[3].value > every.value
    for rater, one in enumerate(without):
        assert one == krippendorff_alpha(np.delete(ratings, rater, axis=0))


def test_alpha_if_removed_takes_words_clusters_and_two_raters():
    words = [["a", "b", "a", None], ["a", "b", "b", "a"], ["a", "a", "b", "a"]]
    numbers = [[0, 1, 0, np.nan], [0, 1, 1, 0], [0, 0, 1, 0]]
    assert [x.value for x in alpha_if_removed(words)] == [x.value for x in alpha_if_removed(numbers, clusters="wxyz")]
    assert alpha_if_removed([[1, 2], [1, 2]]) == (Undefined("no item has two ratings", 0),) * 2
    with pytest.raises(ValueError, match="'ordinal' needs numbers"):
        alpha_if_removed(words, "ordinal")
