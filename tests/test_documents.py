"""YAML and JSON Lines are read as data, every fault names its line, digests are canonical, writes are whole."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
import time
import tracemalloc
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from sciexam import documents
from sciexam import lines as line_reading
from sciexam.digests import digest, file_digest
from sciexam.documents import locate, parse_line, parse_yaml, read_jsonl, read_yaml
from sciexam.errors import MAX_FAULTS, DocumentError, UsageError
from sciexam.files import write_atomically
from sciexam.types import Record

HERE = Path("x.yaml")


class Part(Record):
    name: str
    size: float = 1.0


class Whole(Record):
    title: str
    count: int = 0
    parts: tuple[Part, ...] = ()
    named: dict[str, Part] = Field(default_factory=dict)


def yaml_value(text: str) -> Any:
    return parse_yaml(text, HERE)[0]


def yaml_fault(text: str) -> str:
    with pytest.raises(DocumentError) as caught:
        parse_yaml(text, HERE)
    return str(caught.value)


def whole(folder: Path, content: str | bytes) -> Whole:
    path = folder / "whole.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_yaml(path, Whole).value


def whole_faults(folder: Path, content: str | bytes) -> list[str]:
    """The faults of a YAML file read as Whole, from the file's name on."""
    with pytest.raises(DocumentError) as caught:
        whole(folder, content)
    return [fault.removeprefix(f"{folder}{os.sep}") for fault in caught.value.faults]


# ---------------------------------------------------------------- YAML is data


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("010", "010"),
        ("-010", "-010"),
        ("12:30:45", "12:30:45"),
        ("2024-01-01", "2024-01-01"),
        ("0x1F", "0x1F"),
        ("0o17", "0o17"),
        ("1_000", "1_000"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("1e999", "1e999"),
        ("'1'", "1"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("10", 10),
        ("+1", 1),
        ("-0.5", -0.5),
        ("1e3", 1000.0),
        ("9" * 18, 10**18 - 1),
    ],
)
def test_only_the_plain_words_of_yaml_1_2_change_their_type(word: str, value: object) -> None:
    read = yaml_value(f"key: {word}\n")["key"]
    assert read == value
    assert type(read) is type(value)


def test_a_merge_key_is_a_key_like_any_other() -> None:
    assert yaml_value("<<: {a: 1}\n") == {"<<": {"a": 1}}


def test_a_bom_and_windows_line_ends_change_nothing(tmp_path: Path) -> None:
    plain = "title: a\nparts:\n  - {name: b}\n"
    windows = b"\xef\xbb\xbf" + plain.replace("\n", "\r\n").encode()
    assert whole(tmp_path, windows) == whole(tmp_path, plain)


def test_latin_1_is_refused_with_its_line_and_the_byte(tmp_path: Path) -> None:
    content = "count: 1\ntitle: café\n".encode("latin-1")
    assert whole_faults(tmp_path, content) == ["whole.yaml:2: not UTF-8 (byte 0xe9); save the file as UTF-8"]


def test_a_huge_file_is_refused_without_being_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "whole.yaml"
    with path.open("wb") as file:
        file.truncate(300_000_000)
    tracemalloc.start()
    with pytest.raises(DocumentError, match=r"whole\.yaml: larger than 4,000,000 bytes"):
        read_yaml(path, Whole)
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("what", ["missing", "folder"])
def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path, what: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match=rf"{what}: (no such file or directory|is a directory)"):
        read_yaml(tmp_path / what, Whole)


# ---------------------------------------------------------------- faults of a record


def test_all_faults_of_a_file_come_at_once_each_with_its_line_and_key(tmp_path: Path) -> None:
    content = (
        "titel: x\ncount: many\nparts:\n  - name: a\n    sise: 2\n  - size: 3\nnamed:\n  b: {name: c, size: big}\n"
    )
    assert whole_faults(tmp_path, content) == [
        "whole.yaml:1: title: this key is missing",
        "whole.yaml:2: count: input should be a valid integer, unable to parse string as an integer, not 'many'",
        "whole.yaml:5: parts.0.sise: unknown key; did you mean 'size'?",
        "whole.yaml:6: parts.1.name: this key is missing",
        "whole.yaml:8: named.b.size: input should be a valid number, unable to parse string as a number, not 'big'",
        "whole.yaml:1: titel: unknown key; did you mean 'title'?",
    ]


