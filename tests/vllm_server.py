"""A real HTTP server in the dialect of vLLM 0.33, without a model: it refuses, counts and words things as vLLM does.

In a test:

    with VllmServer("base", adapters={"sft": "/runs/sft"}, max_model_len=64) as server:
        ... base_url=server.url ...

As a process, by the flags of `vllm serve` (`serve(argv)`, which tests/standin/vllm calls). Its tokens are words with
the blanks before them. What it answers is a behaviour of tests/endpoint.py, or a function of the request. Source:
vLLM's documentation and sources (vllm/entrypoints/openai/chat_completion/protocol.py and its neighbours).
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import math
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from endpoint import BEHAVIOURS, Behaviour, Body, Endpoint, _Handler, answers_of, echo, prompt_of

TOKEN = re.compile(r"<think>|</think>|\s*[^\s<]+|\s*<|\s+$")
TEMPLATE = "the template of the weights"


def tokens_of(text: str) -> list[str]:
    return TOKEN.findall(text)


def is_alive(pid: int) -> bool:
    """Whether a process is there, and has not ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def verdict_longer(body: Body) -> str:
    """A judge of one word, that prefers the longer answer; asked for no verdict, it echoes."""
    if "ANSWER A" not in prompt_of(body):
        return echo(body)
    a, b = (len(text) for text in answers_of(prompt_of(body)))
    return "A" if a > b else "B" if b > a else "="


def draws(body: Body) -> str:
    """Two words drawn by the seed, the adapter and the question: what a sampled answer depends on."""
    named = json.dumps([body.get("seed"), body["model"], body["messages"]])
    return "drawn " + hashlib.sha256(named.encode()).hexdigest()[:8]


class VllmServer(Endpoint):
    """`serves`: the name of the weights; `root`: their folder; `adapters`: folders by name. `template`: None where the
    weights have no chat template; `opens`: what it writes at the end of every prompt.
    """

    def __init__(
        self,
        serves: str = "base",
        *,
        root: str = "",
        adapters: Mapping[str, str] | None = None,
        reply: str | Behaviour = "echo",
        max_model_len: int = 4096,
        template: str | None = TEMPLATE,
        trusts_template: bool = False,
        opens: str = "",
        **more: Any,
    ):
        said = BEHAVIOURS[reply] if isinstance(reply, str) else reply
        super().__init__(lambda body: self.completed(body, said(body)), speaks=Handler, **more)
        self.serves, self.root, self.adapters = serves, root or serves, dict(adapters or {})
        self.max_model_len, self.template, self.trusts_template, self.opens = (
            max_model_len,
            template,
            trusts_template,
            opens,
        )
        self.lines: set[socket.socket] = set()
        self.asleep = self.dead = False
        self.looked = 0  # how often /v1/models was asked for

    def die(self) -> None:
        """As a kill does: nobody listens any more, and every open line is cut."""
        self.dead = True
        self._server.shutdown()
        self._server.server_close()
        for line in tuple(self.lines):
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def cards(self) -> Body:
        cards: list[Body] = [{"id": self.serves, "root": self.root, "max_model_len": self.max_model_len}]
        cards += [{"id": name, "root": path, "parent": self.serves} for name, path in self.adapters.items()]
        return {"object": "list", "data": [{"object": "model", "owned_by": "vllm", **card} for card in cards]}

    def count(self, body: Body) -> int:
        """The tokens of a prompt: its words, and three for each turn."""
        if "prompt" in body:
            return len(tokens_of(str(body["prompt"])))
        return sum(len(tokens_of(m["content"])) + 3 for m in body["messages"]) + len(tokens_of(self.opens))

    def refused(self, body: Body) -> tuple[int, str, str | None] | None:
        """Status, message and parameter of a refusal; None where the request can be answered."""
        if body.get("model") not in (self.serves, *self.adapters):
            return 404, f"The model `{body.get('model')}` does not exist.", "model"
        if body.get("chat_template") is not None and not self.trusts_template:
            said = "Chat template is passed with request, but --trust-request-chat-template is not set. "
            return 400, said + "Refused request with untrusted chat template.", None
        if "messages" in body and self.template is None and body.get("chat_template") is None:
            said = "As of transformers v4.44, default chat template is no longer allowed, so you must provide a chat "
            return 400, said + "template if the tokenizer does not define one.", None
        wanted, limit, count = body.get("max_tokens") or 0, self.max_model_len, self.count(body)
        if wanted > limit:
            said = f"max_tokens={wanted} cannot be greater than max_model_len=max_total_tokens={limit}. "
            return 400, said + "Please request fewer output tokens.", "max_tokens"
        if count + wanted > limit or count >= limit:
            said = (
                f"This model's maximum context length is {limit} tokens. However, you requested {wanted} output tokens "
            )
            said += f"and your prompt contains at least {limit - wanted + 1} input tokens, for a total of at least "
            said += (
                f"{limit + 1} tokens. Please reduce the length of the input prompt or the number of requested output "
            )
            return 400, said + "tokens.", "input_tokens"
        if unknown := set(body.get("structured_outputs") or ()) - {"json", "regex", "choice", "grammar", "json_object"}:
            return 400, f"Unexpected keyword argument {sorted(unknown)[0]!r} in structured_outputs", None
        return None

    def _outcome(
        self, handler: Any, body: Body, chat: bool, fault: str | None
    ) -> tuple[str, Callable[[], None], Body | None]:
        if self.asleep:
            fault = "503"
        if fault == "abort":  # what a server that is put to sleep says of what it was at
            good = self.completed(body, echo(body))
            good["choices"][0] |= {"finish_reason": "abort"}
            good["choices"][0]["message"]["content"] = "half of an"
            return "abort", partial(handler.answer, 200, good), good
        if fault is None and (refused := self.refused(body)):
            return str(refused[0]), partial(handler.fail, *refused), None
        return super()._outcome(handler, body, chat, fault)

    def completed(self, body: Body, said: str | dict[str, Any]) -> dict[str, Any]:
        """The body of a good answer, with every field that vLLM writes."""
        if isinstance(said, dict):
            return said
        if choices := (body.get("structured_outputs") or {}).get("choice"):
            said = next((choice for choice in choices if choice in said), choices[0])
        for stop in body.get("stop") or ():
            said = said.split(stop)[0]
        taken = tokens_of(said)
        most = body.get("max_tokens") or self.max_model_len
        finish = "length" if len(taken) > most else "stop"
        taken = taken[:most]
        choice: dict[str, Any] = {
            "index": 0,
            "message": {"role": "assistant", "content": "".join(taken), "refusal": None, "reasoning": None},
            "logprobs": None,
            "finish_reason": finish,
            "stop_reason": None,
            "token_ids": None,
        }
        if body.get("logprobs"):
            choice["logprobs"] = {"content": [_place(token, body.get("top_logprobs", 0)) for token in taken]}
        prompt = self.count(body)
        usage = {"prompt_tokens": prompt, "completion_tokens": len(taken) + (finish == "stop")}
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": body["model"],
            "choices": [choice],
            "service_tier": None,
            "system_fingerprint": "vllm-0.33.0-00000000",
            "usage": usage | {"total_tokens": sum(usage.values()), "prompt_tokens_details": None},
            "prompt_logprobs": None,
            "kv_transfer_params": None,
        }


