"""The connections of a run: whom they trust, by whom they are asked, and what of the user's environment they read."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import aiohttp  # noqa: F401  it reads whom it trusts when it is imported: before a test says whom to trust
import pytest

from sciexam.errors import UsageError
from sciexam.models import calls
from sciexam.models.line import Answer
from sciexam.models.openai import OpenAIModel
from sciexam.models.provider import Provider, Trouble
from sciexam.models.proxies import proxies_of_the_environment, proxy_for
from sciexam.models.replies import Fault
from sciexam.models.settings import Endpoint, Vllm
from sciexam.models.vllm_wire import Asked, VllmWire
from sciexam.models.wire import Wire
from sciexam.types import Conversation, Generation, Message, Reply

KEY = "sk-sentinel-0123456789abcdef"
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "BACKOFF", 0.005)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


class Host(ThreadingHTTPServer):
    """Answers whatever it is asked like OpenAI, an endpoint or a proxy; `seen`: request line and headers.

    `padding`: bytes after its answer; a proxy refuses with the status `tunnel` and the words it `says`.
    """

    daemon_threads = True

    def __init__(self, tunnel: int = 407, padding: int = 0, says: str | None = None, **headers: str) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.connections = 0
        self.tunnel, self.padding, self.says, self.headers = tunnel, padding, says, headers

    def __enter__(self) -> Host:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Host

    def setup(self) -> None:
        self.server.connections += 1
        super().setup()

    def do_CONNECT(self) -> None:
        self.server.seen.append((self.requestline, {k.lower(): v for k, v in self.headers.items()}))
        self.send_response(self.server.tunnel, self.server.says)
        self.send_header("content-length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.server.seen.append((self.requestline, {k.lower(): v for k, v in self.headers.items()}))
        message = {"role": "assistant", "content": "Four."}
        body = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode()
        body += b" " * self.server.padding
        body = gzip.compress(body) if self.server.headers.get("content-encoding") == "gzip" else body
        self.send_response(200)
        for name, value in {"content-length": str(len(body)), **self.server.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def ask(url: str, count: int = 1, **settings: Any) -> list[Reply]:
    record = Endpoint(**{"backend": "openai", "model": "m", "base_url": url, "timeout": 20.0, **settings})
    asked = [Conversation(str(n), (Message(role="user", content="two and two"),)) for n in range(count)]
    return list(OpenAIModel(record, Generation(), api_key=KEY).generate(asked))


def of_each(*urls: str) -> list[Answer | Fault]:
    """What replicas answer, asked one after the other over the line that they share."""
    wire = VllmWire(Vllm(backend="vllm", weights="m", base_url=urls), Generation(), Asked("m"), urls, None)

    async def asked() -> list[Answer | Fault]:
        line = wire.line()
        try:
            return [await line.ask(f"{url}/completions", {"prompt": "two and two"}, 20.0) for url in urls]
        finally:
            await line.close()

    return asyncio.run(asked())


# --- proxies --------------------------------------------------------------------------------------------------------


def test_another_host_is_asked_by_the_users_proxy_with_the_proxys_own_password(monkeypatch: pytest.MonkeyPatch) -> None:
    with Host() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:p%40ss@127.0.0.1:{proxy.server_port}")
        [reply] = ask("http://judge.example/v1")
    assert reply.text == "Four."
    [(line, headers)] = proxy.seen
    assert line == "POST http://judge.example/v1/chat/completions HTTP/1.1"
    assert headers["host"] == "judge.example"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["proxy-authorization"] == "Basic " + base64.b64encode(b"me:p@ss").decode()


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])
def test_of_a_call_over_tls_a_proxy_sees_the_host_and_nothing_else(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Host(tunnel=407) as proxy:
        monkeypatch.setenv(variable, f"http://me:pass@127.0.0.1:{proxy.server_port}")
        [reply] = ask("https://judge.example/v1")
    assert reply.status == "failed"
    assert reply.failure.startswith("connection lost: the proxy answers 407")
    assert "pass" not in reply.failure
    assert {line for line, _ in proxy.seen} == {"CONNECT judge.example:443 HTTP/1.1"}
    assert all("authorization" not in headers and "proxy-authorization" in headers for _, headers in proxy.seen)


@pytest.mark.parametrize("kind", ["socks5", "socks4", "ftp"])
def test_a_proxy_of_a_kind_that_cannot_be_used_is_refused_without_its_password(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", f"{kind}://me:hunter22@127.0.0.1:9")
    with pytest.raises(UsageError, match=f"ALL_PROXY must be http://HOST:PORT .*{kind}://") as raised:
        ask("https://judge.example/v1")
    assert "hunter22" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "named", "direct"),
    [
        ("http://judge.example/v1", "", False),
        ("http://judge.example/v1", "*", True),
        ("http://judge.example/v1", "judge.example", True),
        ("http://judge.example/v1", " other.example , JUDGE.example", True),
        ("http://a.judge.example/v1", "judge.example", True),
        ("http://a.judge.example/v1", ".judge.example", True),
        ("http://a.judge.example/v1", "*.judge.example", True),
        ("http://thejudge.example/v1", "judge.example", False),
        ("http://judge.example:81/v1", "judge.example:81", True),
        ("http://judge.example:82/v1", "judge.example:81", False),
        ("http://judge.example/v1", "judge.example:80", True),
        ("http://judge.example/v1", "judge.example:443", False),
        ("https://judge.example/v1", "judge.example:443", True),
        ("https://judge.example/v1", "judge.example:80", False),
        ("http://localhost:8000/v1", "", True),
        ("http://127.0.0.1:8000/v1", "", True),
        ("http://10.1.2.3/v1", "10.1.2.3", True),
        ("http://10.1.2.3/v1", "10.0.0.0/8", True),
        ("http://11.1.2.3/v1", "10.0.0.0/8", False),
        ("http://10.1.2.3:81/v1", "10.1.2.3:81", True),
        ("http://[fd00::1]/v1", "[fd00::1]", True),
        ("http://[fd00::1]/v1", "fd00::/8", True),
    ],
)
def test_no_proxy_names_hosts_that_are_asked_directly(
    url: str, named: str, direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", named)
    proxy = proxy_for(url, proxies_of_the_environment())
    assert proxy == (None if direct else "http://proxy.example:3128")


def test_a_proxy_that_cannot_be_used_is_in_the_way_only_where_it_would_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with Host() as host:
        monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
        assert [reply.text for reply in ask(f"http://127.0.0.1:{host.server_port}/v1")] == ["Four."]
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{host.server_port}")
        assert [reply.text for reply in ask("http://judge.example/v1")] == ["Four."]
    monkeypatch.setenv("NO_PROXY", "*")
    assert proxy_for("https://judge.example/v1", proxies_of_the_environment()) is None


def test_a_replica_on_this_machine_is_never_asked_by_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with Host() as here, Host() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.server_port}")
        answers = of_each(f"http://127.0.0.1:{here.server_port}/v1", "http://judge.example/v1")
    assert [answer.status_code for answer in answers if isinstance(answer, Answer)] == [200, 200]
    assert [line for line, _ in here.seen] == ["POST /v1/completions HTTP/1.1"]
    assert [line for line, _ in proxy.seen] == ["POST http://judge.example/v1/completions HTTP/1.1"]


def test_hosts_that_are_asked_directly_make_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "judge.example")
    assert proxies_of_the_environment() == {}


# --- whom it trusts -------------------------------------------------------------------------------------------------


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The address of an endpoint over TLS, and the certificate that nobody else trusts."""
    certificate, private = tmp_path / "certificate.pem", tmp_path / "private.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    try:
        subprocess.run(
            [*made, *names, "-keyout", private, "-out", certificate], check=True, capture_output=True, timeout=60
        )
    except FileNotFoundError:
        pytest.skip("no openssl here to make a certificate")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, private)
    with Host() as host:
        host.socket = context.wrap_socket(host.socket, server_side=True, do_handshake_on_connect=False)
        yield f"https://localhost:{host.server_port}/v1", certificate


