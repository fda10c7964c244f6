"""Answers, comments and names that a spreadsheet would run: = + - @ tab CR, full-width, behind invisible characters."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from annotate_queue import queue_of
from conftest import Cli, answers, write_jsonl
from rows import Tally
from sciexam.annotate.desk import Desk
from sciexam.annotate.links import until
from sciexam.battles import present
from sciexam.report.tables import from_cell, to_cell
from sciexam.store import Store
from study import Study

FORMULAS = (
    *("=1+1", "+1", "-1", "@x", "\tx", "\r=x", "=cmd|' /C calc'!A0", '=HYPERLINK("https://evil.example/","x")'),
    *(
        "＝1+1",
        "＋1",
        "－1",
        "＠x",
        "\u200b=1",
        "\ufeff=1",
        "\u00a0=1",
        "\u2060\u200b@x",
        " =1",
        "\n=1",
        "'=1",
        "''-1",
        "'plain",
    ),
)
HIDDEN = "\u200b\ufeff\u2060\u00a0 \t\r\n"
TEXTS = st.tuples(st.sampled_from(["", "'", *HIDDEN]), st.sampled_from(FORMULAS), st.text(max_size=5)).map("".join)


def runs(cell: str) -> bool:
    """Whether a spreadsheet would take a cell for a formula, whatever stands unseen before it. A number is none."""
    seen = cell.lstrip(HIDDEN)
    return cell.startswith(("\t", "\r")) or (seen.startswith(tuple("=+-@＝＋－＠")) and not is_number(cell))


def is_number(cell: str) -> bool:
    try:
        return cell.isascii() and bool(float(cell) + 1)
    except ValueError:
        return False


def cells(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return [cell for row in csv.reader(file, strict=True) for cell in row]


def test_no_cell_runs_as_a_formula_and_every_comment_comes_back(tmp_path: Path, sciexam: Cli) -> None:
    with Store(tmp_path / "results" / "ledger.sqlite") as store:
        queue = queue_of(tmp_path, store, prompts=len(FORMULAS))
        desk, ann = Desk(store, queue), store.annotators.add("Ann", until(1))
        for comment in FORMULAS:
            id = desk.next(ann)
            desk.judge(ann, str(id), 0, {"choice": "left-much", "comment": comment})
    assert sciexam("annotate", "export", "verdicts", "-o", "v.csv").returncode == 0
    cells = [cell for row in csv.reader((tmp_path / "v.csv").open(newline="")) for cell in row]
    assert not [cell for cell in cells if cell.strip().lstrip("\u200b").startswith(("=", "+", "-", "@", "＝"))]
    read = sciexam("annotate", "import", "v.csv", "base", "sft", "--suite", "exam.yaml", "--results", "other")
    assert read.returncode == 0, read.stderr
    with Store(tmp_path / "other" / "ledger.sqlite") as store:
        subjects = [present(one, order).subject for one in queue.comparisons() for order in ("ab", "ba")]
        assert sorted(v.reason for v in store.human_verdicts(subjects)) == sorted(FORMULAS)


@given(TEXTS)
@example("'" * 3 + "=")
@settings(max_examples=300)
def test_every_text_comes_back_from_its_cell_and_no_cell_is_a_formula(text: str) -> None:
    cell = to_cell(text)
    assert from_cell(cell) == text
    assert cell
    assert not cell.lstrip().startswith(("=", "+", "-", "@", "\t", "\r"))


@pytest.fixture
def exam(tmp_path: Path) -> list[str]:
    """Two files of formulas as answers, one of them named by one; questions and categories are formulas, too."""
    rows = [{"id": f"q{i}", "text": f"{one}?", "category": one.strip() or "c"} for i, one in enumerate(FORMULAS)]
    write_jsonl(tmp_path / "prompts.jsonl", rows)
    return [*(answers(tmp_path, name, FORMULAS) for name in ("=base+1", "sft")), "--prompts", "prompts.jsonl"]


def parquet(path: Path) -> list[dict[str, Any]]:
    pq = pytest.importorskip("pyarrow.parquet")
    return list(pq.read_table(path).to_pylist())


def json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


@pytest.mark.parametrize(("suffix", "read"), [("jsonl", json_lines), ("parquet", parquet)])
def test_json_lines_and_parquet_hold_every_text_exactly(
    suffix: str,
    read: Callable[[Path], list[dict[str, Any]]],
    exam: list[str],
    sciexam: Cli,
    tmp_path: Path,
    tally: Tally,
) -> None:
    done = sciexam("export", "responses", *exam, "-o", f"r.{suffix}")
    assert done.returncode == 0, done.stderr
    assert sorted(row["text"] for row in read(tmp_path / f"r.{suffix}")) == sorted(2 * FORMULAS)
    tally(2 * len(FORMULAS))


def test_no_cell_of_an_exported_file_runs_and_every_text_comes_back(
    exam: list[str], sciexam: Cli, tmp_path: Path, tally: Tally
) -> None:
    assert sciexam("export", "responses", *exam, "-o", "r.csv").returncode == 0
    found = cells(tmp_path / "r.csv")
    assert not [cell for cell in found if runs(cell)]
    texts = [from_cell(cell) for cell in found]
    assert [texts.count(one) >= 2 for one in FORMULAS] == [True] * len(FORMULAS)
    assert texts.count("=base+1") >= len(FORMULAS)
    tally(len(found))


def test_no_cell_of_a_leaderboard_runs_and_its_numbers_stay_numbers(
    exam: list[str], sciexam: Cli, tmp_path: Path
) -> None:
    done = sciexam("leaderboard", *exam, "-j", "measures")
    assert done.returncode == 0, done.stderr
    [path] = (one for one in tmp_path.glob("results/*/*/leaderboard.csv") if one.parent.name != "leaderboard")
    assert not [cell for cell in cells(path) if runs(cell)]
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {"'=base+1", "sft", "null"} == {row["contestant"] for row in rows}
    assert len([cell for cell in cells(path) if is_number(cell)]) > 3 * len(rows)


def test_a_negative_reward_is_a_number_in_its_file(exam: list[str], sciexam: Cli, tmp_path: Path) -> None:
    rewards = [
        {"prompt": f"q{i}", "model": name, "reward": -0.5 - i, "rater": "+rm"}
        for i in range(len(FORMULAS))
        for name in ("=base+1", "sft")
    ]
    write_jsonl(tmp_path / "rm.jsonl", rewards)
    done = sciexam("reward", *exam, "-m", "rm.jsonl")
    assert done.returncode == 0, done.stderr
    [path] = tmp_path.glob("results/*/*/rewards.csv")
    found = cells(path)
    assert not [cell for cell in found if runs(cell)]
    assert [cell for cell in found if is_number(cell) and float(cell) < 0]


def test_no_name_of_an_annotator_runs_in_the_list_of_links(study: Callable[..., Study], tmp_path: Path) -> None:
    names = [one for one in FORMULAS if one.isprintable() and one == one.strip()]
    (tmp_path / "names.txt").write_text("\n".join(names), encoding="utf-8")
    served = study("--names", "names.txt", prompts=1)
    [path] = served.folder.glob("results/*/*/links.csv")
    assert not [cell for cell in cells(path) if runs(cell)]
    assert set(names) <= {from_cell(cell) for cell in cells(path)}
