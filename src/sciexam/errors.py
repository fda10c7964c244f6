"""Everything sciexam says no with. A message says what is wrong, where, and what to type next.

SciexamError                exit 1   never raised itself
├── UsageError              exit 2   the command cannot mean anything: unknown name, one model, nothing to compare
│   ├── DocumentError       exit 2   a file is wrong; carries every fault found in it, each with file:line: key
│   └── EndpointRefused     exit 2   the endpoint refuses this configuration (401, 403, 404): asking again is no use
├── Incomplete              exit 3   finished, but some of what was planned has no result; the rest is stored
├── GateNotMet              exit 4   a condition the user set was not met
├── StoreError              exit 5   the ledger cannot be used
└── Interrupted             exit 130 stopped on request; what is stored is safe, the same command goes on
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable
from difflib import get_close_matches
from urllib.parse import quote

MAX_FAULTS = 20  # that a message lists


class SciexamError(Exception):
    """The root: `except SciexamError` catches all that sciexam raises on purpose."""

    exit_code = 1


class UsageError(SciexamError):
    exit_code = 2


class DocumentError(UsageError):
    """One or more faults in files; each fault is one line, `file:line: key: what`."""

    def __init__(self, faults: Iterable[str]):
        self.faults = tuple(faults)
        shown = self.faults[:MAX_FAULTS]
        more = [f"and {len(self.faults) - MAX_FAULTS} more"] if len(self.faults) > MAX_FAULTS else []
        super().__init__("\n".join([*shown, *more]))


class EndpointRefused(UsageError):
    """The endpoint will not serve this configuration (wrong key, no such model)."""


class Incomplete(SciexamError):
    exit_code = 3


class GateNotMet(SciexamError):
    exit_code = 4


class StoreError(SciexamError):
    exit_code = 5


class Interrupted(SciexamError):
    exit_code = 130


def redacted(text: str) -> str:
    """`text` without any spelling of the value of any environment variable that is named like a secret."""
    for name, value in os.environ.items():
        if name.upper().endswith(("_KEY", "_TOKEN", "_SECRET", "PASSWORD")) and len(value) >= 8:
            for form in spellings(value):
                text = text.replace(form, f"[{name}]")
    return text


def spellings(secret: str) -> list[str]:
    """Every form in which a server, a proxy or a library is known to repeat a secret, the longest first."""
    raw = os.fsencode(secret)  # the environment may hold any byte
    return sorted({secret, quote(raw, safe=""), *_base64_forms(raw)}, key=len, reverse=True)


def _base64_forms(raw: bytes) -> set[str]:
    """The characters of a secret's base64 that do not depend on what stands around it, at the three alignments."""
    forms = set()
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + raw).rstrip(b"=").decode()
        first = -(-before * 8 // 6)  # characters that hold bits of the bytes before the key
        last = len(coded) - (1 if (before + len(raw)) % 3 else 0)  # the last one holds bits of what follows
        form = coded[first:last]
        forms |= {form, form.replace("+", "-").replace("/", "_")}
    return forms


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The tail of a message about an unknown word: `; did you mean 'x'?`, or the known words, or nothing."""
    options = sorted(set(known))
    near = get_close_matches(word, options, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known: {', '.join(options)}" if options else ""
