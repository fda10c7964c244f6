"""A key in the environment, an address, a file, an exception or a command line is looked for on disk and on screen."""

from __future__ import annotations

import base64
import json
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from conftest import Cli, answers, clean_environment, write_suite
from endpoint import Body, Endpoint, nonce_of, prompt_of
from forked import Commands
from rows import Tally

KEY = "sk-sentinel/7f+Q2-do_not-show-me"
WHOLE = (KEY, quote(KEY, safe=""), *(base64.b64encode(f"{one}{KEY}".encode()).decode() for one in ("", "u:", "me:")))
# Of base64 that holds more than the key the ends are not the key's.
FORMS = (KEY[:8], *WHOLE[:2], *(one.rstrip("=")[8:40] for one in WHOLE[2:]))


def leaks(folder: Path, *written: str) -> list[str]:
    """The forms of the key that stand in a file of the folder, in a text of the ledger, or in what was written."""
    ledger = [path for path in folder.rglob("ledger.sqlite") if path.is_file()]
    held = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    held += [text.encode() for text in written] + [body for path in ledger for body in unpacked(path)]
    return [form for form in FORMS if any(form.encode() in one for one in held)]


def unpacked(ledger: Path) -> list[bytes]:
    import sqlite3
    import zlib
    from contextlib import closing

    with closing(sqlite3.connect(ledger)) as connection:
        return [zlib.decompress(body) for (body,) in connection.execute("SELECT body FROM texts")]


def exam(folder: Path, url: str, **judge: Any) -> str:
    models = {name: {"responses": answers(folder, name, [f"{name} {i}." for i in range(4)])} for name in ("a", "b")}
    known = {"llm": {"backend": "openai", "model": "m", "base_url": url, "api_key_env": "MY_KEY"} | judge}
    return write_suite(folder, 4, models, judges=known, judge="llm").name


# ---------------------------------------------------------------- a server that repeats it


@pytest.mark.parametrize(
    ("status", "code"), [(200, 0), (400, 3), (401, 2), (404, 2), pytest.param(500, 3, marks=pytest.mark.slow)]
)
def test_a_key_that_the_server_repeats_in_every_form_is_kept_nowhere(
    status: int, code: int, sciexam: Cli, tmp_path: Path, tally: Tally
) -> None:
    """In a judge's reason, and in an error. Of a reason, that is a text, the first letters of a key may stay."""
    spoken = " ".join(WHOLE if status == 200 else (KEY[:8], *WHOLE))

    def reply(body: Body) -> str:
        return f"{spoken}\n\nVERDICT {nonce_of(prompt_of(body))}: A=B"

    with Endpoint(reply=reply, key=KEY, faults={str(status): 1.0} if status != 200 else {}) as endpoint:
        endpoint._status = lambda handler, _: handler.answer(  # type: ignore[method-assign]
            status, {"error": {"message": spoken}}
        )
        suite = exam(tmp_path, endpoint.url)
        done = sciexam("compare", "-s", suite, "--max-wait", "0.1", env={"MY_KEY": KEY})
        assert set(endpoint.authorizations) == {f"Bearer {KEY}"}, "it is sent where it belongs"
    assert done.returncode == code, done.stderr
    more = (
        []
        if code == 2
        else [sciexam("report").stdout, sciexam("export", "verdicts", "-s", suite, "-o", "v.jsonl").stdout]
    )
    assert leaks(tmp_path, done.stdout, done.stderr, *more) == []
    tally(len(FORMS))


# ---------------------------------------------------------------- exceptions

RAISING = """
import base64, os, urllib.parse

class Leaking:
    name = "leaking"

    def judge(self, presentations):
        key = os.environ["JUDGE_API_KEY"]
        basic = base64.b64encode(b"user:" + key.encode()).decode()
        raise RuntimeError(f"POST failed: Bearer {key}; Basic {basic}; ?key={urllib.parse.quote(key, safe='')}")
"""


def test_what_a_judge_raises_is_its_own_and_shows_no_secret(sciexam: Cli, tmp_path: Path) -> None:
    (tmp_path / "leaking.py").write_text(RAISING)
    models = {name: {"responses": answers(tmp_path, name, [f"{name}."])} for name in ("a", "b")}
    suite = write_suite(tmp_path, 1, models, judges={"leaking": {"backend": "leaking:Leaking"}}).name
    done = sciexam("compare", "-s", suite, "-j", "leaking", env={"PYTHONPATH": str(tmp_path), "JUDGE_API_KEY": KEY})
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        f"sciexam: leaking raised RuntimeError at {tmp_path}/leaking.py:10: POST failed: Bearer [JUDGE_"
    )
    assert line.count("[JUDGE_API_KEY]") == 3
    (tmp_path / "leaking.py").unlink()
    assert leaks(tmp_path, done.stderr) == []


