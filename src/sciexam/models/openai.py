"""Asking an OpenAI-compatible endpoint: many calls at once, each bounded in time and tries, none of them lost."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import queue
import random
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sciexam.documents import digest
from sciexam.errors import EndpointRefused, Incomplete, SciexamError, UsageError
from sciexam.models.chat_template import ChatTemplate
from sciexam.models.limiter import START, Limiter
from sciexam.models.redaction import Redaction
from sciexam.models.replies import Fault, read_body, read_error
from sciexam.models.settings import Endpoint
from sciexam.types import Conversation, Generation, Message, Reply

if TYPE_CHECKING:
    from openai import AsyncOpenAI

OPENAI = "https://api.openai.com/v1"
TRIES = 6  # requests a call may take while the endpoint is at fault; refusals for the rate are bounded by --max-wait
TIMEOUTS = 2  # a call that ran out of time twice has cost twice its timeout and will likely do so again
FIRST_TRIES = 3  # of a call to an address that never answered: a wrong address is found out in seconds
BACKOFF = 0.5  # seconds before the first repetition; it doubles, up to BACKOFF_MOST, and is spread by half
BACKOFF_MOST = 30.0
CONNECT = 10.0  # seconds to reach the host
CONNECTIONS = 1000  # that the transport opens at most
GRACE = 10.0  # seconds for the requests in flight when nothing more is to be asked
GIVE_UP = 16  # calls in a row that the endpoint failed before the rest is left for another day (or one whole window)

_HEADERS = frozenset(
    {"host", "accept", "accept-encoding", "connection", "user-agent", "content-type", "content-length"}
    | {"x-stainless-raw-response"}  # the client looks it up in the request to hand the body over unparsed
)
_log = logging.getLogger(__name__)


def resolve(settings: Endpoint) -> tuple[str, str | None]:
    """The base URL and the key that `settings` mean here and now: the one place where the environment is read.

    The URL is `base_url`, else OPENAI_BASE_URL, else OpenAI's own. The key is the value of the variable `api_key_env`;
    None when no variable is named or it is not set.
    """
    base_url = settings.base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI
    key = os.environ.get(settings.api_key_env, "").strip() if settings.api_key_env else ""
    return base_url, key or None


class OpenAIModel:
    """A model behind `/v1/chat/completions`, or behind `/v1/completions` when it has a chat template.

    `generation` is what the model is asked with, the model's own fields already filled in. `max_wait` (seconds) bounds
    what a call waits because of its rate. Raises UsageError when the key's variable is not set and the host is another
    machine, for a base URL that cannot be used, and for a chat template that does not work.

    `digest` names all that could change a reply. `notes` lists what the endpoint does not take and was asked without.
    """

    def __init__(
        self,
        settings: Endpoint,
        generation: Generation,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        max_wait: float = 120.0,
    ):
        self.settings = settings
        self.generation = generation
        self.base_url = (base_url or settings.base_url or OPENAI).rstrip("/")
        self.max_wait = max_wait
        self.where, self._loopback = _address(self.base_url)
        self._key = _usable_key(settings, api_key, self.where, self._loopback)
        self._redaction = Redaction(api_key)
        self._template = ChatTemplate(settings.chat_template) if settings.chat_template is not None else None
        self._dialect: dict[str, str | None] = {}  # argument -> its name at this endpoint, None: not taken
        self._stopped = False
        self._runs: set[_Run] = set()
        self.limit = START  # requests in flight that the endpoint was last seen to take
        self.notes: list[str] = []
        self.digest = digest(
            {
                "backend": "openai",
                "model": settings.model,
                "revision": settings.revision,
                "base_url": self.base_url,
                "system": settings.system,
                "chat_template": settings.chat_template,
                "generation": generation.model_dump(exclude={"samples"}),
            }
        )

    def generate(self, conversations: Iterable[Conversation]) -> Iterator[Reply]:
        """Ask everything in `conversations`, yield the replies as they finish.

        The next conversation is pulled in the caller's thread, when fewer than `concurrency` are pulled and not yet
        yielded. A reply that finished while the iterable was pulled comes next. Close the iterator to give up at once.

        Raises, after every reply that came back was yielded: EndpointRefused when asking again is no use (wrong key, no
        such model, a redirect); Incomplete when the endpoint cannot be reached, asks for a wait above `max_wait`, or
        failed 16 calls (or a whole window) in a row.
        """
        source = iter(conversations)
        outstanding = 0
        exhausted = False
        run = _Run(self)
        self._runs.add(run)
        try:
            while True:
                if not (exhausted or self._stopped or run.winding_down) and outstanding < self.settings.concurrency:
                    conversation = next(source, None)
                    exhausted = conversation is None
                    if conversation is not None:
                        run.submit(conversation)
                        outstanding += 1
                    if not exhausted and run.finished.empty():
                        continue
                if outstanding == 0:
                    break
                reply = run.next_reply()
                outstanding -= 1
                if reply is not None:
                    yield reply
        finally:
            self._runs.discard(run)
            self.limit = run.limiter.limit
            run.close()
        if run.ending is not None:
            raise run.ending

    def stop(self, grace: float = GRACE) -> None:
        """Ask nothing more, now or later. From any thread, and from a signal handler.

        Requests in flight have `grace` seconds to come back, and `generate` yields their replies; what is waiting for
        its turn is dropped and has no reply. A second call with a shorter grace hastens the end.
        """
        self._stopped = True
        for run in tuple(self._runs):
            run.wind_down(grace)

    def _request(self, conversation: Conversation) -> _Request:
        """What is sent, before it is put into the dialect of the endpoint."""
        messages = conversation.messages
        if self.settings.system is not None:
            messages = (Message(role="system", content=self.settings.system), *messages)
        asked = self.generation
        options: dict[str, Any] = {
            "max_tokens": conversation.max_tokens or asked.max_tokens,
            "temperature": asked.temperature,
            "top_p": asked.top_p,
            "stop": list(asked.stop) or None,
            "reasoning_effort": asked.effort,
            "seed": _seed(conversation),
        }
        content: Any
        if self._template is None:
            content = [{"role": m.role, "content": _sendable(m.content)} for m in messages]
        else:
            content = _sendable(self._template.render(messages))
        return _Request(content, {name: value for name, value in options.items() if value is not None})

    def _spoken(self, options: dict[str, Any]) -> dict[str, Any]:
        """The options under the names this endpoint takes them by."""
        names = {name: self._dialect.get(name, name) for name in options}
        return {spoken: options[name] for name, spoken in names.items() if spoken is not None}

    def _adapt(self, parameter: str, said: str) -> bool:
        """Learn from a refused argument. False when it cannot be left out: a limit on the tokens never is."""
        if parameter == "max_tokens":
            self._learn("max_tokens", "max_completion_tokens", said)
            return True
        if parameter == "max_completion_tokens":
            return False
        self._learn(parameter, None, said)
        return True

    def _learn(self, name: str, spoken: str | None, said: str) -> None:
        if name in self._dialect:
            return
        self._dialect[name] = spoken
        note = f"asked without {name}" if spoken is None else f"asked with {spoken} for {name}"
        self.notes.append(f"{self.settings.model}: {note}, because the endpoint says: {said}")
        _log.warning("%s", self.notes[-1])

    def _client(self) -> AsyncOpenAI:
        """The official client, without its own retries, redirects, and reading of the environment."""
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient, Timeout

        key = self._key

        async def only_our_headers(request: Any) -> None:
            # Whatever host it is pointed at, the client sends what is in OPENAI_CUSTOM_HEADERS, OPENAI_ORG_ID and
            # OPENAI_PROJECT_ID, and a description of this machine.
            for name in [name for name in request.headers if name.lower() not in _HEADERS]:
                del request.headers[name]
            request.headers["authorization"] = f"Bearer {key}"

        try:
            http = DefaultAsyncHttpxClient(
                follow_redirects=False,
                trust_env=not self._loopback,  # the user's proxy, but never between this machine and itself
                event_hooks={"request": [only_our_headers]},
            )
        except (ImportError, ValueError) as error:  # a proxy of a kind that is not installed, or no proxy at all
            raise UsageError(f"the proxy set in this environment cannot be used: {error}") from None
        return AsyncOpenAI(
            api_key=key,
            base_url=self.base_url,
            max_retries=0,
            timeout=Timeout(self.settings.timeout, connect=min(CONNECT, self.settings.timeout)),
            http_client=http,
        )

    def _refusal(self, fault: Fault) -> EndpointRefused:
        """The one message for a refusal: what, where, and what to type next."""
        variable = self.settings.api_key_env or "api_key_env: in the suite"
        said = self._redaction.error(fault.reason)
        if 300 <= fault.status < 400:
            said = f"redirects to {said}, which is not followed, so that the key goes nowhere else"
            return EndpointRefused(f"{self.where}: {said}; set base_url: to the address itself")
        todo = {
            401: f"set {variable} to a key that this endpoint accepts",
            402: "look at the account's plan and billing",
            403: f"check that the key in {variable} may use the model {self.settings.model!r}",
        }.get(fault.status, f"check model: {self.settings.model!r} and base_url: (most end in /v1)")
        return EndpointRefused(f"{self.where} refuses ({fault.status}): {said}; {todo}")


@dataclass(frozen=True, slots=True)
class _Request:
    content: Any  # messages, or the rendered prompt
    options: dict[str, Any]


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


class _Run:
    """One `generate`: an event loop in a thread of its own, and the calls on it.

    `submit`, `next_reply`, `wind_down` and `close` are for other threads; all else runs on the loop.
    """

    def __init__(self, model: OpenAIModel):
        self.model = model
        self.finished: queue.SimpleQueue[Future[Reply | None]] = queue.SimpleQueue()
        self.limiter = Limiter(min(model.settings.concurrency, CONNECTIONS), model.limit)
        self.ending: SciexamError | None = None
        self.winding_down = False
        self._calls: set[_Call] = set()
        self._row = 0  # calls in a row that the endpoint failed
        self._reached = False
        self._client = model._client()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="sciexam-openai", daemon=True)
        self._thread.start()

    def submit(self, conversation: Conversation) -> None:
        future = asyncio.run_coroutine_threadsafe(self._answer(_Call(conversation)), self._loop)
        future.add_done_callback(self.finished.put)

    def next_reply(self) -> Reply | None:
        """Wait for a call to end: its reply, or None when it was dropped."""
        future = self.finished.get()
        return None if future.cancelled() else future.result()

    def wind_down(self, grace: float) -> None:
        """Drop what is not on the wire, and after `grace` seconds what still is."""
        self.winding_down = True
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            self._loop.call_soon_threadsafe(self._drop, grace)

    def close(self) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

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
        await self._client.close()
        await self._loop.shutdown_asyncgens()

    def _drop(self, grace: float) -> None:
        for call in self._calls:
            if call.task is not None and not call.on_wire:
                call.task.cancel()
        self._loop.call_later(grace, self._drop_all)

    def _drop_all(self) -> None:
        for call in self._calls:
            if call.task is not None:
                call.task.cancel()

    def _end(self, ending: SciexamError) -> None:
        if self.ending is None:
            self.ending = ending
            self.winding_down = True
            self._drop(GRACE)  # now: on the next turn of the loop another request would be on the wire

    async def _answer(self, call: _Call) -> Reply | None:
        if self.winding_down:
            return None
        call.task = asyncio.current_task()
        self._calls.add(call)
        try:
            outcome = await self._ask_until_answered(call)
        finally:
            self._calls.discard(call)
        if isinstance(outcome, Reply):
            self._row = 0
            return self._signed(outcome, call)
        if outcome.kind == "refused":
            self._end(self.model._refusal(outcome))
            return None
        self._row = self._row + 1 if outcome.outage else 0
        reason = self.model._redaction.error(outcome.reason)
        self._row_ended(reason)
        raw = self.model._redaction.error_raw(outcome.raw)
        return self._signed(Reply("", status="failed", failure=reason, raw=raw), call)

    def _row_ended(self, reason: str) -> None:
        """Give up when the endpoint failed one call after the other, and the sooner if it was never there."""
        most = max(GIVE_UP, self.model.settings.concurrency) if self._reached else FIRST_TRIES
        if self._row >= most:
            self._give_up(f"{self._row} calls in a row failed, the last with: {reason}")

    def _give_up(self, why: str) -> None:
        self._end(Incomplete(f"{self.model.where}: {why}; is it running, is base_url: right? What came back is kept"))

    def _signed(self, reply: Reply, call: _Call) -> Reply:
        asked = call.conversation
        return replace(reply, key=asked.key, attempt=asked.attempt, tries=call.tries, seconds=call.seconds)

    async def _ask_until_answered(self, call: _Call) -> Reply | Fault:
        """Requests until one is answered or there is no sense in another; the last fault says why it stopped."""
        try:
            request = self.model._request(call.conversation)
        except UsageError as error:  # the chat template cannot render this conversation
            return Fault("final", str(error))
        while True:
            outcome = await self._ask(call, request)
            if isinstance(outcome, Reply) or outcome.kind in ("refused", "final"):
                return outcome
            if outcome.kind == "parameter":
                if not self.model._adapt(outcome.parameter, self.model._redaction.error(outcome.reason)):
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
        most = self.model.max_wait
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

    async def _ask(self, call: _Call, request: _Request) -> Reply | Fault:
        """One request under the limiter."""
        episode = await self.limiter.acquire()
        call.on_wire = True
        call.tries += 1
        began = time.monotonic()
        try:
            outcome = await self._send(request)
            if isinstance(outcome, Reply):
                self.limiter.succeeded()
            elif outcome.kind == "rate":
                self.limiter.refused(episode)
            if isinstance(outcome, Fault) and 0 < (outcome.wait or 0) <= self.model.max_wait:
                self.limiter.hold(outcome.wait or 0)  # before the slot is given to another: every call waits
        finally:
            call.on_wire = False
            call.seconds = time.monotonic() - began
            self.limiter.release()
        self._reached = self._reached or isinstance(outcome, Reply) or not outcome.unreachable
        return outcome

    async def _send(self, request: _Request) -> Reply | Fault:
        import openai

        model = self.model
        redact = model._redaction
        options = model._spoken(request.options)
        create: Any = self._client.completions.with_raw_response.create
        said = {"prompt": request.content}
        if not isinstance(request.content, str):
            create = self._client.chat.completions.with_raw_response.create
            said = {"messages": request.content}
        late = f"timeout: no whole reply within {model.settings.timeout:g} s"
        try:
            # A timeout of the transport starts again with every byte; this one holds for the whole request.
            async with asyncio.timeout(model.settings.timeout):
                answer = await create(model=model.settings.model, **said, extra_body=options)
        except TimeoutError:
            return Fault("again", late, timeout=True, outage=True)
        except openai.APIStatusError as error:
            return read_error(error.status_code, error.response.headers, error.response.content, options)
        except openai.APIConnectionError as error:
            return _broken(error, late)
        reply = read_body(redact.raw(answer.http_response.content))
        return replace(reply, text=redact.text(reply.text)) if isinstance(reply, Reply) else reply


def _broken(error: Exception, late: str) -> Fault:
    """What a connection that gave no whole answer says: the transport's own error is its cause."""
    cause = error.__cause__
    name = type(cause).__name__
    if name in ("ConnectError", "ConnectTimeout"):
        return Fault("again", f"endpoint unreachable: {cause or name}", outage=True, unreachable=True)
    if name.endswith("Timeout"):
        return Fault("again", late, outage=True, timeout=True)
    return Fault("again", f"connection lost: {cause or name}", outage=True)


