"""A reply in two parts: what a model thought, and below a line of its own what it was asked for.

The line is a word and a nonce that follows from all that the model was shown, so that no text in it can hold the line.
One strict grammar: whatever does not match it is of no use, and is never guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sciexam.digests import digest
from sciexam.errors import UsageError
from sciexam.judges.template_file import compile_template, raised_by, read_template
from sciexam.sandbox import render
from sciexam.types import Message, Prompt, Reply

FOLDER = Path(__file__).parent / "templates"
WORDS = 12  # hex digits of the nonce, and of the boundary


@dataclass(frozen=True, slots=True)
class Request:
    """What a model is asked, and the words that its reply is read by."""

    prompt: Prompt
    nonce: str
    boundary: str


@dataclass(frozen=True, slots=True)
class Marked:
    """`failure` says why there is no text to use. `before` is what stood above the line."""

    text: str = ""
    before: str = ""
    failure: str = ""


class RequestTemplate:
    """A prompt to a model that is to reply in two parts, as a file of ours or of the user's."""

    def __init__(self, name: str, shipped: str, variables: tuple[str, ...]):
        self.name = name
        source = read_template(name, (shipped,), "--template ", FOLDER)
        self._template, used = compile_template(
            name, source, (*variables, "nonce", "boundary"), "template of a request"
        )
        if missing := [f"{{{{ {word} }}}}" for word in ("nonce", "boundary") if word not in used]:
            raise UsageError(f"template {name}: must show {', '.join(missing)} for a reply to be read")
        self.digest = digest({"template": source})

    def request(self, name: str, shown: Mapping[str, Any], number: int = 0) -> Request:
        """The request called `name`. `shown` is data: it fills the template's variables, and is no template itself.

        `number` tells requests apart that show the same.
        """
        key = digest({"request": self.digest, "shown": dict(shown), "number": number})
        nonce, boundary = key[:WORDS], key[WORDS : 2 * WORDS]
        try:
            text = render(self._template, **shown, nonce=nonce, boundary=boundary)
        except Exception as error:  # a user's template is a program: any expression in it may raise anything
            raise raised_by(self.name, error) from None
        return Request(Prompt(id=name, messages=(Message(role="user", content=text),)), nonce, boundary)


def read_marked(reply: Reply, word: str, request: Request) -> Marked:
    """What stands below the line `word nonce`: exactly one such line, alone on it, and a text below it."""
    if reply.status != "ok":
        return Marked(failure=f"{reply.status}: {reply.failure or 'not usable'}")
    if reply.finish_reason == "length":
        return Marked(failure="cut off by the limit of tokens")
    line = rf"^[ \t]*{word} {request.nonce}[ \t\r]*$"
    found = list(re.finditer(line, reply.text, re.MULTILINE))
    if len(found) != 1:
        return Marked(failure=f"two {word} lines" if found else f"no {word} line")
    before, text = reply.text[: found[0].start()].strip(), reply.text[found[0].end() :].strip()
    if any(secret in part for secret in (request.nonce, request.boundary) for part in (before, text)):
        return Marked(failure=f"repeats the word of the {word} line, or of a fence")
    if not text:
        return Marked(failure=f"nothing below the {word} line")
    if is_broken(text):
        return Marked(failure="half a character, which no tokenizer takes")
    return Marked(text, before)


def is_broken(text: str) -> bool:
    """Whether a text holds half of a surrogate pair, which is no text in UTF-8."""
    return any("\ud800" <= character <= "\udfff" for character in text)
