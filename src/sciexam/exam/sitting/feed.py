"""What is to be marked, handed from those who answer to those who mark."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sciexam.types import Comparison, Presentation, Response, Submission

GATHER_SECONDS = 0.5

Item = Comparison | Response


@dataclass(frozen=True, slots=True)
class Look:
    """One thing that a rater is to be shown, which is not made yet: its key, and what it is a look at."""

    key: str
    item: Item
    attempt: int = 0


def showing(shown_of: Callable[[Item], Iterable[Presentation | Submission]]) -> Callable[[Look], Any]:
    """What makes the thing behind a look, by what makes all that is shown of its item: looks at one item follow each
    other.
    """
    item: Item | None = None
    made: dict[str, Any] = {}

    def show(look: Look) -> Any:
        nonlocal item, made
        if look.item is not item:
            item, made = look.item, {one.key: one for one in shown_of(look.item)}
        return replace(made[look.key], attempt=look.attempt)

    return show


class Feed:
    """What is to be marked, as it becomes possible. Every judge reads all of it, at its own pace.

    `gather`: seconds that a judge waits for company of the first comparison of a batch; None: until all is there.
    """

    def __init__(self, gather: float | None = GATHER_SECONDS) -> None:
        self._gather = gather
        self._items: list[Comparison | Response] = []
        self._open = True
        self._changed = threading.Condition()

    def add(self, items: Iterable[Comparison | Response]) -> None:
        with self._changed:
            self._items.extend(items)
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._open = False
            self._changed.notify_all()

    @property
    def items(self) -> Sequence[Comparison | Response]:
        """Everything that came so far."""
        with self._changed:
            return tuple(self._items)

    def batches(self) -> Iterator[list[Comparison | Response]]:
        """Everything that came since the last batch, until the feed is closed and read."""
        read = 0
        while True:
            with self._changed:
                while self._open and len(self._items) == read:
                    self._changed.wait()
                if self._open:
                    self._changed.wait_for(lambda: not self._open, self._gather)
                batch = self._items[read:]
                if not batch:
                    return
            read += len(batch)
            yield batch
