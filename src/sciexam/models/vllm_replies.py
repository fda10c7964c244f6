"""What vLLM's answers and refusals say, beside what all endpoints say."""

from __future__ import annotations

import json
import re

from sciexam.models.replies import without_thought

_LIMIT = re.compile(r"maximum context length is (\d+)|max_(?:model_len|total_tokens)=(\d+)")


def parted(text: str, thinking: tuple[str, str]) -> str:
    """`text` without the thoughts that stand before it, between the two words of `thinking`.

    The last one may be open at its end, where it was cut off, or at its beginning, which then stands in the prompt.
    """
    opened, closed = thinking
    if (opened, closed) == ("<think>", "</think>"):
        return without_thought(text)
    start = 0
    while text[start:].lstrip().startswith(opened):
        end = text.find(closed, start)
        if end < 0:
            return ""
        start = end + len(closed)
    end = text.find(closed, start)
    if end >= 0 and opened not in text[start:end]:
        start = end + len(closed)
    return text[start:].lstrip() if start else text


def said_in(body: bytes) -> tuple[str, str] | None:
    """What a server with a reasoning parser took out of an answer, and the answer; None for another shape."""
    try:
        message = json.loads(body)["choices"][0]["message"]
        reasoning = message.get("reasoning") or message.get("reasoning_content") or ""
        text = message.get("content") or ""
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
    return (reasoning, text) if isinstance(reasoning, str) and isinstance(text, str) else None


def context_in(said: str) -> int | None:
    """How many tokens the model reads and writes in all, by what vLLM says of what may become too long."""
    found = _LIMIT.search(said)
    return int(next(filter(None, found.groups()))) if found else None


def too_long(count: int, limit: int) -> str:
    """The failure of a conversation that leaves no room for an answer."""
    return f"too-long: the prompt has {count:,} tokens, and the model reads and writes {limit:,} in all"
