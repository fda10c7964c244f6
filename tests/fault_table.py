"""Make docs/fault-table.md of what one or more runs of the fault suite wrote with `pytest --rows FILE`.

    python tests/fault_table.py results/rows-fast.jsonl results/rows-slow.jsonl

A row's tests can be in several runs (fast, slow, soak); each test is in one of them, so what they tried and lost adds
up. A row of which no test ran is in the table, too, and says so.
"""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from rows import TESTS, Row, row_files, what_is_tried

PAGE = TESTS.parent / "docs" / "fault-table.md"
BEFORE = """# The fault table

Each row is a test file under `tests/faults/` (F: something breaks) or `tests/attacks/` (A: somebody tries). *Times*
counts what was tried: kills, faults, payloads, posts; a test that counts nothing is one. *Lost* counts facts that were
acknowledged and then gone. A row that could not run says why. [Reliability](reliability.md) says what the rows stand
for and how to run them. `make fault-table` writes this page.
"""


def merged(runs: Iterable[Sequence[Row]]) -> list[Row]:
    """One row each, in the order of the table; its description is that of its file as it is now."""
    by_row: dict[str, Row] = {}
    for row in (row for run in runs for row in run):
        by_row[row.row] = added(by_row[row.row], row) if row.row in by_row else row
    return [
        replace(by_row.get(name, Row(name, "", result="not run")), what=what_is_tried(file))
        for name, file in row_files().items()
    ]


def added(one: Row, other: Row) -> Row:
    """Two runs of different tests of one row: it failed if either failed."""
    said = [part for row in (one, other) for part in row.result.split("; ")]
    ends = [end for end in ("failed", "passed") if end in said][:1]
    reasons = dict.fromkeys(part for part in said if part not in ("failed", "passed"))
    return Row(
        one.row,
        one.what,
        one.times + other.times,
        one.lost + other.lost,
        "; ".join([*ends, *reasons]),
        round(one.seconds + other.seconds, 2),
    )


def page(rows: Sequence[Row]) -> str:
    machine = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {platform.system()}"
    run = [row for row in rows if row.times]
    lines = [
        BEFORE,
        f"{len(run)} of {len(rows)} rows ran, on {os.cpu_count()} cores ({machine}): "
        f"{sum(row.times for row in rows):,} things were tried; facts lost: {sum(row.lost for row in rows):,}.",
        "",
        "| row | what is tried | times | lost | result | seconds |",
        "|---|---|---:|---:|---|---:|",
        *(
            f"| {row.row} | {cell(row.what)} | {row.times:,} | {row.lost:,} | {cell(row.result)} | {row.seconds:.1f} |"
            for row in rows
        ),
        "",
    ]
    return "\n".join(lines)


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(files: Sequence[str]) -> None:
    if not files:
        raise SystemExit("name the files that `pytest --rows FILE tests/faults tests/attacks` wrote")
    runs = [[Row(**json.loads(line)) for line in Path(file).read_text(encoding="utf-8").splitlines()] for file in files]
    rows = merged(runs)
    PAGE.write_text(page(rows), encoding="utf-8")
    print(f"{PAGE}: {len(rows)} rows, {sum(row.result == 'not run' for row in rows)} not run")


if __name__ == "__main__":
    main(sys.argv[1:])
