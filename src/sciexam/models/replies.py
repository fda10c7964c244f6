"""What a body or an error of an OpenAI-compatible endpoint means: a reply, or a named fault."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Literal
from urllib.parse import urlsplit

from sciexam.types import TRUNCATED, Reply, Status

Kind = Literal["again", "rate", "refused", "parameter", "final"]

OTHER_SHAPE = "endpoint did not answer like OpenAI"  # how the failure of a body that is no reply begins
NEVER = -1e9  # the log probability of what cannot come: some endpoints say minus infinity, some -9999
_THOUGHT = re.compile(r"\s*<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)\s*", re.DOTALL)
_THOUGHT_TAIL = re.compile(r"</think>\s*")  # templates that open the thought in the prompt leave only its end
_TOO_LONG = re.compile(
    r"context[ _](length|window|size)|(prompt|input|messages?|request) (is|are) too (long|large)"
    r"|too many (input )?tokens|reduce the length|max_model_len|maximum (input )?length",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"\bmodel\b[^.;]{0,120}?(does not exist|doesn't exist|not found)"
    r"|(unknown|invalid|no such) model\b|not a valid model",
    re.IGNORECASE,
)
_UNSUPPORTED = re.compile(
    r"unsupported|not support|unrecognized|unknown|unexpected|extra (inputs|fields)|not permitted|deprecated",
    re.IGNORECASE,
)
_NO_MONEY = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a request gave no reply, and what may be done about it.

    `kind`: "again" may pass by itself; "rate" is a 429; "refused" holds for every call of this configuration;
    "parameter" is an argument this model does not take, named in `parameter`; "final" is about this call alone.
    `wait` is what the endpoint asks for in seconds; `outage` says that the endpoint, not the call, is at fault.
    """

    kind: Kind
    reason: str
    raw: bytes = b""
    status: int = 0
    wait: float | None = None
    parameter: str = ""
    outage: bool = False
    unreachable: bool = False
    timeout: bool = False


def read_body(body: bytes) -> Reply | Fault:
    """A body that came with status 200. The reply's key, attempt and seconds are filled in by the caller.

    `raw` is the body whatever it means and never empty for a Reply: what has one was answered, and may have been paid
    for though its body says nothing of tokens.
    """
    value = _json(body)
    if value is None:
        if not body.strip() or body.lstrip()[:1] == b"{":
            return Fault("again", "the reply is cut: its JSON does not end", raw=body, outage=True)
        return Fault("final", f"{OTHER_SHAPE}: {head(body)}", raw=body, outage=True)
    choice = _first_choice(value)
    if choice is None:
        return _no_choice(value, body)
    message = choice.get("message")
    if not isinstance(message, dict):
        message = {"content": choice.get("text")}
    if not isinstance(message.get("content"), (str, list, type(None))):
        return Fault("final", f"{OTHER_SHAPE}: {head(body)}", raw=body, outage=True)
    return _reply(value, choice, message, body)


def _reply(value: dict[str, Any], choice: dict[str, Any], message: dict[str, Any], body: bytes) -> Reply:
    finish = choice.get("finish_reason")
    finish = finish if isinstance(finish, str) else ""
    refusal = message.get("refusal")
    refused = finish in ("content_filter", "refusal") or (isinstance(refusal, str) and refusal != "")
    text = without_thought(_content(message.get("content")))
    status, failure = _usable(text, refused, finish)
    usage = value.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    details = usage.get("completion_tokens_details")
    model = value.get("model")
    return Reply(
        key="",
        text=text or (refusal if refused and isinstance(refusal, str) else ""),
        status=status,
        failure=failure,
        finish_reason=finish,
        model=model if isinstance(model, str) else "",
        input_tokens=_count(usage.get("prompt_tokens")),
        output_tokens=_count(usage.get("completion_tokens")),
        reasoning_tokens=_count(details.get("reasoning_tokens")) if isinstance(details, dict) else None,
        raw=body,
        logprobs=read_logprobs(choice.get("logprobs")),
    )


def read_logprobs(value: Any) -> tuple[Mapping[str, float], ...] | None:
    """For each token of a choice the likeliest tokens there with their log probabilities, the one taken first.

    `value` is the choice's `logprobs`, in the shape of chat completions (a list `content`) or of plain ones (lists
    `tokens`, `token_logprobs` and `top_logprobs`). None where it is of neither, or tells of no token but those taken.
    """
    if not isinstance(value, dict):
        return None
    places = [_place(*told) for told in _taken_and_top(value)]
    if any(place is None for place in places) or all(len(place or ()) < 2 for place in places):
        return None
    return tuple(place for place in places if place is not None)


def _taken_and_top(value: dict[str, Any]) -> list[tuple[Any, Any, list[tuple[Any, Any]]]]:
    """For each token: itself, its log probability, and the pairs of the likeliest ones; not one of it is checked."""
    content = value.get("content")
    if isinstance(content, list):
        chat = [token if isinstance(token, dict) else {} for token in content]
        return [(token.get("token"), token.get("logprob"), _pairs(token.get("top_logprobs"))) for token in chat]
    lists = [value.get(name) for name in ("tokens", "token_logprobs", "top_logprobs")]
    if not all(isinstance(one, list) for one in lists) or len({len(one or ()) for one in lists}) != 1:
        return []
    return [(taken, logprob, _pairs(top)) for taken, logprob, top in zip(*lists, strict=True)]


def _pairs(top: Any) -> list[tuple[Any, Any]]:
    if isinstance(top, dict):
        return list(top.items())
    if not isinstance(top, list):
        return []
    return [(one.get("token"), one.get("logprob")) if isinstance(one, dict) else (None, None) for one in top]


