"""`sciexam grade`: answers marked one by one, from the endpoint to the tables."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

import sciexam as sx
from conftest import Cli, answers, write_jsonl, write_suite
from endpoint import Body, Endpoint, echo, prompt_of
from sciexam.errors import EndpointRefused, UsageError
from sciexam.types import Grade, Submission

LEVELS = [{"label": label, "anchor": "x"} for label in ("poor", "fair", "good")]
RUBRIC = {
    "rubric": "marks",
    "criteria": [
        {"name": "clarity", "weight": 3, "question": "Clear?", "levels": LEVELS, "measure": "clarity"},
        {"name": "truth", "question": "True?", "scale": [1, 5]},
    ],
}


def suite(folder: Path, texts: dict[str, list[str]], judge: dict[str, Any], rubric: Any = None, **more: Any) -> str:
    (folder / "marks.yaml").write_text(json.dumps(rubric or RUBRIC))
    models = {name: {"responses": answers(folder, name, said)} for name, said in texts.items()}
    prompts = max(map(len, texts.values()))
    return str(write_suite(folder, prompts, models, rubric="marks.yaml", judges={"llm": judge}, **more))


def judged_by(endpoint: Endpoint, **more: Any) -> dict[str, Any]:
    return {"backend": "openai", "model": "m", "base_url": endpoint.url, "api_key_env": None} | more


def answer_in(body: Body) -> str:
    match = re.search(r"^<<<ANSWER (\S+)$\n(.*)\n^ANSWER \1>>>$", prompt_of(body), re.DOTALL | re.MULTILINE)
    assert match is not None
    return match[2]


def says(body: Body, clarity: str, truth: str) -> str:
    (nonce,) = set(re.findall(r"^GRADE ([0-9a-f]{12}) ", prompt_of(body), re.MULTILINE))
    return f"I looked.\nGRADE {nonce} clarity: {clarity}\nGRADE {nonce} truth: {truth}"


def as_told(body: Body) -> str:
    """The grades that the answer asks for: `fair 3`; any other answer gets none."""
    told = re.fullmatch(r"(?s)(\w+) (\d+)\b.*", answer_in(body))
    return says(body, told[1], told[2]) if told else "I cannot say."


# ---------------------------------------------------------------- figures


def test_points_totals_shares_and_differences_are_those_counted_by_hand(sciexam: Cli, tmp_path: Path) -> None:
    base = [f"{word} {n} base{i}" for i, (word, n) in enumerate([("poor", 1), ("fair", 3), ("fair", 2), ("good", 5)])]
    sft = [f"{word} {n} sft{i}" for i, (word, n) in enumerate([("fair", 2), ("good", 3), ("fair", 4), ("good", 5)])]
    with Endpoint(as_told) as endpoint:
        exam = suite(tmp_path, {"base": base, "sft": sft}, judged_by(endpoint))
        done = sciexam("grade", "-s", exam, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "sciexam: at most 8 calls: 0 for answers, 8 for marks, besides retries" in done.stderr
    found = json.loads(done.stdout)
    assert (found["schema"], found["prompts"], found["rubric"]) == ("sciexam/grades/1", 4, "marks")
    rows = {row["contestant"]: row for row in found["rows"]}

    def total(clarity: int, truth: int) -> float:
        return (3 * clarity / 2 + (truth - 1) / 4) / 4

    totals = {
        "base": [total(0, 1), total(1, 3), total(1, 2), total(2, 5)],
        "sft": [total(1, 2), total(2, 3), total(1, 4), total(2, 5)],
    }
    for name, mine in totals.items():
        assert rows[name]["total"]["value"] == pytest.approx(sum(mine) / 4)
        assert rows[name]["total"]["low"] >= 0
        assert rows[name]["total"]["high"] <= 1
        assert (rows[name]["planned"], rows[name]["used"], rows[name]["grades"]["ok"]) == (4, 4, 4)
    clarity, truth = rows["base"]["criteria"]
    assert (clarity["criterion"], clarity["points"]["value"], clarity["low"], clarity["high"]) == ("clarity", 1.0, 0, 2)
    assert clarity["shares"] == {"poor": 0.25, "fair": 0.5, "good": 0.25}
    assert clarity["sd"] == pytest.approx((2 / 3) ** 0.5)
    assert truth["points"]["value"] == pytest.approx(11 / 4)
    assert truth["shares"] == {"1": 0.25, "2": 0.25, "3": 0.25, "4": 0.0, "5": 0.25}

    by_name = {one["criterion"]: one for one in found["differences"]}
    gain = [b - a for a, b in zip(totals["base"], totals["sft"], strict=True)]
    assert by_name[None]["difference"]["value"] == pytest.approx(sum(gain) / 4)
    # Three of four prompts differ, all towards sft: two of the eight sign patterns are as far from 0.
    assert by_name[None]["p_value"] == by_name[None]["p_holm"] == 0.25
    assert by_name["clarity"]["difference"]["value"] == pytest.approx(0.5)
    assert (by_name["clarity"]["p_value"], by_name["clarity"]["p_holm"]) == (0.5, 1.0), "two criteria are a family"


def test_the_pages_are_written_and_say_how_the_total_is_made(sciexam: Cli, tmp_path: Path) -> None:
    with Endpoint(lambda body: says(body, "fair", "4")) as endpoint:
        exam = suite(tmp_path, {"base": ["a", "b"], "sft": ["c", "d"]}, judged_by(endpoint))
        done = sciexam("grade", "-s", exam, cwd=tmp_path, env={"COLUMNS": "120"})
    assert done.returncode == 0, done.stderr
    assert "Grades by llm (the LLM m, not validated)" in done.stdout
    assert "poor 0%, fair 100%, good 0%" in done.stdout
    (folder,) = (tmp_path / "results" / "exam").iterdir()
    markdown = (folder / "grade.md").read_text()
    assert markdown.startswith("# Grades of base, sft\n")
    sentence = "By llm the mean grades of sft and base are not told apart: on the same prompts, sft less base is 0.00 ["
    assert markdown.splitlines()[2].startswith(sentence)
    assert " ".join(done.stdout.split()).startswith(sentence)
    assert sentence in (folder / "grade.html").read_text()
    assert (
        "Total: the weighted mean over the criteria of (points - lowest) / (highest - lowest), from 0 to 1." in markdown
    )
    assert json.loads((folder / "grade.json").read_text())["rows"][0]["total"]["value"] == pytest.approx(
        (3 / 2 + 3 / 4) / 4
    )
    assert json.loads((folder / "run.json").read_text())["plan"]["purpose"] == "grade"


def test_samples_are_averaged_over_the_usable_ones_and_cold_ones_are_told(tmp_path: Path) -> None:
    seen: dict[str, int] = {}

    def three_times(body: Body) -> str:
        """Grades 1, 5 and nothing usable, by the request's seed."""
        place = seen.setdefault(str(body["seed"]), len(seen) % 3)
        return ["I cannot say.", says(body, "good", "1"), says(body, "good", "5")][place]

    with Endpoint(three_times) as endpoint:
        judge = judged_by(endpoint, samples=3, concurrency=1)
        found = sx.grade(suite(tmp_path, {"base": ["a", "b"]}, judge), results=tmp_path / "r")
    (row,) = found.rows
    assert (row.used, row.grades["ok"], row.grades["invalid"]) == (2, 4, 2)
    assert [one.points.value for one in row.criteria if isinstance(one.points, sx.Estimate)] == [2.0, 3.0]
    assert any("3 samples at temperature 0 are nearly the same reply" in caveat for caveat in found.caveats)
    assert any("base by llm: 2 of 6 grades are invalid or failed." in caveat for caveat in found.caveats)


