"""What may be asked: the fields of a request, each read or refused by its name. Nothing is ignored.

The names are OpenAI's, of `/v1/chat/completions` and `/v1/completions`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from sciexam.models.streaming import Sampling
from sciexam.serve.refusal import Refusal
from sciexam.types import Generation, Message

CHOICES = 8  # answers to one request
STOPS = 16
TOP = 20  # likeliest tokens at a place

# Fields of OpenAI's that mean something we do not do, with the values at which they ask for nothing.
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "best_of": (1,),
    "echo": (False,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "presence_penalty": (0,),
    "response_format": ({"type": "text"},),
    "store": (False,),
    "suffix": ("",),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
}
UNSUPPORTED = frozenset(NEUTRAL) | {
    *("audio", "function_call", "functions", "metadata", "parallel_tool_calls", "prediction", "prompt_cache_key"),
    *("prompt_cache_retention", "reasoning_effort", "safety_identifier", "service_tier", "user", "verbosity"),
    "web_search_options",
}

_Stop = Annotated[str, StringConstraints(min_length=1, max_length=500)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Part(_Strict):
    type: Literal["text"]
    text: str


class Turn(_Strict):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Part]

    def message(self) -> Message:
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return Message(role="system" if self.role == "developer" else self.role, content=text)


class StreamOptions(_Strict):
    include_usage: bool = False


class _Body(_Strict):
    """What both kinds of completion have in common."""

    model: str
    max_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    stop: _Stop | list[_Stop] | None = None
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    n: int | None = Field(None, ge=1, le=CHOICES)
    stream: bool | None = None
    stream_options: StreamOptions | None = None


Body = TypeVar("Body", bound=_Body)


class ChatBody(_Body):
    messages: list[Turn] = Field(min_length=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=TOP)


class CompletionBody(_Body):
    prompt: str
    logprobs: int | None = Field(None, ge=0, le=TOP)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, read: a conversation or a text to continue, and how `n` answers are to be written."""

    model: str
    content: tuple[Message, ...] | str
    sampling: Sampling
    stop: tuple[str, ...] = ()
    n: int = 1
    stream: bool = False
    include_usage: bool = False


def read_chat(body: bytes) -> ChatBody:
    """Raises Refusal, which names the field that is at fault."""
    return _read(ChatBody, body)


def read_completion(body: bytes) -> CompletionBody:
    """Like `read_chat`."""
    return _read(CompletionBody, body)


def asked(body: ChatBody | CompletionBody, usual: Generation, longest: int) -> Asked:
    """The request with what it leaves out: as the contestant sits the exam (`usual`), at most `longest` tokens."""
    limit, field = body.max_tokens, "max_tokens"
    top: int | None = None
    content: tuple[Message, ...] | str
    if isinstance(body, ChatBody):
        if body.max_completion_tokens is not None:
            if limit is not None:
                raise Refusal(400, "max_tokens and max_completion_tokens say the same; give one of them", "max_tokens")
            limit, field = body.max_completion_tokens, "max_completion_tokens"
        if body.top_logprobs is not None and not body.logprobs:
            raise Refusal(400, "top_logprobs needs logprobs: true", "top_logprobs")
        content = tuple(turn.message() for turn in body.messages)
        top = (body.top_logprobs or 0) if body.logprobs else None
    else:
        content, top = body.prompt, body.logprobs
    if limit is not None and limit > longest:
        raise Refusal(400, f"{field}: at most {longest} tokens here, not {limit}", field, "invalid_value")
    if body.stream_options is not None and not body.stream:
        raise Refusal(400, "stream_options needs stream: true", "stream_options")
    stop = (body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ())
    if len(stop) > STOPS:
        raise Refusal(400, f"stop: at most {STOPS} texts", "stop", "invalid_value")
    temperature = body.temperature if body.temperature is not None else usual.temperature
    return Asked(
        model=body.model,
        content=content,
        sampling=Sampling(
            max_tokens=limit or min(usual.max_tokens, longest),
            temperature=1.0 if temperature is None else temperature,
            top_p=body.top_p or usual.top_p or 1.0,
            seed=body.seed,
            top_logprobs=top,
        ),
        stop=stop if body.stop is not None else usual.stop,
        n=body.n or 1,
        stream=bool(body.stream),
        include_usage=body.stream_options is not None and body.stream_options.include_usage,
    )


def as_usual(model: str, messages: tuple[Message, ...], usual: Generation, longest: int) -> Asked:
    """One answer as the contestant gives it in the exam, but never the same draw twice."""
    return asked(ChatBody(model=model, messages=[_turn(message) for message in messages]), usual, longest)


def _turn(message: Message) -> Turn:
    return Turn(role=message.role, content=message.content)


def _read(kind: type[Body], body: bytes) -> Body:
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal(400, "the body is not JSON") from None
    if not isinstance(given, dict):
        raise Refusal(400, "the body is not a JSON object")
    known = {name: value for name, value in given.items() if not (name in kind.model_fields and value is None)}
    for name in [name for name in known if name not in kind.model_fields]:
        _check_neutral(name, known.pop(name))
    try:
        return kind.model_validate(known)
    except ValidationError as error:
        raise _refusal(error) from None


def _check_neutral(name: str, value: Any) -> None:
    """Refuse a field that we do not do, unless its value asks for nothing."""
    if name not in UNSUPPORTED:
        raise Refusal(400, f"Unrecognized request argument supplied: {name}", name, "unknown_parameter")
    if value is not None and not any(value == one and type(value) is type(one) for one in _neutral(name)):
        told = f"{name} is not supported here; leave it out, or nothing would come of it"
        raise Refusal(400, told, name, "unsupported_parameter")


def _neutral(name: str) -> tuple[Any, ...]:
    values = NEUTRAL.get(name, ())
    return (*values, *(float(one) for one in values if type(one) is int))


def _refusal(error: ValidationError) -> Refusal:
    """The first fault that pydantic found, by the name that the field has in a request."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    path = [str(step) for step in first["loc"] if not str(step).startswith(("list[", "constrained-str", "str"))]
    name = ".".join(path)
    match first["type"]:
        case "extra_forbidden":
            return Refusal(400, f"Unrecognized request argument supplied: {name}", name, "unknown_parameter")
        case "missing":
            return Refusal(400, f"{name} is missing", name, "missing_required_parameter")
    return Refusal(400, f"{name}: {first['msg']}", name, "invalid_value")
