"""A report as one HTML file: it asks the network for nothing, runs no script, and shows every answer as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from sciexam.report import wording
from sciexam.report.pages import page_environment
from sciexam.report.plain_text import one_line
from sciexam.report.power_figure import to_svg
from sciexam.report.record import Answer, Figure, Item, Opinion, Pair, Report
from sciexam.stats import Estimate

if TYPE_CHECKING:
    from jinja2 import Template

COLOURS = 6  # of the palette in the template; a seventh contestant begins again at the first
FEW_OPINIONS = 4  # verdicts on one prompt that are shown at once; more of them are folded


@dataclass(frozen=True, slots=True)
class Column:
    """One contestant's answers to one prompt."""

    contestant: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Bench:
    """What one judge said of one pair on one prompt; `outcome` sums it up."""

    judge: str
    a: str
    b: str
    outcome: str
    opinions: tuple[Opinion, ...]


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One prompt as it is shown: its number, the answers by contestant, the opinions by judge and pair.

    `winner` is set where there is one pair and one judge, and all verdicts are for one contestant. `tally` counts them
    otherwise, one line a judge.
    """

    number: int
    item: Item
    columns: tuple[Column, ...]
    benches: tuple[Bench, ...]
    winner: str | None
    tally: tuple[str, ...]


def to_html(report: Report) -> str:
    """The page as text. It holds every answer and reason of the report, and can be written as UTF-8."""
    colours = {name: number % COLOURS for number, name in enumerate(report.contestants)}
    shown = [exhibit for number, item in enumerate(report.items, 1) if (exhibit := _exhibit(report, number, item))]
    numbers = {exhibit.number for exhibit in shown}
    return _template().render(
        report=report,
        words=wording,
        colour=lambda contestant: f"c{colours.get(contestant, COLOURS)}",
        figures=lambda pair: tuple(_figures(report, pair)),
        power=to_svg,
        is_estimate=lambda figure: isinstance(figure, Estimate),
        exhibits=shown,
        unanswered=[item.prompt for number, item in enumerate(report.items, 1) if number not in numbers],
        samples=max((answer.sample for item in report.items for answer in item.answers), default=0) + 1,
        few_opinions=FEW_OPINIONS,
    )


@cache
def _template() -> Template:
    environment = page_environment("sciexam.report")
    environment.filters["short"] = _short
    return environment.get_template("report.html.j2")


def _short(text: str, longest: int) -> str:
    line = one_line(text)
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def _exhibit(report: Report, number: int, item: Item) -> Exhibit | None:
    """None for a prompt that nobody answered: the counts say why, and a page of empty columns says no more."""
    if not item.opinions and not any(answer.text or answer.status == "ok" for answer in item.answers):
        return None
    columns = tuple(
        Column(name, tuple(answer for answer in item.answers if answer.contestant == name))
        for name in report.contestants
    )
    benches = tuple(_benches(report, item))
    named = {opinion.preferred for bench in benches for opinion in bench.opinions}
    winner = named.pop() if len(report.pairs) == len(named) == 1 else None
    if winner not in report.contestants:
        winner = None
    return Exhibit(number, item, columns, benches, winner, tuple(_tally(report, benches)))


def _benches(report: Report, item: Item) -> Iterator[Bench]:
    said: dict[tuple[str, frozenset[str]], list[Opinion]] = {}
    for opinion in item.opinions:
        said.setdefault((opinion.judge, frozenset((opinion.first, opinion.second))), []).append(opinion)
    for pair in report.pairs:
        if of_pair := said.get((pair.judge, frozenset((pair.a, pair.b)))):
            yield Bench(pair.judge, pair.a, pair.b, _outcome(of_pair), tuple(of_pair))


def _outcome(opinions: Iterable[Opinion]) -> str:
    """What all verdicts say, or else how many say what."""
    opinions = tuple(opinions)
    said = {opinion.preferred for opinion in opinions}
    orders = {opinion.first for opinion in opinions}
    if len(said) > 1:
        return _counted(opinions)
    return f"{_said(opinions[0])} in both orders" if len(orders) == 2 else _said(opinions[0])


def _tally(report: Report, benches: Sequence[Bench]) -> Iterator[str]:
    for judge in dict.fromkeys(bench.judge for bench in benches):
        of_judge = [bench for bench in benches if bench.judge == judge]
        if len(report.pairs) == 1:
            yield of_judge[0].outcome
        else:
            yield f"{judge}: {_counted(opinion for bench in of_judge for opinion in bench.opinions)}"


def _counted(opinions: Iterable[Opinion]) -> str:
    """Verdicts, not scores: how the orders of a prompt combine into its score is the policy's to say."""
    return ", ".join(f"{name}\u00a0{count}" for name, count in Counter(map(_said, opinions)).most_common())


def _said(opinion: Opinion) -> str:
    return opinion.preferred or "no usable verdict"


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
