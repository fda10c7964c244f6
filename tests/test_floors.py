"""An import never goes up the floors, and only the command line knows the wings."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import answers, write_suite

SOURCE = Path(__file__).parent.parent / "src" / "sciexam"

FLOORS = {
    7: ("cli", "__main__"),
    6: ("train", "annotate", "exchange", "serve", "toy"),
    5: ("exam", "check", "doctor", "validation", "audit"),
    4: ("suite", "suite_file", "judges", "contamination"),
    3: ("rubric", "prompts", "lineage", "store", "report"),
    2: (
        "documents",
        "lines",
        "digests",
        "files",
        "battles",
        "models",
        "sandbox",
        "manifest",
        "folders",
        "web",
        "near_duplicates",
        "typed",
    ),
    1: ("types", "stats", "errors"),
}
FLOOR = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
WINGS = FLOORS[6]
HEAVY = ("torch", "transformers", "vllm", "openai", "aiohttp", "pandas", "scipy", "sqlalchemy", "matplotlib")


def modules() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")


def room(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> Iterator[str]:
    """Every room of the house that a module imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "sciexam" and len(parts) > 1:
                yield parts[1]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_every_module_has_a_floor_and_imports_nothing_above_it(path: Path) -> None:
    assert room(path) in FLOOR, f"{room(path)} has no floor: give it one in design and here"
    for other in imported_rooms(path):
        assert FLOOR[other] <= FLOOR[room(path)], f"{path.name} (floor {FLOOR[room(path)]}) imports {other} above it"
        if other in WINGS:
            assert room(path) in ("cli", other), f"{path.name} imports the wing {other}; only cli may"


def test_the_statistics_know_no_noun_of_ours() -> None:
    for path in (SOURCE / "stats").rglob("*.py"):
        assert set(imported_rooms(path)) <= {"stats"}, path.name


def loaded_by(code: str) -> set[str]:
    """The heavy modules in sys.modules after `code` ran in an interpreter of its own."""
    probe = f"import sys\n{code}\nprint(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split()) if done.stdout.strip() else set()


def test_import_and_help_load_nothing_heavy() -> None:
    assert loaded_by("import sciexam") == set()
    run = "from sciexam.cli import command_line\ntry:\n    command_line()(['--help'])\nexcept SystemExit:\n    pass"
    assert loaded_by(f"{run}\nprint()") == set()
    per_command = run.replace("'--help'", "'compare', '--help'") + "\nprint()"
    assert loaded_by(per_command) == set()


LATE = ("numpy", "sciexam.stats", "sciexam.report.build", "sciexam.cli.train", "sqlalchemy.dialects.postgresql")
TOLD_AT_THE_FIRST_CALL = f"""
import os, sys

def told(event, _):
    if event == "socket.connect":
        print("asked", *[m for m in {LATE!r} if m in sys.modules], flush=True)
        os._exit(0)

sys.addaudithook(told)
from sciexam.cli import main
main()
"""


@pytest.mark.parametrize("command", ["compare", "leaderboard", "grade"])
def test_the_first_verdict_is_asked_for_before_what_counts_verdicts_is_imported(tmp_path: Path, command: str) -> None:
    models = {name: {"responses": answers(tmp_path, name, [f"{name} {i}" for i in range(6)])} for name in ("a", "b")}
    judge = {"backend": "openai", "model": "judge-1", "base_url": "http://127.0.0.1:1/v1", "api_key_env": None}
    suite = write_suite(tmp_path, 6, models, judges={"llm": judge})
    typed = [sys.executable, "-c", TOLD_AT_THE_FIRST_CALL, command, "--suite", str(suite), "--judge", "llm"]
    done = subprocess.run(typed, cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("asked\n", 0), done.stderr


def test_the_package_runs_as_a_module() -> None:
    """Its own name is on no path where the sources alone are."""
    done = subprocess.run([sys.executable, "-m", "sciexam", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()


def test_a_loaded_statistic_would_be_seen() -> None:
    assert loaded_by("import scipy\nprint()") == {"scipy"}
