"""An annotator stops half-way with an item before them, and the overlap that was asked for is not reached."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from annotate_queue import judging_by, queue_of
from clicker import turn_of
from newcomers import Person, Serve
from postgres import SLOWLY, place, raw
from rows import Tally
from sciexam.annotate.desk import Desk
from sciexam.annotate.links import until
from sciexam.annotate.queue import Item
from sciexam.store import Store
from sciexam.store.annotations import Slots

PROMPTS = 6
Choose = Callable[[Item, Slots], str]
LEFT: Choose = lambda item, shown: "left-much"  # noqa: E731
CHOSEN: Choose = lambda item, shown: "left"  # noqa: E731


@pytest.fixture(params=SLOWLY)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with Store(place(request, tmp_path)) as made:
        yield made


def test_what_an_annotator_leaves_goes_back_and_a_lease_runs_out(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = queue_of(tmp_path, store, overlap=1, annotators=2, prompts=3)
    desk, ann, bob = Desk(store, queue), store.annotators.add("Ann", until(1)), store.annotators.add("Bob", until(1))
    held = desk.next(ann)
    assert desk.next(bob) != held
    desk.pause(ann)
    assert held in judging_by(desk, bob, LEFT)
    assert desk.next(ann) is None
    # A lease that ran out without a word is the same.
    other = queue_of(tmp_path, store, overlap=1, annotators=2, prompts=3, scale="choice")
    desk = Desk(store, other)
    held = desk.next(ann)
    assert held not in judging_by(desk, bob, CHOSEN)
    assert desk.is_waiting(bob)
    real = time.time_ns
    monkeypatch.setattr("time.time_ns", lambda: real() + 31 * 60 * 10**9)
    assert judging_by(desk, bob, CHOSEN) == [held]
    assert desk.judge(ann, str(held), 0, {"choice": "left"}), "who comes back late loses nothing"


def judged(who: Person, at_most: int) -> httpx2.Response:
    """Judge so many items as they come, always alike; what is shown after that."""
    with httpx2.Client(follow_redirects=True, timeout=30) as client:
        shown = client.get(who.link)
        while at_most and "/item/" in str(shown.url):
            shown = client.post(str(shown.url), data={"choice": "left-much", "turn": turn_of(shown.text)})
            at_most -= 1
        return shown


def test_what_is_held_comes_to_another_when_its_time_is_over_and_agreement_says_on_how_many_it_stands(
    study: Serve, tally: Tally
) -> None:
    served = study("--annotators", "3", "--overlap", "2", prompts=PROMPTS)
    stops, goes_on, late = (Person(served, f"annotator-{n}") for n in (1, 2, 3))
    held = judged(stops, 2)
    assert "/item/" in str(held.url)
    judged(goes_on, PROMPTS)
    after = judged(late, PROMPTS)
    kept = str(held.url).rpartition("/")[2]
    assert kept not in [item for item, _ in late.did()]
    assert "others" in after.text, "somebody has it: it may come back"
    assert len(late.did()) == PROMPTS - 3

    status = json.loads(served.run("annotate", "status", "--json").stdout)
    assert (status["items"], status["complete"], status["judgements"]) == (PROMPTS, PROMPTS - 1, 2 + PROMPTS + 3)
    agreed = json.loads(served.run("agree", "base", "sft", "--suite", "exam.yaml", "--json").stdout)
    by_raters = {tuple(one["raters"]): one["items"] for one in agreed["pairs"] if one["category"] is None}
    everyone = ("annotator-1", "annotator-2", "annotator-3")
    assert by_raters == {everyone[:2]: 2, everyone[1:]: PROMPTS - 3, (everyone[0], everyone[2]): 0}
    [group] = [one for one in agreed["groups"] if one["category"] is None]
    assert (tuple(group["raters"]), group["items"], group["percent"]["n"]) == (everyone, PROMPTS - 1, PROMPTS - 1)
    assert {one["rater"]: one["items"] for one in agreed["raters"]} == dict(zip(everyone, (2, 6, 3), strict=True))
    assert [one["items"] for one in agreed["majority"]] == [PROMPTS], "what one alone has judged counts, once"

    lease = "UPDATE assignments SET until = until - 31 * 60 * 1000 WHERE choice IS NULL"
    raw(str(served.folder / "results" / "ledger.sqlite"), lease)  # as if half an hour had passed
    judged(late, PROMPTS)
    assert kept in [item for item, _ in late.did()]
    status = json.loads(served.run("annotate", "status", "--json").stdout)
    assert (status["complete"], status["judgements"]) == (PROMPTS, 2 * PROMPTS)
    back = httpx2.post(str(held.url), data={"choice": "right-much", "turn": turn_of(held.text)})
    assert back.status_code == 303, "who comes back late loses nothing"
    assert stops.did()[-1] == (kept, "right-much")
    tally(3 * PROMPTS)
