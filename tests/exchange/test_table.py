"""Any table with a YAML file that says what its columns are; the votes of LLMFAO among them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sciexam as sx
from conftest import Cli
from exchange.reading import imported, lines, refused, said, write_lines
from sciexam.errors import DocumentError
from sciexam.exchange import read
from sciexam.stats import bradley_terry

VOTES = """
licence: CC BY 4.0
prompts: {id: {row: true}, group: prompt}
verdicts:
  first: left
  second: right
  preferred: winner
  labels: {left: first, right: second, tie: tie}
  rater: {value: crowd}
  kind: human
"""


def mapping(folder: Path, text: str) -> Path:
    path = folder / "columns.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_votes_of_llmfao_give_the_published_board(tmp_path: Path, shared_data: Path) -> None:
    """Strengths to 3e-6, where the origin stopped at a tolerance of 1e-6; comparisons and ranks exactly."""
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "crowd.csv.gz").write_bytes((shared_data / "llmfao" / "crowd.csv.gz").read_bytes())
    landed = imported("table", tmp_path / "v", mapping(tmp_path, VOTES))
    assert (landed.licence, landed.prompts, landed.raters) == ("CC BY 4.0", 8931, {"crowd": "human"})
    votes = lines(tmp_path / "v", "verdicts/annotators")
    sides = {"first": 1.0, "second": 0.0, "tie": 0.5}
    fought = [(landed.renamed.get(v["first"], v["first"]), landed.renamed.get(v["second"], v["second"])) for v in votes]
    scores = [sides[vote["preferred"]] for vote in votes]
    board = bradley_terry(*map(list, zip(*fought, strict=True)), scores, ties="half", draws=10)
    strengths = {standing.name: float(np.exp(standing.strength or 0)) for standing in board.standings}
    for row in published(shared_data):
        standing = next(one for one in board.standings if one.name == row["model"])
        assert strengths[row["model"]] / sum(strengths.values()) == pytest.approx(float(row["bt_score"]), abs=3e-6)
        assert (standing.battles, standing.rank) == (int(row["n_comparisons"]), int(row["rank"]))


def test_rows_of_two_files_that_are_numbered_are_prompts_of_their_own(tmp_path: Path) -> None:
    for name, winner in (("a", "left"), ("b", "right")):
        write_lines(tmp_path / "v" / f"{name}.csv", ["prompt,left,right,winner", f"1,x,y,{winner}"])
    landed = imported("table", tmp_path / "v", mapping(tmp_path, VOTES))
    assert landed.prompts == 2
    votes = lines(tmp_path / "v", "verdicts/annotators")
    assert said(votes, "prompt", "preferred", "repeat") == [("row-2", "first", None), ("file-2-row-2", "second", None)]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_leaderboard_on_the_votes_of_llmfao_is_that_of_evalica(tmp_path: Path, shared_data: Path) -> None:
    """A leaderboard fits ties as Davidson does; so does evalica's `newman` (2023, JMLR 24:238), up to a factor."""
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "crowd.csv.gz").write_bytes((shared_data / "llmfao" / "crowd.csv.gz").read_bytes())
    landed = imported("table", tmp_path / "v", mapping(tmp_path, VOTES))
    suite = sx.load_suite(str(tmp_path / "out" / "suite.yaml"))
    board = sx.leaderboard(suite, judge="annotators", results=tmp_path / "results")
    rows = [row for row in board.standings[0].rows if row.contestant != "null"]
    logs = {landed.renamed.get(row.contestant, row.contestant): row.rating.value * np.log(10) / 400 for row in rows}
    with (shared_data / "llmfao" / "golden_evalica.csv").open(encoding="utf-8", newline="") as file:
        golden = {r["item"]: np.log(float(r["score"])) for r in csv.DictReader(file) if r["algorithm"] == "newman"}
    ours, theirs = (np.array([given[name] for name in sorted(golden)]) for given in (logs, golden))
    assert ours - ours.mean() == pytest.approx(theirs - theirs.mean(), abs=1e-9)
    battles = {landed.renamed.get(row.contestant, row.contestant): row.battles for row in rows}
    assert all(battles[row["model"]] == int(row["n_comparisons"]) for row in published(shared_data))


