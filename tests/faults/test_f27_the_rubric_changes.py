"""The rubric is edited between two runs, and its verdicts lie beside those of the one before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from clicker import Clicker
from conftest import Cli
from endpoint import Endpoint
from judged import exam, verdict_rows
from newcomers import Serve
from rows import Tally

PROMPTS = 6
OLD, NEW = "go from claim to mechanism", "go straight from claim to mechanism"


def written_rubric(folder: Path, sciexam: Cli) -> Path:
    """A rubric `mine` of the folder, which is asked for its question OLD."""
    assert sciexam("rubric", "new", "mine").returncode == 0
    path = folder / "rubrics" / "mine.yaml"
    assert OLD in path.read_text()
    return path


def edited(path: Path) -> None:
    path.write_text(path.read_text().replace(OLD, NEW))


def run_of(folder: Path, report: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads((folder / "results" / "exam" / report["run"] / "run.json").read_text()))


def test_an_edited_rubric_asks_everything_again_keeps_what_was_said_and_each_report_says_which_it_was(
    tmp_path: Path, sciexam: Cli, tally: Tally
) -> None:
    rubric = written_rubric(tmp_path, sciexam)
    with Endpoint("judge-longer") as endpoint:
        suite = exam(tmp_path, endpoint.url, PROMPTS)
        command = ("compare", "--suite", str(suite), "--rubric", "mine", "--json")
        first = json.loads(sciexam(*command).stdout)
        before = verdict_rows(tmp_path)
        edited(rubric)
        second = json.loads(sciexam(*command).stdout)
        assert endpoint.requests == 4 * PROMPTS, "everything was asked again"
        assert sum(NEW in body["messages"][-1]["content"] for body in endpoint.received) == 2 * PROMPTS
        after = verdict_rows(tmp_path)
        assert after[: len(before)] == before
        assert len({key for key, _, _ in after}) == 4 * PROMPTS
        rubric.write_text(rubric.read_text().replace(NEW, OLD))
        third = json.loads(sciexam(*command).stdout)
        assert endpoint.requests == 4 * PROMPTS, "the verdicts by the rubric of before are still there"
    assert first["pairs"] == third["pairs"]
    assert first["run"] == third["run"] != second["run"]
    digests = [run_of(tmp_path, report)["plan"]["digests"]["rubric"] for report in (first, second)]
    assert len(set(digests)) == 2
    for report, digest in zip((third, second), digests, strict=True):
        assert report["rubric"] == "mine"
        page = (tmp_path / "results" / "exam" / report["run"] / "report.html").read_text()
        assert f"rubric: {digest}" in page
    tally(2 * PROMPTS, len(set(before) - set(after)))


def test_what_people_said_by_another_rubric_is_counted_where_it_is_used_and_refused_by_a_check(
    study: Serve, tmp_path: Path, sciexam: Cli
) -> None:
    rubric = written_rubric(tmp_path, sciexam)
    served = study("--annotators", "1", prompts=PROMPTS, rubric="mine", baseline="base")
    Clicker(served.links["annotator-1"], 1).run()
    served.stop()
    command = ("compare", "--suite", "exam.yaml", "--judge", "humans", "--json")
    told = "verdicts were given under another rubric (mine, version 1)"
    assert not any(told in caveat for caveat in json.loads(sciexam(*command).stdout)["caveats"])
    edited(rubric)
    caveats = json.loads(sciexam(*command).stdout)["caveats"]
    assert (
        f"sft against base by humans: {PROMPTS} {told}; they count here, and what they say is by that rubric."
        in caveats
    )
    board = ("leaderboard", "--suite", "exam.yaml", "--judge", "humans")
    assert f"{PROMPTS} {told}" in " ".join(sciexam(*board).stdout.split())
    refused = sciexam(*board, "--check")
    assert refused.returncode == 4
    assert f"sft against base: {PROMPTS} human {told}" in " ".join(refused.stderr.split())
