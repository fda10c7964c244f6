"""An import never goes up the floors, and only the command line knows the wings."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

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
    helped = "import sys\nfrom sciexam.cli import app\ntry:\n    app(['--help'])\nexcept SystemExit:\n    pass\nprint()"
    assert loaded_by(helped) == set()
    per_command = helped.replace("'--help'", "'compare', '--help'")
    assert loaded_by(per_command) == set()


def test_the_package_runs_as_a_module() -> None:
    """Its own name is on no path where the sources alone are."""
    done = subprocess.run([sys.executable, "-m", "sciexam", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()


def test_a_loaded_statistic_would_be_seen() -> None:
    assert loaded_by("import scipy\nprint()") == {"scipy"}