def test_an_additive_rubric_is_shown_in_points_too(sciexam: Cli, tmp_path: Path) -> None:
    def count(body: Body) -> str:
        (line,) = re.findall(r"GRADE \w+ quality: ", prompt_of(body))[-1:]
        return f"I count.\n{line}4"

    with Endpoint(count) as endpoint:
        exam = suite(tmp_path, {"base": ["a", "b", "c"]}, judged_by(endpoint))
        done = sciexam("grade", "-s", exam, "--rubric", "self-rewarding", cwd=tmp_path, env={"COLUMNS": "120"})
    assert done.returncode == 0, done.stderr
    assert re.search(r"base: 4\.00 \[\d\.\d\d, \d\.\d\d\] points of 5\.", done.stdout)
    assert re.search(r"base +0\.80 \[", done.stdout)


class Runs:
    """GPT-4's three grades of each answer (Prometheus' Vicuna set), as a grader of one's own that marks three times."""

    name, digest, repeats = "gpt-4", "runs", 3

    def __init__(self, rows: Iterable[dict[str, str]]):
        self._runs = {(f"v{row['question']}", row["model"]): [row[f"run{n}"] for n in (1, 2, 3)] for row in rows}

    def grade(self, submissions: Iterable[Submission]) -> Iterator[Grade]:
        for s in submissions:
            mark = float(self._runs[s.prompt.id, s.text.split()[0]][s.repeat])
            yield s.grade(self.name, mark, criteria={"overall": mark})


