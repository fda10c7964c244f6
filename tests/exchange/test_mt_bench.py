"""MT-Bench as FastChat writes it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

import sciexam as sx
from conftest import Cli
from exchange.reading import imported, lines, refused, said, write_lines
from sciexam.exchange.export import export
from sciexam.judges.recorded import read_verdicts

JUDGE = ["gpt-4", "pair-v2"]


def bench(folder: Path, pairs: list[Any] = (), singles: list[Any] = (), question: Any = None) -> Path:
    turns = {"question_id": 81, "category": "writing", "turns": ["Write.", "Shorten."]}
    write_lines(folder / "question.jsonl", [question or turns])
    for model in ("alpaca", "gpt-3.5"):
        answer = {"index": 0, "turns": [f"{model} writes", f"{model} shortens"]}
        write_lines(folder / "model_answer" / f"{model}.jsonl", [{"question_id": 81, "choices": [answer]}])
    write_lines(
        folder / "reference_answer" / "gpt-4.jsonl",
        [{"question_id": 81, "choices": [{"turns": ["Written.", "Short."]}]}],
    )
    write_lines(folder / "model_judgment" / "gpt-4_pair.jsonl", pairs)
    write_lines(folder / "model_judgment" / "gpt-4_single.jsonl", singles)
    return folder


def pair(g1: str = "model_1", g2: str = "model_1", turn: int = 1, **more: Any) -> dict[str, Any]:
    models = {"question_id": 81, "model_1": "alpaca", "model_2": "gpt-3.5", "judge": JUDGE, "turn": turn}
    games = {"g1_winner": g1, "g2_winner": g2, "g1_judgment": "one", "g2_judgment": "two"}
    return models | games | more


def single(score: Any, turn: int = 1) -> dict[str, Any]:
    return {"question_id": 81, "model": "alpaca", "judge": ["gpt-4", "single-v1"], "score": score, "turn": turn}


def test_each_turn_is_a_prompt_with_its_messages_and_both_are_one_group(tmp_path: Path) -> None:
    imported("mt-bench", bench(tmp_path / "mt"))
    suite = sx.load_suite(str(tmp_path / "out" / "suite.yaml"))
    first, second = suite.prompts
    assert (first.id, first.text, first.group, first.reference) == ("81-1", "Write.", "81", "Written.")
    assert [message.content for message in second.messages] == ["Write.", "Shorten."]
    assert (second.id, second.group, second.category, second.reference) == ("81-2", "81", "writing", "Short.")
    assert said(lines(tmp_path / "mt", "responses/alpaca"), "prompt", "text") == [
        ("81-1", "alpaca writes"),
        ("81-2", "alpaca shortens"),
    ]


def test_both_games_land_as_one_verdict_each_in_the_order_in_which_answers_were_shown(tmp_path: Path) -> None:
    games = [pair("model_1", "model_2"), pair("tie", "error", turn=2)]
    imported("mt-bench", bench(tmp_path / "mt", games))
    found = lines(tmp_path / "mt", "verdicts/gpt-4")
    assert said(found, "prompt", "first", "second", "preferred", "failure", "reason") == [
        ("81-1", "alpaca", "gpt-3.5", "first", None, "one"),
        ("81-1", "gpt-3.5", "alpaca", "first", None, "two"),
        ("81-2", "alpaca", "gpt-3.5", "tie", None, "one"),
        ("81-2", "gpt-3.5", "alpaca", None, "error", "two"),
    ]


def test_a_consistent_judge_is_consistent_and_one_that_goes_by_position_is_not(tmp_path: Path) -> None:
    imported("mt-bench", bench(tmp_path / "mt", [pair("model_2", "model_2"), pair("model_1", "model_2", turn=2)]))
    suite = str(tmp_path / "out" / "suite.yaml")
    report = sx.compare(suite, "alpaca", "gpt-3.5", judges=["gpt-4"], results=tmp_path / "results")
    assert report.pairs["alpaca", "gpt-3.5"].win_rate.why or report.pairs["alpaca", "gpt-3.5"].used
    assert report.pairs["alpaca", "gpt-3.5"].wins == 1


def test_ratings_land_as_rewards_and_one_that_could_not_be_read_is_not_a_number(tmp_path: Path) -> None:
    landed = imported("mt-bench", bench(tmp_path / "mt", [pair()], [single(7.5), single(-1, 2)]))
    assert said(lines(tmp_path / "mt", "rewards/gpt-4"), "prompt", "model", "reward", "score") == [
        ("81-1", "alpaca", 7.5, 7.5),
        ("81-2", "alpaca", None, -1),
    ]
    assert set(sx.load_suite(str(tmp_path / "out" / "suite.yaml")).judges) == {"gpt-4", "gpt-4 rewards"}
    assert landed.rewards == {"gpt-4": 2}


@pytest.mark.slow
def test_the_commands_that_are_next_can_be_typed_as_they_are(tmp_path: Path, sciexam: Cli) -> None:
    bench(tmp_path / "mt", [pair(), pair(turn=2)], [single(7.5), single(-1, 2)])
    done = sciexam("import", "mt-bench", "mt", "--out", "my suite")
    commands = done.stdout.split("Next:\n")[1].splitlines()
    assert commands[2].endswith(" --judge gpt-4 --as mt-bench"), "the peer's own figures"
    assert commands[-1] == ("    sciexam reward alpaca gpt-3.5 --suite 'my suite/suite.yaml' --model 'gpt-4 rewards'")
    for command in commands:
        name, *args = shlex.split(command)
        ran = sciexam(*args)
        assert (name, ran.returncode) == ("sciexam", 0), ran.stderr


def test_two_judges_never_get_one_name_by_their_verdicts_and_rewards(tmp_path: Path) -> None:
    long = "j" * 95
    judges = ("gpt-4", "gpt-4 rewards", f"{long}1", f"{long}2")
    pairs = [pair(judge=[judge, "pair-v2"]) for judge in judges]
    landed = imported("mt-bench", bench(tmp_path / "mt", pairs, [single(7) | {"judge": [j, "s"]} for j in judges]))
    suite = sx.load_suite(str(tmp_path / "out" / "suite.yaml"))
    assert len(suite.judges) == 8
    assert {landed.rewarder(judge) for judge in judges} == set(suite.judges) - set(judges)


def test_a_judgment_with_one_winner_says_that_its_order_is_not_known(tmp_path: Path) -> None:
    one = {key: value for key, value in pair().items() if not key.startswith("g")} | {"winner": "model_2"}
    landed = imported("mt-bench", bench(tmp_path / "mt", [one, pair(judge=["gpt-3.5", "pair-v2"])]))
    assert said(lines(tmp_path / "mt", "verdicts/gpt-4"), "first", "preferred") == [("alpaca", "second")]
    assert any("do not record which answer was shown first" in note for note in landed.notes)
    suite = sx.load_suite(str(tmp_path / "out" / "suite.yaml"))
    assert {name: suite.judges[name].order_known for name in ("gpt-4", "gpt-3.5")} == {"gpt-4": False, "gpt-3.5": True}
    report = sx.compare(suite, "alpaca", "gpt-3.5", judges=["gpt-4"], results=tmp_path / "results")
    bias = report.pairs["alpaca", "gpt-3.5"].position_bias
    assert "order" in bias.why, bias


def test_what_is_malformed_is_told_with_its_line(tmp_path: Path) -> None:
    pairs = [pair("A"), pair(turn="two"), {"g1_winner": "tie", "judge": 4}, '{"question_id": 81, "g1_wi', {"x": 1}]
    folder = bench(tmp_path / "mt", pairs, [single("7")], {"question_id": 81, "turns": "Write."})
    assert refused("mt-bench", folder) == [
        "question.jsonl:1: turns: a list of texts, this is 'Write.'",
        "model_judgment/gpt-4_pair.jsonl:1: g1_winner: 'A' is none of model_1, model_2, tie, error",
        "model_judgment/gpt-4_pair.jsonl:2: turn: 1 or 2, this is 'two'",
        "model_judgment/gpt-4_pair.jsonl:3: question_id: this key is missing",
        "model_judgment/gpt-4_pair.jsonl:3: model_1: this key is missing",
        "model_judgment/gpt-4_pair.jsonl:3: model_2: this key is missing",
        "model_judgment/gpt-4_pair.jsonl:4: the line ends in the middle of its JSON; "
        "is a quote or brace missing at its end?",
        "model_judgment/gpt-4_pair.jsonl:5: is no question ('turns'), and no judgment ('g1_winner', or 'score')",
        "model_judgment/gpt-4_single.jsonl:1: score: a number, or -1 where there is none, this is '7'",
        "model_answer/alpaca.jsonl:1: no prompt is called '81-1' (3 lines)",
        "model_answer/alpaca.jsonl:1: no prompt is called '81-2' (2 lines)",
    ]


def test_a_game_that_stands_twice_is_refused(tmp_path: Path) -> None:
    told = refused("mt-bench", bench(tmp_path / "mt", [pair(), pair(g1="model_2")]))
    assert told[0].startswith(
        "model_judgment/gpt-4_pair.jsonl:2: 'gpt-4' judged '81-1' for 'alpaca' and 'gpt-3.5' already in "
    )
    assert told[0].endswith("gpt-4_pair.jsonl:1; which one counts? Remove the other")


def test_judgments_without_their_questions_say_which_file_to_give(tmp_path: Path) -> None:
    write_lines(tmp_path / "mt" / "gpt-4_pair.jsonl", [pair(), pair(turn=2)])
    assert refused("mt-bench", tmp_path / "mt" / "gpt-4_pair.jsonl") == [
        f"{tmp_path}/mt/gpt-4_pair.jsonl: no file holds the prompts; give question.jsonl, too"
    ]


def test_verdicts_and_ratings_of_one_judge_are_exported_under_two_names(tmp_path: Path) -> None:
    ratings = [single(7.5), single(3) | {"model": "gpt-3.5"}]
    imported("mt-bench", bench(tmp_path / "mt", [pair(), pair("tie", "tie", turn=2)], ratings))
    suite = sx.load_suite(str(tmp_path / "out" / "suite.yaml"))
    done = export(suite, what="verdicts", out=tmp_path / "v.jsonl", results=tmp_path / "r")
    found = [json.loads(line) for line in (tmp_path / "v.jsonl").read_text().splitlines()]
    assert [(one["rater"], one["judge"]) for one in found] == [("gpt-4",) * 2] * 4 + [("gpt-4 rewards",) * 2]
    assert done.judges == ("gpt-4", "gpt-4 rewards")
    assert {judge.name for judge in read_verdicts(tmp_path / "v.jsonl")} == {"gpt-4", "gpt-4 rewards"}


def test_preferences_have_no_margin_without_strengths_and_no_prompt_that_lacks_a_turn(tmp_path: Path) -> None:
    pairs = [pair("model_1", "tie"), pair("model_1", "model_1", turn=2)]
    imported("mt-bench", bench(tmp_path / "mt", pairs))
    suite = sx.load_suite(str(tmp_path / "out" / "suite.yaml"))
    done = export(suite, what="preferences", out=tmp_path / "p.jsonl", results=tmp_path / "r")
    (line,) = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert (line["id"], line["chosen_by"]) == ("81-1", "alpaca")
    assert "margin" not in line, "a tie beside a win of unknown strength is no margin of 0"
    assert done.margins == {"none": 1}
    assert done.left_out == {
        "its prompt has two messages of the user in a row: the answer between them is no part of it": 1
    }