def _place(token: str, top: int) -> dict[str, Any]:
    """A token and the likeliest at its place; the words of a verdict are among them."""
    others = [word for word in ("A", "B", "=") if word != token.strip()]
    told = [(token, math.log(0.7)), *((word, math.log(0.2 / (i + 1))) for i, word in enumerate(others))]
    told += [(f"w{i}", -9999.0) for i in range(top)]
    listed = [{"token": word, "logprob": value, "bytes": list(word.encode())} for word, value in told]
    return {**listed[0], "top_logprobs": listed[:top]}


class PoolingServer(VllmServer):
    """`vllm serve MODEL --runner pooling`: the `reward` of the last message, or its sigmoid."""

    def __init__(self, serves: str, reward: Callable[[str], float], **more: Any):
        super().__init__(serves, reply=self._pooled, **more)
        self.reward = reward

    def refused(self, body: Body) -> tuple[int, str, str | None] | None:
        if body.get("task") not in ("embed", "classify", "token_embed", "token_classify", "plugin"):
            return 400, f"Unsupported task: {body.get('task')!r}", "task"
        return super().refused(body)

    def _pooled(self, body: Body) -> dict[str, Any]:
        value = self.reward(body["messages"][-1]["content"])
        if body.get("use_activation") is not False:
            value = 1 / (1 + math.exp(-value))
        data: list[Any] = [value] if body["task"] == "classify" else [[0.0], [value]]
        usage = {"prompt_tokens": self.count(body), "total_tokens": self.count(body), "completion_tokens": 0}
        one = {"index": 0, "object": "pooling", "data": data}
        return {"id": "pool-1", "object": "list", "created": 1, "model": body["model"], "data": [one], "usage": usage}


