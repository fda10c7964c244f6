"""The server itself: the endpoint and the page under one address, and the ledger that is opened for a vote alone."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from sciexam.serve.api import Api, no_such_page, trouble
from sciexam.serve.chat import Chat
from sciexam.serve.refusal import in_openai_shape
from sciexam.serve.votes import Vote
from sciexam.web.guard import Guard

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from sciexam.store import Store

LARGEST = 4_000_000  # bytes of a request: more than the longest context of today holds
_log = logging.getLogger(__name__)


def application(api: Api, chat: Chat, origins: Collection[str]) -> Guard:
    """The ASGI application, served under `origins`."""
    handlers: Mapping[Any, Any] = {HTTPException: no_such_page, Exception: trouble}
    routes = [*api.routes(), *chat.routes(api)]
    app = _Discreet(Starlette(routes=routes, exception_handlers=handlers))
    return Guard(app, origins, LARGEST, in_openai_shape)


class _Discreet:
    """What goes wrong is told in the log by its kind alone: the words of an error may repeat what was asked."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            _log.error("a request failed: %s", type(error).__name__)


class Ledger:
    """The ledger at `location`, which is not even made before the first vote that somebody agreed to have kept."""

    def __init__(self, location: str):
        self.location = location
        self._store: Store | None = None
        self._lock = threading.Lock()

    def keep(self, vote: Vote) -> None:
        """Make a vote durable. Raises StoreError."""
        self._opened().votes.keep(vote.verdict, vote.body())

    def forget(self, visitor: str) -> int:
        """Delete what a visitor agreed to have kept; how many votes there were."""
        return self._opened().votes.forget(visitor) if self._store is not None else 0

    def close(self) -> None:
        if self._store is not None:
            self._store.close()

    def _opened(self) -> Store:
        from sciexam.store import Store

        with self._lock:
            if self._store is None:
                self._store = Store(self.location)
            return self._store