def _place(taken: Any, logprob: Any, top: list[tuple[Any, Any]]) -> dict[str, float] | None:
    """The tokens of one place; None where one of them is no text or has no log probability, or no others are told."""
    told = [(taken, logprob), *top]
    if not top or not all(isinstance(token, str) and _is_logprob(value) for token, value in told):
        return None
    place: dict[str, float] = {}
    for token, value in told:
        place.setdefault(token, float(max(value, NEVER)))
    return place


def _is_logprob(value: Any) -> bool:
    """A number of at most zero, but for rounding; a probability of zero may be told as minus infinity."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value <= 1e-3  # which no NaN is


def _usable(text: str, refused: bool, finish: str) -> tuple[Status, str]:
    """A text cut at the token limit is still an answer; whether it is still a verdict is for the judge to say."""
    if refused:
        return "invalid", "refused"
    if text.strip():
        return "ok", ""
    return "invalid", TRUNCATED if finish == "length" else "empty"


def without_thought(text: str) -> str:
    """`text` without the reasoning that stands before it, closed or not, or opened in the prompt already.

    Tags further on belong to the answer: a text about these tags is not taken apart.
    """
    start = 0
    while match := _THOUGHT.match(text, start):
        start = match.end()
    if (match := _THOUGHT_TAIL.search(text, start)) and "<think>" not in text[start : match.start()]:
        start = match.end()
    return text[start:]


def _content(content: Any) -> str:
    """The text of a message; of a list of parts, those of type text (a part of type thinking is not the answer)."""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict) and part.get("text"))
    return content if isinstance(content, str) else ""


def _first_choice(value: Any) -> dict[str, Any] | None:
    choices = value.get("choices") if isinstance(value, dict) else None
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        choice = choices[0]
        if isinstance(choice.get("message"), dict) or "text" in choice:
            return choice
    return None


def _no_choice(value: Any, body: bytes) -> Fault:
    if isinstance(value, dict) and value.get("error"):  # some routers send their errors with status 200
        return Fault("final", f"the endpoint answered with an error: {_message(body)}", raw=body, outage=True)
    return Fault("final", f"{OTHER_SHAPE}: {head(body)}", raw=body, outage=True)


def read_error(status: int, headers: Mapping[str, str], body: bytes, sent: Mapping[str, Any]) -> Fault:
    """What a status other than 2xx says; `sent` are the arguments of the request, by name."""
    said = _message(body) or f"HTTP {status}"
    code, parameter = _code(body)
    if status in (401, 402, 403, 404, 405) or 300 <= status < 400:
        return Fault("refused", _target(headers) if status < 400 else said, raw=body, status=status)
    if status == 429 and code not in _NO_MONEY:
        return Fault("rate", said, raw=body, status=status, wait=_retry_after(headers), outage=True)
    if status == 429:
        return Fault("refused", said, raw=body, status=status)
    if status in (408, 409) or status >= 500:
        return Fault("again", f"{status}: {said}", raw=body, status=status, wait=_retry_after(headers), outage=True)
    if code == "context_length_exceeded" or status == 413 or _TOO_LONG.search(said):
        return Fault("final", f"too-long: {said}", raw=body, status=status)
    if code == "model_not_found" or _NO_MODEL.search(said):
        return Fault("refused", said, raw=body, status=status)
    if _UNSUPPORTED.search(f"{said} {code}") and (name := _named(said, parameter, sent)):
        return Fault("parameter", said, raw=body, status=status, parameter=name)
    return Fault("final", f"{status}: {said}", raw=body, status=status)


def _named(said: str, parameter: str, sent: Mapping[str, Any]) -> str:
    """The argument an error is about: the one it names as its parameter, or the first of ours in its text."""
    if parameter in sent:
        return parameter
    places = {name: match.start() for name in sent if (match := re.search(rf"\b{name}\b", said))}
    return min(places, key=places.__getitem__) if places else ""


def head(body: bytes, length: int = 200) -> str:
    """The beginning of a body on one line, without control characters."""
    text = body[: 4 * length].decode("utf-8", "replace")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:length]


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        return None


def _error(body: bytes) -> Any:
    value = _json(body)
    if isinstance(value, list) and value:  # Google's compatible endpoint wraps its error in a list
        value = value[0]
    return value.get("error", value) if isinstance(value, dict) else value


def _message(body: bytes) -> str:
    error = _error(body)
    if isinstance(error, dict):
        error = next((error[name] for name in ("message", "detail", "msg") if error.get(name)), None)
    if error is None:
        return head(body, 300)
    return head((error if isinstance(error, str) else json.dumps(error)).encode("utf-8", "replace"), 300)


def _code(body: bytes) -> tuple[str, str]:
    error = _error(body)
    if not isinstance(error, dict):
        return "", ""
    code, parameter = error.get("code"), error.get("param")
    return str(code or error.get("type") or ""), parameter if isinstance(parameter, str) else ""


def _target(headers: Mapping[str, str]) -> str:
    parts = urlsplit(headers.get("location", ""))
    return head(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}".encode()) if parts.netloc else "another place"


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by the headers `retry-after-ms` and `Retry-After` (seconds or an HTTP date), or None."""
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    try:
        date = parsedate_to_datetime(headers.get("retry-after", ""))
    except (ValueError, OverflowError):  # a day or a zone of twenty digits
        return None
    if date.tzinfo is None:  # "-0000" parses without a zone and means UTC
        date = date.replace(tzinfo=UTC)
    return max(0.0, date.timestamp() - time.time())


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
