"""A real OpenAI-compatible server on this machine that fails the way real ones do, on a schedule.

In a test:

    with Endpoint(reply="judge-first", capacity=8, faults={"500": 0.1, "reset": 0.1}, seed=1) as endpoint:
        ... base_url=endpoint.url ...
        assert endpoint.requests <= 120

As a process of its own, for tests that kill the client (one line of JSON with `port` and `url`, then it serves until it
is terminated; `GET /stats` tells what it saw):

    python tests/endpoint.py --port 0 --reply judge-longer --capacity 8 --fault 500=0.1 --latency 0.02

With `batches=True` it has /v1/files and /v1/batches, too, as OpenAI has them: the lines of a batch are answered, or
fail, by the same behaviour and the same faults as direct calls.

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
from urllib.parse import parse_qs, urlsplit

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


SAID = {"length": "The first half", "content_filter": "The first half", "empty": "", "length_empty": "", "null": None}
UNBILLED = frozenset({"redirect", "no_model", "too_long", "no_money"})  # refusals; all else costs what was written


class Endpoint:
    """The server. `reply` is a behaviour by name or a function of the request; a dict it returns is the body as it is.

    `capacity`: requests at once, 429 above it. `latency`: seconds a reply takes, or a function of the request.
    `faults`: either rates by name, drawn from `seed`, the body and how often it was seen, so they do not depend on the
    order of arrival; or the faults of the 1st, 2nd, ... request (None: no fault). `refuses`: arguments answered with a
    400. `key`: the only key it accepts.
    `model`: what is echoed instead of the model that was asked for. `models`: the only names it knows.

    `batches`: whether it has a batch API. `batch_delay`: seconds until a batch is completed. `batch_expires`: answer so
    many of its lines, and let it expire then. `batch_faults`: of the 1st, 2nd, ... request to the batch API ("lost": it
    is done, and the line is cut before it is answered). `told` is called with what was done ("uploaded", "created",
    "looked", "listed", "read", "cancelled") before the answer is sent.
    """

    def __init__(
        self,
        reply: str | Behaviour = "echo",
        *,
        port: int = 0,
        capacity: int | None = None,
        latency: float | Callable[[Body], float] = 0.0,
        faults: Mapping[str, float] | Sequence[str | None] = (),
        seed: int = 0,
        refuses: Sequence[str] = (),
        key: str | None = None,
        model: str | None = None,
        models: Sequence[str] = (),
        drip: float = 0.05,
        redirect: str = "http://127.0.0.1:9/v1",
        batches: bool = False,
        batch_delay: float = 0.0,
        batch_expires: int | None = None,
        batch_faults: Sequence[str | None] = (),
        told: Callable[[str], None] | None = None,
        speaks: type[_Handler] | None = None,
    ):
        self.speaks = speaks or _Handler
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
        self.billed: dict[str, list[int]] = {}  # tokens in and out by model, also of answers that never arrived
        self.in_flight = self.peak = 0
        self.provider = Provider(self, batch_delay, batch_expires, batch_faults, told) if batches else None
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._server = _Server(("127.0.0.1", port), self.speaks)
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
            said: Body | None = None
        else:
            outcome, write, said = self._outcome(handler, body, chat, fault)
        with self._lock:  # counted before it is sent: whoever has the reply finds it in the counters
            self.statuses[outcome] += 1
            self.answered[name] += outcome == "200"
            self._bill(body, chat, outcome, said)
            self.in_flight -= outcome not in ("hang", "drip")
        try:
            write()
        finally:
            with self._lock:
                self.in_flight -= outcome in ("hang", "drip")

    def _bill(self, asked: Body, chat: bool, fault: str, said: Body | None) -> None:
        """Count the tokens of `said`, or of what a fault keeps from arriving. Hold the lock."""
        if said is None:
            if fault.isdigit() or fault in UNBILLED:
                return
            said = self.body(asked, SAID.get(fault, echo(asked)), chat)
        usage = said.get("usage") or {}
        counts = self.billed.setdefault(str(asked.get("model")), [0, 0])
        counts[0] += usage.get("prompt_tokens", 0)
        counts[1] += usage.get("completion_tokens", 0)

    def answer_line(self, asked: Body, chat: bool) -> tuple[int, Any]:
        """The status and body that one line of a batch gets."""
        name = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
        with self._lock:
            self.requests += 1
            self.bodies[name] += 1
            self.received.append(asked)
            fault = self._draw(name)
        line = _Line()
        outcome, write, said = self._outcome(line, asked, chat, fault)
        write()
        with self._lock:
            self.statuses[outcome] += 1
            self.answered[name] += outcome == "200"
            self._bill(asked, chat, outcome, said)
        return line.status, line.value

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

    def _outcome(
        self, handler: Any, body: Body, chat: bool, fault: str | None
    ) -> tuple[str, Callable[[], None], Body | None]:
        """What the request gets: its name, the function that sends it, and the body of a good reply."""
        given = handler.headers.get("authorization", "").removeprefix("Bearer ")
        if self.key is not None and given != self.key and not isinstance(handler, _Line):
            fault = "401"
        elif self.models and body.get("model") not in self.models:
            fault = "404"
        for argument in self.refuses:
            if argument in body:
                return "400", partial(self._refuse, handler, argument), None
        if latency := self.latency(body) if callable(self.latency) else self.latency:
            self._closing.wait(latency)
        if fault is not None:
            return fault.split(":")[0], partial(self._fault, handler, body, chat, fault), None
        said = self.reply(body)
        good = said if isinstance(said, dict) else self.body(body, said, chat)
        return "200", partial(handler.answer, 200, good), good

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


class _Line:
    """Stands where a handler stands, for the answer to one line of a batch."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.status, self.value = 0, None

    def answer(self, status: int, value: Any, headers: Mapping[str, str] | None = None) -> None:
        self.status, self.value = status, value


