"""Asking one party for the facts it owes, while other processes may be asking for the same."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from sciexam.errors import UsageError
from sciexam.judges.foreign import guarded
from sciexam.store import Fact, Store, Writer
from sciexam.types import TRUNCATED, Conversation, Presentation, Reply, Submission

CLAIM_ROWS = 64
POLL_SECONDS = 0.2
WORD_SECONDS = 5.0  # of waiting for another process, before a word is said of it

Asked = TypeVar("Asked", Conversation, Presentation, Submission)
_log = logging.getLogger(__name__)


def owes(fact: Fact | None, retry_invalid: bool) -> bool:
    """Whether a fact is to be asked for: it is not there, its call failed, or it is invalid and may be retried.

    A verdict that was cut off is owed its second attempt, which a kill may have come before.
    """
    if fact is None or fact.status == "failed":
        return True
    return fact.status == "invalid" and (retry_invalid or _is_cut_off(fact))


def awaits(fact: Fact | None) -> bool:
    """Whether a fact is still to come of its own accord: nobody was asked for it yet, or its second attempt is owed."""
    return fact is None or (fact.status == "invalid" and _is_cut_off(fact))


def attempts(fact: Fact | None) -> int:
    """How many attempts there are under a key whose last (or first usable) is `fact`."""
    return 0 if fact is None else fact.attempt + 1


class Asking(Generic[Asked]):
    """One contestant or rater, called `name`, asked for what is owed and nobody else is at.

    What others are at is waited for, or taken over from the dead. Every fact goes to `writer`, and with whether it is
    new to `take`; a skipped one is not stored but kept in `skipped`. `stored` is what was found before, `read` looks
    again, `show` makes what the party gets where what is owed only stands for it. Raises UsageError for a party that
    answers something else, or stops early.
    """

    def __init__(
        self,
        name: str,
        store: Store,
        writer: Writer,
        stored: Mapping[str, Any],
        read: Callable[[Iterable[str]], Mapping[str, Any]],
        take: Callable[[Any, bool], None],
        ending: Callable[[], bool],
        show: Callable[[Any], Any] = lambda one: one,
    ):
        self._name, self._store, self._writer = name, store, writer
        self._stored, self._read, self._take, self._ending = stored, read, take, ending
        self._show = show
        self._settled: set[str] = set()
        self._pulled: set[str] = set()
        self._unused: set[str] = set()  # claimed, and not pulled before it was time to end
        self._waited = 0.0
        self.skipped: dict[str, Fact] = {}

    def run(self, owed: Sequence[Asked], ask: Callable[[Iterator[Asked]], Iterable[Any]]) -> None:
        """Ask until nothing is owed, or it is time to end."""
        while owed and not self._ending():
            theirs: list[Asked] = []
            self._pulled.clear()
            self._go_through(owed, ask, theirs)
            if self._ending():
                return
            self._note_silence(owed)
            if {one.key for one in owed} - self._pulled - self._settled - {one.key for one in theirs}:
                share = f"{len(self._pulled)} of {len(owed)}"
                raise UsageError(f"{self._name} stopped after {share}; it must go through all it gets")
            waiting = self._look_again(theirs)
            if waiting and len(waiting) == len(owed):
                self._wait(len(waiting))
            owed = waiting

    def _go_through(
        self, owed: Sequence[Asked], ask: Callable[[Iterator[Asked]], Iterable[Any]], theirs: list[Asked]
    ) -> None:
        known = {one.key for one in owed}
        for fact in guarded(self._name, lambda: ask(self._claimed(owed, theirs))):
            if getattr(fact, "key", None) not in known:
                raise UsageError(f"{self._name} gave back {fact!r:.80}, which answers nothing that it was asked")
            if fact.status == "skipped":
                self.skipped[fact.key] = fact
            else:
                self._writer.put(fact)
            self._settle(fact, True)
        self._store.release([*self.skipped, *self._unused])  # another rater here may be waiting for the same key
        self._unused.clear()

    def _claimed(self, owed: Sequence[Asked], theirs: list[Asked]) -> Iterator[Asked]:
        """Those of `owed` that are ours to ask for, claimed a few at a time; the others are put into `theirs`."""
        for start in range(0, len(owed), CLAIM_ROWS):
            if self._ending():
                return
            chunk = {one.key: one for one in owed[start : start + CLAIM_ROWS]}
            mine = self._store.claim(list(chunk))
            # Another process may have finished a key between our look and our claim.
            found = {key: fact for key, fact in self._read(mine).items() if self._is_news(fact)}
            self._store.release(found)
            for fact in found.values():
                self._settle(fact, False)
            theirs += [one for key, one in chunk.items() if key not in mine]
            self._unused |= mine - found.keys()
            for key, one in chunk.items():
                if key in self._unused:
                    if self._ending():
                        return
                    self._unused.discard(key)
                    self._pulled.add(key)
                    yield self._show(one)

    def _note_silence(self, owed: Sequence[Asked]) -> None:
        """What was passed over in silence is a failed fact, so that it is counted, and asked again another time."""
        silent = self._pulled - self._settled
        for one in owed if silent else ():
            if one.key in silent:
                fact = _silence(self._show(one), self._name)
                self._writer.put(fact)
                self._settle(fact, True)

    def _look_again(self, theirs: Sequence[Asked]) -> list[Asked]:
        """Take what others have finished meanwhile; return what they have not."""
        found = self._read([one.key for one in theirs])
        for fact in found.values():
            if self._is_news(fact):
                self._settle(fact, False)
        return [one for one in theirs if one.key not in self._settled]

    def _settle(self, fact: Any, new: bool) -> None:
        self._settled.add(fact.key)
        self._take(fact, new)

    def _is_news(self, fact: Fact) -> bool:
        """Whether someone else's fact settles what we found missing or failed."""
        before = self._stored.get(fact.key)
        if _is_cut_off(fact):
            return False
        return before is None or fact.status == "ok" or fact.attempt > before.attempt

    def _wait(self, keys: int) -> None:
        """Leave another process time; say so once, for it may be one that was suspended and forgotten."""
        if self._waited < WORD_SECONDS <= self._waited + POLL_SECONDS:
            _log.warning("waiting for %d keys that another sciexam on this ledger is working on", keys)
        self._waited += POLL_SECONDS
        time.sleep(POLL_SECONDS)


def _is_cut_off(fact: Fact) -> bool:
    """Whether this is the first attempt of a verdict or grade that was cut off: a second one is on its way, or owed."""
    return not isinstance(fact, Reply) and fact.failure == TRUNCATED and fact.attempt == 0


def _silence(asked: Conversation | Presentation | Submission, name: str) -> Fact:
    if isinstance(asked, Conversation):
        return Reply(asked.key, status="failed", failure="no reply given")
    if isinstance(asked, Submission):
        return asked.grade(name, status="failed", failure="no grade given")
    return asked.verdict(name, status="failed", failure="no verdict given")
