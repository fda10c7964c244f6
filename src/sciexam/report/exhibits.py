"""The prompts of a report as they are read: the answers side by side, what each judge said of each pair, who won."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sciexam.report.record import Answer, Item, Opinion, Outcome, Report
from sciexam.stats.sides import ROUNDING, side_of
from sciexam.types import ADJUDICATION

WON, LOST, TIED, NO_RESULT = "b", "a", "t", "-"  # what a prompt says of a pair, as the page's script reads it


@dataclass(frozen=True, slots=True)
class Column:
    """One contestant's answers to one prompt; `number` is its place among the contestants."""

    number: int
    contestant: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Bench:
    """What one judge said of one pair on one prompt. `number` is the pair's place in the report; `said` sums it up.

    `notes`: the score where it is neither won nor lost whole, and who disagrees.
    """

    number: int
    judge: str
    a: str
    b: str
    said: str
    notes: tuple[str, ...]
    opinions: tuple[Opinion, ...]


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One prompt as it is shown: its number, the answers by contestant, the opinions by judge and pair.

    `winner` is set where there is one pair and one judge, and all verdicts are for one contestant. `tally` counts them
    otherwise, one line a judge. `category` is the place of its category among those of the report. `outcomes`,
    `orders` and `raters` have a letter for each pair of the report: who won, whether the orders disagree, and whether
    the raters do ("1").
    """

    number: int
    item: Item
    columns: tuple[Column, ...]
    benches: tuple[Bench, ...]
    winner: str | None
    tally: tuple[str, ...]
    category: int
    outcomes: str
    orders: str
    raters: str


def exhibits_of(report: Report) -> Iterator[Exhibit]:
    """The prompts that anybody answered, numbered as in the suite."""
    known = {name: place for place, name in enumerate(categories_of(report))}
    for number, item in enumerate(report.items, 1):
        if item.opinions or any(answer.text or answer.status == "ok" for answer in item.answers):
            yield _exhibit(report, number, item, known)


def categories_of(report: Report) -> list[str]:
    """The categories of the prompts, in alphabetical order."""
    return sorted({item.category for item in report.items if item.category is not None})


def _exhibit(report: Report, number: int, item: Item, categories: dict[str, int]) -> Exhibit:
    columns = tuple(
        Column(place, name, tuple(answer for answer in item.answers if answer.contestant == name))
        for place, name in enumerate(report.contestants)
    )
    outcomes = {(outcome.a, outcome.b, outcome.judge): outcome for outcome in item.outcomes}
    by_pair = [outcomes.get((pair.a, pair.b, pair.judge)) for pair in report.pairs]
    benches = tuple(_benches(report, item, by_pair))
    named = {opinion.preferred for bench in benches for opinion in bench.opinions}
    winner = named.pop() if len(report.pairs) == len(named) == 1 else None
    return Exhibit(
        number=number,
        item=item,
        columns=columns,
        benches=benches,
        winner=winner if winner in report.contestants else None,
        tally=tuple(_tally(report, benches)),
        category=-1 if item.category is None else categories[item.category],
        outcomes="".join(map(_letter, by_pair)),
        orders="".join("1" if one and one.orders_agree is False else "0" for one in by_pair),
        raters="".join("1" if one and one.raters_agree is False else "0" for one in by_pair),
    )


def _letter(outcome: Outcome | None) -> str:
    if outcome is None or outcome.score is None:
        return NO_RESULT
    return {1: WON, 0: TIED, -1: LOST}[side_of(outcome.score)]


def _benches(report: Report, item: Item, outcomes: Sequence[Outcome | None]) -> Iterator[Bench]:
    said: dict[tuple[str, frozenset[str]], list[Opinion]] = {}
    for opinion in item.opinions:
        said.setdefault((opinion.judge, frozenset((opinion.first, opinion.second))), []).append(opinion)
    for number, (pair, outcome) in enumerate(zip(report.pairs, outcomes, strict=True)):
        if of_pair := said.get((pair.judge, frozenset((pair.a, pair.b)))):
            once = () if pair.recorded else _asked_once(item, of_pair)
            notes = (*_notes(pair.b, outcome), *once)
            yield Bench(number, pair.judge, pair.a, pair.b, _in_short(of_pair), notes, tuple(of_pair))


def _notes(b: str, outcome: Outcome | None) -> Iterator[str]:
    if outcome is None:
        return
    # A tie, or a prompt that was won or lost whole, is said by the verdicts.
    if outcome.score is not None and min(abs(outcome.score - whole) for whole in (0, 0.5, 1)) > ROUNDING:
        yield f"score of {b} {outcome.score:.2f}"
    if outcome.orders_agree is False:
        yield "orders disagree"
    if outcome.raters_agree is False:
        yield "raters disagree"


def _asked_once(item: Item, said: Sequence[Opinion]) -> Iterator[str]:
    """Of two equal texts both orders are one question; a judge's answer to it is shown in both."""
    texts = {(answer.contestant, answer.sample): answer.text for answer in item.answers}

    def of_one_text(one: Opinion) -> bool:
        first = texts.get((one.first, one.sample))
        return first is not None and first == texts.get((one.second, one.sample))

    if len({(one.first, one.sample) for one in said if of_one_text(one)}) > 1 and len({one.rater for one in said}) == 1:
        yield "two equal texts: asked once for both orders"


def _in_short(opinions: Iterable[Opinion]) -> str:
    """What all verdicts say, or else how many say what. An adjudication is no vote: it stands for annotators' votes."""
    opinions = tuple(opinions)
    if settled := [opinion for opinion in opinions if _settles(opinion)]:
        heard = [opinion for opinion in opinions if opinion.rater != ADJUDICATION]
        return f"{_in_short(replace(one, rater='') for one in settled)} (adjudicated; annotators {_counted(heard)})"
    said = {opinion.preferred for opinion in opinions}
    orders = {opinion.first for opinion in opinions}
    if len(said) > 1:
        return _counted(opinions)
    return f"{_said(opinions[0])} in both orders" if len(orders) == 2 else _said(opinions[0])


def _tally(report: Report, benches: Sequence[Bench]) -> Iterator[str]:
    for judge in dict.fromkeys(bench.judge for bench in benches):
        of_judge = [bench for bench in benches if bench.judge == judge]
        if len(report.pairs) == 1:
            yield of_judge[0].said
        else:
            yield f"{judge}: {_counted(one for bench in of_judge for one in _counting(bench.opinions))}"


def _settles(opinion: Opinion) -> bool:
    return opinion.rater == ADJUDICATION and opinion.preferred is not None


def _counting(opinions: Iterable[Opinion]) -> Iterator[Opinion]:
    """The verdicts that count: of answers that were adjudicated, that one alone."""
    opinions = tuple(opinions)
    settled = {opinion.sample for opinion in opinions if _settles(opinion)}
    for opinion in opinions:
        if _settles(opinion) or (opinion.sample not in settled and opinion.rater != ADJUDICATION):
            yield opinion


def _counted(opinions: Iterable[Opinion]) -> str:
    """Verdicts, not scores: how the orders of a prompt combine into its score is the policy's to say."""
    return ", ".join(f"{name}\u00a0{count}" for name, count in Counter(map(_said, opinions)).most_common())


def _said(opinion: Opinion) -> str:
    return opinion.preferred or "no usable verdict"
