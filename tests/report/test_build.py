"""From verdicts to figures: every prompt is counted once, and what has no verdict is never a win, a tie or a loss."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from sciexam.battles import Policy, pair, present, resolve
from sciexam.report import wording
from sciexam.report.build import build
from sciexam.report.calls import Calls
from sciexam.report.evidence import TEXT_MEASURE, Bench, Evidence
from sciexam.report.markdown import to_markdown
from sciexam.report.record import Pair, Report
from sciexam.stats import Estimate, Undefined
from sciexam.types import Message, Presentation, Prompt, Reply, Response, Verdict

Judged = tuple[str, int, str, str, str]  # prompt, sample, rater, shown first, shown second
Say = Callable[[str, int, str, str, str], Any]

SHARES = {"first": Fraction(0), "tie": Fraction(1, 2), "second": Fraction(1)}  # of what is shown second
CAUSES = ("invalid: refused", "failed: timeout", "skipped: none")


def prompts(count: int, **more: Sequence[Any]) -> tuple[Prompt, ...]:
    """p0.. of different texts; `more` gives one value a prompt for a field."""
    return tuple(
        Prompt(
            id=f"p{i}",
            messages=(Message(role="user", content=f"Why {i}?"),),
            **{field: values[i] for field, values in more.items()},
        )
        for i in range(count)
    )


def evidence(
    asked: Sequence[Prompt],
    say: Say,
    names: Sequence[str] = ("a", "b"),
    benches: Mapping[str, Sequence[str]] | None = None,
    samples: int = 1,
    reply: Callable[[str, str, int], Reply] | None = None,
    policy: Policy = "mean",
    by: str = "category",
    margin: float | None = None,
) -> Evidence:
    """Everything judged by `say(prompt, sample, rater, first, second)`, which gives a side, or "status: why"."""
    written = reply or (lambda name, prompt, sample: Reply("k", f"{name} on {prompt} {sample}"))
    responses = {
        (name, one.id, sample): Response(name, one.id, sample, written(name, one.id, sample))
        for name in names
        for one in asked
        for sample in range(samples)
    }
    compared = list(pair(asked, combinations(names, 2), samples, responses))

    def verdict(shown: Presentation, rater: str) -> Verdict:
        said = say(shown.prompt.id, shown.sample, rater, shown.first_by, shown.second_by)
        side, strength = said if isinstance(said, tuple) else (said, None)
        if ": " in side:
            status, failure = side.split(": ")
            return shown.verdict(rater, status=status, failure=failure)
        return shown.verdict(rater, side, strength=strength)

    made = []
    for bench, raters in (benches or {"judge": ["judge"]}).items():
        seen = []
        battles = []
        for rater in raters:
            for one in compared:
                shown = [(p, verdict(p, rater)) for p in (present(one, "ab"), present(one, "ba"))]
                battles.append(resolve(one, shown, rater, policy))
                seen += shown
        made.append(Bench(bench, "a test's judge", tuple(raters), True, battles, seen, trust="held"))
    return Evidence(
        *(
            "suite",
            "run",
            "rubric",
            0,
            tuple(names),
            tuple(combinations(names, 2)),
            {},
            tuple(asked),
            samples,
            responses,
            made,
            policy,
            by,
            margin,
        ),
        Calls(),
    )


def winner(*names: str) -> Say:
    """Prompt p<i> is won by names[i], whatever the order; "tie" is one; anything with a colon is a failure."""

    def say(prompt: str, sample: int, rater: str, first: str, second: str) -> str:
        name = names[int(prompt[1:])]
        return {first: "first", second: "second"}.get(name, name)

    return say


def only(report: Report) -> Pair:
    (found,) = report.pairs
    return found


def estimate(figure: Estimate | Undefined) -> Estimate:
    assert isinstance(figure, Estimate), figure
    return figure


# ---------------------------------------------------------------- counts, over any mixture of outcomes


@st.composite
def worlds(draw: st.DrawFn) -> dict[str, Any]:
    """A few prompts, samples, raters and contestants, with any outcome for each presentation and response."""
    names = draw(st.sampled_from([("a", "b"), ("a", "b", "c")]))
    benches = draw(st.sampled_from([{"j": ["j"]}, {"j": ["j"], "panel": ["ann", "bob"]}]))
    samples = draw(st.integers(1, 2))
    count = draw(st.integers(1, 5))
    groups = draw(st.lists(st.sampled_from([None, "g", "h"]), min_size=count, max_size=count))
    categories = draw(st.lists(st.sampled_from(["x", "y", None]), min_size=count, max_size=count))
    asked = prompts(count, group=groups, category=categories)
    outcome = st.sampled_from([*SHARES, *SHARES, *CAUSES])
    raters = [rater for bench in benches.values() for rater in bench]
    said: dict[Judged, str] = {
        (one.id, sample, rater, first, second): draw(outcome)
        for one in asked
        for sample in range(samples)
        for rater in raters
        for first in names
        for second in names
        if first != second
    }
    status = st.sampled_from(["ok"] * 6 + ["failed", "invalid", "skipped"])
    replies = {
        (name, one.id, sample): Reply("k", "w " * draw(st.integers(0, 3)), draw(status), "why")
        for name in names
        for one in asked
        for sample in range(samples)
    }
    return {"asked": asked, "names": names, "benches": benches, "samples": samples, "said": said, "replies": replies}


def built(world: Mapping[str, Any], names: Sequence[str] | None = None) -> Report:
    kept = {key: world[key] for key in ("asked", "benches", "samples")}
    return build(
        evidence(
            say=lambda *which: world["said"][which],
            reply=lambda *which: world["replies"][which],
            names=names or world["names"],
            margin=0.2,
            **kept,
        )
    )


def limits_of_b(
    world: Mapping[str, Any], prompt: str, raters: Sequence[str], a: str, b: str
) -> tuple[Fraction, Fraction]:
    """What a prompt would be worth to b were everything lost, or won, that is missing of it."""
    shares: list[Fraction] = []
    missing = 0
    for sample in range(world["samples"]):
        answered = {world["replies"][name, prompt, sample].status for name in (a, b)}
        if answered != {"ok"}:
            missing += bool(answered & {"failed", "invalid"})
            continue
        for rater in raters:
            said = {(x, y): world["said"][prompt, sample, rater, x, y] for x, y in ((a, b), (b, a))}
            why = {x.split(":")[0] for x in said.values() if x not in SHARES}
            if why - {"skipped"}:
                missing += 1
            elif usable := [1 - SHARES[x] if y == b else SHARES[x] for (y, _), x in said.items() if x in SHARES]:
                shares.append(sum(usable, Fraction(0)) / len(usable))
    whole = len(shares) + missing
    total = sum(shares, Fraction(0))
    return total / whole, (total + missing) / whole


def share_of_b(world: Mapping[str, Any], prompt: str, raters: Sequence[str], a: str, b: str) -> Fraction | str:
    """What a prompt is worth to b, counted by hand; or the gravest status of what stood in the way."""
    shares: list[Fraction] = []
    causes: list[str] = []
    for sample in range(world["samples"]):
        answered = [world["replies"][name, prompt, sample].status for name in (a, b)]
        if answered != ["ok", "ok"]:
            causes += [status for status in answered if status != "ok"]
            continue
        for rater in raters:
            seen = {(first, second): world["said"][prompt, sample, rater, first, second]
                    for first, second in ((a, b), (b, a))}  # fmt: skip
            usable = [1 - SHARES[x] if first == b else SHARES[x] for (first, _), x in seen.items() if x in SHARES]
            why = [x.split(":")[0] for x in seen.values() if x not in SHARES]
            if usable and set(why) <= {"skipped"}:
                shares.append(sum(usable, Fraction(0)) / len(usable))
            else:
                causes += [x for x in why if x != "skipped"] or why
    if shares:
        return sum(shares, Fraction(0)) / len(shares)
    return min(causes, key=["failed", "invalid", "skipped"].index)


@settings(max_examples=150)
@given(worlds())
def test_every_planned_prompt_is_counted_once_and_only_verdicts_are_wins_ties_or_losses(world: dict[str, Any]) -> None:
    report = built(world)
    assert len(report.pairs) == len(list(combinations(world["names"], 2))) * len(world["benches"])
    lacking = 0
    for found in report.pairs:
        worth = [share_of_b(world, one.id, world["benches"][found.judge], found.a, found.b) for one in world["asked"]]
        scores = [share for share in worth if isinstance(share, Fraction)]
        causes = Counter(cause for cause in worth if isinstance(cause, str))
        half = Fraction(1, 2)
        assert (found.used, found.planned) == (len(scores), len(worth))
        assert (found.invalid, found.failed, found.skipped) == tuple(
            causes[status] for status in ("invalid", "failed", "skipped")
        )
        assert found.used + found.invalid + found.failed + found.skipped == found.planned
        assert (found.wins, found.ties, found.losses) == (
            sum(x > half for x in scores),
            sum(x == half for x in scores),
            sum(x < half for x in scores),
        )
        assert sum(found.reasons.values()) == found.planned - found.used
        if isinstance(found.win_rate, Estimate):
            assert found.win_rate.value == pytest.approx(float(sum(scores) / len(scores)))
            assert found.win_rate.low <= found.win_rate.value <= found.win_rate.high
        if scores:
            assert found.bounds is not None
            lost = causes["invalid"] + causes["failed"]
            limits = [
                limits_of_b(world, one.id, world["benches"][found.judge], found.a, found.b)
                for one, share in zip(world["asked"], worth, strict=True)
                if isinstance(share, Fraction)
            ]
            whole = len(scores) + lost
            assert found.bounds[0] == pytest.approx(float(sum(low for low, _ in limits) / whole))
            assert found.bounds[1] == pytest.approx(float((sum(high for _, high in limits) + lost) / whole))
            rate = float(sum(scores) / len(scores))
            assert found.bounds[0] - 1e-12 <= rate <= found.bounds[1] + 1e-12
        else:
            assert found.bounds is None
            assert found.p_value is None
            assert isinstance(found.win_rate, Undefined)
        lacking += found.verdicts["failed"] > 0 or (causes["invalid"] > 0 and not scores)
        assert (found.verdicts["failed"] > 0) >= (causes["failed"] > 0)
    assert report.incomplete == (lacking > 0)


@settings(max_examples=60)
@given(worlds())
def test_a_report_is_strict_json_with_the_answers_and_without(world: dict[str, Any]) -> None:
    report = built(world)
    for items in (False, True):
        text = json.dumps(report.to_json(items=items), allow_nan=False)
        assert ("items" in json.loads(text)) == items
    assert len(report.to_json(items=True)["items"]) == len(world["asked"])


MIRRORED = {"better": "worse", "worse": "better", "equivalent": "equivalent", "undecided": "undecided"}


@settings(max_examples=60)
@given(worlds())
@pytest.mark.slow
def test_naming_the_contestants_the_other_way_round_mirrors_the_report(world: dict[str, Any]) -> None:
    report, other = built(world), built(world, world["names"][::-1])
    for found in report.pairs:
        turned = other.pairs[found.b, found.a, found.judge]
        assert (turned.wins, turned.ties, turned.losses) == (found.losses, found.ties, found.wins)
        assert turned.p_value == pytest.approx(found.p_value)
        assert turned.p_holm == pytest.approx(found.p_holm)
        assert turned.conclusion == MIRRORED[found.conclusion]
        for name in ("order_consistency", "position_bias"):
            assert_close(getattr(turned, name), getattr(found, name))
        if isinstance(found.win_rate, Undefined):
            assert turned.win_rate == found.win_rate
        else:
            mirrored = [1 - found.win_rate.value, 1 - found.win_rate.high, 1 - found.win_rate.low]
            rate = estimate(turned.win_rate)
            assert [rate.value, rate.low, rate.high] == pytest.approx(mirrored)
        if found.length and turned.length:
            assert turned.length.difference == pytest.approx(-found.length.difference)
            assert_close(turned.length.longer_wins, found.length.longer_wins)
            if isinstance(found.length.controlled, Estimate):
                one, other_way = found.length.controlled, estimate(turned.length.controlled)
                mirrored = [1 - one.value, 1 - one.high, 1 - one.low]
                assert [other_way.value, other_way.low, other_way.high] == pytest.approx(mirrored)


def assert_close(one: Estimate | Undefined, other: Estimate | Undefined) -> None:
    if isinstance(one, Undefined) or isinstance(other, Undefined):
        assert one == other
    else:
        assert [one.value, one.low, one.high] == pytest.approx([other.value, other.low, other.high])


# ---------------------------------------------------------------- what a prompt's score is


def test_samples_are_averaged_before_prompts_are() -> None:
    """p0 is won twice, p1 is lost once and void once: one half, though two of three battles were won."""

    def say(prompt: str, sample: int, rater: str, first: str, second: str) -> str:
        if prompt == "p1" and sample == 1:
            return "invalid: refused"
        wins = "b" if prompt == "p0" else "a"
        return "first" if first == wins else "second"

    found = only(build(evidence(prompts(2), say, samples=2)))
    assert (found.used, found.wins, found.losses) == (2, 1, 1)
    assert estimate(found.win_rate).value == 0.5


def test_annotators_of_one_bench_are_averaged_by_prompt_and_are_one_row() -> None:
    votes = {"ann": ("b", "b"), "bob": ("b", "a"), "cy": ("a", "skipped: none")}

    def say(prompt: str, sample: int, rater: str, first: str, second: str) -> str:
        name = votes[rater][int(prompt[1:])]
        return {first: "first", second: "second"}.get(name, name)

    found = only(build(evidence(prompts(2), say, benches={"people": list(votes)})))
    assert (found.judge, found.raters) == ("people", ("ann", "bob", "cy"))
    assert (found.wins, found.ties, found.losses, found.used) == (1, 1, 0, 2)
    assert estimate(found.win_rate).value == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert estimate(found.win_rate).n == 2, "prompts are counted, not votes"


def test_an_adjudication_is_a_word_on_the_whole_and_on_no_criterion() -> None:
    asked = prompts(2)
    [people] = evidence(asked, winner("a", "b"), benches={"people": ["ann", "bob"]}).benches
    [clarity] = evidence(asked, winner("tie", "b"), benches={"people": ["ann", "bob"]}).benches
    [owner] = evidence(asked[:1], winner("b"), benches={"owner": ["adjudication"]}).benches
    bench = replace(people, by_criterion={"clarity": clarity.battles}, adjudicated=owner.battles)
    found = only(build(replace(evidence(asked, winner("a", "b")), benches=[bench])))
    assert estimate(found.win_rate).value == 1.0
    [row] = found.criteria
    assert (row.name, row.used, estimate(row.win_rate).value) == ("clarity", 2, 0.75)


def test_the_policy_of_the_command_decides_what_one_order_is_worth() -> None:
    def say(prompt: str, sample: int, rater: str, first: str, second: str) -> str:
        return "tie" if first == "a" else "first"  # b wins when it is shown first, and ties when it is not

    asked = prompts(3)
    by_mean = only(build(evidence(asked, say)))
    conservative = only(build(evidence(asked, say, policy="conservative")))
    assert (estimate(by_mean.win_rate).value, by_mean.wins, by_mean.policy) == (0.75, 3, "mean")
    assert (estimate(conservative.win_rate).value, conservative.ties) == (0.5, 3)
    assert estimate(by_mean.order_consistency).value == 0.0


def test_a_judge_that_always_says_first_is_a_tie_with_a_position_bias_of_one() -> None:
    found = only(build(evidence(prompts(6), lambda *_: "first")))
    assert (found.ties, estimate(found.win_rate).value, estimate(found.position_bias).value) == (6, 0.5, 1.0)


def test_the_mean_preference_is_signed_towards_b() -> None:
    def say(prompt: str, sample: int, rater: str, first: str, second: str) -> tuple[str, str]:
        return ("first" if first == "b" else "second", "strong" if prompt == "p0" else "slight")

    assert estimate(only(build(evidence(prompts(2), say))).preference).value == 2.0
    assert estimate(only(build(evidence(prompts(2), say, names=("b", "a")))).preference).value == -2.0


# ---------------------------------------------------------------- clusters, categories, families


def test_prompts_of_one_group_or_of_one_text_are_one_unit_of_the_interval() -> None:
    say = winner(*"bbbbbaabab")
    apart = estimate(only(build(evidence(prompts(10), say))).win_rate)
    grouped = estimate(only(build(evidence(prompts(10, group=["g"] * 5 + [None] * 5), say))).win_rate)
    same = tuple(Prompt(id=f"p{i}", messages=(Message(role="user", content=f"{i % 4}"),)) for i in range(10))
    texts = estimate(only(build(evidence(same, say))).win_rate)
    assert (apart.n, grouped.n, texts.n) == (10, 6, 4)
    assert apart.value == grouped.value == texts.value == 0.7
    assert grouped.high - grouped.low > apart.high - apart.low


def test_categories_are_any_field_of_the_prompts() -> None:
    asked = prompts(
        5, category=["x", "y", "x", None, "y"], metadata=[{"level": 1}, {"level": 2}, {"level": 2}, {}, {"level": 2}]
    )
    say = winner("b", "a", "b", "b", "invalid: refused")
    by_category = only(build(evidence(asked, say))).categories
    assert [(c.name, c.planned, c.used) for c in by_category] == [("x", 2, 2), ("y", 2, 1)]
    assert estimate(by_category[0].win_rate).value == 1.0
    assert isinstance(by_category[1].win_rate, Undefined)
    by_level = only(build(evidence(asked, say, by="level"))).categories
    assert [(c.name, c.planned, c.used) for c in by_level] == [("1", 1, 1), ("2", 3, 2)]
    assert estimate(by_level[1].win_rate).value == 0.5
    assert only(build(evidence(asked, say, by="group"))).categories == ()


def test_holm_corrects_over_all_pairs_and_all_judges_of_a_command() -> None:
    """Three contestants by two judges are a family of six; statsmodels gives the corrected values."""
    order = {"a": 0, "b": 1, "c": 2}

    def say(prompt: str, sample: int, rater: str, first: str, second: str) -> str:
        upset = int(prompt[1:]) < order[first] + order[second] + (1 if rater == "lax" else -1)
        return "second" if (order[second] > order[first]) != upset else "first"

    benches = {"strict": ["strict"], "lax": ["lax"]}
    report = build(evidence(prompts(12), say, names="abc", benches=benches))
    assert len(report.pairs) == 6
    expected = multipletests([found.p_value for found in report.pairs], method="holm")[1]
    assert [found.p_holm for found in report.pairs] == pytest.approx(list(expected))
    smallest = min(report.pairs, key=lambda found: found.p_value or 1)
    assert smallest.p_holm == pytest.approx(6 * (smallest.p_value or 0))
    assert (smallest.conclusion, smallest.judge) == ("better", "strict")
    uncorrected = [found for found in report.pairs if (found.p_value or 1) < 0.05]
    assert [f.conclusion for f in uncorrected if (f.p_holm or 1) >= 0.05] == ["undecided"] * 2


def test_a_pair_without_a_verdict_is_no_member_of_the_family() -> None:
    def say(prompt: str, sample: int, rater: str, first: str, second: str) -> str:
        if "c" in (first, second):
            return "failed: timeout"
        return "first" if first == "b" else "second"

    report = build(evidence(prompts(8), say, names="abc"))
    kept = report.pairs["a", "b"]
    assert kept.p_holm == kept.p_value == pytest.approx(2 / 2**8)
    assert report.pairs["a", "c"].p_holm is None
    assert report.incomplete


def test_all_ties_are_equivalent_only_by_a_margin_that_the_prompts_can_show() -> None:
    ties = winner(*["tie"] * 200)
    assert only(build(evidence(prompts(200), ties))).conclusion == "undecided"
    assert only(build(evidence(prompts(200), ties, margin=0.1))).conclusion == "equivalent"
    assert only(build(evidence(prompts(10), winner(*["tie"] * 10), margin=0.01))).conclusion == "undecided"


# ---------------------------------------------------------------- what a reader must be told


@pytest.mark.parametrize(
    ("won", "margin", "conclusion", "better"),
    [
        (["b"] * 20, None, "higher by form", "better"),
        (["a"] * 20, None, "lower by form", "worse"),
        (["tie"] * 40, 0.2, "equivalent by form", "equivalent"),
        (["a", "b"] * 10, None, "undecided", "undecided"),
    ],
)
def test_a_text_measure_never_concludes_that_a_contestant_is_better(
    won: list[str], margin: float | None, conclusion: str, better: str
) -> None:
    known = evidence(prompts(len(won)), winner(*won), margin=margin)
    (by_judge,) = build(known).pairs
    measures = [replace(bench, description=f"{TEXT_MEASURE}, held against 3 annotators") for bench in known.benches]
    (by_form,) = build(replace(known, benches=measures)).pairs
    assert (by_judge.conclusion, by_form.conclusion) == (better, conclusion)
    assert ("no evidence that" in by_form.sentence) == (conclusion != "undecided")
    assert build(replace(known, benches=measures)).to_json()["pairs"][0]["conclusion"] == conclusion


def test_answers_cut_off_at_the_token_limit_are_told_above_five_percent() -> None:
    def cut(count: int) -> Callable[[str, str, int], Reply]:
        return lambda name, prompt, _: Reply(
            "k", "x", finish_reason="length" if name == "b" and int(prompt[1:]) < count else "stop"
        )

    say = winner(*"b" * 20)
    told = "2 of 20 answers of b hit the token limit; raise max_tokens."
    assert told in build(evidence(prompts(20), say, reply=cut(2))).caveats
    assert not [c for c in build(evidence(prompts(20), say, reply=cut(1))).caveats if "token limit" in c]
    items = build(evidence(prompts(20), say, reply=cut(1))).items
    assert [(a.contestant, a.truncated) for a in items[0].answers] == [("a", False), ("b", True)]


def test_unusable_verdicts_few_prompts_and_a_longer_winner_are_told() -> None:
    def long(name: str, prompt: str, _: int) -> Reply:
        return Reply("k", "word " * (9 if name == "b" else 2))

    say = winner(*"b" * 18, "invalid: refused", "skipped: none")
    caveats = build(evidence(prompts(20), say, reply=long)).caveats
    assert [caveat.removeprefix("b against a by judge: ")[:42] for caveat in caveats] == [
        "18 prompts are few; the intervals are wide",
        "2 of 38 verdicts are invalid or failed; th",
        "the longer answer won 1.00 [0.81, 1.00] of",
    ]


@pytest.mark.parametrize("which", ["longer", "shorter"])
def test_the_caveat_about_length_says_the_win_rate_at_equal_length(which: str) -> None:
    def reply(name: str, prompt: str, _: int) -> Reply:
        number = int(prompt[1:])
        return Reply("k", "word " * (20 + (number % 7 + 1) * (name == ("a" if number % 3 == 0 else "b"))))

    longer = ["a" if (i % 3 == 0) != (i % 5 == 0) else "b" for i in range(60)]
    shorter = ["a" if won == "b" else "b" for won in longer]
    report = build(evidence(prompts(60), winner(*(longer if which == "longer" else shorter)), reply=reply))
    (told,) = [one for one in report.caveats if "part of the result may be length" in one]
    length = report.pairs[0].length
    assert length is not None
    assert isinstance(length.controlled, Estimate)
    assert told.startswith(f"b against a by judge: the {which} answer won 0.80 [")
    assert told.endswith(f"part of the result may be length: b's win rate at equal length is {length.controlled}.")


@pytest.mark.parametrize("better", ["b", "a"])
def test_what_is_missing_is_told_where_it_could_undo_the_conclusion(better: str) -> None:
    worse = "a" if better == "b" else "b"
    report = build(evidence(prompts(40), winner(*better * 22, *worse * 6, *["invalid: refused"] * 12)))
    pair = only(report)
    assert pair.conclusion == ("better" if better == "b" else "worse")
    rate = pair.undone
    assert rate is not None
    assert rate.value == pytest.approx(22 / 40 if better == "b" else 18 / 40)  # all that is missing against whoever won
    did = "lost" if better == "b" else "won"
    (told,) = [one for one in report.caveats if "rests on what is missing" in one]
    assert told == (
        f"b against a by judge: had b {did} all that is invalid or failed, its win rate would be {rate}, which is not "
        f'"{pair.conclusion}": the conclusion rests on what is missing.'
    )
    gone = only(build(evidence(prompts(60), winner(*better * 20, *["invalid: refused"] * 40))))
    assert gone.undone is not None
    assert (gone.undone.high < 0.5) == (better == "b"), "worse than undecided is no better"
    safe = build(evidence(prompts(40), winner(*better * 35, *worse * 3, *["invalid: refused"] * 2)))
    assert only(safe).undone is None
    assert not [one for one in safe.caveats if "rests on" in one]


def test_a_decided_pair_of_which_one_always_writes_more_may_be_length_alone() -> None:
    def reply(name: str, prompt: str, _: int) -> Reply:
        shorter = prompt == "p0"
        return Reply("k", "word " * (9 if (name == "b") != shorter else 5))

    told = "b against a by judge: all of the result may be length: b's answer is the longer one on 108 of 109 prompts"
    report = build(evidence(prompts(109), winner("b", *"b" * 7, "a", *["tie"] * 100), reply=reply))
    assert only(report).conclusion == "better"
    assert [one for one in report.caveats if "length" in one] == [
        f"{told} and the shorter one on 1, so length and model cannot be told apart."
    ]
    equal = build(evidence(prompts(30), winner(*"b" * 26, *"a" * 4), reply=lambda *_: Reply("k", "as long")))
    assert only(equal).conclusion == "better"
    assert not [one for one in equal.caveats if "length" in one], "of equally long answers length explains nothing"
    shown = build(evidence(prompts(60), winner(*"b" * 48, *"a" * 12), reply=reply))
    assert [
        one for one in shown.caveats if "all of the result may be length: b's win rate at equal length cannot" in one
    ]
    undecided = build(evidence(prompts(27), winner(*"b" * 14, *"a" * 13), reply=reply))
    assert not [one for one in undecided.caveats if "length" in one]


def test_an_item_holds_the_answers_and_every_verdict_in_contestants_names() -> None:
    def say(prompt: str, sample: int, rater: str, first: str, second: str) -> str:
        return "first" if first == "b" else "invalid: refused"

    (item,) = build(evidence(prompts(1), say)).items
    assert [(a.contestant, a.text) for a in item.answers] == [("a", "a on p0 0"), ("b", "b on p0 0")]
    assert [(o.first, o.second, o.preferred, o.status, o.failure) for o in item.opinions] == [
        ("a", "b", None, "invalid", "refused"),
        ("b", "a", "b", "ok", ""),
    ]


# ---------------------------------------------------------------- the record


def test_pairs_are_found_by_their_names_and_the_judge() -> None:
    report = build(
        evidence(prompts(2), winner("tie", "tie"), names="abc", benches={"first": ["first"], "second": ["second"]})
    )
    assert report.pairs["a", "c"].judge == "first"
    assert report.pairs["a", "c", "second"].judge == "second"
    assert report.pairs[0] is report.pairs["a", "b"]
    for missing in (("c", "a"), ("a", "b", "third")):
        with pytest.raises(KeyError):
            report.pairs[missing]


def test_a_data_frame_has_one_row_a_pair_and_judge_with_the_reports_numbers() -> None:
    report = build(
        evidence(prompts(4), winner("b", "b", "a", "invalid: refused"), benches={"one": ["one"], "two": ["ann", "bob"]})
    )
    frame = report.to_frame()
    assert list(zip(frame.a, frame.b, frame.judge, strict=True)) == [("a", "b", "one"), ("a", "b", "two")]
    rate = estimate(report.pairs["a", "b"].win_rate)
    row = frame.iloc[0]
    assert (row.win_rate_value, row.win_rate_low, row.win_rate_high, row.win_rate_of) == (
        *(rate.value, rate.low, rate.high),
        "b",
    )
    assert (row.bounds_low, row.bounds_high, row.used, row.invalid) == (0.5, 0.75, 3, 1)


def test_two_raters_of_opposite_bias_are_not_consistent() -> None:
    """Averaged first, their scores would be one half in both orders, and look like agreement."""

    def say(prompt: str, sample: int, rater: str, first: str, second: str) -> str:
        return "first" if rater == "ann" else "second"

    pair = only(build(evidence(prompts(10), say, benches={"panel": ["ann", "bob"]})))
    assert isinstance(pair.order_consistency, Estimate)
    assert pair.order_consistency.value == 0.0
    assert pair.win_rate.value == 0.5  # type: ignore[union-attr]


def test_the_p_value_flips_whole_groups() -> None:
    asked = prompts(10, group=["one"] * 5 + ["two"] * 5)
    assert only(build(evidence(asked, winner(*"b" * 10)))).p_value == pytest.approx(2 / 2**2)
    assert only(build(evidence(prompts(10), winner(*"b" * 10)))).p_value == pytest.approx(2 / 2**10)


# ---------------------------------------------------------------- what must not change a figure


@settings(max_examples=40)
@given(worlds())
def test_another_contestant_leaves_the_figures_of_a_pair_as_they_are(world: dict[str, Any]) -> None:
    """All but Holm's correction and the length effect, which are of the whole command."""
    names = world["names"]
    whole, alone = built(world), built(world, names[:2])
    for found in alone.pairs:
        same = whole.pairs[found.a, found.b, found.judge]
        for figure in ("win_rate", "bounds", "p_value", "order_consistency", "position_bias", "categories", "verdicts"):
            assert getattr(same, figure) == getattr(found, figure), figure


