"""What is answered, in OpenAI's shapes: whole completions, and the chunks of a stream."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sciexam.models.streaming import Token
from sciexam.serve.engine import Ended, Event, Written

DONE = b"data: [DONE]\n\n"


@dataclass(slots=True)
class Answers:
    """The answers to one request as far as they are written. `is_chat`: of /v1/chat/completions, or of /v1/completions.

    `digest` is that of the model; its beginning is the fingerprint, which changes with whatever could change an answer.
    """

    model: str
    digest: str
    is_chat: bool
    n: int
    id: str = field(default_factory=lambda: secrets.token_hex(12))
    created: int = field(default_factory=lambda: int(time.time()))
    texts: list[list[Written]] = field(default_factory=list)
    ends: dict[int, Ended] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.texts = [[] for _ in range(self.n)]

    def note(self, event: Event) -> None:
        if isinstance(event, Ended):
            self.ends[event.choice] = event
        else:
            self.texts[event.choice].append(event)

    def _head(self, kind: str) -> dict[str, Any]:
        prefix, kind = ("chatcmpl", f"chat.completion{kind}") if self.is_chat else ("cmpl", "text_completion")
        return {
            "id": f"{prefix}-{self.id}",
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": f"fp_{self.digest[:12]}",
        }

    def usage(self) -> dict[str, Any]:
        read = max((end.input_tokens for end in self.ends.values()), default=0)
        written = sum(end.output_tokens for end in self.ends.values())
        usage: dict[str, Any] = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
        if thought := sum(end.reasoning_tokens for end in self.ends.values()):
            usage["completion_tokens_details"] = {"reasoning_tokens": thought}
        return usage

    def whole(self, logprobs: bool) -> dict[str, Any]:
        """The body of an answer that is not streamed."""
        choices = []
        for index, pieces in enumerate(self.texts):
            text = "".join(piece.text for piece in pieces)
            said = (
                {"message": {"role": "assistant", "content": text, "refusal": None}} if self.is_chat else {"text": text}
            )
            told = self._logprobs([token for piece in pieces for token in piece.tokens]) if logprobs else None
            choices.append({"index": index, **said, "logprobs": told, "finish_reason": self.ends[index].finish})
        return {**self._head(""), "choices": choices, "usage": self.usage()}

    def chunk(self, event: Event, logprobs: bool) -> dict[str, Any]:
        """One event of a stream. The first chunk of a chat's answer names its role."""
        choice: dict[str, Any] = {"index": event.choice}
        told = None
        if isinstance(event, Written):
            first = not self.texts[event.choice]
            if logprobs:
                told = self._logprobs(event.tokens, sum(len(piece.text) for piece in self.texts[event.choice]))
            delta: dict[str, Any] = {"role": "assistant", "content": event.text} if first else {"content": event.text}
            choice |= {"delta": delta} if self.is_chat else {"text": event.text}
            choice |= {"logprobs": told, "finish_reason": None}
        else:
            nothing: dict[str, Any] = {"delta": {}} if self.is_chat else {"text": ""}
            choice |= nothing
            choice |= {"logprobs": None, "finish_reason": event.finish}
        return {**self._head(".chunk"), "choices": [choice]}

    def last(self) -> dict[str, Any]:
        """The chunk that tells the usage, where it was asked for."""
        return {**self._head(".chunk"), "choices": [], "usage": self.usage()}

    def _logprobs(self, tokens: Sequence[Token], offset: int = 0) -> dict[str, Any]:
        return _of_chat(tokens) if self.is_chat else _of_completion(tokens, offset)


def data(body: Any) -> bytes:
    """One event as it is sent to whoever reads a stream (text/event-stream)."""
    return b"data: " + json.dumps(body, ensure_ascii=False).encode("utf-8", "replace") + b"\n\n"


def _of_chat(tokens: Iterable[Token]) -> dict[str, Any]:
    def told(text: str, logprob: float) -> dict[str, Any]:
        return {"token": text, "logprob": logprob, "bytes": list(text.encode("utf-8", "replace"))}

    content = [
        {**told(token.piece, token.logprob), "top_logprobs": [told(*one) for one in token.top]} for token in tokens
    ]
    return {"content": content, "refusal": None}


def _of_completion(tokens: Sequence[Token], offset: int) -> dict[str, Any]:
    offsets = []
    for token in tokens:
        offsets.append(offset)
        offset += len(token.text)
    return {
        "tokens": [token.piece for token in tokens],
        "token_logprobs": [token.logprob for token in tokens],
        "top_logprobs": [dict(token.top) or {token.piece: token.logprob} for token in tokens],
        "text_offset": offsets,
    }
