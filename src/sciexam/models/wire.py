"""One request to an OpenAI-compatible endpoint: what is sent, in the words it takes, and what comes back."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sciexam.errors import EndpointRefused, UsageError
from sciexam.models.chat_template import ChatTemplate
from sciexam.models.line import Answer, Line, sendable
from sciexam.models.proxies import is_loopback, proxies_of_the_environment, proxy_for
from sciexam.models.redaction import Redaction
from sciexam.models.replies import OTHER_SHAPE, Fault, read_body, read_error
from sciexam.models.settings import Endpoint
from sciexam.types import Conversation, Generation, Message, Reply

if TYPE_CHECKING:
    from openai import AsyncOpenAI

CONNECT = 10.0  # seconds to reach the host

_HEADERS = frozenset(
    {"host", "accept", "accept-encoding", "connection", "user-agent", "content-type", "content-length"}
    | {"x-stainless-raw-response"}  # the client looks it up in the request to hand the body over unparsed
)
_LOGPROBS = frozenset(("logprobs", "top_logprobs"))  # arguments that are never left out: a verdict is made of them
_ABOUT_LOGPROBS = re.compile(r"log[ _-]?prob", re.IGNORECASE)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent, before it is put into the dialect of the endpoint; `options` are by OpenAI's names."""

    content: Any  # messages, or the rendered prompt
    options: dict[str, Any]


