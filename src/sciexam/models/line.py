"""The connections of one run: what a judge is asked thousands of times goes over them, and over nothing heavier.

The official client takes ten times as long for a call (benchmarks/RESULTS.md). It stays for what is asked once: the
batch API and the list of models (`Wire.client`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sciexam.models.proxies import is_loopback, proxies_of_the_environment, proxy_for
from sciexam.models.replies import Fault, head

if TYPE_CHECKING:
    from ssl import SSLContext

    from aiohttp import ClientResponse, ClientSession

IDLE = 4.0  # seconds after which an unused connection is closed: servers close theirs after 5 or more
LARGEST_ANSWER = 64_000_000  # bytes, unpacked
LONGEST_HEADER = 65_536  # bytes; some proxies send more than the 8 kB that are usual


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, whatever its status. `headers` are looked up by names in any case."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status_code < 300


class Line:
    """HTTP without redirects, retries and cookies, and with no headers but `headers`; the key is among these.

    `connect`: seconds to reach a host. `urls`: under which all that is asked stands. Open it in any thread; `ask` and
    `close` belong to one event loop. Raises UsageError where one of `urls` has a proxy that cannot be used.
    """

    def __init__(self, headers: Mapping[str, str], *, connect: float, urls: Sequence[str]):
        self._headers = {"accept": "application/json", "user-agent": f"sciexam/{version('sciexam')}", **headers}
        self._connect = connect
        self._proxies = proxies_of_the_environment()
        for url in urls:
            proxy_for(url, self._proxies)
        self._trusts: dict[bool, SSLContext] = {}
        self._session: ClientSession | None = None

    async def ask(self, url: str, body: Mapping[str, Any] | None, seconds: float) -> Answer | Fault:
        """What is answered within `seconds` to a GET, or to a POST of `body`; or the Fault of a call without answer."""
        import aiohttp

        late = f"timeout: no whole reply within {seconds:g} s"
        try:
            # A timeout of the transport starts again with every byte; this one holds for the whole request.
            async with asyncio.timeout(seconds):
                return await self._asked(url, body)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            said = _said(getattr(error, "os_error", error))
            return Fault("again", f"endpoint unreachable: {said}", outage=True, unreachable=True)
        except TimeoutError:
            return Fault("again", late, timeout=True, outage=True)
        except (aiohttp.InvalidURL, UnicodeError) as error:
            said = _said(error)
            return Fault("again", f"endpoint unreachable: no such address: {said}", outage=True, unreachable=True)
        except aiohttp.ClientHttpProxyError as error:
            said = _said(f"the proxy answers {error.status} {error.message}")
            return Fault("again", f"connection lost: {said}", outage=True)
        except (aiohttp.ClientError, OSError) as error:
            return Fault("again", f"connection lost: {_said(error) or type(error).__name__}", outage=True)

    async def _asked(self, url: str, body: Mapping[str, Any] | None) -> Answer | Fault:
        session = self._session = self._session or self._opened()
        method, headers = "GET", self._headers
        sent: bytes | None = None
        if body is not None:
            method, headers = "POST", {**headers, "content-type": "application/json"}
            text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
            sent = sendable(text).encode()
        proxy = proxy_for(url, self._proxies) if self._proxies else None
        secured = self._trust(url) if url.startswith("https:") or proxy else True
        async with session.request(
            method, url, data=sent, headers=headers, proxy=proxy, ssl=secured, allow_redirects=False
        ) as answer:
            content = await _read(answer)
            if content is None:
                return Fault("final", f"the answer is larger than {LARGEST_ANSWER / 1e6:g} MB", outage=True)
            return Answer(answer.status, answer.headers, content)

    def _trust(self, url: str) -> SSLContext:
        """Whom the official client trusts. The environment's certificates count for other machines only."""
        other = not is_loopback(urlsplit(url).hostname or "")
        if other not in self._trusts:
            from httpx2 import create_ssl_context

            self._trusts[other] = create_ssl_context(trust_env=other)
        return self._trusts[other]

    def _opened(self) -> ClientSession:
        import aiohttp

        connector = aiohttp.TCPConnector(
            limit=0,  # the limiter holds requests back
            keepalive_timeout=IDLE,
            resolver=aiohttp.ThreadedResolver(),  # this machine's own, whatever else is installed
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, connect=self._connect),
            max_line_size=LONGEST_HEADER,
            max_field_size=LONGEST_HEADER,
            trust_env=False,  # nor anything of ~/.netrc
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


async def _read(answer: ClientResponse) -> bytes | None:
    """The unpacked body of an answer; None where it is too large, and the rest of it is not waited for."""
    parts: list[bytes] = []
    size = 0
    while part := await answer.content.readany():
        parts.append(part)
        size += len(part)
        if size > LARGEST_ANSWER:
            answer.close()
            return None
    return b"".join(parts)


def _said(error: object) -> str:
    """What the transport says went wrong. Some of it is the other side's own words: of its headers, of its proxy."""
    return head(str(error).encode("utf-8", "replace"))


def sendable(text: str) -> str:
    """`text` with U+FFFD for half surrogates: JSON in UTF-8 cannot carry them."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
