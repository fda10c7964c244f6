"""Files of somebody's own in a folder without a suite: never an answer about the shipped toy models in silence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from conftest import Cli, write_jsonl, write_suite

QUESTIONS = ["Why is the sky blue?", "Why does ice float?", "Why does iron rust?"]


def write_answers(folder: Path, name: str, questions: list[str] | None = None) -> Path:
    rows = [{"prompt": question, "text": f"{name} says so."} for question in questions or QUESTIONS]
    return write_jsonl(folder / f"{name}.jsonl", rows)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with the answers of base, which are older, and of sft."""
    os.utime(write_answers(tmp_path, "base"), (1, 1))
    write_answers(tmp_path, "sft")
    write_jsonl(tmp_path / "ann.jsonl", [{"prompt": QUESTIONS[0], "first": "base", "second": "sft", "rater": "ann"}])
    return tmp_path


@pytest.mark.parametrize("command", ["compare", "plan", "leaderboard"])
def test_names_of_files_are_not_taken_for_toy_models(sciexam: Cli, files: Path, command: str) -> None:
    done = sciexam(command, "base", "sft")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        f"sciexam: no suite here; did you mean base.jsonl and sft.jsonl? sciexam {command} base.jsonl sft.jsonl",
        f"sciexam: for the shipped toy models: sciexam {command} base sft --suite science",
    ]
    assert sciexam("compare", "base", "sft", "--suite", "science", "--quiet").returncode == 0


def test_nothing_is_proposed_that_is_not_there(sciexam: Cli, files: Path) -> None:
    done = sciexam("compare", "gpt-3.5", "sft")
    assert (done.returncode, done.stderr) == (
        2,
        "sciexam: no suite here; did you mean sft.jsonl? There is no gpt-3.5: name a file of answers, or a --suite\n",
    )


def test_a_file_beside_the_name_of_a_file(sciexam: Cli, files: Path) -> None:
    done = sciexam("compare", "base.jsonl", "sft", "--quiet")
    assert done.returncode == 2
    assert done.stderr == (
        "sciexam: no suite here; did you mean sft.jsonl? sciexam compare base.jsonl sft.jsonl --quiet\n"
    )


def test_the_toy_models_are_told_where_files_of_answers_lie(sciexam: Cli, files: Path) -> None:
    done = sciexam("compare", "--quiet")
    assert done.returncode == 0
    assert done.stderr.startswith(
        "sciexam: no suite here: these are the shipped toy models; for files of yours: "
        "sciexam compare --quiet base.jsonl sft.jsonl\n"
    )
    board = sciexam("leaderboard", "rlhf", "gpt", "--judge", "tiny", "--check")
    assert "for files of yours: sciexam leaderboard --judge tiny --check base.jsonl sft.jsonl\n" in board.stderr


def test_the_toy_models_are_told_where_files_from_elsewhere_were_compared(sciexam: Cli, tmp_path: Path) -> None:
    names = [str(write_answers(tmp_path / "runs", name).relative_to(tmp_path)) for name in ("old", "new", "newer")]
    write_jsonl(tmp_path / "results" / "old-vs-new" / "1" / "run.json", [{"argv": ["sciexam", "compare", *names]}])
    toys = {"argv": ["sciexam", "compare", "base", "sft"]}
    write_jsonl(tmp_path / "results" / "science" / "2" / "run.json", [toys])
    told = sciexam("export", "responses", "--out", "told.jsonl").stderr
    assert told == (
        "sciexam: no suite here: these are the shipped toy models; for what was compared here last: "
        "sciexam export responses --out told.jsonl runs/old.jsonl runs/new.jsonl runs/newer.jsonl\n"
    )


def test_nothing_is_told_where_no_files_of_answers_lie_or_a_suite_does(sciexam: Cli, tmp_path: Path) -> None:
    assert sciexam("compare", "base", "sft", "--quiet").stderr == ""
    suites = tmp_path / "suites"
    write_suite(
        suites, 3, {name: {"responses": str(write_answers(tmp_path, name, ["q0", "q1", "q2"]))} for name in "ab"}
    )
    assert sciexam("compare", "a", "b", "--quiet").stderr == ""


