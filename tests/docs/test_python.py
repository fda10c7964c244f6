"""The Python of the documentation is Python, and that of README.md runs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from pages import ROOT, name_of, pages, tokens

from conftest import clean_environment

WRITTEN = ROOT / "docs" / "api.md"  # signatures, which are no programs


def python_of(page: Path) -> list[str]:
    return [token.content for token in tokens(page) if token.type == "fence" and token.info == "python"]


def programs() -> list[Path]:
    return [page for page in pages() if page != WRITTEN and python_of(page)]


@pytest.mark.parametrize("page", programs(), ids=name_of)
def test_it_is_python(page: Path) -> None:
    for source in python_of(page):
        ast.parse(source)


@pytest.mark.slow
def test_that_of_the_readme_runs(tmp_path: Path) -> None:
    source = "\n".join(python_of(ROOT / "README.md"))
    command = [sys.executable, "-c", source]
    done = subprocess.run(command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [*tmp_path.glob("results/science/*/report.html")]
