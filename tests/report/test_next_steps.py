"""What to do after a comparison: the commands can be typed, and are named only where they help."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from test_views import made

from conftest import Cli, answers, write_jsonl, write_suite
from endpoint import Endpoint
from sciexam.cli.compare import check_complete
from sciexam.report.audit import Takes
from sciexam.report.next_steps import READER, next_steps
from sciexam.report.panel import Panel
from sciexam.report.record import Answer, Pairs, Power, Report
from sciexam.stats import Estimate, Undefined

LEANING = Estimate(0.77, 0.51, 0.92, 0.95, 30, "m")  # position bias
TYPED = ["/usr/bin/sciexam", "compare", "base", "sft"]


def commands(report: Report, *argv: str, judges: tuple[str, ...] = ("judge",)) -> list[str]:
    return [step.command for step in next_steps(report, [*TYPED, *argv], judges)]


def quiet(**changed: Any) -> Report:
    """A decided comparison by people, of which nothing is missing: there is nothing more to do."""
    fine = {"conclusion": "better", "trust": "people", "verdicts": {"ok": 48, "invalid": 0, "failed": 0}}
    report = made(items=())
    return replace(report, pairs=Pairs([replace(report.pairs[0], **fine | changed)]))


def test_a_decided_comparison_by_people_asks_for_nothing() -> None:
    assert next_steps(quiet(), TYPED) == ()


def test_an_undecided_pair_says_how_many_more_prompts_a_smaller_effect_takes() -> None:
    power = Power("", (), takes=((0.6, 20), (0.55, 780)))
    (step,) = next_steps(quiet(conclusion="undecided", power=power), [*TYPED, "--suite=exam.yaml", "-q"])
    assert step.why == (
        "To find a win rate of 0.55 takes about 780 prompts, 756 more than were used, if they are like these; "
        "what that costs"
    )
    assert step.command == "sciexam plan base sft --effect 0.55 --suite exam.yaml"
    found = quiet(conclusion="undecided", power=Power("", (), takes=((0.6, 20),)))
    assert next_steps(found, TYPED) == (), "these prompts would have found all that one may want to find"


def test_no_more_prompts_are_planned_with_a_judge_most_of_whose_verdicts_are_invalid() -> None:
    weak: dict[str, Any] = {"conclusion": "undecided", "power": Power("", (), takes=((0.6, 80),))}
    most, few = {"ok": 5, "invalid": 6, "failed": 0}, {"ok": 6, "invalid": 5, "failed": 0}
    assert any(" plan " in command for command in commands(quiet(**weak, verdicts=few)))
    assert not any(" plan " in command for command in commands(quiet(**weak, verdicts=most)))


def test_recorded_verdicts_end_with_their_prompts_so_that_more_are_planned_with_a_judge_that_can_be_asked() -> None:
    found = quiet(conclusion="undecided", power=Power("", (), takes=((0.6, 80),)), recorded=("v.jsonl",))
    (step,) = next_steps(found, [*TYPED, "--judge", "v.jsonl"])
    assert step.why == (
        "To find a win rate of 0.6 takes about 80 prompts, 56 more than were used, if they are like these. The "
        "verdicts of judge are recorded and end with these prompts: let people judge more, or a judge that can be "
        "asked; what one costs"
    )
    assert step.command == f"sciexam plan base sft --judge {READER} --effect 0.6"
    (step,) = next_steps(found, [*TYPED, "--limit", "24"])
    assert step.command == "sciexam plan base sft --effect 0.6", "beyond the limit there may be more of them"


def test_what_is_missing_comes_first_with_the_whole_command_but_its_output() -> None:
    report = quiet(verdicts={"ok": 40, "invalid": 3, "failed": 1})
    steps = next_steps(report, [*TYPED, "--judge", "a judge", "--json", "--by", "topic", "--retry-invalid"])
    assert [step.command for step in steps] == [
        "sciexam compare base sft --judge 'a judge' --by topic",
        "sciexam compare base sft --judge 'a judge' --by topic --retry-invalid",
    ]
    assert steps[0].why == "1 verdict is missing, as calls failed; they are asked again by"
    assert steps[1].why == "3 verdicts are missing, as replies could not be used; to draw once more"


def test_answers_and_verdicts_that_were_cut_off_ask_for_more_tokens() -> None:
    cut = Answer("sft", 0, "half", 1, "ok", "", True)
    items = (replace(made().items[0], answers=(cut, replace(cut, truncated=False))),)
    (step,) = next_steps(replace(quiet(), items=items), TYPED)
    assert step.why == "1 of 2 answers of sft were cut off; raise its limit in the suite, such as"
    assert step.command == "generation: {max_tokens: 2048}"
    (step,) = next_steps(quiet(reasons={"invalid: truncated": 4}), TYPED)
    assert step.why == "Replies of judge were cut off; raise its limit in the suite, such as"


def test_people_begin_with_one_answer_of_each_to_some_of_many_prompts() -> None:
    answered = tuple(Answer("sft", sample, "so", 1, "ok", "", False) for sample in range(4))
    items = (replace(made().items[0], answers=answered),)
    large = replace(quiet(trust="doubtful"), items=items, prompts=100)
    assert commands(large)[0] == "sciexam annotate serve base sft --samples 1 --draw 50"
    assert commands(large, "--samples", "2")[0] == "sciexam annotate serve base sft --draw 50 --samples 2"
    assert commands(quiet(trust="doubtful"))[0] == "sciexam annotate serve base sft"


def test_a_judge_that_nobody_held_against_people_is_validated_and_audited() -> None:
    doubtful = quiet(trust="doubtful", order_consistency=Estimate(0.5, 0.4, 0.6, 0.95, 24, "m"))
    steps = next_steps(doubtful, [*TYPED, "-s", "exam.yaml", "--samples", "2"], ("judge",))
    assert [step.command for step in steps] == [
        "sciexam annotate serve base sft --suite exam.yaml --samples 2",
        "sciexam validate judge base sft --suite exam.yaml --samples 2",
        "sciexam audit judge base sft --suite exam.yaml",
    ]
    assert steps[2].why == "judge may be moved by the order; to see how far"
    for takes, many in ((Takes(), "1,085 calls"), (Takes(True, 0.001), "1,209 calls (about 1.21 USD)")):
        (*_, audit) = next_steps(doubtful, TYPED, ("judge",), takes={"judge": takes})
        assert audit.why == f"judge may be moved by the order; to see how far, by at most {many}"
    (*_, some) = next_steps(doubtful, [*TYPED, "--limit", "24"], ("judge",), takes={"judge": Takes()})
    assert some.command == "sciexam audit judge base sft --limit 31", "the exam has more prompts than these"
    unknown = next_steps(doubtful, TYPED, ("another",))
    assert [step.command.split()[1] for step in unknown] == ["annotate"], "nobody could name this judge"
    panel = Panel("mean", (), Undefined("no two of them judged"))
    for kind, verbs in (({"recorded": ("v.jsonl",)}, ["annotate", "validate"]), ({"by_members": panel}, ["annotate"])):
        named = commands(quiet(trust="doubtful", **kind))
        assert [command.split()[1] for command in named] == verbs


def test_recorded_failures_are_named_with_their_prompts_and_never_drawn_again() -> None:
    typed = [*TYPED, "--judge", "v.jsonl"]
    recorded = quiet(recorded=("v.jsonl",), verdicts={"ok": 40, "invalid": 7, "failed": 0})
    item = made().items[0]
    items = tuple(replace(item, prompt=f"q{number}", answers=()) for number in range(5))
    (step,) = next_steps(replace(recorded, items=items, pairs=Pairs(recorded.pairs * 2)), typed)
    assert step.why == (
        "14 verdicts in v.jsonl are failures, which count as invalid (prompts 'q0', 'q1', 'q2' and 2 more); with "
        "verdicts in their place, the file is read again by"
    )
    assert step.command == "sciexam compare base sft --judge v.jsonl"


def test_a_file_of_failures_alone_is_told_on_stderr_with_the_pair(capsys: pytest.CaptureFixture[str]) -> None:
    nothing = {"verdicts": {"ok": 0, "invalid": 7, "failed": 0}, "used": 0, "failed": 0, "reasons": {"invalid: cut": 7}}
    with pytest.raises(typer.Exit):
        check_complete(replace(quiet(recorded=("v.jsonl",), invalid=7, **nothing), missing=0))
    assert capsys.readouterr().err == (
        "sciexam: nothing in v.jsonl can be used on sft against base: failures count as invalid; with verdicts in "
        "their place, the file is read again by the same `sciexam compare`\n"
    )


def test_where_people_have_judged_already_their_verdicts_are_offered_and_no_queue() -> None:
    doubtful = quiet(trust="doubtful")
    told = next_steps(doubtful, [*TYPED, "--judge", "judge"], ("judge",), judged="humans")
    assert told[0].why == "People have judged these answers, too; what they say"
    assert told[0].command == "sciexam compare base sft --judge judge --judge humans"
    assert not any("annotate" in step.command for step in told)


def test_a_judge_that_was_held_against_people_is_audited_and_not_validated_again() -> None:
    held = quiet(trust="held")
    (step,) = next_steps(held, TYPED, ("judge",))
    assert step.command == "sciexam audit judge base sft"


def test_no_more_prompts_are_proposed_by_a_judge_that_is_a_coin_or_goes_by_place() -> None:
    few = {"conclusion": "undecided", "power": Power("", (), takes=((0.6, 80),)), "position_bias": LEANING}
    (first, second, audit) = next_steps(
        quiet(trust="held", **few), TYPED, ("judge",), "humans", by_chance={"judge": "not told from a coin"}
    )
    assert first.why == (
        "judge was not told from a coin by the people who judged and favours the answer shown first (position bias "
        "0.77 [0.51, 0.92]), which more prompts do not mend; to ask another"
    )
    assert first.command == f"sciexam validate {READER} base sft"
    assert second.command == "sciexam compare base sft --judge humans"
    assert "audit" in audit.command
    unknown = commands(quiet(trust="doubtful", **few))
    assert unknown[0] == f"sciexam compare base sft --judge {READER}", "nobody has labelled"
    assert not any("plan" in command for command in unknown)
    weak = few | {"position_bias": Estimate(0.1, 0.05, 0.15, 0.95, 24, "m")}
    assert commands(quiet(trust="held", **weak))[0] == "sciexam plan base sft --effect 0.6"
    decided = next_steps(quiet(trust="held"), TYPED, ("judge",), "humans", (), {"judge": "worse than a coin"})
    assert decided[0].why.startswith("judge was worse than a coin by the people who judged, which")


def test_the_suites_own_judges_are_proposed_before_one_that_every_suite_has() -> None:
    coin = {"judge": "not told from a coin"}
    for readers, other in (("own", "judge"), "own"), (("judge", "second"), "second"), (("judge",), READER):
        step, *_ = next_steps(quiet(trust="held"), TYPED, ("judge",), "humans", (), coin, readers=readers)
        assert step.command == f"sciexam validate {other} base sft"


def test_beside_a_judge_that_goes_by_place_the_others_are_heard_alone() -> None:
    few = {"conclusion": "undecided", "power": Power("", (), takes=((0.6, 80),))}
    report = quiet(trust="doubtful", judge="openai:m", **few)
    bad = replace(report.pairs[0], judge="openai:n", position_bias=LEANING)
    typed = [*TYPED, "-j", "openai:m", "-j", "openai:n"]
    (step, *_) = next_steps(replace(report, pairs=Pairs((report.pairs[0], bad))), typed)
    assert (
        step.why == "openai:n favours the answer shown first (position bias 0.77 [0.51, 0.92]); to compare without it"
    )
    assert step.command == "sciexam compare base sft --judge openai:m"


def test_the_plan_of_files_names_the_files() -> None:
    report = quiet(conclusion="undecided", power=Power("", (), takes=((0.6, 80),)))
    report = replace(report, contestants=("base", "other", "sft"))
    (step,) = next_steps(report, ["sciexam", "compare", "d/base.jsonl", "other.jsonl", "d/sft.jsonl"])
    assert step.command == "sciexam plan d/base.jsonl other.jsonl d/sft.jsonl --effect 0.6", "the same comparisons"
    assert "takes about 80 prompts, 56 more than were used" in step.why
    report = replace(report, pairs=tuple(replace(pair, judge="openai:m") for pair in report.pairs))
    typed = ["sciexam", "compare", "base.jsonl", "other.jsonl", "sft.jsonl", "-j", "openai:m"]
    assert next_steps(report, typed)[0].command == (
        "sciexam plan base.jsonl other.jsonl sft.jsonl --judge openai:m --effect 0.6"
    )


def test_a_plan_is_of_all_judges_and_takes_what_the_least_sensitive_of_them_takes() -> None:
    report = quiet(conclusion="undecided", power=Power("", (), takes=((0.6, 80),)))
    first = replace(report.pairs[0], judge="openai:m")
    other = replace(first, judge="openai:n", power=Power("", (), takes=((0.6, 90),)))
    typed = ["sciexam", "compare", "base", "sft", "-j", "openai:m", "-j", "openai:n"]
    step = next_steps(replace(report, pairs=Pairs((first, other))), typed)[0]
    assert step.why == (
        "To find a win rate of 0.6 by every judge takes about 90 prompts, 66 more than were used (corrected for 2 "
        "comparisons), if they are like these; what that costs"
    )
    assert step.command == "sciexam plan base sft --judge openai:m --judge openai:n --effect 0.6"


def test_people_are_asked_for_the_prompts_that_they_have_not_judged() -> None:
    few = {"conclusion": "undecided", "reasons": {"skipped: not judged": 6}, "judge": "humans"}
    (step, *_) = next_steps(quiet(**few), [*TYPED, "--judge", "humans"])
    assert step.why == "6 prompts are not judged by people yet; to let them, blind"
    assert step.command == "sciexam annotate serve base sft"
    assert not any("annotate" in one for one in commands(quiet(**few, recorded=("v.jsonl",))))


def test_a_plan_of_what_people_judged_is_by_people() -> None:
    report = quiet(conclusion="undecided", power=Power("", (), takes=((0.6, 80),)), judge="humans")
    (step,) = next_steps(report, [*TYPED, "--judge", "humans"])
    assert step.command == "sciexam plan base sft --judge humans --effect 0.6"


def test_a_report_that_was_made_in_python_names_its_suite() -> None:
    report = replace(quiet(verdicts={"ok": 1, "invalid": 0, "failed": 1}), suite="my exam")
    (step,) = next_steps(report, ["/usr/lib/jupyter", "compare"])
    assert step.command == "sciexam compare base sft --suite 'my exam'"
    (step,) = next_steps(replace(report, suite="science"), [])
    assert step.command == "sciexam compare base sft"


@pytest.mark.slow
def test_every_command_that_is_named_can_be_typed(tmp_path: Path, sciexam: Cli) -> None:
    """Files without a suite, a file of prompts, a folder with a blank: the commands still mean the same exam."""
    folder = tmp_path / "my answers"
    for name in ("old", "new"):
        answers(folder, name, [f"{name} {i}, and why it is so." for i in range(8)])
    write_jsonl(folder / "questions.jsonl", [{"id": f"q{i}", "text": f"Why does {i} happen?"} for i in range(8)])
    typed = ["old.jsonl", "new.jsonl", "--prompts", "questions.jsonl", "--results", "my results"]
    told = json.loads(sciexam("compare", *typed, "--json", cwd=folder).stdout)
    steps = [step["command"] for step in told["next_steps"]]
    assert [shlex.split(step)[1] for step in steps] == ["compare", "plan", "annotate", "validate", "audit"]
    ends = {
        "compare": (2, "OPENAI_API_KEY"),
        "plan": (0, ""),
        "annotate": (0, ""),
        "validate": (2, "no human has judged"),
        "audit": (0, ""),
    }
    for step in steps:
        words = shlex.split(step)[1:]
        if words[0] == "annotate":
            words.append("--help")  # it would serve
        done = sciexam(*words, cwd=folder)
        code, said = ends[words[0]]
        assert done.returncode == code, (step, done.stderr)
        assert said in done.stderr


@pytest.mark.slow
def test_the_same_command_with_retry_invalid_mends_what_is_invalid(tmp_path: Path, sciexam: Cli) -> None:
    models = {name: {"responses": answers(tmp_path, name, [f"{name} {i}" for i in range(4)])} for name in ("a", "b")}
    with Endpoint("judge-garbage") as endpoint:
        llm = {"backend": "openai", "model": "m", "base_url": endpoint.url, "api_key_env": None}
        path = write_suite(tmp_path, 4, models, judges={"llm": llm}, judge="llm")
        done = sciexam("compare", "a", "b", "--suite", str(path), "--json")
        step = json.loads(done.stdout)["next_steps"][0]
        assert step == {
            "why": "8 verdicts are missing, as replies could not be used; to draw once more",
            "command": f"sciexam compare a b --suite {path} --retry-invalid",
        }
        asked = endpoint.requests
        sciexam(*shlex.split(step["command"])[1:])
        assert endpoint.requests > asked
