"""`init`, `check`, `schema` and `rubric` on the real command line, and what bad input gets there."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from sciexam.documents import parse_yaml, shipped
from sciexam.errors import DocumentError
from sciexam.rubric import Rubric
from sciexam.suite_file import SuiteFile

Cli = Callable[..., subprocess.CompletedProcess[str]]


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The message of a command that was refused as wrong usage, without the name in front of its lines."""
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    lines = done.stderr.splitlines()
    assert all(line.startswith("sciexam: ") for line in lines)
    return "\n".join(line.removeprefix("sciexam: ") for line in lines)


# ---------------------------------------------------------------- init


def test_a_new_suite_checks_clean_and_compares_as_it_stands(sciexam: Cli, tmp_path: Path) -> None:
    made = sciexam("init", "exams")
    assert made.returncode == 0, made.stderr
    assert "sciexam compare old new --suite exams" in made.stdout
    assert "`prompt` is a question's id or its whole text" in made.stdout
    elsewhere = "suite 'exams': no such suite here; there is one in exams/: cd exams"
    assert refused(sciexam("check", "exams")) == elsewhere
    assert "    cd exams" in sciexam().stdout.splitlines()
    checked = sciexam("check", "exams", cwd=tmp_path / "exams")
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.splitlines() == [
        "3 prompts in 3 categories; rubric 'exams'",
        "warning: rubric 'exams': about: is still the template's sentence, and judges read it; say what the answers "
        "are for",
        "old: 3 of 3 prompts have an answer",
        "new: 3 of 3 prompts have an answer",
        "judge measures: ready",
        "nothing is wrong",
    ]
    compared = sciexam("compare", "old", "new", "--suite", "exams", "--json", cwd=tmp_path / "exams")
    assert compared.returncode == 0, compared.stderr
    assert json.loads(compared.stdout)["suite"] == "exams"


def test_files_of_any_names_make_a_suite_that_checks_clean_and_says_what_it_named_them(
    sciexam: Cli, tmp_path: Path
) -> None:
    stems = [
        "-dash",
        "1st run (v1.2)",
        'it\'s "q"',
        "a\U0001f600b",
        "a-b",
        "\U0001f600",
        "x.jsonl",
        "u\u0308ber",
        "n" * 140,
    ]
    for number, stem in enumerate(stems):
        line = json.dumps({"prompt": "Why?", "text": f"Because of {number}."})
        (tmp_path / f"{stem}.jsonl").write_text(line + "\n", encoding="utf-8")

    made = sciexam("init", "an exam/mine", "--", *(f"{stem}.jsonl" for stem in stems))

    assert made.returncode == 0, made.stderr
    names = ["dash", "1st run (v1.2)", "it-s-q", "a-b-2", "a-b", "answers", "x", "\u00fcber", "n" * 90]
    told = [line.split(" is the contestant ") for line in made.stdout.splitlines() if " is the contestant " in line]
    renamed = [(stem, name) for stem, name in zip(stems, names, strict=True) if stem != name]
    assert told == [[f"{stem}.jsonl", name] for stem, name in renamed]
    assert "    cd 'an exam/mine'\n" in made.stdout
    checked = sciexam("check", "an exam/mine/suites/mine.yaml")
    assert checked.returncode == 0, checked.stderr
    assert all(f"{name}: 1 of 1 prompts have an answer" in checked.stdout for name in names)


