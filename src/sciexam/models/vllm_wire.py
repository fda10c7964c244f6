"""The line to the replicas of one model that vLLM serves: which is asked next, in vLLM's words, and what they mean.

Sources: vLLM's documentation, OpenAI-Compatible Server and Structured Outputs (docs.vllm.ai).
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

from sciexam.errors import EndpointRefused
from sciexam.models.line import Answer, Line
from sciexam.models.replies import Fault, read_error
from sciexam.models.settings import Endpoint, Vllm
from sciexam.models.vllm_replies import context_in, parted, said_in, too_long
from sciexam.models.wire import Request, Wire
from sciexam.types import TRUNCATED, Conversation, Generation, Reply

REST = 5.0  # seconds for which a replica that failed is asked nothing while there are others
LOOK = 30.0  # seconds for what a server answers without its model

# Greedy, and nothing left out: else a server's generation_config.json would decide it, and nobody would see.
NEUTRAL = {
    "temperature": 0.0,
    "top_p": 1.0,
    "top_k": 0,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}
_NEVER_LEFT_OUT = frozenset({*NEUTRAL, "seed", "stop", "stop_token_ids", "structured_outputs", "chat_template"})
_UNTRUSTED = re.compile(r"trust[-_]request[-_]chat[-_]template")
_NO_TEMPLATE = re.compile(r"default chat template is no longer allowed")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for with every conversation of one model: `model` is its name at the server, or its adapter's."""

    model: str
    template: str | None = None  # None: that of the weights
    ends: tuple[int, ...] = ()  # tokens that end an answer, beside those that the weights have
    plain: bool = False  # asked in turns of plain text, for lack of a template


@dataclass(slots=True, eq=False)
class Replica:
    """One of several servers of a model, in one run. `model` is the name under which it serves it, once looked at."""

    line: Line
    url: str
    where: str
    model: str = ""
    in_flight: int = 0
    failed: bool = False
    rests_until: float = 0.0  # in the loop's time, where it failed
    opens_thought: bool | None = None  # whether its template ends in the word that opens a thought; None: not known
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)


