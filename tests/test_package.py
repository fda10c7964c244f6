"""What a stranger installs: the public names, and a wheel that works alone in an empty folder without a network."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

import sciexam as sx
from conftest import ROOT, Cli, clean_environment

SLOW = 900  # seconds that pip may take
UNREACHABLE = "ConnectionError|ConnectTimeout|ProxyError|Temporary failure|Network is unreachable"


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=SLOW,
        check=False,
    )


def fresh(folder: Path) -> Path:
    """A new virtual environment in `folder`; returns its folder of programs."""
    venv.create(folder, with_pip=True)
    return folder / "bin"


def install(programs: Path, *wanted: str) -> None:
    """Skips where the package index cannot be reached, so that an offline machine does not call it a fault of ours."""
    done = run(programs / "python", "-m", "pip", "install", "--quiet", "--retries=1", *wanted, cwd=programs)
    if done.returncode and re.search(UNREACHABLE, done.stderr):
        pytest.skip(f"pip cannot reach an index for {', '.join(wanted)}: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel built from a copy of the sources, so that nothing of a working folder can get into it or be left."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    left_out = shutil.ignore_patterns(".git", ".venv", "results", "__pycache__", ".*_cache", ".hypothesis", "tests")
    shutil.copytree(ROOT, source, ignore=left_out)
    programs = fresh(folder / "venv")
    install(programs, "hatchling>=1.27")
    command = ("-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, source)
    done = run(programs / "python", *command, cwd=folder)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


def test_every_public_name_is_there_and_no_other() -> None:
    for name in sx.__all__:
        assert getattr(sx, name).__name__ == name
    assert set(sx.__all__) == set(sx._HOMES) <= set(dir(sx))
    with pytest.raises(AttributeError, match="module 'sciexam' has no attribute 'comapre'"):
        sx.comapre  # noqa: B018


def test_the_version_is_the_one_that_is_installed(sciexam: Cli) -> None:
    done = sciexam("--version")
    assert (done.returncode, done.stdout) == (0, f"sciexam {importlib.metadata.version('sciexam')}\n")


def test_every_command_has_help(sciexam: Cli) -> None:
    done = sciexam("--help")
    assert done.returncode == 0
    listed = re.findall(r"^  ([a-z]+) ", done.stdout[done.stdout.index("Commands:") :], re.MULTILINE)
    assert {"compare", "report", "check", "init", "rubric"} <= set(listed)
    for command in listed:
        assert sciexam(command, "--help").returncode == 0, command


@pytest.mark.slow
@pytest.mark.timeout(SLOW)
def test_the_wheel_holds_the_code_and_all_its_data_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = archive.read(next(n for n in archive.namelist() if n.endswith("/METADATA"))).decode()
        (licence,) = (n for n in archive.namelist() if n.endswith("/LICENSE"))
        assert archive.read(licence) == (ROOT / "LICENSE").read_bytes()
    source = {path.relative_to(ROOT / "src") for path in (ROOT / "src" / "sciexam").rglob("*") if path.is_file()}
    data = {
        Path("sciexam/data") / path.relative_to(ROOT)
        for kind in ("rubrics", "suites")
        for path in (ROOT / kind).rglob("*")
        if path.is_file()
    }
    assert inside == {path.as_posix() for path in source | data if "__pycache__" not in path.parts}
    for needed in (
        *("py.typed", "starter/suite.yaml", "starter/prompts.jsonl", "report/templates/report.html.j2"),
        *("judges/templates/reason.j2", "data/rubrics/science-explanation.yaml", "data/suites/science.yaml"),
        *("data/suites/science/prompts.jsonl", "data/suites/science/base.jsonl"),
    ):
        assert f"sciexam/{needed}" in inside
    assert "License-Expression: Apache-2.0" in metadata
    assert not re.search(r"^Requires-Dist: (torch|vllm)[^;]*$", metadata, re.MULTILINE), "the core is light"


@pytest.mark.slow
@pytest.mark.timeout(SLOW)
def test_the_installed_wheel_compares_in_an_empty_folder_without_a_network(wheel: Path, tmp_path: Path) -> None:
    cut_off = ("unshare", "--map-root-user", "--net")
    if not shutil.which("unshare") or run(*cut_off, "true", cwd=tmp_path).returncode:
        pytest.skip("this system lets nobody make a network namespace (unshare --map-root-user --net)")
    programs = fresh(tmp_path / "venv")
    install(programs, str(wheel))
    probe = "import socket; socket.create_connection(('127.0.0.1', 9), 1)"
    assert "Network is unreachable" in run(*cut_off, sys.executable, "-c", probe, cwd=tmp_path).stderr
    empty = tmp_path / "empty"
    empty.mkdir()

    def offline(*arguments: str, cwd: Path = empty) -> subprocess.CompletedProcess[str]:
        done = run(*cut_off, programs / "sciexam", *arguments, cwd=cwd)
        assert done.returncode == 0, done.stderr
        return done

    report: dict[str, Any] = json.loads(offline("compare", "base", "sft", "--json").stdout)
    (pair,) = report["pairs"]
    assert (pair["used"], pair["judge"], pair["failed"]) == (24, "measures", 0)
    assert (empty / "results" / "science" / report["run"] / "report.html").is_file()
    assert offline("check").stdout.endswith("nothing is wrong\n")
    offline("init", "mine")
    started = json.loads(offline("compare", "old", "new", "--suite", "mine", "--json", cwd=empty / "mine").stdout)
    assert (started["suite"], started["pairs"][0]["used"]) == ("mine", 3)
