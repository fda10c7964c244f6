"""`sciexam report`: the latest comparison counted again, opened, and followed while another process makes it."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import sciexam as sx
from conftest import COMMAND, Cli, answers, clean_environment, write_suite
from endpoint import Endpoint
from sciexam import exam
from sciexam.errors import Interrupted
from sciexam.exam import reporting
from sciexam.exam.reporting import Look
from sciexam.exam.tally import Progress
from sciexam.report.record import Report
from sciexam.report.wording import so_far

PROMPTS = 20
REFRESH = re.compile(r'http-equiv="refresh" content="(\d+)"')


def suite(folder: Path, url: str = "", **more: Any) -> str:
    """Two recorded contestants, `new` always with the longer answer, and where there is a `url` a judge behind it."""
    models = {
        "old": {"responses": answers(folder, "old", [f"Because of {i}." for i in range(PROMPTS)])},
        "new": {"responses": answers(folder, "new", [f"Because of {i}, and for a reason." for i in range(PROMPTS)])},
    }
    llm = {"backend": "openai", "model": "judge-1", "base_url": url, "api_key_env": None, "concurrency": 2}
    judges = {"judges": {"llm": llm}, "judge": "llm"} if url else {}
    return str(write_suite(folder, PROMPTS, models, **judges, **more))


def compared(folder: Path, *names: str, **options: Any) -> Report:
    return sx.compare(suite(folder), *names, results=folder / "results", **options)


def page_of(folder: Path) -> Path:
    (found,) = (folder / "results" / "exam").glob("*/report.html")
    return found


def test_without_a_run_the_latest_comparison_is_counted_again(tmp_path: Path, sciexam: Cli) -> None:
    compared(tmp_path, "old", "new")
    last = compared(tmp_path, "new", "old", limit=12).to_json()
    sx.grade(str(tmp_path / "exam.yaml"), "old", results=tmp_path / "results")
    shutil.rmtree(tmp_path / "results" / "exam")
    done = sciexam("report", "--json")
    assert done.returncode == 0, done.stderr
    again = json.loads(done.stdout)
    assert again["run"] == last["run"]
    assert again["pairs"] == last["pairs"]
    assert "missing" not in again
    assert page_of(tmp_path).is_file()


def test_what_a_model_says_of_how_it_is_asked_does_not_hide_what_the_suite_says(tmp_path: Path) -> None:
    """The suite has three answers to a prompt, and a model that names its temperature still gives three."""
    models = {
        name: {"backend": "scripted", "rules": [{"say": text}], "generation": {"temperature": 0.5}}
        for name, text in (("old", "Because."), ("new", "Because of heat."))
    }
    path = write_suite(tmp_path, PROMPTS, models, generation={"samples": 3})
    found = sx.compare(str(path), "old", "new", results=tmp_path / "results")
    again = reporting.report(found.run, results=tmp_path / "results")
    assert again.run == found.run
    assert [pair.verdicts for pair in again.pairs] == [{"ok": 3 * PROMPTS, "invalid": 0, "failed": 0}]


def test_a_run_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path, sciexam: Cli) -> None:
    first, last = compared(tmp_path, "old", "new"), compared(tmp_path, "new", "old", limit=12)
    done = sciexam("report", "nonsense")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert lines[0] == "sciexam: 'nonsense' is not a run in results/ledger.sqlite; the latest comparisons are:"
    day = r"\d{4}-\d\d-\d\d \d\d:\d\d"
    assert re.fullmatch(rf"sciexam:   {last.run}  {day}  new, old", lines[1])
    assert re.fullmatch(rf"sciexam:   {first.run}  {day}  old, new", lines[2])


def test_a_ledger_without_a_comparison_says_so(tmp_path: Path, sciexam: Cli) -> None:
    sx.grade(suite(tmp_path), "old", results=tmp_path / "results")
    done = sciexam("report")
    assert done.returncode == 2
    assert "results/ledger.sqlite holds no comparison yet; `sciexam compare` makes one" in done.stderr


@pytest.mark.parametrize(
    "command", [pytest.param(("compare", "old", "new", "--suite", "exam.yaml"), marks=pytest.mark.slow), ("report",)]
)
def test_open_shows_the_page_in_the_browser_that_is_there(
    command: tuple[str, ...], tmp_path: Path, sciexam: Cli
) -> None:
    compared(tmp_path, "old", "new")
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/opened\n')
    browser.chmod(0o755)
    done = sciexam(*command, "--open", "--quiet", env={"BROWSER": f"{browser} %s"})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "opened").read_text().splitlines() == [page_of(tmp_path).as_uri()]


def test_where_no_browser_can_be_opened_the_path_is_said(tmp_path: Path, sciexam: Cli) -> None:
    compared(tmp_path, "old", "new")
    nothing = {"BROWSER": "", "DISPLAY": "", "WAYLAND_DISPLAY": "", "PATH": str(tmp_path)}
    done = sciexam("report", "--open", "--quiet", env=nothing)
    assert done.returncode == 0
    assert f"sciexam: no browser could be opened here; the page is {page_of(tmp_path)}" in done.stderr


# ---------------------------------------------------------------- a comparison that is still running


@pytest.mark.slow
def test_a_running_comparison_is_followed_until_nothing_is_missing(tmp_path: Path) -> None:
    looks: list[tuple[Look, str]] = []

    def told(look: Look) -> None:
        page = page_of(tmp_path).read_text() if look.report else ""
        looks.append((look, page))

    with Endpoint("judge-longer", latency=0.1) as endpoint:
        command = [str(COMMAND), "compare", "old", "new", "--suite", suite(tmp_path, endpoint.url), "--quiet"]
        child = subprocess.Popen(command, cwd=tmp_path, env=clean_environment(), stdout=subprocess.PIPE)
        ledger = tmp_path / "results" / "ledger.sqlite"
        wait_for(lambda: ledger.exists() and endpoint.requests > 4)
        report = reporting.watch(told, results=tmp_path / "results", every=0.2)
        child.communicate(timeout=60)
    assert child.returncode == 0
    missing = [look.missing for look, _ in looks]
    assert missing == sorted(missing, reverse=True)
    assert missing[-1] == 0
    assert len(set(missing)) > 3, "a look for what has arrived"
    followed = [(look, page) for look, page in looks if look.report and look.missing]
    assert followed
    for look, page in followed:
        assert look.workers == 1
        assert REFRESH.findall(page) == ["1"]
        assert look.report is not None
        assert f"So far.</strong> {so_far(look.report)}" in page
        assert look.report.next_steps[0].command.endswith("compare old new --suite " + str(tmp_path / "exam.yaml"))
    assert report.missing == 0
    assert report.pairs["old", "new"].used == PROMPTS
    page = page_of(tmp_path).read_text()
    assert not REFRESH.search(page)
    assert "So far" not in page


def test_nothing_is_counted_again_while_nothing_arrives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Endpoint("judge-longer", latency=5) as endpoint:
        child = interrupted(tmp_path, suite(tmp_path, endpoint.url), lambda: endpoint.requests > 0)
    assert child.returncode == -signal.SIGKILL
    counted: list[int] = []
    real = exam.reporting.count
    monkeypatch.setattr(exam.reporting, "count", lambda *a, **k: counted.append(1) or real(*a, **k))
    stop = threading.Event()
    threading.Timer(1.0, stop.set).start()
    looks: list[Look] = []
    with pytest.raises(exam.reporting.Incomplete, match="nothing can be counted of this comparison yet"):
        reporting.watch(looks.append, results=tmp_path / "results", stop=stop, every=0.05)
    assert [(look.report, look.missing, look.workers) for look in looks] == [(None, 2 * PROMPTS, 0)]
    assert len(counted) == 1


def interrupted(folder: Path, path: str, soon: Any) -> subprocess.Popen[bytes]:
    """A comparison that is killed once `soon`."""
    command = [str(COMMAND), "compare", "old", "new", "--suite", path]
    child = subprocess.Popen(
        command, cwd=folder, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    wait_for(soon)
    child.kill()
    child.communicate()
    return child


def wait_for(soon: Any) -> None:
    for _ in range(600):
        if soon():
            return
        time.sleep(0.05)
    raise AssertionError("it never came to that")


def test_a_report_of_an_interrupted_run_says_what_was_not_asked_yet_and_ends_with_3(
    tmp_path: Path, sciexam: Cli
) -> None:
    stop = threading.Event()

    def told(now: Progress) -> None:
        if now.verdicts >= 8:
            stop.set()

    with Endpoint("judge-longer", latency=0.02) as endpoint:
        exam_of = suite(tmp_path, endpoint.url)
        with pytest.raises(Interrupted):
            sx.compare(exam_of, results=tmp_path / "results", stop=stop, progress=told)
    done = sciexam("report", "-q")
    assert done.returncode == 3
    assert re.search(r"sciexam: \d+ of 20 prompts used; \d+ not asked yet$", done.stderr, re.MULTILINE)
    assert re.search(r"sciexam: \d+ verdicts are still missing\. The same `sciexam compare` asks", done.stderr)
    assert "skipped" not in sciexam("report").stdout


@pytest.mark.slow
def test_who_follows_a_comparison_that_nobody_works_on_is_told_so_and_ctrl_c_ends_it(
    tmp_path: Path, sciexam: Cli
) -> None:
    with Endpoint("judge-longer", latency=0.1) as endpoint:
        interrupted(tmp_path, suite(tmp_path, endpoint.url), lambda: endpoint.requests > 9)
    child = subprocess.Popen(
        [str(COMMAND), "report", "--watch"],
        cwd=tmp_path,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stderr is not None
    line = child.stderr.readline()
    assert re.search(
        r"new scores 1\.00 .* \d+ verdicts are still missing\. No process is working on it; the same `sciexam", line
    )
    assert REFRESH.findall(page_of(tmp_path).read_text()) == ["5"]
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=30)
    assert (child.returncode, out) == (130, "")
    assert "no longer following; the comparison itself is not touched" in err
    assert "`sciexam report --watch` goes on following" in err
    page = page_of(tmp_path).read_text()
    assert not REFRESH.search(page)
    assert "still missing" in page
    done = sciexam("report", "--json")
    told = json.loads(done.stdout)
    assert told["missing"] > 0
    assert told["next_steps"][0]["why"].endswith("still to come; the same command asks for them")
