"""What any reader tells a landing becomes a suite, whole and byte for byte, or nothing at all."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import sciexam as sx
from conftest import Cli
from exchange.reading import lines, write_lines
from sciexam.errors import DocumentError, UsageError
from sciexam.exchange import read
from sciexam.exchange.landed import absent_answer, land
from sciexam.exchange.landing import Landing, Place
from sciexam.exchange.names import LONGEST_NAME, plain_name
from sciexam.exchange.rows import rows
from sciexam.folders import replace_folder
from sciexam.judges.recorded import read_verdicts
from sciexam.models.recorded import read_responses

AT = Place(Path("a.jsonl"), 1)
AWKWARD = [
    "\x00",
    "\ud800 half",
    "a\r\nb\rc\u2028d\x85e\x0bf",
    "\"quoted\", 'so' \\ and `so`",
    "\ufeffmarked",
    "\u202eright to left\u202c العربية",
    "=cmd|' /C calc'!A0",
    "  blanks around \t\n",
    "{{ 7 * 7 }} <script>alert(1)</script> $x$",
    "x" * 300_000,
]
# Text as JSON can say it: two halves side by side are one character there.
TEXTS = st.text(st.characters(exclude_categories=()), max_size=40).filter(
    lambda text: json.loads(json.dumps(text)) == text
)
texts = st.one_of(st.sampled_from(AWKWARD), TEXTS)
whole = texts.filter(lambda text: not any("\ud800" <= c <= "\udfff" for c in text))


def landing_of(fill: Callable[[Landing], None]) -> Landing:
    landing = Landing("test")
    fill(landing)
    return landing


@settings(max_examples=40)
@given(question=texts, answer=texts, reason=texts, id=whole, kept=texts)
@example(*(AWKWARD[1:6]))
def test_any_text_survives_into_the_files_and_back_through_loading(
    question: str, answer: str, reason: str, id: str, kept: str
) -> None:
    id, question = id or "id", question if question.strip() else "Why?"
    with tempfile.TemporaryDirectory() as folder:
        # Once through a file of another tool, which is JSON Lines, and once through ours.
        source = Path(folder) / "in.jsonl"
        row = {"id": id, "question": question, "answer": answer, "reason": reason, "kept": kept}
        source.write_text(json.dumps(row) + "\n", encoding="utf-8")
        landing = Landing("test")
        for at, one in rows(source, landing):
            landing.prompt(at, one["id"], one["question"], reference=one["reason"], kept={"more": one["kept"]})
            landing.response(at, "a", one["id"], one["answer"])
            landing.response(at, "b", one["id"], one["answer"] + "b")
            landing.verdict(at, one["id"], "a", "b", rater="j", preferred="first", reason=one["reason"])
        land(landing, Path(folder) / "out")
        suite = sx.load_suite(str(Path(folder) / "out" / "suite.yaml"))
        (prompt,) = suite.prompts
        assert (prompt.id, prompt.text, prompt.reference or "") == (id, question, reason)
        assert prompt.metadata == {"more": kept}
        (line,) = read_responses(Path(folder) / "out" / "responses" / "a.jsonl").values()
        assert (line.prompt, line.text) == (id, answer)
        (judge,) = read_verdicts(Path(folder) / "out" / "verdicts" / "j.jsonl")
        (verdict,) = judge._lines.values()
        assert (verdict.prompt, verdict.reason) == (id, reason)


@settings(max_examples=40)
@given(st.lists(texts, min_size=1, max_size=6, unique=True))
@example(["a(b", "a[b", "a_b"])
@example(["../../etc/passwd", "/etc/passwd", "a/../b", "."])
@example(["con", "CON", "x" * 200, "x" * 201])
def test_any_names_of_models_become_names_of_the_suite_that_differ_and_files_that_stay_inside(names: list[str]) -> None:
    names = [name for name in names if name.strip()] or ["a"]
    landing = Landing("test")
    landing.prompt(AT, "q", "Why?")
    for name in names:
        landing.response(AT, name, "q", f"by {names.index(name)}")
    with tempfile.TemporaryDirectory() as folder:
        landed = land(landing, Path(folder) / "out")
        suite = sx.load_suite(str(Path(folder) / "out" / "suite.yaml"))
        assert len(set(landed.responses)) == len(names)
        for number, (name, model) in enumerate(zip(names, suite.models.values(), strict=True)):
            path = Path(str(model.responses))
            assert path.parent == (Path(folder) / "out" / "responses").absolute()
            (line,) = read_responses(path).values()
            assert line.text == f"by {number}"
            called = list(suite.models)[number]
            assert landed.renamed.get(called, called) == name


def test_a_plain_name_stays_what_it_is() -> None:
    for name in ("gpt-4.1-mini", "meta-llama/Llama-3 8B", "Platypus-2 Instruct (70B)", "a+b:c@d", "x" * LONGEST_NAME):
        assert plain_name(name) == name
    assert plain_name("Platypus-2 [70B]") == "Platypus-2 _70B"


def test_the_same_prompt_and_answer_again_are_passed_over_and_others_are_faults(tmp_path: Path) -> None:
    def fill(landing: Landing) -> None:
        for line, (asked, text) in enumerate([("Why?", "x"), ("Why?", "x"), ("How?", "y")], 1):
            landing.prompt(Place(Path("a.jsonl"), line), "q", asked)
            landing.response(Place(Path("a.jsonl"), line), "m", "q", text)

    with pytest.raises(DocumentError) as told:
        land(landing_of(fill), tmp_path / "out")
    assert told.value.faults == (
        "a.jsonl:3: prompt 'q' is asked otherwise in a.jsonl:1; which one counts? Remove the other",
        "a.jsonl:3: 'm' answers 'q' (sample 0) otherwise in a.jsonl:1; which one counts? Remove the other",
    )


def test_a_prompt_that_differs_in_no_word_of_the_question_says_in_what(tmp_path: Path) -> None:
    def fill(landing: Landing) -> None:
        landing.prompt(Place(Path("a.jsonl"), 1), "q", "Why?", category="stem")
        landing.prompt(Place(Path("b.jsonl"), 4), "q", "Why?")

    with pytest.raises(DocumentError) as told:
        land(landing_of(fill), tmp_path / "out")
    assert told.value.faults == (
        "b.jsonl:4: prompt 'q' has another category in a.jsonl:1; which one counts? Remove the other",
    )


def test_the_same_answer_again_adds_what_is_said_besides_and_what_was_told_first_counts(tmp_path: Path) -> None:
    def fill(landing: Landing) -> None:
        landing.prompt(AT, "q", "Why?")
        for kept in ({"a": 1}, {"a": 2, "b": 3}, {"c": "\ud800"}, {}):
            landing.response(AT, "m", "q", "x\ud800\udc00\n", kept=kept)

    land(landing_of(fill), tmp_path / "out")
    (line,) = lines(tmp_path / "in", "responses/m")
    assert {key: line[key] for key in "abc"} == {"a": 1, "b": 3, "c": "\ud800"}


def test_a_verdict_that_says_nothing_or_two_things_is_a_fault(tmp_path: Path) -> None:
    def fill(landing: Landing) -> None:
        landing.prompt(AT, "q", "Why?")
        landing.verdict(AT, "q", "a", "b", rater="j")
        landing.verdict(AT, "q", "a", "a", rater="j", preferred="first")
        landing.verdict(AT, "q", "a", "b", rater="j", probability_second=1.5)
        landing.verdict(AT, "q", "a", "b", rater="j", preferred="left")  # type: ignore[arg-type]
        landing.reward(AT, "q", "a", "7", rater="rm")
        landing.response(AT, "a", "q", None)
        landing.response(AT, "a", "elsewhere", "x")

    with pytest.raises(DocumentError) as told:
        land(landing_of(fill), tmp_path / "out")
    assert told.value.faults == (
        "a.jsonl:1: a verdict has 'preferred' or 'probability_second', or else 'failure'",
        "a.jsonl:1: 'first' and 'second' are the same contestant",
        "a.jsonl:1: probability_second: input should be less than or equal to 1, not 1.5",
        "a.jsonl:1: preferred: input should be 'first', 'second' or 'tie', not 'left'",
        "a.jsonl:1: reward: input should be a valid number, not '7'",
        'a.jsonl:1: text: null is no answer; leave the line out if there is none, or write "" if it is empty',
        "a.jsonl:1: no prompt is called 'elsewhere' (1 lines)",
    )
    assert not (tmp_path / "out").exists()


def test_an_id_with_half_a_character_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DocumentError, match=r"a\.jsonl:1: id: input should be a valid string, unable to parse raw data"
    ):
        land(landing_of(lambda landing: landing.prompt(AT, "\ud800", "Why?")), tmp_path / "out")


def test_a_verdict_that_is_repeated_is_numbered_or_refused(tmp_path: Path) -> None:
    def fill(landing: Landing) -> None:
        landing.prompt(AT, "q", "Why?")
        for side in ("first", "second", "first"):
            landing.verdict(AT, "q", "a", "b", rater="j", preferred=side, repeat=None)  # type: ignore[arg-type]

    land(landing_of(fill), tmp_path / "out")
    (judge,) = read_verdicts(tmp_path / "out" / "verdicts" / "j.jsonl")
    assert judge.repeats == 3


def test_a_sentence_stands_for_an_answer_that_is_in_no_file(tmp_path: Path) -> None:
    def fill(landing: Landing) -> None:
        landing.prompt(AT, "q", "Why?")
        landing.response(AT, "a", "q", "because")
        landing.verdict(AT, "q", "a", "b", rater="j", preferred="second")

    landed = land(landing_of(fill), tmp_path / "out")
    assert (landed.answers_missing, landed.verdicts_unmatched) == (1, 1)
    assert lines(tmp_path / "x", "responses/b") == [{"prompt": "q", "text": absent_answer("b", "q"), "absent": True}]
    report = sx.compare(str(tmp_path / "out" / "suite.yaml"), "a", "b", judges=["j"], results=tmp_path / "results")
    assert report.pairs["a", "b"].wins == 1


def test_a_rater_is_a_person_or_a_judge_and_never_both(tmp_path: Path) -> None:
    def fill(landing: Landing) -> None:
        landing.prompt(AT, "q", "Why?")
        landing.verdict(AT, "q", "a", "b", rater="j", preferred="first")
        landing.verdict(AT, "q", "a", "b", rater="j", preferred="first", kind="human")

    with pytest.raises(DocumentError, match="'j' is a person in one line, and a judge in another; name them apart"):
        land(landing_of(fill), tmp_path / "out")


def test_the_same_fault_in_many_lines_is_told_once(tmp_path: Path) -> None:
    def fill(landing: Landing) -> None:
        for line in range(1, 500):
            landing.fault(Place(Path("a.jsonl"), line), "winner: this key is missing")

    with pytest.raises(DocumentError) as told:
        land(landing_of(fill), tmp_path / "out")
    assert told.value.faults == (
        "a.jsonl:1: winner: this key is missing (and 498 more like this, the next in a.jsonl:2)",
    )


def test_a_file_of_another_format_is_told_in_a_line_and_not_in_a_thousand() -> None:
    def fill(landing: Landing) -> None:
        for line in range(1, 5000):
            landing.fault(Place(Path("a.jsonl"), line), "winner: this key is missing")

    with pytest.raises(DocumentError) as told:
        fill(Landing("test"))
    assert told.value.faults == (
        "a.jsonl:1: winner: this key is missing (and 999 more like this, the next in a.jsonl:2)",
        "reading was given up after 1,000 faults",
    )


def test_an_import_replaces_an_earlier_one_and_nothing_else(tmp_path: Path) -> None:
    def fill(landing: Landing) -> None:
        landing.prompt(AT, "q", "Why?")
        landing.response(AT, "a", "q", "because")

    land(landing_of(fill), tmp_path / "out")
    land(landing_of(fill), tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis").mkdir()
    with pytest.raises(UsageError, match="which sciexam did not write"):
        land(landing_of(fill), tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis").is_dir()


def test_an_import_never_replaces_a_suite_that_was_edited_since(tmp_path: Path) -> None:
    def fill(landing: Landing) -> None:
        landing.prompt(AT, "q", "Why?")
        landing.response(AT, "a", "q", "because")

    out = tmp_path / "out"
    land(landing_of(fill), out)
    with (out / "suite.yaml").open("a") as file:
        file.write("judge: measures\n")
    with pytest.raises(UsageError) as told:
        land(landing_of(fill), out)
    assert str(told.value) == (
        f"--out: {out}/suite.yaml was edited since an import wrote it, and would be replaced; name another folder, or "
        "move that file away first"
    )
    assert (out / "suite.yaml").read_text().endswith("judge: measures\n")
    (out / "suite.yaml").unlink()
    land(landing_of(fill), out)
    land(landing_of(fill), out)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("provenance", "holds"),
    [
        ('{"schema": "sciexam/data/1"}', "training data that `sciexam data stackexchange` wrote"),
        ('{"schema": "sciexam/data-answers/2"}', "training data that `sciexam data answers` wrote"),
        ('{"schema": ["\x1b[31m"]}', "what another command of sciexam wrote"),
        ("[" * 100_000, "what another command of sciexam wrote"),
        (None, "what another command of sciexam wrote"),
    ],
)
def test_an_import_never_replaces_the_folder_of_another_command(
    provenance: str | None, holds: str, tmp_path: Path, sciexam: Cli
) -> None:
    write_lines(tmp_path / "b.csv", ["model_a,model_b,winner", "x,y,tie"])
    files = [("mine.jsonl", "{}\n"), *([("provenance.json", provenance)] if provenance else [])]
    replace_folder(tmp_path / "made", files)
    (tmp_path / "link").symlink_to("made")
    for out in ("made", "link"):
        done = sciexam("import", "lmarena", "b.csv", "--out", out)
        assert done.returncode == 2
        assert done.stderr == (
            f"sciexam: --out: {out} holds {holds}, and would be replaced as a whole; name another folder\n"
        )
    assert (tmp_path / "made" / "mine.jsonl").read_text() == "{}\n"


def test_an_import_replaces_one_of_another_version(tmp_path: Path, sciexam: Cli) -> None:
    write_lines(tmp_path / "b.csv", ["model_a,model_b,winner", "x,y,tie"])
    replace_folder(tmp_path / "made", [("provenance.json", '{"schema": "sciexam/import/0"}')])
    assert sciexam("import", "lmarena", "b.csv", "--out", "made").returncode == 0
    assert (tmp_path / "made" / "suite.yaml").is_file()


@pytest.mark.slow
def test_a_fault_leaves_an_earlier_import_as_it_was(tmp_path: Path, sciexam: Cli) -> None:
    good = write_lines(tmp_path / "t" / "b.csv", ["model_a,model_b,winner", "x,y,tie"])
    assert sciexam("import", "lmarena", "t", "--out", "out").returncode == 0
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    write_lines(good, ["model_a,model_b,winner", "x,y,tie", "x,y,lost"])
    done = sciexam("import", "lmarena", "t", "--out", "out")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "sciexam: t/b.csv:3: winner: 'lost' is none of model_a, model_b, tie, tie (bothbad), tie (inconsistent), "
        "bothbad, both_bad"
    ]
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before


def test_the_console_says_what_was_read_and_what_to_type_next(tmp_path: Path, sciexam: Cli) -> None:
    write_lines(tmp_path / "t" / "b.csv", ["model_a,model_b,winner", "x [7B],y\x1b[31m,tie", "x [7B],x [7B],tie"])
    done = sciexam("import", "lmarena", "t", "--out", "my suite")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "my suite: suite my-suite, 1 prompts, 2 models",
        "Read: 2 rows of 1 file",
        "Landed: 0 answers, 1 verdict, 0 rewards",
        "Verdicts:",
        "    annotators: 1",
        "Not matched: 2 answers that verdicts or rewards speak of are in no file (1 verdict); a sentence that says so "
        "stands for each",
        "Left out:",
        "    a model against itself (first at t/b.csv:3): 1",
        "Renamed:",
        "    x [7B]: x _7B",
        "    y␛[31m: y_31m",
        "Next:",
        "    sciexam check 'my suite/suite.yaml'",
        "    sciexam leaderboard --suite 'my suite/suite.yaml' --judge annotators",
    ]
    assert sciexam("check", "my suite/suite.yaml").returncode == 0


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.jsonl", b'{"a": 1}\n[1]\nnull\n', ["2: each line must be an object {...}, this is a list", "3: each line"]),
        ("b.jsonl", b'{"a": 1, "a": 2}\n', ["1: a: this key stands twice in one object"]),
        (
            "c.jsonl",
            b'{"a": Infinity}\n{"a": 1e999}\n',
            ["1: not JSON: Infinity is not a JSON number", "2: not JSON: 1e999"],
        ),
        ("d.jsonl", b'{"a": "\xff"}\n', ["1: not UTF-8 (byte 0xff); save the file as UTF-8"]),
        ("e.jsonl", b'{"a": ' + b"[" * 100_000 + b"\n", ["1: nested too deep"]),
        ("f.jsonl", b'{"a": "b"', ["1: the line ends in the middle of its JSON; was the file cut off?"]),
        ("g.json", b'[{"a": 1},\n{"a": 2}', ["2: the list ends in the middle; was the file cut off?"]),
        ("h.json", b'[{"a": 1},\n 5, null]', ["2: each item of the list must be", "2: each item of the list must be"]),
        ("i.json", b'[{"a": 1}\n]\nmore', ["2: something stands after the end of the list"]),
        ("j.json", b'[{"a" 1}]', ["1: not JSON: expecting ':' delimiter"]),
        ("k.json", "[{}]".encode("utf-16"), ["1: not UTF-8 (byte 0xff); save the file as UTF-8"]),
        ("l.jsonl.gz", b"no gzip", ["1: cannot be read further: not a gzipped file"]),
    ],
)
def test_a_file_that_cannot_be_read_says_where(name: str, content: bytes, told: list[str], tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    landing = Landing("test")
    list(rows(path, landing))
    assert len(landing.faults) == len(told), landing.faults
    assert all(fault.startswith(f"{path}:{one}") for fault, one in zip(landing.faults, told, strict=True))


def test_a_json_list_gives_each_item_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('\ufeff [\n  {"a":\n 1},\n\n {"a": NaN} ]\n', encoding="utf-8")
    landing = Landing("test")
    found: list[Any] = [(at.line, row) for at, row in rows(path, landing)]
    assert (found, landing.faults) == ([(2, {"a": 1}), (5, {"a": None})], [])


def test_a_format_or_an_ending_that_is_not_known_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    with pytest.raises(UsageError, match=r"the name ends in none of \.jsonl"):
        read("lmarena", [tmp_path / "a.txt"])
    (tmp_path / "a.xlsx").touch()
    with pytest.raises(UsageError, match=r"a\.xlsx: a workbook; save its sheet as CSV in UTF-8, and name that file"):
        read("lmarena", [tmp_path / "a.xlsx"])
    with pytest.raises(UsageError, match=r"'alpaca-eval' .*; did you mean 'alpacaeval'\?"):
        read("alpaca-eval", [tmp_path / "a.txt"])
    with pytest.raises(UsageError, match="nowhere: no such file or folder"):
        read("lmarena", [Path("nowhere")])
    with pytest.raises(UsageError, match=r": holds no question\.jsonl or model_answer"):
        read("arena-hard", [tmp_path])
