"""What a plan found: the one object that the console and `--json` of `sciexam plan` both print."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from sciexam.report.planning.costs import Cost, Orders, Rate
from sciexam.stats.estimate import Undefined
from sciexam.stats.variance import VarianceComponents

SCHEMA = "sciexam/plan/1"


@dataclass(frozen=True, slots=True)
class Design:
    """So many prompts, orders and samples, and the win rate that they find by every judge."""

    prompts: int
    orders: Orders
    samples: int
    finds: float | Undefined
    cost: Cost
    note: str = ""


@dataclass(frozen=True, slots=True)
class Ground:
    """What is known of one judge: variance components between equal contestants, from a pilot or assumed.

    `why`: which pilot, or why none. `worth`: how many forced choices a prompt is worth, by orders. `held`: what a
    validation found of it, and `by_chance`: that a coin agreed with people as often. `leaning`: that it goes by the
    place of an answer. All three are words.
    """

    judge: str
    source: Literal["pilot", "assumed"]
    why: str
    components: VarianceComponents
    worth: Mapping[Orders, float]
    assumption: str = ""
    caution: str = ""
    held: str = ""
    by_chance: str = ""
    leaning: str = ""


@dataclass(frozen=True, slots=True)
class Effect:
    """The prompts that find a win rate, one design for each choice of orders; `why` where there is none."""

    win_rate: float
    designs: tuple[Design, ...]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Budget:
    """What the money buys: the most prompts for each choice of orders and samples, and the choice that finds most.

    `within`: the best for the money with the prompts that are there, where `best` needs more of them.
    """

    usd: float
    designs: tuple[Design, ...]
    best: Design | None
    within: Design | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Joint:
    """What people's labels find together with a judge whose scores correlate with theirs by so much."""

    judge: str
    correlation: float
    source: str
    finds: float | Undefined
    worth: float  # labels that would find as much without the judge


@dataclass(frozen=True, slots=True)
class Labels:
    """So many prompts labelled by people, and `judged` more with the judge's verdict alone."""

    labels: int
    judged: int
    source: str
    alone: float | Undefined
    joint: tuple[Joint, ...]


@dataclass(frozen=True, slots=True)
class Outlook:
    suite: str
    contestants: tuple[str, ...]
    judges: tuple[str, ...]
    prompts: int  # of the suite
    answered: int | None  # of them, those with a recorded answer from everyone whose answers are recorded
    comparisons: int
    power: float
    level: float
    grounds: tuple[Ground, ...]
    rates: tuple[Rate, ...]
    unpriced: tuple[str, ...]  # models without a price
    of_files: bool  # files of answers alone, which have no suite to write prices into
    uncounted: tuple[str, ...]  # judges of the user's own, of which it is not known what they call
    recorded: tuple[str, ...]  # judges whose verdicts are in a file, and who judge nothing else
    equal: tuple[int, int]  # pairs of answers at hand that are two equal texts, and all that are at hand
    designs: tuple[Design, ...]
    effect: Effect | None
    budget: Budget | None
    labels: Labels | None
    judgements: int  # of people that are wanting, where one judges each comparison
    conclusion: tuple[str, ...]
    next: tuple[str, ...]  # what to type
    schema: str = field(default=SCHEMA)

    def to_json(self) -> dict[str, Any]:
        """Plain values for strict JSON. What may be unknown is {"value": ..., "why": ...}, one of them null."""
        made: dict[str, Any] = {"schema": self.schema} | _plain(self)
        return made


def _plain(value: Any) -> Any:
    if isinstance(value, Undefined):
        return {"value": None, "why": value.why}
    if hasattr(value, "__dataclass_fields__"):
        return {f.name: _field(f.type, getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, tuple) else value


def _field(type_name: Any, value: Any) -> Any:
    """A number that could have been Undefined has the same keys as if it were."""
    if isinstance(value, float) and type_name in ("float | Undefined", "Variance"):
        return {"value": value, "why": None}
    return _plain(value)
