import gzip
import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, ttest_1samp

from sciexam.stats.alt_test import AltTest, alt_test
from sciexam.stats.estimate import Estimate, Undefined

SETS = ("mtbench", "cebab_stars", "summeval")


def completed(*args, **kwargs):
    result = alt_test(*args, **kwargs)
    assert isinstance(result, AltTest), result
    return result


def slow_alt_test(llm, humans, scoring, epsilon, q=0.05, min_humans=2, min_items=30):
    """The paper's procedure, one item after the other: (omega, rho)."""

    def score(label, others):
        if scoring == "accuracy":
            return sum(label == other for other in others) / len(others)
        return -math.sqrt(sum((label - other) ** 2 for other in others) / len(others))

    p_values, advantages = [], []
    for h in range(len(humans)):
        of_llm, of_human = [], []
        for i in range(len(llm)):
            there = [k for k in range(len(humans)) if not pd.isna(humans[k][i])]
            if pd.isna(llm[i]) or h not in there or len(there) < min_humans:
                continue
            others = [humans[k][i] for k in there if k != h]
            s_llm, s_human = score(llm[i], others), score(humans[h][i], others)
            of_llm.append(float(s_llm >= s_human))
            of_human.append(float(s_human >= s_llm))
        if len(of_llm) >= min_items:
            differences = np.array(of_human) - np.array(of_llm)
            p_values.append(ttest_1samp(differences, epsilon, alternative="less").pvalue)
            advantages.append(np.mean(of_llm))
    rejected = false_discovery_control(p_values, method="by") <= q
    return np.mean(rejected), np.mean(advantages)


def noisy_labels(rng, truth, accuracy, kinds=2):
    """Labels equal to the truth with probability `accuracy`, else one of the others."""
    wrong = (truth + rng.integers(1, kinds, len(truth))) % kinds
    return np.where(rng.random(len(truth)) < accuracy, truth, wrong)


@pytest.mark.parametrize("name", SETS)
def test_all_published_winning_rates_and_advantages_are_reproduced_to_two_decimals(name, shared_data):
    """Printed in the notebook alt_test_example.ipynb of the authors' repository nitaytech/AltTest."""
    folder = shared_data / "alttest"
    published = json.loads((folder / "published.json").read_text(encoding="utf-8"))["datasets"][name]
    with gzip.open(folder / f"{name}.csv.gz", "rt", encoding="utf-8") as file:
        frame = pd.read_csv(file)
    humans = frame.filter(like="human:").to_numpy().T
    assert len(published["llms"]) == 6
    for llm, expected in published["llms"].items():
        labels = frame[f"llm:{llm}"].to_numpy()
        result = completed(labels, humans, published["scoring"], published["epsilon"], published["q_fdr"])
        assert isinstance(result.rho, Estimate)
        assert round(result.omega, 2) == expected["winning_rate"]
        assert round(result.rho.value, 2) == expected["advantage_probability"]
        assert result.passed is expected["passed"]


@pytest.mark.parametrize("scoring", ["accuracy", "neg_rmse"])
@pytest.mark.parametrize("seed", range(4))
def test_the_test_equals_the_procedure_written_out_item_by_item(scoring, seed):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, 90)
    humans = np.array([noisy_labels(rng, truth, accuracy, 4) for accuracy in (0.9, 0.8, 0.7, 0.6)], dtype=float)
    humans[rng.random(humans.shape) < 0.3] = np.nan
    llm = noisy_labels(rng, truth, 0.85, 4).astype(float)
    llm[:5] = np.nan
    omega, rho = slow_alt_test(llm, humans, scoring, 0.1)
    result = completed(llm, humans, scoring, 0.1)
    assert isinstance(result.rho, Estimate)
    assert result.omega == pytest.approx(omega)
    assert result.rho.value == pytest.approx(rho)