class Handler(_Handler):
    """What vLLM serves beside completions. It wants its key below /v1 alone."""

    def setup(self) -> None:
        super().setup()
        self.server.endpoint.lines.add(self.connection)  # type: ignore[attr-defined]

    def do_GET(self) -> None:
        server: Any = self.server.endpoint
        if self.path == "/health":
            self.send(503 if server.asleep else 200, b"")
        elif self.path == "/v1/models":
            server.looked += 1
            given = self.headers.get("authorization", "").removeprefix("Bearer ")
            if server.asleep:
                self.answer(503, {"error": {"message": "The model is asleep.", "type": "ServiceUnavailable"}})
            elif server.key is not None and given != server.key:
                self.answer(401, {"error": "Unauthorized"})
            else:
                self.answer(200, server.cards())
        else:
            super().do_GET()

    def do_POST(self) -> None:
        server: Any = self.server.endpoint
        if self.path != "/tokenize":
            try:
                super().do_POST()
            except ValueError:  # half of a request, cut off by `die`
                self.close_connection = server.dead
                if not server.dead:
                    raise
            return
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
        told: Body = {"count": server.count(body), "max_model_len": server.max_model_len, "tokens": []}
        if body.get("return_token_strs"):
            told["token_strs"] = tokens_of(prompt_of(body) + " assistant " + server.opens)
        self.answer(200, told)

    def fail(self, status: int, message: str, parameter: str | None) -> None:
        kind = {404: "NotFoundError"}.get(status, "BadRequestError")
        self.answer(status, {"error": {"message": message, "type": kind, "param": parameter, "code": status}})


class _Mortal(VllmServer):
    """Ends, as its engine does, at the request after so many."""

    dies_after = math.inf

    def handle(self, handler: Any, body: Body, chat: bool) -> None:
        if self.requests >= self.dies_after:
            print("RuntimeError: CUDA error: an illegal memory access was encountered", flush=True)
            os._exit(1)
        super().handle(handler, body, chat)


def serve(argv: Sequence[str]) -> None:
    """`vllm serve` as a process. $STANDIN_VLLM (JSON) says how it behaves: `load` seconds, `dies` with a last word,
    `reply`, `told` (a file that gets the arguments and the environment), `dies_after` requests.
    """
    given, asked = _parsed(argv), json.loads(os.environ.get("STANDIN_VLLM", "{}"))
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])  # as vLLM's engine is one
    if "told" in asked:
        told = {"argv": list(argv), "environment": dict(os.environ), "pids": [os.getpid(), child.pid]}
        with open(asked["told"], "a", encoding="utf-8") as file:
            file.write(json.dumps(told) + "\n")
    print("INFO loading weights", flush=True)
    time.sleep(asked.get("load", 0.0))
    if "dies" in asked:
        print(f"Traceback (most recent call last):\n  File\nRuntimeError: {asked['dies']}", file=sys.stderr)
        print("RuntimeError: Engine core initialization failed. See root cause above.", file=sys.stderr, flush=True)
        child.kill()
        sys.exit(1)
    adapters = {one["name"]: one["path"] for one in map(json.loads, given.lora_modules)}
    assert given.enable_lora or not adapters
    behaviour = {"verdict-longer": verdict_longer, "draws": draws}.get(asked.get("reply", "draws")) or asked["reply"]
    with _Mortal(
        given.served_model_name or given.model,
        root=given.model,
        adapters=adapters,
        reply=behaviour,
        port=given.port,
        key=os.environ.get("VLLM_API_KEY"),
        max_model_len=given.max_model_len or 4096,
        trusts_template=given.trust_request_chat_template,
        latency=asked.get("latency", 0.0),
    ) as server:
        server.dies_after = asked.get("dies_after", math.inf)
        threading.Event().wait()


def _parsed(argv: Sequence[str]) -> argparse.Namespace:
    """The flags, as strictly as vLLM reads them: an unknown one ends it."""
    parser = argparse.ArgumentParser(prog="vllm serve", allow_abbrev=False)
    parser.add_argument("model")
    parser.add_argument("--host")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--served-model-name")
    parser.add_argument("--tokenizer")
    parser.add_argument("--dtype", choices=["auto", "half", "float16", "bfloat16", "float", "float32"])
    parser.add_argument("--generation-config", default="auto")
    parser.add_argument("--tensor-parallel-size", type=int)
    parser.add_argument("--gpu-memory-utilization", type=float)
    parser.add_argument("--quantization")
    parser.add_argument("--load-format", choices=["auto", "pt", "safetensors", "dummy", "bitsandbytes"])
    parser.add_argument("--max-model-len", type=int)
    parser.add_argument("--enable-lora", action="store_true")
    parser.add_argument("--max-loras", type=int)
    parser.add_argument("--max-lora-rank", type=int, choices=[1, 8, 16, 32, 64, 128, 256, 320, 512])
    parser.add_argument("--lora-modules", nargs="+", default=[])
    parser.add_argument("--chat-template")
    parser.add_argument("--trust-request-chat-template", action="store_true")
    parser.add_argument("--chat-template-content-format", choices=["auto", "string", "openai"])
    return parser.parse_args(argv)