class VllmWire(Wire):
    """The line to the servers at `urls`, which all serve the model that is `asked` for, or the adapter of this name.

    A request goes to the replica that has the fewest in flight. One that fails is asked nothing for a while, and then
    one request at a time until it answers again; what it owed is asked of the others. Each is looked at before its
    first request, and again after it failed: is this the model that it serves?
    """

    def __init__(self, settings: Vllm, generation: Generation, asked: Asked, urls: Sequence[str], api_key: str | None):
        addresses = tuple(with_v1(url) for url in urls)
        endpoint = endpoint_of(settings, asked.model, addresses[0])
        super().__init__(endpoint, generation, addresses[0], api_key)
        self._urls = addresses
        lines = [Wire(endpoint, generation, url, api_key) for url in self._urls]
        self._where = [line.where for line in lines]
        self._loopback = all(line._loopback for line in lines)
        self.where = ", ".join(self._where)
        self._asked_for, self._thinking = asked, settings.thinking
        self._runs: WeakKeyDictionary[Line, list[Replica]] = WeakKeyDictionary()

    def line(self) -> Line:
        line = super().line()
        self._runs[line] = [Replica(line, *address) for address in zip(self._urls, self._where, strict=True)]
        return line

    # ------------------------------------------------------------ what is asked

    def _options(self, conversation: Conversation) -> dict[str, Any]:
        options = NEUTRAL | super()._options(conversation)
        if self._asked_for.template is not None:
            options["chat_template"] = self._asked_for.template
        if self._asked_for.ends:
            options["stop_token_ids"] = list(self._asked_for.ends)
        if conversation.choices:
            options["structured_outputs"] = {"choice": list(conversation.choices)}
        return options

    def adapt(self, fault: Fault) -> bool:
        return fault.parameter not in _NEVER_LEFT_OUT and super().adapt(fault)

    # ------------------------------------------------------------ of whom it is asked

    async def _answer(self, line: Line, request: Request) -> Reply | Fault:
        replica = self._next(self._runs[line])
        replica.in_flight += 1
        try:
            outcome = await self._looked_at(replica) or await self._ask(replica, request)
            if isinstance(outcome, Fault) and outcome.reason.startswith("too-long"):
                outcome = await self._within(replica, request, outcome)
            if isinstance(outcome, Reply):
                outcome = await self._without_thought(replica, outcome)
        finally:
            replica.in_flight -= 1
        replica.failed = isinstance(outcome, Fault) and outcome.kind == "again"
        if replica.failed:
            replica.rests_until = asyncio.get_running_loop().time() + REST
            replica.model = ""  # it may come back with another one
        return outcome

    async def _ask(self, replica: Replica, request: Request) -> Reply | Fault:
        return await self._asked(replica.line, replica.url, replica.model, request)

    def _next(self, replicas: Sequence[Replica]) -> Replica:
        now = asyncio.get_running_loop().time()
        ready = [one for one in replicas if not one.failed or (one.rests_until <= now and not one.in_flight)]
        return min(ready or replicas, key=lambda one: (one.in_flight, one.rests_until))

    async def _looked_at(self, replica: Replica) -> Fault | None:
        """Find out under which name a replica serves the model. A Fault where it does not, or cannot be asked."""
        async with replica.looking:
            if replica.model:
                return None
            body = await self._told(replica, f"{replica.url}/models")
            if isinstance(body, Fault):
                return body
            cards = body.get("data") if isinstance(body, dict) else None
            served = {str(c["id"]): c.get("root") for c in cards or () if isinstance(c, dict) and "id" in c}
            wanted = self.settings.model
            names = [name for name, root in served.items() if wanted in (name, root)]
            if not names:
                says = f"serves {', '.join(map(repr, served)) or 'no model'}, and not {wanted!r}"
                return Fault("refused", f"{replica.where} {says}", status=404)
            replica.model = wanted if wanted in names else names[0]
        return None

    async def _told(self, replica: Replica, url: str, body: Mapping[str, Any] | None = None) -> Any:
        """The JSON that a server tells of itself, or a Fault."""
        answer = await replica.line.ask(url, body, LOOK)
        if isinstance(answer, Fault):
            return answer
        if not answer.is_success:
            return read_error(answer.status_code, answer.headers, answer.content, {})
        try:
            return json.loads(answer.content)
        except ValueError:
            return Fault("final", f"{url} does not answer in JSON", raw=answer.content, outage=True)

    # ------------------------------------------------------------ what comes back

    def read(self, answer: Answer, options: Mapping[str, Any]) -> Reply | Fault:
        outcome = super().read(answer, options)
        if isinstance(outcome, Fault):
            if _UNTRUSTED.search(outcome.reason) or _NO_TEMPLATE.search(outcome.reason):
                return replace(outcome, kind="refused", parameter="chat_template")
            return outcome
        if outcome.finish_reason == "abort":  # the server was put to sleep or ended; its text stops anywhere
            return Fault("again", "the server gave the answer up half-way", raw=outcome.raw, outage=True)
        return outcome

    async def _without_thought(self, replica: Replica, reply: Reply) -> Reply:
        """`reply` without what it thought first, which is counted."""
        said = said_in(reply.raw)
        if said is None:
            return reply
        reasoning, text = said
        answer = parted(text, self._thinking)
        cut = answer == text and not reasoning and reply.finish_reason == "length"
        if cut and await self._opens_thought(replica):
            answer = ""  # the thought began in the prompt, and was cut off
        thought = (reasoning + text[: len(text) - len(answer)]).rstrip()
        answer = answer.strip() if self._asked_for.plain else answer
        if reply.status == "ok" and answer != reply.text:
            reply = replace(reply, text=answer)
            if not answer.strip():
                failure = TRUNCATED if reply.finish_reason == "length" else "empty"
                reply = replace(reply, status="invalid", failure=failure)
        if not thought or reply.reasoning_tokens is not None:
            return reply
        if answer == "" and reply.output_tokens is not None:
            return replace(reply, reasoning_tokens=reply.output_tokens)
        return replace(reply, reasoning_tokens=await self._count(replica, thought))

    async def _within(self, replica: Replica, request: Request, fault: Fault) -> Reply | Fault:
        """Ask again for what there is room for: vLLM refuses what could become too long, though it may well not."""
        limit = context_in(fault.reason)
        body = await self._tokens(replica, messages=request.content, add_generation_prompt=True)
        count = body.get("count") if isinstance(body, dict) else None
        if limit is None or not isinstance(count, int):
            return fault
        if count >= limit:
            return replace(fault, reason=too_long(count, limit))
        shorter = replace(request, options=request.options | {"max_tokens": limit - count})
        return await self._ask(replica, shorter)

    async def _tokens(self, replica: Replica, **asked: Any) -> Any:
        """What the server makes of a text or a conversation, which its model does not see."""
        if self._asked_for.template is not None and "messages" in asked:
            asked["chat_template"] = self._asked_for.template
        url = replica.url.removesuffix("/v1") + "/tokenize"  # beside /v1, not below it
        return await self._told(replica, url, {"model": replica.model, **asked})

    async def _count(self, replica: Replica, text: str) -> int | None:
        body = await self._tokens(replica, prompt=text, add_special_tokens=False)
        count = body.get("count") if isinstance(body, dict) else None
        return count if isinstance(count, int) else None

    async def _opens_thought(self, replica: Replica) -> bool:
        """Whether the server's chat template opens a thought at the end of the prompt, as those of some models do."""
        if replica.opens_thought is None:
            question = [{"role": "user", "content": "?"}]
            body = await self._tokens(replica, messages=question, return_token_strs=True)
            tokens = body.get("token_strs") if isinstance(body, dict) else None
            opened, closed = self._thinking
            prompt = "".join(map(str, tokens or ()))
            replica.opens_thought = prompt.rfind(opened) > prompt.rfind(closed)
        return replica.opens_thought

    def refusal(self, fault: Fault) -> EndpointRefused:
        if fault.parameter == "chat_template" and _UNTRUSTED.search(fault.reason):
            return EndpointRefused(
                f"{self.where}: the server takes no chat template from a request; start it with "
                "--trust-request-chat-template, or with --chat-template FILE and without `chat_template:` in the suite"
            )
        if fault.parameter == "chat_template":
            return EndpointRefused(
                f"{self.where}: the model {self.settings.model!r} has no chat template; write one as `chat_template:` "
                "and start the server with --trust-request-chat-template"
            )
        if fault.status == 404 and " serves " in fault.reason:
            return EndpointRefused(
                f"{fault.reason}; write one of these names (as `weights:`, or as `adapter:`), or start it with "
                "--served-model-name, or with --lora-modules NAME=FOLDER for an adapter"
            )
        return super().refusal(fault)


def endpoint_of(settings: Vllm, model: str, url: str) -> Endpoint:
    """A server of vLLM, as an endpoint like others."""
    same = {name: getattr(settings, name) for name in ("api_key_env", "system", "concurrency", "timeout")}
    return Endpoint(backend="openai", model=model, base_url=with_v1(url), **same)


def with_v1(url: str) -> str:
    """The address of a server's OpenAI API, whether it was written with its path or without."""
    url = url.rstrip("/")
    return url if url.endswith("/v1") else f"{url}/v1"
