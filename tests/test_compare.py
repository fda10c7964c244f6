"""`sciexam compare` and `sciexam report` on the real command line, offline: what they print, write, take and refuse."""

from __future__ import annotations

import json
import os
import pty
import re
import sqlite3
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from conftest import COMMAND, Cli, answers, clean_environment, write_jsonl, write_suite
from endpoint import Endpoint

KEY = "sk-sentinel-0123456789abcdef"
QUESTIONS = [f"Why does thing {i} happen?" for i in range(6)]
GOOD = "It happens because heat flows, so pressure rises. For example, a kettle whistles. Therefore thing {} happens."
TOP = ("schema", "suite", "run", "rubric", "contestants", "notes", "prompts", "by", "level", "margin", "pairs")
PAIR = (
    *("a", "b", "judge", "judge_is", "raters", "policy", "conclusion", "win_rate", "bounds", "wins", "ties", "losses"),
    *("p_value", "p_holm", "preference", "order_consistency", "position_bias", "length", "planned", "used", "invalid"),
    *("failed", "skipped", "reasons", "categories", "verdicts", "sentence", "power", "strengths", "trust"),
)
FIGURE = {"value", "low", "high", "level", "n", "method", "why"}


def suite(folder: Path, **more: Any) -> str:
    models = {
        "base": {"responses": answers(folder, "base", ["It just does."] * 6)},
        "sft": {"responses": answers(folder, "sft", [GOOD.format(i) for i in range(6)])},
    }
    return str(write_suite(folder, 6, models, **more))


