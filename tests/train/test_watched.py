"""Whoever trains sees how far it is, and what is kept when it is stopped."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("trl")

from conftest import COMMAND, clean_environment
from sciexam.cli.progress import Pace, progress
from train_world import BASE, run, write_world

pytestmark = pytest.mark.slow
LONG = {"base": {**BASE, "steps": 4000}}


def begun(process: subprocess.Popen[str], pattern: str, folder: Path) -> None:
    while not list(folder.glob(pattern)):
        assert process.poll() is None
        time.sleep(0.01)


def test_a_stage_draws_its_steps_its_loss_and_the_time_left_on_a_terminal(tmp_path: Path) -> None:
    write_world(tmp_path, {"base": {**BASE, "steps": 300, "save_steps": 100}})
    ours, theirs = pty.openpty()
    command = [str(COMMAND), "train", "base", "--suite", "world.yaml"]
    environment = clean_environment() | {"TERM": "xterm-256color", "COLUMNS": "120"}
    child = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    drawn = b""
    try:
        while block := os.read(ours, 65536):
            drawn += block
    except OSError:  # the other end is closed
        pass
    assert child.wait() == 0
    said = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", drawn.decode())
    assert re.search(r"base: step .*\d+/300 loss \d\.\d+, [\d.]+/s, about \d+ s left", said)
    assert child.stdout is not None
    assert b"base: step" not in child.stdout.read()


def test_one_that_is_stopped_before_its_first_checkpoint_says_that_nothing_is_kept(tmp_path: Path) -> None:
    write_world(tmp_path, {"base": {**BASE, "steps": 4000, "save_steps": 2000}})
    process = run(tmp_path, "base", stderr=subprocess.PIPE)
    begun(process, "results/models/*.work/step.json", tmp_path)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert re.search(
        r"base: stopped(?: at step [\d,]+ of 4,000)?, before its first checkpoint \(save_steps: 2000\); no step is "
        r"kept, and the same command begins with the first",
        said,
    )
    assert "calls in flight" not in said


@pytest.mark.parametrize("processes", [1, 2])
def test_one_that_is_stopped_says_which_step_is_kept_and_goes_on_from_there(tmp_path: Path, processes: int) -> None:
    write_world(tmp_path, LONG)
    process = run(tmp_path, "base", "--processes", str(processes), stderr=subprocess.PIPE)
    begun(process, "results/models/*.work/checkpoints/checkpoint-10/trainer_state.json", tmp_path)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    found = re.search(
        r"base: stopped at step [\d,]+ of 4,000; the checkpoint of step (\d+) is kept, and the same",
        said,
    )
    assert found is not None
    (left,) = tmp_path.glob(f"results/models/*.work/checkpoints/checkpoint-{found[1]}")
    assert left.is_dir()


def test_a_line_a_minute_says_how_far_a_stage_is_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = [0.0]
    with progress(clock=lambda: now[0]) as shown:
        for step in range(0, 300):
            now[0] += 1
            shown.train("sft", Pace.of(step, 1000, step, now[0]), 2.3051)
    assert capsys.readouterr().err.splitlines()[0] == (
        "sciexam: sft: step 59 of 1,000, loss 2.31, 1.0/s, about 16 min left"
    )
