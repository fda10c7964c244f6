"""What is said in a conversation of another tool: a text, a list of parts, or a list of messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Turns = list[tuple[str, str]]  # role and text


def said(content: Any) -> str | None:
    """The text of a message, or of its parts. None where it is no text: nothing, an image, a call of a tool."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):  # a part, or an answer beside its reasoning
        return said(content.get("answer", content.get("text")))
    if isinstance(content, list) and content:
        parts = [said(part) for part in content]
        return None if any(part is None for part in parts) else "\n".join(part for part in parts if part is not None)
    return None


def turns_of(conversation: Any) -> Turns | None:
    """Who says what in a list of messages, with roles in lower case; None where one of them says no text."""
    if not isinstance(conversation, list) or not conversation:
        return None
    turns = []
    for message in conversation:
        text = said(message.get("content")) if isinstance(message, dict) else None
        if text is None or not isinstance(message.get("role"), str):
            return None
        turns.append((message["role"].lower(), text))
    return turns


def transcript(answers: Sequence[str]) -> str:
    """The answers of several turns as one text; a single one as it is."""
    if len(answers) == 1:
        return answers[0]
    return "\n\n".join(f"[answer {number}]\n{answer}" for number, answer in enumerate(answers, 1))
