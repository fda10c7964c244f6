"""A model keeps its name and changes its weights: behind an endpoint, in a folder, and in a file of answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conftest import Cli, answers, write_suite
from endpoint import Endpoint
from judged import exam, verdict_rows
from rows import Tally
from sciexam.report.making import UNKNOWN

PROMPTS = 4


def page_of(folder: Path, report: str) -> str:
    return (folder / "results" / "exam" / json.loads(report)["run"] / "report.html").read_text(encoding="utf-8")


def test_a_contestant_of_another_revision_is_asked_again_and_each_report_says_which_it_was(
    tmp_path: Path, sciexam: Cli, tally: Tally
) -> None:
    base = {"responses": answers(tmp_path, "base", ["Because."] * PROMPTS)}
    with Endpoint("echo") as endpoint:
        spec = {"backend": "openai", "model": "m", "base_url": endpoint.url, "api_key_env": None}

        def compared(revision: str | None) -> str:
            models = {"base": base, "sft": spec | ({"revision": revision} if revision else {})}
            suite = write_suite(tmp_path, PROMPTS, models)
            done = sciexam("compare", "--suite", str(suite), "--judge", "measures", "--json")
            assert done.returncode == 0, done.stderr
            return done.stdout

        said = {revision: compared(revision) for revision in ("r1", "r2", None)}
        assert endpoint.requests == 3 * PROMPTS, "nothing that other weights answered is taken for an answer of these"
        compared("r1")
        assert endpoint.requests == 3 * PROMPTS, "and what these answered is still there"
    for revision, report in said.items():
        assert f", revision {revision or UNKNOWN}</code>" in page_of(tmp_path, report)
    tally(3 * PROMPTS)


def test_a_judge_of_another_revision_judges_again(tmp_path: Path, sciexam: Cli, tally: Tally) -> None:
    with Endpoint("judge-longer") as endpoint:
        pages = []
        for revision in ("r1", "r2", None):
            suite = exam(tmp_path, endpoint.url, PROMPTS, revision=revision)
            done = sciexam("compare", "--suite", str(suite), "--json")
            assert done.returncode == 0, done.stderr
            pages.append(page_of(tmp_path, done.stdout))
        assert endpoint.requests == 6 * PROMPTS
    rows = verdict_rows(tmp_path)
    assert len({key for key, _, _ in rows}) == len(rows) == 6 * PROMPTS, "all are kept, each under a key of its own"
    for page, shown in zip(pages, ("r1", "r2", UNKNOWN), strict=True):
        assert f"revision: {shown}</code>" in page
    tally(6 * PROMPTS)


def test_a_file_of_answers_that_changed_is_read_again(tmp_path: Path, sciexam: Cli) -> None:
    with Endpoint("judge-longer") as endpoint:
        suite = exam(tmp_path, endpoint.url, PROMPTS)
        first = json.loads(sciexam("compare", "--suite", str(suite), "--json").stdout)
        answers(tmp_path, "new", ["So."] * PROMPTS)
        second = json.loads(sciexam("compare", "--suite", str(suite), "--json").stdout)
        assert endpoint.requests == 4 * PROMPTS
    assert (first["pairs"][0]["wins"], second["pairs"][0]["losses"]) == (PROMPTS, PROMPTS)
    assert first["run"] != second["run"]


@pytest.mark.slow
def test_other_weights_in_the_same_folder_answer_anew(tmp_path: Path, sciexam: Cli) -> None:
    pytest.importorskip("torch")
    import checkpoints

    base = {"responses": answers(tmp_path, "base", ["Because."] * PROMPTS)}
    suite = write_suite(tmp_path, PROMPTS, {"base": base, "sft": {"weights": "./sft"}}, generation={"max_tokens": 8})
    command = ("compare", "--suite", str(suite), "--judge", "measures", "--json")
    calls, digests = [], set()
    for seed in (1, 2, 2):
        checkpoints.causal(tmp_path / "sft", seed=seed)
        done = sciexam(*command, env={"HF_HUB_OFFLINE": "1"})
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        calls.append(report["calls"]["made"])
        manifest = json.loads((tmp_path / "results" / "exam" / report["run"] / "run.json").read_text())
        digests.add(manifest["plan"]["models"]["sft"])
    assert (calls, len(digests)) == ([PROMPTS, PROMPTS, 0], 2)
