"""A chat template turns a conversation into the text a plain completion model continues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from sciexam.errors import UsageError
from sciexam.types import Message

if TYPE_CHECKING:
    from jinja2 import Environment

_LONGEST = 20_000_000  # characters of a rendered prompt


class ChatTemplate:
    """Jinja2 in a sandbox, with the whitespace rules of Hugging Face, so that a model's own template can be pasted.

    It sees `messages` (each with `role` and `content`), `add_generation_prompt` (true) and `raise_exception`.
    Raises UsageError when it does not compile or cannot render a plain question.
    """

    def __init__(self, source: str):
        import jinja2

        try:
            self._template = _sandbox().from_string(source)
        except jinja2.TemplateSyntaxError as error:
            raise UsageError(f"chat_template: line {error.lineno}: {error.message}") from None
        self.render((Message(role="user", content="?"),))

    def render(self, messages: Sequence[Message]) -> str:
        """The prompt for `messages`. Raises UsageError with what the template stumbled over."""
        turns = [{"role": message.role, "content": message.content} for message in messages]
        pieces, length = [], 0
        try:
            for piece in self._template.generate(messages=turns, add_generation_prompt=True):
                pieces.append(piece)
                length += len(piece)
                if length > _LONGEST:
                    raise ValueError(f"the prompt is longer than {_LONGEST:,} characters")
        except Exception as error:  # a template is a program: any expression in it may raise anything
            raise UsageError(f"chat_template: {type(error).__name__}: {error}") from None
        return "".join(pieces)


def _sandbox() -> Environment:
    from jinja2 import StrictUndefined
    from jinja2.exceptions import SecurityError, TemplateRuntimeError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Sandbox(ImmutableSandboxedEnvironment):
        intercepted_binops = frozenset(("*", "**"))

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            """Numbers may be multiplied; `'a' * 10**9` is how a template eats the memory."""
            if operator == "**" or not (isinstance(left, (int, float)) and isinstance(right, (int, float))):
                raise SecurityError(f"the operator {operator} is not allowed here")
            return super().call_binop(context, operator, left, right)

    def raise_exception(message: str) -> NoReturn:
        raise TemplateRuntimeError(message)

    sandbox = Sandbox(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    kept = {name: sandbox.globals[name] for name in ("range", "namespace")}
    sandbox.globals.clear()
    sandbox.globals.update(kept, raise_exception=raise_exception)
    return sandbox