def test_a_key_far_from_every_known_one_gets_them_all(tmp_path: Path) -> None:
    assert whole_faults(tmp_path, "title: a\nzzz: 1\n") == [
        "whole.yaml:2: zzz: unknown key; known: count, named, parts, title"
    ]


@pytest.mark.parametrize(
    ("content", "kind"), [("", "null"), ("- a\n", "a list"), ("word\n", "a string"), ("5\n", "a number")]
)
def test_a_file_that_is_no_mapping_says_what_it_is(tmp_path: Path, content: str, kind: str) -> None:
    assert whole_faults(tmp_path, content) == [f"whole.yaml:1: must have keys of its own (key: value), this is {kind}"]


def test_an_api_key_is_refused_without_being_shown_and_the_variable_is_asked_for(tmp_path: Path) -> None:
    (fault,) = whole_faults(tmp_path, "title: a\nparts:\n  - {name: b, api_key: sk-1234567890}\n")
    assert fault == (
        "whole.yaml:3: parts.0.api_key: keys are never written in files; "
        "name the environment variable that holds it: api_key_env: NAME"
    )


@pytest.mark.parametrize("size", ["inf", "nan", "1e999", "'-inf'"])
def test_a_number_that_is_not_finite_is_refused(tmp_path: Path, size: str) -> None:
    (fault,) = whole_faults(tmp_path, f"title: a\nparts: [{{name: b, size: {size}}}]\n")
    assert fault.startswith("whole.yaml:2: parts.0.size: input should be a finite number")


def test_many_faults_are_cut_off_with_their_number(tmp_path: Path) -> None:
    with pytest.raises(DocumentError) as caught:
        whole(tmp_path, "title: a\n" + "".join(f"k{i}: 1\n" for i in range(50)))
    shown = str(caught.value).splitlines()
    assert len(caught.value.faults) == 50
    assert shown == [*caught.value.faults[:MAX_FAULTS], f"and {50 - MAX_FAULTS} more"]
    assert str(DocumentError(caught.value.faults[:MAX_FAULTS])).splitlines() == shown[:-1]


# ---------------------------------------------------------------- JSON Lines


def lines(folder: Path, content: str | bytes) -> list[tuple[int, dict[str, Any]]]:
    path = folder / "x.jsonl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_jsonl(path))


def line_fault(folder: Path, content: str | bytes) -> str:
    with pytest.raises(DocumentError) as caught:
        lines(folder, content)
    (fault,) = caught.value.faults
    return fault.removeprefix(f"{folder}{os.sep}")


def test_a_bom_windows_line_ends_and_blank_lines_are_passed_over_and_still_counted(tmp_path: Path) -> None:
    content = b'\xef\xbb\xbf{"a": 1}\r\n\r\n   \n{"a": "\xe2\x80\xa8"}'
    assert lines(tmp_path, content) == [(1, {"a": 1}), (4, {"a": "\u2028"})]


def test_a_truncated_last_line_is_named_and_said_to_end_in_the_middle(tmp_path: Path) -> None:
    assert line_fault(tmp_path, '{"a": 1}\n{"a": "x') == (
        "x.jsonl:2: the line ends in the middle of its JSON; was the file cut off?"
    )


WITH_EVERYTHING = '{"k": [true, false, null, -1.5e-7, 2.5E+1, "a\\u00e9\\n\\"b", {"x": {}}], "z": "q\\ud83d\\ude00"}'


@pytest.mark.parametrize("length", range(1, len(WITH_EVERYTHING)))
def test_a_line_cut_anywhere_is_said_to_end_in_the_middle(tmp_path: Path, length: int) -> None:
    assert line_fault(tmp_path, WITH_EVERYTHING[:length]).endswith("was the file cut off?")


