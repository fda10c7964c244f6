"""A vLLM server behind the endpoint: asked in vLLM's words, read as it streams, and what it refuses passed on."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from sciexam.models.streaming import Sampling
from sciexam.models.vllm_wire import Asked as Named
from sciexam.serve.engine import Ended, Event, write_all
from sciexam.serve.refusal import Refusal
from sciexam.serve.request import Asked
from sciexam.serve.upstream import UpstreamEngine
from sciexam.types import Message

PLACE = {
    "token": "Be",
    "logprob": -0.5,
    "bytes": None,
    "top_logprobs": [{"token": "Be", "logprob": -0.5, "bytes": None}],
}
CHUNKS: list[dict[str, Any]] = [
    {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]},
    {"choices": [{"index": 0, "delta": {"content": "Be"}, "logprobs": {"content": [PLACE]}}]},
    {"choices": [{"index": 0, "delta": {"content": "cause"}, "finish_reason": "length"}]},
    {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}},
]


class Handler(BaseHTTPRequestHandler):
    """Streams as vLLM 0.33 does; a question of `refuse` gets its error instead."""

    asked: list[tuple[str, dict[str, Any], str]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.asked.append((self.path, body, self.headers["authorization"]))
        if "refuse" in json.dumps(body):
            told = {"error": {"message": "This model's maximum context length is 9 tokens.", "param": "input_tokens"}}
            self._send(400, "application/json", json.dumps(told).encode())
            return
        head = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        lines = [f"data: {json.dumps(head | chunk)}\n\n" for chunk in CHUNKS]
        self._send(200, "text/event-stream", "".join([*lines, "data: [DONE]\n\n"]).encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def upstream() -> Iterator[tuple[UpstreamEngine, list[tuple[str, dict[str, Any], str]]]]:
    Handler.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        named = Named("tuned", template="{{ messages }}", ends=(5,))
        url = f"http://127.0.0.1:{server.server_port}"
        yield UpstreamEngine("sft", "d", (url, f"{url}/v1"), "secret", named, 30.0), Handler.asked
        server.shutdown()


def written(engine: UpstreamEngine, text: str, **more: Any) -> list[Event]:
    async def collect() -> list[Event]:
        asked = Asked("sft", (Message(role="user", content=text),), **{"sampling": Sampling(2), **more})
        return [event async for event in write_all(engine, asked)]

    return asyncio.run(collect())


def test_it_is_asked_in_its_own_words_and_read_as_it_streams(upstream: Any) -> None:
    engine, asked = upstream
    events = written(engine, "Why?", sampling=Sampling(2, 0.5, 0.9, seed=3, top_logprobs=1), stop=("x",), n=2)
    for choice in range(2):
        own = [event for event in events if event.choice == choice]
        assert [event.text for event in own[:-1]] == ["Be", "cause"]
        assert own[0].tokens[0].top == (("Be", -0.5),)
        assert own[-1] == Ended("length", 7, 2, choice=choice)
    assert {body["seed"] for _, body, _ in asked} == {3, 4}
    path, body, authorization = asked[0]
    assert (path, authorization) == ("/v1/chat/completions", "Bearer secret")
    told = {"model": "tuned", "max_tokens": 2, "temperature": 0.5, "top_p": 0.9, "top_k": 0, "stop": ["x"]}
    assert body.items() >= (told | {"stop_token_ids": [5], "chat_template": "{{ messages }}"}).items()
    assert body["messages"] == [{"role": "user", "content": "Why?"}]


def test_what_it_refuses_is_told_and_what_it_does_not_answer_is_a_bad_gateway(upstream: Any) -> None:
    engine, _ = upstream
    with pytest.raises(Refusal, match="maximum context length") as refused:
        written(engine, "refuse")
    assert (refused.value.status, refused.value.param) == (400, "input_tokens")
    dead = UpstreamEngine("sft", "d", ("http://127.0.0.1:9",), None, Named("tuned"), 5.0)
    with pytest.raises(Refusal, match="does not answer") as gone:
        written(dead, "Why?")
    assert gone.value.status == 502
