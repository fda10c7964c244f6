"""`sciexam leaderboard` and its site: where it lies, what opens it, what it is not written over, what it leaves out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import sciexam as sx
from conftest import Cli
from endpoint import Endpoint
from sciexam.errors import UsageError
from sciexam.exam.null_contestant import TEXTS
from sciexam.report.standings.readme_table import readme_table
from test_leaderboard import Longer, suite


def texts(folder: Path) -> str:
    return "\n".join(path.read_text() for path in sorted(folder.rglob("*")) if path.is_file())


def test_the_site_stands_beside_the_runs_opens_and_holds_no_text_of_the_exam(sciexam: Cli, tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    exam = suite(tmp_path)
    env = {"BROWSER": f"{browser} %s"}
    done = sciexam("leaderboard", "-s", exam, "-j", "measures", "--open", cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    assert "Site: results/exam/leaderboard/index.html" in done.stdout
    site = tmp_path / "results" / "exam" / "leaderboard"
    assert {path.name for path in site.glob("*")} >= {"index.html", "methods.html", "contestants", "pairs", "judges"}
    assert (tmp_path / "opened").read_text() == f"{(site / 'index.html').as_uri()}\n"
    (run,) = set((tmp_path / "results" / "exam").iterdir()) - {site}
    for name in ("leaderboard.json", "leaderboard.csv", "leaderboard.md"):
        assert (site / name).read_text() == (run / name).read_text()
    held = texts(site)
    for said in ("heat flows", "kettle", "Why does thing", *(text[:30] for text in TEXTS if text), "total 0."):
        assert said not in held
    assert f"sciexam leaderboard -s {exam} -j measures<" in (site / "index.html").read_text()


def test_the_validation_and_the_audit_of_its_judge_stand_on_its_page(tmp_path: Path) -> None:
    exam = suite(tmp_path)
    rows = [
        {"prompt": f"q{i}", "first": "base", "second": "sft", "preferred": side, "rater": rater, "kind": "human"}
        for i in range(12)
        for rater, side in (("jane doe", "second"), ("john roe", "second" if i % 3 else "first"))
    ]
    (tmp_path / "people.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    loaded = sx.load_suite(exam)
    board = sx.leaderboard(loaded, judge="measures", results=tmp_path / "results")
    sx.audit(loaded, "measures", results=tmp_path / "results")
    sx.validate(loaded, "measures", humans=[str(tmp_path / "people.jsonl")], results=tmp_path / "results")
    again = sx.leaderboard(loaded, judge="measures", results=tmp_path / "results")
    assert again.standings == board.standings
    page = (tmp_path / "results" / "exam" / "leaderboard" / "judges" / "measures.html").read_text()
    assert "On 12 comparisons of this suite that 2 annotators judged." in page
    assert "it passes" in page
    assert "had other settings then" not in page
    assert not re.search("jane|john|sciexam (validate|audit)", page)


def test_another_board_replaces_the_site_and_another_folder_can_be_named(tmp_path: Path) -> None:
    exam, site = sx.load_suite(suite(tmp_path)), tmp_path / "public" / "board"
    sx.leaderboard(exam, judge=Longer(), results=tmp_path / "r", site=site)
    (site / "CNAME").write_text("board.example\n")
    assert (site / "contestants" / "rlhf.html").exists()
    sx.leaderboard(exam, "base", "sft", judge=Longer(), results=tmp_path / "r", site=site)
    assert not (site / "contestants" / "rlhf.html").exists()
    assert (site / "CNAME").read_text() == "board.example\n"
    assert not (tmp_path / "r" / "exam" / "leaderboard").exists()


def test_a_folder_with_somebody_elses_work_is_refused_before_anybody_is_asked(sciexam: Cli, tmp_path: Path) -> None:
    with Endpoint("judge-longer") as endpoint:
        judge = {"backend": "openai", "model": "m", "base_url": endpoint.url, "api_key_env": None}
        exam = suite(tmp_path, judges={"gpt": judge})
        (tmp_path / "page" / ".git").mkdir(parents=True)
        done = sciexam("leaderboard", "-s", exam, "--site", "page", cwd=tmp_path)
        assert done.returncode == 2
        assert "page holds .git, which sciexam did not write" in done.stderr
        assert "name a folder that holds nothing else" in done.stderr
        assert endpoint.requests == 0


def test_a_page_of_ones_own_where_one_of_the_site_belongs_is_refused_before_anybody_is_asked(tmp_path: Path) -> None:
    exam, site = sx.load_suite(suite(tmp_path)), tmp_path / "docs"
    asked: list[object] = []
    for name in ("index.html", "pairs", "contestants", "judges", "leaderboard.csv"):
        site.mkdir()
        (site / name).write_text("my own")
        with pytest.raises(UsageError, match=f"docs holds {name}, which sciexam did not write"):
            sx.leaderboard(exam, judge=Longer(), results=tmp_path / "r", site=site, preflight=asked.append)
        assert texts(site) == "my own"
        (site / name).unlink()
        site.rmdir()
    sx.leaderboard(exam, "base", "sft", judge=Longer(), results=tmp_path / "r", site=site)
    (site / "contestants" / "rlhf.html").write_text("my own")
    with pytest.raises(UsageError, match=r"docs holds contestants/rlhf\.html, which sciexam did not write"):
        sx.leaderboard(exam, judge=Longer(), results=tmp_path / "r", site=site, preflight=asked.append)
    assert not asked


def test_a_site_where_the_runs_or_the_ledger_lie_is_refused_before_anybody_is_asked(tmp_path: Path) -> None:
    exam = sx.load_suite(suite(tmp_path))
    runs = r"the runs of suite 'exam' lie in .*/r/exam, and the folder .* name another with --site"
    with pytest.raises(UsageError, match=runs):
        sx.leaderboard(exam, judge=Longer(), results=tmp_path / "r", site=tmp_path / "r" / "exam")
    ledger = r"the ledger lies in .*/docs/ledger\.sqlite, and the folder of the site is replaced as a whole"
    with pytest.raises(UsageError, match=ledger):
        sx.leaderboard(
            exam, judge=Longer(), results=tmp_path / "r", site=tmp_path / "docs", store=tmp_path / "docs/ledger.sqlite"
        )
    assert not (tmp_path / "r").exists()


def test_the_boards_of_two_suites_do_not_replace_each_other(tmp_path: Path) -> None:
    exam = sx.load_suite(suite(tmp_path))
    for name in ("mine", "leaderboard"):
        called = exam.model_copy(update={"name": name})
        sx.leaderboard(called, "base", "sft", judge=Longer(), results=tmp_path / "r")
    for name in ("mine", "leaderboard"):
        assert f"<bdi>{name}</bdi>" in (tmp_path / "r" / name / "leaderboard" / "index.html").read_text()


def test_a_judge_that_lies_on_a_disk_is_called_by_its_last_folder_in_all_that_is_published(tmp_path: Path) -> None:
    with Endpoint("judge-longer") as endpoint:
        model = "/home/alice/acme/judge-8b"
        judge = {"backend": "openai", "model": model, "base_url": endpoint.url, "api_key_env": None}
        board = sx.leaderboard(sx.load_suite(suite(tmp_path, judges={"gpt": judge})), results=tmp_path / "r")
    assert board.judge_is == "the LLM judge-8b, not validated"
    held = texts(tmp_path / "r" / "exam" / "leaderboard")
    assert "judge-8b" in held
    assert "/home/alice" not in held
    assert "acme" not in held


def test_markdown_prints_the_table_for_a_readme_and_nothing_else(sciexam: Cli, tmp_path: Path) -> None:
    exam = suite(tmp_path)
    options = ("leaderboard", "-s", exam, "-j", "measures", "--site", "public", "--markdown")
    nobody = {"PATH": "/nonexistent", "BROWSER": "", "DISPLAY": "", "WAYLAND_DISPLAY": ""}
    done = sciexam(*options, "--open", cwd=tmp_path, env=nobody)
    assert done.returncode == 0, done.stderr
    page = tmp_path / "public" / "index.html"
    assert done.stderr.endswith(f"no browser could be opened here; the page is {page}\n")
    board = sx.leaderboard(sx.load_suite(exam), judge="measures", results=tmp_path / "results")
    assert done.stdout == readme_table(board)
    assert done.stdout.startswith("| rank | contestant | rating | win rate against base |")
    refused = sciexam(*options, "--json", cwd=tmp_path)
    assert refused.returncode == 2
    assert "--json and --markdown: stdout holds one of them; name one" in refused.stderr


def test_a_board_that_was_made_in_python_names_a_command_that_makes_it_again(tmp_path: Path) -> None:
    sx.leaderboard(sx.load_suite(suite(tmp_path)), judge=Longer(), results=tmp_path / "r")
    page = (tmp_path / "r" / "exam" / "leaderboard" / "index.html").read_text()
    assert "sciexam leaderboard base sft rlhf --suite exam --judge longer" in page