class Provider:
    """The batch API: files, and batches that go from validating over in_progress to their end while one looks."""

    def __init__(
        self,
        endpoint: Endpoint,
        delay: float,
        expires: int | None,
        faults: Sequence[str | None],
        told: Callable[[str], None] | None,
    ):
        self.endpoint, self.delay, self.expires, self.told = endpoint, delay, expires, told
        self.faults = list(faults)
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, Body] = {}  # in the order of their making
        self.answered: Counter[str] = Counter()  # custom_id -> how often it was answered: what a provider bills
        self._began: dict[str, float] = {}
        self._lock = threading.RLock()

    def handle(self, handler: _Handler, method: str, body: bytes) -> None:
        given = handler.headers.get("authorization", "").removeprefix("Bearer ")
        with self._lock:
            fault = self.faults.pop(0) if self.faults else None
            if self.endpoint.key is not None and given != self.endpoint.key:
                fault = "401"
            if fault not in (None, "lost"):
                self.endpoint._status(handler, str(fault))
                return
            done, status, value = self._do(handler, method, body)
        if self.told is not None:
            self.told(done)
        if fault == "lost":
            handler.reset()
        elif isinstance(value, bytes):
            handler.send(status, value, {"content-type": "application/octet-stream"})
        else:
            handler.answer(status, value)

    def _do(self, handler: _Handler, method: str, body: bytes) -> tuple[str, int, Any]:
        url = urlsplit(handler.path)
        match method, *url.path.rstrip("/").split("/")[2:]:
            case "POST", "files":
                return "uploaded", 200, self._upload(handler, body)
            case "GET", "files", name, "content" if name in self.files:
                return "read", 200, self.files[name]
            case "POST", "batches":
                return self._create(json.loads(body))
            case "GET", "batches":
                return "listed", 200, self._list(parse_qs(url.query))
            case "GET", "batches", name if name in self.batches:
                return "looked", 200, self._advanced(name)
            case "POST", "batches", name, "cancel" if name in self.batches:
                self.batches[name]["status"] = "cancelled"
                return "cancelled", 200, self.batches[name]
        return "", 404, {"error": {"message": f"No such object: {url.path}", "type": "invalid_request_error"}}

    def _upload(self, handler: _Handler, body: bytes) -> Body:
        boundary = handler.headers["content-type"].partition("boundary=")[2].strip('"').encode()
        fields = {}
        for part in body.split(b"--" + boundary)[1:-1]:
            head, _, content = part.partition(b"\r\n\r\n")
            name = re.search(rb'name="([^"]*)"', head)
            fields[name.group(1) if name else b""] = content.removesuffix(b"\r\n")
        assert fields[b"purpose"] == b"batch", fields.keys()
        name = f"file-{len(self.files)}"
        self.files[name] = fields[b"file"]
        return {"id": name, "object": "file", "bytes": len(fields[b"file"]), "purpose": "batch", "filename": "x.jsonl"}

    def _create(self, asked: Body) -> tuple[str, int, Any]:
        if asked["input_file_id"] not in self.files or asked["completion_window"] != "24h":
            return "", 400, {"error": {"message": "Invalid input file.", "type": "invalid_request_error"}}
        name = f"batch_{len(self.batches)}"
        self.batches[name] = {
            "id": name,
            "object": "batch",
            "endpoint": asked["endpoint"],
            "input_file_id": asked["input_file_id"],
            "completion_window": "24h",
            "status": "validating",
            "errors": None,
            "output_file_id": None,
            "error_file_id": None,
            "created_at": int(time.time()),
            "metadata": asked.get("metadata"),
        }
        self._began[name] = time.monotonic()
        return "created", 200, self.batches[name]

    def _list(self, query: Mapping[str, list[str]]) -> Body:
        newest = list(self.batches)[::-1]
        if after := query.get("after"):
            newest = newest[newest.index(after[0]) + 1 :]
        page = newest[: int(query.get("limit", ["20"])[0])]
        data = [self._advanced(name) for name in page]
        return {"object": "list", "data": data, "has_more": len(page) < len(newest)}

    def _advanced(self, name: str) -> Body:
        """The batch as it is now; its lines are answered when its time has come."""
        batch = self.batches[name]
        age = time.monotonic() - self._began[name]
        if batch["status"] == "validating" and age >= self.delay / 3:
            batch["status"] = "in_progress"
        if batch["status"] == "in_progress" and age >= self.delay:
            self._answer(batch)
        return batch

    def _answer(self, batch: Body) -> None:
        good, bad = [], []
        lines = [json.loads(text) for text in self.files[batch["input_file_id"]].splitlines()]
        if len({line["custom_id"] for line in lines}) < len(lines) or any(u["url"] != batch["endpoint"] for u in lines):
            message = "A custom_id comes twice, or a url is not the endpoint of the batch."
            batch |= {"status": "failed", "errors": {"object": "list", "data": [{"message": message}]}}
            return
        for number, line in enumerate(lines):
            told: Body = {"id": f"batch_req_{number}", "custom_id": line["custom_id"], "response": None, "error": None}
            if self.expires is not None and number >= self.expires:
                message = "This request could not be executed before the completion window expired."
                bad.append(told | {"error": {"code": "batch_expired", "message": message}})
                continue
            status, body = self.endpoint.answer_line(line["body"], line["url"] == "/v1/chat/completions")
            told["response"] = {"status_code": status, "request_id": f"req_{number}", "body": body}
            self.answered[line["custom_id"]] += status == 200
            (good if status == 200 else bad).append(told)
        for field, rows in (("output_file_id", good[::-1]), ("error_file_id", bad)):  # in no order that one may rely on
            if rows:
                batch[field] = f"file-{len(self.files)}"
                self.files[batch[field]] = "".join(json.dumps(row) + "\n" for row in rows).encode()
        batch["status"] = "completed" if self.expires is None else "expired"


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
        sent = self.rfile.read(int(self.headers.get("content-length", 0)))
        path = self.path.rstrip("/")
        if self._is_for_batches():
            assert self.server.endpoint.provider is not None
            self.server.endpoint.provider.handle(self, "POST", sent)
            return
        if path in ("/v1/chat/completions", "/v1/completions", "/pooling"):
            body = json.loads(sent)
            self.server.endpoint.handle(self, body, chat=path != "/v1/completions")
        else:
            self.answer(404, {"error": {"message": f"no such path: {self.path}"}})

    def _is_for_batches(self) -> bool:
        return self.server.endpoint.provider is not None and self.path.startswith(("/v1/files", "/v1/batches"))

    def do_GET(self) -> None:
        if self._is_for_batches():
            assert self.server.endpoint.provider is not None
            self.server.endpoint.provider.handle(self, "GET", b"")
        elif self.path == "/stats":
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
