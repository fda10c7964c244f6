"""What people have said of an exam is told beside its judges: their verdicts, and what a validation found."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

import sciexam as sx
from conftest import Cli, answers, write_jsonl, write_suite
from sciexam.report.next_steps import READER
from sciexam.report.record import Report

PROMPTS = 12


def verdicts(folder: Path, rater: str, kind: str, swapped: int) -> str:
    """Verdicts of one rater that prefer `new`, but on the first `swapped` prompts; returns the file's name."""
    lines = [
        {"prompt": f"q{i}", "first": "old", "second": "new", "rater": rater, "kind": kind}
        | {"preferred": "first" if i < swapped else "second"}
        for i in range(PROMPTS)
    ]
    return write_jsonl(folder / f"{rater}.jsonl", lines).name


def exam_of(folder: Path, swapped: int = 3) -> str:
    models = {
        name: {"responses": answers(folder, name, [f"{name} {i}, for a reason." for i in range(PROMPTS)])}
        for name in ("old", "new")
    }
    jury = {"backend": "recorded", "verdicts": verdicts(folder, "jury", "judge", swapped)}
    people = {"backend": "recorded", "verdicts": verdicts(folder, "ann", "human", 0)}
    return str(write_suite(folder, PROMPTS, models, judges={"jury": jury, "people": people}, judge="jury"))


def steps(report: Report) -> list[str]:
    return [step.command for step in report.next_steps]


def test_human_verdicts_of_a_file_or_in_the_ledger_are_offered_in_the_place_of_a_queue(tmp_path: Path) -> None:
    exam, results = exam_of(tmp_path), tmp_path / "results"
    told = steps(sx.compare(exam, results=results))
    assert any(one.endswith("--judge people") for one in told), "the file was not read yet"
    assert not any("annotate" in one for one in told)
    sx.compare(exam, judges=["people"], results=results)
    told = steps(sx.compare(exam, results=results))
    assert any(one.endswith("--judge humans") for one in told)
    assert not any("annotate" in one for one in told)


