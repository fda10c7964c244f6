"""`sciexam export`: what it writes can be read again, whole, in every format."""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

import sciexam as sx
from conftest import Cli, answers, write_jsonl, write_suite
from exchange.reading import imported
from exchange.reading import lines as lines_of
from sciexam.battles import present
from sciexam.check import check
from sciexam.digests import digest
from sciexam.errors import UsageError
from sciexam.exchange.export import COLUMNS, export
from sciexam.judges.recorded import read_verdicts
from sciexam.judges.settings import EndpointJudge
from sciexam.models.recorded import read_responses
from sciexam.report.data_file import Columns, write_lines
from sciexam.report.tables import from_cell
from sciexam.rubric import load_rubric
from sciexam.store import Store
from sciexam.suite import suite_of_files
from sciexam.types import ADJUDICATION, Comparison, Order, Presentation, Reply, Response, Verdict

AWKWARD = (
    *("=1+1", "+1", "-1", "@x", "\tx", "\rx", "＝1", "\u200b=1", " =1", "'=1", "''=1", "'", "''", "'plain", ""),
    *("a,b", 'say "so"', "one\ntwo", "one\r\ntwo", "one\rtwo", "\n", " ", "x ", "\u2028", "\x00", "\x1b[2J", "\ufeff"),
    *("\ufffe", "😀", "e\u0301", "\u202eabc", "[1]", "{}", "null", "NaN", "true", "0x1F", "1e5", "a\x00b"),
)
TEXTS = st.one_of(st.sampled_from(AWKWARD), st.text(st.characters(exclude_categories=["Cs"]), max_size=30))


def read_csv(path: Path, columns: Columns) -> list[dict[str, Any]]:
    """A CSV file as the values that its columns hold."""
    read = {"text": from_cell, "integer": int, "number": float, "truth": lambda cell: cell == "true"}
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, strict=True)
        assert rows.fieldnames == list(columns)
        return [{k: read.get(columns[k], json.loads)(cell) for k, cell in row.items() if cell != ""} for row in rows]


def read_parquet(path: Path, columns: Columns) -> list[dict[str, Any]]:
    pq = pytest.importorskip("pyarrow.parquet")
    rows = pq.read_table(path).to_pylist()
    return [{k: json.loads(v) if columns[k] == "json" else v for k, v in row.items() if v is not None} for row in rows]


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


# ---------------------------------------------------------------- the file


COLUMNS_OF_ALL_KINDS: Columns = {
    **{"text": "text", "more": "text", "integer": "integer", "number": "number", "truth": "truth"},
    **{"json": "json", "chat": "chat"},
}
LINES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "text": TEXTS,
            "more": TEXTS,
            "integer": st.integers(-(2**60), 2**60),
            "number": st.floats(allow_nan=False, allow_infinity=False),
            "truth": st.booleans(),
            "json": st.dictionaries(TEXTS, TEXTS, min_size=1, max_size=3),
            "chat": st.lists(st.fixed_dictionaries({"role": st.just("user"), "content": TEXTS}), max_size=2),
        },
    ),
    min_size=1,
    max_size=6,
)


@given(LINES)
@example([{"text": one} for one in AWKWARD])
@settings(max_examples=25)
def test_csv_json_lines_and_parquet_hold_the_same_values(lines: list[dict[str, Any]]) -> None:
    pytest.importorskip("pyarrow")
    with tempfile.TemporaryDirectory() as name:
        paths = {suffix: Path(name) / f"x.{suffix}" for suffix in ("jsonl", "csv", "parquet")}
        for suffix, path in paths.items():
            assert write_lines(path, COLUMNS_OF_ALL_KINDS, lines, suffix).lines == len(lines)  # type: ignore[arg-type]
        assert read_jsonl(paths["jsonl"]) == lines
        assert read_csv(paths["csv"], COLUMNS_OF_ALL_KINDS) == lines
        assert read_parquet(paths["parquet"], COLUMNS_OF_ALL_KINDS) == lines


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_half_a_character_is_mended_and_counted(suffix: Any, tmp_path: Path) -> None:
    columns: Columns = {"text": "text", "json": "json"}
    path = tmp_path / f"x.{suffix}"
    written = write_lines(
        path, columns, [{"text": "a\ud800b"}, {"text": "whole", "json": {"\udfff": "\ud83d"}}], suffix
    )
    assert (written.lines, written.mended) == (2, 2)
    read = {"jsonl": read_jsonl, "csv": lambda p: read_csv(p, columns), "parquet": lambda p: read_parquet(p, columns)}
    assert read[suffix](path) == [{"text": "a\ufffdb"}, {"text": "whole", "json": {"\ufffd": "\ufffd"}}]


