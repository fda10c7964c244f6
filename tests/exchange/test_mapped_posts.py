"""JSON Lines with named columns: three layouts, sources and licences kept, every fault told with its line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("datasketch")
pytest.importorskip("markdownify")

from conftest import write_jsonl
from sciexam.errors import DocumentError, UsageError
from sciexam.exchange.question_draw import Choice
from sciexam.exchange.training_data import Made, make

ALL_TRAIN = Choice(test_share=0.0)
FORUM = "site: forum.example.org\nlicence: CC BY 4.0\n"


def made_of(tmp_path: Path, rows: list[dict[str, Any]], columns: str, choice: Choice = ALL_TRAIN) -> Made:
    (tmp_path / "columns.yaml").write_text(columns)
    dump = write_jsonl(tmp_path / "dump.jsonl", rows)
    return make([dump], tmp_path / "out", choice, tmp_path / "columns.yaml")


def lines(tmp_path: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "out" / name).read_text().splitlines()]


def test_a_line_can_be_a_question_with_its_answers(tmp_path: Path) -> None:
    rows = [
        {
            "qid": 7,
            "question": "<p>Why <b>blue</b>?</p>",
            "date": 1300000000,
            "by": "Ann",
            "url": "https://forum.example.org/7",
            "answers": [
                {"text": "<p>Scattering.</p>", "pm_score": 12, "selected": False, "author": "Bo"},
                {"text": "<p>The sea.</p>", "pm_score": 0, "selected": True, "author": None},
            ],
        }
    ]
    columns = FORUM + (
        "html: true\nanswers: answers\nquestion: {id: qid, text: question, date: date, author: by, link: url}\n"
        "answer: {text: text, votes: pm_score, accepted: selected, author: author}\n"
    )
    made_of(tmp_path, rows, columns)
    (pair,) = lines(tmp_path, "preferences.jsonl")
    assert pair["prompt"][0]["content"] == "Why **blue**?"
    assert (pair["score_chosen"], pair["score_rejected"], pair["margin"]) == (4, 1, 3.0)
    assert pair["site"] == "forum.example.org"
    assert pair["attribution"] == [
        {
            "role": "question",
            "author": "Ann",
            "author_link": None,
            "link": "https://forum.example.org/7",
            "licence": "CC BY 4.0",
        },
        {"role": "chosen", "author": "Bo", "author_link": None, "link": None, "licence": "CC BY 4.0"},
        {"role": "rejected", "author": None, "author_link": None, "link": None, "licence": "CC BY 4.0"},
    ]


REDDIT = (
    "site_column: subreddit\nlicence: unknown\n"
    "question: {id: id, title: title, text: selftext, votes: score, date: created_utc, author: author, "
    "link: permalink}\n"
    "answer: {id: id, question: parent_id, prefix: t3_, text: body, votes: score, author: author, link: permalink}\n"
)


def submission(id: str, title: str, **more: Any) -> dict[str, Any]:
    row = {"id": id, "title": title, "selftext": "", "score": 5, "created_utc": 1420070400, "author": "ann"}
    return {**row, "permalink": f"/r/askscience/{id}", "subreddit": "askscience", **more}


def comment(id: str, parent: str, body: str, score: int, **more: Any) -> dict[str, Any]:
    row = {"id": id, "parent_id": parent, "body": body, "score": score, "author": "bo", "subreddit": "askscience"}
    return {**row, "permalink": f"/r/askscience/{id}", **more}


def test_a_line_can_be_a_question_or_an_answer_in_any_order(tmp_path: Path) -> None:
    rows = [
        comment("c1", "t3_s1", "Because of *starch*.", 40),
        comment("c2", "t1_c1", "Thanks!", 90),  # a reply to an answer
        submission("s1", "Why does pasta stick?"),
        comment("c3", "t3_s1", "It is hungry.", -3),
        submission("s2", "Elsewhere?", subreddit="history"),
        comment("c4", "t3_s2", "Yes.", 4, subreddit="history"),
    ]
    made = made_of(tmp_path, rows, REDDIT, Choice(test_share=0.0, site="askscience"))
    assert made.read == {"questions": 2, "answers": 3, "other": 1}
    assert made.left_out["questions"] == {"of another site": 1}
    (pair,) = lines(tmp_path, "preferences.jsonl")
    assert pair["chosen"][0]["content"] == "Because of *starch*."  # Markdown stays as it is
    assert (pair["site"], pair["margin"]) == ("askscience", 6.0)
    assert {text["licence"] for text in pair["attribution"]} == {"unknown"}


def test_a_line_can_be_a_question_and_an_answer_and_extracts_have_no_votes(tmp_path: Path) -> None:
    rows = [{"title": title, "text": text, "url": f"https://en.wikipedia.org/wiki/{title}"} for title, text in WIKI]
    columns = (
        "site: en.wikipedia.org\nlicence: CC BY-SA 4.0\nquestion: {title: title, link: url}\n"
        "answer: {text: text, link: url}\n"
    )
    made = made_of(tmp_path, rows, columns)
    assert made.files == {"demonstrations.jsonl": 2, "train_prompts.jsonl": 2}
    found = {line["prompt"]: line for line in lines(tmp_path, "demonstrations.jsonl")}
    assert found["Osmosis"]["completion"] == "Osmosis is the movement of a solvent."
    assert found["Osmosis"]["votes"] is None
    assert found["Osmosis"]["attribution"][1]["link"] == "https://en.wikipedia.org/wiki/Osmosis"


WIKI = [("Osmosis", "Osmosis is the movement of a solvent."), ("Enzyme", "Enzymes are proteins.")]


def test_the_answer_that_was_accepted_can_be_named_by_its_question(tmp_path: Path) -> None:
    rows = [
        {"id": "q", "title": "Why?", "best": "a2"},
        {"id": "a1", "parent": "q", "body": "One.", "votes": 1},
        {"id": "a2", "parent": "q", "body": "Two.", "votes": 1},
    ]
    columns = FORUM + (
        "question: {id: id, title: title, accepted: best}\n"
        "answer: {id: id, question: parent, text: body, votes: votes}\n"
    )
    made_of(tmp_path, rows, columns)
    (pair,) = lines(tmp_path, "preferences.jsonl")
    assert (pair["chosen"][0]["content"], pair["margin"]) == ("Two.", 1.0)


def test_lines_of_one_question_that_disagree_are_a_fault(tmp_path: Path) -> None:
    columns = FORUM + "question: {id: id, title: title}\nanswer: {text: body}\n"
    same = [{"id": 1, "title": "Why?", "body": "One."}, {"id": 1, "title": "Why?", "body": "Two."}]
    assert made_of(tmp_path, same, columns).read["questions"] == 1
    with pytest.raises(DocumentError, match=r"dump\.jsonl:2: id '.*/1' is another question at .*dump\.jsonl:1"):
        made_of(tmp_path, [same[0], {**same[1], "title": "How?"}], columns)


GOOD = comment("c1", "t3_s1", "Starch.", 4)
FAULTS = {
    "votes that are none": ({"score": "4"}, "dump.jsonl:2: score: must be a whole number of votes"),
    "votes in part": ({"score": 4.5}, "dump.jsonl:2: score: must be a whole number of votes"),
    "votes that are true": ({"score": True}, "score: must be a whole number of votes"),
    "a text that is none": ({"body": ["x"]}, "dump.jsonl:2: body: must be a text"),
    "half a character": ({"body": "\ud800"}, "body: holds half a character"),
    "an id that is none": ({"id": 1.5}, "id: must be a text or a whole number"),
    "no site": ({"subreddit": ""}, "dump.jsonl:2: subreddit: is empty"),
    "an id again": ({"id": "c0"}, "dump.jsonl:2: id 'askscience/a/c0' stands at "),
}


@pytest.mark.parametrize(("change", "told"), FAULTS.values(), ids=FAULTS)
def test_a_line_that_cannot_be_understood_is_told(change: dict[str, Any], told: str, tmp_path: Path) -> None:
    rows = [comment("c0", "t3_s1", "Zero.", 1), {**GOOD, **change}, submission("s1", "Why?", created_utc="Monday")]
    with pytest.raises(DocumentError) as caught:
        made_of(tmp_path, rows, REDDIT)
    assert told in str(caught.value)
    assert "dump.jsonl:3: created_utc: must be a date" in str(caught.value)  # all faults at once
    assert not (tmp_path / "out").exists()


def test_a_column_that_no_line_has_is_told_with_those_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"yaml: no line of .* has the column 'score'; the first one has id, "):
        made_of(tmp_path, [{"id": "s1", "title": "Why?", "subreddit": "x"}], REDDIT)


COLUMNS = {
    "no licence": (
        "site: x\nquestion: {title: a}\nanswer: {text: b}",
        "say licence: for all lines, or licence_column:",
    ),
    "a licence twice": (FORUM + "licence_column: l\nquestion: {title: a}\nanswer: {text: b}", "say licence: for all"),
    "no question": (FORUM + "question: {id: a}\nanswer: {text: b}", "columns.yaml:3: question: name the column"),
    "no text": (FORUM + "question: {title: a}\nanswer: {votes: b}", "columns.yaml:4: answer.text: this key is missing"),
    "a misspelt key": (FORUM + "question: {titel: a}\nanswer: {text: b}", "titel: unknown key; did you mean 'title'?"),
    "two layouts": (
        FORUM + "answers: c\nquestion: {id: i, title: a}\nanswer: {text: b, question: q}",
        "need no answer.question",
    ),
    "an answer to no id": (FORUM + "question: {title: a}\nanswer: {text: b, question: q}", "name its column"),
}


@pytest.mark.parametrize(("columns", "told"), COLUMNS.values(), ids=COLUMNS)
def test_a_file_of_columns_that_cannot_be_meant_is_refused(columns: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(DocumentError) as caught:
        made_of(tmp_path, [{"a": "x"}], columns)
    assert told in str(caught.value)


def test_lines_need_columns_and_a_dump_takes_none(tmp_path: Path) -> None:
    dump = write_jsonl(tmp_path / "dump.jsonl", [{}])
    with pytest.raises(UsageError, match=r"says nothing of its columns: name a YAML file with --columns"):
        make([dump], tmp_path / "out", ALL_TRAIN)
    (tmp_path / "Posts.xml").touch()
    with pytest.raises(UsageError, match=r"Posts\.xml: takes no --columns"):
        make([tmp_path / "Posts.xml"], tmp_path / "out", ALL_TRAIN, dump)


def test_a_dump_that_is_none_is_told_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "posts.json.gz").touch()
    refused = {
        "posts.json.gz": r"posts\.json\.gz: is neither a site's \.7z, its Posts\.xml nor its folder, nor JSON Lines",
        "none.7z": r"none\.7z: no such file or folder$",
    }
    for name, told in refused.items():
        with pytest.raises(UsageError, match=told):
            make([tmp_path / name], tmp_path / "out", ALL_TRAIN)
    with pytest.raises(UsageError, match=r"posts\.json\.gz: is named twice$"):
        make([tmp_path / "posts.json.gz"] * 2, tmp_path / "out", ALL_TRAIN)


def test_questions_and_answers_may_come_in_files_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "columns.yaml").write_text(REDDIT)
    comments = tmp_path / "comments.jsonl.gz"
    comments.write_bytes(gzip.compress(write_jsonl(tmp_path / "plain.jsonl", [GOOD]).read_bytes()))
    submissions = write_jsonl(tmp_path / "submissions.jsonl", [submission("s1", "Why does pasta stick?")])
    made = make([comments, submissions], tmp_path / "out", ALL_TRAIN, tmp_path / "columns.yaml")
    assert made.questions["train"] == 1
    assert [Path(source["file"]).name for source in made.sources] == [comments.name, submissions.name, "columns.yaml"]


def test_all_lines_that_are_no_json_are_told(tmp_path: Path) -> None:
    (tmp_path / "dump.jsonl").write_text('{"score": NaN}\n[]\n{"id": "s1", "titl')
    (tmp_path / "columns.yaml").write_text(REDDIT)
    with pytest.raises(DocumentError) as caught:
        make([tmp_path / "dump.jsonl"], tmp_path / "out", ALL_TRAIN, tmp_path / "columns.yaml")
    assert [fault.partition("dump.jsonl:")[2] for fault in caught.value.faults[:3]] == [
        "1: not JSON: NaN is not a JSON number",
        "2: each line must be an object {...}, this is a list",
        "3: the line ends in the middle of its JSON; was the file cut off?",
    ]
