"""Contestants whose answers are in a file: nobody is asked for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

from sciexam.battles import Slot
from sciexam.models.recorded import RecordedModel, read_responses, recorded
from sciexam.suite import Suite
from sciexam.types import Response


def is_recorded(suite: Suite, name: str) -> bool:
    """Whether the answers of contestant `name` are in a file."""
    return bool(getattr(suite.models[name], "responses", None))


def recording_of(suite: Suite, name: str) -> RecordedModel | None:
    """The file of answers of contestant `name`; None for one that is asked. Raises as reading the file does."""
    path = getattr(suite.models[name], "responses", None)
    return recorded(Path(path)) if path else None


def equal_texts(suite: Suite, names: Sequence[str], known: Mapping[Slot, Response]) -> tuple[int, int]:
    """How many pairs of answers at hand are of one text, and how many there are: those `known`, and those of files."""
    texts: dict[Slot, str] = {slot: one.text for slot, one in known.items() if one.reply.status == "ok"}
    for name in names:
        if recording := recording_of(suite, name):
            lines = read_responses(recording.path)
            for prompt, sample in product(suite.prompts, range(suite.generation_of(name).samples)):
                line = lines.get((prompt.id, sample)) or lines.get((prompt.messages[-1].content, sample))
                if line is not None:
                    texts[name, prompt.id, sample] = line.text
    pairs = [
        (text, texts[other, asked, sample])
        for (name, asked, sample), text in texts.items()
        for other in names[: names.index(name)]
        if (other, asked, sample) in texts
    ]
    return sum(one == other for one, other in pairs), len(pairs)