def test_a_suite_around_files_of_answers_compares_them_as_they_were_compared_without(
    sciexam: Cli, tmp_path: Path
) -> None:
    """Names that YAML or a template would read as something else stay names; a question may have several lines."""
    for name, text in (("null", "Because."), ("my NAME", "It floats because ice is light. For example, a cube.")):
        lines = [{"prompt": f"Why does\nthing {i} float?", "text": f"{text} {i}"} for i in range(3)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    files = ["null.jsonl", "my NAME.jsonl"]
    assert refused(sciexam("init", "exams", "nul.jsonl")).startswith("nul.jsonl: no such file of answers")
    made = sciexam("init", "exams", *files)
    assert made.returncode == 0, made.stderr
    assert "    sciexam compare null 'my NAME' --suite exams" in made.stdout.splitlines()
    checked = sciexam("check", "exams", cwd=tmp_path / "exams")
    assert checked.stdout.endswith("nothing is wrong\n"), checked.stderr
    compared = sciexam("compare", "null", "my NAME", "--suite", "exams", "--json", cwd=tmp_path / "exams")
    alone = sciexam("compare", *files, "--json")
    of_suite, of_files = (json.loads(one.stdout) for one in (compared, alone))
    assert of_suite["pairs"][0]["win_rate"] == of_files["pairs"][0]["win_rate"]
    assert of_suite["rubric"] == of_files["rubric"]


@pytest.mark.parametrize("name", ["2024", "1.5", "null", "true", "v1.2_b-c"])
def test_a_name_that_yaml_would_read_as_something_else_stays_a_name(sciexam: Cli, tmp_path: Path, name: str) -> None:
    assert sciexam("init", name).returncode == 0
    assert sciexam("check", name, cwd=tmp_path / name).returncode == 0
    assert sciexam("rubric", "new", f"{name}-2").returncode == 0
    assert sciexam("rubric", "check", f"{name}-2").returncode == 0


def test_init_overwrites_nothing_and_writes_nothing_beside_it(sciexam: Cli, tmp_path: Path) -> None:
    mine = tmp_path / "exams" / "suites" / "exams.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    assert refused(sciexam("init", "exams")) == "exams/suites/exams.yaml is there already; nothing was written"
    assert [path for path in (tmp_path / "exams").rglob("*") if path.is_file()] == [mine]
    assert mine.read_text() == "mine"


@pytest.mark.parametrize("name", ["..", "a b", "-x", "a;b", "*"])
def test_a_name_that_could_be_a_path_or_an_option_is_refused(sciexam: Cli, tmp_path: Path, name: str) -> None:
    assert "cannot be a name: letters, digits" in refused(sciexam("init", "--", name))
    assert "cannot be a name: letters, digits" in refused(sciexam("rubric", "new", "--", f"x/{name}"))
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- rubrics


def test_a_new_rubric_can_be_checked_and_shown(sciexam: Cli, tmp_path: Path) -> None:
    assert sciexam("rubric", "new", "mine").returncode == 0
    assert "is there already" in refused(sciexam("rubric", "new", "mine"))
    checked = sciexam("rubric", "check", "mine")
    assert checked.stdout == "mine: 2 criteria, 6 levels, 2 text measures\nnothing is wrong\n"
    assert "structure (67% of the whole): Does it go from claim" in sciexam("rubric", "show", "mine").stdout


def test_every_fault_of_a_rubric_is_printed_with_its_line(sciexam: Cli, tmp_path: Path) -> None:
    criteria = "  - {nam: a, question: b}\n  - {name: b, question: c, weight: no}\n"
    (tmp_path / "r.yaml").write_text(f"rubric: r\ncriteria:\n{criteria}")
    assert refused(sciexam("rubric", "check", "r.yaml")).splitlines() == [
        "r.yaml:3: criteria.0.name: this key is missing",
        "r.yaml:3: criteria.0.nam: unknown key; did you mean 'name'?",
        "r.yaml:4: criteria.1.weight: input should be a valid number, unable to parse string as a number, not 'no'",
    ]


def test_a_measure_that_does_not_exist_is_refused_by_name(sciexam: Cli, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("rubric: r\ncriteria:\n  - {name: a, question: b, measure: structre}\n")
    assert "structre" in refused(sciexam("rubric", "check", "r.yaml"))


def test_escape_codes_of_a_file_never_reach_the_terminal(sciexam: Cli, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(
        'rubric: "r\\e[2J"\nabout: "\\e]0;title\\a"\ncriteria: [{name: a, question: "b\\e[31m"}]\n'
    )
    (tmp_path / "q.jsonl").write_text('{"id": "q", "text": "?"}\n')
    (tmp_path / "a.jsonl").write_text('{"prompt": "q", "text": "a"}\n{"prompt": "\\u001b[2J\\ud800", "text": "a"}\n')
    (tmp_path / "s.yaml").write_text(
        'suite: s\nprompts: q.jsonl\nrubric: r.yaml\nmodels: {"m\\e[2J": {responses: a.jsonl}}\n'
        'contestants: ["m\\e[2J"]\njudges: {j: {backend: scripted, rules: [{say: A}]}}\n'
    )
    runs = [sciexam("rubric", "show", "r.yaml"), sciexam("rubric", "check", "r.yaml"), sciexam("check", "s.yaml")]
    assert [run.returncode for run in runs] == [0, 0, 2]
    assert not [run.args for run in runs if "\x1b" in run.stdout + run.stderr or "\x07" in run.stdout + run.stderr]


# ---------------------------------------------------------------- check


def test_check_prints_what_is_good_and_then_every_fault(sciexam: Cli, tmp_path: Path) -> None:
    assert sciexam("init", "exams").returncode == 0
    folder = tmp_path / "exams"
    with (folder / "suites" / "exams" / "old.jsonl").open("a") as file:
        file.write('{"prompt": "q7", "text": "x"}\n')
    (folder / "suites" / "exams" / "new.jsonl").write_text('{"prompt": "q1", "text": "x')
    done = sciexam("check", "exams", cwd=folder)
    assert done.returncode == 2
    assert "nothing is wrong" not in done.stdout
    assert "old: 3 of 3 prompts have an answer" in done.stdout
    faults = [line.split("suites/exams/")[1] for line in done.stderr.splitlines()]
    assert faults == [
        "old.jsonl: 1 answers match no prompt: 'q7'",
        "new.jsonl:1: the line ends in the middle of its JSON; was the file cut off?",
    ]


def test_the_default_suite_is_found_from_anywhere(sciexam: Cli) -> None:
    done = sciexam("check")
    assert done.returncode == 0, done.stderr
    shipped, counted, *_ = done.stdout.splitlines()
    assert shipped.startswith("suite science, the shipped one")
    assert counted == "100 prompts in 8 categories; rubric 'science-explanation'"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "scince"], "suite 'scince': no such suite; did you mean 'science'?"),
        (["check", "a" * 300], "no such suite; known: "),
        (["rubric", "check", "helpfulnes"], "rubric 'helpfulnes': no such rubric; did you mean 'helpfulness'?"),
        (["rubric", "show", "nowhere.yaml"], "nowhere.yaml: no such file"),
        (["schema", "suit"], "'suit' is not one of 'suite', 'rubric'"),
        (["schema"], "(see `sciexam schema --help`)"),
        (["init"], "(see `sciexam init --help`)"),
        (["compar"], "No such command 'compar'"),
        (["check", "--suit", "x"], "No such option: --suit"),
        (["compare", "base"], "a comparison needs two contestants, and only 'base' is named"),
        (["compare", "base", "base"], "a contestant is named twice"),
        (["compare", "base", "stf"], "'stf' is not a model of suite 'science'; did you mean 'sft'?"),
        (["compare", "base", "sft", "--suite", "scince"], "did you mean 'science'?"),
        (["compare", "base", "sft", "--judge", "measure"], "not a judge of suite 'science'; did you mean 'measures'?"),
        (["compare", "base", "sft", "--judge", "v.jsonl"], "v.jsonl: no such file of verdicts"),
        (["compare", "base", "sft", "--rubric", "helpful"], "no such rubric; did you mean 'helpfulness'?"),
        (["compare", "base", "sft", "--prompts", "p.jsonl"], "--prompts goes with files of answers alone"),
        (["compare", "base", "sft", "--orders", "all"], "'all' is not one of 'both', 'one'"),
        (["compare", "base", "sft", "--policy", "median"], "'median' is not one of 'mean', 'conservative'"),
        (["compare", "base", "sft", "--limit", "0"], "--limit: 1 or more prompts, not 0"),
        (["compare", "base", "sft", "--limit", "many"], "'--limit': Input should be a valid integer"),
        (["compare", "base", "sft", "--margin", "0.9"], "--margin: a difference of win rates between 0 and 0.5"),
        (["compare", "base", "sft", "--by", "nosuch"], "no prompt has this field; known: category, group, level"),
        (["compare", "old.jsonl", "new.jsonl"], "old.jsonl: no such file of answers"),
        (["report", "nosuch"], "results/ledger.sqlite: no ledger there; run `sciexam compare` first, go to the folder"),
    ],
)
def test_bad_input_is_refused_with_exit_2_and_what_to_type_instead(
    sciexam: Cli, arguments: list[str], message: str
) -> None:
    assert message in refused(sciexam(*arguments))


