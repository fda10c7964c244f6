"""A model at a vLLM server as an engine: asked in vLLM's words, and read as it writes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any

from sciexam.models.streaming import Token
from sciexam.models.token_prompts import PLAIN_STOP
from sciexam.models.vllm_wire import NEUTRAL, with_v1
from sciexam.serve.engine import Ended, Event, Finish, Written
from sciexam.serve.refusal import Refusal
from sciexam.serve.request import Asked

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from sciexam.models.vllm_wire import Asked as Named


class UpstreamEngine:
    """See `engine.Engine`. The servers at `urls` are replicas of one model, and are asked in turn."""

    def __init__(self, name: str, digest: str, urls: Sequence[str], key: str | None, named: Named, timeout: float):
        self.name, self.digest = name, digest
        self._urls, self._key, self._named, self._timeout = urls, key, named, timeout
        self._turn = count()

    async def write(self, asked: Asked) -> AsyncGenerator[Event, None]:
        import openai

        finish: Finish = "stop"
        read = written = thought = 0
        try:
            stream = await self._create(asked)
            async with stream:
                async for chunk in stream:
                    if chunk.usage is not None:
                        read, written = chunk.usage.prompt_tokens, chunk.usage.completion_tokens
                        details = chunk.usage.completion_tokens_details
                        thought = (details.reasoning_tokens or 0) if details else 0
                    for choice in chunk.choices:
                        text = choice.delta.content if hasattr(choice, "delta") else choice.text
                        tokens = _tokens(choice.logprobs)
                        if text or tokens:
                            yield Written(text or "", tokens)
                        finish = "length" if choice.finish_reason == "length" else finish
        except openai.APIStatusError as error:
            raise _refusal(error) from None
        except openai.APIConnectionError:
            raise Refusal(502, "The vLLM server behind this one does not answer. Look at its log.") from None
        yield Ended(finish, read, written, thought)

    async def _create(self, asked: Asked) -> Any:
        client = self._clients[next(self._turn) % len(self._clients)]
        sampling, is_chat = asked.sampling, not isinstance(asked.content, str)
        beside: dict[str, Any] = {**NEUTRAL, "temperature": sampling.temperature, "top_p": sampling.top_p}
        if is_chat and self._named.template is not None:
            beside["chat_template"] = self._named.template
        if self._named.ends:
            beside["stop_token_ids"] = list(self._named.ends)
        stop = [*asked.stop, *([PLAIN_STOP] if is_chat and self._named.plain else [])]
        options: dict[str, Any] = {"max_tokens": sampling.max_tokens, "stop": stop, "seed": sampling.seed}
        if sampling.top_logprobs is not None:
            top = sampling.top_logprobs
            options |= {"logprobs": True, "top_logprobs": top} if is_chat else {"logprobs": top}
        said: dict[str, Any] = {"prompt": asked.content}
        if not isinstance(asked.content, str):
            said = {"messages": [{"role": one.role, "content": one.content} for one in asked.content]}
        create: Any = client.chat.completions.create if is_chat else client.completions.create
        given = {name: value for name, value in options.items() if value not in (None, [])}
        usage = {"include_usage": True}
        return await create(
            model=self._named.model, stream=True, stream_options=usage, **said, extra_body=given | beside
        )

    @cached_property
    def _clients(self) -> list[AsyncOpenAI]:
        from openai import AsyncOpenAI

        asked: dict[str, Any] = {"api_key": self._key or "none", "max_retries": 0, "timeout": self._timeout}
        return [AsyncOpenAI(base_url=with_v1(url), **asked) for url in self._urls]


def _tokens(logprobs: Any) -> tuple[Token, ...]:
    """The tokens of a chunk, in the shape of chat completions or of plain ones."""
    if logprobs is None:
        return ()
    if (content := getattr(logprobs, "content", None)) is not None:
        return tuple(
            Token("", one.token, one.logprob, tuple((t.token, t.logprob) for t in one.top_logprobs or ()))
            for one in content
        )
    tops = logprobs.top_logprobs or [{}] * len(logprobs.tokens)
    told = zip(logprobs.tokens, logprobs.token_logprobs, tops, strict=True)
    return tuple(Token(token, token, value, tuple((top or {}).items())) for token, value, top in told)


def _refusal(error: Any) -> Refusal:
    """What the server behind says of a request, passed on; what it says of itself is nobody's business here."""
    body = error.body if isinstance(error.body, dict) else {}
    told = body.get("message")
    if error.status_code in (400, 413, 422, 429) and isinstance(told, str):
        param = body.get("param") if isinstance(body.get("param"), str) else None
        headers = {"retry-after": "2"} if error.status_code == 429 else {}
        return Refusal(429 if error.status_code == 429 else 400, told, param, headers=headers)
    return Refusal(502, f"The vLLM server behind this one answers with {error.status_code}. Look at its log.")
