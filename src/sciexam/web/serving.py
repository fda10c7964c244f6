"""A server of pages: under which address it is reached, the socket it listens at, and how it is run."""

from __future__ import annotations

import errno
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from sciexam.errors import UsageError

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def origin_of(host: str, port: int, public_url: str | None, example: str = "https://annotate.example.org") -> str:
    """The address under which pages are reached. Raises UsageError for what cannot be one, with an `example`."""
    if public_url is None:
        if host not in LOOPBACK:
            raise UsageError(
                f"--host {host} serves other machines; say under which address they reach it: "
                f"--public-url {example} (on this machine alone: leave --host out)"
            )
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"
    try:
        parts = urlsplit(public_url)
        name, given = parts.hostname, parts.port
    except ValueError:
        name = None
    if not name or parts.scheme not in ("http", "https") or parts.path.strip("/") or parts.query or parts.fragment:
        raise UsageError(f"--public-url: an address like {example}, without a path, not {public_url}")
    # As a browser writes it in Host and Origin: in small letters, and without the port that goes without saying.
    name = f"[{name}]" if ":" in name else name
    usual = given in (None, {"http": 80, "https": 443}[parts.scheme])
    return f"{parts.scheme}://{name}" if usual else f"{parts.scheme}://{name}:{given}"


def origins_of(origin: str, bound: socket.socket) -> set[str]:
    """Every address under which a bound socket may be asked: `origin`, and those of this machine itself."""
    port = bound.getsockname()[1]
    return {origin, *(f"http://{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]"))}


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens at this address before anybody is told of it; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen(128)
    except (OSError, OverflowError) as error:
        bound.close()
        taken = "; perhaps this is being served already" if getattr(error, "errno", 0) == errno.EADDRINUSE else ""
        raise UsageError(f"--port {port}: {str(error).lower()}{taken}; choose another with --port") from None
    return bound


def is_answering(origin: str) -> bool:
    """Whether somebody listens at an address of this machine. Others are not asked."""
    parts = urlsplit(origin)
    if parts.hostname not in LOOPBACK:
        return False
    try:
        socket.create_connection((parts.hostname, parts.port or 80), timeout=0.5).close()
    except OSError:
        return False
    return True


def run(app: Any, bound: socket.socket, stopping: Callable[[], None] = lambda: None) -> None:
    """Serve an ASGI application at a bound socket until it is interrupted: what is being answered then is answered.

    `stopping` is called first, in the signal's handler: it can end what would be answered for long.
    """
    import uvicorn

    from sciexam.web.patience import Patient

    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,  # addresses hold links
        server_header=False,
        http=Patient,
        lifespan="off",
        ws="none",
        timeout_keep_alive=15,
        timeout_graceful_shutdown=5,
        h11_max_incomplete_event_size=32 * 1024,
    )

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            """As uvicorn's own, which raises the signal once more at the end: to stop is no failure."""
            before = {number: signal.signal(number, self.stop) for number in (signal.SIGINT, signal.SIGTERM)}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

        def stop(self, number: int, frame: Any) -> None:
            stopping()
            self.handle_exit(number, frame)

    Server(config).run(sockets=[bound])