@given(st.integers(2, 12), st.sampled_from(["first", "second", "tie"]))
def test_an_identical_copy_scores_one_half_in_both_orders(count: int, habit: str) -> None:
    """Whatever a judge's habit: it cannot tell the two apart, so both orders together give each one half."""
    found = only(build(evidence(prompts(count), lambda *_: habit, reply=lambda _, prompt, __: Reply("k", prompt))))
    assert estimate(found.win_rate).value == 0.5
    assert found.p_value == 1.0
    assert found.conclusion == "undecided"


@given(st.lists(st.sampled_from(["a", "b", "tie"]), min_size=2, max_size=8), st.integers(2, 4))
@pytest.mark.slow
def test_prompts_that_are_repeated_under_one_text_do_not_narrow_the_interval(winners: list[str], copies: int) -> None:
    once = prompts(len(winners))
    again = tuple(
        Prompt(id=f"{one.id}x{copy}", messages=one.messages, category=one.category)
        for one in once
        for copy in range(copies)
    )

    def say(prompt: str, sample: int, rater: str, first: str, second: str) -> str:
        name = winners[int(prompt[1:].split("x")[0])]
        return {first: "first", second: "second"}.get(name, name)

    single, repeated = (estimate(only(build(evidence(asked, say))).win_rate) for asked in (once, again))
    assert repeated.n == single.n
    assert [repeated.value, repeated.low, repeated.high] == pytest.approx([single.value, single.low, single.high])


def test_a_comparison_that_was_left_unfinished_concludes_no_more_than_so_far() -> None:
    def asked(count: int) -> Report:
        return build(evidence(prompts(14), winner(*["b"] * count, *["skipped: not asked yet"] * (14 - count))))

    half, whole = asked(10), asked(14)
    for view in (half.pairs[0].sentence, to_markdown(half), wording.overview(half)):
        assert "so far" in view.lower()
    assert half.pairs[0].sentence.endswith("over 10 of 14 prompts, ties half: better so far.")
    assert wording.conclusion(half, half.pairs[0]).endswith("By this judge, b is ahead so far.")
    assert "b against a by judge: 4 of 14 prompts are not asked yet: whoever stops here" in " ".join(half.caveats)
    assert "so far" not in to_markdown(whole)
    assert "not asked yet" not in to_markdown(whole)
