"""AlpacaEval's calibration as a file: what its gamed baselines scored on each prompt, and how hard the prompt is."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from pathlib import Path

from sciexam.documents import refuse
from sciexam.errors import DocumentError, UsageError
from sciexam.lines import csv_rows
from sciexam.stats import Calibration

NUMBERS = ("preference", "std_delta_len", "instruction_difficulty")


def read_calibration(path: Path, prompts: Collection[str]) -> Calibration:
    """The calibration in a CSV file (or .csv.gz) with the columns index, preference, std_delta_len and
    instruction_difficulty: one row for each answer of a gamed baseline, `index` the id of its prompt, `preference` a
    share in [0, 1].

    Rows of other prompts are left out. Raises DocumentError with all faults, also where one of the `prompts` has no
    row.
    """
    faults: list[str] = []
    ids: list[str] = []
    columns: list[list[float]] = [[] for _ in NUMBERS]
    for line, row in _rows(path):
        values = [_number(row[name]) for name in NUMBERS]
        faults += [
            f"{path}:{line}: {name}: {row[name]!r} is no number"
            for name, value in zip(NUMBERS, values, strict=True)
            if value is None
        ]
        if values[0] is not None and not 0 <= values[0] <= 1:
            faults.append(
                f"{path}:{line}: preference: a share in [0, 1] (AlpacaEval's less 1), not {row['preference']}"
            )
        if row["index"] in prompts and None not in values:
            ids.append(row["index"])
            for column, value in zip(columns, values, strict=True):
                column.append(value or 0.0)
    if lacking := sorted(set(prompts) - set(ids)) if not faults else []:
        faults.append(f"{path}: index: no row for prompt {lacking[0]!r} and {len(lacking) - 1} more of the suite")
    if faults:
        raise DocumentError(faults)
    return Calibration(ids, *columns)


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    if not path.is_file():
        raise UsageError(f"--calibration {path}: no such file")
    for number, row in csv_rows(path, refuse(path)):
        if missing := [name for name in ("index", *NUMBERS) if name not in row]:
            raise DocumentError([f"{path}:1: {name}: this column is missing" for name in missing])
        yield number, row


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