class Wire:
    """The line to one model at one endpoint. The key is in nothing that comes out of it.

    `where` is the host and path to name in messages. `notes` lists what the endpoint does not take and was asked
    without. Raises UsageError for an address that cannot be used.
    """

    def __init__(self, settings: Endpoint, generation: Generation, base_url: str, api_key: str | None):
        self.settings = settings
        self.generation = generation
        self.base_url = base_url
        self._urls: tuple[str, ...] = (base_url,)  # all that are asked over a line
        self.where, self._loopback = _address(base_url)
        self.notes: list[str] = []
        self._given_key = api_key
        self.redaction = Redaction(api_key)
        self._template = ChatTemplate(settings.chat_template) if settings.chat_template is not None else None
        self._dialect: dict[str, str | None] = {}  # argument -> its name at this endpoint, None: not taken

    def check_ready(self) -> str:
        """The key to send. Raises UsageError where an endpoint wants one and none, or no usable one, is at hand."""
        return _usable_key(self.settings, self._given_key, self.where, self._loopback)

    def request(self, conversation: Conversation) -> Request | Fault:
        """What asks for `conversation`, or why the chat template cannot render it."""
        messages = conversation.messages
        if self.settings.system is not None:
            messages = (Message(role="system", content=self.settings.system), *messages)
        content: Any
        if self._template is None:
            content = [{"role": m.role, "content": sendable(m.content)} for m in messages]
        else:
            try:
                content = sendable(self._template.render(messages))
            except UsageError as error:
                return Fault("final", self.redaction.error(str(error)))
        return Request(content, self._options(conversation))

    def _options(self, conversation: Conversation) -> dict[str, Any]:
        asked = self.generation
        options: dict[str, Any] = {
            "max_tokens": conversation.max_tokens or asked.max_tokens,
            "temperature": asked.temperature,
            "top_p": asked.top_p,
            "stop": list(asked.stop) or None,
            "reasoning_effort": asked.effort,
            "seed": seed_of(conversation),
        }
        options |= self._asked_logprobs(conversation.top_logprobs)
        return {name: value for name, value in options.items() if value is not None}

    def _asked_logprobs(self, top: int) -> dict[str, Any]:
        """The arguments that ask for the `top` likeliest tokens at each place: chat and plain completions differ."""
        if not top:
            return {}
        return {"logprobs": True, "top_logprobs": top} if self._template is None else {"logprobs": top}

    async def send(self, line: Line, request: Request) -> Reply | Fault:
        """The reply to one request, within the timeout, or why there is none; its body is `raw` if there was one."""
        redact = self.redaction
        outcome = await self._answer(line, request)
        if isinstance(outcome, Reply):
            text = redact.text(outcome.text)
            return outcome if text == outcome.text else replace(outcome, text=text)
        return replace(outcome, reason=redact.error(outcome.reason), raw=redact.error_raw(outcome.raw))

    async def _answer(self, line: Line, request: Request) -> Reply | Fault:
        return await self._asked(line, self.base_url, self.settings.model, request)

    async def _asked(self, line: Line, base_url: str, model: str, request: Request) -> Reply | Fault:
        options = self.spoken(request.options)
        path, said = ("completions", "prompt") if isinstance(request.content, str) else ("chat/completions", "messages")
        body = {"model": model, said: request.content, **options}
        answer = await line.ask(f"{base_url}/{path}", body, self.settings.timeout)
        return answer if isinstance(answer, Fault) else self.read(answer, options)

    def read(self, answer: Answer, options: Mapping[str, Any]) -> Reply | Fault:
        """What an HTTP answer to a request with `options` says."""
        body = answer.content
        try:
            if answer.is_success:
                return read_body(self.redaction.raw(body))
            return _without_logprobs(read_error(answer.status_code, answer.headers, body, options), options)
        except Exception as error:  # a body is a stranger's: what nobody foresaw in it must not cost the other calls
            reason = f"{OTHER_SHAPE}: {type(error).__name__}: {error}"
            return Fault("final", reason, raw=body, status=answer.status_code, outage=True)

    def line(self) -> Line:
        """The connections of one run. Raises UsageError for a key or a proxy that cannot be used."""
        headers: dict[str, str] = {}
        self.sign(headers, self.check_ready())
        return Line(headers, connect=min(CONNECT, self.settings.timeout), urls=self._urls)

    def client(self) -> AsyncOpenAI:
        """The official client, for the batch API: without retries, redirects, and reading of the environment.

        It goes by the same proxy as a `line`. Raises UsageError for a key or a proxy that cannot be used.
        """
        from httpx2 import create_ssl_context
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient, Timeout

        key = self.check_ready()

        async def only_our_headers(request: Any) -> None:
            # Whatever host it is pointed at, the client sends what is in OPENAI_CUSTOM_HEADERS, OPENAI_ORG_ID and
            # OPENAI_PROJECT_ID, and a description of this machine.
            for name in [name for name in request.headers if name.lower() not in _HEADERS]:
                del request.headers[name]
            self.sign(request.headers, key)

        http = DefaultAsyncHttpxClient(
            follow_redirects=False,
            trust_env=False,  # it would open every proxy that is set, also one of a kind that this host does not need
            proxy=proxy_for(self.base_url, proxies_of_the_environment()),
            verify=create_ssl_context(trust_env=not self._loopback),
            event_hooks={"request": [only_our_headers]},
        )
        return AsyncOpenAI(
            api_key=key,
            base_url=self.base_url,
            max_retries=0,
            timeout=Timeout(self.settings.timeout, connect=min(CONNECT, self.settings.timeout)),
            http_client=http,
        )

    def sign(self, headers: MutableMapping[str, str], key: str) -> None:
        """Put the key where this endpoint looks for it."""
        headers["authorization"] = f"Bearer {key}"

    def spoken(self, options: dict[str, Any]) -> dict[str, Any]:
        """The options under the names this endpoint takes them by."""
        names = {name: self._dialect.get(name, name) for name in options}
        return {spoken: options[name] for name, spoken in names.items() if spoken is not None}

    def adapt(self, fault: Fault) -> bool:
        """Learn from a refused argument. False when it cannot be left out: a limit on the tokens never is."""
        if fault.parameter == "max_completion_tokens" or fault.parameter in _LOGPROBS:
            return False
        spoken = "max_completion_tokens" if fault.parameter == "max_tokens" else None
        self._learn(fault.parameter, spoken, fault.reason)
        return True

    def _learn(self, name: str, spoken: str | None, said: str) -> None:
        if name in self._dialect:
            return
        self._dialect[name] = spoken
        note = f"asked without {name}" if spoken is None else f"asked with {spoken} for {name}"
        self.notes.append(f"{self.settings.model}: {note}, because the endpoint says: {said}")
        _log.warning("%s", self.notes[-1])

    def refusal(self, fault: Fault) -> EndpointRefused:
        """The one message for a refusal: what, where, and what to type next."""
        if fault.parameter in _LOGPROBS:
            return EndpointRefused(
                f"{self.where}: the model {self.settings.model!r} gives no token probabilities: {fault.reason}; write "
                "`probabilities: false` for this judge, or name another endpoint"
            )
        variable = self.settings.api_key_env or "api_key_env: in the suite"
        if 300 <= fault.status < 400:
            said = f"redirects to {fault.reason}, which is not followed, so that the key goes nowhere else"
            return EndpointRefused(f"{self.where}: {said}; set base_url: to the address itself")
        billing = "look at the account's plan and billing"
        todo = {
            401: f"set {variable} to a key that this endpoint accepts",
            402: billing,
            403: f"check that the key in {variable} may use the model {self.settings.model!r}",
            429: billing,  # of an account without money; what is refused for its rate is asked again
        }.get(fault.status, f"check model: {self.settings.model!r} and base_url: (most end in /v1)")
        return EndpointRefused(f"{self.where} refuses ({fault.status}): {fault.reason}; {todo}")


def _without_logprobs(fault: Fault, sent: Mapping[str, Any]) -> Fault:
    """`fault`, as a refusal of every such call where it is about the token probabilities that were asked for."""
    if "logprobs" not in sent or (fault.kind in ("again", "rate") and fault.status != 501):
        return fault
    if fault.parameter in _LOGPROBS or (not fault.parameter and _ABOUT_LOGPROBS.search(fault.reason)):
        return replace(fault, kind="refused", parameter="logprobs")
    return fault


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
    return where + parts.path.rstrip("/"), is_loopback(host)


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


def seed_of(conversation: Conversation) -> int:
    """A sampling seed that is the same for the same conversation, sample and attempt: 0 <= seed < 2**31.

    Another attempt is another draw: a reply that could not be used would come again.
    """
    named = f"{conversation.key}\0{conversation.sample}\0{conversation.attempt}"
    return int.from_bytes(hashlib.sha256(named.encode("utf-8", "surrogatepass")).digest()[:4]) >> 1