def test_each_p_value_is_that_of_the_one_sided_t_test_of_scipy():
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 2, 200)
    humans = np.array([noisy_labels(rng, truth, 0.8) for _ in range(3)])
    llm = noisy_labels(rng, truth, 0.8)
    result = completed(llm, humans, epsilon=0.15)
    for row in result.humans:
        others = np.delete(humans, row.human, axis=0)
        s_llm, s_human = (others == llm).mean(0), (others == humans[row.human]).mean(0)
        differences = (s_human >= s_llm) * 1.0 - (s_llm >= s_human)
        assert row.p == pytest.approx(ttest_1samp(differences, 0.15, alternative="less").pvalue, rel=1e-9)
        assert row.advantage == pytest.approx(np.mean(s_llm >= s_human))
        assert row.n == 200


def test_a_model_that_guesses_reads_far_above_one_half_unless_ties_are_split():
    """Three humans right 80 % of the time and a model right 50 %: rho counts the ties, on most items, for the model."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 40_000)
    humans = np.array([noisy_labels(rng, truth, 0.8) for _ in range(3)])
    result = completed(rng.integers(0, 2, 40_000), humans)
    # Where the two others agree (.68 of items): the human is with them with (.8^3 + .2^3) / .68, the model with 1/2.
    # Where they differ every label scores 1/2. So P(human ahead) = .68 * (.52 / .68) * 1/2 = .26, P(model) = .16 / 2.
    assert isinstance(result.rho, Estimate)
    assert isinstance(result.rho_split, Estimate)
    assert result.rho.value == pytest.approx(1 - 0.26, abs=0.01)
    assert result.rho_split.value == pytest.approx((1 + 0.08 - 0.26) / 2, abs=0.01)
    assert result.passed  # with as many items its deficit of .18 is surely below the .2 allowed: passing is not skill


def test_a_model_like_the_humans_splits_evenly():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 20_000)
    humans = np.array([noisy_labels(rng, truth, 0.8) for _ in range(3)])
    result = completed(noisy_labels(rng, truth, 0.8), humans)
    assert isinstance(result.rho, Estimate)
    assert isinstance(result.rho_split, Estimate)
    assert result.rho_split.value == pytest.approx(0.5, abs=0.01)
    assert result.rho.value > 0.8
    assert result.passed
    assert result.omega == 1


def test_the_interval_of_the_tie_split_rho_covers_over_items():
    rng = np.random.default_rng(5)
    truth = rng.integers(0, 2, (300, 60))
    covered = 0
    for row in truth:
        humans = np.array([noisy_labels(rng, row, 0.8) for _ in range(3)])
        result = completed(noisy_labels(rng, row, 0.8), humans)
        assert isinstance(result.rho_split, Estimate)
        covered += result.rho_split.low <= 0.5 <= result.rho_split.high
    assert covered / 300 >= 0.93


@given(st.integers(0, 10_000), st.sampled_from(["accuracy", "neg_rmse"]))
def test_labels_may_be_renamed_and_rows_reordered(seed, scoring):
    rng = np.random.default_rng(seed)
    humans = rng.integers(0, 3, (3, 40)).astype(float)
    humans[rng.random(humans.shape) < 0.2] = np.nan
    llm, order = rng.integers(0, 3, 40).astype(float), rng.permutation(40)
    plain = alt_test(llm, humans, scoring, min_items=10)
    moved = alt_test(llm[order], humans[:, order], scoring, min_items=10)
    renamed = alt_test(2 * llm + 1, 2 * humans + 1, scoring, min_items=10)
    if isinstance(plain, Undefined):
        assert plain == moved == renamed
        return
    for other in (moved, renamed):
        assert isinstance(other, AltTest)
        assert isinstance(plain.rho_split, Estimate)
        assert isinstance(other.rho_split, Estimate)
        assert other.omega == plain.omega
        assert other.rho_split.low == pytest.approx(plain.rho_split.low)
        assert [row.p for row in other.humans] == pytest.approx([row.p for row in plain.humans])


def test_strings_none_and_numbers_give_the_same():
    rng = np.random.default_rng(8)
    numbers = rng.integers(0, 2, (4, 50))
    words = np.array(["model_a", "tie"], dtype=object)[numbers]
    words[1, 3] = None
    missing = numbers.astype(float)
    missing[1, 3] = np.nan
    assert alt_test(words[0], words[1:]) == alt_test(missing[0], missing[1:])


def test_fractions_at_equal_distance_are_a_tie():
    assert (0.1 - 0.2) ** 2 != (0.3 - 0.2) ** 2
    result = completed(np.full(40, 0.3), [[0.1] * 40, [0.2] * 40], "neg_rmse", epsilon=0.2)
    assert result.humans[0].p == pytest.approx(0.8**40)  # all ties: the bound, not the 0.4**40 of a constant lead
    assert result.humans[0].advantage == 1.0


def test_a_model_equal_to_the_humans_has_the_p_value_of_a_bound_and_not_zero():
    labels = np.arange(40) % 2
    result = completed(labels, [labels, labels], epsilon=0.2)
    assert [row.p for row in result.humans] == pytest.approx([0.8**40] * 2)
    assert result.passed
    assert isinstance(result.rho_split, Estimate)
    assert result.rho_split.value == 0.5


def test_a_model_that_is_never_nearer_has_a_p_value_of_one():
    labels = np.zeros(40)
    result = completed(np.ones(40), [labels, labels])
    assert [row.p for row in result.humans] == [1.0, 1.0]
    assert (result.omega, result.passed) == (0.0, False)


def test_items_repeated_within_their_cluster_change_nothing():
    rng = np.random.default_rng(4)
    humans, llm = rng.integers(0, 2, (3, 50)), rng.integers(0, 2, 50)
    once = completed(llm, humans)
    clusters = np.repeat(np.arange(50), 3)
    repeated = completed(np.repeat(llm, 3), np.repeat(humans, 3, axis=1), clusters=clusters)
    as_new = completed(np.repeat(llm, 3), np.repeat(humans, 3, axis=1))
    assert [row.p for row in repeated.humans] == pytest.approx([row.p for row in once.humans])
    assert isinstance(once.rho, Estimate)
    assert isinstance(repeated.rho, Estimate)
    assert isinstance(as_new.rho, Estimate)
    assert (repeated.rho.low, repeated.rho.n) == (pytest.approx(once.rho.low), 50)
    assert as_new.rho.low > once.rho.low + 0.02


def test_a_human_with_too_few_items_is_skipped_with_the_reason_and_does_not_count():
    rng = np.random.default_rng(6)
    humans = rng.integers(0, 2, (3, 60)).astype(float)
    humans[2, 10:] = np.nan
    result = completed(rng.integers(0, 2, 60), humans)
    assert [row.skipped for row in result.humans] == ["", "", "10 items, and the test asks for 30"]
    assert result.humans[2].p is None
    assert result.humans[2].advantage is None
    assert result.omega in (0.0, 0.5, 1.0)


def test_where_no_human_has_enough_items_it_is_undefined():
    result = alt_test([0, 1, 0], [[0, 1, 0], [0, 1, 1]])
    assert isinstance(result, Undefined)
    why = "no human has the 30 items that the alt-test asks for, which the judge judged, too, in two or more clusters"
    assert str(result) == f"{why}; the most is 3"
    one_cluster = alt_test([0] * 40, [[0] * 40, [1] * 40], clusters=["a"] * 40)
    assert isinstance(one_cluster, Undefined)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: alt_test([0, 1], [0, 1]), "llm must have shape"),
        (lambda: alt_test([0, 1], [[0, 1, 1]]), "llm must have shape"),
        (lambda: alt_test([0, 1], [["a", "b"]]), "some labels are strings"),
        (lambda: alt_test(["a"], [["a"]], "neg_rmse"), "must be numbers"),
        (lambda: alt_test([np.inf], [[1.0]], "neg_rmse"), "must be finite"),
        (lambda: alt_test([1], [[1]], "f1"), "scoring must be"),
        (lambda: alt_test([1], [[1]], epsilon=1.0), "epsilon must lie"),
        (lambda: alt_test([1], [[1]], q=0.0), "q must lie"),
        (lambda: alt_test([1], [[1]], min_humans=1), "at least 2"),
        (lambda: alt_test([1, 1], [[1, 1]], clusters=["a"]), "2 values but 1 cluster labels"),
    ],
)
def test_bad_input_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()
