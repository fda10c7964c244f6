"""What a plan knows of each judge before the exam: how it is asked, and how its scores spread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from sciexam.errors import UsageError
from sciexam.exam.pilot import Pilot
from sciexam.exam.plan import Plan
from sciexam.judges.settings import CustomJudge, JudgeSpec
from sciexam.report.planning.outlook import Ground, Orders
from sciexam.stats.estimate import Undefined
from sciexam.stats.variance import VarianceComponents, forced_choice_components
from sciexam.types import Judge

TIES, CONSISTENCY = 0.1, 0.8  # assumed of a judge without a pilot
FEW_PROMPTS = 30


@dataclass(frozen=True, slots=True)
class Marker:
    """One who marks, as a plan sees it. `orders` is "own" where there is no choice: text measures, recorded, humans.

    `model` is what it calls; None for one that calls none, and for a judge of the user's own (`foreign`), of which that
    is not known. `grades`: it marks answers one by one. `named`: the word by which it was asked for, if it was one.
    `recorded`: its verdicts are in a file, and there are no others.
    """

    name: str
    orders: Orders
    repeats: int
    sees_order: bool = True
    human: bool = False
    foreign: bool = False
    model: str | None = None
    grades: bool = False
    named: str | None = None
    recorded: bool = False


def markers_of(plan: Plan, judges: Sequence[str | Judge]) -> Iterator[Marker]:
    """Each bench of the plan once."""
    given = {judge if isinstance(judge, str) else judge.name: judge for judge in judges}
    for bench in plan.benches:
        judge = given.get(bench)
        named = judge if isinstance(judge, str) else None
        rater = next((rater for rater in plan.raters if rater.bench == bench), None)
        if rater is not None and rater.part_of:
            members = " ".join(f"--judge {one.name}" for one in plan.raters if one.bench == bench)
            raise UsageError(f"{bench!r} is a {rater.part_of}; plan with its judges one by one: {members}")
        if rater is None or rater.by_name or rater.kind == "human":
            human = rater is None or rater.kind == "human"
            recorded = rater is not None and rater.recorded is not None
            yield Marker(bench, "own", 1, human=human, named=named, recorded=recorded)
            continue
        yield Marker(
            name=bench,
            orders=rater.orders if rater.sees_order else "own",
            repeats=rater.repeats,
            sees_order=rater.sees_order,
            foreign=(judge is not None and named is None) or _is_foreign(plan.suite.judges.get(bench)),
            model=rater.model,
            grades=rater.grades,
            named=named,
        )


def _is_foreign(spec: JudgeSpec | None) -> bool:
    """Whether a judge is a class that is not of this package, whose toys call nobody."""
    return isinstance(spec, CustomJudge) and not spec.backend.startswith("sciexam.")


def ground_of(marker: Marker, pilot: Pilot | None, absent: str, location: str) -> Ground:
    """The components from the pilot, or else those that are assumed, and why.

    `absent`: why the exam cannot be held yet, or an empty text.
    """
    found = pilot.components(marker.name) if pilot else Undefined(f"there is no ledger at {location}")
    if isinstance(found, Undefined):
        components = forced_choice_components(TIES, CONSISTENCY)
        how = f"forced choices with {TIES:.0%} ties"
        how += "" if marker.orders == "own" else f", and {CONSISTENCY:.0%} of the verdicts the same in both orders"
        worth = _worth(marker, components)
        return Ground(marker.name, "assumed", absent or found.why, components, worth, assumption=how)
    units = "prompts" if found.size <= 1 else f"groups of {found.size:.1f} prompts"
    few = found.units < FEW_PROMPTS
    caution = f"{found.units} {units} are few: what they say of the spread is itself rough" if few else ""
    why = f"{found.prompts} prompts in {location}"
    return Ground(marker.name, "pilot", why, found, _worth(marker, found), caution=caution)


def variance_of(marker: Marker, components: VarianceComponents, orders: Orders, samples: int) -> float:
    """Of a prompt's score between equal contestants; a panel stays as large as it was in the pilot."""
    if marker.orders == "own":
        seen, repeats = components.orders, components.repeats
    else:
        seen, repeats = 1.0 if orders == "one" else 2.0, float(marker.repeats)
    variance = components.of_score(seen, samples, components.judges, repeats, position=marker.orders != "own")
    return max(variance, 1e-4)


def choices_of(markers: Sequence[Marker], orders: Literal["both", "one"] | None) -> tuple[Orders, ...]:
    """The orders to choose from; the first is what `sciexam compare` does by itself."""
    asked = {marker.orders for marker in markers if marker.orders != "own"}
    if not asked:
        return ("own",)
    if orders is not None:
        return (orders,)
    return ("one", "both") if asked == {"one"} else ("both", "one")


def _worth(marker: Marker, components: VarianceComponents) -> dict[Orders, float]:
    choices: tuple[Orders, ...] = ("own",) if marker.orders == "own" else ("both", "one")
    return {orders: 0.25 / variance_of(marker, components, orders, 1) for orders in choices}