def test_a_column_of_empty_cells_is_no_blank_line(tmp_path: Path) -> None:
    write_lines(tmp_path / "x.csv", {"text": "text"}, [{}, {"text": ""}, {}], "csv")
    assert read_csv(tmp_path / "x.csv", {"text": "text"}) == [{}, {"text": ""}, {}]


def test_lines_that_end_in_a_failure_leave_the_old_file(tmp_path: Path) -> None:
    def broken() -> Any:
        yield {"text": "new"}
        raise RuntimeError("cut")

    for suffix in ("jsonl", "csv", "parquet"):
        path = tmp_path / f"x.{suffix}"
        path.write_text("old")
        with pytest.raises(RuntimeError):
            write_lines(path, {"text": "text"}, broken(), suffix)  # type: ignore[arg-type]
        assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 3


# ---------------------------------------------------------------- of a suite


def exam(folder: Path, texts: list[str], verdicts: list[dict[str, Any]], **more: Any) -> sx.Suite:
    """Contestants a and b answer q0.. with these texts (b: turned round), judged by a file."""
    write_jsonl(folder / "v.jsonl", verdicts)
    models = {
        "a": {"responses": answers(folder, "a", texts)},
        "b": {"responses": answers(folder, "b", [f"{text}!" for text in texts])},
    }
    judges = {"gpt": {"backend": "recorded", "verdicts": "v.jsonl"}, "measures": {"backend": "measures"}}
    return sx.load_suite(str(write_suite(folder, len(texts), models, judges=judges, **more)))


def said(prompt: int, order: str = "ab", **more: Any) -> dict[str, Any]:
    return {"prompt": f"q{prompt}", "first": order[0], "second": order[1], "rater": "gpt-4", **more}


def said_in(judge: Any) -> dict[Any, Any]:
    """What a file of verdicts says; the side that a probability means may be written beside it."""
    return {
        slot: line.model_dump(exclude={"preferred"} if line.probability_second is not None else None)
        for slot, line in judge._lines.items()
    }


