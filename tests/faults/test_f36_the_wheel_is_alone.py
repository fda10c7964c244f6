"""A stranger has the wheel alone: no file of it is missing, and an extra that is not installed is asked for."""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT, answers, clean_environment, write_suite
from offline import Offline
from rows import Tally

SLOW = 900  # seconds that pip may take
UNREACHABLE = "ConnectionError|ConnectTimeout|ProxyError|Temporary failure|Network is unreachable"
# What git ignores: data that suites were given to work with.
GENERATED = ("suites/sawyer-toy/documents.jsonl", "suites/science-judge/judging.jsonl", "suites/self-rewarding/x.jsonl")
# Runs the command line where these modules are not installed.
WITHOUT = "import sys\nsys.modules.update(dict.fromkeys({missing!r}))\nfrom sciexam.cli import main\nmain()"


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
    for generated in GENERATED:
        (source / generated).parent.mkdir(exist_ok=True)
        (source / generated).write_text("{}", encoding="utf-8")
    programs = fresh(folder / "venv")
    install(programs, "hatchling>=1.27")
    command = ("-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, source)
    done = run(programs / "python", *command, cwd=folder)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the wheel, what it needs by version and hash, and nothing else."""
    programs = fresh(tmp_path_factory.mktemp("installed") / "venv")
    install(programs, "--require-hashes", "-r", str(ROOT / "requirements.lock"))
    install(programs, "--no-deps", str(wheel))
    return programs


def ignored(path: Path) -> bool:
    """Whether git does not keep a file: it was made here, and belongs to nobody else."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        return False
    return run("git", "check-ignore", "--quiet", path, cwd=ROOT).returncode == 0


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
        if path.is_file() and not ignored(path)
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
def test_the_installed_wheel_passes_the_demo_in_an_empty_folder_without_a_network(
    installed: Path, offline: Offline, tmp_path: Path, tally: Tally
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()

    def command(*arguments: str, cwd: Path = empty) -> subprocess.CompletedProcess[str]:
        done = offline.run(installed / "sciexam", *arguments, cwd=cwd)
        assert done.returncode == 0, done.stderr
        return done

    where = offline.run(installed / "python", "-c", "import sciexam; print(sciexam.__file__)", cwd=empty)
    assert Path(where.stdout.strip()).is_relative_to(installed.parent), "the wheel's code, and not the checkout's"
    report: dict[str, Any] = json.loads(command("compare", "base", "sft", "--json").stdout)
    (pair,) = report["pairs"]
    assert (pair["judge"], pair["failed"], pair["used"]) == ("tiny", 0, 100)
    assert (empty / "results" / "science" / report["run"] / "report.html").is_file()
    assert json.loads(command("report", report["run"], "--json").stdout)["pairs"] == report["pairs"]
    assert command("check").stdout.endswith("nothing is wrong\n")
    assert command("store", "check").stdout.endswith("nothing is damaged\n")
    said = " ".join(command("doctor").stdout.split())
    assert "train: torch is not installed. To do: where you need it, pip install 'sciexam[train]'" in said
    command("init", "mine")
    started = json.loads(command("compare", "old", "new", "--suite", "mine", "--json", cwd=empty / "mine").stdout)
    assert (started["suite"], started["pairs"][0]["used"]) == ("mine", 3)
    assert offline.asked == []
    tally(7)


@pytest.mark.slow
@pytest.mark.timeout(SLOW)
def test_without_the_extra_the_installed_wheel_says_what_to_type(installed: Path, tmp_path: Path, tally: Tally) -> None:
    for command, said in ASKED.items():
        done = run(installed / "sciexam", *prepared(tmp_path, command), cwd=tmp_path)
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    tally(len(ASKED))


HEAVY = (
    "torch",
    "transformers",
    "peft",
    "trl",
    "datasets",
    "lm_eval",
    "ray",
    "psycopg",
    "pyarrow",
    "datasketch",
    "py7zr",
)
ASKED = {
    ("train", "sft", "--suite", "exam.yaml"): "training needs torch: pip install 'sciexam[train]'",
    ("compare", "old", "sft", "--suite", "exam.yaml"): "pip install 'sciexam[local]'",
    ("bench", "old", "--suite", "exam.yaml", "--tasks", "arc_easy"): "pip install 'sciexam[bench]'",
    ("compare", "base", "sft", "--store", "postgresql://nobody@127.0.0.1:9/x"): "pip install 'sciexam[postgres]'",
}


def prepared(folder: Path, command: tuple[str, ...]) -> tuple[str, ...]:
    """The command, in a folder with a suite that has local weights in it."""
    weights = folder / "weights"
    weights.mkdir(exist_ok=True)
    (weights / "config.json").write_text('{"model_type": "llama", "architectures": ["LlamaForCausalLM"]}')
    (weights / "tokenizer.json").write_text("{}")
    (weights / "model.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")
    models = {
        "old": {"responses": answers(folder, "old", ["yes"])},
        "base": {"weights": str(weights)},
        "sft": {"from": "base", "stage": "sft", "data": "lessons.jsonl", "weights": str(weights)},
    }
    write_suite(folder, 1, models)
    return command


@pytest.mark.parametrize("command", ASKED, ids=lambda command: f"{command[0]} {command[-1]}")
def test_an_extra_that_is_missing_is_named_with_what_to_type(
    tmp_path: Path, command: tuple[str, ...], tally: Tally
) -> None:
    done = run(sys.executable, "-c", WITHOUT.format(missing=HEAVY), *prepared(tmp_path, command), cwd=tmp_path)
    assert (done.returncode, ASKED[command] in done.stderr) == (2, True), done.stderr
    assert len(done.stderr.splitlines()) == 1
    tally(1)
