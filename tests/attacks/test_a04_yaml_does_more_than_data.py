"""YAML with tags, aliases, a bomb of aliases, twenty thousand levels, a hundred megabytes, or any text at all."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import COMMAND, Cli, answers, clean_environment, write_suite
from rows import Tally
from sciexam.documents import parse_yaml
from sciexam.errors import DocumentError

HERE = Path("x.yaml")
# Runs a command, and says how it ended and how much memory it had: of a child of this small process, not of pytest's.
MEASURED = """
import resource, subprocess, sys
print(subprocess.run(sys.argv[1:]).returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
BOMB = "\n".join(["a0: &a0 [lol, lol]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)])


def yaml_fault(text: str) -> str:
    with pytest.raises(DocumentError) as caught:
        parse_yaml(text, HERE)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: 1\nb: 2\na: 3\n", "x.yaml:3: a: this key stands here twice"),
        ("x:\n  a: 1\n  'a': 2\n", "x.yaml:3: a: this key stands here twice"),
        (
            "a: !!python/object/apply:os.system [id]\n",
            "x.yaml:1: tags (tag:yaml.org,2002:python/object/apply:os.system) are not allowed here",
        ),
        ("a: 1\nb: !custom {c: 1}\n", "x.yaml:2: tags (!custom) are not allowed here"),
        ("a: &x 1\nb: *x\n", "x.yaml:1: anchors (&x) are not allowed here"),
        ("a: 1\nb: *x\n", "x.yaml:2: aliases (*name) are not allowed here; write the value out"),
        ("a: 1\n---\nb: 2\n", "x.yaml:2: one document a file: a second '---' starts here"),
        ("? [a]\n: b\n", "x.yaml:1: a key must be a word"),
        ("true: 1\n", "x.yaml:1: a key must be a word"),
        ("é: ü\nx: \x07 bell\n", "x.yaml:2: not YAML: control characters are not allowed"),
        ("éééé: é\n\n\n\nx: '\x1b[2J'\n", "x.yaml:5: not YAML: control characters are not allowed"),
        ("a: 1\n\tb: 2\n", "x.yaml:2: found a tab character that violates indentation"),
        ("a: b: c\n", "x.yaml:1: mapping values are not allowed in this context"),
    ],
)
def test_what_yaml_can_do_beyond_data_is_refused_with_its_line(text: str, fault: str) -> None:
    assert yaml_fault(text) == fault


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_twenty_thousand_levels_are_refused_at_once(opening: str) -> None:
    started = time.monotonic()
    assert "nested more than 60 deep" in yaml_fault(opening * 20_000)
    assert time.monotonic() - started < 2


def test_a_bomb_of_aliases_is_refused_before_it_is_built() -> None:
    assert yaml_fault(BOMB) == "x.yaml:1: anchors (&a0) are not allowed here"


def test_any_text_is_a_value_or_a_fault_with_its_file(tally: Tally) -> None:
    @settings(max_examples=1_000)
    @given(st.text(alphabet=st.sampled_from("ab:-[]{}\n \t'\"#&*!|>?%@,~\x00\x07é\u2028"), max_size=60))
    def read(text: str) -> None:
        fault = ""
        try:
            parse_yaml(text, HERE)
        except DocumentError as error:
            fault = str(error)
        assert not fault or re.match(r"x\.yaml:\d+: ", fault)

    read()
    tally(1_000)


def rubric_of(folder: Path, text: str) -> str:
    """A suite whose rubric file holds `text`; returns the name of the suite's file."""
    (folder / "rubric.yaml").write_text(text, encoding="utf-8")
    models = {name: {"responses": answers(folder, name, ["It is so."])} for name in ("base", "sft")}
    return write_suite(folder, 1, models, rubric="rubric.yaml").name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rubric: !!python/object/apply:os.system ['touch pwned']\n", r":1: tags \(.*os\.system\) are not allowed"),
        ("rubric: !!python/name:os.system\n", r":1: tags \(.*\) are not allowed"),
        ("rubric: a\nabout: !function module.run\n", r":2: tags \(!function\) are not allowed"),
        ("rubric: a\nabout: !include /etc/passwd\n", r":2: tags \(!include\) are not allowed"),
        (BOMB, r":1: anchors \(&a0\) are not allowed"),
        ("rubric: a\nrubric: b\n", r":2: rubric: this key stands here twice"),
    ],
    ids=["apply", "name", "function", "include", "bomb", "twice"],
)
@pytest.mark.parametrize("where", ["exam.yaml", "rubric.yaml"])
def test_the_command_refuses_a_file_that_is_more_than_data_with_its_line(
    text: str, said: str, where: str, sciexam: Cli, tmp_path: Path
) -> None:
    rubric_of(tmp_path, "rubric: plain\n")
    (tmp_path / where).write_text(text, encoding="utf-8")
    done = sciexam("check", "exam.yaml")
    assert done.returncode == 2
    assert re.search(f"{re.escape(where)}{said}", done.stderr), done.stderr
    assert "root:" not in done.stderr
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "rubric.yaml:1: anchors (&a0) are not allowed here"),
        ("a: " + "[" * 20_000, "rubric.yaml:1: nested more than 60 deep"),
        ("rubric: " + "x" * 100_000_000, "rubric.yaml: larger than 4,000,000 bytes"),
    ],
    ids=["bomb", "deep", "huge"],
)
def test_a_hostile_file_costs_the_command_no_memory(text: str, said: str, tmp_path: Path) -> None:
    """The whole command, its libraries included, stays below 200 MB."""
    command = [sys.executable, "-S", "-c", MEASURED, str(COMMAND), "check", rubric_of(tmp_path, text)]
    done = subprocess.run(command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=60)
    code, kilobytes = map(int, done.stdout.split()[-2:])
    assert code == 2
    assert said in done.stderr
    assert kilobytes < 200_000
