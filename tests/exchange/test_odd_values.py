"""Files in which one value is of another kind than the format says: a fault with its place, and never a crash."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exchange.reading import refused, write_lines
from sciexam.errors import DocumentError
from sciexam.exchange import read
from sciexam.exchange.landed import check

pytestmark = pytest.mark.slow

ODD = (None, [1], {"a": 1}, True, 3.5, "", 10**30)
Files = dict[str, list[dict[str, Any]]]


def talk(*turns: str) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(turns)]


MT: dict[str, Any] = {"question_id": 81, "turn": 1, "tstamp": 1.0}
ARENA = {"uid": "a", "category": "c"}
WHAT = {"prompt": "q", "answer_1": "a", "answer_2": "b"}
RESULTS = [
    {"type": "pairwise", "from_name": "cmp", "to_name": "a,b", "value": {"selected": "left"}},
    {"type": "choices", "from_name": "c", "to_name": "answer_1", "value": {"choices": ["fluent"]}},
    {"type": "rating", "from_name": "r", "to_name": "answer_1", "value": {"rating": 3}},
]
RANKS = [{"value": "answer_1", "rank": 1}, {"value": "answer_2", "rank": 2}]
VALID: dict[str, Files] = {
    "alpacaeval": {
        "model_outputs.json": [{"instruction": "q", "dataset": "d", "output": "o", "generator": "m", "input": ""}],
        "annotations.json": [
            {"instruction": "q", "dataset": "d", "output_1": "r", "output_2": "o", "generator_1": "ref"}
            | {"generator_2": "m", "preference": 1.0, "annotator": "j"}
        ],
    },
    "mt-bench": {
        "question.jsonl": [{**MT, "category": "w", "turns": ["a", "b"], "reference": ["r"]}],
        "model_answer/m.jsonl": [{**MT, "choices": [{"index": 0, "turns": ["x", "y"]}]}],
        "reference_answer/gpt-4.jsonl": [{**MT, "choices": [{"index": 0, "turns": ["x", "y"]}]}],
        "model_judgment/gpt-4_pair.jsonl": [
            {**MT, "model_1": "m", "model_2": "n", "g1_winner": "model_1", "g2_winner": "tie"}
            | {"judge": ["gpt-4", "pair-v2"], "g1_judgment": "x"}
        ],
        "model_judgment/gpt-4_single.jsonl": [{**MT, "model": "m", "judge": ["gpt-4", "single"], "score": 7}],
    },
    "arena-hard": {
        "question.jsonl": [{**ARENA, "prompt": "p"}, {"question_id": "b", "turns": [{"content": "p"}]}],
        "model_answer/m.jsonl": [
            {**ARENA, "model": "m", "messages": talk("p", "x")},
            {"question_id": "b", "model_id": "m", "choices": [{"index": 0, "turns": [{"content": "x"}]}]},
        ],
        "model_judgment/j/m.jsonl": [
            {**ARENA, "judge": "j", "model": "m", "baseline": "b0"}
            | {"games": [{"score": "A>B", "judgment": {"answer": "x"}}, {"score": "B>>A", "judgment": "y"}]}
        ],
    },
    "rewardbench": {
        "b.jsonl": [{"id": "5", "scores": [1.0, 0.5], "num_correct": 1, "text": [talk("q", "a"), talk("q", "b")]}],
        "c.jsonl": [{"id": "7", "prompt": "p", "chosen": 1.0, "rejected": 0.1}],
    },
    "lmarena": {
        "a.jsonl": [
            {"question_id": "1", "model_a": "m", "model_b": "n", "winner": "tie", "judge": ["gpt-4", "x"], "turn": 1}
            | {"conversation_a": talk("q", "a"), "conversation_b": talk("q", "b")}
        ],
        "b.jsonl": [
            {"id": "2", "model_a": "m", "model_b": "n", "winner_model_a": 1, "winner_model_b": 0, "winner_tie": 0}
            | {"prompt": '["q"]', "response_a": '["a"]', "response_b": '["b"]'}
        ],
    },
    "pandalm": {
        "t.jsonl": [
            {"idx": 0, "instruction": "i", "input": "", "cmp_key": "a_b", "response1": "x", "response2": "y"}
            | {"annotator1": 1, "gpt_result": "tie"}
        ]
    },
    "label-studio": {
        "e.jsonl": [
            {"id": 1, "data": WHAT, "meta": {"x": "y"}}
            | {"annotations": [{"completed_by": {"id": 1}, "was_cancelled": False, "result": RESULTS}]}
        ]
    },
    "argilla": {
        "n.jsonl": [
            {"id": "1", "fields": WHAT, "metadata": {"a": "b"}}
            | {"responses": {"pref": [{"value": "answer_1", "user_id": "u", "status": "submitted"}]}},
            {"id": "2", "fields": WHAT, "responses": {"pref": [{"value": RANKS, "user_id": "u"}]}},
            {"id": "3", **WHAT, "pref.responses": ["answer_1"], "pref.responses.users": ["u"]}
            | {"pref.responses.status": ["submitted"]},
            {"id": "4", **WHAT, "pref": {"user_id": ["u"], "value": ["answer_1"], "status": ["submitted"]}},
        ]
    },
}
SCORED = {"value": "C", "answer": "A", "metadata": {}}
LOG = {
    "status": "success",
    "eval": {"model": "m", "task": "t"},
    "samples": [
        {"id": 1, "epoch": 1, "input": talk("q"), "target": ["x"], "metadata": {"model_a": "a", "model_b": "b"}}
        | {"output": {"completion": "", "choices": [{"message": {"content": "a"}}]}, "scores": {"s": SCORED}},
        {"id": 2, "epoch": 1, "input": "q", "output": {"completion": "z"}, "scores": {"s": {"value": {"p": 1}}}},
    ],
}


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if at:
        yield at
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inside:
        yield from places(one, (*at, key))


def odd(value: Any) -> Iterator[Any]:
    """The value with an odd one in each place, and without each key."""
    for *way, last in places(value):
        for one in (*ODD, odd):
            made = copy.deepcopy(value)
            inner = made
            for key in way:
                inner = inner[key]
            if one is odd:
                del inner[last]
            else:
                inner[last] = one
            yield made


@pytest.mark.parametrize("format", VALID)
def test_an_odd_value_lands_or_is_a_fault_with_its_place(format: str, tmp_path: Path) -> None:
    folder, faults = tmp_path / "in", 0
    for name, valid in VALID[format].items():
        write_lines(folder / name, valid)
    check(read(format, [folder]))
    for name, valid in VALID[format].items():
        for rows in odd(valid):
            if all(isinstance(row, dict) for row in rows):
                write_lines(folder / name, rows)
                faults += refuses(format, folder)
        write_lines(folder / name, valid)
    assert faults > 10


def test_an_odd_value_in_a_log_of_inspect_lands_or_is_a_fault(tmp_path: Path) -> None:
    log = tmp_path / "log.json"
    log.write_text(json.dumps(LOG), encoding="utf-8")
    check(read("inspect", [log]))
    faults = 0
    for made in odd(LOG):
        log.write_text(json.dumps(made), encoding="utf-8")
        faults += refuses("inspect", log)
    assert faults > 10


def refuses(format: str, path: Path) -> bool:
    faults: tuple[str, ...] = ()
    try:
        check(read(format, [path]))
    except DocumentError as told:
        faults = tuple(told.faults)
    assert all(fault.startswith((f"{path}:", f"{path}/")) for fault in faults), faults
    return bool(faults)


@pytest.mark.parametrize(
    ("format", "name", "change", "told"),
    [
        ("mt-bench", "model_answer/m.jsonl", {"choices": [{"turns": "xy"}]}, "model_answer/m.jsonl:1: choices: a list"),
        ("arena-hard", "model_judgment/j/m.jsonl", {"games": [{}, None]}, "m.jsonl:1: games.0: null, or an object"),
        ("lmarena", "a.jsonl", {"model_a": ["m"]}, "a.jsonl:1: a model's name is a text"),
        ("pandalm", "t.jsonl", {"instruction": ["i"]}, "t.jsonl:1: instruction: a text, this is ['i']"),
    ],
)
def test_what_would_be_read_as_something_else_is_refused(
    format: str, name: str, change: dict[str, Any], told: str, tmp_path: Path
) -> None:
    for file, valid in VALID[format].items():
        write_lines(tmp_path / "in" / file, [valid[0] | change] if file == name else valid)
    assert told in "\n".join(refused(format, tmp_path / "in"))
