"""The result files of a batch: a line for each request that was answered, or was not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import IO, Any

from sciexam.models.line import LARGEST_ANSWER, Answer
from sciexam.models.replies import OTHER_SHAPE, Fault, head
from sciexam.models.wire import Wire
from sciexam.types import Reply


def read_lines(file: IO[bytes]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The lines of a result file with their custom_id, one at a time: a file may be larger than memory.

    A line that is none is left out, and so is one that is larger than any answer: its request has no answer then.
    """
    for text in _bounded(file):
        try:
            line = json.loads(text) if text.strip() else None
        except (ValueError, RecursionError):
            continue
        if isinstance(line, dict) and isinstance(line.get("custom_id"), str):
            yield line["custom_id"], line


def _bounded(file: IO[bytes]) -> Iterator[bytes]:
    """The lines of a file without those that are larger than LARGEST_ANSWER."""
    whole = True  # so far, of the line that is read
    while part := file.readline(LARGEST_ANSWER):
        ends = part.endswith(b"\n") or len(part) < LARGEST_ANSWER
        if whole and ends:
            yield part
        whole = ends


def read_line(line: Mapping[str, Any], wire: Wire, sent: Mapping[str, Any]) -> Reply | Fault | Unanswered:
    """What one line means, read as the answer to a direct call with the options `sent` is. No key is in it."""
    response, error = line.get("response"), line.get("error")
    if not isinstance(response, dict):
        said = error.get("message") or error.get("code") if isinstance(error, dict) else None
        return Unanswered(wire.redaction.error(head(str(said or OTHER_SHAPE).encode("utf-8", "replace"))), bool(said))
    body, status = response.get("body"), response.get("status_code")
    raw = body.encode("utf-8", "replace") if isinstance(body, str) else json.dumps(body).encode()
    # A batch keeps no headers.
    outcome = wire.read(Answer(status if isinstance(status, int) else 200, {}, raw), sent)
    if isinstance(outcome, Reply):
        return replace(outcome, text=wire.redaction.text(outcome.text))
    reason, raw = wire.redaction.error(outcome.reason), wire.redaction.error_raw(outcome.raw)
    return replace(outcome, reason=reason, raw=raw)


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A request that the provider did not answer. `unbilled`: it says so, and so there is nothing to pay."""

    reason: str
    unbilled: bool
