"""A chat template turns a conversation into the text a plain completion model continues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from sciexam.errors import UsageError
from sciexam.sandbox import render, sandbox
from sciexam.types import Message

if TYPE_CHECKING:
    from jinja2 import Environment


class ChatTemplate:
    """Jinja2 in a sandbox, with the whitespace rules of Hugging Face, so that a model's own template can be pasted.

    It sees `messages` (each with `role` and `content`), `add_generation_prompt` (true) and `raise_exception`.
    Raises UsageError when it does not compile or cannot render a plain question.
    """

    def __init__(self, source: str):
        import jinja2

        try:
            self._template = _environment().from_string(source)
        except jinja2.TemplateSyntaxError as error:
            raise UsageError(f"chat_template: line {error.lineno}: {error.message}") from None
        self.render((Message(role="user", content="?"),))

    def render(self, messages: Sequence[Message]) -> str:
        """The prompt for `messages`. Raises UsageError with what the template stumbled over."""
        turns = [{"role": message.role, "content": message.content} for message in messages]
        try:
            return render(self._template, messages=turns, add_generation_prompt=True)
        except Exception as error:  # a template is a program: any expression in it may raise anything
            raise UsageError(f"chat_template: {type(error).__name__}: {error}") from None


def _environment() -> Environment:
    """The sandbox with what Hugging Face's templates expect: loop controls, `range`, `namespace`, `raise_exception`."""
    from jinja2.exceptions import TemplateRuntimeError
    from jinja2.sandbox import safe_range
    from jinja2.utils import Namespace

    def raise_exception(message: str) -> NoReturn:
        raise TemplateRuntimeError(message)

    environment = sandbox(extensions=("jinja2.ext.loopcontrols",))
    environment.globals.update(range=safe_range, namespace=Namespace, raise_exception=raise_exception)
    return environment
