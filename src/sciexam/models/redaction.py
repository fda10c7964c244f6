"""Taking a key out of what a server wrote, in every form a server or a proxy is known to repeat it in."""

from __future__ import annotations

import re

from sciexam.errors import spellings

_HIDDEN = "[key]"
_SHORTEST = 8  # a shorter key ("EMPTY", "none") is a placeholder, and hiding it would change answers that say the word


class Redaction:
    """Hides one key. A key of fewer than 8 characters is taken for a placeholder and hides nothing."""

    def __init__(self, key: str | None):
        self._whole: re.Pattern[str] | None = None
        self._part: re.Pattern[str] | None = None
        if key is not None and len(key) >= _SHORTEST:
            whole = "|".join(map(re.escape, spellings(key)))
            self._whole = re.compile(whole)
            # OpenAI's own 401 repeats the first eight characters and the last four, with stars between them.
            self._part = re.compile(f"{whole}|{re.escape(key[:_SHORTEST])}[\\w*.…-]*|\\*+{re.escape(key[-4:])}")

    def text(self, text: str) -> str:
        """`text` without the key; nothing else is changed, so an answer stays the answer."""
        return self._whole.sub(_HIDDEN, text) if self._whole else text

    def raw(self, body: bytes) -> bytes:
        """`body` without the key, byte for byte the same otherwise."""
        if self._whole is None:
            return body
        return self.text(body.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")

    def error(self, text: str) -> str:
        """`text` without the key and without any beginning or masked end of it."""
        return self._part.sub(_HIDDEN, text) if self._part else text

    def error_raw(self, body: bytes) -> bytes:
        """The body of an error, without the key and its parts."""
        return self.error(body.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
