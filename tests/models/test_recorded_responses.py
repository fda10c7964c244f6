"""Recorded answers are found by the prompt's id or by its text; nothing doubled or unmatched goes unnoticed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import sciexam as sx
from sciexam.errors import DocumentError, UsageError
from sciexam.models.recorded import RecordedModel, read_responses, recorded
from sciexam.models.settings import Recorded
from sciexam.suite import suite_of_files
from sciexam.types import Conversation, Message, Prompt, Reply


def prompt(name: str, text: str) -> Prompt:
    return Prompt(id=name, messages=(Message(role="user", content=text),))


def ask(model: RecordedModel, name: str, text: str, sample: int = 0) -> Reply:
    (reply,) = model.generate([Conversation("k", prompt(name, text).messages, sample, prompt=name)])
    return reply


def lines(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def listed(folder: Path, content: object) -> Path:
    path = folder / "model_outputs.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content, indent=2))
    return path


def faults(path: Path) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        read_responses(path)
    return [fault.removeprefix(f"{path}") for fault in caught.value.faults]


def test_an_answer_is_found_by_id_and_sample(tmp_path: Path) -> None:
    rows = [
        {"prompt": 1, "text": "a"},
        {"prompt": "1", "text": "b", "sample": 1, "finish_reason": "length", "more": []},
    ]
    model = RecordedModel(lines(tmp_path, *rows))
    assert (ask(model, "1", "Why?").text, ask(model, "1", "Why?").status) == ("a", "ok")
    assert (ask(model, "1", "Why?", 1).text, ask(model, "1", "Why?", 1).finish_reason) == ("b", "length")


def test_an_answer_that_is_not_there_is_skipped_and_an_empty_one_is_an_answer(tmp_path: Path) -> None:
    model = RecordedModel(lines(tmp_path, {"prompt": "1", "text": ""}))
    assert ask(model, "1", "Why?") == Reply("k", "", model="a")
    for absent in (ask(model, "2", "How?"), ask(model, "1", "Why?", 1)):
        assert (absent.status, absent.failure) == ("skipped", "no recorded answer")


def test_an_alpacaeval_list_is_matched_on_the_instruction(tmp_path: Path) -> None:
    rows = [
        {"instruction": "Why?", "output": "a", "generator": "m", "dataset": "d"},
        {"instruction": "How?", "output": "b"},
    ]
    path = listed(tmp_path, rows)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    model = RecordedModel(path)
    assert [ask(model, name, text).text for name, text in (("p1", "How?"), ("p2", "Why?"))] == ["b", "a"]
    assert model.unmatched([prompt("p1", "How?")]) == ["Why?"]
    assert model.unmatched([prompt("p1", "How?"), prompt("Why?", "other")]) == []


def test_a_doubled_answer_names_both_lines_and_all_faults_come_at_once(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"prompt": "1", "text": "a"},
        {"prompt": "1"},
        {"prompt": 1, "text": "b"},
        {"text": 5},
        {"prompt": "2", "text": None},
    ]
    assert faults(lines(tmp_path, *rows)) == [
        ":2: text: this key is missing",
        ":3: prompt: '1' sample 0 was answered in line 1; remove one of the two, or give it \"sample\": 1",
        ":4: prompt: this key is missing",
        ':5: text: null is no answer; leave the line out if there is none, or write "" if it is empty',
    ]


def test_a_file_with_other_keys_is_told_which_to_rename(tmp_path: Path) -> None:
    path = lines(tmp_path, {"qid": "1", "question": "Why?", "completion": "a"}, {"qid": "2", "question": "How?"})
    *_, last = faults(path)
    assert last == (
        ': a line of answers is {"prompt": "...", "text": "..."}: rename question to prompt and completion to text, or '
        "say which column is what: `sciexam import table` with a --mapping (docs/importing.md)"
    )
    *_, last = faults(listed(tmp_path, [{"prompt": "Why?", "response": "a"}]))
    assert "rename response to text, or say" in last


def test_lines_with_alpacaevals_keys_are_read_as_its_list_is(tmp_path: Path) -> None:
    rows = [{"instruction": "Why?", "output": "a", "generator": "m"}, {"instruction": "How?", "output": "b"}]
    assert read_responses(lines(tmp_path, *rows)) == read_responses(listed(tmp_path, rows))


def test_the_faults_of_two_files_come_at_once(tmp_path: Path) -> None:
    doubled = lines(tmp_path, {"prompt": "1", "text": "a"}, {"prompt": "1", "text": "b"}).rename(tmp_path / "old.jsonl")
    missing = lines(tmp_path, {"prompt": "1", "text": "a"}, {"text": "b"}).rename(tmp_path / "new.jsonl")
    with pytest.raises(DocumentError) as refused:
        suite_of_files([doubled, missing])
    assert [fault.rpartition("/")[2] for fault in refused.value.faults] == [
        "old.jsonl:2: prompt: '1' sample 0 was answered in line 1; remove one of the two, or give it \"sample\": 1",
        "new.jsonl:2: prompt: this key is missing",
    ]
    suite = {name: Recorded(responses=str(path)) for name, path in (("old", doubled), ("new", missing))}
    with pytest.raises(DocumentError) as both:
        sx.compare(sx.load_suite("science").with_models(suite), "old", "new", results=tmp_path / "r")
    assert both.value.faults == refused.value.faults


NO_ITEM = "an item has 'prompt' and 'text', or as AlpacaEval's 'instruction' and 'output'"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ([{"instruction": "Why?", "output": "a"}, {"instruction": "How?"}], f": item 2: {NO_ITEM}"),
        ([["Why?", "a"]], f": item 1: {NO_ITEM}"),
        ([{"instruction": "Why?", "output": None}], ":1: text: null is no answer; leave the line out"),
        ("[{", ": not a JSON list: "),
        pytest.param("[" * 100_000, ": not a JSON list: ", id="deep list"),
        ("[]", ": holds no responses"),
        ("", ": holds no responses"),
    ],
)
def test_a_faulty_list_is_refused(tmp_path: Path, content: object, fault: str) -> None:
    (found,) = faults(listed(tmp_path, content))
    assert found.startswith(fault)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.jsonl: no such file or directory"):
        read_responses(tmp_path / "none.jsonl")


def test_the_digest_is_that_of_the_content(tmp_path: Path) -> None:
    first = RecordedModel(lines(tmp_path, {"prompt": "1", "text": "a"})).digest
    (tmp_path / "copy.jsonl").write_bytes((tmp_path / "a.jsonl").read_bytes())
    assert RecordedModel(tmp_path / "copy.jsonl").digest == first
    assert RecordedModel(lines(tmp_path, {"prompt": "1", "text": "b"})).digest != first


def test_the_real_alpacaeval_answers_are_all_found_by_their_instructions(tmp_path: Path, shared_data: Path) -> None:
    import gzip

    with gzip.open(shared_data / "alpacaeval" / "prompts.jsonl.gz", "rt", encoding="utf-8") as file:
        texts = {row["index"]: row["instruction"] for row in map(json.loads, file)}
    with gzip.open(shared_data / "alpacaeval" / "answers_science.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [row for row in map(json.loads, file) if row["model"] == "phi-2"]
    path = listed(tmp_path, [{"instruction": texts[row["index"]], "output": row["output"]} for row in rows])
    model = RecordedModel(path)
    prompts = [prompt(f"p{row['index']}", texts[row["index"]]) for row in rows]
    assert len(rows) == 58  # the science prompts of the set
    assert model.unmatched(prompts) == []
    assert [ask(model, p.id, p.text).text for p in prompts] == [row["output"] for row in rows]


def test_a_file_that_was_changed_since_it_was_read_is_told(tmp_path: Path) -> None:
    """What it holds by now is no answer under the digest of what it held."""
    path = lines(tmp_path, {"prompt": "1", "text": "a"}, {"prompt": "2", "text": "b"})
    model = RecordedModel(path)
    assert ask(model, "2", "").text == "b"
    lines(tmp_path, {"prompt": "2", "text": "longer"}, {"prompt": "1", "text": "a"})
    with pytest.raises(UsageError, match="changed while it was read; run the same command again"):
        ask(model, "2", "")


def test_a_file_is_read_once_for_as_long_as_it_is_the_same(tmp_path: Path) -> None:
    path = lines(tmp_path, {"prompt": "1", "text": "a"})
    first = recorded(path)
    assert recorded(path) is first
    lines(tmp_path, {"prompt": "1", "text": "another"})
    assert ask(recorded(path), "1", "").text == "another"


@pytest.mark.parametrize("blank", ["\u00a0", "\f", "\u2028", "\ufeff"])
def test_blanks_around_a_line_are_no_part_of_it_whenever_it_is_read(tmp_path: Path, blank: str) -> None:
    path = tmp_path / "a.jsonl"
    before = "" if blank == "\ufeff" else blank
    path.write_text(f'{blank}{{"prompt": "q", "text": "t"}}{before}\n', encoding="utf-8")
    [reply] = RecordedModel(path).generate([Conversation("k", (Message(role="user", content="q"),))])
    assert (reply.text, reply.status) == ("t", "ok")
