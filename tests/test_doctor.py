"""`sciexam doctor`: what is in the way is found, each line says what to do, and no key goes astray."""

from __future__ import annotations

import json
import re
import sqlite3
import tomllib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from conftest import ROOT, Cli, answers, write_suite
from sciexam import doctor
from sciexam.store import Store, file_system

KEY = "sk-a-key-that-nobody-may-see"


@contextmanager
def endpoint(status: int = 200, body: bytes = b'{"data": [{"id": "small"}]}', **headers: str) -> Iterator[Any]:
    """An endpoint that answers one thing; `asked` are the paths and keys of its requests."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.asked.append((self.path, self.headers.get("authorization")))  # type: ignore[attr-defined]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked = []  # type: ignore[attr-defined]
    server.url = f"http://127.0.0.1:{server.server_port}/v1"  # type: ignore[attr-defined]
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def suite_with(folder: Path, base_url: str, model: str = "small", **more: Any) -> str:
    judge = {"backend": "openai", "model": model, "base_url": base_url, "api_key_env": "THE_KEY", **more}
    models = {name: {"responses": answers(folder, name, ["yes"])} for name in ("old", "new")}
    return str(write_suite(folder, 1, models, judges={"judge": judge}))


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """In an empty folder, and without a torch to import."""
    monkeypatch.setattr(doctor, "_gpu", lambda: doctor.Finding("gpu", "ok", "none"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def findings(topic: str, suite: str | None = None, location: str = "results/ledger.sqlite") -> list[doctor.Finding]:
    return [one for one in doctor.examine(suite, location, "results") if one.topic == topic]


@pytest.mark.slow  # it imports torch
def test_where_nothing_is_in_the_way_it_exits_0_and_names_everything(sciexam: Cli, tmp_path: Path) -> None:
    with endpoint() as server:
        suite = suite_with(tmp_path, server.url)
        assert sciexam("compare", "old", "new", "--suite", suite, "--judge", "measures").returncode == 0
        done = sciexam("doctor", suite, env={"THE_KEY": KEY})
        found = json.loads(sciexam("doctor", suite, "--json", env={"THE_KEY": KEY}).stdout)
    assert done.returncode == 0, done.stdout
    assert {line[9:18].strip() for line in done.stdout.splitlines()} == {
        *("versions", "sqlite", "store", "disk", "limits", "endpoint", "extra", "gpu"),
    }
    assert f"SQLite {sqlite3.sqlite_version}" in done.stdout
    assert re.search(r"results/ledger\.sqlite: \d+ rows, none damaged", done.stdout)
    assert "waits 120 s for its rate (--max-wait)" in done.stdout
    assert "answers, and has 'small'" in done.stdout
    assert re.search(r"gpu +torch [\d.]+", done.stdout)
    assert (found["schema"], found["exit"]) == ("sciexam/doctor/1", 0)
    assert next(one["text"] for one in found["findings"] if one["topic"] == "endpoint").endswith("has 'small'")
    assert KEY not in done.stdout + done.stderr + json.dumps(found)
    assert server.asked == [("/v1/models", f"Bearer {KEY}")] * 2


def test_each_line_that_is_not_well_says_what_to_do(light: Path) -> None:
    (light / "results").mkdir()
    (light / "results" / "ledger.sqlite").write_bytes(b"not a ledger" * 1000)
    with endpoint(503) as server:
        everything = list(doctor.examine(suite_with(light, server.url, api_key_env=None), "results/ledger.sqlite", "."))
    assert {one.topic for one in everything if one.state == "fault"} == {"store", "endpoint"}
    assert all(one.todo for one in everything if one.state != "ok")
    assert doctor.verdict(everything) == 5, "the ledger comes first"
    assert doctor.verdict([one for one in everything if one.topic != "store"]) == 3


@pytest.mark.parametrize(
    ("number", "state"),
    [((3, 6, 23), "ok"), ((3, 7, 0), "warning"), ((3, 40, 1), "warning"), ((3, 51, 2), "warning"), ((3, 51, 3), "ok")],
)
def test_an_sqlite_with_the_wal_reset_bug_is_warned_of(
    light: Path, monkeypatch: pytest.MonkeyPatch, number: tuple[int, int, int], state: str
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", number)
    monkeypatch.setattr(sqlite3, "sqlite_version", ".".join(map(str, number)))
    [found] = findings("sqlite")
    assert found.state == state
    assert ("3.51.3 or later" in found.todo) == (state == "warning")


def test_a_ledger_is_told_as_it_is(light: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = light / "results" / "ledger.sqlite"
    assert findings("store")[0].text == "results/ledger.sqlite: no ledger there; the first command that asks makes it"
    assert not file.parent.exists(), "nothing is made"
    with Store(file):
        pass
    assert [one.state for one in findings("store")] == ["ok"]
    with closing(sqlite3.connect(file)) as ledger:
        ledger.execute("DROP TRIGGER verdicts_no_update")
    [found] = findings("store")
    assert (found.state, "`sciexam store repair`" in found.todo) == ("fault", True)
    with closing(sqlite3.connect(file)) as ledger:
        ledger.execute("PRAGMA user_version = 99")
    assert "written by a newer sciexam (store version 99" in findings("store")[0].text
    assert [one.state for one in findings("store", location="mysql://host/x")] == ["fault"]
    mounts = light / "mounts"
    mounts.write_text(f"97 22 0:51 / {light} rw shared:3 - nfs4 host:/x rw\n")
    monkeypatch.setattr(file_system, "MOUNTS", mounts)
    with Store(light / "other.sqlite"):
        pass
    [_, found] = findings("store", location="other.sqlite")
    assert "network file system (nfs4)" in found.text
    assert "PostgreSQL" in found.todo


def test_little_room_is_warned_of(light: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "SPACE", 2**80)
    assert [(one.state, one.todo) for one in findings("disk")] == [("warning", "make room: 1 GiB at least")]


ANSWERS = {
    "a wrong key": ({"status": 401}, "fault", "refuses the key (401)", "set THE_KEY to a key that it accepts"),
    "no list": ({"status": 404}, "ok", "answers, and lists no models (404)", ""),
    "an error": ({"status": 500}, "fault", "answers with an error (500)", "wait until"),
    "too many": ({"status": 429}, "warning", "asks to wait (429)", "wait, or"),
    "a page": ({"body": b"<html>"}, "warning", "answers, but not like OpenAI", "most end in /v1"),
    "another model": (
        {"body": b'{"data": [{"id": "\\u001b[31mred"}]}'},
        "warning",
        "lists no 'small', but '\\x1b[31mred'",
        "check model:",
    ),
}


@pytest.mark.parametrize("what", ANSWERS)
def test_what_an_endpoint_answers_is_told(light: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    how, state, said, todo = ANSWERS[what]
    monkeypatch.setenv("THE_KEY", KEY)
    with endpoint(**how) as server:  # type: ignore[arg-type]
        [found] = findings("endpoint", suite_with(light, server.url))
    assert (found.state, said in found.text, todo in found.todo) == (state, True, True), found
    assert KEY not in found.text


def test_a_key_follows_no_redirect_and_goes_to_no_other_host(light: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-another-key-altogether")
    with endpoint() as other, endpoint(302, location=f"{other.url}/models") as server:
        [found] = findings("endpoint", suite_with(light, server.url))
    assert (found.state, "redirects (302), which is not followed" in found.text) == ("fault", True)
    assert (other.asked, server.asked) == ([], [("/v1/models", f"Bearer {KEY}")])


def test_without_its_key_an_endpoint_is_not_asked(light: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THE_KEY", raising=False)
    [found] = findings("endpoint", suite_with(light, "https://endpoint.invalid/v1"))
    assert found.state == "fault"
    assert "endpoint.invalid/v1 no key: the environment variable THE_KEY is not set; it was not asked" in found.text
    assert found.todo == "export THE_KEY=..."


def test_a_proxy_that_cannot_be_used_is_told_beside_the_endpoints_that_answer(
    light: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("ALL_PROXY", "socks5://me:hunter22@127.0.0.1:9")
    for name in ("HTTPS_PROXY", "https_proxy", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with endpoint() as server:
        judges = {
            name: {"backend": "openai", "model": "small", "base_url": url}
            for name, url in (("near", server.url), ("far", "https://judge.example/v1"))
        }
        models = {name: {"responses": answers(light, name, ["yes"])} for name in ("old", "new")}
        found = findings("endpoint", str(write_suite(light, 1, models, judges=judges)))
    near, far = sorted(found, key=lambda one: "judge.example" in one.text)
    assert (near.state, far.state) == ("ok", "fault")
    assert "ALL_PROXY must be http://HOST:PORT" in far.text
    assert "NO_PROXY" in far.todo
    assert "hunter22" not in far.text


def test_an_endpoint_that_is_not_there_exits_3(light: Path) -> None:
    suite = suite_with(light, "http://127.0.0.1:9/v1", api_key_env=None)
    everything = list(doctor.examine(suite, "results/ledger.sqlite", "."))
    [found] = [one for one in everything if one.topic == "endpoint"]
    assert "127.0.0.1:9/v1 does not answer (endpoint unreachable" in found.text
    assert "mend base_url:" in found.todo
    assert doctor.verdict(everything) == 3


def test_a_suite_is_looked_for_only_where_one_lies(light: Path) -> None:
    assert findings("endpoint")[0].text.startswith("no suite is named or lies here")
    (light / "suites").mkdir()
    (light / "suites" / "mine.yaml").write_text("suite: 7: 8\n")
    [found] = findings("suite")
    assert (found.state, "`sciexam check`" in found.todo) == ("warning", True)
    suite_with(light / "suites", "http://127.0.0.1:9/v1", api_key_env=None)
    (light / "suites" / "exam.yaml").rename(light / "suites" / "mine.yaml")
    assert [one.state for one in findings("endpoint")] == ["fault"]


def test_every_extra_of_the_package_is_looked_for() -> None:
    written = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(doctor.EXTRAS) == set(written["optional-dependencies"]) - {"peers", "test", "docs"}


def test_an_extra_that_is_missing_comes_with_what_to_type(light: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "find_spec", lambda name: None if name == "trl" else name)
    said = {one.text: one for one in findings("extra")}
    absent = said["train: trl is not installed"]
    assert (absent.state, absent.todo.endswith("pip install 'sciexam[train]'")) == ("absent", True)
    assert doctor.verdict([absent]) == 0
    assert said["ray: installed"].state == "ok"
