"""The recorder of the fault suite: what each row tried, how often, what was lost, and how it ended.

A row is a file, `tests/faults/test_f01_*.py` or `tests/attacks/test_a07_*.py`; its docstring is one sentence that says
what is tried. `pytest --rows FILE` writes one JSON object a row that had a test in this run. `tests/fault_table.py`
makes the table in docs/fault-table.md of them.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
Tally = Callable[..., None]


@dataclass
class Row:
    """What the tests of one row came to in one run."""

    row: str
    what: str
    times: int = 0
    lost: int = 0
    result: str = "passed"
    seconds: float = 0.0


@dataclass
class Outcome:
    """How one test ended: its worst phase, the time of all phases, and what it counted."""

    tallies: list[tuple[int, int]] = field(default_factory=list)
    failed: bool = False
    skipped: str = ""
    seconds: float = 0.0


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Tally:
    """Say how many things this test tried and how many facts were lost: `tally(40)`. A silent test counts as one."""

    def count(times: int, lost: int = 0) -> None:
        request.node.user_properties.append(("tally", (times, lost)))

    return count


def row_of(nodeid: str) -> str | None:
    """`F1` of tests/faults/test_f01_killed_while_judging.py, `A7` of tests/attacks/test_a07_...; else None."""
    found = re.search(r"(?:faults/test_(f)|attacks/test_(a))(\d\d)_\w+\.py", nodeid)
    return f"{(found[1] or found[2]).upper()}{int(found[3])}" if found else None


def row_files() -> dict[str, Path]:
    """Every row that has a file, in the order of the table: F1, F2, ..., A1, ..."""
    files = sorted([*TESTS.glob("faults/test_f*.py"), *TESTS.glob("attacks/test_a*.py")], key=lambda file: file.name)
    faults_first = sorted(files, key=lambda file: file.parent.name != "faults")
    return {row: file for file in faults_first if (row := row_of(file.as_posix()))}


def what_is_tried(file: Path) -> str:
    """The first sentence of a row's docstring, on one line."""
    said = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return " ".join(said.split("\n\n")[0].split())


class Recorder:
    """Gathers the reports of a run, also those that the processes of pytest-xdist send."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._outcomes: dict[str, Outcome] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if row_of(report.nodeid) is None:
            return
        outcome = self._outcomes.setdefault(report.nodeid, Outcome())
        outcome.seconds += report.duration
        outcome.failed |= report.failed
        if report.skipped:
            outcome.skipped = _reason(report)
        if report.when == "teardown":  # the last report of a test holds all that it counted
            told = [value for key, value in report.user_properties if key == "tally"]
            outcome.tallies = [(int(times), int(lost)) for times, lost in told]  # type: ignore[misc, arg-type]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if row_of(report.nodeid) and not report.passed:
            self._outcomes[report.nodeid] = Outcome(
                failed=report.failed, skipped=_reason(report) if report.skipped else ""
            )

    def pytest_sessionfinish(self) -> None:
        lines = [json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in self._rows()]
        self._file.write_text("".join(lines), encoding="utf-8")

    def _rows(self) -> list[Row]:
        by_row: dict[str, list[Outcome]] = {}
        for nodeid, outcome in self._outcomes.items():
            by_row.setdefault(str(row_of(nodeid)), []).append(outcome)
        files = row_files()
        return [summed(row, what_is_tried(files[row]), by_row[row]) for row in files if row in by_row]


def summed(row: str, what: str, outcomes: list[Outcome]) -> Row:
    run = [outcome for outcome in outcomes if not outcome.skipped]
    tallies = [tally for outcome in run for tally in outcome.tallies or [(1, 0)]]
    reasons = sorted({outcome.skipped for outcome in outcomes if outcome.skipped})
    not_run = f"not run here: {'; '.join(reasons)}" if reasons else ""
    passed = "failed" if any(outcome.failed for outcome in run) else "passed" if run else ""
    return Row(
        row=row,
        what=what,
        times=sum(times for times, _ in tallies),
        lost=sum(lost for _, lost in tallies),
        result="; ".join(part for part in (passed, not_run) if part),
        seconds=round(sum(outcome.seconds for outcome in outcomes), 2),
    )


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why a test was skipped, as its author said it."""
    told = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return " ".join(told.removeprefix("Skipped: ").split())


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rows", type=Path, metavar="FILE", help="write what each row of the fault suite came to")


def pytest_configure(config: pytest.Config) -> None:
    file = config.getoption("--rows")
    if file and not hasattr(config, "workerinput"):  # a process of pytest-xdist sends its reports
        config.pluginmanager.register(Recorder(file))
