"""A command that the tests fork is the command that a user executes."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import clean_environment
from forked import Commands, Fork
from study import EXECUTED, Study

BROKEN = "models:\n  a: [\n"


@pytest.mark.parametrize(
    "asked", [["--version"], ["compare", "--help"], ["compare", "a"], ["check", "exam.yaml"]], ids=" ".join
)
def test_a_fork_prints_and_ends_as_the_executed_command(commands: Commands, tmp_path: Path, asked: list[str]) -> None:
    (tmp_path / "exam.yaml").write_text(BROKEN, encoding="utf-8")
    forked, executed = (each.run(asked, tmp_path, clean_environment(), timeout=60) for each in (commands, EXECUTED))
    assert (forked.args, forked.returncode) == (executed.args, executed.returncode)
    assert (forked.stdout, forked.stderr) == (executed.stdout, executed.stderr)
    assert forked.stdout + forked.stderr


def test_a_fork_is_a_process_of_its_own_that_a_signal_ends(study: Callable[..., Study]) -> None:
    served = study()
    running = served.process
    assert isinstance(running, Fork)
    assert Path(f"/proc/{running.pid}/cwd").readlink() == served.folder
    with pytest.raises(subprocess.TimeoutExpired):
        running.wait(0.1)
    assert (running.poll(), running.returncode) == (None, None)
    served.kill()
    assert (running.poll(), running.returncode, running.wait()) == (-signal.SIGKILL,) * 3
    assert served.start().stop() == 0


def test_a_fork_that_takes_too_long_is_ended(commands: Commands, study: Callable[..., Study]) -> None:
    served = study()
    assert served.stop() == 0
    with pytest.raises(subprocess.TimeoutExpired, match="annotate"):
        commands.run(["annotate", "serve", *served.options, "--port", "0"], served.folder, clean_environment(), 0.5)
    assert not [one for one in Path("/proc").glob("[0-9]*") if working_folder(one) == served.folder]


def working_folder(process: Path) -> Path | None:
    try:
        return (process / "cwd").readlink()
    except OSError:
        return None


def test_what_only_an_interpreter_that_starts_can_read_is_executed(commands: Commands, tmp_path: Path) -> None:
    with (tmp_path / "out.txt").open("w") as out:
        ways = [{}, {"COLUMNS": "70"}, {"PYTHONUTF8": "0"}]
        started = [
            commands.start(["--version"], tmp_path, clean_environment() | more, out.fileno(), 2) for more in ways
        ]
        assert [running.wait(60) for running in started] == [0, 0, 0]
    assert [type(running) for running in started] == [Fork, Fork, subprocess.Popen]
