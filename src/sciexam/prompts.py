"""A file of prompts: one JSON object a line."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sciexam.documents import parse_lines, read_jsonl
from sciexam.errors import DocumentError
from sciexam.types import Message, Prompt

MESSAGE_FIELDS, PROMPT_FIELDS = set(Message.model_fields), set(Prompt.model_fields)
ID = re.compile(r"[\w.:/#-]+", re.ASCII)  # one word, and no sentence in any language


class PromptLine(BaseModel):
    """One line of a prompts file; what it does not know is metadata."""

    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True, extra="allow")

    id: str = Field(min_length=1)
    text: str | None = None
    messages: tuple[Message, ...] | None = None
    category: str | None = None
    group: str | None = None
    reference: str | None = None

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if (self.text is None) == (self.messages is None):
            other = next(
                (key for key in ("prompt", "question", "instruction") if key in (self.model_extra or {})), None
            )
            hint = f"; rename {other!r} to 'text'" if other and self.text is None else ""
            raise ValueError(f"a prompt has either 'text' or 'messages'{hint}")
        if not (self.text or "").strip() and not self.messages:
            raise ValueError("the prompt is empty")
        if self.messages and self.messages[-1].role != "user":
            raise ValueError("the last of 'messages' must be the user's")
        return self

    def prompt(self) -> Prompt:
        """Of what is valid already: pydantic's note of the fields that were given is one for all prompts."""
        asked = Message.model_construct(MESSAGE_FIELDS, role="user", content=self.text or "")
        return Prompt.model_construct(
            PROMPT_FIELDS,
            id=self.id,
            messages=self.messages or (asked,),
            category=self.category,
            group=self.group,
            reference=self.reference,
            metadata=dict(self.model_extra or {}),
        )


def are_ids(prompts: Collection[tuple[str, str]]) -> bool:
    """Whether these prompts, each with its id, are nothing but ids, as in files of answers without their questions."""
    return bool(prompts) and all(text == id and ID.fullmatch(id) for id, text in prompts)


def read_prompts(path: Path, named_at: str = "") -> tuple[Prompt, ...]:
    """The prompts of a JSON Lines file. All its faults are raised at once; `named_at` says where the file was named."""
    if not path.is_file():
        what = "a folder; name a file of prompts in it" if path.is_dir() else "no such file"
        raise DocumentError([f"{named_at or ''}{path}: {what}"])
    seen: dict[str, int] = {}
    prompts: list[Prompt] = []
    faults: list[str] = []
    for number, line in parse_lines(PromptLine, read_jsonl(path), path, faults):
        if line.id in seen:
            faults.append(f"{path}:{number}: id: {line.id!r} already stands in line {seen[line.id]}")
        seen.setdefault(line.id, number)
        prompts.append(line.prompt())
    if faults:
        raise DocumentError(faults)
    if not prompts:
        raise DocumentError([f"{path}: holds no prompts"])
    return tuple(prompts)


def field_of(prompt: Prompt, by: str) -> str | None:
    """The slice that a prompt falls into: its category, its group, or a field of its metadata."""
    value: Any = getattr(prompt, by) if by in ("category", "group") else prompt.metadata.get(by)
    return None if value is None else str(value)