def test_a_cut_through_a_character_is_no_question_of_encoding(tmp_path: Path) -> None:
    assert line_fault(tmp_path, '{"a": 1}\n{"a": "é'.encode()[:-1]) == (
        "x.jsonl:2: the file ends in the middle of a character; was it cut off?"
    )


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b'{"a": 1},', "not JSON: column 9: a comma after the brace?"),
        (b'{"a": 1}}', "not JSON: column 9: extra data"),
        (b'{"a": 1}{"b": 2}', "not JSON: column 9: extra data"),
        (b"{'a': 1}", "not JSON: "),
        (b'{"a": NaN}', "not JSON: NaN is not a JSON number"),
        (b'{"a": -Infinity}', "not JSON: -Infinity is not a JSON number"),
        (b'{"a": 1e999}', "not JSON: 1e999 is too large for a number"),
        (b"[1]", "each line must be an object {...}, this is a list"),
        (b"null", "each line must be an object {...}, this is null"),
        (b'"a"', "each line must be an object {...}, this is a string"),
        (b"true", "each line must be an object {...}, this is a boolean"),
        (b"5", "each line must be an object {...}, this is a number"),
        pytest.param(b"[" * 100_000, "nested too deep", id="deep list"),
        pytest.param(b'{"a":' * 100_000, "nested too deep", id="deep object"),
        ('{"a": "café"}'.encode("latin-1"), "not UTF-8 (byte 0xe9); save the file as UTF-8"),
        (b"\xff\xfe{\x00", "not UTF-8 (byte 0xff); save the file as UTF-8"),
    ],
)
def test_a_faulty_line_is_named_with_what_is_wrong(tmp_path: Path, line: bytes, what: str) -> None:
    assert line_fault(tmp_path, b'{"a": 0}\n\n' + line + b"\n").startswith(f"x.jsonl:3: {what}")


def test_an_over_long_line_is_refused_before_it_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    with path.open("wb") as file:
        file.write(b'{"a": 0}\n')
        file.truncate(300_000_000)
    tracemalloc.start()
    with pytest.raises(DocumentError, match=r"x\.jsonl:2: a line of more than 16,000,000 bytes"):
        list(read_jsonl(path))
    assert tracemalloc.get_traced_memory()[1] < 60_000_000
    tracemalloc.stop()


def test_a_line_of_the_longest_length_is_read_and_one_byte_more_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_reading, "MAX_LINE_BYTES", 10)
    assert lines(tmp_path, b'{"a": 12}\n{"b": 12}\n') == [(1, {"a": 12}), (2, {"b": 12})]
    assert line_fault(tmp_path, b'{"a": 12}\n{"b": 123}\n') == "x.jsonl:2: a line of more than 10 bytes"


def test_a_faulty_object_names_the_file_the_line_and_every_key() -> None:
    with pytest.raises(DocumentError) as caught:
        parse_line(Part, {"nam": "a", "size": "big"}, Path("p.jsonl"), 7)
    assert caught.value.faults == (
        "p.jsonl:7: name: this key is missing",
        "p.jsonl:7: size: input should be a valid number, unable to parse string as a number, not 'big'",
        "p.jsonl:7: nam: unknown key; did you mean 'name'?",
    )


# ---------------------------------------------------------------- digests

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


def test_the_digest_of_a_known_value_is_the_sha_256_of_its_canonical_json() -> None:
    # printf '{"a":[1,"\\u00e9"],"b":null}' | sha256sum
    expected = "e6ad993c7a569e941cdd65aa57c817cb74d20d9877b15dfc8cc0ac151c74785d"
    assert digest({"b": None, "a": (1, "é")}) == expected


@given(st.dictionaries(st.text(max_size=4), plain, max_size=5), st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(value: dict[str, Any], rng: random.Random) -> None:
    items = list(value.items())
    rng.shuffle(items)
    assert digest(dict(items)) == digest(value)


@given(st.lists(plain, max_size=4))
def test_a_tuple_is_the_list_of_its_items(items: list[Any]) -> None:
    assert digest(tuple(items)) == digest(items)


@given(plain, plain)
def test_two_values_have_one_digest_only_if_they_are_one_json(a: Any, b: Any) -> None:
    same = json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)
    assert (digest(a) == digest(b)) is same


def test_records_dataclasses_and_paths_are_what_they_hold() -> None:
    @dataclass
    class Point:
        x: int
        where: Path

    assert digest(Part(name="a", size=2)) == digest({"name": "a", "size": 2.0})
    assert digest(Point(1, Path("b/c"))) == digest({"x": 1, "where": "b/c"})
    assert digest(Part(name="a")) != digest(Part(name="b"))


