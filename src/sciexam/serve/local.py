"""A model of local weights as an engine: written in this process, by the one thread that all its answers share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import suppress
from dataclasses import replace

from sciexam.errors import UsageError
from sciexam.models.streaming import StreamingModel, Token
from sciexam.serve.engine import Ended, Event, Finish, Stopping, Written
from sciexam.serve.refusal import Refusal, full
from sciexam.serve.request import Asked
from sciexam.serve.turns import SECONDS, Full, Stopped, Told, Turn, Turns

_log = logging.getLogger(__name__)


class LocalEngine:
    """See `engine.Engine`. Several engines may share their `turns`, as they share a device."""

    def __init__(self, name: str, model: StreamingModel, digest: str, turns: Turns):
        self.name, self.digest = name, digest
        self._model, self._turns = model, turns

    async def write(self, asked: Asked) -> AsyncGenerator[Event, None]:
        read = 0

        def start() -> Iterator[Token]:
            nonlocal read
            tokens = self._model.encode(asked.content)
            read = len(tokens)
            return self._model.stream(tokens, asked.sampling)

        arrived: asyncio.Queue[Told] = asyncio.Queue()
        turn = Turn(start, _telling(asyncio.get_running_loop(), arrived))
        try:
            self._turns.queue(turn)
        except Full:
            raise full(SECONDS) from None
        is_chat = not isinstance(asked.content, str)
        stops = (*asked.stop, *self._model.stops) if is_chat else asked.stop
        stopping = Stopping(stops, trims=is_chat and self._model.is_plain)
        written, thought, finish = 0, 0, "length"
        try:
            while (told := await arrived.get()) is not None:
                if isinstance(told, BaseException):
                    raise _refusal(told)
                written += 1
                thought += told.is_thought
                if (told.text or not told.ends) and (piece := stopping.push(told)):
                    yield _as_asked(piece, asked)
                if told.ends or stopping.stopped:
                    finish = "stop"
                    break
            if not stopping.stopped and (piece := stopping.rest()):
                yield _as_asked(piece, asked)
            yield Ended(_finish(finish), read, written, thought)
        finally:
            turn.is_over = True


def _telling(loop: asyncio.AbstractEventLoop, arrived: asyncio.Queue[Told]) -> Callable[[Told], None]:
    def tell(told: Told) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody reads any more
            loop.call_soon_threadsafe(arrived.put_nowait, told)

    return tell


def _as_asked(piece: Written, asked: Asked) -> Written:
    return piece if asked.sampling.top_logprobs is not None else replace(piece, tokens=())


def _finish(word: str) -> Finish:
    return "stop" if word == "stop" else "length"


def _refusal(error: BaseException) -> Refusal:
    """What the asker may know. An error's own words can hold what was asked: they go to the asker, and to no log."""
    if isinstance(error, UsageError):
        return Refusal(400, str(error), "messages", "context_length_exceeded" if "tokens" in str(error) else None)
    if isinstance(error, Stopped):
        return Refusal(503, "The server is being stopped.")
    _log.error("an answer failed: %s", type(error).__name__)
    return Refusal(500, f"The model failed: {type(error).__name__}. Ask again, or look at the server's terminal.")