def test_a_judge_that_was_validated_is_described_by_what_that_found(tmp_path: Path, sciexam: Cli) -> None:
    exam, results = exam_of(tmp_path), tmp_path / "results"
    before = sx.compare(exam, results=results)
    assert before.caveats[0].startswith("jury was not held against people")
    done = sciexam("validate", "jury", "--suite", exam, "--humans", "people", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = sx.compare(exam, results=results)
    assert found.caveats[0].startswith("jury agreed with 1 annotator on 0.75 [")
    assert found.caveats[0].endswith("of 12 decided comparisons, which is not told from a coin (`sciexam validate`).")
    assert found.pairs[0].judge_is == "recorded verdicts, held against 1 annotator: 0.75 of 12, not told from a coin"
    assert steps(found)[0] == f"sciexam validate {READER} old new --suite exam"
    assert not any("validate jury" in one for one in steps(found))
    board = sx.leaderboard(exam, results=results)
    assert board.judge_is == "recorded verdicts, held against 1 annotator: 0.75 of 12, not told from a coin"
    verdicts(tmp_path, "jury", "judge", 5)
    other = sx.compare(exam, results=results)
    assert other.pairs[0].judge_is == "recorded verdicts, not validated", "its file is another one than that time"


@pytest.mark.parametrize(("swapped", "told"), [(0, ""), (12, ", worse than a coin")])
def test_a_judge_that_agrees_no_better_than_a_coin_is_described_so(tmp_path: Path, swapped: int, told: str) -> None:
    exam, results = exam_of(tmp_path, swapped), tmp_path / "results"
    sx.validate(exam, "jury", humans=["people"], results=results)
    found = sx.compare(exam, results=results)
    assert found.pairs[0].judge_is.endswith(f"held against 1 annotator: {1 - swapped / 12:.2f} of 12{told}")
    assert (", which is worse than a coin" in found.caveats[0]) == bool(told)


def test_the_agreement_of_a_judge_is_the_headline_of_its_validation_everywhere(tmp_path: Path, sciexam: Cli) -> None:
    exam = exam_of(tmp_path)
    answers(tmp_path, "new", [f"new {i}, for a reason that is longer." for i in range(PROMPTS)])
    said = (tmp_path / "ann.jsonl").read_text().splitlines()
    said[-1] = json.dumps(json.loads(said[-1]) | {"preferred": "tie"})
    (tmp_path / "ann.jsonl").write_text("\n".join(said) + "\n")
    told = " ".join(sciexam("validate", "jury", "--suite", exam, "--humans", "people").stdout.split())
    headline = re.match(r"jury agrees with the one annotator, ann, on (0.73 .*?) of 11 decided comparisons", told)
    assert headline is not None
    found = sx.compare(exam, results=tmp_path / "results")
    assert found.caveats[0] == (
        f"jury agreed with 1 annotator on {headline[1]} of 11 decided comparisons, which is not told from a coin; "
        "always taking the longer answer agreed more often, by 0.27 (`sciexam validate`)."
    )
    assert "(recorded verdicts, held against 1 annotator: 0.73 of 11, not told from a coin)" in found.pairs[0].sentence


def test_a_comparison_has_the_win_rate_by_people_and_judge_and_says_when_to_validate_again(tmp_path: Path) -> None:
    exam, results = exam_of(tmp_path), tmp_path / "results"
    said = (tmp_path / "ann.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "ann.jsonl").write_text("".join(said[2:]))
    (rate,) = sx.validate(exam, "jury", humans=["people"], results=results).rates
    compared = sx.compare(exam, results=results)
    corrected = (
        f"new against old, by people's verdicts on 10 prompts, to which jury adds nothing: win rate {rate.powered}, if "
        "people judged a random sample (`sciexam validate`)."
    )
    assert corrected in compared.caveats
    again = "sciexam validate jury old new --suite exam"
    assert again not in steps(compared)

    few = sx.compare(exam, limit=6, results=results)
    assert not any("by people's" in one for one in few.caveats), "that was of more prompts"
    assert again not in steps(few)

    answers(tmp_path, "new", [f"new {i}, for another reason." for i in range(PROMPTS)])
    other = sx.compare(exam, results=results)
    assert other.caveats[0].endswith("of 10 decided comparisons (`sciexam validate`, of other prompts or answers).")
    assert not any("by people's" in one for one in other.caveats)
    assert again in steps(other)


def test_what_a_judge_adds_to_peoples_verdicts_is_in_the_win_rate_of_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "PROMPTS", 60)
    exam, results = exam_of(tmp_path, swapped=20), tmp_path / "results"
    verdicts(tmp_path, "ann", "human", 19)
    said = (tmp_path / "ann.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "ann.jsonl").write_text("".join(said[5:35]))
    (rate,) = sx.validate(exam, "jury", humans=["people"], results=results).rates
    told = f"by people's verdicts on 30 prompts and jury's on 30 more (PPI++): win rate {rate.powered}"
    assert any(told in one for one in sx.compare(exam, results=results).caveats)


def test_without_a_file_of_prompts_ids_in_the_place_of_questions_are_told_first(tmp_path: Path, sciexam: Cli) -> None:
    exam_of(tmp_path)
    done = sciexam("compare", "old.jsonl", "new.jsonl", "--json", cwd=tmp_path)
    said = "The prompts are ids, such as 'q0': judges are shown these in the place of questions"
    assert json.loads(done.stdout)["caveats"][0].startswith(said)
    assert said in done.stderr
    assert "--prompts FILE" in done.stderr
    asked = sciexam("compare", "old.jsonl", "new.jsonl", "--prompts", "prompts.jsonl", "--json", cwd=tmp_path)
    assert not any("ids" in one for one in json.loads(asked.stdout)["caveats"])
    assert "ids" not in asked.stderr


def test_a_key_that_every_line_lacks_is_told_once_with_the_keys_that_there_are(tmp_path: Path, sciexam: Cli) -> None:
    exam = exam_of(tmp_path)
    lines: list[dict[str, Any]] = [{"prompt": f"q{i}", "contestant": "old", "reward": i} for i in range(PROMPTS)]
    write_jsonl(tmp_path / "rm.jsonl", lines)
    done = sciexam("reward", "--suite", exam, "--model", "rm.jsonl", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        f"sciexam: {tmp_path}/rm.jsonl:1: model: this key is missing, in each of the 12 lines; "
        "the first one has the keys prompt, contestant, reward\n"
    )


def judged(folder: Path, *lines: tuple[int, str, str]) -> Report:
    """What `humans` say of an exam whose first two answers are equal; lines: the prompt's number, who, and who won."""
    exam = exam_of(folder)
    answers(folder, "new", [f"{'old' if i == 0 else 'new'} {i}, for a reason." for i in range(PROMPTS)])
    said = [
        {"prompt": f"q{i}", "first": "old", "second": "new", "rater": who, "kind": "human"}
        | ({"preferred": won} if won else {"failure": "cannot judge"})
        for i, who, won in lines
    ]
    write_jsonl(folder / "ann.jsonl", said)
    sx.compare(exam, judges=["people"], results=folder / "results")
    return sx.compare(exam, judges=["humans"], results=folder / "results")


def test_who_cannot_judge_is_counted_by_name_of_the_button_and_nobody_is_asked_again(tmp_path: Path) -> None:
    found = judged(tmp_path, (1, "ann", ""), (2, "ann", "second"), (3, "ann", "second"))
    assert '1 "cannot judge" by 1 annotator, of 3 verdicts: it counts for neither contestant.' in found.caveats
    assert not any("invalid or failed" in caveat for caveat in found.caveats), "people cannot judge, once said"
    assert found.pairs[0].verdicts["invalid"] == 1
    assert not any("--retry-invalid" in one or "mend" in one for one in steps(found))
    assert not any("missing" in step.why or "mend" in step.why for step in found.next_steps)


def test_no_annotator_sees_two_orders_and_nobody_is_shown_two_equal_texts(tmp_path: Path) -> None:
    (pair,) = judged(tmp_path, *((i, "ann", "second") for i in range(1, 9))).pairs
    assert pair.reasons == {"skipped: not judged": 3, "skipped: two equal texts, which people are not shown": 1}
    assert (
        str(pair.order_consistency)
        == "no annotator's pair was judged in both orders; repeats are checks, and do not count"
    )


@pytest.mark.parametrize(("apart", "told"), [(0, False), (6, True)])
def test_annotators_who_agree_as_dice_would_are_told_so(tmp_path: Path, apart: int, told: bool) -> None:
    both = [(i, who, "first" if i % 2 else "second") for i in range(1, 12) for who in ("ann", "bea")]
    turned = [(i, who, "tie" if who == "bea" and i <= apart else won) for i, who, won in both]
    found = judged(tmp_path, *turned)
    said = "The annotators are not shown to agree better than by chance: Krippendorff's alpha is "
    assert any(one.startswith(said) for one in found.caveats) == told


def test_where_nobody_could_judge_no_command_is_said_to_ask_again(tmp_path: Path, sciexam: Cli) -> None:
    judged(tmp_path, (1, "ann", ""))
    for judge in ("people", "humans"):
        done = sciexam("compare", "--suite", "exam.yaml", "--judge", judge, "--results", "results", cwd=tmp_path)
        assert done.returncode == 3
        assert "whoever was asked could not judge; people are not asked again by a command" in done.stderr


def test_who_is_in_a_file_and_in_the_ledger_counts_once(tmp_path: Path, sciexam: Cli) -> None:
    exam, results = exam_of(tmp_path), tmp_path / "results"
    sx.compare(exam, judges=["people"], results=results)  # in the ledger by name
    done = sciexam("annotate", "import", "ann.jsonl", "old", "new", "--suite", exam)  # and by pseudonym
    assert done.returncode == 0, done.stderr
    for humans in ((), ("people",), ("people", "humans")):
        found = sx.validate(exam, "jury", humans=humans, results=results)
        assert found.annotators == ("annotator-1",), humans
        told = "1 annotator of people is in the ledger by name: here under the pseudonym, and counted once a judge."
        assert told in found.caveats
    raters = sx.agree(exam, results=results).raters
    assert [one.rater for one in raters if one.kind == "human"] == ["annotator-1"]
    report = sx.compare(exam, judges=["humans"], results=results)
    assert report.pairs[0].judge_is == "1 annotator"
