"""Who may ask: whoever is on this machine, or holds the token."""

from __future__ import annotations

import hmac
import os
import secrets
from typing import TYPE_CHECKING

from sciexam.errors import UsageError
from sciexam.serve.refusal import Refusal
from sciexam.web.serving import LOOPBACK

if TYPE_CHECKING:
    from starlette.requests import Request

VARIABLE = "SCIEXAM_SERVE_TOKEN"
SHORTEST = 16  # characters of a token


def token_of(host: str, public_url: str | None) -> tuple[str | None, bool]:
    """The token that is asked for, and whether it was made up here; None where none is.

    It is the value of the environment variable VARIABLE, or a new one where other machines are served: a public address
    means that something forwards them to here. Raises UsageError for one that could be guessed.
    """
    given = os.environ.get(VARIABLE, "").strip()
    if given:
        if len(given) < SHORTEST or not (given.isascii() and given.isprintable() and " " not in given):
            raise UsageError(
                f"{VARIABLE}: a token has {SHORTEST} or more characters of ASCII and no blank; set another"
            )
        return given, False
    if host in LOOPBACK and public_url is None:
        return None, False
    return secrets.token_urlsafe(24), True


class Admission:
    """Compares tokens in a time that does not tell how much of one was right."""

    def __init__(self, token: str | None):
        self._token = None if token is None else token.encode()

    @property
    def asks(self) -> bool:
        """Whether a token is asked for."""
        return self._token is not None

    def check(self, request: Request) -> None:
        """Raises Refusal."""
        if self._token is None:
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode("utf-8", "replace"), self._token):
            told = "This server asks for its token: send it as `Authorization: Bearer TOKEN` (the client's api_key)."
            raise Refusal(401, told, code="invalid_api_key", headers={"www-authenticate": "Bearer"})
