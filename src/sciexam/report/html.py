"""A comparison as one HTML file: it asks the network for nothing, shows answers as text, and reads without script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any

from sciexam.report import wording
from sciexam.report.benchmarks_text import beside_tables
from sciexam.report.exhibits import Exhibit, categories_of, exhibits_of
from sciexam.report.making import making_of
from sciexam.report.packing import packed, standing
from sciexam.report.pages import drawn, page_environment
from sciexam.report.passages import passages_of
from sciexam.report.plain_text import one_line
from sciexam.report.record import Figure, Pair, Report
from sciexam.stats import Estimate

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

COLOURS = 6  # of the palette in look.css.j2; a seventh contestant begins again at the first
FEW_OPINIONS = 4  # verdicts on one prompt that are shown at once; more of them are folded
TOGETHER = 64  # pieces of a page that are written together
FEW_PAIRS = 4  # comparisons that have a sentence and a figure each at the top; more of them are a table


def to_html(report: Report, manifest: Mapping[str, Any] | None = None, refresh: int | None = None) -> str:
    """The page as text. It holds every answer and reason of the report, and can be written as UTF-8.

    `manifest`: under what the run was made. `refresh`: the seconds after which the page loads itself again, while the
    comparison is watched.
    """
    return "".join(html_pieces(report, manifest, refresh))


def html_pieces(report: Report, manifest: Mapping[str, Any] | None = None, refresh: int | None = None) -> Iterator[str]:
    """The page in pieces: no more of its articles are held than stand in it as they are."""
    shown = list(exhibits_of(report))
    said: dict[str, Any] = {
        "report": report,
        "words": wording,
        "colour": _colours(report),
        "is_estimate": lambda figure: isinstance(figure, Estimate),
        "samples": max((answer.sample for item in report.items for answer in item.answers), default=0) + 1,
        "few_opinions": FEW_OPINIONS,
    }
    numbers = {exhibit.number for exhibit in shown}
    drawings = drawn(report, report.prompts, without=("win-rates",))  # the top of the page shows them
    many = len(report.pairs) > FEW_PAIRS
    lead = [drawing for drawing in drawings if many and drawing.name.startswith("pairwise")]
    script = _script()
    page = (
        _environment()
        .get_template("report.html.j2")
        .stream(
            **said,
            **_tools(report),
            **_articles(shown, said),
            figures=lambda pair: tuple(_figures(report, pair)),
            many=FEW_PAIRS,
            exhibits=shown,
            unanswered=[item.prompt for number, item in enumerate(report.items, 1) if number not in numbers],
            lead=lead,
            benchmarks=[*beside_tables(report.benchmarks)] if report.benchmarks else [],
            drawings=[drawing for drawing in drawings if drawing not in lead],
            making=making_of(manifest) if manifest else [],
            refresh=refresh,
            script=script,
            script_digest=digest_of(script) if shown else "",
        )
    )
    page.enable_buffering(TOGETHER)
    return page


def digest_of(script: str) -> str:
    """How a Content-Security-Policy names an inline script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode('ascii')}"


@cache
def _environment() -> Environment:
    environment = page_environment("sciexam.report")
    environment.filters["short"] = _short
    environment.filters["written"] = _written
    return environment


def _script() -> str:
    """The text of the page's one script. It stands in a `script` element, which ends at the first end tag in it."""
    environment = _environment()
    assert environment.loader is not None
    source = environment.loader.get_source(environment, "reading.js")[0]
    assert "</" not in source
    return source


def _short(text: str, longest: int) -> str:
    line = one_line(text)
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def _written(text: str) -> Markup:
    """What somebody wrote, its code in elements, and nothing between the passages: a copy is the text itself."""
    from markupsafe import Markup, escape

    code = Markup('<code class="{}" dir="ltr">{}</code>')
    found = passages_of(text)
    return Markup("").join(
        escape(one.text) if one.kind == "prose" else code.format(one.kind, one.text) for one in found
    )


def _colours(report: Report) -> Callable[[str], str]:
    """The class by which a contestant has its colour everywhere."""
    colours = {name: number % COLOURS for number, name in enumerate(report.contestants)}
    return lambda contestant: f"c{colours.get(contestant, COLOURS)}"


