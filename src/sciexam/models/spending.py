"""What calls cost, and how much of it a command may spend."""

from __future__ import annotations

import asyncio
import json
import math
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from sciexam.errors import UsageError
from sciexam.models.replies import Fault
from sciexam.types import Record, Reply

# A tokenizer that works on bytes (BPE on bytes, SentencePiece with byte fallback) makes no token of less than one byte.
# What a chat format puts around a message (its role, its fences) is 3 or 4 tokens, and the system prompt that some
# chat templates add by themselves is under 100; both are allowed for with a margin.
TOKENS_A_MESSAGE = 16
TOKENS_A_REQUEST = 256

_UNIT = 10**12  # accounts are kept in whole units of 1e-12 USD, so that a million settlements do not drift


def dollars(usd: float) -> str:
    """An amount in USD: in cents, or with two digits where it is less than one."""
    return f"{usd:,.2f}" if usd == 0 or usd >= 0.01 else f"{usd:.2g}"


class Price(Record):
    """USD per million tokens."""

    input: float = Field(ge=0, description="USD per million tokens read.")
    output: float = Field(ge=0, description="USD per million tokens written.")

    def of(self, input_tokens: int | None, output_tokens: int | None) -> float | None:
        """What a call cost in USD; None where the endpoint did not say how many tokens it took."""
        if input_tokens is None or output_tokens is None:
            return None
        return (input_tokens * self.input + output_tokens * self.output) / 1e6

    def at_most(self, content: str | Sequence[Mapping[str, str]], max_tokens: int) -> float:
        """The worst case in USD of one request: every byte of `content` (messages, or a prompt) a token, every one of
        `max_tokens` written, and an allowance for what a chat template adds."""
        if isinstance(content, str):
            tokens = TOKENS_A_REQUEST + _bytes(content)
        else:
            said = sum(_bytes(m["role"]) + _bytes(m["content"]) for m in content)
            tokens = TOKENS_A_REQUEST + TOKENS_A_MESSAGE * len(content) + said
        return (tokens * self.input + max_tokens * self.output) / 1e6


class Budget:
    """The most that one command may spend in USD, shared by all its models; safe to use from any thread and event loop.

    Before a request is sent its worst case is reserved, and `spent + reserved` never goes above `usd`. When it has come
    back, the reservation is settled: `spent` grows by what it cost, and the rest is free again. A request that does not
    fit waits its turn for as long as what is reserved may still come free. Where `spent` alone leaves too little, it
    and all others that wait are turned away and the budget is `reached`: less than the worst case of that one request
    is left over.

    The guarantee holds as far as the prices given are right and the endpoint keeps to `max_tokens`. One that bills more
    than the worst case (reasoning tokens beyond `max_tokens`, a long hidden prompt) is entered with what it says it
    billed, which can carry `spent` above `usd`; from then on nothing more is sent.

    Raises UsageError for an amount that is not a number above zero.
    """

    def __init__(self, usd: float):
        if not (math.isfinite(usd) and usd > 0):
            raise UsageError(f"budget: must be an amount in USD above 0, not {usd:g}")
        self.usd = usd
        self._most = math.floor(usd * _UNIT)
        self._spent = self._reserved = 0
        self._reached = False
        self._waiting: deque[tuple[int, Future[Reservation | None]]] = deque()
        self._lock = threading.Lock()

    @property
    def spent(self) -> float:
        """USD that the requests which came back, or may have been billed, have cost."""
        return self._spent / _UNIT

    @property
    def reserved(self) -> float:
        """USD set aside for the requests on their way."""
        return self._reserved / _UNIT

    @property
    def reached(self) -> bool:
        """Whether a request was turned away, or all is spent: nothing more is sent in this command."""
        return self._reached

    async def reserve(self, usd: float) -> Reservation | None:
        """Wait for room for `usd`, first come first served. None: there will be none, the budget is reached."""
        turn: Future[Reservation | None] = Future()
        with self._lock:
            self._waiting.append((_units(usd), turn))
            self._let_in()
        try:
            return await asyncio.wrap_future(turn)
        except asyncio.CancelledError:
            if not turn.cancel() and (granted := turn.result()) is not None:
                granted.settle(0.0)  # it was granted in the moment of the cancellation
            with self._lock:
                self._let_in()  # those who stood behind it
            raise

    def reserve_now(self, usd: float) -> Reservation | None:
        """Room for `usd` at once, or None, and then the budget is reached."""
        with self._lock:
            units = _units(usd)
            if self._reached or self._spent + self._reserved + units > self._most:
                self._reach()
                return None
            return self._grant(units)

    def commit(self, usd: float) -> Reservation:
        """Reserve what an earlier command has sent and nobody can take back: it is granted even above the limit."""
        with self._lock:
            return self._grant(_units(usd))

    def _settle(self, reserved: int, spent: int) -> None:
        with self._lock:
            self._reserved -= reserved
            self._spent += spent
            if self._spent >= self._most:
                self._reach()
            self._let_in()

    def _grant(self, units: int) -> Reservation:
        self._reserved += units
        return Reservation(self, units)

    def _let_in(self) -> None:
        """Grant in the order of arrival: a dear request that waits is not overtaken for ever by cheap ones."""
        while self._waiting:
            units, turn = self._waiting[0]
            if turn.cancelled():
                self._waiting.popleft()
            elif self._reached or self._spent + units > self._most:
                self._reach()
            elif self._spent + self._reserved + units > self._most:
                return
            else:
                self._waiting.popleft()
                if turn.set_running_or_notify_cancel():
                    turn.set_result(self._grant(units))

    def _reach(self) -> None:
        self._reached = True
        while self._waiting:
            _, turn = self._waiting.popleft()
            if turn.set_running_or_notify_cancel():
                turn.set_result(None)


class Reservation:
    """What is set aside for one request. It is settled once; a second settlement changes nothing."""

    def __init__(self, budget: Budget, units: int):
        self._budget = budget
        self._units: int | None = units

    def settle(self, usd: float | None) -> None:
        """Enter what the request cost in USD; None: it may have been billed in full, so the worst case counts."""
        units, self._units = self._units, None
        if units is not None:
            self._budget._settle(units, units if usd is None else _units(usd))


@dataclass(frozen=True, slots=True)
class Account:
    """One model's share in a budget: it knows what the model's requests cost at most, and what they did cost."""

    budget: Budget
    price: Price

    def at_most(self, content: Any, max_tokens: int) -> float:
        return self.price.at_most(content, max_tokens)

    def cost(self, outcome: Reply | Fault) -> float | None:
        """USD for what came back; None where nothing says that it was less than the worst case."""
        if isinstance(outcome, Reply):
            # Every request has tokens: an endpoint that counts none of them does not count.
            return self.price.of(outcome.input_tokens or None, outcome.output_tokens)
        return 0.0 if bills_nothing(outcome) else None


def bills_nothing(fault: Fault) -> bool:
    """Whether a request certainly cost nothing: it reached no one, or was refused with a status and a reason.

    A timeout that a proxy reports (408, 504), and a 5xx without an error in JSON, say nothing of what stands behind it.
    """
    if fault.unreachable:
        return True
    if fault.status < 300 or fault.status in (408, 504):
        return False
    return fault.status < 500 or _is_error(fault.raw)


def _is_error(body: bytes) -> bool:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return False
    value = value[0] if isinstance(value, list) and value else value
    return isinstance(value, dict) and any(value.get(name) for name in ("error", "message", "detail"))


def _units(usd: float) -> int:
    """Rounded up, so that what is entered is never less than what is owed."""
    return math.ceil(usd * _UNIT)


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
