"""Many annotators at once: what was acknowledged is there, once, and each item is judged as often as was asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from clicker import Clicker
from sciexam.store.annotations import standing
from study import Study

Serve = Callable[..., Study]


@pytest.mark.slow
def test_fifty_annotators_at_once_lose_nothing_and_double_nothing(study: Serve) -> None:
    served = study("--annotators", "50", "--overlap", "50", prompts=6)
    clickers = [Clicker(served.links[f"annotator-{n}"], n) for n in range(1, 51)]
    for clicker in clickers:
        clicker.start()
    for clicker in clickers:
        clicker.join(100)
    assert [clicker.failure for clicker in clickers] == [""] * 50
    _, done, people = served.kept()
    kept = {pseudonym: Counter() for pseudonym in served.links if pseudonym != "adjudication"}
    for one in done:
        kept[people[one.annotator].pseudonym][one.item, one.choice] += 1
    for number, clicker in enumerate(clickers, 1):
        assert len(clicker.acknowledged) == 6
        assert kept[f"annotator-{number}"] == Counter(clicker.acknowledged)
    with served.store() as store, store.database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT COUNT(*), COUNT(DISTINCT key) FROM verdicts").one()
    assert tuple(rows) == (300, 300)


@pytest.mark.parametrize("overlap", [1, 3])
def test_an_item_is_judged_by_as_many_as_were_asked_for_and_no_more(study: Serve, overlap: int) -> None:
    served = study("--annotators", "8", "--overlap", str(overlap), prompts=12)
    clickers = [Clicker(served.links[f"annotator-{n}"], n) for n in range(1, 9)]
    for clicker in clickers:
        clicker.start()
    for clicker in clickers:
        clicker.join(60)
    assert [clicker.failure for clicker in clickers] == [""] * 8
    queue, done, _ = served.kept()
    assert Counter(one.item for one in standing(done)) == {item.id: overlap for item in queue.items}
