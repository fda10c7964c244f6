"""Answers hold a NUL, half a character, marks that turn the direction of reading, and escape codes of a terminal."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from conftest import Cli, answers, write_jsonl, write_suite
from postgres import SLOWLY, place
from rows import Tally
from sciexam.store import Store
from sciexam.store.tables import decode

ODD = [
    "a NUL \0 in it",
    "half \ud800 a character",
    "the other \udfff half",
    "read \u202egnp.exe backwards \u2066 and more",
    "\x1b[31mred\x1b[0m \x1b]0;a title\x07 and a bell",
    "\x9b31m in one byte \x85 \u2028 \u2029",
    "zero\u200bwidth \ufeff",
    "\x08\x08\x08 rubbed out \x7f\r over the line",
]
# What ends a line, turns its direction, or is read by a terminal instead of being shown.
ACTING = {chr(code) for code in (*range(32), 0x7F, *range(0x80, 0xA0))} - set("\n\t") | set("\u202e\u2066\u2028\u2029")


def exam(folder: Path) -> str:
    write_jsonl(folder / "odd.jsonl", [{"prompt": f"q{i}", "text": text} for i, text in enumerate(ODD)])
    models = {
        "odd": {"responses": "odd.jsonl"},
        "plain": {"responses": answers(folder, "plain", [f"Because of {i}, I think." for i in range(len(ODD))])},
    }
    return str(write_suite(folder, len(ODD), models))


@pytest.fixture(params=SLOWLY)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return place(request, tmp_path)


def test_what_was_answered_is_stored_as_it_was_and_half_a_character_alone_is_exported_as_a_sign(
    tmp_path: Path, sciexam: Cli, store: str, tally: Tally
) -> None:
    suite, where = exam(tmp_path), ("--store", store)
    done = sciexam("compare", "--suite", suite, "--judge", "measures", *where, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["pairs"][0]["used"] == len(ODD)
    with Store(store) as ledger, ledger.database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT t.body FROM replies r JOIN texts t ON t.id = r.text")
        kept = {decode(bytes(body)) for (body,) in rows}
    out = sciexam("export", "responses", "odd", "--suite", suite, *where, "-o", "out.jsonl")
    assert out.returncode == 0, out.stderr
    written = (tmp_path / "out.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    exported = {row["prompt"]: row["text"] for row in map(json.loads, written)}
    lost = len(set(ODD) - kept)
    assert lost == 0
    assert exported == {f"q{i}": re.sub("[\ud800-\udfff]", "\ufffd", text) for i, text in enumerate(ODD)}
    tally(len(ODD), lost)


def test_the_page_and_the_terminal_show_signs_in_their_place(tmp_path: Path, sciexam: Cli, tally: Tally) -> None:
    suite = exam(tmp_path)
    done = sciexam("compare", "--suite", suite, "--judge", "measures")
    (page,) = (tmp_path / "results").rglob("report.html")
    text = page.read_text(encoding="utf-8")
    for shown in (text, (page.parent / "report.md").read_text(encoding="utf-8"), done.stdout, done.stderr):
        assert not ACTING & set(shown)
    for sign in ("a NUL ␀ in it", "read [U+202E]gnp.exe", "␛[31mred␛[0m"):
        assert sign in text
    tally(len(ODD))
