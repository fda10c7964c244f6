import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciexam.annotate.flags import Conduct, Look, conduct_of
from sciexam.stats import Estimate, Undefined

NONE = (0, 0)
UNKNOWN = Undefined("nobody else judged these items")


def looks(left: int = 0, right: int = 0, tie: int = 0, cannot: int = 0) -> list[Look]:
    """So many of each, in two strengths by turns, an hour each."""
    return [
        *(Look(("left-much", "left-slightly")[i % 2], "left", 3600.0, 200) for i in range(left)),
        *(Look(("right-much", "right-slightly")[i % 2], "right", 3600.0, 200) for i in range(right)),
        *(Look("tie", "tie", 3600.0, 200) for _ in range(tie)),
        *(Look("cannot", None, 3600.0, 200) for _ in range(cannot)),
    ]


def conduct(given: list[Look], gold=NONE, repeats=NONE, kappa=UNKNOWN, alpha=UNKNOWN) -> Conduct:
    return conduct_of(given, gold, repeats, kappa, alpha)


def flags(given: list[Look], **more) -> tuple[str, ...]:
    return conduct(given, **more).flags


def timed(*seconds: float | None, words: int = 250) -> list[Look]:
    """Sides by turns and four choices, so that nothing but the time can be flagged."""
    four = looks(left=2, right=2)
    return [Look(four[i % 4].choice, four[i % 4].side, value, words) for i, value in enumerate(seconds)]


def estimate(value: float, low: float, high: float, n: int = 40) -> Estimate:
    return Estimate(value, low, high, 0.95, n, "by hand")


def test_what_is_counted() -> None:
    found = conduct(looks(left=3, right=1, tie=2, cannot=4), gold=(2, 3), repeats=(1, 2))
    assert (found.judged, found.cannot, found.ties) == (10, 4, 2)
    assert (found.left.value, found.left.n, found.left.level) == (0.75, 4, 0.95)
    assert 0 < found.left.low < 0.75 < found.left.high < 1
    assert found.left.method == "beta interval at the effective number of judgements"
    assert (found.median_seconds, found.hasty) == (3600.0, (0, 10))
    assert (found.gold, found.repeats) == ((2, 3), (1, 2))
    assert (found.with_others, found.alpha_without) == (UNKNOWN, UNKNOWN)


def test_of_nothing_nothing_is_said() -> None:
    found = conduct([])
    assert found.left == Undefined("no judgement names a side, and an interval needs two")
    assert (found.judged, found.median_seconds, found.hasty, found.flags) == (0, None, (0, 0), ())


def test_one_side_has_no_interval() -> None:
    assert conduct(looks(left=1, tie=5)).left == Undefined(
        "only one judgement names a side, and an interval needs two", 1
    )


# 250 words at 1,000 a minute take 15 s.
def test_more_than_half_of_ten_must_be_hasty() -> None:
    assert flags(timed(*[14.9] * 5, *[15.0] * 5)) == ()
    assert flags(timed(*[14.9] * 6, *[15.0] * 4)) == (
        "6 of 10 timed judgements were made faster than the words on the screen can be read "
        "(above 1,000 words a minute)",
    )


def test_nine_times_are_too_few_for_a_flag() -> None:
    found = conduct(timed(*[1.0] * 9))
    assert (found.hasty, found.flags) == ((9, 9), ())


@pytest.mark.parametrize("unknown", [None, math.nan, math.inf, -1.0])
def test_a_time_that_cannot_be_is_unknown(unknown) -> None:
    found = conduct(timed(*[1.0] * 9, unknown, unknown))
    assert (found.hasty, found.median_seconds, found.flags) == ((9, 9), 1.0, ())


def test_few_words_are_read_in_a_second() -> None:
    # 60 / 1000 s a word: 16 words take .96 s, 17 take 1.02 s.
    assert flags(timed(*[1.0] * 20, words=16)) == ()
    assert "20 of 20" in flags(timed(*[1.0] * 20, words=17))[0]


def test_ten_on_one_side_can_be_chance_and_eleven_hardly() -> None:
    # 2 / 2^10 = .00195; 2 / 2^11 = .00098.
    assert flags(looks(left=10)) == ()
    assert flags(looks(right=11)) == ("right in 11 of 11 decisions; sides are shown at random (p = 0.00098)",)


def test_a_lean_counts_the_sides_alone() -> None:
    # 2 (1 + 40 + 780) / 2^40 = 1642 / 1.0995e12 = 1.49e-9: none, one or two of forty on the other side.
    assert flags(looks(left=38, right=2, tie=60)) == (
        "left in 38 of 40 decisions; sides are shown at random (p = 1.5e-9)",
    )


def test_a_lean_must_be_large_as_well() -> None:
    # 259 of 400 is 5.9 standard deviations from 200, and 64.75 %.
    assert flags(looks(left=259, right=141)) == ()
    assert "left in 260 of 400" in flags(looks(left=260, right=140))[0]


def test_a_tiny_p_is_not_spelt_out() -> None:
    assert flags(looks(left=2000))[0].endswith("(p < 1e-10)")


