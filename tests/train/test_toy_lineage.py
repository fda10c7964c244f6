"""The toy lineage from nothing to its leaderboard: stage by stage it answers better, by the truth and by annotators.

The annotators have taught nobody, but share their rule with the one who has; only their noise is their own.

docs/toy.md has the tables of the whole world.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("trl")

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from science_suite import Made

from conftest import Cli
from sciexam.toy.data import Size

# A quarter of the world, with more to read of each of its phenomena.
PART = Size(phenomena=24, documents=48, demonstrations=12, train=12, dev=1, judging=0)


def rises(made: Made, sciexam: Cli) -> None:
    """base < sft < rlhf by the truth, whom nobody was trained to please, and by annotators who have taught nobody."""
    assert made.trained("rlhf")
    steps = {(step.a, step.b, step.by): step for step in made.compared(["base", "sft", "rlhf"])}
    assert len(steps) == 4
    for step in steps.values():
        assert step.win_rate.low > 0.5, step  # type: ignore[union-attr]
        assert step.p_value is not None
        assert step.p_value < 0.01, step
    suite = made.folder / "science.yaml"
    board = ("leaderboard", "--suite", str(suite), "--judge", "truth", "--results", str(made.results))
    done = sciexam(*board, "base", "sft", "rlhf", cwd=made.folder)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    ranked = [word for row in rows for word in row if word in ("base", "sft", "rlhf")]
    assert ranked[:3] == ["rlhf", "sft", "base"], done.stdout


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_part_of_the_lineage_rises_stage_by_stage(tmp_path: Path, sciexam: Cli) -> None:
    exam = Path("self-rewarding") / "prompts.jsonl"  # several on each phenomenon: 24 units of chance, hence the margin
    rises(Made(tmp_path, seed=1, size=PART, exam=exam, margin=0.15), sciexam)


@pytest.mark.soak
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_whole_lineage_rises_stage_by_stage(seed: int, tmp_path: Path, sciexam: Cli) -> None:
    rises(Made(tmp_path, seed), sciexam)
