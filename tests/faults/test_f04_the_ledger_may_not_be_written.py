"""The ledger is read-only, belongs to somebody else, or its folder cannot be made; nothing is asked then."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import clean_environment
from endpoint import Endpoint
from judged import exam
from rows import Tally
from sciexam.store import Store

# Imported as root, since the interpreter may lie where others cannot read; then each command is a fork of nobody.
AS_NOBODY = """
import json, os, sys
import sciexam.exam, sciexam.store, sciexam.store.sqlite, sciexam.report.build, sciexam.judges.pairwise, openai
import sciexam.models.openai, sciexam.models.recorded, sciexam.exam.preflight
from sciexam.cli import main
codes = []
for number, store in enumerate(json.loads(sys.argv[1])):
    child = os.fork()
    if child == 0:
        said = os.open(f"said{number}", os.O_WRONLY | os.O_CREAT)
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        os.dup2(said, 1)
        os.dup2(said, 2)
        sys.argv = ["sciexam", "compare", "--suite", "exam.yaml", "--results", "open", "--store", store]
        main()
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(json.dumps(codes))
"""


@pytest.fixture
def everybodys() -> Iterator[Path]:
    """A folder that everybody may enter: pytest makes its own for their owner alone."""
    with tempfile.TemporaryDirectory(prefix="sciexam-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_ledger_that_may_not_be_written_is_named_before_anything_is_asked(everybodys: Path, tally: Tally) -> None:
    readonly, theirs, closed = everybodys / "readonly.sqlite", everybodys / "theirs.sqlite", everybodys / "closed"
    for path in (readonly, theirs):
        Store(path).close()
    readonly.chmod(0o400)
    theirs.chmod(0o600)
    closed.mkdir(mode=0o500)
    stores = [readonly, theirs, closed / "new.sqlite", closed / "no" / "such" / "new.sqlite", readonly / "new.sqlite"]
    if os.geteuid() != 0:
        stores.remove(theirs)  # there is nobody else whose it could be
    (everybodys / "open").mkdir()
    (everybodys / "open").chmod(0o777)
    with Endpoint("judge-longer") as endpoint:
        exam(everybodys, endpoint.url, 2)
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, json.dumps([str(store) for store in stores])],
            cwd=everybodys,
            env=clean_environment(),
            capture_output=True,
            text=True,
        )
        assert endpoint.requests == 0
    said = [(everybodys / f"said{number}").read_text(encoding="utf-8") for number in range(len(stores))]
    assert json.loads(done.stdout) == [5] * len(stores), (done.stderr, said)
    for store, text in zip(stores, said, strict=True):
        assert str(store) in text
        assert "choose another file with --store" in text
        assert "Traceback" not in text
    tally(len(stores))
