"""Why a judge is not to be relied on, by what people said of the same comparisons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sciexam.report.record import Figure
from sciexam.report.validating.against_humans import COIN, LONGER, Against
from sciexam.report.validating.judge_biases import Biases
from sciexam.report.validating.replacing import Replacing
from sciexam.stats import Estimate

NOTHING_READ = {COIN: COIN, LONGER: f"always taking {LONGER}"}  # what a judge has to be better than, as it is told
STRONG = 0.2  # position bias


def by_chance(agreed: Estimate) -> str:
    """That a coin would have agreed as often, for all that these comparisons show; or an empty text."""
    if agreed.low > 0.5:
        return ""
    return "worse than a coin" if agreed.high < 0.5 else "not told from a coin"


def faults(against: Sequence[Against], biases: Biases) -> Iterator[str]:
    """What was not shown of a judge, and where its verdicts go by the place of an answer; each ends a sentence."""
    leads = {row.who: row.lead for row in against if row.who in NOTHING_READ}
    beside = [NOTHING_READ[who] for who, lead in leads.items() if isinstance(lead, Estimate) and lead.low <= 0]
    if beside:
        yield f"was not shown to be better than {' or '.join(beside)}"
    yield from leaning(biases.position_bias)


def useless(by_chance: str, leaning: str) -> str:
    """Why more prompts by a judge would be wasted: by people it is a coin, or the place of an answer decides for it."""
    coin = by_chance and f"was {by_chance} by the people who judged"
    return " and ".join(filter(None, (coin, leaning)))


def leaning(bias: Figure) -> Iterator[str]:
    """That a judge goes by the place of an answer, where it does."""
    if isinstance(bias, Estimate) and goes_by_place(bias):
        yield f"favours the answer shown {'first' if bias.value > 0 else 'second'} (position bias {bias})"


def goes_by_place(bias: Figure) -> bool:
    """Whether a position bias is strong, and told from 0."""
    return isinstance(bias, Estimate) and bias.low * bias.high > 0 and abs(bias.value) > STRONG


def told(judge: str, against: Sequence[Against], biases: Biases, tested: Replacing) -> Iterator[str]:
    """The same as caveats, and that a judge may not stand in the place of an annotator."""
    for fault in faults(against, biases):
        yield f"{judge} {fault}."
    if tested.omega is not None and not tested.passed:
        yield (
            f"{judge} does not pass the alt-test: it was not shown that it may stand in for an annotator (omega "
            f"{tested.omega:.2f}, and 1/2 is asked for)."
        )
