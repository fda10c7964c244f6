"""Jinja2 for templates that users write: no loader, no globals, nothing undefined, nothing that eats the memory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment, Template

LONGEST = 20_000_000  # characters of a rendered text

# What makes a text or a list of any size out of one number, before the length of the result can be looked at.
_PADDING_METHODS = frozenset(("center", "expandtabs", "format", "format_map", "ljust", "rjust", "zfill"))
_DEEPEST_INDENT = 16
_PADDING_FILTERS = ("batch", "center", "format", "indent", "slice")


def sandbox(extensions: tuple[str, ...] = ()) -> Environment:
    """An environment in which a template can read its variables and loop over them, and nothing else."""
    from jinja2 import StrictUndefined
    from jinja2.exceptions import SecurityError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Sandbox(ImmutableSandboxedEnvironment):
        intercepted_binops = frozenset(("*", "**", "%"))

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            """Numbers may be multiplied; `'a' * 10**9` or `'%999999999d' % 1` is how a template eats the memory."""
            if operator == "**" or not (isinstance(left, (int, float)) and isinstance(right, (int, float))):
                raise SecurityError(f"the operator {operator} is not allowed here")
            return super().call_binop(context, operator, left, right)

        def wrap_str_format(self, value: Any) -> None:
            """No `'{:>999999999}'.format(1)` either: without a wrapper, `is_safe_attribute` decides."""

        def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
            return attr not in _PADDING_METHODS and super().is_safe_attribute(obj, attr, value)

    environment = Sandbox(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, extensions=list(extensions))
    environment.globals.clear()
    for name in _PADDING_FILTERS:
        del environment.filters[name]
    environment.filters["tojson"] = _to_json
    return environment


def _to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None, sort_keys: bool = False) -> str:
    """The filter `tojson` as Hugging Face's templates know it: nothing is escaped for HTML."""
    if indent is not None and not 0 <= indent <= _DEEPEST_INDENT:
        raise ValueError(f"tojson: an indent between 0 and {_DEEPEST_INDENT}, not {indent}")
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, sort_keys=sort_keys)


def render(template: Template, **variables: Any) -> str:
    """Render with a cap on the length. Raises ValueError past it, and whatever the template raises."""
    pieces, length = [], 0
    try:
        for piece in template.root_render_func(template.new_context(variables)):
            pieces.append(piece)
            length += len(piece)
            if length > LONGEST:
                break
    except Exception:
        template.environment.handle_exception()  # raises it again, with the lines of the template in its traceback
    if length > LONGEST:
        raise ValueError(f"the rendered text is longer than {LONGEST:,} characters")
    return "".join(pieces)
