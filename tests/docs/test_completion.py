"""Tab completes commands, flags, suites, and the names of the suite in this folder."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from conftest import COMMAND, Cli, answers, clean_environment, write_suite

# With this, typer takes the shell's name from the command line, and does not look who its parent is.
NAMED = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}


def completed(sciexam: Cli, line: str) -> list[str]:
    words = line.split(" ")
    env = {"_SCIEXAM_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = sciexam(env=env)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.fixture
def suite(tmp_path: Path) -> None:
    suites = tmp_path / "suites"
    models = {name: {"responses": answers(suites, name, ["Because."])} for name in ("young", "yonder", "old")}
    write_suite(suites, 1, models, contestants=["young", "old"], judges={"wise": {"backend": "measures"}})


def test_commands_and_flags(sciexam: Cli) -> None:
    assert completed(sciexam, "sciexam le") == ["leaderboard"]
    assert completed(sciexam, "sciexam annotate se") == ["serve"]
    assert completed(sciexam, "sciexam compare --until") == ["--until-decided"]


def test_names_of_the_suite_in_this_folder(sciexam: Cli, suite: None) -> None:
    assert completed(sciexam, "sciexam compare y") == ["young"]
    assert completed(sciexam, "sciexam answer yo") == ["young", "yonder"]
    assert completed(sciexam, "sciexam compare young old --judge ") == ["wise", "measures", "humans"]
    assert completed(sciexam, "sciexam validate w") == ["wise"]
    assert "exam" in completed(sciexam, "sciexam compare --suite ")


def test_names_of_the_suite_that_the_line_names(sciexam: Cli, suite: None) -> None:
    assert "sft" in completed(sciexam, "sciexam compare --suite science s")


def test_files_of_answers_come_before_the_shipped_names(sciexam: Cli, tmp_path: Path) -> None:
    answers(tmp_path, "sft2", ["Because."])
    assert completed(sciexam, "sciexam compare sf") == ["sft2.jsonl", "sft"]
    assert completed(sciexam, "sciexam compare --suite science sf") == ["sft", "sft2.jsonl"]


def test_a_suite_that_cannot_be_read_offers_nothing(sciexam: Cli, tmp_path: Path) -> None:
    (tmp_path / "suites").mkdir()
    for text in ("models: [", "- 1", "contestants: 7", "contestants: [1, {a: b}]"):
        (tmp_path / "suites" / "exam.yaml").write_text(text)
        assert completed(sciexam, "sciexam compare y") == []


def test_the_script_completes_in_a_shell(sciexam: Cli, tmp_path: Path) -> None:
    script = sciexam("--show-completion", "bash", env=NAMED)
    assert script.returncode == 0
    typed = "COMP_WORDS=(sciexam leader); COMP_CWORD=1; _sciexam_completion sciexam; echo ${COMPREPLY[@]}"
    env = clean_environment() | {"PATH": f"{COMMAND.parent}:{os.environ['PATH']}"}
    command = ["bash", "-c", f"{script.stdout}\n{typed}"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("leaderboard\n", "")


@pytest.mark.parametrize(("shell", "file"), [("bash", ".bashrc"), ("zsh", ".zshrc"), ("fish", ".config/fish")])
def test_it_is_installed_for_a_shell(sciexam: Cli, tmp_path: Path, shell: str, file: str) -> None:
    done = sciexam("--install-completion", shell, env=NAMED | {"HOME": str(tmp_path)})
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{shell} completion installed in" in done.stdout
    assert (tmp_path / file).exists()
