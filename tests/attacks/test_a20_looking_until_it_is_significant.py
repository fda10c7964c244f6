"""A comparison is run again and again, with contestants left out, and the ledger is edited to forget the others."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from conftest import Cli, answers, write_jsonl, write_suite
from rows import Tally

N = 40


def exam(folder: Path) -> str:
    """Four contestants, the first the baseline; the others are longer on a few prompts more than on half of them."""
    texts = {
        name: [f"It does, {'because heat flows, ' if (i * 7 + shift) % N < ahead else ''}{i}." for i in range(N)]
        for name, shift, ahead in (("base", 0, 20), ("one", 3, 24), ("two", 11, 26), ("three", 29, 28))
    }
    models = {name: {"responses": answers(folder, name, said)} for name, said in texts.items()}
    return write_suite(folder, N, models, baseline="base").name


def runs(folder: Path) -> list[tuple[int, str]]:
    with closing(sqlite3.connect(folder / "results" / "ledger.sqlite")) as ledger:
        return list(ledger.execute("SELECT seq, run FROM runs ORDER BY seq"))


@pytest.mark.slow
def test_every_look_is_kept_and_none_can_be_taken_away(sciexam: Cli, tmp_path: Path, tally: Tally) -> None:
    suite = exam(tmp_path)
    kept: list[tuple[int, str]] = []
    looks = [("base", "one"), ("base", "two"), ("base", "three"), ("base", "one")]
    for limit in ("20", "40"):
        for pair in looks:
            done = sciexam("compare", *pair, "-s", suite, "-j", "measures", "--limit", limit)
            assert done.returncode == 0, done.stderr
            assert runs(tmp_path)[: len(kept)] == kept, "what stood there stands there"
            kept = runs(tmp_path)
    assert len(kept) >= 2 * len(looks)
    tables = ("runs", "replies", "verdicts", "texts", "names")
    with closing(sqlite3.connect(tmp_path / "results" / "ledger.sqlite")) as ledger:
        for table in tables:
            column = "id" if table in ("texts", "names") else "seq"
            for change in (f"DELETE FROM {table}", f"UPDATE {table} SET {column} = {column} + 1"):
                if ledger.execute(f"SELECT count(*) FROM {table}").fetchone()[0]:
                    with pytest.raises(sqlite3.DatabaseError, match="append-only"):
                        ledger.execute(change)
    assert runs(tmp_path) == kept
    tally(2 * len(looks) + 2 * len(tables))


def test_all_pairs_of_a_command_are_corrected_for_by_holm(sciexam: Cli, tmp_path: Path) -> None:
    """Each p-value of the report is Holm's, over as many comparisons as were made; alone it would be smaller."""
    suite = exam(tmp_path)
    together = json.loads(sciexam("compare", "-s", suite, "-j", "measures", "--json").stdout)["pairs"]
    raw = sorted(pair["p_value"] for pair in together)
    adjusted, floor = [], 0.0
    for rank, p in enumerate(raw):
        floor = max(floor, min(1.0, p * (len(raw) - rank)))
        adjusted.append(floor)
    assert len(raw) > 1
    assert sorted(pair["p_holm"] for pair in together) == pytest.approx(adjusted)


def test_an_interval_that_holds_at_every_look_is_offered(sciexam: Cli, tmp_path: Path) -> None:
    suite = exam(tmp_path)
    assert "--until-decided" in sciexam("compare", "--help").stdout
    done = sciexam("compare", "base", "three", "-s", suite, "-j", "measures", "--until-decided")
    assert done.returncode in (0, 3), done.stderr
    [page] = tmp_path.glob("results/exam/*/report.md")
    assert "valid at every look" in page.read_text(encoding="utf-8")


# ---------------------------------------------------------------- earlier looks are counted

TOLD = "neither p nor the interval accounts for what "


def compared(sciexam: Cli, *more: str, judge: str = "measures") -> dict[str, Any]:
    done = sciexam("compare", "-s", "exam.yaml", "-j", judge, *more, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def looks_told(report: dict[str, Any]) -> list[str]:
    """The beginnings of the caveats on earlier looks, up to the number of runs."""
    return [caveat.split(" of this ledger")[0] for caveat in report["caveats"] if TOLD in caveat]


def test_earlier_looks_at_a_pair_by_a_judge_are_counted(sciexam: Cli, tmp_path: Path, tally: Tally) -> None:
    """With fewer prompts or other settings. A rerun is none, nor is a look at another pair or by another judge."""
    exam(tmp_path)
    said = [
        {"prompt": f"q{i}", "first": "base", "second": "one", "preferred": "second", "rater": "r"} for i in range(N)
    ]
    write_jsonl(tmp_path / "said.jsonl", said)
    assert looks_told(compared(sciexam, "base", "one", "--limit", "20")) == []
    assert looks_told(compared(sciexam, "base", "one", "--limit", "20")) == [], "a rerun is no other look"
    assert looks_told(compared(sciexam, "base", "two")) == [], "that was another pair"
    assert looks_told(compared(sciexam, "base", "one", judge="said.jsonl")) == [], "that was another judge"
    second = compared(sciexam, "base", "one")
    assert looks_told(second) == ["one against base by measures: 1 earlier run"]
    third = compared(sciexam, "one", "base", "--margin", "0.1")
    assert looks_told(third) == ["base against one by measures: 2 earlier runs"], "whoever is named first"
    again = json.loads(sciexam("report", second["run"], "--json").stdout)
    assert again["caveats"] == second["caveats"], "what came later does not count"
    tally(7)


def test_contestants_that_are_left_out_later_are_looks_and_slices_are_none(
    sciexam: Cli, tmp_path: Path, tally: Tally
) -> None:
    exam(tmp_path)
    rows = [json.loads(line) | {"level": str(i % 3)} for i, line in enumerate((tmp_path / "prompts.jsonl").open())]
    write_jsonl(tmp_path / "prompts.jsonl", rows)
    assert looks_told(compared(sciexam, "base", "one")) == []
    assert looks_told(compared(sciexam, "base", "one", "--by", "level")) == [], "the same figure, sliced otherwise"
    together = compared(sciexam, "base", "one", "two", "three")
    assert looks_told(together) == [], "Holm corrects for what joined"
    assert looks_told(compared(sciexam, "base", "three")) == ["three against base by measures: 1 earlier run"]
    fewer = compared(sciexam, "base", "one", "two", "three", "--limit", "30")
    (told,) = [caveat for caveat in fewer["caveats"] if TOLD in caveat]
    assert told.startswith("measures, in 6 of 6 comparisons: earlier runs of this ledger "), "six in one sentence"
    assert told.endswith("; the most in one against base (3 earlier runs).")
    tally(5)


def test_what_holds_at_every_look_needs_no_count_of_them(sciexam: Cli, tmp_path: Path) -> None:
    exam(tmp_path)
    compared(sciexam, "base", "three", "--limit", "20")
    assert looks_told(compared(sciexam, "base", "three", "--until-decided")) == []
    assert looks_told(compared(sciexam, "base", "three")) == ["three against base by measures: 2 earlier runs"]
