"""Recorded verdicts: one judge a rater, failures kept as failures, doubles refused, and what is absent is skipped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sciexam.errors import DocumentError
from sciexam.judges.recorded import read_verdicts
from sciexam.types import Message, Order, Presentation, Prompt, Verdict


def line(prompt: str = "p1", first: str = "base", second: str = "sft", **more: Any) -> dict[str, Any]:
    verdict = {} if "failure" in more else {"preferred": "first"}
    return {"prompt": prompt, "first": first, "second": second} | verdict | more


def lines(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "v.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def shown(
    prompt: str = "p1", first: str = "base", second: str = "sft", repeat: int = 0, sample: int = 0
) -> Presentation:
    order: Order = "ab" if first < second else "ba"
    asked = Prompt(id=prompt, messages=(Message(role="user", content="?"),))
    return Presentation(asked, "x", "y", order, sample, repeat, key="k", first_by=first, second_by=second)


def only(path: Path, presentation: Presentation) -> Verdict:
    (judge,) = read_verdicts(path)
    (verdict,) = judge.judge([presentation])
    return verdict


def test_several_raters_are_several_judges_in_order_of_appearance(tmp_path: Path) -> None:
    rows = [line(rater="gpt-4"), line(rater="ann", kind="human", preferred="second"), line(prompt="p2", rater="gpt-4")]
    judges = read_verdicts(lines(tmp_path, *rows))
    assert [(judge.name, judge.kind) for judge in judges] == [("gpt-4", "judge"), ("ann", "human")]
    verdicts = [next(iter(judge.judge([shown()]))) for judge in judges]
    assert [(v.rater, v.kind, v.preferred) for v in verdicts] == [
        ("gpt-4", "judge", "first"),
        ("ann", "human", "second"),
    ]
    assert len({judge.digest for judge in judges}) == 2


def test_a_line_may_name_a_prompt_by_its_whole_text(tmp_path: Path) -> None:
    assert only(lines(tmp_path, line(prompt="?", preferred="second")), shown()).preferred == "second"
    both = lines(tmp_path, line(prompt="?", preferred="second"), line(prompt="p1"))
    assert only(both, shown()).preferred == "first", "an id before a text"


def test_a_verdict_is_given_back_as_it_was_recorded(tmp_path: Path) -> None:
    verdict = only(lines(tmp_path, line(preferred="second", strength="strong", reason="clearer")), shown())
    assert (verdict.preferred, verdict.strength, verdict.reason, verdict.status) == (
        "second",
        "strong",
        "clearer",
        "ok",
    )
    assert (verdict.first, verdict.second, verdict.rater) == ("base", "sft", "recorded")


@pytest.mark.parametrize(("probability", "side"), [(0.83, "second"), (0.5, "tie"), (0.0, "first")])
def test_a_probability_leans_to_a_side(tmp_path: Path, probability: float, side: str) -> None:
    row = {"prompt": "p1", "first": "base", "second": "sft", "probability_second": probability}
    verdict = only(lines(tmp_path, row), shown())
    assert (verdict.preferred, verdict.probability_second) == (side, probability)


@pytest.mark.parametrize(("side", "probability"), [("second", 0.83), ("tie", 0.5), ("first", 0.49)])
def test_a_side_and_a_probability_that_agree_are_both_kept(tmp_path: Path, side: str, probability: float) -> None:
    verdict = only(lines(tmp_path, line(preferred=side, probability_second=probability)), shown())
    assert (verdict.preferred, verdict.probability_second) == (side, probability)


def test_a_recorded_failure_is_invalid_and_no_side(tmp_path: Path) -> None:
    verdict = only(lines(tmp_path, line(failure="refused")), shown())
    assert (verdict.status, verdict.failure, verdict.preferred) == ("invalid", "refused", None)


@pytest.mark.parametrize(
    "presentation",
    [shown("p2"), shown(first="sft", second="base"), shown(repeat=1), shown(sample=1), shown(second="rlhf")],
)
def test_what_the_file_does_not_hold_is_skipped(tmp_path: Path, presentation: Presentation) -> None:
    verdict = only(lines(tmp_path, line()), presentation)
    assert (verdict.status, verdict.failure, verdict.preferred) == ("skipped", "no recorded verdict", None)


def test_repeats_are_told_apart_and_counted(tmp_path: Path) -> None:
    (judge,) = read_verdicts(lines(tmp_path, line(), line(repeat=1, preferred="tie")))
    assert judge.repeats == 2
    assert [v.preferred for v in judge.judge([shown(), shown(repeat=1)])] == ["first", "tie"]


def test_all_faults_of_a_file_come_at_once_and_a_double_names_both_lines(tmp_path: Path) -> None:
    rows = [
        line(),
        line(preferred="second"),
        line(preferred="A"),
        line(preferred=None),
        line(failure="refused", preferred="first"),
        line(first="sft"),
        {"prompt": "p1", "first": "base", "second": "sft", "probability_second": 1.2},
        line(strength="very"),
        line(kind="robot"),
        line(probability_second=0.9),
        line(probability_second=0.5),
        line(preferred="tie", probability_second=0.51),
        line(sample=-1),
        line(repeat=-1),
    ]
    path = lines(tmp_path, *rows)
    with pytest.raises(DocumentError) as caught:
        read_verdicts(path)
    assert [fault.removeprefix(f"{path}:") for fault in caught.value.faults] == [
        "2: 'recorded' judged this already in line 1; number them with 'repeat'",
        "3: preferred: input should be 'first', 'second' or 'tie', not 'A'",
        "4: a verdict has 'preferred' or 'probability_second', or else 'failure'",
        "5: a verdict has 'preferred' or 'probability_second', or else 'failure'",
        "6: 'first' and 'second' are the same contestant",
        "7: probability_second: input should be less than or equal to 1, not 1.2",
        "8: strength: input should be 'slight', 'clear' or 'strong', not 'very'",
        "9: kind: input should be 'judge' or 'human', not 'robot'",
        "10: 'preferred' is 'first', but 'probability_second' 0.9 means 'second'; give one of them, or both alike",
        "11: 'preferred' is 'first', but 'probability_second' 0.5 means 'tie'; give one of them, or both alike",
        "12: 'preferred' is 'tie', but 'probability_second' 0.51 means 'second'; give one of them, or both alike",
        "13: sample: input should be greater than or equal to 0, not -1",
        "14: repeat: input should be greater than or equal to 0, not -1",
    ]


def test_one_pair_in_both_orders_is_no_double(tmp_path: Path) -> None:
    (judge,) = read_verdicts(lines(tmp_path, line(), line(first="sft", second="base", preferred="second")))
    verdicts = list(judge.judge([shown(), shown(first="sft", second="base")]))
    assert [v.preferred for v in verdicts] == ["first", "second"]


def test_a_file_without_verdicts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"v\.jsonl: holds no verdicts"):
        read_verdicts(lines(tmp_path))


def test_the_digest_is_that_of_the_content(tmp_path: Path) -> None:
    before = read_verdicts(lines(tmp_path, line()))[0].digest
    assert read_verdicts(lines(tmp_path, line()))[0].digest == before
    assert read_verdicts(lines(tmp_path, line(preferred="tie")))[0].digest != before


def test_two_people_without_a_name_are_not_taken_for_one(tmp_path: Path) -> None:
    line = {"prompt": "q", "first": "a", "second": "b", "preferred": "first", "kind": "human"}
    (tmp_path / "v.jsonl").write_text(json.dumps(line))
    with pytest.raises(DocumentError, match=r"v\.jsonl:1: a human verdict needs a 'rater', or two people would count"):
        read_verdicts(tmp_path / "v.jsonl")