PLANTED = """
import os
import sciexam.exam.reporting

def broken(*_):
    raise RuntimeError("POST failed: Authorization: Bearer " + os.environ["JUDGE_API_KEY"])

sciexam.exam.reporting.read_facts = broken
"""


def test_a_bug_is_called_one_and_its_trace_shows_no_secret_of_the_environment(sciexam: Cli, tmp_path: Path) -> None:
    """The bug is planted where a report is read back, in the interpreter that the command starts."""
    (tmp_path / "sitecustomize.py").write_text(PLANTED)
    suite = exam(tmp_path, "http://127.0.0.1:9/v1")
    env = {"PYTHONPATH": str(tmp_path), "JUDGE_API_KEY": KEY}
    done = sciexam("compare", "-s", suite, "-j", "measures", env=env)
    assert (done.returncode, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert lines[0] == "sciexam: Traceback (most recent call last):"
    assert lines[-2] == "sciexam: RuntimeError: POST failed: Authorization: Bearer [JUDGE_API_KEY]"
    assert lines[-1] == "sciexam: this is a bug in sciexam; please report it"
    assert leaks(tmp_path, done.stderr) == []


# ---------------------------------------------------------------- where it could be written


@pytest.mark.parametrize(
    ("judge", "said"),
    [
        (
            {"api_key": KEY},
            "keys are never written in files; name the environment variable that holds it: api_key_env: NAME",
        ),
        ({"api_key_env": KEY}, "this is no name of an environment variable; a key itself never goes into a file"),
        ({"base_url": f"https://user:{quote(KEY, safe='')}@example.org/v1"}, "api_key_env"),
        ({"base_url": f"https://example.org/v1?key={quote(KEY, safe='')}"}, "api_key_env"),
    ],
    ids=["a key", "in the place of a name", "in an address", "in a query"],
)
def test_a_key_in_a_file_is_refused_without_being_repeated(
    judge: dict[str, str], said: str, sciexam: Cli, tmp_path: Path
) -> None:
    suite = exam(tmp_path, "https://example.org/v1", **judge)
    for command in (("compare", "-s", suite), ("check", suite)):
        done = sciexam(*command, env={"MY_KEY": "sk-another-key"})
        assert done.returncode == 2
        assert said in done.stderr
        assert leaks(tmp_path / "results", done.stdout, done.stderr) == []


def test_no_process_of_a_run_has_the_key_in_its_command_line(commands: Commands, tmp_path: Path) -> None:
    """The command and all that it started, looked at while calls are under way."""
    asked: list[Body] = []
    seen: list[bytes] = []

    def reply(body: Body) -> str:
        asked.append(body)
        return f"VERDICT {nonce_of(prompt_of(body))}: A=B"

    with Endpoint(reply=reply, key=KEY, latency=0.2) as endpoint, (tmp_path / "out.txt").open("w") as out:
        suite = exam(tmp_path, endpoint.url, concurrency=1)
        env = clean_environment() | {"MY_KEY": KEY}
        running = commands.start(("compare", "-s", suite), tmp_path, env, out.fileno(), out.fileno())
        while running.poll() is None:
            if asked:
                seen += [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if readable(path)]
            time.sleep(0.05)
        assert running.wait(60) == 0
    assert any(f"-s\0{suite}".encode() in one or b"forked.py" in one for one in seen)
    assert not [form for form in FORMS if any(form.encode() in one for one in seen)]
    assert leaks(tmp_path) == []


def readable(path: Path) -> bool:
    try:
        return bool(path.read_bytes())
    except OSError:  # it has ended meanwhile
        return False


def test_no_command_takes_a_key_as_an_option(sciexam: Cli) -> None:
    for command in ("compare", "answer", "leaderboard", "audit", "bench", "grade"):
        options: list[str] = re.findall(r"--[\w-]+", sciexam(command, "--help").stdout)
        assert options
        assert not [option for option in options if re.search("key|token|secret|password", option)]


def test_a_key_in_the_arguments_of_a_command_is_not_kept_in_its_manifest(sciexam: Cli, tmp_path: Path) -> None:
    suite = exam(tmp_path, "http://127.0.0.1:9/v1")
    env = {"OTHER_TOKEN": KEY}
    done = sciexam("compare", "-s", suite, "-j", "measures", "--by", KEY, env=env)
    assert done.returncode in (0, 2), done.stderr
    manifests = [json.loads(path.read_text(encoding="utf-8")) for path in tmp_path.glob("results/*/*/run.json")]
    assert not [one for one in manifests if KEY in json.dumps(one["argv"])]