def test_a_faulty_file_of_answers_is_refused_by_compare_with_its_line(sciexam: Cli, tmp_path: Path) -> None:
    (tmp_path / "old.jsonl").write_text('{"prompt": "Why?", "text": "a"}\n\n{"prompt": "Why?", "text": "b"}\n')
    (tmp_path / "new.jsonl").write_text('{"prompt": "Why?", "text": "a"}\n')
    message = refused(sciexam("compare", "old.jsonl", "new.jsonl"))
    assert message.endswith('line 1; remove one of the two, or give it "sample": 1')
    assert message.startswith("old.jsonl:3: prompt: 'Why?' sample 0 was answered in")


def test_a_file_named_like_a_model_of_the_suite_is_refused(sciexam: Cli, tmp_path: Path) -> None:
    (tmp_path / "base.jsonl").write_text('{"prompt": "p001", "text": "a"}\n')
    message = refused(sciexam("compare", "base.jsonl", "sft", "--suite", "science"))
    assert message == "'base' is a model of the suite and the name of a file; rename the file"


def test_a_prompts_file_that_does_not_exist_is_refused_by_name(sciexam: Cli, tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / f"{name}.jsonl").write_text('{"prompt": "Why?", "text": "a"}\n')
    assert refused(sciexam("compare", "old.jsonl", "new.jsonl", "--prompts", "p.jsonl")) == "p.jsonl: no such file"


