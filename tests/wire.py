"""A line to the pages of annotators that is cut, or slow, in what is posted."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest


class Wire(ThreadingHTTPServer):
    """A proxy before the server, with a `fault` in what is posted: the "request" is cut, the "reply", or "half" of it;
    what is "late" arrives when `free` is set. Chromium itself sends some of it again: a fault lasts until it is ended.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Passing)
        self.fault = ""
        self.free = threading.Event()
        self.waiting = 0
        self.drafts = 0  # that reached the server

    @property
    def options(self) -> dict[str, Any]:
        return {"proxy": {"server": f"http://127.0.0.1:{self.server_port}"}}


class Passing(BaseHTTPRequestHandler):
    server: Wire

    def do_GET(self) -> None:
        self._answer(*self._asked(b""))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        fault = self.server.fault
        if fault == "request":
            return
        if fault == "late":
            self.server.waiting += 1
            self.server.free.wait(30)
        status, headers, text = self._asked(body)
        self.server.drafts += self.path.endswith("/draft")
        if fault != "reply":
            self._answer(status, headers, text[: len(text) // 2] if fault == "half" else text)

    def _asked(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        address = urlsplit(self.path)
        line = HTTPConnection(address.hostname, address.port, timeout=30)
        given = {name: value for name, value in self.headers.items() if "connection" not in name.lower()}
        line.request(self.command, address.path + ("?" * bool(address.query)) + address.query, body, given)
        reply = line.getresponse()
        return reply.status, reply.getheaders(), reply.read()

    def _answer(self, status: int, headers: list[tuple[str, str]], text: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        with suppress(BrokenPipeError):  # the browser has gone
            self.end_headers()
            self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def wire() -> Iterator[Wire]:
    with Wire() as laid:
        threading.Thread(target=laid.serve_forever, daemon=True).start()
        yield laid
        laid.free.set()
        laid.shutdown()