# ---------------------------------------------------------------- the prompts


def _articles(shown: Sequence[Exhibit], said: Mapping[str, Any]) -> dict[str, Any]:
    """The article of each prompt, to be read once: whole for the first ones, in brief for those that are packed, and
    these packed.
    """
    article: Any = getattr(_environment().get_template("article.html.j2").make_module(dict(said)), "article")  # noqa: B009
    whole = standing(article(exhibit, brief=False) for exhibit in shown)
    rest = shown[len(whole) :]
    return {
        "articles": chain(whole, (article(exhibit, brief=True) for exhibit in rest)),
        "unpacked": len(whole),
        "chunks": packed((exhibit.number, article(exhibit, brief=False)) for exhibit in rest),
    }


def _tools(report: Report) -> dict[str, Any]:
    """What can be chosen: categories, pairs of contestants, judges; and which of them each pair of the report is."""
    contests = list(dict.fromkeys((pair.a, pair.b) for pair in report.pairs))
    judges = list(dict.fromkeys(pair.judge for pair in report.pairs))
    places = {name: place for place, name in enumerate(report.contestants)}
    return {
        "categories": categories_of(report),
        "contests": contests,
        "judges": judges,
        "contest_of": [contests.index((pair.a, pair.b)) for pair in report.pairs],
        "judge_of": [judges.index(pair.judge) for pair in report.pairs],
        "ends": [f"{places.get(a, -1)}-{places.get(b, -1)}" for a, b in contests],
    }


# ---------------------------------------------------------------- the figures of a pair


def _figures(report: Report, pair: Pair) -> Iterator[tuple[str, str, str]]:
    """Name, value and a reading of each figure of a pair. An undefined one has its reason as the reading."""
    yield _figure(f"Win rate of {pair.b}", pair.win_rate, _interval_of(pair.win_rate))
    if pair.p_value is None:
        yield "p-value", "n/a", "No prompt has a score to test."
    else:
        tested = f"of the test that {pair.b} and {pair.a} are exchangeable"
        if report.watched:
            tested = "that the win rate is one half; it holds at every look, however long one watches"
        plain, corrected = (name.replace("p", "p-value", 1) for name in wording.p_names(report))
        yield plain, wording.p_value(pair.p_value), tested
        yield corrected, wording.p_value(pair.p_holm), "corrected for all comparisons in this report"
    yield _figure("Mean preference", pair.preference, f"towards {pair.b}, from -3 to 3")
    near = " (approximate)" if pair.stop else ""
    yield _figure(f"Order consistency{near}", pair.order_consistency, "of the prompts kept their verdict when swapped")
    yield _figure(f"Position bias{near}", pair.position_bias, _leaning(pair.position_bias))
    if pair.length is not None:
        words = f"{pair.length.b:.0f} against {pair.length.a:.0f}"
        yield "Mean words", words, f"{pair.b} writes {_difference(pair.length.difference)}"
        yield _figure("Longer answer wins", pair.length.longer_wins, "of the prompts with a winner and a longer answer")
        reading = f"of {pair.b} had its answers been as long; an adjustment, for length can be quality"
        yield _figure("Length-controlled win rate", pair.length.controlled, reading)


def _figure(name: str, figure: Figure, reading: str) -> tuple[str, str, str]:
    if isinstance(figure, Estimate):
        return name, str(figure), reading
    return name, "n/a", f"{figure.why}."


def _interval_of(figure: Figure) -> str:
    return f"{wording.percent(figure.level)} {figure.method}, n = {figure.n}" if isinstance(figure, Estimate) else ""


def _leaning(figure: Figure) -> str:
    if not isinstance(figure, Estimate) or figure.low * figure.high <= 0:
        return "0 is no bias, and the interval includes it"
    return f"the judge favours the answer shown {'first' if figure.value > 0 else 'second'}"


def _difference(words: float) -> str:
    if round(words) == 0:
        return "as many words"
    count = f"{abs(words):.0f}"
    return f"{count} word{'' if count == '1' else 's'} {'more' if words > 0 else 'fewer'} on average"
