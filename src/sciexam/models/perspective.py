"""A service that says how toxic a text is, as Perspective's `comments:analyze` does: a text in, one number out.

    POST {address}/comments:analyze  {"comment": {"text": ...}, "languages": ["en"], "doNotStore": true,
                                      "requestedAttributes": {"TOXICITY": {}}}
    -> {"attributeScores": {"TOXICITY": {"summaryScore": {"value": 0.93, "type": "PROBABILITY"}}}}

The key goes into the header `x-goog-api-key`, never into the address. A text that the service cannot score (empty, too
long, in another language) is answered with a 400 that says so: its reply is invalid. Source: the API reference of
Perspective (github.com/conversationai/perspectiveapi).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import MutableMapping
from dataclasses import replace

from sciexam.digests import digest
from sciexam.errors import EndpointRefused, UsageError
from sciexam.models.line import Answer, Line, sendable
from sciexam.models.openai import OpenAIModel
from sciexam.models.replies import Fault, head, read_error
from sciexam.models.settings import Endpoint
from sciexam.models.wire import Request, Wire
from sciexam.types import Conversation, Generation, Reply

KEY = "PERSPECTIVE_API_KEY"
PATH = "/comments:analyze"
SIDE_BY_SIDE = 4  # requests at once: by default such a service allows about one a second
PATIENCE = 60.0  # seconds that a request may take

NO_SCORE = "the service did not answer with one score"
_ABOUT_THE_TEXT = re.compile(
    r"too long|non-empty|does not support request languages|detect language|"
    r"COMMENT_(EMPTY|TOO_LONG)|LANGUAGE_NOT_SUPPORTED",
    re.IGNORECASE,
)
_ABOUT_THE_KEY = re.compile(r"API[ _]key", re.IGNORECASE)


class AnalyzeWire(Wire):
    """The line to one such service: as safe as that to a model that writes, with another path, body and header."""

    def __init__(self, settings: Endpoint, language: str, api_key: str | None):
        super().__init__(settings, Generation(), str(settings.base_url), api_key)
        self._language = language

    def request(self, conversation: Conversation) -> Request | Fault:
        return Request(sendable(conversation.messages[-1].content), {"max_tokens": 0})

    def sign(self, headers: MutableMapping[str, str], key: str) -> None:
        headers["x-goog-api-key"] = key

    def refusal(self, fault: Fault) -> EndpointRefused:
        if 300 <= fault.status < 400:
            todo = "is not followed, so that the key goes nowhere else; name that address itself with --toxicity"
            return EndpointRefused(f"{self.where}: redirects to {fault.reason}, which {todo}")
        todo = (
            "check the address in --toxicity" if fault.status in (404, 405) else f"set {KEY} to a key that it accepts"
        )
        return EndpointRefused(f"{self.where}{PATH} refuses ({fault.status}): {fault.reason}; {todo}")

    async def _answer(self, line: Line, request: Request) -> Reply | Fault:
        body = {
            "comment": {"text": request.content},
            "languages": [self._language],
            "requestedAttributes": {self.settings.model: {}},
            "doNotStore": True,
        }
        answer = await line.ask(f"{self.base_url}{PATH}", body, self.settings.timeout)
        return answer if isinstance(answer, Fault) else self._read_answer(answer)

    def _read_answer(self, answer: Answer) -> Reply | Fault:
        body = answer.content
        try:
            if answer.is_success:
                return read_score(self.redaction.raw(body), self.settings.model)
            return _read_refusal(read_error(answer.status_code, answer.headers, body, {}))
        except Exception as error:  # a body is a stranger's: what nobody foresaw in it must not cost the other calls
            reason = f"{NO_SCORE}: {type(error).__name__}: {error}"
            return Fault("final", reason, raw=body, status=answer.status_code, outage=True)


class PerspectiveModel(OpenAIModel):
    """Such a service at `address`; the text of its reply is the probability.

    Asked, limited, retried and stopped as `OpenAIModel` is. `attribute` is what is asked for, `language` what the texts
    are in (ISO 639-1). Raises UsageError for an address that cannot be used, and where there is no key.
    """

    def __init__(self, address: str, attribute: str, language: str, max_wait: float):
        base_url = address.rstrip("/").removesuffix(PATH)
        settings = Endpoint(
            backend="openai",
            model=attribute,
            base_url=base_url,
            api_key_env=KEY,
            concurrency=SIDE_BY_SIDE,
            timeout=PATIENCE,
        )
        key = os.environ.get(KEY, "").strip()
        try:
            wire = AnalyzeWire(settings, language, key)
        except UsageError:
            raise UsageError(
                "--toxicity: an address is http://HOST/... or https://HOST/..., without a password or a query; the key "
                f"is read from {KEY}"
            ) from None
        if not key:
            raise UsageError(
                f"--toxicity: {wire.where} needs a key: set {KEY}, or name a classifier on this machine, a folder of "
                "weights"
            )
        super().__init__(settings, Generation(), base_url=base_url, api_key=key, max_wait=max_wait)
        self._wire = wire
        self.where = self._wire.where
        self.digest = digest({"backend": "perspective", "url": base_url, "attribute": attribute, "language": language})


def read_score(body: bytes, attribute: str) -> Reply | Fault:
    """A body that came with status 200: a Reply whose text is the probability, as `repr` of a float writes it."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        if not body.strip() or body.lstrip()[:1] == b"{":
            return Fault("again", "the answer is cut: its JSON does not end", raw=body, outage=True)
        return Fault("final", f"{NO_SCORE}: {head(body)}", raw=body, outage=True)
    for name in ("attributeScores", attribute, "summaryScore", "value"):
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        return Fault("final", f"{NO_SCORE}: {head(body)}", raw=body, outage=True)
    return Reply(key="", text=repr(float(value)), finish_reason="stop", raw=body)


def _read_refusal(fault: Fault) -> Reply | Fault:
    """What an error is about: this text, the key, or as any endpoint's."""
    if fault.kind != "final":
        return fault
    if _ABOUT_THE_KEY.search(fault.reason):
        return replace(fault, kind="refused", reason=fault.reason.removeprefix(f"{fault.status}: "))
    said = fault.raw.decode("utf-8", "replace")
    if fault.status in (400, 413) and _ABOUT_THE_TEXT.search(said):
        return Reply(key="", status="invalid", failure=f"no score: {fault.reason}", raw=fault.raw)
    return fault
