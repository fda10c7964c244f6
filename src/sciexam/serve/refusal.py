"""A request that is not answered, in the shape of OpenAI's errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from sciexam.report.plain_text import one_line
from sciexam.web.guard import Refused

LONGEST = 500  # characters of a message; what it repeats of the request may be long


class Refusal(Exception):
    """Why a request is not answered: an HTTP status, what to change, and the field that is at fault."""

    def __init__(
        self,
        status: int,
        message: str,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ):
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, one_line(message)[:LONGEST], param, code
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        kind = {401: "authentication_error", 429: "rate_limit_error"}.get(self.status)
        kind = kind or ("invalid_request_error" if self.status < 500 else "server_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def response(self) -> Response:
        return JSONResponse(self.body(), self.status, self.headers)


def in_openai_shape(refusal: Refused) -> tuple[str, bytes]:
    """What `web.guard` answers: the type and the body."""
    return "application/json", json.dumps(Refusal(refusal.status, refusal.why).body()).encode()


def full(seconds: int) -> Refusal:
    """Every place in the queue is taken; `seconds`: when it is worth asking again."""
    told = "Every place in the queue is taken. Ask again later."
    return Refusal(429, told, code="rate_limit_exceeded", headers={"retry-after": str(seconds)})
