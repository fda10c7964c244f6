"""What stands before every page: who may ask, how much they may send, and what a browser may do with the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST = 1_500_000  # bytes of a post: the longest text and comment of a form, at 12 bytes for a character (%F0%9F..)
SECONDS = 20.0  # in which a post must have arrived
LINGERING = 2.0  # seconds for which the rest of a refused post is read and thrown away

HEADERS = {
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    # Not no-referrer: with that Chromium sends `Origin: null` with a form of the same site.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "x-robots-tag": "noindex, nofollow",
}


class Refused(Exception):
    """A request that gets no further: an HTTP status, and why in plain words."""

    def __init__(self, status: int, why: str):
        super().__init__(why)
        self.status, self.why = status, why


def in_words(refusal: Refused) -> tuple[str, bytes]:
    """The type and the body of an answer that says why in plain words."""
    return "text/plain; charset=utf-8", refusal.why.encode()


class Arriving:
    """`receive` of a request, which knows whether there is `more` of its body to come."""

    def __init__(self, receive: Receive, more: bool):
        self._receive, self.more = receive, more

    async def __call__(self) -> Message:
        message = await self._receive()
        self.more = message.get("more_body", False)
        return message

    async def thrown_away(self) -> None:
        """Read what is still being sent, for LINGERING seconds at most.

        A socket that is closed on unread bytes is reset, and with it goes the answer that the other end has not yet
        read (RFC 9112, 9.6).
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGERING):
                while self.more:
                    await self()


class Guard:
    """ASGI middleware. `origins` are the addresses under which the pages are served, such as "http://127.0.0.1:8400".

    Another Host is refused (DNS rebinding), and a post from another site's page, that is larger than `largest` bytes,
    or too slow. `told` makes of a refusal the type and the body of the answer.
    """

    def __init__(
        self,
        app: ASGIApp,
        origins: Collection[str],
        largest: int = LARGEST,
        told: Callable[[Refused], tuple[str, bytes]] = in_words,
    ):
        self._app, self._largest, self._told = app, largest, told
        self._origins = frozenset(origins)
        self._hosts = frozenset(urlsplit(origin).netloc for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        is_sent_unasked = scope["method"] == "POST" and headers.get("expect", "").lower() != "100-continue"
        arriving = Arriving(receive, more=is_sent_unasked)

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in message["headers"]}
                more = [(n.encode(), v.encode()) for n, v in HEADERS.items() if n.encode() not in own]
                message["headers"] = [*message["headers"], *more]
            await send(message)

        try:
            self._check_host(headers)
            if scope["method"] == "POST":
                self._check_origin(headers)
                self._check_length(headers)
                await self._app(scope, await self._arrived(arriving), sending)
            else:
                await self._app(scope, receive, sending)
        except Refused as refusal:
            await self._refuse(refusal, sending)
            await arriving.thrown_away()
            await send({"type": "http.response.body", "body": b""})

    def _check_host(self, headers: dict[str, str]) -> None:
        if headers.get("host", "") not in self._hosts:
            raise Refused(400, "This address is not served here. Open the link exactly as you were given it.")

    def _check_origin(self, headers: dict[str, str]) -> None:
        """A browser names the page that a post comes from; what is no browser has no page that could be misused."""
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
        if (origin is not None and origin not in self._origins) or site not in ("same-origin", "none"):
            raise Refused(403, "This came from another site's page, so nothing was changed.")

    def _check_length(self, headers: dict[str, str]) -> None:
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._largest:
            raise self._too_large()

    def _too_large(self) -> Refused:
        return Refused(413, f"This is more than {self._largest / 1e6:g} MB at once. Nothing was changed.")

    async def _arrived(self, receive: Arriving) -> Receive:
        """`receive` once the whole body is there. What is too large or slow is refused before the app hears of it."""
        body = bytearray()
        try:
            async with asyncio.timeout(SECONDS):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        raise Refused(400, "This did not arrive completely. Nothing was changed; send it once more.")
                    body += message.get("body", b"")
                    if len(body) > self._largest:
                        raise self._too_large()
                    if not receive.more:
                        break
        except TimeoutError:
            raise Refused(408, "This took too long to arrive. Nothing was changed; send it once more.") from None
        left: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def arrived() -> Message:
            return left.pop() if left else await receive()

        return arrived

    async def _refuse(self, refusal: Refused, send: Send) -> None:
        kind, body = self._told(refusal)
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
        headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": True})