@given(
    st.lists(
        st.tuples(
            TEXTS,
            TEXTS,
            st.sampled_from(["ab", "ba"]),
            st.one_of(
                st.sampled_from([{"preferred": "first", "strength": "strong"}, {"preferred": "tie"}]),
                st.floats(0, 1).map(lambda p: {"probability_second": p}),
                TEXTS.filter(bool).map(lambda why: {"failure": why}),
            ),
        ),
        min_size=2,
        max_size=8,
    )
)
@settings(max_examples=4, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_what_is_exported_is_imported_again_whole(rows: list[tuple[str, str, str, dict[str, Any]]]) -> None:
    """Answers and verdicts, exported from the ledger, are read by the backends that read recorded files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given = [said(i, order, reason=reason, **one) for i, (_, reason, order, one) in enumerate(rows)]
        suite = exam(folder, [text for text, *_ in rows], given)
        asked: dict[str, Any] = {"results": folder / "results"}
        done = export(suite, what="verdicts", out=folder / "out.jsonl", judges=["gpt"], **asked)
        assert (done.rows, done.left_out, done.mended) == (len(rows), {}, 0)
        [before], [after] = read_verdicts(folder / "v.jsonl"), read_verdicts(folder / "out.jsonl")
        assert said_in(after) == said_in(before)
        assert after.name == before.name
        for contestant in "ab":
            path = folder / f"{contestant}-again.jsonl"
            export(suite, contestant, what="responses", out=path, **asked)
            known = {slot: line.text for slot, line in read_responses(folder / f"{contestant}.jsonl").items()}
            assert {slot: line.text for slot, line in read_responses(path).items()} == known
        columns = COLUMNS["verdicts"]
        export(suite, what="verdicts", out=folder / "out.csv", judges=["gpt"], **asked)
        assert read_csv(folder / "out.csv", columns) == read_jsonl(folder / "out.jsonl")
        export(suite, what="verdicts", out=folder / "out.parquet", judges=["gpt"], **asked)
        assert read_parquet(folder / "out.parquet", columns) == read_jsonl(folder / "out.jsonl")


def test_a_verdict_has_what_the_ledger_knows_of_it_and_what_was_not_said_is_counted(tmp_path: Path) -> None:
    verdicts = [
        said(0, preferred="first", strength="strong", reason="=because"),
        said(0, "ba", preferred="second"),
        said(1, failure="no verdict"),
    ]
    suite = exam(tmp_path, ["x", "y", "z"], verdicts)
    done = export(suite, what="verdicts", out=tmp_path / "v.out.jsonl", results=tmp_path / "r")
    lines = read_jsonl(tmp_path / "v.out.jsonl")
    assert [(line["order"], line["status"]) for line in lines] == [("ab", "ok"), ("ba", "ok"), ("ab", "invalid")]
    assert lines[0].items() >= {"judge": "gpt", "rater": "gpt-4", "kind": "judge", "reason": "=because"}.items()
    assert lines[2]["failure"] == "no verdict"
    with Store(tmp_path / "r" / "ledger.sqlite") as store:
        assert len(store.verdicts([line["key"] for line in lines])) == 3
    assert done.left_out == {"comparison by gpt: no recorded verdict": 1}
    assert done.judges == ("gpt",), "measures and people have said nothing"


def test_two_raters_of_one_name_are_not_made_one(tmp_path: Path) -> None:
    suite = exam(tmp_path, ["x"], [said(0, preferred="first")])
    write_jsonl(tmp_path / "w.jsonl", [said(0, preferred="second")])
    other = str(tmp_path / "w.jsonl")
    with pytest.raises(UsageError, match="two raters are called 'gpt-4'"):
        export(suite, what="verdicts", out=tmp_path / "o.csv", judges=["gpt", other], results=tmp_path / "r")
    assert not (tmp_path / "o.csv").exists()


def test_a_battle_is_a_line_with_its_score_and_whether_both_orders_agree(tmp_path: Path) -> None:
    verdicts = [said(0, preferred="first"), said(0, "ba", preferred="second"), said(1, preferred="first")]
    verdicts += [said(2, preferred="first"), said(2, "ba", preferred="first"), said(3, failure="cut")]
    suite = exam(tmp_path, ["x", "y", "z", "w"], verdicts)
    export(suite, what="battles", out=tmp_path / "b.jsonl", judges=["gpt"], results=tmp_path / "r")
    lines = read_jsonl(tmp_path / "b.jsonl")
    assert [(line.get("score_a"), line.get("winner"), line.get("agreed")) for line in lines] == [
        (1.0, "model_a", True),
        (1.0, "model_a", None),
        (0.5, "tie", False),
        (None, None, None),
    ]
    assert (lines[3]["status"], lines[3]["failure"]) == ("invalid", "cut")


def people(folder: Path, verdicts: list[dict[str, Any]]) -> sx.Suite:
    """A suite of human votes, as an import leaves it."""
    exam(folder, ["x", "y"], [line | {"kind": "human"} for line in verdicts])
    path = folder / "exam.yaml"
    path.write_text(path.read_text().replace("gpt", "annotators"))
    return sx.load_suite(str(path))


def test_the_people_of_a_file_are_one_battle_each_though_the_ledger_holds_them_too(tmp_path: Path) -> None:
    votes = [said(i, rater=who, preferred="first") for i in range(2) for who in ("Ann", "Bob")]
    suite = people(tmp_path, votes)
    for judges in ((), ("humans", "annotators")):
        done = export(suite, what="battles", out=tmp_path / "out.jsonl", judges=judges, results=tmp_path / "r")
        lines = read_jsonl(tmp_path / "out.jsonl")
        assert [(line["judge"], line["rater"]) for line in lines] == [("annotators", "Ann")] * 2 + [
            ("annotators", "Bob")
        ] * 2
        assert (done.judges, done.left_out) == (("annotators",), {})
    export(suite, what="battles", out=tmp_path / "out.jsonl", judges=["humans"], results=tmp_path / "r")
    assert [line["judge"] for line in read_jsonl(tmp_path / "out.jsonl")] == ["humans"] * 4


def test_a_person_whom_the_ledger_knows_otherwise_is_counted_once_and_told(tmp_path: Path) -> None:
    both = [said(0, rater="Ann", preferred="first"), said(0, "ba", rater="Ann", preferred="first")]
    asked: dict[str, Any] = {"what": "battles", "out": tmp_path / "out.jsonl", "results": tmp_path / "r"}
    export(people(tmp_path, [*both, said(1, rater="Bob", preferred="first")]), **asked)
    done = export(people(tmp_path, both[:1]), **asked)
    assert [(line["judge"], line["rater"]) for line in read_jsonl(tmp_path / "out.jsonl")] == [
        ("annotators", "Ann"),
        ("humans", "Bob"),
    ]
    assert done.left_out["comparison by humans: a file has another verdict of the same annotator"] == 1


def test_what_a_person_says_otherwise_in_a_second_file_is_left_out_and_counted(tmp_path: Path) -> None:
    suite = people(tmp_path, [said(i, rater="Ann", preferred="first") for i in range(2)])
    rows = [said(i, rater="Ann", preferred="first" if i else "second", kind="human") for i in range(2)]
    write_jsonl(tmp_path / "second.jsonl", rows)
    judges = ["annotators", str(tmp_path / "second.jsonl")]
    done = export(suite, what="verdicts", out=tmp_path / "out.jsonl", judges=judges, results=tmp_path / "r")
    lines = [line for line in read_jsonl(tmp_path / "out.jsonl") if line["status"] == "ok"]
    assert [(line["rater"], line["preferred"]) for line in lines] == [("Ann", "first")] * 2
    assert done.left_out["verdict by second: a file has another verdict of the same annotator"] == 1


def test_the_mapping_of_the_documentation_brings_people_back_as_people(tmp_path: Path) -> None:
    documented = (Path(__file__).parents[2] / "docs" / "exporting.md").read_text(encoding="utf-8")
    (tmp_path / "columns.yaml").write_text(documented.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
    suite = people(
        tmp_path, [said(0, rater="Ann", preferred="first", reason="=why"), said(1, rater="Bob", failure="?")]
    )
    folder = tmp_path / "t"
    folder.mkdir()
    (folder / "prompts.jsonl").write_bytes((tmp_path / "prompts.jsonl").read_bytes())
    for what, name in (("verdicts", "verdicts.csv"), ("responses", "answers.csv")):
        export(suite, what=what, out=folder / name, results=tmp_path / "r")  # type: ignore[arg-type]
    landed = imported("table", folder, tmp_path / "columns.yaml")
    assert landed.raters == {"Ann": "human", "Bob": "human"}
    assert [line.get("reason") for line in lines_of(folder, "verdicts/annotators")] == ["=why", None]


class Shorter:
    name = "shorter"

    def judge(self, presentations: Iterable[Presentation]) -> Iterator[Verdict]:
        for one in presentations:
            yield one.verdict(rater=self.name, preferred="first" if len(one.first) < len(one.second) else "second")


def test_who_judged_two_files_in_an_earlier_run_is_among_all_who_have_judged(tmp_path: Path) -> None:
    paths = [
        tmp_path / answers(tmp_path, name, [f"{i}{end}" for i in range(3)]) for name, end in (("a", ""), ("b", "!"))
    ]
    suite, results = suite_of_files(paths, rubric="science-explanation"), tmp_path / "r"
    sx.compare(suite, "a", "b", judges=[Shorter()], results=results)
    sx.compare(suite, "a", "b", results=results)
    done = export(suite, what="verdicts", out=tmp_path / "v.jsonl", results=results)
    assert (done.judges, done.rows) == (("measures", "shorter"), 9)
    assert {one.rater for one in sx.agree(suite, "a", "b", results=results).raters} == {"measures", "shorter"}
    battles = export(suite, what="battles", out=tmp_path / "battles.jsonl", results=results)
    assert (battles.judges, battles.rows) == (("measures", "shorter"), 6)
    other = suite.model_copy(update={"rubric": load_rubric("helpfulness")})
    with pytest.raises(UsageError, match="there are no verdicts of a, b by measures, humans to export"):
        export(other, what="verdicts", out=tmp_path / "v.jsonl", results=results)


# ---------------------------------------------------------------- preferences


def preferences(folder: Path, verdicts: list[dict[str, Any]], **more: Any) -> tuple[list[dict[str, Any]], Any]:
    suite = exam(folder, [f"text {i}" for i in range(6)], verdicts)
    asked: dict[str, Any] = {"judges": ["gpt"], "results": folder / "r"} | more
    done = export(suite, what="preferences", out=folder / "p.jsonl", **asked)
    return read_jsonl(folder / "p.jsonl"), done


def test_preferences_are_conversations_with_margins_and_ties_are_counted(tmp_path: Path) -> None:
    strong = {"preferred": "first", "strength": "strong"}
    verdicts = [said(0, **strong), said(0, "ba", preferred="second", strength="clear"), said(1, preferred="tie")]
    verdicts += [said(2, **strong), said(2, "ba", **strong), said(3, failure="cut")]
    [line], done = preferences(tmp_path, verdicts)
    assert line["prompt"] == [{"role": "user", "content": "Why does thing 0 happen?"}]
    assert line["chosen"] == [{"role": "assistant", "content": "text 0"}]
    assert line["rejected"] == [{"role": "assistant", "content": "text 0!"}]
    assert (line["margin"], line["margin_of"], line["agreement"], line["looks"]) == (2.5, "strength", 1.0, 2)
    assert (line["chosen_by"], line["rejected_by"], line["id"]) == ("a", "b", "q0")
    assert done.left_out == {"no usable verdict": 3, "tie": 2}


def test_text_measures_give_preferences_only_where_they_are_named(tmp_path: Path) -> None:
    paths = [tmp_path / answers(tmp_path, name, [f"{name} {i}" for i in range(3)]) for name in "ab"]
    with pytest.raises(UsageError, match="whose preferences\\? 'measures' counts features of a text"):
        export(suite_of_files(paths), what="preferences", out=tmp_path / "p.jsonl", results=tmp_path / "r")


def test_who_has_judged_is_named_where_text_measures_would_be_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    paths = [Path(answers(tmp_path, name, [f"{name} {i}" for i in range(3)])) for name in "ab"]
    suite = suite_of_files(paths)
    asked: dict[str, Any] = {"what": "preferences", "out": Path("p.jsonl"), "results": "r"}
    with pytest.raises(UsageError, match="nobody else has judged these answers") as nobody:
        export(suite, "a", "b", **asked)
    assert "sciexam annotate serve a.jsonl b.jsonl" in str(nobody.value)
    with_own = suite.model_copy(update={"judges": {"own": EndpointJudge(backend="openai", model="m")}})
    with pytest.raises(UsageError, match=r"a language model can, too:\nsciexam compare .* --judge own"):
        export(with_own, "a", "b", **asked)
    ann = {"prompt": "q0", "first": "a", "second": "b", "preferred": "first", "rater": "ann", "kind": "human"}
    write_jsonl(tmp_path / "ann.jsonl", [ann])
    monkeypatch.setattr("sys.argv", ["sciexam", "compare", "a.jsonl", "b.jsonl", "--judge", "ann.jsonl"])
    sx.compare(suite, "a", "b", judges=["ann.jsonl"], results="r")
    with pytest.raises(UsageError) as told:
        export(suite, "a", "b", **asked)
    first, *commands, last = str(told.value).splitlines()
    assert first.endswith("humans and ann.jsonl judged too; name one:")
    assert commands == [
        f"sciexam export preferences a.jsonl b.jsonl --out p.jsonl --judge {one}" for one in ("humans", "ann.jsonl")
    ]
    assert last == "or --judge measures, if that is what you want"
    for one in ("humans", "ann.jsonl"):
        assert export(suite, "a", "b", judges=[one], **asked).rows == 1


def test_a_probability_is_a_margin_between_0_and_1(tmp_path: Path) -> None:
    verdicts = [said(0, probability_second=0.9), said(0, "ba", probability_second=0.3)]
    [line], _ = preferences(tmp_path, verdicts)
    assert line["chosen_by"] == "b"
    assert line["margin"] == pytest.approx(0.6)  # b has .8 on average, a .2
    assert line["margin_of"] == "probability"


def test_rewards_make_their_difference_the_margin(tmp_path: Path) -> None:
    rewards = [{"prompt": "q0", "model": m, "reward": r, "rater": "rm"} for m, r in (("a", -1.25), ("b", 0.5))]
    write_jsonl(tmp_path / "rm.jsonl", rewards)
    [line], _ = preferences(tmp_path, [said(0, preferred="first")], judges=[str(tmp_path / "rm.jsonl")])
    assert (line["chosen_by"], line["margin"], line["margin_of"]) == ("b", 1.75, "marks")


def test_margins_on_two_scales_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    verdicts = [said(0, preferred="first", strength="clear"), said(1, probability_second=0.2)]
    with pytest.raises(UsageError, match="some margins are made of probability and others of strength"):
        preferences(tmp_path, verdicts)
    assert not (tmp_path / "p.jsonl").exists()


def test_a_sentence_that_stands_for_a_missing_answer_is_neither_a_response_nor_trained_on(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "votes.csv").write_text("id,text,left,said,right,winner\n1,Why?,x,So.,y,left\n", encoding="utf-8")
    columns = tmp_path / "columns.yaml"
    columns.write_text(
        "prompts: {id: id, text: text}\nresponses: {model: left, text: said}\n"
        "verdicts: {first: left, second: right, preferred: winner, labels: {left: first}}\n",
        encoding="utf-8",
    )
    imported("table", tmp_path / "v", columns)
    suite = sx.load_suite(str(tmp_path / "out" / "suite.yaml"))
    there = {"results": tmp_path / "r", "out": tmp_path / "t.jsonl"}
    found = export(suite, "x", "y", what="responses", **there)
    assert (found.rows, found.left_out) == (1, {"y: an answer that the imported files do not hold": 1})
    with pytest.raises(UsageError, match="1 x an answer that the imported files do not hold"):
        export(suite, "x", "y", what="preferences", judges=["recorded"], **there)
    assert export(suite, "x", "y", what="verdicts", judges=["recorded"], **there).rows == 1
    report = sx.compare(suite, "x", "y", judges=["recorded"], results=tmp_path / "r")
    assert report.pairs["x", "y"].length is None, "and its length is none"
    assert any(one.startswith("In no imported file: 1 of 2 answers.") for one in report.caveats)
    assert "y: 0 of 1 prompts have an answer; none to 'Why?'; in no imported file: 1" in [
        one.text for one in check(suite)
    ]
    row = sx.leaderboard(suite, judge="recorded", results=tmp_path / "r").standings[0].rows[1]
    assert (row.contestant, row.words) == ("y", None)
    assert row.length_controlled.why == "no imported file holds both answers to a prompt"


def test_a_least_agreement_leaves_out_what_fewer_looks_name(tmp_path: Path) -> None:
    verdicts = [said(0, preferred="first"), said(0, "ba", preferred="tie")]
    verdicts += [said(1, preferred="first"), said(1, "ba", preferred="second")]
    [line], done = preferences(tmp_path, verdicts, min_agreement=0.6)
    assert (line["id"], "margin" in line) == ("q1", False)
    assert done.left_out == {"no usable verdict": 4, "agreement below 0.6": 1}
    assert done.margins == {"none": 1}


def test_people_who_are_in_a_file_and_in_the_ledger_count_once(tmp_path: Path) -> None:
    votes = [("Ann", "first"), ("Bob", "first"), ("Cid", "second")]
    suite = people(tmp_path, [said(0, rater=who, preferred=side) for who, side in votes])
    for judges in (["annotators"], ["humans", "annotators"], ["annotators", "humans"]):
        export(suite, what="preferences", out=tmp_path / "p.jsonl", judges=judges, results=tmp_path / "r")
        [line] = read_jsonl(tmp_path / "p.jsonl")
        assert (line["looks"], line["agreement"], line["chosen_by"]) == (3, pytest.approx(2 / 3), "a"), judges


def test_what_was_adjudicated_counts_alone_for_the_people_of_a_file_too(tmp_path: Path) -> None:
    votes = [("Ann", "first"), ("Bob", "first"), ("Cid", "second")]
    suite = people(tmp_path, [said(0, rater=who, preferred=side) for who, side in votes])
    asked: dict[str, Any] = {"what": "preferences", "out": tmp_path / "p.jsonl", "results": tmp_path / "r"}
    export(suite, judges=["annotators"], **asked)  # the people come into the ledger
    with Store(tmp_path / "r" / "ledger.sqlite") as store:
        subjects = {one.subject for one in _compared(suite)}
        settled = next(one for one in store.human_verdicts(subjects) if one.rater == "Cid")
        store.append([replace(settled, key=digest("settled"), rater=ADJUDICATION)])
    export(suite, judges=["annotators", "humans"], **asked)
    [line] = read_jsonl(tmp_path / "p.jsonl")
    assert (line["looks"], line["agreement"], line["chosen_by"]) == (1, 1.0, "b")


def _compared(suite: sx.Suite) -> list[Presentation]:
    """The presentations of the first prompt's comparison of a and b."""
    texts = {name: read_responses(Path(str(suite.models[name].responses)))["q0", 0].text for name in "ab"}
    one, other = (Response(name, "q0", 0, Reply("k", text=text)) for name, text in texts.items())
    orders: tuple[Order, ...] = ("ab", "ba")
    return [present(Comparison(suite.prompts[0], one, other), order) for order in orders]


# ---------------------------------------------------------------- the command


def test_the_command_says_what_it_wrote_and_left_out(tmp_path: Path, sciexam: Cli) -> None:
    exam(tmp_path, ["x", "y"], [said(0, preferred="first")])
    done = sciexam("export", "battles", "--suite", "exam.yaml", "--out", "b.csv", "--judge", "gpt", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["schema"] == "sciexam/export/1"
    assert (told["rows"], told["format"], told["left_out"]) == (1, "csv", {"comparison by gpt: no recorded verdict": 1})
    assert len(read_csv(tmp_path / "b.csv", COLUMNS["battles"])) == 1
    plain = sciexam("export", "preferences", "--suite", "exam.yaml", "--out", "p.jsonl")
    assert "1 preferences of a, b by gpt: p.jsonl" in plain.stdout
    assert "1 lines have none" in plain.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("verdicts", "-o", "v.xlsx"), "--out v.xlsx: end its name with .jsonl, .csv or .parquet"),
        (("battles", "-o", "b.csv", "--min-agreement", "0.5"), "--min-agreement goes with preferences alone"),
        (("preferences", "-o", "p.csv", "--min-agreement", "2"), "--min-agreement: a share between 0 and 1, not 2.0"),
        (("responses", "-o", "r.csv", "-j", "gpt"), "nobody judges responses"),
        (("verdicts", "-o", "v.csv", "-j", "measures"), "no ledger there; run `sciexam compare` first"),
    ],
)
def test_what_cannot_be_exported_is_refused(
    arguments: tuple[str, ...], what: str, tmp_path: Path, sciexam: Cli
) -> None:
    exam(tmp_path, ["x"], [said(0, preferred="first")])
    done = sciexam("export", *arguments, "--suite", "exam.yaml")
    assert done.returncode == 2, done.stdout
    assert what in done.stderr


