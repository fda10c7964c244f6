"""Whether the judge behind a name is still the same: anchors that it judges once more on every day it is asked."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sciexam.battles import cluster
from sciexam.documents import digest
from sciexam.exam.raters import Rater
from sciexam.report.drift import Change, Drift, change_of
from sciexam.store import Store
from sciexam.types import Grade, Presentation, Submission, Verdict


@dataclass(frozen=True, slots=True)
class Anchors:
    """The same things shown as in the exam, each under a key of its own for a day."""

    of: tuple[Presentation | Submission, ...]

    def on(self, day: str, store: Store) -> list[Any]:
        """What is shown on `day` (YYYY-MM-DD, UTC)."""
        return [replace(shown, key=(key := key_of(shown.key, day)), seal=store.seal(key)) for shown in self.of]


def key_of(key: str, day: str) -> str:
    """The key of the fact that the judge's second look on `day` becomes; `key` is that of its first."""
    return digest({"fact": ["anchor", 1], "of": key, "day": day})


def anchors_among(shown: Iterable[Presentation | Submission], number: int, seed: int) -> Anchors:
    """The `number` of them that a draw from their content puts first; a longer list of prompts keeps most of them."""
    return Anchors(tuple(heapq.nsmallest(number, shown, key=lambda one: digest([seed, "anchor", one.key]))))


def drift_of(rater: Rater, anchors: Anchors, store: Store) -> Drift | None:
    """What the anchors say; None where they were not judged again on a later day than the first.

    An anchor's first look is its verdict in the exam. Its second look on the first day shows how often the judge
    contradicts itself at once, and one on a later day how often it does by then: the difference is the drift.
    """
    days = [day for day in store.days() if _looks(rater, anchors, day, store)]
    if len(days) < 2:
        return None
    read = store.grades if rater.grades else store.verdicts
    own: Mapping[str, Any] = read([shown.key for shown in anchors.of])
    at_once, now = (_looks(rater, anchors, day, store) for day in (days[0], days[-1]))
    changes: list[Change] = []
    for shown in anchors.of:
        facts = [own.get(shown.key), at_once.get(shown.key), now.get(shown.key)]
        first, second, last = (_value(fact) for fact in facts)
        if first is not None and second is not None and last is not None:
            changes.append(Change(cluster(shown.prompt), abs(second - first), abs(last - first)))
    return change_of(rater.name, days[0], days[-1], changes)


def _looks(rater: Rater, anchors: Anchors, day: str, store: Store) -> dict[str, Any]:
    """The second looks of a day, by the key of the first."""
    keys = {key_of(shown.key, day): shown.key for shown in anchors.of}
    found: Mapping[str, Any] = (store.grades if rater.grades else store.verdicts)(keys)
    return {keys[key]: fact for key, fact in found.items()}


def _value(fact: Verdict | Grade | None) -> float | None:
    """A verdict or a mark as a number; None where it is not usable."""
    if fact is None or fact.status != "ok":
        return None
    if isinstance(fact, Grade):
        return fact.score
    if fact.probability_second is not None:
        return fact.probability_second
    return {"first": 0.0, "tie": 0.5, "second": 1.0}[fact.preferred or "tie"]
