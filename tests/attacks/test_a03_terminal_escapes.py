"""Escape codes, titles, links, the clipboard, carriage returns and lines like a shell's prompt, on a real terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import answers, clean_environment, write_jsonl, write_suite
from endpoint import Endpoint
from forked import Commands
from rows import Tally
from sciexam.report.plain_text import one_line, plain_text

ESCAPES = (
    *(
        "\x1b[2J\x1b[HERASED",
        "\x1b]0;TITLE\x07",
        "\x1b]8;;https://evil.example/\x1b\\LINK\x1b]8;;\x1b\\",
        "\x9b31mC1",
        "\x1bcRESET",
    ),
    *(
        "\x1b]52;c;cm0gLXJmIC8=\x07CLIPBOARD",
        "\x1b[6nREPORT",
        "\x1bP+q544e\x1b\\DCS",
        "\x1b[?1049hALTERNATE",
        "\x1b[1ALINE-UP",
    ),
    *(
        "OVER\rWRITTEN",
        "BACK\x08\x08\x08SPACE",
        "\nuser@host:~$ rm -rf /",
        "\r\nroot@host:/# reboot",
        "\u202eBIDI",
        "NUL\x00",
    ),
    *(
        "\x7fDELETE",
        "\x85user@host:~$ NEXT-LINE",
        "\u2028user@host:~$ SEPARATOR",
        "[bold red]MARKUP[/]",
        "[link=https://evil.example/]x[/link]",
    ),
)
ALL = " ".join(ESCAPES)
# What is written by the libraries that draw tables and bars: colours, a hidden cursor, a line that is drawn anew.
OURS = re.compile(
    r"\x1b\[(\d+(;\d+)*)?m|\x1b\[\?25[lh]|\x1b\[2K|\x1b\[1A|\r(?=\n)|\r(?=\x1b\[2K)|\r(?=\x1b\[1A)|\r(?=sciexam: )"
)
ACTIVE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029]")

Shown = Callable[..., str]


@pytest.fixture
def shown(commands: Commands, tmp_path: Path) -> Shown:
    """What a command writes on a terminal of 200 columns: `shown("compare", "a", "b", code=0)`."""

    def run(*command: str, code: int = 0) -> str:
        ours, theirs = pty.openpty()
        env = clean_environment() | {"TERM": "xterm-256color", "COLUMNS": "200"}
        running = commands.start(command, tmp_path, env, theirs, theirs)
        os.close(theirs)
        read = bytearray()
        reader = threading.Thread(target=_read, args=(ours, read))
        reader.start()
        ended = running.wait(100)
        reader.join(100)
        os.close(ours)
        written = read.decode()
        assert ended == code, written
        return written

    return run


def _read(terminal: int, into: bytearray) -> None:
    """Everything until the other end is closed, which Linux tells as an error."""
    try:
        while block := os.read(terminal, 65536):
            into += block
    except OSError:
        return


def harmless(written: str) -> str:
    """What is left without what is ours, which must not act."""
    left = OURS.sub("", written)
    assert not ACTIVE.findall(left), ascii(left)
    # In a table they may be the first cell of a row; a line of their own would be a prompt.
    assert not re.findall(r"^(?:user@host:~\$ rm -rf /|root@host:/# reboot)$", left, re.MULTILINE)
    assert "evil.example/\x1b" not in written
    return left


def hostile(folder: Path, url: str) -> None:
    """A suite whose notes, prompts, categories and answers are escape codes."""
    rows = [{"id": f"q{i}", "text": f"{one} {i}?", "category": one} for i, one in enumerate(ESCAPES)]
    models = {
        name: {"responses": answers(folder, name, [f"{name} {one}" for one in ESCAPES]), "note": ALL}
        for name in ("a", "b")
    }
    judges = {
        "measures": {"backend": "measures"},
        "llm": {"backend": "openai", "model": "m", "base_url": url, "api_key_env": None},
    }
    write_suite(folder, len(ESCAPES), models, judges=judges)
    write_jsonl(folder / "prompts.jsonl", rows)


def test_no_command_writes_what_acts_on_a_terminal(shown: Shown, tmp_path: Path, tally: Tally) -> None:
    """Categories, the words of a server that fails, and a judgement: all that a command shows of what it was given."""
    with Endpoint(faults={"400": 1.0}) as endpoint:
        endpoint._status = lambda handler, _: handler.answer(  # type: ignore[method-assign]
            400, {"error": {"message": ALL}}
        )
        hostile(tmp_path, endpoint.url)
        written = [
            shown("compare", "a", "b", "-s", "exam.yaml", "-j", "measures"),
            shown("report"),
            shown("compare", "a", "b", "-s", "exam.yaml", "-j", "llm", code=3),
            shown("leaderboard", "-s", "exam.yaml", "-j", "measures"),
            shown("check", "exam.yaml"),
            shown("plan", "-s", "exam.yaml", "-j", "measures"),
        ]
    seen = [harmless(one) for one in written]
    for text in ("ERASED", "MARKUP", "LINK"):
        assert text in seen[0], "as text it is shown"
    tally(len(ESCAPES) * len(written))


def test_what_json_gives_is_exact_and_harmless_on_a_terminal(shown: Shown, tmp_path: Path, tally: Tally) -> None:
    """There is no switch that lets escape codes through: who wants each character reads JSON, which escapes them."""
    hostile(tmp_path, "http://127.0.0.1:9/v1")
    told = harmless(shown("compare", "a", "b", "-s", "exam.yaml", "-j", "measures", "--json"))
    report = json.loads(told[told.index("{") :])
    assert report["notes"] == {"a": ALL, "b": ALL}
    (file,) = tmp_path.glob("results/exam/*/report.json")
    written = file.read_bytes()
    assert not ACTIVE.findall(written.decode("ascii"))
    items = json.loads(written)["items"]
    said = [{one["contestant"]: one["text"] for one in item["answers"]} for item in items]
    assert said == [{name: f"{name} {one}" for name in ("a", "b")} for one in ESCAPES]
    tally(3 * len(ESCAPES))


@pytest.mark.parametrize("place", ["id", "key", "yaml", "json"])
def test_a_message_about_a_hostile_file_is_harmless_itself(place: str, shown: Shown, tmp_path: Path) -> None:
    """An error repeats what is wrong: a doubled id, an unknown key, a broken line, a suite that is no YAML."""
    hostile(tmp_path, "http://127.0.0.1:9/v1")
    if place == "id":
        write_jsonl(tmp_path / "prompts.jsonl", [{"id": one, "text": "x"} for one in (*ESCAPES, *ESCAPES)])
    elif place == "key":
        write_jsonl(tmp_path / "prompts.jsonl", [{"id": "q0", "text": "x"}, {one: one for one in ESCAPES}])
    elif place == "yaml":
        quoted = "\n".join(f"{one.encode('unicode_escape').decode()!r}: 1" for one in ESCAPES)
        (tmp_path / "exam.yaml").write_text(f"suite: exam\n{quoted}\n\x1b[2J: 1\n", encoding="utf-8")
    else:
        (tmp_path / "a.jsonl").write_bytes(ALL.encode())
    harmless(shown("compare", "a", "b", "-s", "exam.yaml", "-j", "measures", code=2))


def test_what_is_made_visible_is_told_by_a_symbol_and_nothing_is_lost(tally: Tally) -> None:
    for one in ESCAPES:
        for made in (plain_text(one), one_line(one)):
            assert not ACTIVE.findall(made)
            for word in re.findall("[A-Z-]{3,}", one):
                assert word in made
    tally(2 * len(ESCAPES))
