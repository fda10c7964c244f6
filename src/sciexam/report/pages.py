"""Templates of pages, and figures in them: whatever enters a page is made plain text first, and is escaped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sciexam.report.plain_text import one_line, plain_text

if TYPE_CHECKING:
    from jinja2 import Environment

TALL = 2.5  # times as high as wide
FEWEST = 10  # prompts of which figures are drawn


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure in a page: `svg` is markup of ours. One that is `tall` is folded, or it would part what follows it."""

    name: str
    title: str
    caption: str
    svg: str
    tall: bool


def drawn(found: Any, prompts: int, without: tuple[str, ...] = ()) -> tuple[Shown, ...]:
    """The figures of a record as a page shows them, in reading order; none whose name begins like one in `without`.

    None at all on fewer than FEWEST prompts: intervals would span the whole axis, and the tables have the numbers.
    """
    if prompts < FEWEST:
        return ()
    from sciexam.report.figures import figures_of
    from sciexam.report.figures.drawing import WIDTH, to_svg

    drawings = (one for one in figures_of(found) if not one.name.startswith(without))
    return tuple(Shown(one.name, one.title, one.caption, to_svg(one), one.height > TALL * WIDTH) for one in drawings)


def page_environment(package: str) -> Environment:
    """The environment of the templates in `package`/templates: nothing undefined, everything escaped.

    What it does not have is taken from report/templates, such as the look that all pages share (look.css.j2,
    head.html.j2). The filter `line` makes one line of a text.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("sciexam.report")]),
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
