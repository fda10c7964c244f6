"""There is no internet: the demo, reports and tests run with a loopback alone, and nobody outside is asked."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from conftest import COMMAND, ROOT
from offline import Offline
from rows import Tally


def test_the_demo_and_its_report_need_no_network(offline: Offline, tmp_path: Path, tally: Tally) -> None:
    done = offline.run(COMMAND, "compare", "base", "sft", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["pairs"][0]["failed"] == 0
    again = offline.run(COMMAND, "report", report["run"], "--json", cwd=tmp_path)
    assert (again.returncode, json.loads(again.stdout)["pairs"]) == (0, report["pairs"])
    assert offline.asked == []
    tally(2)


@pytest.mark.slow
def test_no_other_command_asks_anybody_either(offline: Offline, tmp_path: Path, tally: Tally) -> None:
    commands: tuple[tuple[str, ...], ...] = (
        ("leaderboard",),
        ("plan",),
        ("agree", "base", "sft"),
        ("audit", "measures"),
        ("grade", "base", "sft", "--judge", "measures"),
        ("store", "check"),
        ("store", "backup", "copy.sqlite"),
        ("doctor",),
        ("check",),
        ("rubric", "show", "science-explanation"),
        ("schema", "suite"),
    )
    for command in commands:
        done = offline.run(COMMAND, *command, cwd=tmp_path)
        assert done.returncode == 0, (command, done.stderr)
    assert offline.asked == []
    tally(len(commands))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_tests_of_every_part_pass_without_a_network(offline: Offline, tmp_path: Path, tally: Tally) -> None:
    """Judges behind a local endpoint, the page of annotators, reports, statistics and weights of one's own."""
    parts = [
        *("tests/test_compare.py", "tests/test_report.py", "tests/judges/test_rendering.py"),
        *("tests/stats/test_win_rate.py", "tests/annotate/test_desk.py", "tests/models/test_checkpoint.py"),
        "tests/faults/test_f01_killed_while_judging.py",
    ]
    files = [part for part in parts if (ROOT / part).is_file()]
    command = (sys.executable, "-m", "pytest", *files, "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'tests'}")
    done = offline.run(*command, cwd=ROOT, timeout=850, HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stdout[-5000:]
    assert offline.asked == []
    tally(len(files))
