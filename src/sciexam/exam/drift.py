"""Whether the judge behind a name is still the same: anchors that it judges once more on every day it is asked."""

from __future__ import annotations

import heapq
import json
import threading
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from sciexam.battles import cluster
from sciexam.digests import digest
from sciexam.exam.raters import Rater
from sciexam.store import Store
from sciexam.types import Grade, Presentation, Prompt, Submission, Verdict

if TYPE_CHECKING:
    from sciexam.report.drift import Drift

Shown = Presentation | Submission


def again(anchors: Iterable[Shown], day: str, store: Store) -> list[Any]:
    """The anchors as they are shown on `day` (YYYY-MM-DD, UTC), each under a key of its own for the day."""
    return [replace(shown, key=(key := key_of(shown.key, day)), seal=store.seal(key)) for shown in anchors]


def key_of(key: str, day: str) -> str:
    """The key of the fact that the judge's second look on `day` becomes; `key` is that of its first."""
    return digest({"fact": ["anchor", 1], "of": key, "day": day})


def drawn(shown: Iterable[Shown], number: int, seed: int) -> list[Shown]:
    """The `number` of them that a draw from their content puts first."""
    return heapq.nsmallest(number, shown, key=lambda one: digest([seed, "anchor", one.key]))


class Candidates:
    """Of what raters are shown in one sitting that which may become an anchor, and who of them was asked."""

    def __init__(self, seed: int):
        self._seed = seed
        self._lock = threading.Lock()
        self._shown: dict[str, list[Shown]] = {}
        self._asked: set[str] = set()

    def note(self, rater: Rater, shown: Iterable[Shown], asked: bool) -> None:
        """Keep some of `shown`, each of them once, to spare for what has no usable verdict."""
        if not rater.anchors:
            return
        with self._lock:
            known = {one.key: one for one in self._shown.get(rater.name, ())}
            among = chain(known.values(), (one for one in shown if one.key not in known))
            self._shown[rater.name] = drawn(among, 2 * rater.anchors, self._seed)
            self._asked |= {rater.name} if asked else set()

    def is_due(self, rater: Rater) -> bool:
        """Whether a rater is to look at its anchors again: it has some, and was asked for anything."""
        return rater.anchors > 0 and rater.name in self._asked

    def today(self, rater: Rater, store: Store) -> list[Any]:
        """What a rater is shown again in the run that was started last."""
        return again(topped_up(rater, self._shown[rater.name], self._seed, store), store.days()[-1], store)


def remembered(rater: Rater, store: Store) -> list[Shown]:
    """The anchors of a rater, from whatever exam: the first ones that its settings ask for."""
    return [_read(json.loads(body)) for body in store.anchors(rater.digest)[: rater.anchors]]


def topped_up(rater: Rater, candidates: Iterable[Shown], seed: int, store: Store) -> list[Shown]:
    """The anchors of a rater; where they are fewer than its settings ask for, more are drawn from the candidates.

    Only what has a usable verdict becomes an anchor, and it stays one whatever is compared later.
    """
    known = remembered(rater, store)
    missing = rater.anchors - len(known)
    if missing <= 0:
        return known
    fresh = {one.key: one for one in candidates}
    for one in known:
        fresh.pop(one.key, None)
    judged: Mapping[str, Any] = (store.grades if rater.grades else store.verdicts)(fresh)
    usable = [one for key, one in fresh.items() if key in judged and judged[key].status == "ok"]
    new = drawn(usable, missing, seed)
    store.add_anchors(rater.digest, {one.key: json.dumps(_written(one)) for one in new})
    return known + new


def _written(shown: Shown) -> dict[str, Any]:
    plain = {field.name: getattr(shown, field.name) for field in fields(shown) if field.name not in ("prompt", "seal")}
    return {**plain, "attempt": 0, "prompt": shown.prompt.model_dump(mode="json")}


def _read(plain: Mapping[str, Any]) -> Shown:
    whole = {**plain, "prompt": Prompt.model_validate(plain["prompt"])}
    return Submission(**whole) if "text" in whole else Presentation(**whole)


def drift_of(rater: Rater, store: Store) -> Drift | None:
    """What the anchors say; None where there are none yet. Before a later day than the first there is no p-value.

    An anchor's first look is its verdict in the exam. Its second look on the first day shows how often the judge
    contradicts itself at once, and one on a later day how often it does by then: the difference is the drift.
    """
    from sciexam.report.drift import Change, change_of

    anchors = remembered(rater, store)
    days = [day for day in store.days() if _looks(rater, anchors, day, store)]
    if not days:
        return None
    if len(days) == 1:
        return change_of(rater.name, days[0], days[0], [], len(anchors))
    read = store.grades if rater.grades else store.verdicts
    own: Mapping[str, Any] = read([shown.key for shown in anchors])
    at_once, now = (_looks(rater, anchors, day, store) for day in (days[0], days[-1]))
    changes: list[Change] = []
    for shown in anchors:
        facts = [own.get(shown.key), at_once.get(shown.key), now.get(shown.key)]
        first, second, last = (_value(fact) for fact in facts)
        if first is not None and second is not None and last is not None:
            changes.append(Change(cluster(shown.prompt), abs(second - first), abs(last - first)))
    return change_of(rater.name, days[0], days[-1], changes, len(anchors))


def _looks(rater: Rater, anchors: Iterable[Shown], day: str, store: Store) -> dict[str, Any]:
    """The second looks of a day, by the key of the first."""
    keys = {key_of(shown.key, day): shown.key for shown in anchors}
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
