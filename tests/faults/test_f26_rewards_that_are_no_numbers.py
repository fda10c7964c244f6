"""A reward model gives NaN and infinities among its rewards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import sciexam as sx
from conftest import Cli, answers, write_jsonl, write_suite
from rows import Tally
from sciexam.stats import Distribution

PROMPTS = 6
NAN, INF = float("nan"), float("inf")


def exam(folder: Path) -> str:
    models = {n: {"responses": answers(folder, n, [f"{n} says {i}" for i in range(PROMPTS)])} for n in ("base", "sft")}
    return str(write_suite(folder, PROMPTS, models))


def given_rewards(folder: Path, given: dict[str, list[Any]]) -> str:
    """Rewards for q0, q1 ... as a file; "" is left out."""
    rows = [
        {"prompt": f"q{i}", "model": model, "reward": reward, "rater": "rm"}
        for model, listed in given.items()
        for i, reward in enumerate(listed)
        if reward != ""
    ]
    return str(write_jsonl(folder / "rm.jsonl", rows))


def test_what_is_not_finite_or_not_there_is_counted_apart_and_in_no_figure(tmp_path: Path) -> None:
    given = {"base": [1.0, 2.0, float("nan"), 3.0, "", 4.0], "sft": [2.0, None, 9.0, 5.0, 6.0, float("inf")]}
    found = sx.reward(exam(tmp_path), model=given_rewards(tmp_path, given), results=tmp_path / "r")
    base, sft = found.rows
    assert isinstance(base.distribution, Distribution)
    assert isinstance(sft.distribution, Distribution)
    assert (base.distribution.n, base.not_finite, base.missing) == (4, 1, 1)
    assert (sft.distribution.n, sft.not_finite, sft.missing) == (4, 2, 0)
    assert base.distribution.mean.value == 2.5
    assert base.rewards == {"ok": 4, "invalid": 1, "failed": 0, "skipped": 1}
    assert base.reasons == {"skipped: no recorded reward": 1}
    (pair,) = found.pairs
    assert (pair.compared.pairs, pair.compared.not_finite) == (2, 3)
    assert pair.compared.difference.value == 1.5
    assert not found.incomplete, "a reward that is not finite is a reward, and was given"
    written = (tmp_path / "r" / "exam" / found.run / "rewards.json").read_text()
    assert json.loads(written, parse_constant=pytest.fail)["rows"][1]["not_finite"] == 2
    assert "2 of 6 rewards of sft by rm are not finite." in found.caveats


def test_the_command_counts_them_apart_and_every_file_is_strict_json(
    tmp_path: Path, sciexam: Cli, tally: Tally
) -> None:
    suite = exam(tmp_path)
    given_rewards(tmp_path, {"base": [1.0, 2.0, NAN, 3.0, INF, 4.0], "sft": [2.0, -INF, 9.0, 5.0, 6.0, 8.0]})
    done = sciexam("reward", "--model", "rm.jsonl", "--suite", suite, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout, parse_constant=pytest.fail)
    base, sft = found["rows"]
    assert (base["distribution"]["n"], base["not_finite"], base["distribution"]["mean"]["value"]) == (4, 2, 2.5)
    assert (sft["distribution"]["n"], sft["not_finite"], sft["distribution"]["mean"]["value"]) == (
        5,
        1,
        pytest.approx(6.0),
    )
    (pair,) = found["pairs"]
    assert (pair["compared"]["pairs"], pair["compared"]["not_finite"]) == (3, 3)
    assert "2 of 6 rewards of base by rm are not finite." in found["caveats"]
    for path in (tmp_path / "results").rglob("*.json"):
        json.loads(path.read_text(), parse_constant=pytest.fail)
    printed = sciexam("reward", "--model", "rm.jsonl", "--suite", suite)
    assert "2 of 6 rewards of base by rm are not finite." in " ".join(printed.stdout.split())
    assert not any(word in printed.stdout.lower().split() for word in ("nan", "inf", "-inf"))
    tally(3)


def test_an_answer_whose_reward_is_no_number_is_compared_with_nobody(tmp_path: Path, sciexam: Cli) -> None:
    judges = {"rm": {"backend": "rewards", "rewards": "rm.jsonl"}}
    suite = exam(tmp_path)
    given_rewards(tmp_path, {"base": [1.0, 2.0, NAN, 3.0, 0.0, 4.0], "sft": [2.0, INF, 9.0, 5.0, 6.0, 8.0]})
    Path(suite).write_text(json.dumps(json.loads(Path(suite).read_text()) | {"judges": judges}))
    done = sciexam("compare", "--suite", suite, "--judge", "rm", "--json")
    (pair,) = json.loads(done.stdout, parse_constant=pytest.fail)["pairs"]
    assert (pair["used"], pair["wins"], pair["ties"], pair["losses"]) == (4, 4, 0, 0)