# ---------------------------------------------------------------- schemas


def loaded(kind: str, text: str) -> bool:
    """Whether sciexam's own loader takes the YAML file."""
    from pydantic import ValidationError

    try:
        (SuiteFile if kind == "suite" else Rubric).model_validate(parse_yaml(text, Path("x"))[0])
    except (ValidationError, DocumentError):
        return False
    return True


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    from sciexam.cli.author import Kind, _schema

    made = {kind.value: json.loads(_schema(kind)) for kind in Kind}
    for schema in made.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    return made


SHIPPED = [("rubric", path) for path in sorted((shipped() / "rubrics").glob("*.yaml"))] + [
    ("suite", path) for path in sorted((shipped() / "suites").glob("*.yaml"))
]
LINEAGE = """\
suite: s
prompts: p.jsonl
models:
  base: {weights: w, revision: abc}
  sft: {from: base, stage: sft, data: d.jsonl, lora: {r: 8}}
  rm: {from: sft, stage: reward, data: d.jsonl}
  rs: {from: sft, stage: best_of_n, prompts: t.jsonl, reward: rm, n: 8}
  gpt: {backend: openai, model: gpt-4, api_key_env: OPENAI_API_KEY}
  mine: {backend: "pkg.mod:Class", settings: {x: 1}}
  fake: {backend: scripted, rules: [{when: a, say: b}]}
  old: {responses: old.jsonl}
contestants: [base, sft]
judges:
  gpt: {backend: openai, model: gpt-4, template: reason, orders: both}
  votes: {backend: recorded, verdicts: v.jsonl}
prices: {gpt-4: {input: 1, output: 2.5}}
"""


@pytest.mark.parametrize(("kind", "path"), SHIPPED, ids=lambda value: getattr(value, "stem", value))
def test_the_schemas_take_the_shipped_files_and_refuse_an_unknown_key(
    schemas: dict[str, Any], kind: str, path: Path
) -> None:
    text = path.read_text(encoding="utf-8")
    for content, good in ((text, True), (text + "\nunknown: 1\n", False)):
        assert loaded(kind, content) is good
        valid = jsonschema.Draft202012Validator(schemas[kind]).is_valid(yaml.safe_load(content))
        assert valid is good


def test_the_schema_that_is_printed_is_the_one_that_init_writes(sciexam: Cli, tmp_path: Path) -> None:
    assert sciexam("init", "exams").returncode == 0
    for kind in ("suite", "rubric"):
        printed = sciexam("schema", kind).stdout
        assert printed == (tmp_path / "exams" / "schemas" / f"{kind}.json").read_text()
        written = (tmp_path / "exams" / f"{kind}s" / "exams.yaml").read_text()
        assert written.startswith(f"# yaml-language-server: $schema=../schemas/{kind}.json\n")
        jsonschema.validate(yaml.safe_load(written), json.loads(printed))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", ""),
        ("weights: w, ", ""),
        ("revision: abc", "revison: abc"),
        ("stage: sft", "stage: stf"),
        (", data: d.jsonl}", "}"),
        ("lora: {r: 8}", "lora: {r: 0}"),
        ("n: 8", "n: 1"),
        ("reward: rm, ", ""),
        ("model: gpt-4, api_key_env: OPENAI_API_KEY", "model: gpt-4, api_key: sk-123"),
        ("pkg.mod:Class", "pkg.mod"),
        ("say: b", "sy: b"),
        ("orders: both", "orders: all"),
        ("backend: recorded", "backend: recrded"),
        ("verdicts: v.jsonl", "verdict: v.jsonl"),
        ("output: 2.5", "output: -1"),
        ("prompts: p.jsonl\n", ""),
        ("contestants: [base, sft]", "contestants: []"),
        ("suite: s", "suite: a/b"),
        ("contestants:", "contestant: x\ncontestants:"),
    ],
)
def test_the_schema_and_the_loader_say_the_same_of_a_suite(schemas: dict[str, Any], old: str, new: str) -> None:
    assert old in LINEAGE
    text = LINEAGE.replace(old, new, 1)
    good = loaded("suite", text)
    assert good is (old == new)
    assert jsonschema.Draft202012Validator(schemas["suite"]).is_valid(yaml.safe_load(text)) is good
