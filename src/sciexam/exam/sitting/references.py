"""Those who write reference answers in a sitting, before the judges who need them are asked."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sciexam.exam.raters import UNCALLED, Rater, called_model
from sciexam.exam.references import Written, judgeable, referring, write_references
from sciexam.exam.sitting.room import Room
from sciexam.store import Writer
from sciexam.types import Prompt, Reply

if TYPE_CHECKING:
    from sciexam.exam.until import Until


class References:
    """Has references written in `room`: all at once, or round by round where the sequences watch."""

    def __init__(self, room: Room):
        self._room = room
        self._lock = threading.Lock()

    def all(self, writer: Writer) -> None:
        """Have the reference answers written that judges need."""
        if not self._room.recorded_only:
            self._write(self._room.plan.raters, judgeable(self._room.plan), writer)

    def round(self, until: Until, prompts: Sequence[Prompt], writer: Writer) -> bool:
        """Have those written that judges need for these prompts; whether all of them are known, or not to come."""
        room = self._room
        with self._lock:  # the contestants come one after the other, and the first one's references are everyone's
            raters = [rater for rater in room.plan.raters if until.needs_bench(rater.bench)]
            waiting = [prompt for prompt in prompts if any(room.plan.awaits(rater, prompt) for rater in raters)]
            if waiting:
                useful = {prompt.id for prompt in judgeable(room.plan)}
                never = {(r.reference or "", p.id): None for r in referring(raters) for p in waiting}
                asked = [prompt for prompt in waiting if prompt.id in useful]
                written = self._write(raters, asked, writer)
                if room.is_over:
                    return False
                until.referred({**never, **written})
                room.plan = until.plan
        return True

    def _write(self, raters: Sequence[Rater], prompts: Sequence[Prompt], writer: Writer) -> Written:
        room = self._room

        def take(model: str, reply: Reply, new: bool) -> None:
            if (called := called_model(room.plan.suite.models[model])) not in UNCALLED:
                room.account(model, called, reply, new)

        retry = room.retry_invalid
        return write_references(room.plan, raters, prompts, room.store, writer, retry, take, lambda: room.is_over)
