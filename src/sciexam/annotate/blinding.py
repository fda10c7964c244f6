"""Answers that say who wrote them: no page can hide that, so it is counted and told."""

from __future__ import annotations

import re

from sciexam.annotate.queue import Queue

# Makers and models by name, and how models speak of themselves. Names that are words too (Command, Phi) need more.
_NAMES = re.compile(
    r"\b(?:chat-?gpt|gpt-?[2345][\w.-]*|o[134]-mini|open-?ai|anthropic|claude[ -](?:\d|opus|sonnet|haiku|instant)|"
    r"llama[ -]?[234]\w*|mi[sx]tral|gemini[ -](?:\d|pro|ultra|flash)|google bard|deepseek|qwen[\d.-]*|gemma[ -]?\d\w*|"
    r"phi-[1234]\b|vicuna|alpaca-7b|falcon-\d+b|command[- ]r\b|grok-\d)",
    re.IGNORECASE,
)
_SELF = re.compile(
    r"\b(?:as an? (?:ai|artificial intelligence|large language)(?: language)? model|i(?:'m| am) an? "
    r"(?:ai|large) (?:language )?model|(?:i was|was i) (?:trained|developed|created) by)\b",
    re.IGNORECASE,
)


def names_a_model(text: str) -> bool:
    """Whether a text names a language model or its maker, or says that it comes from one."""
    return bool(_NAMES.search(text) or _SELF.search(text))


def naming(queue: Queue) -> tuple[int, int]:
    """How many of the texts that are shown name a model, and how many texts there are."""
    texts = {(item.prompt.id, text) for item in queue.ordinary for text in item.texts}
    return sum(names_a_model(text) for _, text in texts), len(texts)