def alpaca(path: Path, texts: Sequence[str]) -> Path:
    """A file as AlpacaEval writes it: one JSON list."""
    rows = [
        {"instruction": question, "output": text, "generator": path.stem, "dataset": "x"}
        for question, text in zip(QUESTIONS, texts, strict=True)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def verdicts(folder: Path, ledger: str = "results/ledger.sqlite") -> list[tuple[Any, ...]]:
    with sqlite3.connect(folder / ledger) as raw:
        return raw.execute("SELECT hex(key), at FROM verdicts").fetchall()


# ---------------------------------------------------------------- what it prints and writes


def test_json_is_one_object_on_stdout_with_exactly_the_promised_keys(tmp_path: Path, sciexam: Cli) -> None:
    done = sciexam("compare", "base", "sft", "--suite", suite(tmp_path), "--json")
    report = told(done)
    assert done.stderr == ""
    assert tuple(report) == (*TOP, "lineage", "calls", "caveats", "next_steps")
    assert (report["schema"], report["suite"], report["contestants"]) == (
        *("sciexam/report/1", "exam", ["base", "sft"]),
    )
    assert re.fullmatch(r"[0-9a-f]{16}", report["run"])
    assert set(report["calls"]) == {"made", "reused", "input_tokens", "output_tokens", "usd", "unasked", "recounted"}
    (pair,) = report["pairs"]
    assert set(pair) == set(PAIR)
    assert set(pair["win_rate"]) == FIGURE | {"of"}
    for figure in ("preference", "order_consistency", "position_bias"):
        assert set(pair[figure]) == FIGURE
        assert (pair[figure]["value"] is None) == (pair[figure]["why"] is not None)
    assert set(pair["bounds"]) == {"low", "high"}
    assert set(pair["length"]) == {"a", "b", "difference", "longer_wins", "controlled"}
    assert [(c["name"], c["planned"], c["used"], set(c["win_rate"])) for c in pair["categories"]] == [
        ("c0", 3, 3, FIGURE),
        ("c1", 3, 3, FIGURE),
    ]
    assert (pair["a"], pair["b"], pair["win_rate"]["of"], pair["judge"]) == ("base", "sft", "sft", "measures")
    assert (pair["win_rate"]["value"], pair["wins"], pair["used"], pair["planned"]) == (1.0, 6, 6, 6)
    assert pair["p_value"] == pair["p_holm"] == 2 / 2**6
    assert (pair["conclusion"], pair["policy"]) == ("higher by form", "mean")


def test_a_run_leaves_four_files_and_its_manifest_says_under_what_it_was_made(tmp_path: Path, sciexam: Cli) -> None:
    path = suite(tmp_path)
    report = told(sciexam("compare", "base", "sft", "--suite", path, "--json", env={"MY_API_KEY": KEY}))
    folder = tmp_path / "results" / "exam" / report["run"]
    assert sorted(file.name for file in folder.iterdir()) == ["report.html", "report.json", "report.md", "run.json"]
    stored = json.loads((folder / "report.json").read_text())
    assert len(stored.pop("items")) == 6
    assert stored == report
    manifest = json.loads((folder / "run.json").read_text())
    assert manifest["run"] == report["run"]
    assert {"sciexam", "numpy", "scipy", "sqlalchemy"} <= set(manifest["packages"])
    assert manifest["argv"][1:] == ["compare", "base", "sft", "--suite", path, "--json"]
    plan = manifest["plan"]
    assert (plan["suite"]["seed"], plan["contestants"], plan["prompts"]) == (
        *(7, ["base", "sft"], [f"q{i}" for i in range(6)]),
    )
    digests = [plan["digests"]["suite"], plan["digests"]["rubric"], *plan["models"].values()]
    digests += [*plan["digests"]["lineage"].values(), plan["raters"][0]["digest"]]
    assert len(digests) == 7
    assert all(re.fullmatch(r"[0-9a-f]{64}", one) for one in digests)
    with sqlite3.connect(tmp_path / "results" / "ledger.sqlite") as raw:
        assert raw.execute("SELECT run FROM runs").fetchall() == [(report["run"],)]
    everything = b"".join(file.read_bytes() for file in (tmp_path / "results").rglob("*") if file.is_file())
    assert KEY.encode() not in everything


def test_the_manifest_is_in_the_ledger_before_any_fact(tmp_path: Path, sciexam: Cli) -> None:
    source = "class Mute:\n    digest = 'm'\n    def generate(self, asked):\n        raise RuntimeError('no answer')\n"
    (tmp_path / "mute.py").write_text(source)
    path = str(write_suite(tmp_path, 2, {name: {"backend": "mute:Mute"} for name in ("one", "two")}))
    done = sciexam("compare", "--suite", path, env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 2
    assert "raised RuntimeError at " in done.stderr
    with sqlite3.connect(tmp_path / "results" / "ledger.sqlite") as raw:
        assert raw.execute("SELECT count(*) FROM runs").fetchone() == (1,)
        assert raw.execute("SELECT count(*) FROM replies").fetchone() == (0,)
    assert not list((tmp_path / "results").rglob("report.*"))


def test_the_same_command_again_has_nothing_to_do_and_says_so(tmp_path: Path, sciexam: Cli) -> None:
    command = ("compare", "base", "sft", "--suite", suite(tmp_path), "--quiet")
    first = sciexam(*command)
    assert (first.returncode, first.stderr) == (0, "")
    known = verdicts(tmp_path)
    again = sciexam(*command)
    assert (again.returncode, again.stdout) == (0, first.stdout)
    assert again.stderr == "sciexam: nothing was left to do; every fact was in the ledger\n"
    assert verdicts(tmp_path) == known
    assert told(sciexam(*command[:-1], "--json"))["calls"]["made"] == 0


def test_quiet_is_one_sentence_a_pair(tmp_path: Path, sciexam: Cli) -> None:
    done = sciexam("compare", "base", "sft", "--suite", suite(tmp_path), "--quiet")
    (line,) = done.stdout.splitlines()
    assert re.fullmatch(
        r"By `measures` \(a text measure, not validated\), sft scores 1\.00 \[0\.\d\d, 1\.00\] against base over 6 "
        r"prompts, ties half: higher by form; that is no evidence that it is better\.",
        line,
    )


def test_what_is_piped_has_no_escape_codes_and_a_terminal_has_none_with_no_color(tmp_path: Path, sciexam: Cli) -> None:
    command = ["compare", "base", "sft", "--suite", suite(tmp_path)]
    piped = sciexam(*command)
    assert "\x1b" not in piped.stdout + piped.stderr
    assert piped.stdout.rstrip().endswith("report.html")
    assert re.search(r"\x1b\[[\d;]*m", on_a_terminal(tmp_path, command)), "a terminal is really there"
    plain = on_a_terminal(tmp_path, command, NO_COLOR="1")
    assert "sft against base" in plain
    # Without colour Rich still sets bold and dim; what no-color.org asks for is no colour.
    assert not re.search(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9\d|10\d)(?:;\d+)*m", plain)


def on_a_terminal(folder: Path, command: Sequence[str], **environment: str) -> str:
    """What the command writes when stdout and stderr are a terminal."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [str(COMMAND), *command],
        cwd=folder,
        env=clean_environment() | {"TERM": "xterm-256color", "COLUMNS": "100"} | environment,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    read = b""
    try:
        while block := os.read(ours, 65536):
            read += block
    except OSError:  # Linux: the other end was closed
        pass
    os.close(ours)
    assert child.wait() == 0
    return read.decode()


def test_a_report_is_counted_again_by_the_beginning_of_its_id(tmp_path: Path, sciexam: Cli) -> None:
    made = told(sciexam("compare", "base", "sft", "--suite", suite(tmp_path), "--json"))
    folder = tmp_path / "results" / "exam" / made["run"]
    written = json.loads((folder / "report.json").read_text())
    for file in folder.iterdir():
        file.unlink()
    for file in ("base.jsonl", "sft.jsonl", "exam.yaml"):
        (tmp_path / file).unlink()
    again = told(sciexam("report", made["run"][:5], "--json"))
    assert again["calls"]["recounted"]
    assert again | {"calls": made["calls"]} == made
    assert json.loads((folder / "report.json").read_text()) | {"calls": written["calls"]} == written
    assert (folder / "report.html").is_file()


# ---------------------------------------------------------------- files of answers


def test_two_files_of_answers_are_compared_without_any_yaml(tmp_path: Path, sciexam: Cli) -> None:
    for name, text in (("old", "It just does."), ("new", GOOD)):
        lines = [{"prompt": q, "text": text.format(i)} for i, q in enumerate(QUESTIONS)]
        write_jsonl(tmp_path / f"{name}.jsonl", lines)
    done = sciexam("compare", "old.jsonl", "new.jsonl", "--json")
    named = "sciexam compare old.jsonl new.jsonl --judge openai:gpt-4.1-mini-2025-04-14"
    assert (
        f"no judge was named, so text measures judge, which know nothing of meaning; to ask a language model: {named}\n"
        in (done.stderr)
    )
    report = told(done)
    assert report["caveats"][0].startswith("measures counts features of a text and knows nothing of its meaning")
    assert report["next_steps"][0]["command"] == named
    chosen = sciexam("compare", "old.jsonl", "new.jsonl", "--judge", "measures", "--quiet")
    assert "no judge was named" not in chosen.stderr
    (pair,) = report["pairs"]
    assert (report["suite"], report["prompts"], pair["a"], pair["b"]) == ("old-vs-new", 6, "old", "new")
    assert (pair["used"], pair["wins"], pair["judge"]) == (6, 6, "measures")
    stored = json.loads((tmp_path / "results" / "old-vs-new" / report["run"] / "report.json").read_text())
    assert [item["text"] for item in stored["items"]] == QUESTIONS


def test_alpacaeval_lists_are_compared_and_files_of_one_name_are_told_apart(tmp_path: Path, sciexam: Cli) -> None:
    one = alpaca(tmp_path / "v1" / "model_outputs.json", ["It just does."] * 6)
    two = alpaca(tmp_path / "v2" / "model_outputs.json", [GOOD.format(i) for i in range(6)])
    (pair,) = told(sciexam("compare", str(one), str(two), "--json"))["pairs"]
    assert (pair["a"], pair["b"], pair["used"], pair["wins"]) == ("v1-model_outputs", "v2-model_outputs", 6, 6)


def test_a_prompts_file_gives_files_of_answers_their_questions_and_categories(tmp_path: Path, sciexam: Cli) -> None:
    suite(tmp_path)
    (tmp_path / "exam.yaml").unlink()
    report = told(sciexam("compare", "base.jsonl", "sft.jsonl", "--prompts", "prompts.jsonl", "--json"))
    assert [c["name"] for c in report["pairs"][0]["categories"]] == ["c0", "c1"]
    bare = told(sciexam("compare", "base.jsonl", "sft.jsonl", "--json"))
    assert bare["pairs"][0]["categories"] == []
    assert bare["run"] != report["run"]


def test_a_file_joins_the_contestants_of_a_suite(tmp_path: Path, sciexam: Cli) -> None:
    path = suite(tmp_path)
    alpaca(tmp_path / "mine.json", ["Because of heat, so it happens."] * 6)
    report = told(sciexam("compare", "base", "mine.json", "sft", "--suite", path, "--json"))
    assert [(p["a"], p["b"], p["used"]) for p in report["pairs"]] == [
        *[("base", "mine", 6), ("base", "sft", 6), ("mine", "sft", 6)],
    ]
    others = write_suite(tmp_path, 6, {"gpt": {"responses": "sft.jsonl"}})
    report = told(sciexam("compare", "mine.json", "base.jsonl", "--suite", str(others), "--json"))
    assert (report["suite"], report["contestants"]) == ("exam", ["mine", "base"])


def test_answers_that_match_no_prompt_are_told(tmp_path: Path, sciexam: Cli) -> None:
    path = suite(tmp_path)
    write_jsonl(tmp_path / "mine.jsonl", [{"prompt": p, "text": "So."} for p in ("q0", "q1", "p7", "p8")])
    report = told(sciexam("compare", "base", "mine.jsonl", "--suite", path, "--json"))
    assert "2 recorded answers of mine match no prompt of the suite ('p7', 'p8')." in report["caveats"]
    assert (report["pairs"][0]["used"], report["pairs"][0]["skipped"]) == (2, 4)
    assert report["pairs"][0]["reasons"] == {"skipped: mine: no recorded answer": 4}


# ---------------------------------------------------------------- options


LONGER = """
class Longer:
    name = "longer"

    def judge(self, presentations):
        for p in presentations:
            yield p.verdict(self.name, "first" if len(p.first) > len(p.second) else "second")
"""


def with_longer(folder: Path, **more: Any) -> tuple[str, dict[str, str]]:
    """A suite with a judge of one's own that sees the order, and the environment in which it is found."""
    (folder / "longer.py").write_text(LONGER)
    judges = {"longer": {"backend": "longer:Longer"}, "measures": {"backend": "measures"}}
    return suite(folder, judges=judges, **more), {"PYTHONPATH": str(folder)}


def test_one_order_asks_for_half_the_presentations(tmp_path: Path, sciexam: Cli) -> None:
    path, env = with_longer(tmp_path)
    one = told(sciexam("compare", "--suite", path, "--orders", "one", "--json", env=env))
    assert len(verdicts(tmp_path)) == 6
    assert one["pairs"][0]["used"] == 6
    assert one["pairs"][0]["order_consistency"]["value"] is None
    both = told(sciexam("compare", "--suite", path, "--orders", "both", "--json", env=env))
    assert len(verdicts(tmp_path)) == 12
    assert both["pairs"][0]["order_consistency"]["value"] == 1.0


def test_a_judge_named_twice_is_two_judges_and_a_limit_takes_the_first_prompts(tmp_path: Path, sciexam: Cli) -> None:
    path, env = with_longer(tmp_path)
    report = told(
        sciexam("compare", "--suite", path, "-j", "longer", "-j", "measures", "--limit", "3", "--json", env=env)
    )
    assert [(p["judge"], p["planned"], p["used"]) for p in report["pairs"]] == [("longer", 3, 3), ("measures", 3, 3)]
    assert report["prompts"] == 3


def test_by_slices_by_any_field(tmp_path: Path, sciexam: Cli) -> None:
    path = suite(tmp_path)
    lines = [{"id": f"q{i}", "text": q, "level": "school" if i < 4 else None} for i, q in enumerate(QUESTIONS)]
    write_jsonl(tmp_path / "prompts.jsonl", lines)
    report = told(sciexam("compare", "--suite", path, "--by", "level", "--json"))
    assert [(c["name"], c["planned"]) for c in report["pairs"][0]["categories"]] == [("school", 4)]
    assert report["by"] == "level"


def test_policy_and_margin_are_counted_from_the_same_verdicts(tmp_path: Path, sciexam: Cli) -> None:
    lines = [
        {"prompt": f"q{i}", "first": first, "second": second, "preferred": side}
        for i in range(6)
        for first, second, side in (("base", "sft", "second"), ("sft", "base", "tie"))
    ]
    path = suite(tmp_path)
    write_jsonl(tmp_path / "v.jsonl", lines)
    command = ("compare", "--suite", path, "--judge", "v.jsonl", "--json")
    (by_mean,) = told(sciexam(*command))["pairs"]
    known = verdicts(tmp_path)
    (conservative,) = told(sciexam(*command, "--policy", "conservative", "--margin", "0.4"))["pairs"]
    assert (by_mean["win_rate"]["value"], by_mean["policy"]) == (0.75, "mean")
    assert (conservative["win_rate"]["value"], conservative["policy"]) == (0.5, "conservative")
    assert (by_mean["conclusion"], conservative["conclusion"]) == ("undecided", "equivalent")
    assert verdicts(tmp_path) == known


def test_store_results_and_rubric_are_taken_as_given(tmp_path: Path, sciexam: Cli) -> None:
    path = suite(tmp_path)
    command = ("compare", "--suite", path, "--store", "kept/facts.sqlite", "--results", "out", "--json")
    report = told(sciexam(*command))
    assert (tmp_path / "out" / "exam" / report["run"] / "report.html").is_file()
    assert len(verdicts(tmp_path, "kept/facts.sqlite")) == 6
    assert not (tmp_path / "results").exists()
    other = told(sciexam(*command, "--rubric", "science-explanation"))
    assert (report["rubric"], other["rubric"]) == ("helpfulness", "science-explanation")
    assert len(verdicts(tmp_path, "kept/facts.sqlite")) == 12
    again = ("--store", "kept/facts.sqlite", "--results", "out", "--json")
    assert told(sciexam("report", other["run"], *again)) | {"calls": other["calls"]} == other


# ---------------------------------------------------------------- what it refuses


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["base", "stf"], "'stf' is not a model of suite 'exam'; did you mean 'sft'?"),
        (
            ["base", "apart"],
            "'apart' is not a model of suite 'exam', which has base, sft; there is a file apart.jsonl here: name it "
            "with its ending",
        ),
        (["base"], "a comparison needs two contestants, and only 'base' is named"),
        (["base", "sft", "base"], "a contestant is named twice"),
        (
            ["--judge", "measure"],
            "'measure' is not a judge of suite 'exam'; did you mean 'measures'? "
            "(a judge can also be openai:MODEL, or a .jsonl file of recorded verdicts)",
        ),
        (["-j", "measures", "-j", "measures"], "two judges are called 'measures'; name each once, and no two the same"),
        (["--judge", "v.jsonl"], "v.jsonl: no such file of verdicts"),
        (
            ["--judge", "humans"],
            "the ledger results/ledger.sqlite holds no human verdict on base, sft; "
            "let people judge them (`sciexam annotate serve --suite {folder}/exam.yaml`), or name a file of "
            'verdicts with "kind": "human" as a judge: --judge verdicts.jsonl',
        ),
        (["--by", "levle"], "--by levle: no prompt has this field; did you mean 'level'?"),
        (["--limit", "0"], "--limit: 1 or more prompts, not 0"),
        (["--margin", "0.7"], "--margin: a difference of win rates between 0 and 0.5, not 0.7"),
        (["--margin", "nan"], "--margin: a difference of win rates between 0 and 0.5, not nan"),
        (
            ["base", "apart.jsonl"],
            "apart: no prompt of suite 'exam' has an answer in {folder}/apart.jsonl; "
            "the suite names its prompts like 'q0', the file like 'x0'",
        ),
        (
            ["base", "answers.csv"],
            "answers.csv: answers are read from .jsonl (a JSON object a line) or AlpacaEval's .json",
        ),
        (["base", "gone.jsonl"], "gone.jsonl: no such file of answers"),
        (["base", "base.jsonl"], "'base' is a model of the suite and the name of a file; rename the file"),
        (
            ["base", "sft", "--prompts", "x"],
            "--prompts goes with files of answers alone; a suite names its own prompts",
        ),
        (["--rubric", "helpfulnes"], "rubric 'helpfulnes': no such rubric; did you mean 'helpfulness'?"),
        (["--zzz"], "No such option: --zzz (see `sciexam compare --help`)"),
        (
            ["--orders", "three"],
            "Invalid value for '--orders': 'three' is not one of 'both', 'one'. (see `sciexam compare --help`)",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use_is_one_line_and_exit_code_2(
    tmp_path: Path, sciexam: Cli, arguments: list[str], message: str
) -> None:
    path = suite(tmp_path)
    lines = [{"id": f"q{i}", "text": text, "level": "school"} for i, text in enumerate(QUESTIONS)]
    write_jsonl(tmp_path / "prompts.jsonl", lines)
    write_jsonl(tmp_path / "apart.jsonl", [{"prompt": "x0", "text": "So."}])
    (tmp_path / "answers.csv").write_text("prompt,text\nq0,So.\n")
    done = sciexam("compare", *arguments, "--suite", path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"sciexam: {message.format(folder=tmp_path)}\n")


def test_ids_in_the_place_of_questions_are_not_sent_to_a_judge_that_costs_money(tmp_path: Path, sciexam: Cli) -> None:
    suite(tmp_path)  # its files name the prompts by id
    files = ("compare", "base.jsonl", "sft.jsonl", "--json")
    with Endpoint("judge-first") as endpoint:
        env = {"OPENAI_BASE_URL": endpoint.url, "OPENAI_API_KEY": KEY}
        done = sciexam(*files, "--judge", "openai:m", env=env)
        assert (done.returncode, done.stdout, done.stderr) == (
            2,
            "",
            "sciexam: 'q0' is no question that a judge could read; give the questions with --prompts FILE\n",
        )
        assert endpoint.requests == 0
        report = told(sciexam(*files, "--judge", "openai:m", "--prompts", "prompts.jsonl", env=env))
        assert (report["pairs"][0]["used"], endpoint.requests) == (6, 12)
    assert told(sciexam(*files))["pairs"][0]["used"] == 6  # text measures cost nothing


def test_the_same_file_twice_is_refused(tmp_path: Path, sciexam: Cli) -> None:
    suite(tmp_path)
    done = sciexam("compare", "base.jsonl", "base.jsonl")
    assert (done.returncode, done.stderr) == (
        2,
        "sciexam: these files cannot be told apart by name: base.jsonl, base.jsonl\n",
    )


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("exam.yaml", '"seed": 7', '"sead": 7', "exam.yaml:1: sead: unknown key; did you mean 'seed'?"),
        ("prompts.jsonl", '"q3"', '"q1"', "prompts.jsonl:4: id: 'q1' already stands in line 2"),
        (
            "sft.jsonl",
            'thing 5 happens."}\n',
            "thing 5 hap",
            "sft.jsonl:6: the line ends in the middle of its JSON; was the file cut off?",
        ),
    ],
)
def test_a_fault_of_a_file_is_told_with_its_place(
    tmp_path: Path, sciexam: Cli, file: str, old: str, new: str, message: str
) -> None:
    path = suite(tmp_path)
    text = (tmp_path / file).read_text()
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new))
    done = sciexam("compare", "--suite", path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"sciexam: {tmp_path}/{message}\n")


def test_a_run_that_is_not_there_and_an_ambiguous_beginning_are_refused(tmp_path: Path, sciexam: Cli) -> None:
    path = suite(tmp_path)
    for limit in ("1", "2"):
        told(sciexam("compare", "--suite", path, "--limit", limit, "--json"))
    done = sciexam("report", "xyz")
    assert done.returncode == 2
    assert done.stderr.startswith("sciexam: 'xyz' is not a run in results/ledger.sqlite; the latest comparisons are:\n")
    done = sciexam("report", "")
    assert (done.returncode, done.stderr) == (
        2,
        "sciexam: results/ledger.sqlite: several runs begin with ''; write more of the id\n",
    )


def test_help_lists_every_option_that_there_is(sciexam: Cli) -> None:
    done = sciexam("compare", "--help")
    assert done.returncode == 0
    for option in ("suite", "judge", "rubric", "prompts", "orders", "policy", "margin", "by", "limit", "retry-invalid",
                   "max-wait", "store", "results", "json", "quiet"):  # fmt: skip
        assert f"--{option}" in done.stdout
