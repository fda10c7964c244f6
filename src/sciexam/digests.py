"""Digests: the one spelling of a value, the SHA-256 of it, and what is drawn by it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

T = TypeVar("T")

SCALARS = frozenset((str, int, float, bool, type(None)))
_encoded = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode


def digest(value: Any) -> str:
    """SHA-256 in hex of the canonical JSON of `value` (records, mappings, sequences and plain values)."""
    return hashlib.sha256(canonical(value)).hexdigest()


def canonical(value: Any) -> bytes:
    """The canonical JSON of `value`: sorted keys, no blanks, ASCII."""
    return _encoded(_plain(value)).encode("ascii")


def draw(choices: Sequence[T], *content: object) -> T:
    """One of `choices`, the same one for the same content."""
    return choices[int(digest(list(content)), 16) % len(choices)]


def file_digest(path: Path) -> str:
    """SHA-256 in hex of the bytes of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _plain(value: Any) -> Any:
    kind = type(value)  # the usual kinds first: a digest is made of every call and answer
    if kind in SCALARS:
        return value
    if kind is list or kind is tuple:
        return value if SCALARS.issuperset(map(type, value)) else [_plain(v) for v in value]
    if kind is dict:
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, BaseModel):
        return _plain(dict(value))
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, Path):
        return str(value)
    return value
