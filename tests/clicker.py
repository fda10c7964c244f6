"""An annotator without a browser, for tests of many annotators and of servers that end."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from urllib.parse import urlencode

import httpx2


def turn_of(page: str) -> str:
    """How many judgements of its item a page knows of, as its form sends it."""
    return page.partition('name="turn" value="')[2].partition('"')[0]


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
                body = urlencode({"choice": choice, "turn": turn_of(shown.text), "comment": f"by {self.name}"})
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
