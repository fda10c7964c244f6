"""Annotators whom nobody has been before, what the ledger has of them, and how they use a page in a browser."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from conftest import write_suite
from sciexam.annotate.said import Said, read_body
from study import Study, said_by, write_answers

Serve = Callable[..., Study]
Open = Callable[..., Any]

PROMPTS = 4
PHONE = {"width": 390, "height": 844}
SCRIPT = pytest.mark.parametrize("script", [True, False], ids=["with JavaScript", "without JavaScript"])


@dataclass(frozen=True)
class Person:
    """An annotator whom nobody has been before."""

    served: Study
    pseudonym: str

    @property
    def link(self) -> str:
        return self.served.links[self.pseudonym]

    def did(self) -> list[tuple[str, str]]:
        """The item and the choice of everything that the ledger holds of this person, in order of arrival."""
        return [(item, said.choice) for item, said in self.said()]

    def said(self) -> list[tuple[str, Said]]:
        _, done, people = self.served.kept()
        mine = [one for one in done if people[one.annotator].pseudonym == self.pseudonym]
        return [(one.item, read_body(one.choice, one.body)) for one in mine]

    def draft(self, item: str) -> Said:
        return read_body("", self._place(item).draft)

    def holds(self, item: str) -> bool:
        """Whether nobody else gets what lies before this person."""
        return self._place(item).until > time.time() * 1000

    def _place(self, item: str) -> Any:
        queue, _, people = self.served.kept()
        [me] = [one for one in people.values() if one.pseudonym == self.pseudonym]
        with self.served.store() as store:
            place = store.annotations.assignment(queue.id, me.id, item)
        assert place is not None
        return place


Newcomer = Callable[[], Person]


def text_of(name: str, prompt: int, sample: int) -> str:
    return f"{said_by(name, prompt, sample)} {'It is so. ' * sample}"


@contextmanager
def for_many(folder: Path, people: int, *options: str, samples: int = 1) -> Iterator[Newcomer]:
    """A served study in which each test is another annotator, of so many: everyone judges everything."""
    write_answers(folder, ("base", "sft"), PROMPTS, samples, text_of)
    write_suite(folder, PROMPTS, {name: {"responses": f"{name}.jsonl"} for name in ("base", "sft")})
    invited = ["--annotators", str(people), "--overlap", str(people)]
    served = Study(folder, [*options, "--suite", "exam.yaml", *invited]).start()
    numbers = count(1)
    yield lambda: Person(served, f"annotator-{next(numbers)}")
    served.stop()


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    with for_many(tmp_path_factory.mktemp("pairs"), 60) as newcomer:
        yield newcomer


@pytest.fixture(scope="module")
def rankings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    folder = tmp_path_factory.mktemp("rankings")
    with for_many(folder, 6, "--task", "ranking", "--samples", "2", samples=2) as newcomer:
        yield newcomer


@pytest.fixture(scope="module")
def demonstrations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    with for_many(tmp_path_factory.mktemp("demonstrations"), 6, "sft", "--task", "demonstrations") as newcomer:
        yield newcomer


# ---------------------------------------------------------------- doing things in a page


def go(page: Any, act: Callable[[], Any]) -> None:
    """Do something that opens another page, and wait for it."""
    before = page.url
    act()
    page.wait_for_url(lambda url: url != before)


def judge(page: Any, choice: str) -> None:
    go(page, lambda: page.click(f"button[value={choice}]"))


def item_of(page: Any) -> str:
    assert "/item/" in page.url
    return page.url.rpartition("/")[2]


def told(page: Any) -> str:
    """What the page says above the item."""
    return page.locator(".notice p").inner_text()


def until(page: Any, holds: Callable[[], bool]) -> None:
    """Wait, while the browser goes on, until something holds."""
    for _ in range(400):
        if holds():
            return
        page.wait_for_timeout(25)
    raise AssertionError("it never came about")


def middle_of(page: Any, selector: str) -> tuple[float, float]:
    box = page.locator(selector).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def held_back(page: Any) -> list[Any]:
    """The posts that the page makes from now on, which stay on their way until `arrive`."""
    held: list[Any] = []
    page.route("**/a/**", lambda one: held.append(one) if one.request.method == "POST" else one.continue_())
    return held


def arrive(page: Any, held: list[Any]) -> int:
    """Let what was posted reach the server, twice, also where the browser let go of it, and wait for where it leads.

    Returns how many posts there were.
    """
    here, sent = page.url, []

    def led() -> bool:
        while held:
            sent.append(held.pop(0))
            sent[-1].fetch(max_redirects=0)
            sent[-1].continue_()
        return bool(page.url != here)

    until(page, led)
    page.wait_for_load_state()
    return len(sent)