def test_one_choice_makes_up_more_than_nine_tenths_of_twenty() -> None:
    def same(count: int, others: int) -> tuple[str, ...]:
        return flags([Look("tie", "tie", None, 9)] * count + looks(left=others // 2, right=others - others // 2))

    assert same(18, 2) == ()
    assert same(19, 1) == ("the same choice, tie, in 19 of 20 judgements",)
    assert same(19, 0) == ()


def test_a_choice_that_is_no_judgement_is_not_one_choice() -> None:
    assert flags([*looks(cannot=6), *looks(left=8, right=8)]) == ()


def test_three_wrong_of_three_and_not_two() -> None:
    # .1^3 = .001; 3 x .01 x .9 + .001 = .028.
    assert flags([], gold=(1, 3)) == ()
    assert flags([], gold=(0, 3)) == ("3 of 3 gold items wrong; who attends errs in 10 % at most (p = 0.001)",)


def test_five_wrong_of_ten_and_not_four() -> None:
    # P(X >= 5) = .0016 and P(X >= 4) = .0128 of a binomial (10, .1).
    assert flags([], gold=(6, 10)) == ()
    assert "5 of 10 gold items wrong" in flags([], gold=(5, 10))[0]


def test_two_gold_items_are_too_few() -> None:
    assert flags([], gold=(0, 2)) == ()


def test_none_of_six_repeated_and_not_none_of_five() -> None:
    # .45^5 = .0185; .45^6 = .0083.
    assert flags([], repeats=(0, 5)) == ()
    assert flags([], repeats=(0, 6)) == (
        "the same side again in 0 of 6 repeated pairs; who goes by the answers repeats at least 55 % (p = 0.0083)",
    )


def test_one_of_ten_repeated_and_not_two() -> None:
    # .45^10 + 10 x .55 x .45^9 = .0003 + .0042 = .0045; 45 x .55^2 x .45^8 = .0229 more.
    assert flags([], repeats=(2, 10)) == ()
    assert "in 1 of 10 repeated pairs" in flags([], repeats=(1, 10))[0]


# The margin of alpha - kappa is the hypotenuse of .3 (alpha down to its low) and .4 (kappa up to its high): .5.
ALPHA = estimate(0.6, 0.3, 0.8)


def test_agreement_is_flagged_where_kappa_lies_far_below_the_alpha_of_the_others() -> None:
    assert flags([], kappa=estimate(0.11, -0.3, 0.51), alpha=ALPHA) == ()
    assert flags([], kappa=estimate(0.09, -0.3, 0.49), alpha=ALPHA) == (
        "agrees with the majority of the others no more than chance would (kappa 0.09 [-0.30, 0.49] on 40 items), "
        "while they agree with one another (alpha 0.60 [0.30, 0.80])",
    )


def test_who_answers_the_opposite_agrees_less_than_chance_would() -> None:
    (found,) = flags([], kappa=estimate(-0.5, -0.7, -0.2), alpha=ALPHA)
    assert found.startswith("agrees with the majority of the others less than chance would (kappa -0.50")


@pytest.mark.parametrize(
    ("kappa", "alpha"),
    [
        (estimate(0.02, 0.01, 0.03), ALPHA),  # agrees beyond chance
        (estimate(-0.9, -1.0, -0.8), estimate(0.2, 0.0, 0.4)),  # the others do not agree either
        (estimate(-0.5, -0.7, -0.2, n=9), ALPHA),  # nine common items
        (Undefined("no item has two ratings"), ALPHA),
        (estimate(-0.5, -0.7, -0.2), Undefined("no item has two ratings")),
    ],
)
def test_agreement_is_not_flagged(kappa, alpha) -> None:
    found = conduct([], kappa=kappa, alpha=alpha)
    assert (found.with_others, found.alpha_without, found.flags) == (kappa, alpha, ())


def test_more_than_a_third_of_ten_could_not_be_judged() -> None:
    assert flags(looks(left=4, right=4, cannot=4)) == ()
    assert flags(looks(left=3, right=3, cannot=4)) == ("could not judge 4 of 10",)
    assert flags(looks(cannot=9)) == ()


def test_flags_stand_in_one_order() -> None:
    always = [Look("left-much", "left", 1.0, 250)] * 20 + [Look("cannot", None, 1.0, 250)] * 11
    found = flags(always, gold=(0, 3), repeats=(0, 6), kappa=estimate(0, -0.2, 0.2), alpha=ALPHA)
    assert [flag.split()[0] for flag in found] == ["31", "left", "the", "3", "the", "agrees", "could"]


SIDES = {"left-much": "left", "left-slightly": "left", "tie": "tie", "right-slightly": "right", "cannot": None}
any_look = st.builds(
    lambda choice, seconds, words: Look(choice, SIDES[choice], seconds, words),
    st.sampled_from(list(SIDES)),
    st.none() | st.floats(),
    st.integers(-10, 10**9),
)
any_counts = st.tuples(st.integers(-3, 10**6), st.integers(-3, 10**6))
shares = st.tuples(*[st.floats(-1, 1)] * 3).map(sorted)
any_figure = st.builds(Undefined, st.just("no item has two ratings")) | st.builds(
    lambda three, n: estimate(three[1], three[0], three[2], n), shares, st.integers(0, 10**6)
)


@given(st.lists(any_look, max_size=12), st.integers(1, 9), any_counts, any_counts, any_figure, any_figure)
def test_whatever_is_counted_a_flag_is_a_sentence_with_finite_numbers(some, times, gold, repeats, kappa, alpha) -> None:
    for flag in conduct_of(some * times, gold, repeats, kappa, alpha).flags:
        assert not re.search(r"\b(nan|inf|None|Undefined)\b", flag)
        assert re.search(r"\d", flag)
