"""Break the product on purpose, one small patch a row of the fault suite, and demand that the row's test fails.

    python tests/mutants            # all of them
    python tests/mutants f01 a07    # some

A patch is a unified diff against src/. It begins with two comments: `# ` and a sentence that says what is broken, `# `
and the test that has to fail (`file::test`). Each is applied in a copy of the tree, so the tree itself stays whole. The
test must pass before the patch and fail after it by an assertion: a test that fails otherwise has caught nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
AT_ONCE = 2
LONGEST = 1200  # seconds of a test, as in `make test-slow`: a busy machine is no mutant that nobody caught
MADE = shutil.ignore_patterns(".*", "results", "build", "dist", "site")  # at the top, by tools; git does not know it
# How a failed assertion begins in a report; a test that ran out of time is none.
ASSERTIONS = ("AssertionError", "assert ", "Failed: ")
OUT_OF_TIME = "Failed: Timeout"

CAUGHT = "caught"
NOT_RUN = "not run here"


@dataclass(frozen=True)
class Mutant:
    """One patch: the row it is for, what it breaks, and the test that has to fail."""

    file: Path
    row: str
    broken: str
    test: str


@dataclass(frozen=True)
class Ran:
    """How a test ended: passed, failed, error or skipped, and what the report says of it."""

    ended: str
    message: str = ""


def read(file: Path) -> Mutant:
    said = [line.removeprefix("# ").strip() for line in file.read_text(encoding="utf-8").splitlines()[:2]]
    if len(said) < 2 or "::" not in said[1]:
        raise SystemExit(f"{file}: begin with two lines: '# what is broken' and '# tests/faults/test_f01_x.py::test_y'")
    return Mutant(file, file.stem.upper(), *said)


def tried(mutant: Mutant) -> str:
    """What became of one mutant: caught, not run here, or why it was not caught."""
    with tempfile.TemporaryDirectory(prefix="sciexam-mutant-") as folder:
        Path(folder).chmod(0o755)  # a test may become somebody else
        copy = Path(folder) / "tree"
        shutil.copytree(ROOT, copy, ignore=left_out)
        whole = run_test(mutant.test, copy)
        if whole.ended == "skipped":
            return f"{NOT_RUN}: {whole.message}"
        if whole.ended != "passed":
            return f"NOT CAUGHT: the test does not pass without the patch ({whole.ended}: {whole.message})"
        if complaint := apply(mutant.file, copy):
            return f"does not apply: {complaint}"
        return verdict(run_test(mutant.test, copy))


def left_out(folder: str, names: list[str]) -> set[str]:
    return {"__pycache__"} | (MADE(folder, names) if Path(folder) == ROOT else set())


def verdict(broken: Ran) -> str:
    """What the test's end on the broken tree says of the test."""
    if broken.ended == "passed":
        return "NOT CAUGHT: the test passes"
    if broken.ended != "failed" or not broken.message.startswith(ASSERTIONS) or broken.message.startswith(OUT_OF_TIME):
        return f"NOT CAUGHT: the test fails, but by no assertion ({broken.ended}: {broken.message})"
    return CAUGHT


def apply(patch: Path, copy: Path) -> str:
    """Apply a patch to the copy; returns the complaint, or nothing."""
    # In a folder of some other repository git would skip the patch without a word.
    env = os.environ | {"GIT_CEILING_DIRECTORIES": str(copy.parent)}
    done = subprocess.run(["git", "apply", patch], cwd=copy, env=env, capture_output=True, text=True)
    return done.stderr.strip().replace("\n", "; ") if done.returncode else ""


def run_test(test: str, copy: Path) -> Ran:
    """Run one test of the copy on the source of the copy."""
    report = copy.parent / "report.xml"
    report.unlink(missing_ok=True)
    options = ["-p", "no:cacheprovider", "-m", "", f"--timeout={LONGEST}", f"--junitxml={report}"]
    command = [sys.executable, "-m", "pytest", *options, test]
    real_data = os.environ.get("SCIEXAM_SHARED_DATA", str(ROOT.parent / "shared" / "data"))
    settings = {"PYTHONPATH": str(copy / "src"), "SCIEXAM_SHARED_DATA": real_data, "PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run(command, cwd=copy, env=os.environ | settings, capture_output=True, text=True)
    if not report.exists():
        return Ran("error", ended.stdout.strip()[-300:])
    return worst(list(ElementTree.parse(report).iter("testcase")))


def worst(cases: list[ElementTree.Element]) -> Ran:
    """A name can stand for several cases (parametrized): one that fails is enough, an error counts before a pass."""
    for kind, ended in (("failure", "failed"), ("error", "error")):
        for case in cases:
            if (found := case.find(kind)) is not None:
                return Ran(ended, first_line(found))
    skips = [found for case in cases if (found := case.find("skipped")) is not None]
    if skips and len(skips) == len(cases):
        return Ran("skipped", first_line(skips[0]))
    return Ran("passed") if cases else Ran("error", "no such test")


def first_line(found: ElementTree.Element) -> str:
    return (found.get("message") or found.text or "").strip().split("\n")[0][:200]


def main(rows: list[str]) -> int:
    files = [HERE / f"{row.lower()}.patch" for row in rows] or sorted(HERE.glob("*.patch"))
    if missing := [file.name for file in files if not file.exists()]:
        there = ", ".join(sorted(file.stem for file in HERE.glob("*.patch")))
        raise SystemExit(f"no such mutant: {', '.join(missing)}; there are: {there}")
    mutants = [read(file) for file in files]
    ends = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for mutant, end in zip(mutants, pool.map(tried, mutants), strict=True):
            print(f"{mutant.row}  {mutant.broken}  {end}", flush=True)
            ends.append(end)
    bad = [end for end in ends if end != CAUGHT and not end.startswith(NOT_RUN)]
    print(f"{ends.count(CAUGHT)} of {len(ends)} mutants caught" + (f", {len(bad)} not" if bad else ""))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
