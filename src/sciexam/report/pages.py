"""Templates of pages: whatever enters one is made plain text first, and is escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sciexam.report.plain_text import one_line, plain_text

if TYPE_CHECKING:
    from jinja2 import Environment


def page_environment(package: str) -> Environment:
    """The environment of the templates in `package`/templates: nothing undefined, everything escaped.

    The filter `line` makes one line of a text.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters["line"] = one_line
    return environment


def _shown(value: Any) -> Any:
    """Every text that enters a page, before it is escaped; markup of the template itself passes as it is."""
    return plain_text(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