def test_a_certificate_that_nobody_vouches_for_gets_no_key(secured: tuple[str, Path]) -> None:
    [reply] = ask(secured[0])
    assert reply.status == "failed"
    assert reply.failure.startswith("endpoint unreachable: ")
    assert "CERTIFICATE_VERIFY_FAILED" in reply.failure


def test_a_certificate_that_the_user_trusts_is_trusted(
    secured: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, certificate = secured
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    # The environment counts for other machines only: "localhost" is one by another name.
    monkeypatch.setattr("sciexam.models.line.is_loopback", lambda host: False)
    assert [reply.text for reply in ask(url, 3)] == ["Four."] * 3
    with Host() as plain:
        answers = of_each(f"http://127.0.0.1:{plain.server_port}/v1", url)
    assert [isinstance(answer, Answer) for answer in answers] == [True, True], "whichever replica is asked first"


# --- what is sent and read ------------------------------------------------------------------------------------------


def test_calls_one_after_the_other_share_a_connection() -> None:
    with Host() as host:
        replies = ask(f"http://127.0.0.1:{host.server_port}/v1", 20, concurrency=1)
    assert [reply.status for reply in replies] == ["ok"] * 20
    assert host.connections == 1


@pytest.mark.parametrize("headers", [{"content-encoding": "gzip"}, {"content-security-policy": "x" * 20_000}])
def test_a_packed_body_and_a_long_header_are_read(headers: dict[str, str]) -> None:
    with Host(**headers) as host:
        [reply] = ask(f"http://127.0.0.1:{host.server_port}/v1")
    assert (reply.status, reply.text) == ("ok", "Four.")


def test_no_password_of_a_netrc_and_no_cookie_is_sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password of-the-netrc\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    with Host(**{"set-cookie": "tracked=1"}) as host:
        replies = ask(f"http://127.0.0.1:{host.server_port}/v1", 2, concurrency=1)
    assert [reply.status for reply in replies] == ["ok", "ok"]
    assert [headers["authorization"] for _, headers in host.seen] == [f"Bearer {KEY}"] * 2
    sent = {"host", "accept", "accept-encoding", "user-agent", "content-type", "content-length", "authorization"}
    assert all(set(headers) == sent for _, headers in host.seen)


# --- what cannot be asked -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["a..b", f"{'a' * 64}.example"])
def test_a_host_that_can_have_no_address_is_told_and_is_no_error_of_the_program(host: str) -> None:
    [reply] = ask(f"http://{host}/v1")
    assert reply.status == "failed"
    assert reply.failure.startswith("endpoint unreachable: no such address: ")


@pytest.mark.parametrize("packed", [{}, {"content-encoding": "gzip"}], ids=["plain", "packed"])
def test_an_answer_is_read_up_to_a_largest_size(packed: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sciexam.models.line.LARGEST_ANSWER", 1_000_000)
    with Host(padding=900_000, **packed) as host:
        [reply] = ask(f"http://127.0.0.1:{host.server_port}/v1")
    assert (reply.status, reply.text) == ("ok", "Four.")
    with Host(padding=8_000_000, **packed) as host:
        [reply] = ask(f"http://127.0.0.1:{host.server_port}/v1")
    assert (reply.status, reply.failure, reply.tries) == ("failed", "the answer is larger than 1 MB", 1)
    assert len(host.seen) == 1


def test_what_a_proxy_says_is_short_and_harmless(monkeypatch: pytest.MonkeyPatch) -> None:
    with Host(says="no\x1b[31m\x07 " + "way " * 500) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.server_port}")
        [reply] = ask("https://judge.example/v1")
    assert reply.failure.startswith("connection lost: the proxy answers 407 no [31m way way")
    assert reply.failure.isprintable()
    assert len(reply.failure) < 300


def test_a_header_that_is_none_is_told_in_one_short_line() -> None:
    with Host(**{"x-\x07bad": "x" * 2_000}) as host:
        [reply] = ask(f"http://127.0.0.1:{host.server_port}/v1")
    assert reply.failure.startswith("connection lost: ")
    assert reply.failure.isprintable()
    assert len(reply.failure) < 300


def test_a_batch_goes_by_the_same_proxy_as_a_single_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of a kind that cannot be used stops it only where a single call would go by it."""

    def hand_over(base_url: str) -> None:
        record = Endpoint(backend="openai", model="m", base_url=base_url, timeout=5.0)
        wire = Wire(record, Generation(), base_url=base_url, api_key=KEY)
        with Provider(wire, max_wait=1.0) as provider, pytest.raises(Trouble):
            provider.upload("requests.jsonl", b"{}")

    monkeypatch.setenv("ALL_PROXY", "socks5://me:hunter22@127.0.0.1:9")
    with pytest.raises(UsageError, match=r"ALL_PROXY must be http://HOST:PORT .*socks5://") as raised:
        hand_over("https://judge.example/v1")
    assert "hunter22" not in str(raised.value)
    with Host() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.server_port}")
        hand_over("http://judge.example/v1")
    assert proxy.seen[0][0] == "POST http://judge.example/v1/files HTTP/1.1"
    with Host() as host:
        monkeypatch.setenv("NO_PROXY", "*")
        hand_over(f"http://127.0.0.1:{host.server_port}/v1")
    assert host.seen[0][0] == "POST /v1/files HTTP/1.1"
