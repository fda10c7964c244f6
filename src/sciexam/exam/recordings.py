"""Contestants whose answers are in a file: nobody is asked for them."""

from __future__ import annotations

from pathlib import Path

from sciexam.models.recorded import RecordedModel
from sciexam.suite import Suite


def is_recorded(suite: Suite, name: str) -> bool:
    """Whether the answers of contestant `name` are in a file."""
    return bool(getattr(suite.models[name], "responses", None))


def recording_of(suite: Suite, name: str) -> RecordedModel | None:
    """The file of answers of contestant `name`; None for one that is asked. Raises as reading the file does."""
    path = getattr(suite.models[name], "responses", None)
    return RecordedModel(Path(path)) if path else None
