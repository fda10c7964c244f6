"""The benchmark of training runs, and has a row for each stage: with TRL alone beside it wherever TRL has one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from conftest import clean_environment

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "training.py"
BESIDE_TRL = ("pretrain", "sft", "reward", "dpo", "rloo")
ALONE = ("best_of_n, drawing", "best_of_n, learning", "ppo")


@pytest.mark.slow
def test_the_benchmark_of_training_has_a_row_for_each_stage() -> None:
    pytest.importorskip("trl")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--short"], capture_output=True, text=True, env=clean_environment()
    )
    assert not done.returncode, done.stderr
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines() if "|" in line]
    head, _, *table = rows
    ratios = {row[0]: row[head.index("ratio")] for row in table}
    assert set(ratios) == {*BESIDE_TRL, *ALONE}
    assert all(float(ratios[stage]) > 0 for stage in BESIDE_TRL)
    assert not any(ratios[stage] for stage in ALONE)
