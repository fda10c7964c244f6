"""How long a connection may wait before it has asked for something: uvicorn itself waits for ever."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from sciexam.web.guard import SECONDS


class Patient(H11Protocol):
    """uvicorn's protocol, which hangs up on whoever has not sent the head of a request in SECONDS.

    Who connects and says nothing, or a letter a second, would else hold a place for as long as they like. For the body
    of a request see `guard.Guard`, for the time between two requests uvicorn's `timeout_keep_alive`.
    """

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif self._patience is None:  # the beginning of a further request
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._patience = self.loop.call_later(SECONDS, self._hang_up)

    def _stop_waiting(self, *_: Any) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _hang_up(self) -> None:
        self._patience = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