def test_the_means_of_three_grades_by_gpt_4_are_those_of_the_data(tmp_path: Path, shared_data: Path) -> None:
    """derived.json was made from vicuna_gpt4_scores.csv with pandas: the mean of three runs, then over 80 questions."""
    with (shared_data / "pointwise" / "vicuna_gpt4_scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    questions = list(dict.fromkeys(row["question"] for row in rows))
    models = sorted({row["model"] for row in rows})
    write_jsonl(tmp_path / "prompts.jsonl", [{"id": f"v{q}", "text": f"Question {q}?"} for q in questions])
    for model in models:
        write_jsonl(tmp_path / f"{model}.jsonl", [{"prompt": f"v{q}", "text": f"{model} on {q}"} for q in questions])
    spec = {
        "suite": "vicuna",
        "prompts": "prompts.jsonl",
        "models": {model: {"responses": f"{model}.jsonl"} for model in models},
        "contestants": models,
    }
    (tmp_path / "exam.yaml").write_text(json.dumps(spec))
    found = sx.grade(str(tmp_path / "exam.yaml"), judges=[Runs(rows)], results=tmp_path / "r")
    derived = json.loads((shared_data / "pointwise" / "derived.json").read_text())["per_model"]
    assert {row.contestant for row in found.rows} == set(derived)
    for row in found.rows:
        expected = derived[row.contestant]
        assert (row.used, row.grades["ok"]) == (expected["n"], 3 * expected["n"])
        assert isinstance(row.total, sx.Estimate)
        assert row.total.value == pytest.approx(expected["mean"], abs=1e-12)
        assert row.sd == pytest.approx(expected["std_ddof1"], abs=1e-12)
        assert [one.criterion for one in row.criteria] == ["overall"]


# ---------------------------------------------------------------- what is paid, and what fails


def test_a_second_run_asks_nothing_and_prints_the_same(sciexam: Cli, tmp_path: Path) -> None:
    with Endpoint(lambda body: says(body, "fair", "4")) as endpoint:
        exam = suite(tmp_path, {"base": ["a", "b"], "sft": ["c", "d"]}, judged_by(endpoint))
        first = sciexam("grade", "-s", exam, "--json", cwd=tmp_path)
        asked = endpoint.requests
        second = sciexam("grade", "-s", exam, cwd=tmp_path)
        third = sciexam("grade", "-s", exam, "--json", cwd=tmp_path)
        assert (asked, endpoint.requests) == (4, 4)
    assert "sciexam: nothing was left to do; every fact was in the ledger" in second.stderr
    assert "at most" not in second.stderr
    a, b = json.loads(first.stdout), json.loads(third.stdout)
    assert (a.pop("calls")["made"], b.pop("calls")["made"]) == (4, 0)
    assert a == b


def test_one_text_is_marked_once_though_two_contestants_wrote_it(tmp_path: Path) -> None:
    with Endpoint(lambda body: says(body, "fair", "4")) as endpoint:
        exam = suite(tmp_path, {"base": ["same", "b"], "sft": ["same", "d"]}, judged_by(endpoint))
        found = sx.grade(exam, results=tmp_path / "r")
        assert endpoint.requests == 3
    assert [(row.contestant, row.used) for row in found.rows] == [("base", 2), ("sft", 2)]


def test_a_reply_that_gives_no_grade_is_counted_and_asked_for_again_only_when_told(
    sciexam: Cli, tmp_path: Path
) -> None:
    said = {"told": False}

    def later(body: Body) -> str:
        return says(body, "good", "5") if said["told"] else "It is good, 5 of 5."

    with Endpoint(later) as endpoint:
        exam = suite(tmp_path, {"base": ["a", "b"]}, judged_by(endpoint))
        done = sciexam("grade", "-s", exam, "--json", cwd=tmp_path)
        assert done.returncode == 3
        assert "sciexam: not everything has a result; --retry-invalid asks again for it" in done.stderr
        (row,) = json.loads(done.stdout)["rows"]
        assert (row["used"], row["invalid"], row["reasons"]) == (0, 2, {"invalid: no grade line": 2})
        assert (row["total"]["value"], row["total"]["why"]) == (None, "no prompt has a usable grade")
        said["told"] = True
        assert sciexam("grade", "-s", exam, cwd=tmp_path).returncode == 3, "drawing until it parses would select"
        assert endpoint.requests == 2
        assert sciexam("grade", "-s", exam, "--retry-invalid", cwd=tmp_path).returncode == 0
        assert endpoint.requests == 4


def test_a_call_that_failed_is_exit_3_and_owed_by_the_next_run(sciexam: Cli, tmp_path: Path) -> None:
    with Endpoint(lambda body: says(body, "good", "5"), faults=["too_long"]) as endpoint:
        exam = suite(tmp_path, {"base": ["a", "b", "c"]}, judged_by(endpoint, concurrency=1))
        done = sciexam("grade", "-s", exam, "--json", cwd=tmp_path)
        assert done.returncode == 3
        assert "sciexam: not everything has a result; the same command asks again for it" in done.stderr
        (row,) = json.loads(done.stdout)["rows"]
        assert (row["used"], row["failed"], row["grades"]["failed"]) == (2, 1, 1)
        assert sciexam("grade", "-s", exam, cwd=tmp_path).returncode == 0
        assert endpoint.requests == 4


def test_a_grade_that_was_cut_off_is_asked_for_once_more(tmp_path: Path) -> None:
    with Endpoint(lambda body: says(body, "good", "5"), faults=["length", None]) as endpoint:
        found = sx.grade(suite(tmp_path, {"base": ["a"]}, judged_by(endpoint)), results=tmp_path / "r")
        assert [body["max_tokens"] for body in endpoint.received] == [1024, 2048]
    assert (found.rows[0].used, found.rows[0].grades["ok"]) == (1, 1)


def test_contestants_are_asked_first_and_each_answer_is_marked_as_it_comes(sciexam: Cli, tmp_path: Path) -> None:
    def both(body: Body) -> str:
        return says(body, "fair", "2") if "GRADE" in prompt_of(body) else f"An answer to: {echo(body)}"

    with Endpoint(both) as endpoint:
        exam = suite(tmp_path, {"old": ["a", "b", "c"]}, judged_by(endpoint))
        spec = json.loads(Path(exam).read_text())
        spec["models"]["new"] = judged_by(endpoint)
        spec["contestants"] = ["new"]
        Path(exam).write_text(json.dumps(spec))
        done = sciexam("grade", "-s", exam, "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "at most 6 calls: 3 for answers, 3 for marks" in done.stderr
        assert endpoint.requests == 6, "one contestant is enough, and needs no other to be asked"
    assert json.loads(done.stdout)["rows"][0]["used"] == 3


def test_a_key_that_is_missing_is_told_before_anyone_is_asked(sciexam: Cli, tmp_path: Path) -> None:
    with Endpoint(echo) as endpoint:
        judge = {"backend": "openai", "model": "m", "base_url": "https://judge.example.com/v1", "api_key_env": "NO_KEY"}
        exam = suite(tmp_path, {"old": ["a"]}, judge)
        spec = json.loads(Path(exam).read_text())
        spec["models"]["new"] = judged_by(endpoint)
        Path(exam).write_text(json.dumps(spec))
        done = sciexam("grade", "new", "-s", exam, cwd=tmp_path)
        assert (done.returncode, endpoint.requests) == (2, 0)
    assert "judge.example.com/v1: no key for the model 'm'; set NO_KEY" in done.stderr


def test_an_endpoint_that_refuses_ends_the_command_with_its_words(tmp_path: Path) -> None:
    with Endpoint(echo, key="right") as endpoint, pytest.raises(EndpointRefused, match=r"refuses \(401\)"):
        sx.grade(suite(tmp_path, {"base": ["a"]}, judged_by(endpoint)), results=tmp_path / "r")


# ---------------------------------------------------------------- who else can mark


def test_measures_mark_offline_and_several_judges_are_corrected_together(sciexam: Cli, tmp_path: Path) -> None:
    rules = [{"when": "(?s)heat.*GRADE (\\w+) ", "say": "GRADE \\1 clarity: good\nGRADE \\1 truth: 5"}]
    rules += [{"when": "(?s)GRADE (\\w+) ", "say": "GRADE \\1 clarity: poor\nGRADE \\1 truth: 1"}]
    texts = {"base": [f"It does {i}." for i in range(6)], "sft": [f"It does {i}, by heat." for i in range(6)]}
    exam = suite(tmp_path, texts, {"backend": "scripted", "rules": rules})
    done = sciexam("grade", "-s", exam, "-j", "llm", "-j", "measures", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [(row["judge"], row["contestant"]) for row in found["rows"]] == [
        (judge, name) for judge in ("llm", "measures") for name in ("base", "sft")
    ]
    assert [one["criterion"] for one in found["rows"][3]["criteria"]] == ["clarity"], "the only one with a measure"
    whole = found["differences"][0]
    assert (whole["difference"]["value"], whole["p_value"], whole["p_holm"]) == (1.0, 2 / 64, 2 * 2 / 64)
    assert whole["difference"]["method"].startswith("beta interval"), "no t interval where all are equal"
    assert found["calls"]["made"] == 0


class Own:
    """A judge of one's own: the number of words, and nothing for what is not a sentence."""

    name = "words"

    def __init__(self, factor: float = 1.0):
        self.factor = factor

    def grade(self, submissions: Iterable[Submission]) -> Iterator[Grade]:
        for s in submissions:
            ended = s.text.endswith(".")
            yield s.grade(self.name, self.factor * len(s.text.split()), failure="" if ended else "no sentence")


def test_a_class_with_grade_marks_without_bounds_and_its_failures_are_counted(tmp_path: Path) -> None:
    texts = {"base": ["One.", "One two.", "One two three."], "sft": ["One two.", "One", "One two three four five."]}
    exam = suite(tmp_path, texts, {"backend": "measures"})
    found = sx.grade(exam, judges=[Own()], results=tmp_path / "r")
    base, sft = found.rows
    assert isinstance(base.total, sx.Estimate)
    assert (base.total.value, base.used, base.criteria) == (2.0, 3, ())
    assert (sft.used, sft.invalid, sft.reasons) == (2, 1, {"invalid: no sentence": 1})
    (one,) = found.differences
    assert isinstance(one.difference, sx.Estimate)
    assert (one.prompts, one.difference.value) == (2, 1.5)
    assert not found.incomplete


def test_what_a_judge_calls_its_criteria_and_its_failures_is_text_and_breaks_no_table(tmp_path: Path) -> None:
    from rich.console import Console

    from sciexam.report.marking.grades_text import tables_of
    from sciexam.report.tables import print_tables, to_markdown

    hostile = "x|y\n\n# z <script>alert(1)</script> \x1b[2J\u202e[red]`~$a$ http://evil.example"

    class Rude:
        name = "rude"
        digest = "rude-1"

        def grade(self, submissions: Iterable[Submission]) -> Iterator[Grade]:
            for number, one in enumerate(submissions):
                if number % 3:
                    yield one.grade("rude", 1.0 + number, criteria={hostile: float(number)}, reason=hostile)
                else:
                    yield one.grade("rude", failure=hostile)

    exam = suite(tmp_path, {name: [f"{name} {i}." for i in range(6)] for name in ("a", "b")}, {"backend": "measures"})
    found = sx.grade(sx.load_suite(exam), "a", "b", judges=[Rude()], results=tmp_path / "r")
    page = to_markdown("Grades", tables_of(found), caveats=found.caveats)
    for live in ("<script>", "\x1b", "\u202e", "\n# z", "http://", "`~"):
        assert live not in page, live
    tables = [block.split("\n") for block in page.split("\n\n") if block.startswith("|")]
    assert tables
    for lines in tables:
        assert len({line.count("|") for line in lines}) == 1, "every row has the cells of the head"
    console = Console(record=True, width=200, force_terminal=False, file=io.StringIO())
    print_tables(tables_of(found), console)
    shown = console.export_text(styles=False)
    assert "[red]" in shown, "no markup of rich's"
    assert not {"\x1b", "\u202e"} & set(shown)


def test_a_mark_too_large_to_count_with_is_invalid(tmp_path: Path) -> None:
    texts = {"base": ["One.", "One two."]}
    found = sx.grade(suite(tmp_path, texts, {"backend": "measures"}), judges=[Own(1e200)], results=tmp_path / "r")
    assert found.rows[0].reasons == {"invalid: larger than 1e+100 in size": 2}


def test_who_cannot_mark_is_refused_with_what_to_name_instead(sciexam: Cli, tmp_path: Path) -> None:
    exam = suite(tmp_path, {"base": ["a"]}, {"backend": "measures"})
    votes = {"prompt": "q0", "first": "base", "second": "sft", "preferred": "tie"}
    write_jsonl(tmp_path / "votes.jsonl", [votes])
    for judge, said in (
        ("votes.jsonl", "judge 'votes.jsonl' has recorded verdicts, and cannot mark answers one by one"),
        ("humans", "humans compare answers here, and do not mark them one by one"),
        ("gpt", "'gpt' is not a judge of suite 'exam'"),
    ):
        done = sciexam("grade", "-s", exam, "-j", judge, cwd=tmp_path)
        assert done.returncode == 2
        assert said in done.stderr

    class Neither:
        name = "neither"

    with pytest.raises(UsageError, match=r"a judge has a `name` and a method grade\(submissions\)"):
        sx.grade(exam, judges=[Neither()], results=tmp_path / "r")  # type: ignore[list-item]


def test_files_of_answers_are_marked_without_a_suite(sciexam: Cli, tmp_path: Path) -> None:
    for name, text in (("old", "It does."), ("new", "It does, because heat flows. For example, a kettle whistles.")):
        write_jsonl(tmp_path / f"{name}.jsonl", [{"prompt": f"Why {i}?", "text": f"{text} {i}."} for i in range(3)])
    done = sciexam("grade", "old.jsonl", "new.jsonl", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert [(row["contestant"], row["judge"], row["used"]) for row in rows] == [
        ("old", "measures", 3),
        ("new", "measures", 3),
    ]
    assert sciexam("grade", "old.jsonl", "--json", cwd=tmp_path).returncode == 0, "one is enough"


def test_a_run_of_grades_is_no_comparison_to_report(sciexam: Cli, tmp_path: Path) -> None:
    exam = suite(tmp_path, {"base": ["It does."]}, {"backend": "measures"})
    done = sciexam("grade", "-s", exam, "--json", cwd=tmp_path)
    run = json.loads(done.stdout)["run"]
    again = sciexam("report", run, cwd=tmp_path)
    assert again.returncode == 2
    assert f"run {run} is no comparison; the `sciexam grade` that made it counts it anew" in again.stderr
