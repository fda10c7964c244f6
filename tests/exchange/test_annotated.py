"""Label Studio's and Argilla's exports: people's comparisons, rankings and ratings land under their names."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sciexam as sx
from conftest import Cli
from sciexam import exchange
from sciexam.errors import DocumentError
from sciexam.exchange.landed import land

Landed = Callable[..., dict[str, Any]]


@pytest.fixture
def landed(tmp_path: Path) -> Landed:
    """Import a JSON value as a file of a format: the lines of each kind of file, and the account of it."""

    def of(format: str, value: Any, mapping: str | None = None, name: str = "export.json") -> dict[str, Any]:
        (tmp_path / name).write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
        path = tmp_path / "map.yaml" if mapping else None
        if path and mapping:
            path.write_text(mapping, encoding="utf-8")
        account = land(exchange.read(format, [tmp_path / name], path), tmp_path / "out")
        found: dict[str, Any] = {"account": account, "suite": tmp_path / "out" / "suite.yaml"}
        for kind in ("prompts", "verdicts/*", "rewards/*", "responses/*"):
            files = sorted((tmp_path / "out").glob(f"{kind}.jsonl"))
            found[kind.removesuffix("/*")] = [json.loads(line) for file in files for line in file.open()]
        return found

    return of


def left_out(found: dict[str, Any]) -> dict[str, int]:
    return {one.why: one.rows for one in found["account"].left_out}


# ---------------------------------------------------------------- Label Studio


def task(*annotations: dict[str, Any], id: int = 7, **data: str) -> dict[str, Any]:
    data = data or {"prompt": "Why?", "response_1": "Because.", "response_2": "=1+1"}
    return {"id": id, "data": data, "annotations": list(annotations), "predictions": []}


def by(person: Any, *results: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": 1, "completed_by": person, "result": list(results), "was_cancelled": False, **more}


def result(type: str, name: str = "pw", to: str = "", **value: Any) -> dict[str, Any]:
    return {"from_name": name, "to_name": to, "type": type, "value": value}


def test_label_studios_pairs_choices_and_ratings_are_peoples(landed: Landed) -> None:
    found = landed(
        "label-studio",
        [
            task(by(1, result("pairwise", selected="left")), by({"id": 2}, result("pairwise", selected="right"))),
            task(
                by(1, result("pairwise", selected="right"), result("rating", "quality", "response_1", rating=4)),
                by(2, was_cancelled=True),
                by(3, result("textarea", "why", text=["nice"])),
                id=8,
            ),
        ],
    )
    said = [(v["prompt"], v["first"], v["second"], v["preferred"], v["rater"], v["kind"]) for v in found["verdicts"]]
    assert said == [
        ("7", "response_1", "response_2", "first", "annotator 1", "human"),
        ("7", "response_1", "response_2", "second", "annotator 2", "human"),
        ("8", "response_1", "response_2", "second", "annotator 1", "human"),
    ]
    assert [(r["model"], r["reward"], r["rater"]) for r in found["rewards"]] == [("response_1", 4, "annotator 1")]
    assert left_out(found) == {"skipped by the annotator": 1, "a result of type 'textarea'": 1}
    assert [line["text"] for line in found["responses"]] == ["Because.", "Because.", "=1+1", "=1+1"]
    report = sx.agree(sx.load_suite(str(found["suite"])), results=found["suite"].parent.parent / "r")
    assert report.contestants == ("response_1", "response_2")


@pytest.mark.parametrize(
    ("label", "preferred", "strength"),
    [
        ("Response 1", "first", None),
        ("B", "second", None),
        ("tie", "tie", None),
        ("Both", "tie", None),
        ("A is much better", "first", "strong"),
        ("response 2 is slightly better", "second", "slight"),
        ("sft", "second", None),
    ],
)
def test_a_label_that_names_an_answer_or_a_tie_is_a_verdict(
    landed: Landed, label: str, preferred: str, strength: str | None
) -> None:
    models = {"response_1_model": "base", "response_2_model": "sft"}
    asked = task(by(1, result("choices", choices=[label])), prompt="Why?", response_1="x", response_2="y", **models)
    [verdict] = landed("label-studio", [asked])["verdicts"]
    assert (verdict["first"], verdict["second"]) == ("base", "sft")
    assert (verdict["preferred"], verdict.get("strength")) == (preferred, strength)


def test_a_mapping_names_prompt_answers_and_the_question(landed: Landed) -> None:
    one = by(1, result("choices", "help", choices=["left"]), result("choices", "style", choices=["right"]))
    value = [task(one, topic="Why?", sft="x", base="y", model_of_base="llama")]
    mapping = "prompt: topic\nanswers: [base, sft]\nmodels: {base: model_of_base}\nquestion: style\n"
    found = landed("label-studio", value, mapping)
    [verdict] = found["verdicts"]
    assert (verdict["first"], verdict["second"], verdict["preferred"]) == ("llama", "sft", "second")
    assert left_out(found) == {"question 'help' does not compare the answers": 1}


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ([task(by(1, result("pairwise", selected="up")))], "pw: selected: 'up' is neither left nor right"),
        ([task(by(None, result("pairwise", selected="left")))], "annotations.completed_by: who annotated"),
        (
            [task(prompt="Why?", base="x", sft="y")],
            "which of 'prompt', 'base', 'sft' are the answers? Say so in a file: --mapping FILE, with `prompt: prompt` "
            "and `answers: [FIELD, FIELD]`",
        ),
        ([task(topic="Why?", answer_a="x", answer_b="y")], "is the prompt? Say so in a file: --mapping"),
        ([{"id": 1, "annotator": 3, "sentiment": "good"}], "is of the export JSON-MIN; export as JSON"),
        ([{"id": 1, "data": {}}], "annotations: this key is missing"),
        (
            [
                task(by(1, result("choices", choices=["A"]))),
                task(by(1, result("choices", choices=["the shorter one"])), id=8),
            ],
            "pw: 'the shorter one' names none of 'response_1', 'response_2', and no tie",
        ),
        (
            [task(by(1, result("pairwise", selected="left"), result("choices", "style", choices=["A"])))],
            "those that do are 'pw', 'style'; name one with `question:` in a file: --mapping",
        ),
        ('[{"id": 1, "data": {}, "annota', "the list ends in the middle; was the file cut off?"),
    ],
)
def test_a_faulty_label_studio_export_is_told_its_place_and_nothing_is_written(
    landed: Landed, tmp_path: Path, value: Any, what: str
) -> None:
    with pytest.raises(DocumentError) as caught:
        landed("label-studio", value)
    assert what in str(caught.value)
    assert f"{tmp_path / 'export.json'}:1: " in str(caught.value)
    assert not (tmp_path / "out").exists()


# ---------------------------------------------------------------- Argilla


def record(id: str = "r1", **more: Any) -> dict[str, Any]:
    fields = {"instruction": "Why?", "response1": "x", "response2": "y", "response3": "z"}
    return {"id": id, "fields": fields, "metadata": {}, "suggestions": {}, "responses": {}, "vectors": {}, **more}


def ranks(**places: int) -> list[dict[str, Any]]:
    return [{"value": name.replace("response", "response-"), "rank": rank} for name, rank in places.items()]


def test_argillas_rankings_are_verdicts_on_every_two_answers(landed: Landed) -> None:
    responses = {
        "preference": [
            {"value": ranks(response2=1, response1=2, response3=2), "user_id": "ann"},
            {"value": ["response3", "response1", "response2"], "user_id": "bob"},
            {"value": ["response1", "response2", "response3"], "user_id": "eve", "status": "draft"},
        ],
        "quality": [{"value": 4, "user_id": "ann"}],
        "comment": [{"value": "good ones", "user_id": "ann"}],
    }
    found = landed("argilla", [record(responses=responses, metadata={"response1_model": "base"})])
    said = {(v["rater"], v["first"], v["second"]): v["preferred"] for v in found["verdicts"]}
    assert said == {
        ("ann", "base", "response2"): "second",
        ("ann", "base", "response3"): "tie",
        ("ann", "response2", "response3"): "first",
        ("bob", "base", "response2"): "first",
        ("bob", "base", "response3"): "second",
        ("bob", "response2", "response3"): "second",
    }
    assert all(verdict["kind"] == "human" for verdict in found["verdicts"])
    assert left_out(found) == {
        "a response that was not submitted: draft": 1,
        "question 'quality' rates no one answer": 1,
        "question 'comment' does not compare the answers": 1,
    }


def test_all_of_argillas_layouts_say_the_same(landed: Landed, tmp_path: Path) -> None:
    fields = {"prompt": "Why?", "response_a": "x", "response_b": "y"}
    given = [{"value": "A", "user_id": "ann"}, {"value": "tie", "user_id": "bob"}]
    nested = record(fields=fields, responses={"choice": given})
    flat = {"id": "r1", **fields, "choice.responses": ["A", "tie"], "choice.responses.users": ["ann", "bob"]}
    flat |= {"choice.responses.status": ["submitted", "submitted"], "choice.suggestion": "B"}
    first = {
        "external_id": "r1",
        **fields,
        "choice": [{**one, "status": "submitted"} for one in given],
        "metadata": "{}",
    }
    columns = {"user_id": ["ann", "bob"], "value": ["A", "tie"], "status": ["submitted", "submitted"]}
    found = [
        landed("argilla", json.dumps(one), name="r.jsonl")
        for one in (nested, flat, first, {**first, "choice": columns})
    ]
    for kind in ("verdicts", "responses"):
        assert [one[kind] for one in found] == [found[0][kind]] * 4
    assert [v["preferred"] for v in found[0]["verdicts"]] == ["first", "tie"]
    pq = pytest.importorskip("pyarrow.parquet")
    import pyarrow as pa

    pq.write_table(pa.Table.from_pylist([flat]), tmp_path / "r.parquet")
    landing = exchange.read("argilla", [tmp_path / "r.parquet"])
    land(landing, tmp_path / "parquet")
    assert [json.loads(line) for file in (tmp_path / "parquet").glob("verdicts/*") for line in file.open()] == (
        found[0]["verdicts"]
    )


def test_argillas_ratings_of_one_answer_are_rewards_by_person(landed: Landed) -> None:
    fields = {"prompt": "Why?", "response": "x", "response_model": "sft"}
    found = landed("argilla", [record(fields=fields, responses={"rating": [{"value": 4, "user_id": "ann"}]})])
    assert [(r["model"], r["reward"], r["rater"]) for r in found["rewards"]] == [("sft", 4, "ann")]


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ([record(responses={"q": [{"value": ["response1", "response2"], "user_id": "a"}]})], "'response3' has no rank"),
        (
            [record(responses={"q": [{"value": "response1", "user_id": "a"}]})],
            "q: compares two answers, and there are 3",
        ),
        ([record(responses={"q": [{"value": "response1"}]})], "responses.q: user_id: who said it"),
        ([record(responses={"q": "response1"})], "responses.q: a list, this is 'response1'"),
        ([record(fields={"prompt": "Why?", "response_1": None})], "response_1: a text, this is None"),
    ],
)
def test_a_faulty_argilla_export_is_told_its_place_and_nothing_is_written(
    landed: Landed, tmp_path: Path, value: Any, what: str
) -> None:
    with pytest.raises(DocumentError) as caught:
        landed("argilla", value)
    assert what in str(caught.value)
    assert f"{tmp_path / 'export.json'}:1: " in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_the_command_refuses_with_exit_code_2(tmp_path: Path, sciexam: Cli) -> None:
    (tmp_path / "x.json").write_text("[{}]")
    done = sciexam("import", "label-studio", "x.json", "--out", "out")
    assert done.returncode == 2
    assert "x.json:1: data: this key is missing" in done.stderr
    done = sciexam("import", "inspect", "x.json", "--out", "out", "--mapping", "x.json")
    assert "--mapping goes with table, label-studio and argilla" in done.stderr


def test_no_more_than_an_item_is_held_at_a_time(tmp_path: Path) -> None:
    def line(number: int) -> str:
        fields = {"prompt": f"Why {number}?", "response_1": "x" * 50_000, "response_2": "y" * 50_000}
        answer = {"value": "response_1", "user_id": "u", "status": "submitted"}
        return json.dumps({"id": str(number), "fields": fields, "responses": {"best": [answer]}}) + "\n"

    path = tmp_path / "records.jsonl"
    with path.open("w", encoding="utf-8") as file:
        file.writelines(map(line, range(60)))
    tracemalloc.start()
    landing = exchange.read("argilla", [path])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (landing.told.count("verdict"), landing.faults) == (60, [])
    assert peak < path.stat().st_size / 4


def test_what_no_annotator_submitted_is_counted(landed: Landed) -> None:
    said = by(1, result("pairwise", selected="left"))
    found = landed("label-studio", [task(said) | {"drafts": [{"result": []}], "predictions": [{"result": []}] * 2}])
    assert left_out(found) == {"a draft": 1, "a prediction, which no annotator gave": 2}
    assert len(found["verdicts"]) == 1
    answered = {"choice": [{"user_id": "u", "value": "A", "status": "submitted"}]}
    more = {"fields": {"prompt": "Why?", "response_a": "x", "response_b": "y"}, "responses": answered}
    found = landed("argilla", [record(suggestions={"choice": {"value": "B", "agent": "m"}}, **more)])
    assert left_out(found) == {"a suggestion, which no annotator gave": 1}
    assert len(found["verdicts"]) == 1