def test_what_a_file_has_no_answer_to_is_named(sciexam: Cli, files: Path) -> None:
    questions = ["Why is it dark at night, and what has that to do with the age of the universe?", *QUESTIONS, "Why?"]
    write_answers(files, "base", questions)
    write_answers(files, "sft", questions[-1:])
    told = " ".join(sciexam("compare", "base.jsonl", "sft.jsonl").stdout.split())
    assert (
        "4 x skipped: sft has no answer to 'Why is it dark at night, and what has that to do with the ag...', 'Why is "
        "the sky blue?', 'Why does ice float?' and 1 more" in told
    )
    lines = "".join(f'{{"id": "p{i}", "text": "{one}"}}\n' for i, one in enumerate(questions))
    (files / "suites").mkdir()
    (files / "suites" / "prompts.jsonl").write_text(lines)
    (files / "suites" / "mine.yaml").write_text(
        "suite: mine\nprompts: prompts.jsonl\nmodels:\n  sft: {responses: ../sft.jsonl}\ncontestants: [sft]\n"
    )
    assert "sft: 1 of 5 prompts have an answer; none to 'Why is it dark" in sciexam("check").stdout


def test_a_question_that_neither_file_answers_is_counted_and_named_once(sciexam: Cli, files: Path) -> None:
    write_jsonl(files / "questions.jsonl", [{"id": f"q{i}", "text": f"Question {i}?"} for i in range(5)])
    write_answers(files, "base", ["Question 3?", "Question 4?"])
    write_answers(files, "sft", ["Question 0?", "Question 1?", "Question 4?"])
    command = ("compare", "base.jsonl", "sft.jsonl", "--prompts", "questions.jsonl")
    told = " ".join(sciexam(*command).stdout.split())
    assert "3 x skipped: base has no answer to 'Question 0?', 'Question 1?', 'Question 2?'" in told
    assert "1 x skipped: sft has no answer to 'Question 3?'" in told


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            '{"prompt": "Why?", "text": "So."\n{}\n',
            "ends in the middle of its JSON; is a quote or brace missing at its end?",
        ),
        (
            '{"prompt": "Why?", "text": "So.\n',
            "ends in the middle of its JSON; is a quote or brace missing at its end?",
        ),
        ('{"prompt": "Why?", "text": "So."', "ends in the middle of its JSON; was the file cut off?"),
        ('{"prompt": "Why?", "text": "So."},\n', "not JSON: column 34: a comma after the brace?"),
        ('{"prompt": "Why?", "text": "So."} {}\n', "not JSON: column 35: extra data"),
        ('{"prompt": "Why?" "text": "So."}\n', "not JSON: column 19: expecting ',' delimiter"),
    ],
)
def test_a_malformed_line_says_what_may_be_wrong_with_it(sciexam: Cli, files: Path, line: str, message: str) -> None:
    with (files / "sft.jsonl").open("a") as file:
        file.write(line)
    told = sciexam("compare", "base.jsonl", "sft.jsonl").stderr
    assert f"sft.jsonl:4: {'the line ' if message.startswith('ends') else ''}{message}" in told


def test_how_many_lines_are_malformed_is_told(sciexam: Cli, files: Path) -> None:
    with (files / "sft.jsonl").open("a") as file:
        file.write("{\n" * 3)
    done = sciexam("compare", "base.jsonl", "sft.jsonl")
    assert done.returncode == 2
    assert "sft.jsonl:4: the line ends in the middle" in done.stderr
    assert done.stderr.endswith("at its end? (3 lines of the file are malformed in all)\n")


def test_a_list_of_prompts_and_texts_is_read(sciexam: Cli, files: Path) -> None:
    lines = (files / "sft.jsonl").read_text().splitlines()
    (files / "sft.json").write_text(f"[{','.join(lines)}]")
    assert "over 3 prompts" in sciexam("compare", "base.jsonl", "sft.json", "--quiet").stdout


def test_prompts_that_differ_in_spacing_are_told(sciexam: Cli, files: Path) -> None:
    write_answers(files, "sft", [*QUESTIONS[1:], f"{QUESTIONS[0]} "])
    done = sciexam("compare", "base.jsonl", "sft.jsonl", "--quiet")
    assert (
        "sciexam: these two differ only in spacing, and count as two prompts: 'Why is the sky blue?' and 'Why is the "
        "sky blue? '\n" in done.stderr
    )


def test_a_mistyped_file_is_told_the_nearest(sciexam: Cli, files: Path) -> None:
    done = sciexam("compare", "bse.jsonl", "sft.jsonl")
    assert done.returncode == 2
    assert done.stderr == "sciexam: bse.jsonl: no such file of answers; did you mean base.jsonl?\n"


def test_one_file_alone_is_given_no_advice_before_the_error(sciexam: Cli, files: Path) -> None:
    done = sciexam("compare", "base.jsonl")
    assert done.returncode == 2
    assert done.stderr == "sciexam: a comparison needs two contestants, and only 'base' is named\n"
