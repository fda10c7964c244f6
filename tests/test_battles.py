"""Battles: who is shown first does not depend on who is named first, and a swap is undone exactly once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciexam.battles import Battle, cluster, orders_of, pair, present, resolve
from sciexam.types import Comparison, Message, Order, Presentation, Prompt, Reply, Response, Side, Status, Verdict

OTHER: dict[Any, Any] = {"ab": "ba", "ba": "ab", "first": "second", "second": "first", "tie": "tie", None: None}
Shown = Sequence[tuple[Presentation, Verdict]]


def prompt(name: str = "p", text: str = "Why?", **more: Any) -> Prompt:
    return Prompt(id=name, messages=(Message(role="user", content=text),), **more)


def response(contestant: str, text: str, asked: str = "p", sample: int = 0, status: Status = "ok") -> Response:
    return Response(contestant, asked, sample, Reply("k", text, status))


def comparison(a: str = "text of a", b: str = "text of b", asked: str = "p", sample: int = 0) -> Comparison:
    return Comparison(prompt(asked), response("a", a, asked, sample), response("b", b, asked, sample))


def swapped(one: Comparison) -> Comparison:
    return replace(one, a=one.b, b=one.a)


def said(order: Order, what: Any, repeat: int = 0, on: Comparison | None = None) -> tuple[Presentation, Verdict]:
    """`what`: a side, (side, strength), the probability of the second, or "status: why"."""
    shown = (on or comparison()).shown(order, repeat)
    if isinstance(what, float):
        return shown, shown.verdict("r", probability_second=what)
    side, strength = what if isinstance(what, tuple) else (what, None)
    if ": " in side:
        status, failure = side.split(": ")
        return shown, shown.verdict("r", status=status, failure=failure)
    return shown, shown.verdict("r", side, strength=strength)


def battle(ab: Sequence[Any], ba: Sequence[Any], policy: Literal["mean", "conservative"] = "mean") -> Battle:
    shown = [said("ab", what, i) for i, what in enumerate(ab)] + [said("ba", what, i) for i, what in enumerate(ba)]
    return resolve(comparison(), shown, "r", policy)


# ---------------------------------------------------------------- pairing, and the order of showing


def test_every_pair_of_contestants_meets_on_every_prompt_sample_by_sample() -> None:
    prompts = [prompt("p0"), prompt("p1")]
    responses = {
        (name, one.id, sample): response(name, f"{name} {one.id} {sample}", one.id, sample)
        for name in "abc"
        for one in prompts
        for sample in range(2)
    }
    del responses["b", "p0", 1]
    responses["c", "p1", 0] = response("c", "", "p1", 0, "failed")
    met = [(c.a.text, c.b.text) for c in pair(prompts, [("a", "b"), ("a", "c"), ("b", "c")], 2, responses)]
    assert met == [
        *[("a p0 0", "b p0 0"), ("a p1 0", "b p1 0"), ("a p1 1", "b p1 1")],
        *[("a p0 0", "c p0 0"), ("a p0 1", "c p0 1"), ("a p1 1", "c p1 1")],
        *[("b p0 0", "c p0 0"), ("b p1 1", "c p1 1")],
    ]


@given(st.text(), st.text(), st.integers(), st.integers(0, 3))
def test_one_order_shows_the_same_text_first_whoever_is_named_first(a: str, b: str, seed: int, sample: int) -> None:
    one = comparison(a, b, sample=sample)
    (order,), (other,) = orders_of(one, "one", seed), orders_of(swapped(one), "one", seed)
    assert one.shown(order).first == swapped(one).shown(other).first


def test_one_order_shows_each_contestant_first_about_half_the_time_and_another_seed_draws_anew() -> None:
    several = [comparison(f"a{i}", f"b{i}", f"p{i}") for i in range(400)]
    drawn = {seed: [orders_of(one, "one", seed) for one in several] for seed in (0, 1)}
    assert drawn[0] == [orders_of(one, "one", 0) for one in several]
    for orders in drawn.values():
        assert 160 <= orders.count(("ab",)) <= 240  # four standard deviations of 400 fair coins on either side
    assert 160 <= sum(x == y for x, y in zip(drawn[0], drawn[1], strict=True)) <= 240
    assert orders_of(several[0], "both", 0) == ("ab", "ba")


def test_the_subject_is_what_is_seen_and_in_which_order_and_nothing_else() -> None:
    one = comparison()
    subject = present(one, "ab").subject
    renamed = Comparison(prompt("q", category="c"), response("x", "text of a", "q", 3), response("y", "text of b", "q"))
    assert present(renamed, "ab", repeat=2).subject == subject
    assert present(swapped(one), "ba").subject == subject
    others = [
        present(one, "ba"),
        present(replace(one, prompt=prompt(text="How?")), "ab"),
        present(replace(one, prompt=prompt(reference="So.")), "ab"),
        present(comparison(a="text of A"), "ab"),
    ]
    assert len({subject, *(other.subject for other in others)}) == 5


def test_prompts_of_one_group_or_one_text_are_one_cluster() -> None:
    assert cluster(prompt("p0")) == cluster(prompt("p1"))
    assert cluster(prompt("p0", "Why?", group="g")) == cluster(prompt("p1", "How?", group="g"))
    system = Prompt(id="p", messages=(Message(role="system", content="Why?"), Message(role="user", content="Why?")))
    apart = [prompt(), prompt(text="How?"), prompt(group="g"), prompt(group=""), system]
    assert len({cluster(one) for one in apart}) == len(apart)


# ---------------------------------------------------------------- two orders, one score


# In order ab "first" is a; in order ba "second" is a. The last column is MT-Bench's rule (arXiv 2306.05685, section
# 3.4): a win only where both orders name it, anything inconsistent is a tie.
@pytest.mark.parametrize(
    ("ab", "ba", "mean", "conservative"),
    [
        ("first", "second", 1.0, 1.0),
        ("first", "tie", 0.75, 0.5),
        ("first", "first", 0.5, 0.5),
        ("tie", "second", 0.75, 0.5),
        ("tie", "tie", 0.5, 0.5),
        ("tie", "first", 0.25, 0.5),
        ("second", "second", 0.5, 0.5),
        ("second", "tie", 0.25, 0.5),
        ("second", "first", 0.0, 0.0),
        (0.25, 0.625, 0.6875, 1.0),  # a has 0.75 shown first, 0.625 shown second
        (0.25, 0.375, 0.5625, 0.5),
        (0.75, 0.25, 0.25, 0.0),
    ],
)
def test_two_orders_make_a_score_by_the_policy(ab: Any, ba: Any, mean: float, conservative: float) -> None:
    assert battle([ab], [ba]).score == mean
    assert battle([ab], [ba], "conservative").score == conservative


def test_repeats_of_an_order_are_averaged_over_those_that_are_usable() -> None:
    found = battle(["first", "second", "first", "invalid: no verdict line"], ["first"])
    assert found.by_order == {"ab": pytest.approx(2 / 3), "ba": 0.0}
    assert found.score == pytest.approx(1 / 3)
    # On average a is ahead in one order and behind in the other.
    assert battle(["first", "second", "first"], ["first"], "conservative").score == 0.5


def test_an_average_that_misses_one_half_by_rounding_alone_is_a_tie_to_the_conservative_policy() -> None:
    repeats = [0.1, 0.7, 0.7]
    found = battle(repeats, [0.7], "conservative")
    assert found.by_order["ab"] > 0.5, "0.9 + 0.3 + 0.3 in binary is a little more than 1.5"
    assert found.score == 0.5


@pytest.mark.parametrize(
    ("ab", "ba", "status", "failure"),
    [
        (["first"], ["invalid: truncated"], "invalid", "truncated"),
        (["failed: timeout"], ["second"], "failed", "timeout"),
        (["invalid: refused", "failed: timeout"], ["second"], "failed", "timeout"),
        (["invalid: refused"], ["failed: timeout"], "failed", "timeout"),
        (["skipped: none", "invalid: refused"], ["second"], "invalid", "refused"),
        (["skipped: none"], ["skipped: none"], "skipped", "none"),
        ([], [], "skipped", "not judged"),
    ],
)
def test_an_order_without_a_usable_verdict_voids_the_battle(
    ab: list[str], ba: list[str], status: Status, failure: str
) -> None:
    for policy in ("mean", "conservative"):
        found = battle(ab, ba, policy)
        assert (found.score, found.status, found.failure) == (None, status, failure)
        assert (found.preference, found.first) == (None, None)


def test_a_skipped_order_leaves_the_other_standing() -> None:
    found = battle(["skipped: none"], ["second"])
    assert (found.score, found.by_order, found.status, found.first) == (1.0, {"ba": 1.0}, "ok", 0.0)


def test_the_preference_points_to_b_and_is_averaged_over_the_orders() -> None:
    assert battle([("second", "strong")], [("first", "strong")]).preference == 3.0
    assert battle([("first", "slight")], [("second", "slight")]).preference == -1.0
    assert battle([("second", "clear")], ["tie"]).preference == 1.0
    assert battle([("second", "clear")], [("second", "clear")]).preference == 0.0
    assert battle(["second"], ["first"]).preference is None, "a verdict without a strength has no preference"
    assert battle([("second", "strong")], ["first"]).preference == 3.0
    assert battle(["second"], ["tie"]).preference is None, "a tie gives no strength to the win beside it"
    assert battle(["tie"], ["tie"]).preference == 0.0


def test_first_is_the_score_of_whatever_was_shown_first() -> None:
    assert battle(["first"], ["first"]).first == 1.0
    assert battle(["second"], ["second"]).first == 0.0
    assert battle(["first"], ["second"]).first == 0.5
    assert battle(["first"], ["tie"]).first == 0.75


STRENGTHS = st.sampled_from(["slight", "clear", "strong", None])
SIDES: list[Side] = ["first", "second", "tie"]
SAID = st.one_of(
    st.tuples(st.sampled_from(SIDES), STRENGTHS),
    st.integers(0, 64).map(lambda i: i / 64),  # one minus such a probability loses nothing to rounding
    st.sampled_from(["invalid: refused", "failed: timeout", "skipped: none"]),
)
VERDICTS = st.lists(SAID, min_size=1, max_size=3)
POLICIES = st.sampled_from(["mean", "conservative"])


def reflected(shown: Shown) -> Shown:
    """The same judgements had every presentation been in the other order."""
    turned = []
    for presentation, verdict in shown:
        other = comparison().shown(OTHER[presentation.order], presentation.repeat)
        p = verdict.probability_second
        change = {"first": verdict.second, "second": verdict.first, "preferred": OTHER[verdict.preferred]}
        turned.append((other, replace(verdict, **change, probability_second=None if p is None else 1 - p)))
    return turned


@given(VERDICTS, VERDICTS, POLICIES)
def test_swapping_the_side_and_the_order_of_every_verdict_changes_no_score(
    ab: list[Any], ba: list[Any], policy: Literal["mean", "conservative"]
) -> None:
    shown = [said("ab", x, i) for i, x in enumerate(ab)] + [said("ba", x, i) for i, x in enumerate(ba)]
    found, turned = (resolve(comparison(), one, "r", policy) for one in (shown, reflected(shown)))
    assert (turned.score, turned.preference, turned.status) == (found.score, found.preference, found.status)
    assert {OTHER[order]: score for order, score in turned.by_order.items()} == found.by_order
    assert turned.first == (None if found.first is None else pytest.approx(1 - found.first))


@given(VERDICTS, VERDICTS, POLICIES)
def test_naming_the_pair_the_other_way_round_mirrors_the_battle(
    ab: list[Any], ba: list[Any], policy: Literal["mean", "conservative"]
) -> None:
    shown = [said("ab", x, i) for i, x in enumerate(ab)] + [said("ba", x, i) for i, x in enumerate(ba)]
    renamed = [(replace(presentation, order=OTHER[presentation.order]), verdict) for presentation, verdict in shown]
    found = resolve(comparison(), shown, "r", policy)
    mirrored = resolve(swapped(comparison()), renamed, "r", policy)
    assert mirrored.score == (None if found.score is None else pytest.approx(1 - found.score, abs=1e-12))
    assert mirrored.preference == (None if found.preference is None else -found.preference)
    assert mirrored.first == pytest.approx(found.first)


@given(st.one_of(st.floats(0, 1), st.sampled_from(SIDES)))
def test_by_the_mean_a_judge_that_sees_only_the_position_gives_exactly_one_half(what: Any) -> None:
    assert battle([what], [what]).score == 0.5
    if isinstance(what, str):
        assert battle([what], [what], "conservative").score == 0.5
