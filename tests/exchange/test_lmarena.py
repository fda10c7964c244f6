"""Battle tables of LMArena, as CSV, JSON Lines and Parquet."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

import sciexam as sx
from exchange.reading import imported, lines, refused, said, write_lines
from sciexam.exchange import read
from sciexam.exchange.landed import land


def talk(*turns: str) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(turns)]


def battle(winner: str = "model_a", **more: Any) -> dict[str, Any]:
    talks = {"conversation_a": talk("Why?", "a says"), "conversation_b": talk("Why?", "b says")}
    return {"question_id": "q1", "model_a": "a", "model_b": "b", "winner": winner, "judge": "u1"} | talks | more


def test_a_battle_is_a_prompt_two_answers_and_a_human_verdict(tmp_path: Path) -> None:
    write_lines(tmp_path / "t" / "battles.jsonl", [battle(language="English", anony=True)])
    imported("lmarena", tmp_path / "t")
    (verdict,) = lines(tmp_path / "t", "verdicts/annotators")
    assert verdict == {
        **{"prompt": "q1", "first": "a", "second": "b", "preferred": "first", "rater": "u1", "kind": "human"},
        **{"winner": "model_a", "judge": "u1", "language": "English", "anony": True},
    }
    assert said(lines(tmp_path / "t", "responses/b"), "prompt", "text") == [("q1", "b says")]
    assert said(lines(tmp_path / "t", "prompts"), "id", "text") == [("q1", "Why?")]


@pytest.mark.parametrize("winner", ["tie", "tie (bothbad)", "both_bad"])
def test_a_tie_of_either_kind_is_a_tie_and_its_kind_is_kept(winner: str, tmp_path: Path) -> None:
    write_lines(tmp_path / "t" / "battles.jsonl", [battle(winner)])
    imported("lmarena", tmp_path / "t")
    assert said(lines(tmp_path / "t", "verdicts/annotators"), "preferred", "winner") == [("tie", winner)]


def test_csv_and_parquet_say_the_same(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rows = [battle(question_id=f"q{i}", winner=winner) for i, winner in enumerate(["model_a", "model_b", "tie"])]
    (tmp_path / "c").mkdir()
    with (tmp_path / "c" / "battles.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(row | {key: json.dumps(row[key]) for key in row if key.startswith("conv")} for row in rows)
    (tmp_path / "p").mkdir()
    parquet.write_table(arrow.Table.from_pylist(rows), tmp_path / "p" / "battles.parquet", row_group_size=2)
    found = []
    for folder in ("c", "p"):
        imported("lmarena", tmp_path / folder)
        found.append([lines(tmp_path / folder, name) for name in ("prompts", "responses/a", "verdicts/annotators")])
    assert found[0] == found[1]
    assert len(found[0][2]) == 3


def test_without_conversations_an_id_stands_for_the_question_and_a_sentence_for_each_answer(tmp_path: Path) -> None:
    rows = ["model_a,model_b,winner", "x,y,model_b", "y,z,tie"]
    write_lines(tmp_path / "t" / "battles.csv", rows)
    landed = imported("lmarena", tmp_path / "t")
    assert said(lines(tmp_path / "t", "prompts"), "id", "text") == [("row-2", "row-2"), ("row-3", "row-3")]
    assert (landed.answers_missing, landed.verdicts_unmatched) == (4, 2)
    suite = sx.load_suite(str(tmp_path / "out" / "suite.yaml"))
    report = sx.compare(suite, "x", "y", judges=["annotators"], results=tmp_path / "results")
    assert report.pairs["x", "y"].wins == 1


def test_rows_of_two_files_without_ids_are_battles_of_their_own(tmp_path: Path) -> None:
    for name, winner in (("a", "model_a"), ("b", "model_b")):
        write_lines(tmp_path / "t" / f"{name}.csv", ["model_a,model_b,winner", f"x,y,{winner}"])
    imported("lmarena", tmp_path / "t")
    assert said(lines(tmp_path / "t", "prompts"), "id") == [("row-2",), ("file-2-row-2",)]
    verdicts = lines(tmp_path / "t", "verdicts/annotators")
    assert said(verdicts, "prompt", "repeat") == [("row-2", None), ("file-2-row-2", None)]


def test_a_file_that_is_named_twice_counts_once(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "t" / "a.csv", ["model_a,model_b,winner", "x,y,tie"])
    landed = land(read("lmarena", [tmp_path / "t", file.parent / ".." / "t" / "a.csv"]), tmp_path / "out")
    assert (landed.prompts, list(landed.files)) == (1, [str(file)])


def test_an_id_of_zero_is_an_id(tmp_path: Path) -> None:
    rows = [{"id": number, "model_a": "x", "model_b": "y", "winner": "tie"} for number in (0, 1)]
    write_lines(tmp_path / "t" / "battles.jsonl", rows)
    imported("lmarena", tmp_path / "t")
    assert said(lines(tmp_path / "t", "prompts"), "id") == [("0",), ("1",)]


def test_texts_that_parquet_has_as_bytes_are_texts_and_other_bytes_are_refused(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    (tmp_path / "t").mkdir()
    row = {"model_a": "x", "model_b": "y", "winner": "tie", "prompt": b"Why?", "response_a": "é".encode()}
    parquet.write_table(arrow.Table.from_pylist([{**row, "response_b": b"b"}]), tmp_path / "t" / "b.parquet")
    imported("lmarena", tmp_path / "t")
    assert said(lines(tmp_path / "t", "responses/x"), "text") == [("é",)]
    (tmp_path / "u" / "t").mkdir(parents=True)
    parquet.write_table(arrow.Table.from_pylist([{**row, "response_b": b"\xff"}]), tmp_path / "u" / "t" / "b.parquet")
    assert refused("lmarena", tmp_path / "u" / "t")[0] == (
        "b.parquet:1: response_b: bytes that are no text in UTF-8; leave this column out, or write it as text"
    )


def test_an_import_into_the_folder_that_it_reads_is_not_read_the_next_time(tmp_path: Path) -> None:
    write_lines(tmp_path / "battles.jsonl", [battle()])
    for _ in range(2):
        landed = land(read("lmarena", [tmp_path]), tmp_path / "out")
        assert list(landed.files) == [str(tmp_path / "battles.jsonl")]


def test_more_than_fifty_voters_are_one_rater_and_each_stays_in_the_line(tmp_path: Path) -> None:
    write_lines(tmp_path / "t" / "battles.jsonl", [battle(judge=f"u{i}") for i in range(51)])
    landed = imported("lmarena", tmp_path / "t")
    assert landed.raters == {"crowd": "human"}
    found = lines(tmp_path / "t", "verdicts/annotators")
    assert said(found[1:3], "repeat", "judge") == [(1, "u1"), (2, "u2")]


def test_turns_of_one_question_are_prompts_of_one_group(tmp_path: Path) -> None:
    talks = {"conversation_a": talk("One?", "a1", "Two?", "a2"), "conversation_b": talk("One?", "b1", "Two?", "b2")}
    rows = [battle(turn=turn, question_id=81, **talks) for turn in (1, 2)]
    write_lines(tmp_path / "t" / "human.jsonl", [*rows, battle(turn=1, question_id=81, judge="gpt4_pair", **talks)])
    landed = imported("lmarena", tmp_path / "t")
    first, second = lines(tmp_path / "t", "prompts")
    assert (first["id"], first["text"], second["id"]) == ("81-1", "One?", "81-2")
    assert first["group"] == second["group"]
    assert [message["content"] for message in second["messages"]] == ["One?", "Two?"]
    answers = lines(tmp_path / "t", "responses/a")
    assert said(answers, "text", "turns") == [("a1", None), ("[answer 1]\na1\n\n[answer 2]\na2", ["a1", "a2"])]
    assert landed.raters == {"u1": "human", "gpt4_pair": "judge"}


def test_the_table_of_the_kaggle_competition_has_a_column_for_each_outcome(tmp_path: Path) -> None:
    columns = ["id", "model_a", "model_b", "prompt", "response_a", "response_b"]
    outcome = {"winner_model_a": 0, "winner_model_b": 1, "winner_tie": 0}
    values = ["5", "a", "b", json.dumps(["Why?"]), json.dumps(["A"]), json.dumps(["B"])]
    write_lines(tmp_path / "t" / "train.jsonl", [dict(zip(columns, values, strict=True)) | outcome])
    imported("lmarena", tmp_path / "t")
    assert said(lines(tmp_path / "t", "verdicts/annotators"), "prompt", "preferred") == [("5", "second")]
    assert said(lines(tmp_path / "t", "responses/b"), "text") == [("B",)]


def test_a_column_that_is_spelt_otherwise_is_named(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "a.csv").write_text("modelA,Model B,Winner\nx,y,model_a\n")
    assert refused("lmarena", tmp_path / "t") == [
        "a.csv:2: model_a: this key is missing; did you mean 'modelA'?",
        "a.csv:2: model_b: this key is missing; did you mean 'Model B'?",
        "a.csv:2: winner: this key is missing; did you mean 'Winner'?",
    ]


def test_battles_on_one_prompt_are_one_piece_of_evidence_where_the_table_names_it(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    rows = "".join(f"p{row % 3},a,b,model_a,{rater}\n" for row, rater in enumerate(["ann"] * 3 + ["ben"] * 3))
    (tmp_path / "t" / "battles.csv").write_text(f"prompt,model_a,model_b,winner,rater\n{rows}")
    imported("lmarena", tmp_path / "t")
    found = lines(tmp_path / "t", "prompts")
    assert [line["group"] for line in found] == ["p0", "p1", "p2"] * 2
    assert len({line["id"] for line in found}) == 6


def test_what_is_malformed_is_told_with_its_line(tmp_path: Path) -> None:
    rows = [
        battle("model_c"),
        battle(model_b=""),
        battle(question_id="q3", conversation_b=talk("How?", "b")),
        battle(question_id="q4", conversation_a="[{'role': 'user'}]"),
        battle(question_id="q5", conversation_a=talk("Another?", "a"), conversation_b=talk("Another?", "b")),
        battle(question_id="q5", conversation_a=talk("Yet another?", "a"), conversation_b=talk("Yet another?", "b")),
    ]
    write_lines(tmp_path / "t" / "battles.jsonl", rows)
    told = refused("lmarena", tmp_path / "t")
    assert told[:4] == [
        "battles.jsonl:1: winner: 'model_c' is none of model_a, model_b, tie, tie (bothbad), tie (inconsistent), "
        "bothbad, both_bad",
        "battles.jsonl:2: model_b: this key is missing",
        "battles.jsonl:3: conversation_b: asks otherwise than conversation_a",
        "battles.jsonl:4: conversation_a, conversation_b: lists of messages with a role and a text, as JSON",
    ]
    assert told[4].startswith("battles.jsonl:6: prompt 'q5' is asked otherwise in ")


def test_a_file_that_is_no_parquet_says_so(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "battles.parquet").write_bytes(b"PAR1 this is none PAR1")
    (told,) = refused("lmarena", tmp_path / "t")
    assert told.startswith("battles.parquet:1: not Parquet: ")


def test_a_table_with_a_ragged_row_an_open_quote_or_a_foreign_encoding_says_where(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    head = b"model_a,model_b,winner\n"
    (tmp_path / "t" / "a.csv").write_bytes(head + b"x,y,tie,and more\nx,y\n")
    (tmp_path / "t" / "b.csv").write_bytes(head + b'x,y,"tie\n')
    (tmp_path / "t" / "c.csv").write_bytes(head + b"x,caf\xe9,tie\n")
    (tmp_path / "t" / "d.csv").write_bytes(b"")
    (tmp_path / "t" / "e.csv").write_bytes(b"model_a,model_a,model_b,winner\n")
    assert refused("lmarena", tmp_path / "t") == [
        "a.csv:2: 4 cells, and the head has 3 names",
        "a.csv:3: 2 cells, and the head has 3 names",
        "b.csv:2: not CSV: unexpected end of data",
        "c.csv:2: not UTF-8 (byte 0xe9); save the file as UTF-8",
        "d.csv: is empty",
        "e.csv:1: model_a: two columns have this name",
    ]


def test_a_tie_of_a_judge_whose_orders_disagree_is_a_tie(tmp_path: Path) -> None:
    write_lines(tmp_path / "t" / "battles.jsonl", [battle("tie (inconsistent)", judge="gpt4_pair")])
    imported("lmarena", tmp_path / "t")
    assert said(lines(tmp_path / "t", "verdicts/gpt4_pair"), "preferred", "winner") == [("tie", "tie (inconsistent)")]


def test_what_a_system_says_is_asked_and_not_answered(tmp_path: Path) -> None:
    talks = [
        [{"role": "system", "content": "Be brief."}, *talk("Why?", f"{name} 1", "And?", f"{name} 2")] for name in "ab"
    ]
    write_lines(tmp_path / "t" / "battles.jsonl", [battle(conversation_a=talks[0], conversation_b=talks[1], turn=1)])
    imported("lmarena", tmp_path / "t")
    (prompt,) = lines(tmp_path / "t", "prompts")
    assert [(one["role"], one["content"]) for one in prompt["messages"]] == [("system", "Be brief."), ("user", "Why?")]
    assert said(lines(tmp_path / "t", "responses/a"), "text") == [("a 1",)]


def test_answers_without_what_was_asked_are_refused(tmp_path: Path) -> None:
    row = {"id": "1", "model_a": "a", "model_b": "b", "winner": "tie", "response_a": "x", "response_b": "y"}
    write_lines(tmp_path / "t" / "battles.jsonl", [row])
    assert refused("lmarena", tmp_path / "t") == ["battles.jsonl:1: prompt: this key is missing"]


def test_a_text_that_begins_with_a_bracket_is_a_text_and_only_three_lists_are_turns(tmp_path: Path) -> None:
    columns = ("prompt", "response_a", "response_b")
    asked = [
        ("[INST] Why? [/INST]", "Because.", "[citation needed]"),
        ("Write a list of JSON.", '["x"]', '["y"]'),
        ("[1, 2]", "[3]", "[4, 5, 6]"),
        ('["Why?", "And?"]', '["a", "b"]', '["c", "d"]'),
    ]
    rows = [
        {"id": f"q{i}", "model_a": "a", "model_b": "b", "winner": "tie", **dict(zip(columns, cells, strict=True))}
        for i, cells in enumerate(asked)
    ]
    write_lines(tmp_path / "t" / "battles.jsonl", rows)
    imported("lmarena", tmp_path / "t")
    assert [one.get("text") for one in lines(tmp_path / "t", "prompts")] == [cells[0] for cells in asked[:3]] + [None]
    answers = said(lines(tmp_path / "t", "responses/b"), "text")
    assert answers == [("[citation needed]",), ('["y"]',), ("[4, 5, 6]",), ("[answer 1]\nc\n\n[answer 2]\nd",)]
    write_lines(tmp_path / "cut" / "t" / "battles.jsonl", [rows[3] | {"prompt": '["Why?", "An'}])
    assert refused("lmarena", tmp_path / "cut" / "t") == [
        "battles.jsonl:1: prompt, response_a, response_b: texts, or lists of texts of one length, as JSON"
    ]


ONE_COLUMN = (
    "{0}:1: one column, '{1}': the cells are separated by {2}, not by {3}; {4}, or write `delimiter: {5}` in the "
)
ONE_COLUMN += "mapping of a table"
WORKBOOK = "a zip archive, as a workbook of Excel is (.xlsx): save the sheet as CSV in UTF-8"
HEAD = b"model_a,model_b,winner\nx,y,tie\n"


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (
            "a.csv",
            HEAD.replace(b",", b";"),
            ("model_a;model_b;winner", "semicolons", "commas", "save it with commas", '";"'),
        ),
        (
            "a.csv",
            HEAD.replace(b",", b"\t"),
            ("model_a\\tmodel_b\\twinner", "tabs", "commas", "call it .tsv", '"\\t"'),
        ),
        ("a.tsv", HEAD, ("model_a,model_b,winner", "commas", "tabs", "call it .csv", '","')),
        ("a.csv", b"PK\x03\x04\x14\x00\x06\x00", WORKBOOK),
        ("a.jsonl", b"\x1f\x8b\x08\x00", "gzipped: put .gz behind its name"),
        ("a.json", b"PAR1\x00", "Parquet: rename it to .parquet"),
    ],
)
def test_a_table_with_another_delimiter_and_what_is_no_text_are_called_by_what_they_are(
    name: str, content: bytes, told: Any, tmp_path: Path
) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / name).write_bytes(content)
    is_text = isinstance(told, tuple)
    expected = ONE_COLUMN.format(name, *told) if is_text else f"{name}: no text: the file is {told}"
    assert refused("lmarena", tmp_path / "t") == [expected]