def test_a_lone_surrogate_has_a_digest_of_its_own() -> None:
    assert len({digest("\ud800"), digest("\ud801"), digest("?"), digest("\\ud800")}) == 4


def test_a_number_that_is_not_finite_has_no_digest() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest({"x": math.nan})


def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    # FIPS 180-4, the example of SHA-256 for "abc"
    assert file_digest(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


# ---------------------------------------------------------------- whole or not at all


def test_what_is_written_is_read_back_with_its_own_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "r.txt"
    write_atomically(path, "a\r\nb\né\ud800")
    assert path.read_bytes() == b"a\r\nb\n\xc3\xa9\xed\xa0\x80"
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("step", ["fsync", "chmod", "replace"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "r.txt"
    write_atomically(path, "old")

    def broken(*_: object) -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(os, step, broken)
    with pytest.raises(OSError, match="no space"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["r.txt"]


ENDLESS = """
import sys
from pathlib import Path
from sciexam.files import write_atomically
round = 0
while True:
    write_atomically(Path(sys.argv[1]), (str(round % 10) * 400_000) + "END")
    round += 1
    print(round, flush=True)
"""


def test_a_kill_at_any_moment_leaves_one_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    rng = random.Random(5)
    for _ in range(20):
        child = subprocess.Popen([sys.executable, "-c", ENDLESS, str(path)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()  # it writes by now
        time.sleep(rng.uniform(0, 0.03))
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        text = path.read_text()
        assert len(text) == 400_003
        assert text.endswith("END")
        assert len(set(text[:-3])) == 1


def test_what_a_kill_left_behind_is_swept_by_the_next_write(tmp_path: Path) -> None:
    old, others = tmp_path / ".r.txt.abc.tmp", tmp_path / ".other.txt.abc.tmp"
    for file in (old, others):
        file.write_text("half")
    write_atomically(tmp_path / "r.txt", "new")
    assert sorted(os.listdir(tmp_path)) == [".other.txt.abc.tmp", "r.txt"]


TWO_HUNDRED = """
import sys
from pathlib import Path
from sciexam.files import write_atomically
for _ in range(200):
    write_atomically(Path(sys.argv[1]), "x" * 2000)
"""


def test_two_processes_write_one_file_without_sweeping_each_other_away(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TWO_HUNDRED, str(tmp_path / "r.txt")]
    children = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [child.communicate(timeout=60)[1] for child in children] == ["", ""]
    assert os.listdir(tmp_path) == ["r.txt"]


# ---------------------------------------------------------------- where shipped data lies


def test_a_file_in_the_working_directory_wins_over_the_shipped_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert locate("suites", "science") == documents.shipped() / "suites" / "science.yaml"
    mine = tmp_path / "suites" / "science.yaml"
    write_atomically(mine, "suite: science\n")
    assert locate("suites", "science").resolve() == mine
    assert locate("suites", "suites/science.yaml").resolve() == mine


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("suites", "scince", "suite 'scince': no such suite; did you mean 'science'?"),
        ("rubrics", "helpfullness", "rubric 'helpfullness': no such rubric; did you mean 'helpfulness'?"),
        ("rubrics", "zzz", "rubric 'zzz': no such rubric; known: helpfulness, science-explanation, self-rewarding"),
        ("suites", "nowhere/x.yaml", "nowhere/x.yaml: no such file"),
        ("suites", "../science", "../science: no such file"),
        ("suites", "x.yml", "x.yml: no such file"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_known_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, name: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        locate(kind, name)
    assert str(caught.value) == message


@pytest.mark.parametrize("name", ["imported", "./imported", "imported/"])
def test_the_folder_of_a_suite_is_refused_with_the_file_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "imported").mkdir()
    (tmp_path / "imported" / "suite.yaml").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        locate("suites", name)
    assert str(caught.value) == f"{name} is a folder; name the file in it: imported/suite.yaml"


def test_a_name_too_long_for_the_file_system_is_unknown_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"no such suite; known: .*science"):
        locate("suites", "a" * 5000)
