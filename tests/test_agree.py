"""`sciexam agree`: annotators and judges from the ledger, in one table, without any call."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import krippendorff
import pytest

import sciexam as sx
from conftest import Cli, answers, write_jsonl, write_suite
from sciexam.report.next_steps import READER

FOUR_POINT = {  # the seed study's scale, as recorded verdicts say it of base (first) and sft (second)
    "left much better": ("first", "strong"),
    "left slightly better": ("first", "slight"),
    "right slightly better": ("second", "slight"),
    "right much better": ("second", "strong"),
}
TOWARDS_SFT = {"left much better": -3, "left slightly better": -1, "right slightly better": 1, "right much better": 3}
LM, LS, RS, RM = FOUR_POINT
CHOICES = {
    "ann": [RM, RM, RS, LS, LM, RS, RM, RS],
    "bob": [RM, RS, RS, LM, LM, LS, RM, RS],
    "cai": [RS, RM, RS, LS, LS, LS, RM, LS],
    "dov": [RM, RM, LS, LS, LM, RS, RS, RS],
}


def votes(folder: Path, choices: dict[str, list[str]], kind: str = "human", name: str = "votes.jsonl") -> Path:
    rows = [
        {"prompt": f"q{i}", "first": "base", "second": "sft", "rater": rater, "kind": kind}
        | dict(zip(("preferred", "strength"), FOUR_POINT[choice], strict=True))
        for rater, mine in choices.items()
        for i, choice in enumerate(mine)
    ]
    return write_jsonl(folder / name, rows)


def suite(folder: Path, prompts: int = 8, **more: Any) -> str:
    models = {
        "base": {"responses": answers(folder, "base", [f"It does {i}." for i in range(prompts)])},
        "sft": {"responses": answers(folder, "sft", [f"It does {i}, because of heat." for i in range(prompts)])},
    }
    return str(write_suite(folder, prompts, models, **more))


def alpha(choices: Sequence[Sequence[float]], level: str) -> float:
    return float(krippendorff.alpha(reliability_data=choices, level_of_measurement=level))


def test_four_annotators_on_the_four_point_scale_agree_as_computed_by_hand(sciexam: Cli, tmp_path: Path) -> None:
    votes(tmp_path, CHOICES)
    done = sciexam("agree", "base", "sft", "--suite", suite(tmp_path), "--judge", "votes.jsonl", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["schema"] == "sciexam/agreement/1"

    (whole,) = [row for row in found["groups"] if row["category"] is None]
    scale = [[TOWARDS_SFT[choice] for choice in mine] for mine in CHOICES.values()]
    sides = [[1 if step > 0 else -1 for step in mine] for mine in scale]
    assert (whole["group"], whole["items"], whole["scale"]) == ("annotators", 8, "preference")
    assert whole["alpha_ordinal"]["value"] == pytest.approx(alpha(scale, "ordinal"), abs=1e-12)
    assert whole["alpha"]["value"] == pytest.approx(alpha(sides, "nominal"), abs=1e-12)
    agreeing = sum(a[i] == b[i] for n, a in enumerate(sides) for b in sides[n + 1 :] for i in range(8))
    assert whole["percent"]["value"] == pytest.approx(agreeing / 48)
    assert len([row for row in found["pairs"] if row["category"] is None]) == 6

    (majority,) = found["majority"]
    # q0, q1, q2, q6, q7 go to sft, q3 and q4 to base; q5 is split two against two.
    assert (majority["raters"], majority["items"], majority["split"]) == (4, 8, 1)
    assert majority["win_rate"]["value"] == pytest.approx(5.5 / 8)
    assert majority["preference"]["value"] == pytest.approx(sum(map(sum, scale)) / 32)
    assert {row["rater"]: row["items"] for row in found["raters"]} == dict.fromkeys(CHOICES, 8)
    assert all(row["alpha_if_removed"]["value"] is not None for row in found["raters"])
    assert all(0.5 < row["reliability"] <= 1 for row in found["raters"])


def test_without_a_judge_named_all_who_judged_are_heard_and_nobody_else(sciexam: Cli, tmp_path: Path) -> None:
    votes(tmp_path, CHOICES)
    judges = {
        "measures": {"backend": "measures"},
        "plain": {"backend": "recorded", "verdicts": "plain.jsonl"},
        "gpt": {"backend": "openai", "model": "gpt-4", "api_key_env": "NONE"},
    }
    exam = suite(tmp_path, judges=judges)
    write_jsonl(
        tmp_path / "plain.jsonl",
        [
            {"prompt": f"q{i}", "first": "base", "second": "sft", "preferred": "second", "rater": "plain"}
            for i in range(8)
        ],
    )
    for judge in ("measures", "plain", "votes.jsonl"):
        assert sciexam("compare", "base", "sft", "-s", exam, "-j", judge, cwd=tmp_path).returncode == 0
    done = sciexam("agree", "base", "sft", "-s", exam, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [row["rater"] for row in found["raters"]] == [*CHOICES, "measures", "plain"]
    assert [row["group"] for row in found["groups"] if row["category"] is None] == ["annotators", "judges", "everyone"]
    assert not any("gpt" in caveat for caveat in found["caveats"]), "a judge without a verdict is not spoken of"
    mixed = next(row for row in found["pairs"] if row["raters"] == ["ann", "plain"] and row["category"] is None)
    assert (mixed["group"], mixed["scale"]) == ("everyone", "side"), "plain verdicts have no strength"
    short = sciexam("agree", "base", "sft", "-s", exam, "--quiet", cwd=tmp_path)
    people, everyone = len(CHOICES), len(CHOICES) + 2
    assert f"Any two of the {everyone} raters ({people} annotators, measures and plain) name the same" in short.stdout


def test_two_raters_are_told_of_in_one_table(sciexam: Cli, tmp_path: Path) -> None:
    votes(tmp_path, dict(list(CHOICES.items())[:2]))
    done = sciexam("agree", "-s", suite(tmp_path), "-j", "votes.jsonl", cwd=tmp_path, env={"COLUMNS": "100"})
    assert "All together" in done.stdout, done.stderr
    assert "Every two raters" not in done.stdout


def test_every_category_has_its_own_rows_and_the_pages_are_written(sciexam: Cli, tmp_path: Path) -> None:
    votes(tmp_path, CHOICES)
    done = sciexam("agree", "-s", suite(tmp_path), "-j", "votes.jsonl", cwd=tmp_path, env={"COLUMNS": "100"})
    assert done.returncode == 0, done.stderr
    for heading in ("All together", "Every two raters", "By category", "Majority vote", "Raters"):
        assert heading in done.stdout
    (folder,) = (tmp_path / "results" / "exam").iterdir()
    assert {path.name for path in folder.iterdir()} == {"run.json", "agreement.html", "agreement.json", "agreement.md"}
    short = sciexam("agree", "-s", "exam.yaml", "-j", "votes.jsonl", "--quiet", cwd=tmp_path)
    assert (short.returncode, short.stderr, short.stdout.count("\n")) == (0, "", 1)
    assert short.stdout.startswith("Any two of the ")
    written = json.loads((folder / "agreement.json").read_text())
    assert {row["category"] for row in written["groups"]} == {None, "c0", "c1"}
    assert [row["items"] for row in written["groups"]] == [8, 4, 4]
    page = (folder / "agreement.md").read_text()
    assert "## Majority vote" in page
    compared = sx.compare(
        sx.load_suite(suite(tmp_path)), judges=[str(tmp_path / "votes.jsonl")], results=tmp_path / "r"
    )
    rate = compared.pairs[0].win_rate
    assert str(written["majority"][0]["win_rate"]["value"]) != str(rate.value), "two against one is not a whole win"
    assert f"instead of taking the majority: sft against base {rate}." in page.replace("\n", " ")
    assert page.count("0 as by chance, 1 always.") == 1, "what the columns are, once"
    assert "Percent, agreement rate: beta interval" in page, "which sentence is of which column"


def test_an_annotator_in_the_ledger_and_in_a_file_counts_once(sciexam: Cli, tmp_path: Path) -> None:
    votes(tmp_path, CHOICES)
    exam = suite(tmp_path)
    done = sciexam("agree", "-s", exam, "-j", "votes.jsonl", "-j", "humans", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [row["rater"] for row in json.loads(done.stdout)["raters"]] == list(CHOICES)


def test_the_average_of_the_votes_is_told_also_where_a_file_and_the_ledger_hold_the_same_people(
    sciexam: Cli, tmp_path: Path
) -> None:
    votes(tmp_path, CHOICES)
    exam = suite(tmp_path, judges={"people": {"backend": "recorded", "verdicts": "votes.jsonl"}}, judge="people")
    said = "`sciexam compare` averages the annotators' votes of each comparison instead of taking the majority: "
    sheet = sciexam("annotate", "import", "votes.jsonl", "-s", exam, cwd=tmp_path)
    assert sheet.returncode == 0, sheet.stderr
    for judges in (("people",), ("people", "humans")):
        named = [word for judge in judges for word in ("-j", judge)]
        done = sciexam("agree", "-s", exam, *named, cwd=tmp_path)
        assert said in " ".join(done.stdout.split()), judges


def test_one_rater_alone_is_a_sentence_and_nobody_is_an_error(sciexam: Cli, tmp_path: Path) -> None:
    votes(tmp_path, {"ann": CHOICES["ann"]})
    exam = suite(tmp_path)
    done = sciexam("agree", "-s", exam, "-j", "votes.jsonl", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "ann is the only rater; agreement needs two." in done.stdout
    told = f"another judge of the suite (`sciexam compare --judge NAME --suite {exam}`), or people (`sciexam"
    assert told.replace(" ", "") in "".join(done.stdout.split()), "a long path is broken where the line ends"
    empty = sciexam("agree", "-s", exam, "--store", "other.sqlite", cwd=tmp_path)
    assert empty.returncode == 2
    assert "other.sqlite: no ledger there; run `sciexam compare` first" in empty.stderr
    assert not (tmp_path / "other.sqlite").exists(), "asking who agrees makes no ledger"
    of_another = sciexam("compare", "base", "sft", "-s", "science", "--store", "other.sqlite", cwd=tmp_path)
    assert of_another.returncode == 0
    other = sciexam("agree", "base", "sft", "-s", exam, "--store", "other.sqlite", cwd=tmp_path)
    assert other.returncode == 2
    assert "`sciexam compare` with the same arguments asks for what is missing" in other.stderr


def test_files_that_nobody_judged_are_told_what_to_type(sciexam: Cli, tmp_path: Path) -> None:

    def write(name: str, text: str) -> None:
        write_jsonl(tmp_path / f"{name}.jsonl", [{"prompt": f"Why is {i}?", "text": f"{text} {i}"} for i in range(3)])

    write("old", "a")
    write("new", "b")
    assert sciexam("compare", "old.jsonl", "new.jsonl", "--quiet").returncode == 0
    alone = " ".join(sciexam("agree", "old.jsonl", "new.jsonl").stdout.split())
    assert "(`sciexam compare old.jsonl new.jsonl --judge NAME`)" in alone
    assert "(`sciexam annotate serve old.jsonl new.jsonl`)" in alone
    write("new", "c")
    done = sciexam("agree", "old.jsonl", "new.jsonl")
    assert done.returncode == 2
    assert done.stderr == (
        "sciexam: judge 'measures', 'humans' has no verdict on old, new for these prompts, and this command asks "
        "nobody; `sciexam compare` with the same arguments asks for what is missing\n"
    )
    board = sciexam("leaderboard", "old.jsonl", "new.jsonl", "--as", "mt-bench").stderr
    assert "this command asks nobody; the same command without --as asks for what is missing" in board


def test_judges_alone_are_told_that_agreeing_is_not_being_right(tmp_path: Path) -> None:
    class Says:
        def __init__(self, name: str, side: str):
            self.name, self.side, self.digest = name, side, name

        def judge(self, presentations: Any) -> Any:
            for p in presentations:
                yield p.verdict(rater=self.name, preferred=self.side)

    exam = sx.load_suite(suite(tmp_path))
    raters = [Says("one", "tie"), Says("two", "tie")]
    sx.compare(exam, "base", "sft", judges=raters, results=tmp_path / "r")
    found = sx.agree(exam, "base", "sft", judges=raters, results=tmp_path / "r")
    assert any("does not show that they are right" in caveat for caveat in found.caveats)
    (row,) = [row for row in found.groups if row.category is None]
    assert isinstance(row.percent, sx.Estimate)
    assert row.percent.value == 1
    assert isinstance(row.alpha, sx.Undefined), "two raters who only ever say tie show no agreement beyond chance"


def test_a_verdict_that_failed_is_no_vote(tmp_path: Path) -> None:
    votes(tmp_path, CHOICES)
    rows = [json.loads(line) for line in (tmp_path / "votes.jsonl").read_text().splitlines()]
    write_jsonl(tmp_path / "votes.jsonl", [row for row in rows if (row["rater"], row["prompt"]) != ("ann", "q0")])
    exam = sx.load_suite(suite(tmp_path))
    found = sx.agree(exam, judges=[str(tmp_path / "votes.jsonl")], results=tmp_path / "r")
    assert {row.rater: row.items for row in found.raters} == {"ann": 7, "bob": 8, "cai": 8, "dov": 8}


def test_two_files_of_one_person_are_one_person_and_two_judges_are_two(sciexam: Cli, tmp_path: Path) -> None:
    exam = suite(tmp_path)
    half = {"ann": CHOICES["ann"][:4]}
    votes(tmp_path, half, name="day1.jsonl")
    rows = [json.loads(line) for line in votes(tmp_path, {"ann": CHOICES["ann"]}).read_text().splitlines()]
    write_jsonl(tmp_path / "day2.jsonl", rows[4:])
    said = [{"prompt": f"q{i}", "first": "base", "second": "sft"} for i in range(8)]
    write_jsonl(tmp_path / "one.jsonl", [row | {"preferred": "second"} for row in said])
    write_jsonl(tmp_path / "two.jsonl", [row | {"preferred": "first"} for row in said])
    files = ("day1.jsonl", "day2.jsonl", "one.jsonl", "two.jsonl")
    done = sciexam("agree", "-s", exam, *(word for name in files for word in ("-j", name)), "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {row["rater"]: row["items"] for row in found["raters"]} == {"ann": 8, "one": 8, "two": 8}
    opposed = next(row for row in found["pairs"] if row["raters"] == ["one", "two"] and row["category"] is None)
    assert opposed["percent"]["value"] == 0


def test_one_judges_win_rate_is_that_of_a_comparison(sciexam: Cli, tmp_path: Path) -> None:
    """Half a win in each of two orders is three quarters, and stays it."""
    rows = [
        {"prompt": f"q{i}", "first": first, "second": second, "preferred": "tie" if (i + ba) % 3 == 0 else "second"}
        for i in range(8)
        for ba, (first, second) in enumerate([("base", "sft"), ("sft", "base")])
    ]
    write_jsonl(tmp_path / "llm.jsonl", rows)
    exam = suite(tmp_path)
    agreed = sciexam("agree", "-s", exam, "-j", "llm.jsonl", "--json", cwd=tmp_path)
    compared = sciexam("compare", "-s", exam, "-j", "llm.jsonl", "--json", cwd=tmp_path)
    (majority,), (pair,) = json.loads(agreed.stdout)["majority"], json.loads(compared.stdout)["pairs"]
    rate = {key: value for key, value in pair["win_rate"].items() if key != "of"}
    assert majority["win_rate"] == rate


def test_what_an_agreement_rests_on_is_said(sciexam: Cli, tmp_path: Path) -> None:
    path = votes(tmp_path, CHOICES | {"eva": CHOICES["bob"][:3], "Ann ": CHOICES["dov"]})
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        if (row["rater"], row["prompt"]) == ("bob", "q0"):
            del row["strength"]
    rows += [{"prompt": "q99", "first": "base", "second": "stf", "preferred": "tie", "rater": "ann", "kind": "human"}]
    write_jsonl(path, rows)
    done = sciexam("agree", "-s", suite(tmp_path), "-j", "votes.jsonl", cwd=tmp_path, env={"COLUMNS": "200"})
    assert done.returncode == 0, done.stderr
    for sentence in (
        "votes has verdicts on 'q99', 'stf': no prompt and no model here has that name, so they do not count.",
        "eva judged 3 comparisons, another rater 8; its own figures say little.",
        "bob gave some winners a strength, and 1 none; its strengths are left out",
        "'ann' and 'Ann ' count as different raters; are they one?",
        "The mean preference of sft against base is that of 5 of 6 annotators, who gave strengths.",
    ):
        assert sentence in done.stdout


@pytest.mark.parametrize("columns", ["50", "80", "100", "140"])
def test_no_figure_is_cut_however_narrow_the_terminal(sciexam: Cli, tmp_path: Path, columns: str) -> None:
    votes(tmp_path, CHOICES)
    args = ("agree", "-s", suite(tmp_path), "-j", "votes.jsonl")
    done = sciexam(*args, cwd=tmp_path, env={"COLUMNS": columns})
    found = json.loads(sciexam(*args, "--json", cwd=tmp_path).stdout)
    shown = [line for line in done.stdout.splitlines()[:-1] if "sciexam validate" not in line]  # one line to copy
    assert max(map(len, shown)) <= int(columns)
    said = " ".join(done.stdout.split())
    for one in (row for row in (*found["groups"], *found["pairs"]) if row["category"] is None):
        rest = ("kappa", "ac1", "alpha", "alpha_ordinal") if one in found["groups"] else ()
        for name in ("percent", *rest):
            for limit in (f"{one[name]['low']:.2f}", f"{one[name]['high']:.2f}"):
                assert limit in said or limit.replace("0.", ".") in said


def test_every_two_raters_have_one_line_on_a_terminal_of_80_columns(sciexam: Cli, tmp_path: Path) -> None:
    votes(tmp_path, {f"annotator-{i}": choices for i, choices in enumerate(CHOICES.values(), 1)})
    args = ("agree", "-s", suite(tmp_path), "-j", "votes.jsonl")
    for columns in ("80", "120"):
        table = sciexam(*args, cwd=tmp_path, env={"COLUMNS": columns}).stdout.partition("Every two raters")[2]
        rows = [line for line in table.partition("Ordinal")[0].splitlines() if "annotator-" in line]
        assert len(rows) == len(CHOICES) * (len(CHOICES) - 1) / 2, rows
        assert all(len(re.findall(r"annotator-\d", line)) == 2 and "]" in line for line in rows), rows


def test_an_agreement_says_what_holds_a_judge_against_people(sciexam: Cli, tmp_path: Path) -> None:
    exam = suite(tmp_path)
    votes(tmp_path, {"plain": CHOICES["ann"]}, kind="judge", name="plain.jsonl")
    votes(tmp_path, CHOICES)

    def proposed(*judges: str) -> list[str]:
        named = [word for judge in judges for word in ("-j", judge)]
        done = sciexam("agree", "base", "sft", "-s", exam, *named, cwd=tmp_path)
        steps = done.stdout.partition("What to do next")[2].splitlines()
        told = [line.strip() for line in steps if line.strip().startswith("sciexam ")]
        (folder,) = tmp_path.glob(f"results/exam/{done.stdout.split('/')[-2]}")
        record = json.loads((folder / "agreement.json").read_text())
        assert [step["command"] for step in record["next_steps"]] == told
        assert all(command in (folder / "agreement.html").read_text() for command in told)
        return told

    on = f"--suite {exam}"
    assert proposed("votes.jsonl", "plain.jsonl") == [f"sciexam validate plain.jsonl base sft {on}"]
    assert proposed("votes.jsonl") == [f"sciexam validate {READER} base sft {on}"]
    assert proposed("plain.jsonl", "measures") == [f"sciexam annotate serve base sft {on}"]
    suite(tmp_path, judges={"own": {"backend": "openai", "model": "m"}})
    assert proposed("votes.jsonl") == [f"sciexam validate own base sft {on}"]


def test_reading_a_run_of_agreement_as_a_report_is_refused(sciexam: Cli, tmp_path: Path) -> None:
    votes(tmp_path, CHOICES)
    done = sciexam("agree", "-s", suite(tmp_path), "-j", "votes.jsonl", "--json", cwd=tmp_path)
    run = json.loads(done.stdout)["run"]
    again = sciexam("report", run, cwd=tmp_path)
    assert again.returncode == 2
    assert f"run {run} is no comparison; the `sciexam agree` that made it counts it anew" in again.stderr


def test_a_judge_that_cannot_be_opened_is_left_out_and_named(sciexam: Cli, tmp_path: Path) -> None:
    votes(tmp_path, CHOICES)
    judges = {"mine": {"backend": "no.such.module:Judge"}, "votes": {"backend": "recorded", "verdicts": "votes.jsonl"}}
    done = sciexam("agree", "-s", suite(tmp_path, judges=judges), "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [row["rater"] for row in found["raters"]] == list(CHOICES)
    assert any(caveat.startswith("mine is left out: ") for caveat in found["caveats"])


def test_the_last_word_of_an_annotator_counts_and_that_there_were_two_is_said(sciexam: Cli, tmp_path: Path) -> None:
    exam = suite(tmp_path)
    votes(tmp_path, CHOICES)
    votes(tmp_path, {"ann": [LM] * 8}, name="again.jsonl")  # six of which she had seen the other way round
    said = []
    for order in (("votes.jsonl", "again.jsonl"), ("again.jsonl", "votes.jsonl")):
        store = f"{order[0]}.sqlite"
        args = ("agree", "-s", exam, "--store", store, "--json")
        found = json.loads(sciexam(*args, "-j", order[0], "-j", order[1], cwd=tmp_path).stdout)
        told = "ann said more than one thing of the same two texts, in 6 of the comparisons; the last named counts."
        assert told in found["caveats"]
        humans = json.loads(sciexam(*args, "-j", "humans", cwd=tmp_path).stdout)
        assert "The ledger holds 6 verdicts of humans in two ways; the last to come in counts." in humans["caveats"]
        rates = [next(row["percent"]["value"] for row in one["groups"]) for one in (found, humans)]
        assert rates[0] == rates[1], "the order of the command line is the order of the ledger"
        said.append(rates[0])
    assert said[0] != said[1]


def test_a_judge_without_strengths_is_not_said_to_have_given_some(sciexam: Cli, tmp_path: Path) -> None:
    """A tie in one order and a win in the other is half a win, and no strength."""
    rows = [
        {"prompt": f"q{i}", "first": first, "second": second, "preferred": said}
        for i in range(8)
        for first, second, said in (("base", "sft", "second"), ("sft", "base", "tie" if i % 2 else "first"))
    ]
    write_jsonl(tmp_path / "llm.jsonl", rows)
    votes(tmp_path, CHOICES)
    done = sciexam("agree", "-s", suite(tmp_path), "-j", "llm.jsonl", "-j", "votes.jsonl", "--json", cwd=tmp_path)
    assert not any("strength" in caveat for caveat in json.loads(done.stdout)["caveats"])


def test_the_baseline_of_a_validation_is_no_judge_and_a_judge_held_against_people_is_not_proposed_again(
    sciexam: Cli, tmp_path: Path
) -> None:
    votes(tmp_path, {"plain": CHOICES["ann"]}, kind="judge", name="plain.jsonl")
    votes(tmp_path, CHOICES)
    judges = {name: {"backend": "recorded", "verdicts": f"{name}.jsonl"} for name in ("votes", "plain")}
    exam = suite(tmp_path, judges=judges)

    def agreed() -> dict[str, Any]:
        done = sciexam("agree", "base", "sft", "-s", exam, "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    before = agreed()
    again = f"sciexam validate plain base sft --suite {exam}"
    assert [step["command"] for step in before["next_steps"]] == [again]
    validated = sciexam("validate", "plain", "base", "sft", "-s", exam, cwd=tmp_path)
    assert "measures" in validated.stdout, validated.stderr
    after = agreed()
    assert after["next_steps"] == []
    assert [row["rater"] for row in after["raters"]] == [row["rater"] for row in before["raters"]]
    sciexam("compare", "base", "sft", "-s", exam, "-j", "measures", cwd=tmp_path)
    assert "measures" in [row["rater"] for row in agreed()["raters"]]
