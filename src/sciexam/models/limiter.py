"""How many requests may be in flight: additive increase, multiplicative decrease, as TCP does it."""

from __future__ import annotations

import asyncio
from collections import deque

START = 4.0  # requests in flight before anything is known of the endpoint, or a sixteenth of the ceiling, if more


class Limiter:
    """Bounds the requests in flight on one event loop to what the endpoint takes, and never above `ceiling`.

    Slow start adds one for each success, so the limit doubles in a round trip, until the first refusal (a 429); from
    then on a success adds 1/limit. A refusal halves the limit, once an episode: the requests that were in flight when
    the limit was cut were sent under the old one, and their refusals say nothing new. Errors other than a refusal
    change nothing, since fewer requests do not mend a broken server. A wait that the endpoint asks for holds every
    request back, not only the one that was told. `start`: how many it was last seen to take, where that is known.

    Source of the scheme: Chiu and Jain (1989), "Analysis of the increase and decrease algorithms for congestion
    avoidance in computer networks"; slow start and one cut an episode: RFC 5681, sections 3.1 and 3.2.
    """

    def __init__(self, ceiling: int, start: float | None = None):
        self.ceiling = float(ceiling)
        start = max(START, self.ceiling / 16) if start is None else start
        self.limit = min(max(start, 1.0), self.ceiling)
        self.in_flight = 0
        self._threshold = self.ceiling  # below it slow start, above it one more in a round trip
        self._episode = 0
        self._resume = 0.0  # loop time before which nothing is let through
        self._waiting: deque[asyncio.Future[int]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def acquire(self) -> int:
        """Wait for a slot, first come first served. Returns the episode, to be handed to `refused`."""
        self._let_through()
        if not self._waiting and self.in_flight < int(self.limit) and self._held() <= 0:
            self.in_flight += 1
            return self._episode
        slot: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(slot)
        self._let_through()
        try:
            return await slot
        except asyncio.CancelledError:
            if slot.done() and not slot.cancelled():  # the slot was given in the same turn as the cancellation
                self.release()
            raise

    def release(self) -> None:
        """Give the slot back, whatever became of the request."""
        self.in_flight -= 1
        self._let_through()

    def succeeded(self) -> None:
        """Call before `release`. A limit that is not used up is not raised: nothing was learned about it."""
        if self.in_flight < int(self.limit):
            return
        step = 1.0 if self.limit < self._threshold else 1.0 / self.limit
        self.limit = min(self.limit + step, self.ceiling)

    def refused(self, episode: int) -> None:
        """Call when a request that was let through in `episode` was refused for its rate."""
        if episode != self._episode:
            return
        self._episode += 1
        self.limit = self._threshold = max(1.0, self.limit / 2)

    def hold(self, seconds: float) -> None:
        """Let nothing through for `seconds` from now; a longer hold that already runs stays."""
        self._resume = max(self._resume, asyncio.get_running_loop().time() + seconds)

    def _held(self) -> float:
        """Seconds for which nothing is let through; none or less where nothing holds it."""
        return self._resume - asyncio.get_running_loop().time() if self._resume else 0.0

    def _let_through(self) -> None:
        left = self._held()
        if left > 0:
            if self._waiting and (self._timer is None or self._timer.cancelled()):
                self._timer = asyncio.get_running_loop().call_later(left, self._wake)
            return
        while self._waiting and self.in_flight < int(self.limit):
            slot = self._waiting.popleft()
            if not slot.done():  # a cancelled waiter leaves its future behind
                self.in_flight += 1
                slot.set_result(self._episode)

    def _wake(self) -> None:
        self._timer = None
        self._let_through()
