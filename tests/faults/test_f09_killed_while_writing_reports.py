"""The process is killed with kill -9 while it writes a report's files over the ones before."""

from __future__ import annotations

import os
import random
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

import sciexam as sx
from conftest import answers, write_suite
from rows import Tally
from sciexam.exam import reporting
from sciexam.exam.runs import write_run

PROMPTS = 12
FILES = ["report.html", "report.json", "report.md", "run.json"]


@pytest.mark.parametrize("kills", [10, pytest.param(60, marks=pytest.mark.slow)])
def test_a_kill_leaves_the_old_or_the_new_file_whole_and_the_next_write_leaves_no_litter(
    tmp_path: Path, tally: Tally, kills: int
) -> None:
    texts = {name: [f"{name} says {i}. " * 400 for i in range(PROMPTS)] for name in ("base", "sft")}
    models = {name: {"responses": answers(tmp_path, name, said)} for name, said in texts.items()}
    suite = sx.load_suite(str(write_suite(tmp_path, PROMPTS, models)))
    first = sx.compare(suite, "base", "sft", results=tmp_path / "results")
    second = replace(first, caveats=("Something else is to be known.", *first.caveats))
    manifests = [{"argv": ["sciexam", "compare", word], "plan": {}} for word in ("old", "new")]
    folder = tmp_path / "results" / "exam" / first.run
    whole: dict[str, set[bytes]] = {name: set() for name in FILES}
    written = []
    both = list(zip((first, second), manifests, strict=True))
    for report, manifest in both:
        reporting.write(report, manifest, tmp_path / "results")
        for name in FILES:
            whole[name].add((folder / name).read_bytes())
        written.append((manifest, {name: (folder / name).read_text() for name in FILES[:-1]}))
    assert all(len(kinds) == 2 for kinds in whole.values())

    rng = random.Random(60)
    litter = 0
    for _ in range(kills):
        child = os.fork()
        if child == 0:  # puts the one and the other in place, until it is killed
            while True:
                for manifest, files in written:
                    write_run(folder, manifest, files.items())
        looks, latest = rng.randrange(3), time.monotonic() + rng.uniform(0.05, 0.5)
        while looks >= 0 and time.monotonic() < latest:  # kill it over a draft, or where there is none, at any moment
            looks -= len(os.listdir(folder)) > len(FILES)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        for name in FILES:
            assert (folder / name).read_bytes() in whole[name], f"{name} is neither the old one nor the new one"
        litter += len(os.listdir(folder)) - len(FILES)
        reporting.write(*both[0], tmp_path / "results")
        assert sorted(os.listdir(folder)) == FILES
    assert litter > kills / 6, "too few kills came while a file was half written: this test has shown little"
    tally(kills)
