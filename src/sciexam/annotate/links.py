"""Personal links: who holds one is known by its signature, and it can be ended at any time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from itsdangerous import BadData, URLSafeSerializer

from sciexam.digests import digest
from sciexam.errors import UsageError
from sciexam.store.annotators import OPEN, Annotator

if TYPE_CHECKING:
    from sciexam.store import Store

USUAL_DAYS = 30.0


class LinkRefused(UsageError):
    """A link that opens nothing: forged, ended or too old. The message is what its holder reads."""


class Links:
    """Signs and reads links with a key that is derived from the ledger's secret. A link holds a number, and no name."""

    def __init__(self, store: Store):
        self._people = store.annotators
        self._signer = URLSafeSerializer(store.seal(digest("annotator links")), salt="sciexam annotate")

    def token(self, annotator: Annotator) -> str:
        return str(self._signer.dumps([annotator.id, annotator.nonce]))

    def holder(self, token: str) -> Annotator:
        """Whose link this is. Raises LinkRefused with plain words."""
        try:
            id, nonce = self._signer.loads(token)
            if token != self._signer.dumps([id, nonce]):
                raise BadData("base64 has other spellings of a signature, and a link has one")
        except (BadData, ValueError, TypeError):
            raise LinkRefused(
                "This link is not valid. It may have been copied incompletely: open it once more as you were given it, "
                "or ask whoever sent it to you for a new one."
            ) from None
        person = self._people.get(id)
        if person is None or person.state != OPEN or person.nonce != nonce:
            raise LinkRefused("This link was ended. Ask whoever sent it to you for a new one.")
        if person.until < time.time() * 1000:
            raise LinkRefused("This link has expired. Ask whoever sent it to you for a new one.")
        return person


def until(days: float | None = None) -> int:
    """When a link made now ends, in UTC milliseconds. Raises UsageError for a length that is none."""
    days = USUAL_DAYS if days is None else days
    if not 0 < days <= 3650:
        raise UsageError(f"--days: how long a link is valid, up to 3650 days, not {days:g}")
    return round((time.time() + days * 86_400) * 1000)
