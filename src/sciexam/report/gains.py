"""What training gained: each contestant against the nearest of its ancestors that sat the exam too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sciexam.lineage import Descent
from sciexam.report.record import Figure
from sciexam.stats import Estimate, Undefined

NOT_COMPARED = Undefined("the two were not compared")


@dataclass(frozen=True, slots=True)
class Gain:
    """By one judge: the win rate of a contestant against the ancestor that it was trained from; above 1/2 is a gain.

    `stages` are the names of the stages from `parent` to `contestant`, in order.
    """

    contestant: str
    parent: str
    stages: tuple[str, ...]
    judge: str
    win_rate: Figure


def gains_of(
    descents: Sequence[Descent], judges: Sequence[str], rates: Mapping[tuple[str, str, str], Figure]
) -> Iterator[Gain]:
    """The gain of every contestant that has an ancestor among them, by each judge.

    `rates` holds b's win rate against a under (a, b, judge); either may be the ancestor.
    """
    for one in descents:
        if one.parent is None:
            continue
        for judge in judges:
            yield Gain(one.contestant, one.parent, one.stages, judge, _rate(rates, one.parent, one.contestant, judge))


def _rate(rates: Mapping[tuple[str, str, str], Figure], parent: str, child: str, judge: str) -> Figure:
    if (found := rates.get((parent, child, judge))) is not None:
        return found
    found = rates.get((child, parent, judge), NOT_COMPARED)
    return mirrored(found) if isinstance(found, Estimate) else found


def mirrored(rate: Estimate) -> Estimate:
    """The same win rate, read from the other side."""
    return replace(rate, value=1 - rate.value, low=1 - rate.high, high=1 - rate.low)
