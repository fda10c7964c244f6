"""Many annotators at once, and a server that is killed under them: what was acknowledged is there, once."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from urllib.parse import urlencode

import httpx2
import pytest

from sciexam.store.annotations import standing
from study import Study

Serve = Callable[..., Study]


class Clicker(threading.Thread):
    """An annotator without a browser, who judges whatever comes, and presses every third button twice.

    `acknowledged` holds (item, choice) of each post that was answered with where to go on.
    """

    def __init__(self, link: str, seed: int, patience: float = 0.0):
        super().__init__(daemon=True)
        self.link, self.random, self.patience = link, random.Random(seed), patience
        self.acknowledged: list[tuple[str, str]] = []
        self.failure = ""

    def run(self) -> None:
        origin = "/".join(self.link.split("/")[:3])
        with httpx2.Client(base_url=origin, timeout=30) as client:
            while True:
                shown = self._asked(lambda: client.get(self.link, follow_redirects=True))
                if shown is None or "/item/" not in str(shown.url):
                    return
                choice = self.random.choice(["left-much", "left-slightly", "right-slightly", "right-much"])
                turn = shown.text.partition('name="turn" value="')[2].partition('"')[0]
                body = urlencode({"choice": choice, "turn": turn, "comment": f"by {self.name}"})
                for _ in range(2 if self.random.random() < 1 / 3 else 1):
                    done = self._asked(lambda: client.post(str(shown.url), content=body))  # noqa: B023
                    if done is None:
                        return
                    if done.status_code != 303:
                        self.failure = f"{done.status_code}: {done.text[-500:]}"
                        return
                self.acknowledged.append((str(shown.url).rpartition("/")[2], choice))

    def _asked(self, ask: Callable[[], httpx2.Response]) -> httpx2.Response | None:
        """What came back; tried again while the server is away, as the page's script does."""
        end = time.monotonic() + self.patience
        while True:
            try:
                return ask()
            except httpx2.TransportError as error:
                if time.monotonic() >= end:
                    self.failure = self.failure or repr(error)
                    return None
                time.sleep(0.1)


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


def test_ctrl_c_ends_the_page_and_says_how_to_go_on(study: Serve) -> None:
    served = study("--annotators", "1", prompts=3)
    Clicker(served.links["annotator-1"], 1).run()
    assert served.stop() == 0
    assert "stopped; 3 judgements are stored. The same command goes on, with the same links" in served.output


@pytest.mark.slow
def test_what_was_acknowledged_survives_kill_9_and_links_stay_valid(study: Serve) -> None:
    served = study("--annotators", "8", "--overlap", "8", prompts=40)
    clickers = [Clicker(served.links[f"annotator-{n}"], n, patience=30) for n in range(1, 9)]
    for clicker in clickers:
        clicker.start()
    links = dict(served.links)
    for _ in range(3):
        time.sleep(0.7)
        served.kill()
        served.start()
    assert served.links == links
    for clicker in clickers:
        clicker.join(100)
    assert [clicker.failure for clicker in clickers] == [""] * 8
    _, done, people = served.kept()
    for number, clicker in enumerate(clickers, 1):
        mine = Counter(
            (one.item, one.choice) for one in done if people[one.annotator].pseudonym == f"annotator-{number}"
        )
        assert mine == Counter(clicker.acknowledged)
        assert len(mine) == 40
