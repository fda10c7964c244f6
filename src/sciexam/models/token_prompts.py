"""From a conversation to the tokens that a model continues, by a chat template."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from sciexam.errors import UsageError
from sciexam.models.line import sendable
from sciexam.types import Message

# How a model is asked that has no chat template, and where its answer ends: it would go on with a turn of the user.
PLAIN = (
    "{% for m in messages %}{{ {'system': '', 'user': 'User: ', 'assistant': 'Assistant: '}[m.role] }}{{ m.content }}"
    "\n\n{% endfor %}Assistant:"
)
PLAIN_STOP = "\n\nUser:"
# The turns by themselves, with a blank line between them.
JOINED = "{% for m in messages %}{{ m.content }}{{ '' if loop.last else '\n\n' }}{% endfor %}"
_PRIVATE = range(0xE000, 0xF8FF)  # characters that mean nothing to anyone


class TokenPrompts:
    """The prompts of the model or judge called `name`, in the tokens of its `tokenizer`.

    `template` (Jinja2) stands for the tokenizer's own; it is rendered in the sandbox of transformers, where it sees the
    tokenizer's special tokens as well. `system` comes before the messages. What a message says is text: where it spells
    a special token, such as the mark at the end of a turn, it is split like any other word. `answered`: the last
    message is an answer, and nothing is to be continued.
    """

    def __init__(self, name: str, tokenizer: Any, template: str | None, system: str | None, answered: bool = False):
        self._name, self._tokenizer, self._template = name, tokenizer, template
        self._answered = answered
        self._system = (Message(role="system", content=system),) if system is not None else ()

    def check(self) -> None:
        """Raise UsageError where not even a plain question can be rendered."""
        self.text((Message(role="user", content="?"),))

    def text(self, messages: Sequence[Message]) -> str:
        """The prompt for `messages`. Raises UsageError with what the template stumbled over."""
        return self._render(self._turns(messages))

    def tokens(self, messages: Sequence[Message]) -> list[int]:
        """The same as token ids. Raises UsageError."""
        turns = self._turns(messages)
        spelled: list[str] = []
        if any(self._special.search(content) for _, content in turns):
            joined = "".join(content for _, content in turns)
            mark = next(chr(code) for code in _PRIVATE if chr(code) not in joined)

            def hide(match: re.Match[str]) -> str:
                spelled.append(match[0])
                return f"{mark}{len(spelled) - 1}{mark}"

            turns = [(role, self._special.sub(hide, content)) for role, content in turns]
            pieces = self._render(turns).split(mark)  # text, number, text, number, ..., text
        else:
            pieces = [self._render(turns)]
        return [
            *self._beginning,
            *(token for i, piece in enumerate(pieces) for token in self._encoded(i, piece, spelled)),
        ]

    def plain_tokens(self, text: str) -> list[int]:
        """`text` by itself, with no special token in it."""
        return self._ids(text, split_special_tokens=True)

    def _turns(self, messages: Sequence[Message]) -> list[tuple[str, str]]:
        """Roles and contents; no tokenizer takes half a character."""
        return [(m.role, sendable(m.content)) for m in (*self._system, *messages)]

    def _encoded(self, place: int, piece: str, spelled: Sequence[str]) -> list[int]:
        if place % 2:
            return self.plain_tokens(spelled[int(piece)])
        return self._ids(piece)

    def _ids(self, text: str, **how: bool) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False, verbose=False, **how)["input_ids"])

    def _render(self, turns: Sequence[tuple[str, str]]) -> str:
        try:
            rendered = self._tokenizer.apply_chat_template(
                [{"role": role, "content": content} for role, content in turns],
                chat_template=self._template,
                add_generation_prompt=not self._answered,
                tokenize=False,
            )
        except Exception as error:  # a template is a program: any expression in it may raise anything
            said = " ".join(str(error).split())[:200]
            raise UsageError(f"{self._name}: chat_template: {type(error).__name__}: {said}") from None
        return str(rendered)

    @cached_property
    def _special(self) -> re.Pattern[str]:
        """What the tokenizer would take for a special token, wherever it stands."""
        added = (token.content for token in self._tokenizer.added_tokens_decoder.values() if token.special)
        words = sorted({*added, *self._tokenizer.all_special_tokens}, key=len, reverse=True)
        return re.compile("|".join(map(re.escape, words)) if words else r"(?!)")

    @cached_property
    def _beginning(self) -> list[int]:
        """The token that begins a text, where the tokenizer sets one; a chat template writes its own."""
        if self._template not in (PLAIN, JOINED):
            return []
        blank: list[int] = list(self._tokenizer("")["input_ids"])
        begins = self._tokenizer.bos_token_id
        return blank[:1] if begins is not None and blank[:1] == [begins] else []
