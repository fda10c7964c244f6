"""A real OpenAI-compatible server on this machine that fails the way real ones do, on a schedule.

In a test:

    with Endpoint(reply="judge-first", capacity=8, faults={"500": 0.1, "reset": 0.1}, seed=1) as endpoint:
        ... base_url=endpoint.url ...
        assert endpoint.requests <= 120

As a process of its own, for tests that kill the client (one line of JSON with `port` and `url`, then it serves until it
is terminated; `GET /stats` tells what it saw):

    python tests/endpoint.py --port 0 --reply judge-longer --capacity 8 --fault 500=0.1 --latency 0.02

Faults: a status by its number ("500", "401", ...), optionally with what to wait ("429:2" seconds, "429:date:2" as an
HTTP date, "503:1"); and the words in `Endpoint._fault`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import signal
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from email.utils import formatdate
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]
Behaviour = Callable[[Body], "str | dict[str, Any]"]

HTML = "<!doctype html><html><body><h1>Welcome to nginx!</h1></body></html>"


def prompt_of(body: Body) -> str:
    """All text of a request, the last message last."""
    if "prompt" in body:
        return str(body["prompt"])
    return "\n".join(str(message["content"]) for message in body["messages"])


def echo(body: Body) -> str:
    """The last message; the same question gets the same answer."""
    return str(body["prompt"]) if "prompt" in body else str(body["messages"][-1]["content"])


def judge_first(body: Body) -> str:
    """Prefers the answer shown first, whatever it says. Not asked for a verdict, it echoes."""
    return _verdict(body, "A>B")


def judge_longer(body: Body) -> str:
    """Prefers the longer answer; equal lengths are a tie."""
    a, b = (len(text) for text in answers_of(prompt_of(body)))
    return _verdict(body, "A>B" if a > b else "B>A" if b > a else "A=B")


def judge_garbage(body: Body) -> str:
    """Talks, and never gives a verdict."""
    return "Both answers have their merits. A>B, or [[B]], who can say?" if nonce_of(prompt_of(body)) else echo(body)


def nonce_of(prompt: str) -> str | None:
    """The word the verdict line must repeat."""
    found = re.findall(r"VERDICT ([0-9a-f]{8,32}):", prompt)
    return str(found[-1]) if found else None


def answers_of(prompt: str) -> tuple[str, str]:
    """The two answers between the fences `<<<ANSWER A {boundary}` and `ANSWER A {boundary}>>>`, and the same for B."""
    found = []
    for side in "AB":
        match = re.search(rf"^<<<ANSWER {side} (\S+)$\n(.*?)^ANSWER {side} \1>>>$", prompt, re.DOTALL | re.MULTILINE)
        found.append(match.group(2) if match else "")
    return found[0], found[1]


def _verdict(body: Body, preference: str) -> str:
    nonce = nonce_of(prompt_of(body))
    return echo(body) if nonce is None else f"The two answers were compared.\n\nVERDICT {nonce}: {preference}"


BEHAVIOURS: dict[str, Behaviour] = {
    "echo": echo,
    "judge-first": judge_first,
    "judge-longer": judge_longer,
    "judge-garbage": judge_garbage,
}


class Endpoint:
    """The server. `reply` is a behaviour by name or a function of the request; a dict it returns is the body as it is.

    `capacity`: requests at once, 429 above it. `latency`: seconds a reply takes. `faults`: either rates by name, drawn
    from `seed`, the body and how often it was seen, so they do not depend on the order of arrival; or the faults of the
    1st, 2nd, ... request (None: no fault). `refuses`: arguments answered with a 400. `key`: the only key it accepts.
    `model`: what is echoed instead of the model that was asked for. `models`: the only names it knows.
    """

    def __init__(
        self,
        reply: str | Behaviour = "echo",
        *,
        port: int = 0,
        capacity: int | None = None,
        latency: float = 0.0,
        faults: Mapping[str, float] | Sequence[str | None] = (),
        seed: int = 0,
        refuses: Sequence[str] = (),
        key: str | None = None,
        model: str | None = None,
        models: Sequence[str] = (),
        drip: float = 0.05,
        redirect: str = "http://127.0.0.1:9/v1",
    ):
        self.reply = BEHAVIOURS[reply] if isinstance(reply, str) else reply
        self.capacity, self.latency, self.faults, self.seed = capacity, latency, faults, seed
        self.refuses, self.key, self.model, self.models = tuple(refuses), key, model, tuple(models)
        self.drip, self.redirect = drip, redirect
        self.requests = 0
        self.statuses: Counter[str] = Counter()  # what was answered: a status, or the name of a fault
        self.bodies: Counter[str] = Counter()  # digest of a request's body -> how often it came
        self.answered: Counter[str] = Counter()  # the same, only when it got its reply: what a provider bills
        self.authorizations: Counter[str] = Counter()
        self.headers: list[dict[str, str]] = []  # of the first 100 requests
        self.received: list[Body] = []  # the first 10,000 bodies
        self.in_flight = self.peak = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.endpoint = self
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Endpoint:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def stats(self) -> dict[str, Any]:
        """What it saw. `billed_twice` counts the bodies that got a reply more than once."""
        with self._lock:
            return {
                "requests": self.requests,
                "statuses": dict(self.statuses),
                "distinct": len(self.bodies),
                "answered": sum(count > 0 for count in self.answered.values()),
                "billed_twice": sum(count > 1 for count in self.answered.values()),
                "in_flight": self.in_flight,
                "peak": self.peak,
            }

    def handle(self, handler: _Handler, body: Body, chat: bool) -> None:
        """Answer one request, or fail it."""
        name = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        with self._lock:
            self.requests += 1
            self.bodies[name] += 1
            self.authorizations[handler.headers.get("authorization", "")] += 1
            if len(self.headers) < 100:
                self.headers.append({key.lower(): value for key, value in handler.headers.items()})
            if len(self.received) < 10_000:
                self.received.append(body)
            fault = self._draw(name)
            self.in_flight += 1
            self.peak = max(self.peak, self.in_flight)
            crowded = self.capacity is not None and self.in_flight > self.capacity
        if crowded:
            outcome: str = "429"
            write: Callable[[], None] = partial(self._status, handler, "429")
        else:
            outcome, write = self._outcome(handler, body, chat, fault)
        with self._lock:  # counted before it is sent: whoever has the reply finds it in the counters
            self.statuses[outcome] += 1
            self.answered[name] += outcome == "200"
            self.in_flight -= outcome not in ("hang", "drip")
        try:
            write()
        finally:
            with self._lock:
                self.in_flight -= outcome in ("hang", "drip")

    def _draw(self, name: str) -> str | None:
        if not isinstance(self.faults, Mapping):
            return self.faults[self.requests - 1] if self.requests <= len(self.faults) else None
        text = f"{self.seed}\0{name}\0{self.bodies[name]}"
        at = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2**64
        for fault, rate in self.faults.items():
            if at < rate:
                return fault
            at -= rate
        return None

    def _outcome(self, handler: _Handler, body: Body, chat: bool, fault: str | None) -> tuple[str, Callable[[], None]]:
        """What the request gets: its name, and the function that sends it."""
        given = handler.headers.get("authorization", "").removeprefix("Bearer ")
        if self.key is not None and given != self.key:
            fault = "401"
        elif self.models and body.get("model") not in self.models:
            fault = "404"
        for argument in self.refuses:
            if argument in body:
                return "400", partial(self._refuse, handler, argument)
        if self.latency:
            self._closing.wait(self.latency)
        if fault is not None:
            return fault.split(":")[0], partial(self._fault, handler, body, chat, fault)
        said = self.reply(body)
        return "200", partial(handler.answer, 200, said if isinstance(said, dict) else self.body(body, said, chat))

    def body(self, asked: Body, text: str | None, chat: bool = True, finish: str = "stop", **message: Any) -> Body:
        """The body of a good reply; `message` adds fields to the message."""
        choice: Body = {"index": 0, "finish_reason": finish, "logprobs": None}
        choice |= {"message": {"role": "assistant", "content": text, **message}} if chat else {"text": text}
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion" if chat else "text_completion",
            "created": 1_700_000_000,
            "model": self.model or asked.get("model", ""),
            "choices": [choice],
            "usage": {
                "prompt_tokens": len(prompt_of(asked)) // 4,
                "completion_tokens": len(text or "") // 4,
                "total_tokens": (len(prompt_of(asked)) + len(text or "")) // 4,
            },
        }

    def _refuse(self, handler: _Handler, argument: str) -> None:
        """The words of OpenAI's reasoning models."""
        if argument == "max_tokens":
            said = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' "
            said += "instead."
        else:
            said = f"Unsupported value: '{argument}' does not support this value with this model."
        error = {"message": said, "type": "invalid_request_error", "param": argument, "code": "unsupported_parameter"}
        handler.answer(400, {"error": error})

    def _fault(self, handler: _Handler, asked: Body, chat: bool, fault: str) -> None:
        good = self.body(asked, echo(asked), chat)
        match fault:
            case "reset":
                handler.reset()
            case "half":  # the length of the whole is announced, half of it comes
                handler.send(200, json.dumps(good).encode(), share=0.5)
            case "truncated":  # a whole answer of half a JSON
                text = json.dumps(good)
                handler.send(200, text[: len(text) // 2].encode())
            case "html":
                handler.send(200, HTML.encode(), {"content-type": "text/html"})
            case "empty_choices":
                handler.answer(200, good | {"choices": []})
            case "schema":
                handler.answer(200, {"result": {"output": "forty-two"}})
            case "text":
                handler.answer(200, "forty-two")
            case "error_200":
                handler.answer(200, {"error": {"message": "upstream overloaded", "code": 529}})
            case "null":
                handler.answer(200, self.body(asked, None, chat))
            case "empty":
                handler.answer(200, self.body(asked, "", chat))
            case "refusal":
                handler.answer(200, self.body(asked, None, chat, refusal="I can't help with that."))
            case "content_filter":
                handler.answer(200, self.body(asked, "The first half", chat, finish="content_filter"))
            case "length":
                handler.answer(200, self.body(asked, "The first half", chat, finish="length"))
            case "length_empty":
                handler.answer(200, self.body(asked, "", chat, finish="length"))
            case "hang":
                self._closing.wait(600)
            case "drip":
                handler.drip(json.dumps(good).encode(), self.drip, self._closing)
            case "redirect":
                handler.send(302, b"", {"location": f"{self.redirect}/chat/completions"})
            case "no_model":
                error = {"message": f"The model `{asked.get('model')}` does not exist", "type": "NotFoundError"}
                handler.answer(400, {"error": error})
            case "too_long":
                said = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001."
                handler.answer(
                    400, {"error": {"message": said, "code": "context_length_exceeded", "param": "messages"}}
                )
            case "no_money":
                said = "You exceeded your current quota, please check your plan and billing details."
                handler.answer(429, {"error": {"message": said, "code": "insufficient_quota"}})
            case _:
                self._status(handler, fault)

    def _status(self, handler: _Handler, fault: str) -> None:
        status, _, wait = fault.partition(":")
        given = handler.headers.get("authorization", "").removeprefix("Bearer ")
        said = {
            "401": f"Incorrect API key provided: {given}.",
            "404": "The model does not exist or you do not have access to it.",
            "429": "Rate limit reached for requests.",
        }.get(status, f"The server had an error ({status}).")
        if wait.startswith("date:"):
            wait = formatdate(time.time() + float(wait.removeprefix("date:")), usegmt=True)
        headers = {"retry-after": wait} if wait else {}
        handler.answer(int(status), {"error": {"message": said, "type": "error", "code": None}}, headers)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024
    endpoint: Endpoint

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is no news; anything else is a bug in this file."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        path = self.path.rstrip("/")
        if path in ("/v1/chat/completions", "/v1/completions"):
            self.server.endpoint.handle(self, body, chat=path == "/v1/chat/completions")
        else:
            self.answer(404, {"error": {"message": f"no such path: {self.path}"}})

    def do_GET(self) -> None:
        if self.path == "/stats":
            self.answer(200, self.server.endpoint.stats())
        elif self.path == "/v1/models":
            names = self.server.endpoint.models or ("test-model",)
            self.answer(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in names]})
        else:
            self.answer(404, {"error": {"message": f"no such path: {self.path}"}})

    def answer(self, status: int, value: Any, headers: Mapping[str, str] | None = None) -> None:
        self.send(status, json.dumps(value).encode(), headers)

    def send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None, share: float = 1.0) -> None:
        """One response in one write; of the body only the first `share`, and then the line is cut."""
        fields = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
        lines = [f"HTTP/1.1 {status} _", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        self.wfile.write("\r\n".join(lines).encode("latin-1") + body[: round(len(body) * share)])
        self.close_connection = share < 1 or self.headers.get("connection", "").lower() == "close"

    def reset(self) -> None:
        """An RST instead of an answer."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def drip(self, body: bytes, pause: float, closing: threading.Event) -> None:
        """A byte, a pause, a byte."""
        self.send(200, body, share=1 / len(body))
        for byte in body[1:]:
            if closing.wait(pause):
                return
            self.wfile.write(bytes([byte]))

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: the counters tell."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--reply", choices=sorted(BEHAVIOURS), default="echo")
    parser.add_argument("--capacity", type=int)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--fault", action="append", default=[], metavar="NAME=RATE", help="may be given again")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--refuse", action="append", default=[], metavar="ARGUMENT")
    parser.add_argument("--key")
    parser.add_argument("--model")
    parser.add_argument("--drip", type=float, default=1.0)
    given = parser.parse_args()
    endpoint = Endpoint(
        given.reply,
        port=given.port,
        capacity=given.capacity,
        latency=given.latency,
        faults={name: float(rate) for name, rate in (fault.rsplit("=", 1) for fault in given.fault)},
        seed=given.seed,
        refuses=given.refuse,
        key=given.key,
        model=given.model,
        drip=given.drip,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    with endpoint:
        print(json.dumps({"port": endpoint.port, "url": endpoint.url}), flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
