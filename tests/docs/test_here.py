"""`sciexam` alone tells what to type next in this folder."""

from __future__ import annotations

import shlex
from pathlib import Path

from conftest import Cli, answers, write_suite


def told(sciexam: Cli, folder: Path) -> list[str]:
    done = sciexam(cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def commands(lines: list[str]) -> list[list[str]]:
    return [shlex.split(line)[1:] for line in lines if line.startswith("    sciexam ")]


def test_an_empty_folder_is_told_how_to_begin(sciexam: Cli, tmp_path: Path) -> None:
    lines = told(sciexam, tmp_path)
    assert lines[0] == "This folder has no suite and no results yet."
    assert commands(lines) == [["compare", "base", "sft"], ["compare", "old.jsonl", "new.jsonl"], ["init", "my-exam"]]
    assert not [*tmp_path.iterdir()], "nothing is written"


def test_two_files_of_answers_are_offered_first(sciexam: Cli, tmp_path: Path) -> None:
    for name in ("one", "two"):
        answers(tmp_path, name, ["Because."])
    begin = commands(told(sciexam, tmp_path))
    assert begin == [["compare", "one.jsonl", "two.jsonl"], ["compare", "base", "sft"], ["init", "my-exam"]]
    answers(tmp_path, "three", ["Because."])
    assert commands(told(sciexam, tmp_path))[0] == ["compare", "base", "sft"]


def test_files_with_other_keys_are_named_as_no_answers(sciexam: Cli, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"qid": "1", "completion": "So."}\n')
    lines = told(sciexam, tmp_path)
    assert lines[0] == (
        "a.jsonl is no file of answers: a line of these has the keys prompt and text, or instruction and output."
    )
    answers(tmp_path, "one", ["Because."])
    assert told(sciexam, tmp_path)[0] == "This folder has no suite and no results yet."


def test_a_suite_is_to_be_checked_and_a_result_to_be_read(sciexam: Cli, tmp_path: Path) -> None:
    suites = tmp_path / "suites"
    models = {name: {"responses": answers(suites, name, ["Because.", f"{name} says so."])} for name in ("old", "new")}
    write_suite(suites, 2, models)
    lines = told(sciexam, tmp_path)
    assert lines[0] == "This folder has the suite exam, and no results yet."
    check, compare = commands(lines)
    assert (check, compare) == (["check", "exam"], ["compare", "--suite", "exam"])
    assert sciexam(*check).returncode == 0
    assert sciexam(*compare).returncode == 0

    lines = told(sciexam, tmp_path)
    [page] = tmp_path.glob("results/exam/*/report.html")
    assert lines[0] == f"The latest comparison here is new against old: {page.relative_to(tmp_path)}"
    assert commands(lines)[0] == ["report", "--open"]
    assert len(commands(lines)) > 1, "what the report itself says to do next"


def test_of_several_suites_the_usual_one_comes_first(sciexam: Cli, tmp_path: Path) -> None:
    (tmp_path / "suites").mkdir()
    for name in ("large", "science", "tiny"):
        (tmp_path / "suites" / f"{name}.yaml").touch()
    lines = told(sciexam, tmp_path)
    assert lines[0] == "This folder has the suites science, large, tiny, and no results yet."
    assert commands(lines) == [["check", "science"], ["compare", "--suite", "science"]]


def test_the_folder_of_the_suites_or_of_the_results_sends_to_the_one_above(sciexam: Cli, tmp_path: Path) -> None:
    for inside, file in (("suites", "exam.yaml"), ("results", "ledger.sqlite")):
        (tmp_path / inside).mkdir()
        assert told(sciexam, tmp_path / inside)[0] == "This folder has no suite and no results yet."
        (tmp_path / inside / file).touch()
        lines = told(sciexam, tmp_path / inside)
        above = f"This folder is part of {tmp_path.name}, where commands are run; to go there:"
        assert lines[:2] == [above, "    cd .."]
        (deep := tmp_path / inside / "exam" / "0f3a").mkdir(parents=True)
        (deep / "report.json").touch()
        assert told(sciexam, deep)[:2] == [above, "    cd ../../.."]


def test_links_of_people_send_to_how_their_study_stands(sciexam: Cli, tmp_path: Path) -> None:
    (study := tmp_path / "results" / "exam" / "0f3a").mkdir(parents=True)
    (study / "links.csv").touch()
    lines = told(sciexam, tmp_path)
    assert lines[0] == "People were given the links in results/exam/0f3a/links.csv; to see who has judged what:"
    assert commands(lines) == [["annotate", "status"]]
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "exam.yaml").touch()
    assert [words[0] for words in commands(told(sciexam, tmp_path))] == ["check", "compare", "annotate"]


def test_a_ledger_without_a_comparison_is_a_result(sciexam: Cli, tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "ledger.sqlite").touch()
    assert told(sciexam, tmp_path)[0] == "This folder has no suite and no comparison yet."


def test_what_cannot_be_read_is_no_result(sciexam: Cli, tmp_path: Path) -> None:
    for name, text in (("a", "{"), ("b", "[]"), ("c", '{"contestants": ["x"]}')):
        (tmp_path / "results" / "mine" / name).mkdir(parents=True)
        (tmp_path / "results" / "mine" / name / "report.json").write_text(text)
    assert told(sciexam, tmp_path)[0] == "This folder has no suite and no results yet."


def test_a_name_of_a_file_acts_on_no_terminal(sciexam: Cli, tmp_path: Path) -> None:
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "red\x1b[31m.yaml").touch()
    assert "\x1b" not in "".join(told(sciexam, tmp_path))
