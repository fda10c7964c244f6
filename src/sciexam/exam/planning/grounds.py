"""What a plan knows of each judge before the exam: how its scores spread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sciexam.exam.markers import Marker
from sciexam.exam.planning.pilot import Pilot
from sciexam.report.planning.costs import Orders
from sciexam.report.planning.outlook import Ground
from sciexam.stats.estimate import Undefined
from sciexam.stats.variance import VarianceComponents, forced_choice_components

TIES, CONSISTENCY = 0.1, 0.8  # assumed of a judge without a pilot
FEW_PROMPTS = 30


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