def published(data: Path) -> list[dict[str, str]]:
    with (data / "llmfao" / "published_leaderboard_crowd.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


WIDE = """
prompts: {id: qid, text: question, category: field}
responses: [{model: left, text: left_answer}, {model: right, text: right_answer}]
verdicts: {first: left, second: right, preferred: better, rater: who, kind: human, reason: why}
rewards:
  - {model: left, reward: left_score, rater: {value: rm}}
  - {model: right, reward: right_score, rater: {value: rm}}
"""


def wide(**more: Any) -> dict[str, Any]:
    texts = {"qid": 1, "question": "Why?", "field": "physics", "left_answer": "=cmd", "right_answer": "b"}
    said = {"left": "old", "right": "new", "better": "new", "who": "Ann", "why": "", "left_score": "1e0"}
    return texts | said | {"right_score": "-2", "mood": "fine"} | more


def test_a_wide_table_lands_as_prompts_answers_verdicts_and_rewards(tmp_path: Path) -> None:
    rows = [wide(), wide(qid=2, better="tie")]
    (tmp_path / "t").mkdir()
    with (tmp_path / "t" / "wide.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)
    landed = imported("table", tmp_path / "t", mapping(tmp_path, WIDE))
    assert said(lines(tmp_path / "t", "verdicts/annotators"), "prompt", "first", "preferred", "rater") == [
        ("1", "old", "second", "Ann"),
        ("2", "old", "tie", "Ann"),
    ]
    assert said(lines(tmp_path / "t", "responses/old"), "text") == [("=cmd",), ("=cmd",)]
    assert said(lines(tmp_path / "t", "rewards/rm"), "model", "reward", "mood") == [
        ("old", 1.0, None),
        ("new", -2.0, "fine"),
        ("old", 1.0, None),
        ("new", -2.0, "fine"),
    ]
    assert landed.notes == ["wide.csv: kept as metadata: mood"]


def test_prompts_and_votes_may_lie_in_files_of_their_own(tmp_path: Path) -> None:
    write_lines(tmp_path / "t" / "asked.csv", ["id,text", "q1,Why?"])
    write_lines(tmp_path / "t" / "votes.jsonl", [{"id": "q1", "a": "x", "b": "y", "p": 0.75, "note": None}])
    imported(
        "table",
        tmp_path / "t",
        mapping(
            tmp_path,
            "prompts: {file: asked.csv, id: id, text: text}\n"
            "verdicts: {file: votes.jsonl, prompt: id, first: a, second: b, probability_second: p}\n",
        ),
    )
    assert said(lines(tmp_path / "t", "verdicts/recorded"), "prompt", "probability_second") == [("q1", 0.75)]


def test_a_file_of_ours_that_is_safe_for_spreadsheets_is_read_as_what_it_says(tmp_path: Path) -> None:
    write_lines(tmp_path / "t" / "a.csv", ["q,model,text", "1,m,'=1+1", "2,m,'plain"])
    text = "spreadsheet_safe: true\nresponses: {prompt: q, model: model, text: text}\n"
    imported("table", tmp_path / "t", mapping(tmp_path, text))
    assert said(lines(tmp_path / "t", "responses/m"), "text") == [("=1+1",), ("'plain",)]


def test_who_is_a_person_may_be_a_column(tmp_path: Path) -> None:
    text = "verdicts: {prompt: q, first: a, second: b, preferred: won, rater: who, kind: what}\n"
    write_lines(tmp_path / "t" / "a.csv", ["q,a,b,won,who,what", "1,x,y,first,Ann,human", "1,x,y,tie,gpt,judge"])
    assert imported("table", tmp_path / "t", mapping(tmp_path, text)).raters == {"Ann": "human", "gpt": "judge"}
    write_lines(tmp_path / "u" / "a.csv", ["q,a,b,won,who,what", "1,x,y,first,Ann,person", "1,x,y,tie,Bob,"])
    with pytest.raises(DocumentError) as told:
        imported("table", tmp_path / "u", mapping(tmp_path, text))
    assert [line.replace(f"{tmp_path}/u/", "") for line in str(told.value).splitlines()] == [
        "a.csv:2: kind: judge or human, this is 'person'",
        "a.csv:3: kind: judge or human, this is None",
    ]
    with pytest.raises(DocumentError, match=r"a\.csv:2: humans: no such column"):
        imported("table", tmp_path / "u", mapping(tmp_path, text.replace("kind: what", "kind: humans")))


JUDGED = """
prompts: {file: old.jsonl, id: id, text: text}
responses:
  - {file: old.jsonl, prompt: id, model: {value: old}, text: answer}
  - {file: new.jsonl, prompt: id, model: {value: new}, text: answer}
verdicts: {file: votes.csv, prompt: id, first: left, second: right, preferred: winner, rater: worker, kind: human}
"""


def judged(folder: Path, *votes: str) -> Path:
    for name in ("old", "new"):
        write_lines(folder / "t" / f"{name}.jsonl", [{"id": "q", "text": "Why?", "answer": name}])
    write_lines(folder / "t" / "votes.csv", ["id,left,right,winner,worker", *votes])
    return mapping(folder, JUDGED)


def test_an_empty_cell_of_the_raters_column_makes_up_no_rater(tmp_path: Path) -> None:
    columns = judged(tmp_path, "q,old,new,first,ann", "q,old,new,first,")
    assert refused("table", tmp_path / "t", columns) == [
        "votes.csv:3: worker: empty; write who said this, or remove the row"
    ]


def test_a_misspelt_contestant_is_named_with_its_line(tmp_path: Path) -> None:
    columns = judged(tmp_path, "q,old,new,first,ann", "q,odl,new,first,bob")
    landed = imported("table", tmp_path / "t", columns)
    where = tmp_path / "t" / "votes.csv"
    assert f"{where}:3: no file holds an answer of 'odl'; did you mean 'old'?" in landed.notes


def test_what_a_rater_says_again_is_counted_with_what_speaks_against_it(tmp_path: Path) -> None:
    columns = judged(tmp_path, "q,old,new,first,ann", "q,old,new,second,ann", "q,new,old,second,ann")
    landed = imported("table", tmp_path / "t", columns)
    said = "a rater's further verdict on the same order counts as its repeat (1 in all, 1 against an earlier one)"
    assert f"{tmp_path / 't' / 'votes.csv'}:3: {said}" in landed.notes


def test_whoever_imports_what_people_said_is_told_how_to_hold_a_judge_against_it(tmp_path: Path, sciexam: Cli) -> None:
    judged(tmp_path, "q,old,new,first,ann")
    done = sciexam("import", "table", "t", "--mapping", "columns.yaml", "--out", "out")
    *_, last = done.stdout.splitlines()
    assert last == "    sciexam validate openai:gpt-4.1-mini-2025-04-14 --suite out/suite.yaml"
    refused = sciexam("validate", "measures", "--suite", "out/suite.yaml", "--humans", "t/votes.csv")
    assert refused.stderr.startswith(
        "sciexam: t/votes.csv: a file of verdicts is a .jsonl; a table of what people said is read by "
        "`sciexam annotate import t/votes.csv --suite out/suite.yaml`"
    )


def test_a_wrong_word_in_a_mapping_is_told_once_where_it_stands(tmp_path: Path) -> None:
    """A section may be one or a list of them; that it is no list is not what is wrong."""
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "a.csv").write_text("first,second,won\nx,y,left\n")
    text = "verdicts:\n  first: first\n  second: second\n  preferred: won\n  labels: {left: links}\n"
    told = refused("table", tmp_path / "t", mapping(tmp_path, text))
    assert [line.partition("columns.yaml:")[2] for line in told] == [
        "5: verdicts.labels.left: input should be 'first', 'second', 'tie' or 'failed', not 'links'"
    ]


def test_what_is_malformed_is_told_with_its_line(tmp_path: Path) -> None:
    rows = [
        wide(better="neither"),
        wide(qid=2, left_score="high"),
        wide(qid=3, left=""),
        {key: value for key, value in wide(qid=4).items() if key != "who"},
        wide(question="How?"),
    ]
    write_lines(tmp_path / "t" / "wide.jsonl", rows)
    told = refused("table", tmp_path / "t", mapping(tmp_path, WIDE))
    assert told[:4] == [
        "wide.jsonl:1: better: 'neither' is none of first, second, tie, old, new",
        "wide.jsonl:2: reward: a number, this is 'high'",
        "wide.jsonl:3: a model's name is a text that is not empty, this is None (and 2 more like this, the next in "
        "wide.jsonl:3)",
        "wide.jsonl:4: who: no such column; did you mean 'why'?",
    ]
    assert told[4].startswith("wide.jsonl:5: prompt '1' is asked otherwise in ")


def test_a_mapping_that_cannot_be_meant_is_refused_with_its_line(tmp_path: Path) -> None:
    write_lines(tmp_path / "t" / "a.csv", ["x", "y"])
    for text, told in (
        ("prompts: {id: x}\n", ":1: says nothing of responses, verdicts or rewards"),
        ("verdicts: {first: x, second: x, prefered: x}\n", ":1: verdicts."),
        ("responses: {file: b.csv, model: x, text: x}\n", ":1: responses.file: 'b.csv' is not among the files"),
    ):
        with pytest.raises(DocumentError) as raised:
            read("table", [tmp_path / "t"], mapping(tmp_path, text))
        assert told in str(raised.value)


def test_a_reward_that_stands_in_two_rows_is_one_and_two_rewards_are_a_fault(tmp_path: Path) -> None:
    text = "rewards: {prompt: q, model: m, reward: r}\n"
    write_lines(tmp_path / "t" / "a.csv", ["q,m,r", "1,a,0.5", "1,a,0.5"])
    assert imported("table", tmp_path / "t", mapping(tmp_path, text)).rewards == {"recorded": 1}
    write_lines(tmp_path / "u" / "a.csv", ["q,m,r", "1,a,0.5", "1,a,0.6"])
    with pytest.raises(DocumentError, match=r"a\.csv:3: 'recorded' rewards 'a' on '1' otherwise in .*a\.csv:2"):
        imported("table", tmp_path / "u", mapping(tmp_path, text))


def test_a_baseline_that_no_row_names_is_refused(tmp_path: Path) -> None:
    write_lines(tmp_path / "t" / "a.csv", ["q,m,text", "1,gpt-4,x"])
    text = "baseline: gpt4\nresponses: {prompt: q, model: m, text: text}\n"
    assert refused("table", tmp_path / "t", mapping(tmp_path, text)) == [
        f"{tmp_path}/columns.yaml:1: baseline: no model is called 'gpt4'; did you mean 'gpt-4'?"
    ]


def test_a_table_without_a_mapping_says_what_to_give(tmp_path: Path, sciexam: Cli) -> None:
    write_lines(tmp_path / "a.csv", ["x", "y"])
    done = sciexam("import", "table", "a.csv", "--out", "out")
    assert (done.returncode, done.stderr.strip()) == (
        2,
        "sciexam: a table needs --mapping, a file that says what its columns are; see docs/importing.md",
    )


def test_json_says_what_was_read_and_landed(tmp_path: Path, sciexam: Cli) -> None:
    write_lines(tmp_path / "t" / "wide.jsonl", [wide()])
    mapping(tmp_path, WIDE)
    done = sciexam("import", "table", "t", "--mapping", "columns.yaml", "--out", "out", "--json")
    told = json.loads(done.stdout)
    assert told == json.loads((tmp_path / "out" / "provenance.json").read_text(encoding="utf-8"))
    assert told["files"]["t/wide.jsonl"]["rows"] == 1
    assert (told["verdicts"], told["rewards"]) == ({"annotators": 1}, {"rm": 2})
