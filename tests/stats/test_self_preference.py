import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciexam.stats.bias import self_preference
from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.mean import mean

SCORES = st.lists(st.tuples(st.sampled_from([0, 0.5, 1]), st.sampled_from([0, 0.5, 1])), min_size=2, max_size=30)


def test_it_is_the_mean_difference_on_the_same_prompts_with_the_interval_of_a_mean():
    own, others = np.array([1, 1, 0.5, 1, 0, 1]), np.array([1, 0, 0.5, 0.5, 0, 0.75])
    found = self_preference(own, others)
    assert found.value == pytest.approx((0 + 1 + 0 + 0.5 + 0 + 0.25) / 6)
    assert found == mean(own - others, low=-1, high=1)


def test_a_judge_that_always_votes_for_itself_is_as_partial_as_the_others_are_not():
    rng = np.random.default_rng(0)
    others = rng.integers(0, 2, 400)
    found = self_preference(np.ones(400), others)
    assert found.value == pytest.approx(1 - others.mean())
    assert found.low > 0.35


def test_a_judge_that_votes_as_humans_do_but_independently_has_none_though_the_conditional_form_sees_a_lot():
    rng = np.random.default_rng(1)
    judge, humans = rng.random((2, 5000)) < 0.8  # the judge's own model is better on 80 % of votes
    found = self_preference(judge, humans)
    assert found.low < 0 < found.high
    assert found.high - found.low < 0.05
    # Wataoka et al. 2024: P(judge for own | humans for own) - P(judge for other | humans for other)
    assert judge[humans].mean() - (~judge)[~humans].mean() == pytest.approx(0.6, abs=0.05)


def test_how_good_the_answers_are_cancels():
    rng = np.random.default_rng(2)
    for better in (0.3, 0.5, 0.7):
        judge = rng.random(4000) < better + 0.1
        humans = rng.random(4000) < better
        found = self_preference(judge, humans)
        assert found.low < 0.1 < found.high
        assert found.low > 0


@given(SCORES)
def test_seen_from_the_other_answer_it_changes_its_sign(pairs):
    own, others = np.array(pairs, dtype=float).T
    one, other = self_preference(own, others), self_preference(1 - own, 1 - others)
    assert (other.value, other.low, other.high) == pytest.approx((-one.value, -one.high, -one.low))


def test_the_same_prompts_again_in_the_same_groups_do_not_narrow_the_interval():
    rng = np.random.default_rng(3)
    own, others, labels = rng.integers(0, 2, 40), rng.integers(0, 2, 40), np.arange(40)
    once = self_preference(own, others, labels)
    again = self_preference(np.tile(own, 3), np.tile(others, 3), np.tile(labels, 3))
    assert (again.low, again.high, again.n) == pytest.approx((once.low, once.high, 40))


def test_without_other_raters_it_cannot_be_told_from_quality():
    found = self_preference([1, 1, 0.5])
    assert found == Undefined(
        "without other raters on the same prompts, a judge's preference for its own answers cannot be told from their "
        "being better",
        3,
    )


def test_no_prompt_and_one_group_are_sentences():
    assert str(self_preference([], [])) == "no prompt has a score"
    assert "one group" in str(self_preference([1, 0], [0, 0], ["g", "g"]))
    assert isinstance(self_preference([1, 0], [0, 0]), Estimate)


@pytest.mark.parametrize(
    ("own", "others", "message"),
    [
        ([1, 0], [1], "2 scores by the judge but 1 by the reference raters"),
        ([2, 0], [1, 0], r"scores must lie in \[0, 1\]"),
        ([1, 0], [1, -1], r"reference must lie in \[0, 1\]"),
        ([1, 0], [1, float("nan")], "reference must be finite"),
    ],
)
def test_bad_input_is_named(own, others, message):
    with pytest.raises(ValueError, match=message):
        self_preference(own, others)
