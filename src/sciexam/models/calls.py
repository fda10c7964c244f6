"""Many calls to one endpoint at once: each bounded in time and tries, none of them lost."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import random
import threading
import time
from dataclasses import dataclass, replace
from typing import Any

from sciexam.errors import Incomplete, SciexamError
from sciexam.models.limiter import Limiter
from sciexam.models.replies import Fault
from sciexam.models.spending import Account, Reservation
from sciexam.models.wire import Request, Wire
from sciexam.types import Conversation, Reply

TRIES = 6  # requests a call may take while the endpoint is at fault; refusals for the rate are bounded by --max-wait
TIMEOUTS = 2  # a call that ran out of time twice has cost twice its timeout and will likely do so again
FIRST_TRIES = 3  # of a call to an address that never answered: a wrong address is found out in seconds
HANG_UP = 5.0  # seconds to close the connections of a run that is given up
BACKOFF = 0.5  # seconds before the first repetition; it doubles, up to BACKOFF_MOST, and is spread by half
BACKOFF_MOST = 30.0
CONNECTIONS = 1000  # that the transport opens at most
GRACE = 10.0  # seconds for the requests in flight when nothing more is to be asked
GIVE_UP = 16  # calls in a row that the endpoint failed before the rest is left for another day (or one whole window)


@dataclass(slots=True, eq=False)
class _Call:
    """One conversation on its way. `tries` counts its requests, `faults` those the endpoint failed."""

    conversation: Conversation
    tries: int = 0
    faults: int = 0
    timeouts: int = 0
    refusals: int = 0
    waited: float = 0.0  # seconds, because of the rate
    seconds: float = 0.0  # of its last request
    on_wire: bool = False
    task: asyncio.Task[Any] | None = None


class Run:
    """An event loop in a thread of its own, and the calls on it, at most `concurrency` of them sent at once.

    `limit` is how many the endpoint was last seen to take, if it was asked before; `max_wait` (seconds) bounds what a
    call waits because of its rate. `account`: where every request reserves its worst case before it is sent; once the
    budget is reached, what is on the wire comes back and all else is dropped. `submit`, `next_reply`, `wind_down` and
    `close` are for other threads; all else runs on the loop. `ending` is the error that the caller is to raise when
    there is one, after the replies that came back.
    """

    def __init__(
        self, wire: Wire, *, concurrency: int, limit: float | None, max_wait: float, account: Account | None = None
    ):
        self.wire = wire
        self.max_wait = max_wait
        self.account = account
        self.finished: queue.SimpleQueue[asyncio.Task[Reply | None]] = queue.SimpleQueue()
        self.limiter = Limiter(min(concurrency, CONNECTIONS), limit)
        self.ending: SciexamError | None = None
        self.winding_down = False
        self._calls: set[_Call] = set()
        self._row = 0  # calls in a row that the endpoint failed
        self._most = max(GIVE_UP, concurrency)
        self._reached = False
        self._line = wire.line()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="sciexam-openai", daemon=True)
        self._thread.start()

    def submit(self, conversation: Conversation) -> None:
        self._loop.call_soon_threadsafe(self._begin, _Call(conversation))

    def next_reply(self) -> Reply | None:
        """Wait for a call to end: its reply, or None when it was dropped."""
        task = self.finished.get()
        return None if task.cancelled() else task.result()

    def wind_down(self, grace: float) -> None:
        """Drop what is not on the wire, and after `grace` seconds what still is."""
        self.winding_down = True
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            self._loop.call_soon_threadsafe(self._drop, grace)

    def close(self) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(HANG_UP)  # a daemon: a connection that will not close must not keep the caller

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._hang_up())
        finally:
            self._loop.close()

    async def _hang_up(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._line.close()
        await self._loop.shutdown_asyncgens()

    def _drop(self, grace: float) -> None:
        self._drop_unsent()
        self._loop.call_later(grace, self._drop_all)

    def _drop_unsent(self) -> None:
        for call in self._calls:
            if call.task is not None and not call.on_wire:
                call.task.cancel()

    def _drop_all(self) -> None:
        for call in self._calls:
            if call.task is not None:
                call.task.cancel()

    def _end(self, ending: SciexamError) -> None:
        if self.ending is None:
            self.ending = ending
            self.winding_down = True
            self._drop(GRACE)  # now: on the next turn of the loop another request would be on the wire

    def _begin(self, call: _Call) -> None:
        call.task = self._loop.create_task(self._answer(call))
        call.task.add_done_callback(self.finished.put)

    async def _answer(self, call: _Call) -> Reply | None:
        if self.winding_down:
            return None
        self._calls.add(call)
        try:
            outcome = await self._ask_until_answered(call)
        finally:
            self._calls.discard(call)
        if outcome is None:
            return None
        if isinstance(outcome, Reply):
            self._row = 0
            return self._signed(outcome, call)
        if outcome.kind == "refused":
            self._end(self.wire.refusal(outcome))
            return None
        self._row = self._row + 1 if outcome.outage else 0
        self._row_ended(outcome.reason)
        return self._signed(Reply("", status="failed", failure=outcome.reason, raw=outcome.raw), call)

    def _row_ended(self, reason: str) -> None:
        """Give up when the endpoint failed one call after the other, and the sooner if it was never there."""
        most = self._most if self._reached else FIRST_TRIES
        if self._row >= most:
            self._give_up(f"{self._row} calls in a row failed, the last with: {reason}")

    def _give_up(self, why: str) -> None:
        hint = "what came back is kept" if self._reached else "is it running, is base_url: right?"
        self._end(Incomplete(f"{self.wire.where}: {why}; {hint}"))

    def _signed(self, reply: Reply, call: _Call) -> Reply:
        asked = call.conversation
        return replace(reply, key=asked.key, attempt=asked.attempt, tries=call.tries, seconds=call.seconds)

    async def _ask_until_answered(self, call: _Call) -> Reply | Fault | None:
        """Requests until one is answered or there is no sense in another; the last fault says why it stopped.

        None: the budget has no room for the request.
        """
        request = self.wire.request(call.conversation)
        if isinstance(request, Fault):
            return request
        while True:
            outcome = await self._ask(call, request)
            if outcome is None or isinstance(outcome, Reply) or outcome.kind in ("refused", "final"):
                return outcome
            if outcome.kind == "parameter":
                if not self.wire.adapt(outcome):
                    return outcome
                continue
            pause = self._pause(call, outcome)
            final = self._too_long_a_wait(call, outcome) or self._too_many_tries(call, outcome)
            if final is not None or self.winding_down:
                return final or outcome
            await asyncio.sleep(pause)

    def _pause(self, call: _Call, fault: Fault) -> float:
        """Count the fault. Seconds this call rests before its next request, whatever the endpoint asks for."""
        if fault.kind == "rate":
            call.refusals += 1
        else:
            call.faults += 1
            call.timeouts += fault.timeout
        nth = call.refusals if fault.kind == "rate" else call.faults
        pause = min(BACKOFF * 2.0 ** (nth - 1), BACKOFF_MOST) * random.uniform(0.5, 1.5)  # noqa: S311  spread, no secret
        if fault.kind == "rate":
            call.waited += max(pause, fault.wait or 0.0)
        return pause

    def _too_long_a_wait(self, call: _Call, fault: Fault) -> Fault | None:
        """The final fault when the endpoint asks for more patience than `max_wait`, else None."""
        most = self.max_wait
        if fault.wait is not None and fault.wait > most:
            asks = f"the endpoint asks to wait {fault.wait:.0f} s, longer than --max-wait {most:g}"
            self._give_up(asks)
        elif call.waited > most:
            asks = f"after {call.refusals} refusals the wait would be longer than --max-wait {most:g}"
        else:
            return None
        limited = "rate limited: " if fault.kind == "rate" else ""
        return replace(fault, reason=f"{limited}{asks}: {fault.reason}")

    def _too_many_tries(self, call: _Call, fault: Fault) -> Fault | None:
        """The final fault when the call has used up its tries, else None."""
        most = FIRST_TRIES if fault.unreachable and not self._reached else TRIES
        if call.faults >= most or call.timeouts >= TIMEOUTS:
            return replace(fault, reason=f"{fault.reason} (asked {call.tries} times)")
        return None

    async def _ask(self, call: _Call, request: Request) -> Reply | Fault | None:
        """One request under the limiter and the budget; None where the budget has no room for it."""
        episode = await self.limiter.acquire()
        try:
            # With the slot in hand: what is reserved is on its way, and nobody waits for what only stands in a queue.
            if self.account is None:
                return await self._send(call, request, episode)
            worst = self.account.at_most(request.content, request.options["max_tokens"])
            reservation = await self.account.budget.reserve(worst)
            if reservation is None:
                self._end_of_budget()
                return None
            return await self._send(call, request, episode, reservation)
        finally:
            self.limiter.release()

    async def _send(
        self, call: _Call, request: Request, episode: int, reservation: Reservation | None = None
    ) -> Reply | Fault:
        """One request on the wire. What is cancelled there may have been billed, and is settled at its worst case."""
        call.on_wire = True
        call.tries += 1
        began = time.monotonic()
        cost: float | None = None
        try:
            outcome = await self.wire.send(self._line, request)
            if isinstance(outcome, Reply):
                self.limiter.succeeded()
            elif outcome.kind == "rate":
                self.limiter.refused(episode)
            if isinstance(outcome, Fault) and 0 < (outcome.wait or 0) <= self.max_wait:
                self.limiter.hold(outcome.wait or 0)  # before the slot is given to another: every call waits
            cost = None if self.account is None else self.account.cost(outcome)
        finally:
            call.on_wire = False
            call.seconds = time.monotonic() - began
            if reservation is not None:
                reservation.settle(cost)
        self._reached = self._reached or isinstance(outcome, Reply) or not outcome.unreachable
        return outcome

    def _end_of_budget(self) -> None:
        """Ask nothing more, without a deadline for what is on the wire: it is paid for."""
        if not self.winding_down:
            self.winding_down = True
            self._drop_unsent()
