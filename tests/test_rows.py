"""The fault suite as a whole: each row has its file and its mutant, and what a run recorded is added up."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import ROOT
from fault_table import merged, page
from rows import Outcome, Row, row_files, row_of, summed, what_is_tried

ROWS = [*(f"F{number}" for number in range(1, 39)), *(f"A{number}" for number in range(1, 21))]
MUTANTS = sorted((ROOT / "tests" / "mutants").glob("*.patch"))


def row_of_mutant(patch: Path) -> str:
    return f"{patch.stem[0].upper()}{int(re.findall(r'[0-9]+', patch.stem)[0])}"


def test_every_row_has_one_file_whose_docstring_is_one_sentence() -> None:
    files = [*(ROOT / "tests" / "faults").glob("*.py"), *(ROOT / "tests" / "attacks").glob("*.py")]
    assert sorted(filter(None, (row_of(file.as_posix()) for file in files))) == sorted(ROWS)
    assert list(row_files()) == ROWS, "in the order of the table"
    for row, file in row_files().items():
        assert re.fullmatch(r"[^\n]+[^.]\.", what_is_tried(file)), f"{row}: {file} says {what_is_tried(file)!r}"


def test_every_row_has_a_mutant_that_names_a_test_of_it() -> None:
    assert {row_of_mutant(patch) for patch in MUTANTS} == set(ROWS)
    for patch in MUTANTS:
        broken, test = patch.read_text(encoding="utf-8").splitlines()[:2]
        assert re.fullmatch(r"# [^\n]+\.", broken), f"{patch}: what is broken is one sentence"
        file, _, name = test.removeprefix("# ").partition("::")
        assert row_of(file) == row_of_mutant(patch), f"{patch} names a test of another row"
        assert f"def {name.partition('[')[0]}(" in (ROOT / file).read_text(encoding="utf-8"), f"{patch}: no such test"


def test_every_mutant_applies_to_the_tree_as_it_is() -> None:
    if shutil.which("git") is None:
        pytest.skip("no git here")
    for patch in MUTANTS:
        done = subprocess.run(["git", "apply", "--check", patch], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_a_row_fails_if_one_of_its_tests_does_and_says_why_others_were_not_run() -> None:
    passed, silent = Outcome(tallies=[(40, 0), (2, 1)], seconds=1.0), Outcome(seconds=0.25)
    assert summed("F1", "x", [passed, silent]) == Row("F1", "x", times=43, lost=1, result="passed", seconds=1.25)
    skipped = Outcome(skipped="no Chromium here")
    assert summed("F1", "x", [silent, skipped]).result == "passed; not run here: no Chromium here"
    assert summed("F1", "x", [skipped]) == Row("F1", "x", result="not run here: no Chromium here")
    assert summed("F1", "x", [passed, Outcome(failed=True), skipped]).result.startswith("failed; not run here")


def test_runs_add_up_to_a_table_in_which_no_row_is_missing() -> None:
    fast = [Row("F1", "x", 2, 0, "passed", 1.0), Row("A2", "x", 9, 0, "failed", 1.0)]
    slow = [Row("F1", "x", 40, 1, "passed; not run here: no server", 2.5), Row("A2", "x", 1, 0, "passed", 1.0)]
    rows = {row.row: row for row in merged([fast, slow])}
    assert list(rows) == list(row_files())
    first = Row("F1", what_is_tried(row_files()["F1"]), 42, 1, "passed; not run here: no server", 3.5)
    assert rows["F1"] == first
    assert (rows["A2"].times, rows["A2"].result) == (10, "failed")
    assert rows["F2"].result == "not run"
    table = page(list(rows.values()))
    assert f"| F1 | {first.what} | 42 | 1 | passed; not run here: no server | 3.5 |" in table
    assert f"2 of {len(rows)} rows ran" in table
    assert "52 things were tried; facts lost: 1." in table
