"""Human verdicts that annotators gave under another rubric than a suite has now."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from sciexam.battles import present
from sciexam.exam.plan import verdict_key
from sciexam.exam.raters import annotator_digest
from sciexam.rubric import Rubric
from sciexam.store import Store
from sciexam.store.annotations import standing
from sciexam.types import Comparison, Order

ORDERS: tuple[Order, ...] = ("ab", "ba")
Contest = tuple[str, str]


def verdicts_under_other_rubrics(
    rubric: Rubric, comparisons: Sequence[Comparison], store: Store
) -> dict[Contest, Counter[str]]:
    """How many human verdicts on these comparisons came from a queue with another rubric: by pair of contestants, and
    by the rubric's name and version.

    Nothing is known of the rubric of a verdict that was read from a file. Every queue is read once.
    """
    subjects = {present(one, order).subject for one in comparisons for order in ORDERS}
    said = {one.key for one in store.human_verdicts(subjects) if one.status != "skipped"}
    counts: dict[Contest, Counter[str]] = defaultdict(Counter)
    for body in store.annotations.queues().values():
        queue = json.loads(body)
        theirs = Rubric.model_validate(queue["rubric"])
        if theirs.digest != rubric.digest:
            found = dict.fromkeys(one for one in _keys(queue, theirs, comparisons, store) if one[1] in said)
            for contest, _ in found:
                counts[contest][f"{theirs.rubric}, version {theirs.version}"] += 1
    return counts


def _keys(queue: Any, rubric: Rubric, comparisons: Sequence[Comparison], store: Store) -> Iterator[tuple[Contest, str]]:
    """The keys of the verdicts that were given in a queue on these comparisons, each with its pair."""
    judged: dict[str, set[int]] = defaultdict(set)
    for one in standing(store.annotations.judgements(queue["id"])):
        judged[one.item].add(one.annotator)
    items: dict[str, list[str]] = defaultdict(list)
    for item, shown in store.annotations.items(sorted(judged)).items():
        for text in json.loads(shown)["texts"]:
            items[text].append(item)
    people = {one.id: one.pseudonym for one in store.annotators.all()}
    for comparison in comparisons:
        contest = comparison.a.contestant, comparison.b.contestant
        for item in set(items.get(comparison.a.text, ())) & set(items.get(comparison.b.text, ())):
            for annotator in judged[item]:
                by = annotator_digest(people[annotator], rubric.digest, queue["scale"], item)
                for order in ORDERS:
                    yield contest, verdict_key(by, present(comparison, order))
