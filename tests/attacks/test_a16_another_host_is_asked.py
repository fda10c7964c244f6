"""An endpoint redirects the call with its key to another host, and prompts and answers hold addresses of images."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from conftest import Cli, answers, write_jsonl, write_suite
from endpoint import Endpoint
from rows import Tally
from study import Study

KEY = "sk-sentinel-0123456789abcdef"


class Elsewhere(ThreadingHTTPServer):
    """A host that nobody configured. It notes who asks, and would answer."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Noting)
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Noting(BaseHTTPRequestHandler):
    server: Elsewhere

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.command} {self.path} {self.headers.get('authorization')}")
        self.send_response(200)
        self.end_headers()

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    with Elsewhere() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def exam(folder: Path, url: str, texts: Callable[[str, int], str] = lambda name, i: f"{name} {i}.") -> str:
    """A suite with a recorded contestant, one that is asked at `url`, and judges there."""
    asked = {"backend": "openai", "model": "m", "base_url": url, "api_key_env": "MY_KEY"}
    models: dict[str, Any] = {n: {"responses": answers(folder, n, [texts(n, i) for i in range(4)])} for n in ("a", "b")}
    judges = {"llm": asked, "measures": {"backend": "measures"}}
    return write_suite(folder, 4, models | {"asked": asked}, judges=judges, judge="llm", contestants=["a", "b"]).name


@pytest.mark.parametrize(
    ("command", "status"),
    [
        *((("compare", "a", "b"), status) for status in (301, 302, 303, 307, 308)),
        *(
            (command, 307)
            for command in (("compare", "a", "asked"), ("grade", "a"), ("audit", "llm"), ("leaderboard",))
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
def test_a_redirect_is_not_followed_and_the_key_goes_nowhere_else(
    command: tuple[str, ...], status: int, elsewhere: Elsewhere, sciexam: Cli, tmp_path: Path
) -> None:
    with Endpoint() as endpoint:
        endpoint.faults = {"redirect": 1.0}  # each call has a fault, and this is what the fault is:
        endpoint._fault = lambda handler, *_: handler.send(  # type: ignore[method-assign]
            status, b"", {"location": f"{elsewhere.url}/v1/chat/completions"}
        )
        done = sciexam(*command, "-s", exam(tmp_path, endpoint.url), env={"MY_KEY": KEY})
        assert set(endpoint.authorizations) == {f"Bearer {KEY}"}
    assert elsewhere.asked == []
    assert done.returncode == 2
    assert f"redirects to {elsewhere.url}" in done.stderr
    assert "which is not followed" in done.stderr
    assert KEY not in done.stderr


@pytest.mark.parametrize("name", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"])
def test_a_proxy_of_the_environment_does_not_get_the_key(
    name: str, elsewhere: Elsewhere, sciexam: Cli, tmp_path: Path
) -> None:
    with Endpoint("judge-first") as endpoint:
        env = {"MY_KEY": KEY, name: elsewhere.url}
        done = sciexam("compare", "a", "b", "-s", exam(tmp_path, endpoint.url), env=env)
        assert endpoint.requests == 8
    assert done.returncode == 0, done.stderr
    assert elsewhere.asked == []


@pytest.mark.parametrize("url", ["file:///etc/passwd", "gopher://127.0.0.1/", "127.0.0.1:80/v1", "http://"])
def test_an_address_of_another_kind_is_refused(url: str, sciexam: Cli, tmp_path: Path) -> None:
    done = sciexam("compare", "a", "b", "-s", exam(tmp_path, url), env={"MY_KEY": KEY})
    assert done.returncode == 2
    assert "base_url" in done.stderr
    assert "root:" not in done.stderr


# ---------------------------------------------------------------- images

IMAGES = (
    *(
        "![a]({0}/1.png)",
        "<img src='{0}/2.png'>",
        "<picture><source srcset='{0}/3.png'></picture>",
        "[x]: {0}/4.png\n\n![x]",
    ),
    *(
        "<style>*{{background:url({0}/5.png)}}</style>",
        "<link rel=preload as=image href='{0}/6.png'>",
        "<svg><image href='{0}/7'/></svg>",
    ),
    *("<video poster='{0}/8.png'></video>", "$\\style{{background:url({0}/9.png)}}{{x}}$", "@import '{0}/10.css'"),
)


def test_no_command_and_no_page_fetches_what_an_answer_points_to(
    elsewhere: Elsewhere,
    sciexam: Cli,
    study: Callable[..., Study],
    opened: Callable[..., Any],
    tmp_path: Path,
    tally: Tally,
) -> None:
    """The judge reads the addresses as text; the report and an annotator's page are opened in Chromium."""
    said = "\n\n".join(one.format(elsewhere.url) for one in IMAGES)
    with Endpoint("judge-longer") as endpoint:
        suite = exam(tmp_path, endpoint.url, lambda name, i: f"{name} {i}\n\n{said}")
        write_jsonl(tmp_path / "prompts.jsonl", [{"id": f"q{i}", "text": f"Why {i}?\n\n{said}"} for i in range(4)])
        for judge in ("llm", "measures"):
            done = sciexam("compare", "a", "b", "-s", suite, "-j", judge, env={"MY_KEY": KEY})
            assert done.returncode == 0, done.stderr
    for report in tmp_path.glob("results/exam/*/report.html"):
        assert opened(report.as_uri()).title()
    served = study("a", "b", "--annotators", "1")
    page = opened(f"{served.links['annotator-1']}/next")
    assert "1.png" in page.inner_text("body")
    page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done, 100)))")
    assert elsewhere.asked == []
    tally(5 * len(IMAGES))