@pytest.mark.slow
def test_without_anything_to_write_the_old_file_stays(tmp_path: Path, sciexam: Cli) -> None:
    exam(tmp_path, ["x"], [said(0, preferred="first")])
    (tmp_path / "v.csv").write_text("old")
    assert sciexam("export", "verdicts", "-o", "v.csv", "--suite", "exam.yaml", "-j", "gpt").returncode == 0
    (tmp_path / "v.csv").write_text("old")
    done = sciexam("export", "verdicts", "-o", "v.csv", "--suite", "exam.yaml", "-j", "measures")
    assert done.returncode == 2
    assert "there are no verdicts of a, b by measures to export" in done.stderr
    assert (tmp_path / "v.csv").read_text() == "old"


TABLE = """
spreadsheet_safe: true
prompts: {file: prompts.jsonl, id: id, text: text}
responses: {file: answers.csv, prompt: prompt, model: contestant, text: text, sample: sample}
verdicts: {file: verdicts.csv, prompt: prompt, first: first, second: second, preferred: preferred, rater: rater,
           probability_second: probability_second, strength: strength, failure: failure, reason: reason, sample: sample}
"""


def test_a_table_of_awkward_texts_is_imported_and_exported_again_as_it_was(tmp_path: Path, sciexam: Cli) -> None:
    texts = [text for text in AWKWARD if text]
    verdicts = [said(i, "ab" if i % 2 else "ba", preferred="first", reason=text) for i, text in enumerate(texts)]
    verdicts[3] = said(3, "ab", probability_second=0.125, reason=texts[3])
    verdicts[4] = said(4, "ab", failure="=cut")
    suite = exam(tmp_path, texts, verdicts)
    (tmp_path / "table.yaml").write_text(TABLE)
    files: dict[Any, str] = {"verdicts": "verdicts.csv", "responses": "answers.csv"}
    for what, name in files.items():
        judges = ["gpt"] if what == "verdicts" else []
        export(suite, what=what, out=tmp_path / name, judges=judges, results=tmp_path / "r")
    paths = ("prompts.jsonl", "answers.csv", "verdicts.csv")
    done = sciexam("import", "table", *paths, "--mapping", "table.yaml", "--out", "again")
    assert done.returncode == 0, done.stderr
    again = sx.load_suite(str(tmp_path / "again" / "suite.yaml"))
    for what, name in files.items():
        export(again, "a", "b", what=what, out=tmp_path / f"again-{name}", results=tmp_path / "again-r")
        columns = {key: kind for key, kind in COLUMNS[what].items() if key not in ("key", "judge", "model")}
        before, after = (
            [{key: line.get(key) for key in columns} for line in read_csv(tmp_path / path, COLUMNS[what])]
            for path in (name, f"again-{name}")
        )
        assert after == before
