"""No verdict is usable, there is no prompt or one contestant, no battles connect two, or one wins everything."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from conftest import Cli, answers, write_jsonl, write_suite
from endpoint import Endpoint
from judged import exam
from rows import Tally

PROMPTS = 12


def recorded(folder: Path, names: Sequence[str], verdicts: Sequence[dict[str, Any]] = ()) -> str:
    """A suite of recorded contestants, with verdicts on them in v.jsonl."""
    models = {name: {"responses": answers(folder, name, [f"{name} {i}" for i in range(PROMPTS)])} for name in names}
    if verdicts:
        write_jsonl(folder / "v.jsonl", verdicts)
    return str(write_suite(folder, PROMPTS, models))


def met(a: str, b: str, says: str = "ab=b") -> list[dict[str, Any]]:
    """What a judge says of two contestants, prompt by prompt over and over: a, b or a tie, in both orders alike."""
    said = [says[i % len(says)] for i in range(PROMPTS)]
    sides = {(a, "a"): "first", (a, "b"): "second", (b, "a"): "second", (b, "b"): "first"}
    return [
        {"prompt": f"q{i}", "first": first, "second": second, "preferred": sides.get((first, winner), "tie")}
        | {"rater": "r", "kind": "judge"}
        for i, winner in enumerate(said)
        for first, second in ((a, b), (b, a))
    ]


def only_numbers(folder: Path, done: subprocess.CompletedProcess[str]) -> int:
    """Demand that no figure in anything printed or written is NaN or infinite; how many files were looked at."""
    texts = {"stdout": done.stdout, "stderr": done.stderr}
    for path in (folder / "results").rglob("*"):
        if path.suffix in (".json", ".md", ".csv", ".html"):
            texts[path.name] = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            json.loads(texts[path.name], parse_constant=pytest.fail)
    for name, text in texts.items():
        shown = re.sub(r"<(script|style|svg).*?</\1>", "", text, flags=re.DOTALL)
        assert not re.search(r"(?<![\w.])[-+]?(nan|inf|infinity)(?![\w.])", shown, re.IGNORECASE), name
    return len(texts) - 2


@pytest.mark.parametrize(
    ("prompts", "named", "options", "said"),
    [
        ("", "ab", (), "prompts.jsonl: holds no prompts"),
        ("\n \n", "ab", (), "prompts.jsonl: holds no prompts"),
        (None, "ab", ("--limit", "0"), "--limit: 1 or more prompts, not 0"),
        (None, "a", (), "a comparison needs two contestants, and only 'a' is named"),
        (None, "", (), "exam.yaml:1: contestants: tuple should have at least 1 item"),
    ],
)
def test_without_two_contestants_and_a_prompt_there_is_nothing_to_compare(
    tmp_path: Path, sciexam: Cli, prompts: str | None, named: str, options: tuple[str, ...], said: str
) -> None:
    suite = recorded(tmp_path, named or "ab")
    if not named:
        given = json.loads(Path(suite).read_text())
        Path(suite).write_text(json.dumps(given | {"contestants": []}))
    if prompts is not None:
        (tmp_path / "prompts.jsonl").write_text(prompts)
    done = sciexam("compare", "--suite", suite, "--judge", "measures", *options)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_where_no_reply_is_usable_every_figure_is_a_sentence_and_the_command_ends_with_3(
    tmp_path: Path, sciexam: Cli, tally: Tally
) -> None:
    with Endpoint("judge-garbage") as endpoint:
        suite = exam(tmp_path, endpoint.url, PROMPTS)
        done = sciexam("compare", "--suite", str(suite))
    assert done.returncode == 3, done.stderr
    printed = " ".join(done.stdout.split())
    assert "nothing can be said of new against old: no prompt has a usable verdict." in printed
    assert f"0 of {PROMPTS} prompts used; {PROMPTS} invalid" in printed
    assert only_numbers(tmp_path, done) >= 4
    tally(2 * PROMPTS)


def test_contestants_that_no_chain_of_battles_connects_are_not_rated_and_the_others_are(
    tmp_path: Path, sciexam: Cli, tally: Tally
) -> None:
    suite = recorded(tmp_path, "abcd", met("a", "b") + met("c", "d"))
    done = sciexam("leaderboard", "--suite", suite, "--judge", "v.jsonl")
    assert done.returncode == 0, done.stderr
    printed = " ".join(done.stdout.split())
    assert "n/a for c, d (rating): no chain of battles orders it against the rated contestants." in printed
    folders = (tmp_path / "results" / "exam").iterdir()
    (written,) = (one / "leaderboard.json" for one in folders if one.name != "leaderboard")  # which is the site
    rows = {row["contestant"]: row for row in json.loads(written.read_text())["standings"][0]["rows"]}
    assert rows["b"]["rating"]["value"] > rows["a"]["rating"]["value"] == 1000
    assert {name for name, row in rows.items() if row["rating"]["value"] is None} == {"c", "d", "null"}
    assert all(rows[name]["rating"]["why"] for name in "cd")
    assert only_numbers(tmp_path, done) >= 3
    compared = sciexam("compare", "--suite", suite, "--judge", "v.jsonl", "--json")
    used = {(pair["a"], pair["b"]): pair["used"] for pair in json.loads(compared.stdout)["pairs"]}
    assert [names for names, count in used.items() if count] == [("a", "b"), ("c", "d")]
    only_numbers(tmp_path, compared)
    tally(2)


@pytest.mark.parametrize(
    ("winner", "value", "low", "high", "conclusion"),
    [
        ("b", 1.0, 0.73, 1.0, "better"),
        ("a", 0.0, 0.0, 0.27, "worse"),
        ("=", 0.5, 0.0, 1.0, "undecided"),
    ],
)
def test_a_sweep_is_a_result_with_its_interval(
    tmp_path: Path, sciexam: Cli, winner: str, value: float, low: float, high: float, conclusion: str
) -> None:
    suite = recorded(tmp_path, "ab", met("a", "b", winner))
    done = sciexam("compare", "--suite", suite, "--judge", "v.jsonl", "--json")
    assert done.returncode == 0, done.stderr
    (pair,) = json.loads(done.stdout, parse_constant=pytest.fail)["pairs"]
    assert (pair["win_rate"]["value"], pair["conclusion"]) == (value, conclusion)
    assert low <= pair["win_rate"]["low"] <= value <= pair["win_rate"]["high"] <= high
    assert pair["win_rate"]["low"] < pair["win_rate"]["high"]
    only_numbers(tmp_path, done)
    board = sciexam("leaderboard", "--suite", suite, "--judge", "v.jsonl")
    assert board.returncode == 0, board.stderr
    only_numbers(tmp_path, board)
