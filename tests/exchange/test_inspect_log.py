"""Inspect's logs, packed and plain: answers land as responses, scores as rewards, comparisons as verdicts."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

import sciexam as sx
from sciexam import exchange
from sciexam.errors import DocumentError
from sciexam.exchange.landed import Landed, land


def sample(id: Any = "s1", epoch: int = 1, **more: Any) -> dict[str, Any]:
    output = {"model": "m", "choices": [{"message": {"role": "assistant", "content": "An answer."}}], "completion": ""}
    score = {"value": "C", "answer": "An answer.", "explanation": "it is", "metadata": {}}
    return {
        "id": id,
        "epoch": epoch,
        "input": "Why?",
        "target": "Because.",
        "output": output,
        "scores": {"match": score},
    } | more


def log(model: str = "openai/gpt", task: str = "why", status: str = "success") -> dict[str, Any]:
    return {"version": 2, "status": status, "eval": {"model": model, "task": task, "created": "2025-01-01"}}


def packed(path: Path, head: dict[str, Any], *samples: Any, name: str = "header.json") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, json.dumps(head))
        file.writestr("summaries.json", "[]")
        for place, one in enumerate(samples, 1):
            file.writestr(f"samples/s{place}_epoch_1.json", one if isinstance(one, str) else json.dumps(one))
    return path


def plain(path: Path, head: dict[str, Any], *samples: Any) -> Path:
    path.write_text(json.dumps(head | {"samples": list(samples)}), encoding="utf-8")
    return path


def lines(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [json.loads(line) for file in sorted(folder.glob(f"{kind}.jsonl")) for line in file.open()]


def read(folder: Path, *paths: Path) -> Landed:
    return land(exchange.read("inspect", paths), folder / "out")


@pytest.mark.parametrize(("write", "name"), [(packed, "a.eval"), (plain, "a.json")])
def test_a_log_is_prompts_answers_of_its_epochs_and_rewards_by_scorer(write: Any, name: str, tmp_path: Path) -> None:
    scores = {
        "match": {"value": "I"},
        "quality": {"value": {"style": 3, "truth": 0.5}},
        "judge": {"value": "excellent"},
        "flag": {"value": True},
    }
    found = read(tmp_path, write(tmp_path / name, log(), sample(), sample(epoch=2, scores=scores)))
    out = tmp_path / "out"
    assert lines(out, "prompts")[0].items() >= {"id": "s1", "text": "Why?", "reference": "Because."}.items()
    answered = [(line["text"], line.get("sample", 0)) for line in lines(out, "responses/*")]
    assert answered == [("An answer.", 0), ("An answer.", 1)]
    rewards = {(r["rater"], r.get("sample", 0)): r["reward"] for r in lines(out, "rewards/*")}
    assert rewards == {
        ("match", 0): 1,
        ("match", 1): 0,
        ("quality/style", 1): 3,
        ("quality/truth", 1): 0.5,
        ("flag", 1): 1,
    }
    assert [(one.why, one.rows) for one in found.left_out] == [("the score of judge is no number", 1)]
    assert found.files[str(tmp_path / name)]["rows"] == 2
    suite = sx.load_suite(str(out / "suite.yaml"))
    assert suite.contestants == ("openai/gpt",)
    assert suite.generation.samples == 2


def test_logs_of_two_models_meet_on_their_prompts_and_tasks_are_categories(tmp_path: Path) -> None:
    paths = [
        packed(tmp_path / "a.eval", log("m/one"), sample()),
        packed(tmp_path / "b.eval", log("m/two"), sample(), name="_journal/start.json"),
        plain(tmp_path / "c.json", log("m/one", "how", "error"), sample(input="How?")),
    ]
    found = read(tmp_path, *paths)
    prompts = [(line["id"], line["category"]) for line in lines(tmp_path / "out", "prompts")]
    assert prompts == [("why/s1", "why"), ("how/s1", "how")]
    assert found.responses == {"m/one": 2, "m/two": 1}
    assert any("c.json is the log of a run that did not succeed: 'error'" in note for note in found.notes)


def test_a_score_that_says_whom_it_compares_is_a_verdict(tmp_path: Path) -> None:
    about = {"model_a": "base", "model_b": "sft", "response_a": "x", "response_b": "y"}
    score = {"value": 1, "answer": "B", "explanation": "clearer", "metadata": about}
    read(tmp_path, plain(tmp_path / "a.json", log(), sample(scores={"pair": score})))
    [verdict] = lines(tmp_path / "out", "verdicts/*")
    assert verdict.items() >= {"first": "base", "second": "sft", "preferred": "second", "reason": "clearer"}.items()
    assert lines(tmp_path / "out", "rewards/*") == []


def test_conversations_attachments_and_samples_without_an_answer(tmp_path: Path) -> None:
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "attachment://abc"}]
    tools = [{"role": "user", "content": "Why?"}, {"role": "tool", "content": "42"}]
    failed = sample("s2", output={"choices": []}, error={"message": "boom"})
    samples = [sample(input=asked, attachments={"abc": "A long question"}), failed, sample("s3", input=tools)]
    found = read(tmp_path, plain(tmp_path / "a.json", log(), *samples))
    assert lines(tmp_path / "out", "prompts")[0]["messages"][1]["content"] == "A long question"
    assert {one.why for one in found.left_out} == {
        "ended in an error, without an answer",
        "its input holds tools or pictures, or does not end with the user",
    }


@pytest.mark.parametrize(
    ("made", "what"),
    [
        (
            lambda p: packed(p / "a.eval", log(), '{"id": 1, "ep'),
            "a.eval/samples/s1_epoch_1.json:1: it ends in the middle",
        ),
        (lambda p: packed(p / "a.eval", log(), sample(id=None)), "a.eval/samples/s1_epoch_1.json:1: id and epoch"),
        (lambda p: plain(p / "a.json", log(), sample(), sample(epoch="x")), "a.json/samples:2: id and epoch"),
        (lambda p: plain(p / "a.json", log(), sample(), sample(input="How?")), "prompt 's1' is asked otherwise"),
        (lambda p: plain(p / "a.json", log(), sample(scores=[1])), "a.json/samples:1: scores: an object by scorer"),
        (lambda p: plain(p / "a.json", {"status": "success"}), "eval.model: a name; this is no log of Inspect"),
        (lambda p: packed(p / "a.eval", log()), "a.eval: holds no samples"),
        (lambda p: cut(packed(p / "a.eval", log(), sample())), "a.eval: is no .eval log: file is not a zip file"),
        (lambda p: plain(p / "a.json", log(), sample(scores=UNCLEAR)), "scores.pair.answer: 1 is none of A, B, C"),
    ],
)
def test_a_faulty_log_is_told_its_place_and_nothing_is_written(made: Any, what: str, tmp_path: Path) -> None:
    with pytest.raises(DocumentError) as caught:
        read(tmp_path, made(tmp_path))
    assert what in str(caught.value)
    assert not (tmp_path / "out").exists()


UNCLEAR = {"pair": {"value": 1, "metadata": {"model_a": "base", "model_b": "sft"}}}


def cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-40])
    return path


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_sample_that_stands_twice_in_a_log_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.eval"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("header.json", json.dumps(log()))
        for _ in range(2):
            file.writestr("samples/s1_epoch_1.json", json.dumps(sample()))
    with pytest.raises(DocumentError, match=r"log\.eval/samples/s1_epoch_1\.json: stands twice in the log"):
        read(tmp_path / "out", path)
