"""Templates of pages, and figures in them: whatever enters a page is made plain text first, and is escaped."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sciexam.report.plain_text import one_line, plain_text

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

    from sciexam.report.figures.drawing import Drawing

TALL = 2.5  # times as high as wide
FEWEST = 10  # prompts of which figures are drawn
HEADING, LINE, LETTERS = 50.0, 15.0, 65  # points of a title with its margins and of a line below a figure; its letters


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure in a page (templates/drawing.html.j2): `svg` is markup of ours, `words` are its numbers in sentences.

    One that is `tall` is folded, or it would part what follows it. `room`: how many points it takes, about, as long as
    nothing is unfolded.
    """

    name: str
    title: str
    caption: str
    words: tuple[str, ...]
    svg: str
    tall: bool
    room: float


def drawn(found: Any, prompts: int, without: tuple[str, ...] = ()) -> tuple[Shown, ...]:
    """The figures of a record as a page shows them, in reading order; none whose name begins like one in `without`.

    None at all on fewer than FEWEST prompts: intervals would span the whole axis, and the tables have the numbers.
    """
    if prompts < FEWEST:
        return ()
    from sciexam.report.figures import figures_of
    from sciexam.report.figures.drawing import WIDTH, to_svg

    def shown(one: Drawing) -> Shown:
        tall = one.height > TALL * WIDTH
        room = HEADING + LINE * (2 + len(one.caption) / LETTERS) + (LINE if tall else one.height)
        return Shown(one.name, one.title, one.caption, one.words, to_svg(one), tall, room)

    return tuple(shown(one) for one in figures_of(found) if not one.name.startswith(without))


def columns(drawings: Sequence[Shown]) -> tuple[Sequence[Shown], ...]:
    """The figures in two columns about as high, each read from top to bottom; in one if there is one figure.

    What is unfolded in a column pushes only what is below it, and leaves no hole in the other.
    """

    def higher(first: int) -> float:
        return max(sum(one.room for one in drawings[:first]), sum(one.room for one in drawings[first:]))

    first = min(range(1, len(drawings)), key=higher, default=len(drawings))
    return tuple(filter(None, (drawings[:first], drawings[first:])))


def page_environment(package: str) -> Environment:
    """The environment of the templates in `package`/templates: nothing undefined, everything escaped.

    What it does not have is taken from report/templates, such as the look that all pages share (look.css.j2,
    head.html.j2). The filter `line` makes one line of a text, `coded` sets what stands in backticks as code, `columns`
    parts figures.
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
    environment.filters["coded"] = coded
    environment.filters["columns"] = columns
    return environment


def coded(text: str) -> Markup:
    """A sentence of ours with what stands in backticks as code; all of it is escaped, whoever's words are in it."""
    from markupsafe import Markup, escape

    parts = re.split(r"`([^`\n]+)`", plain_text(text))
    return Markup("").join(
        Markup("<code>{}</code>").format(one) if n % 2 else escape(one) for n, one in enumerate(parts)
    )


def _shown(value: Any) -> Any:
    """Every text that enters a page, before it is escaped; markup of the template itself passes as it is."""
    if type(value) is str:  # most are
        return plain_text(value)
    return plain_text(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