def _address(base_url: str) -> tuple[str, bool]:
    """Host and path to name in messages, and whether the host is this machine."""
    try:
        parts = urlsplit(base_url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise UsageError(f"base_url: {error}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise UsageError("base_url: must be http://HOST/... or https://HOST/...")
    if parts.username is not None or parts.query or parts.fragment:
        raise UsageError("base_url: carries a password or a query; name the key's variable in api_key_env: instead")
    where = f"{host}:{port}" if port else host
    try:
        loopback = ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost" or host.endswith(".localhost")
    return where + parts.path.rstrip("/"), loopback


def _usable_key(settings: Endpoint, key: str | None, where: str, loopback: bool) -> str:
    if key is None:
        if settings.api_key_env is not None and not loopback:
            raise UsageError(f"{where}: no key for the model {settings.model!r}; set {settings.api_key_env}")
        return "none"
    if not (key.isascii() and key.isprintable()):
        raise UsageError(
            f"{settings.api_key_env}: the key holds characters that no HTTP header can carry; set it again"
        )
    return key


def _seed(conversation: Conversation) -> int:
    """A sampling seed that is the same for the same conversation, sample and attempt: 0 <= seed < 2**31."""
    named = f"{conversation.key}\0{conversation.sample}\0{conversation.attempt}"
    return int.from_bytes(hashlib.sha256(named.encode("utf-8", "surrogatepass")).digest()[:4]) >> 1


def _sendable(text: str) -> str:
    """`text` with U+FFFD for half surrogates: JSON in UTF-8 cannot carry them."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
