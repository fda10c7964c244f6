"""A JSON list is read item by item, plain or gzipped, and never held as a whole."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import Cli
from sciexam.exchange import json_list as module
from sciexam.exchange.json_list import json_list

DECODER = json.JSONDecoder()
Values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def read(path: Path) -> tuple[list[tuple[int, Any]], list[tuple[int | None, str]]]:
    faults: list[tuple[int | None, str]] = []
    return list(json_list(path, DECODER, lambda line, what: faults.append((line, what)))), faults


@settings(max_examples=60)
@given(st.lists(st.dictionaries(st.text(), Values, max_size=4), max_size=6), st.integers(1, 9), st.booleans())
def test_whatever_the_pieces_are_the_items_and_their_lines_are_those_of_the_file(
    items: list[Any], piece: int, ascii: bool
) -> None:
    texts = [json.dumps(item, ensure_ascii=ascii, indent=1) for item in items]
    text = "\n[\n" + ",\n\n".join(texts) + "\n]\n"
    lines, line = [], 3
    for one in texts:
        lines.append(line)
        line += one.count("\n") + 2
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PIECE", piece)
        path = Path(folder) / "list.json"
        path.write_bytes(b"\xef\xbb\xbf" + text.encode("utf-8", "surrogatepass"))
        if any("\ud800" <= one <= "\udfff" for one in text):
            return
        assert read(path) == (list(zip(lines, items, strict=True)), [])


FAULTS = {
    "cut in an item": ('[\n{"a": 1},\n{"a": "b', [(3, "the list ends in the middle; was the file cut off?")]),
    "cut between items": ('[\n{"a": 1}\n', [(3, "the list ends in the middle; was the file cut off?")]),
    "no object": ('[1, {"a": 1}]', [(1, "each item of the list must be an object {...}, this is a number")]),
    "a comma at the end": ('[{"a": 1},\n]', []),
    "something after": ("[]\n[]", [(1, "something stands after the end of the list")]),
    "not JSON": ('[{"a": 1},\n{"b"; 2}]', [(2, "not JSON: expecting ':' delimiter")]),
    "nested": ("[" + "[" * 200_000, [(1, "nested too deep")]),
}


@pytest.mark.parametrize(("text", "told"), FAULTS.values(), ids=FAULTS)
def test_what_is_wrong_is_told_with_its_line(text: str, told: list[Any], tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text(text)
    assert read(path)[1] == told


def test_bytes_that_are_no_text_are_told_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_bytes(b'[\n{"a": 1},\n{"a": "\xff"}]')
    assert read(path)[1] == [(3, "not UTF-8 (byte 0xff); save the file as UTF-8")]


BOMBS = {
    "an item": (b'[{"a": "' + b"x" * 40_000_000, "an item of more than 16,000,000 bytes"),
    "blanks": (b"[" + b" " * 40_000_000, "more than 16,000,000 blanks in a row"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("content", "told"), BOMBS.values(), ids=BOMBS)
def test_a_bomb_ends_in_a_sentence(sciexam: Cli, content: bytes, told: str, tmp_path: Path) -> None:
    (path := tmp_path / "bomb.json.gz").write_bytes(gzip.compress(content))
    assert path.stat().st_size < 100_000
    done = sciexam("import", "pandalm", str(path), "--out", "out")
    assert done.returncode == 2
    assert told in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "content", ["[" + '{"a": "b"},' * 4_000_000, '[{"a": "' + "x" * 300_000_000], ids=["many", "long"]
)
def test_what_is_read_is_not_held(content: str, tmp_path: Path) -> None:
    (path := tmp_path / "large.json.gz").write_bytes(gzip.compress(content.encode(), 1))
    code = (
        "import pathlib, json, re, sys; from sciexam.exchange.json_list import json_list\n"
        "for one in json_list(pathlib.Path(sys.argv[1]), json.JSONDecoder(), lambda line, what: print(what)): pass\n"
        "print(re.search(r'VmHWM:\\s*(\\d+)', pathlib.Path('/proc/self/status').read_text())[1])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[-1]) < 200_000, "kilobytes"
