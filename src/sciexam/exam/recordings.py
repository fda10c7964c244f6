"""Contestants whose answers are in a file: nobody is asked for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

from sciexam.battles import Slot
from sciexam.models.recorded import RecordedModel, recorded
from sciexam.suite import Suite
from sciexam.types import Conversation, Response


def is_recorded(suite: Suite, name: str) -> bool:
    """Whether the answers of contestant `name` are in a file."""
    return bool(getattr(suite.models[name], "responses", None))


def recording_of(suite: Suite, name: str) -> RecordedModel | None:
    """The file of answers of contestant `name`; None for one that is asked. Raises as reading the file does."""
    path = getattr(suite.models[name], "responses", None)
    return recorded(Path(path)) if path else None


def recorded_answers(suite: Suite, name: str) -> Iterator[Response]:
    """What the file of contestant `name` says to the suite's prompts; nothing for one that is asked."""
    if (recording := recording_of(suite, name)) is None:
        return
    asked = list(product(suite.prompts, range(suite.generation_of(name).samples)))
    calls = (Conversation("", prompt.messages, sample, prompt=prompt.id) for prompt, sample in asked)
    for (prompt, sample), reply in zip(asked, recording.generate(calls), strict=True):
        if reply.status == "ok":
            yield Response(name, prompt.id, sample, reply)


def equal_texts(suite: Suite, names: Sequence[str], known: Mapping[Slot, Response]) -> tuple[int, int]:
    """How many pairs of answers at hand are of one text, and how many there are: those `known`, and those of files."""
    said = {slot: one for slot, one in known.items() if one.reply.status == "ok"}
    said |= {(one.contestant, one.prompt, one.sample): one for name in names for one in recorded_answers(suite, name)}
    pairs = [
        (one, said[other, prompt, sample])
        for (name, prompt, sample), one in said.items()
        for other in names[: names.index(name)]
        if (other, prompt, sample) in said
    ]
    return sum(one.says_the_same(other) for one, other in pairs), len(pairs)
