"""What is to be marked, handed from those who answer to those who mark."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence

from sciexam.types import Comparison, Response

GATHER_SECONDS = 0.5


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
