"""Group commit: facts from any thread, made durable in groups by one."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence

from sciexam.errors import StoreError
from sciexam.store.tables import Fact
from sciexam.types import Reply

GROUP_ROWS = 200
UNCOMMITTED_REPLIES = 8  # paid for and not yet durable: what a kill can cost beyond the calls in flight
LINGER = 0.01  # seconds that a fact waits for company: a commit of eight costs hardly more than one of one


class Writer:
    """Collects facts from any thread and commits them in groups: what came during the last commit, and a moment more.

    A lone fact is durable after that moment and one commit; under load a group grows by itself (at most 200). Nobody
    waits but for room: a group is committed at once when 8 paid replies are in it.
    """

    def __init__(self, append: Callable[[Sequence[Fact]], None], durable: Callable[[Sequence[Fact]], None] | None):
        self._append = append
        self._durable = durable
        self._queue: queue.Queue[Fact | None] = queue.Queue(maxsize=10 * GROUP_ROWS)
        self._error: BaseException | None = None
        self._closed = False
        self._room = threading.Semaphore(UNCOMMITTED_REPLIES)
        self._thread = threading.Thread(target=self._run, name="ledger writer", daemon=True)
        self._thread.start()

    def put(self, fact: Fact) -> None:
        """Hand a fact over; waits while 8 replies are not yet durable. Raises what an earlier commit raised."""
        if _is_paid(fact):
            self._room.acquire()
        if self._error:
            raise self._error
        if self._closed:
            raise StoreError("the ledger is closed; this came too late to be kept")
        self._queue.put(fact)

    def close(self) -> None:
        """Wait until everything is durable; raise what a commit raised."""
        self._closed = True
        self._queue.put(None)
        self._thread.join()
        if self._error:
            raise self._error

    def _run(self) -> None:
        done = False
        while not done:
            batch, done = self._gather()
            if self._error is not None:
                self._let_in(batch)  # keep draining, so that nobody waits for room
                continue
            try:
                self._append(batch)
                if self._durable and batch:
                    self._durable(batch)
            except BaseException as error:  # handed to the thread that puts or closes
                self._error = error
            finally:
                self._let_in(batch)

    def _let_in(self, batch: Sequence[Fact]) -> None:
        if paid := sum(map(_is_paid, batch)):
            self._room.release(paid)

    def _gather(self) -> tuple[list[Fact], bool]:
        batch: list[Fact] = []
        fact = self._queue.get()
        paid, until = 0, time.monotonic() + LINGER
        while fact is not None:
            batch.append(fact)
            paid += _is_paid(fact)
            if len(batch) == GROUP_ROWS or paid == UNCOMMITTED_REPLIES:
                return batch, False
            try:
                fact = self._queue.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                return batch, False
        return batch, True


def _is_paid(fact: Fact) -> bool:
    """Whether an endpoint answered: what is recorded or scripted comes without a raw body."""
    reply = fact if isinstance(fact, Reply) else fact.reply
    return reply is not None and bool(reply.raw)
