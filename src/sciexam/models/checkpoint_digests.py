"""The digests of a checkpoint's files, which are remembered: to hash gigabytes takes a minute."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from sciexam.digests import file_digest
from sciexam.files import write_atomically

# What a reply can depend on. Pickle (*.bin, *.pt, *.pth) is neither read nor fetched: reading it runs what is in it.
READ = ("*.json", "*.safetensors", "*.jinja", "*.txt", "*.model")
UNREAD = frozenset(
    ("trainer_state.json", "all_results.json", "train_results.json", "eval_results.json", "lineage.json", "README.txt")
)
SETTLED = 2.0  # seconds that a file must be old for its digest to be remembered: a second change may keep its date


def digests_of(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file in `folder` that a reply can depend on, by its name."""
    paths = sorted({path for pattern in READ for path in folder.glob(pattern)} - {folder / name for name in UNREAD})
    known = _remembered()
    found = {path: (_identity(path), known.get(_identity(path)) or file_digest(path)) for path in paths}
    if news := {
        identity: digest
        for path, (identity, digest) in found.items()
        if identity not in known and time.time() - path.stat().st_mtime > SETTLED and path.suffix == ".safetensors"
    }:
        _remember(news)
    return {path.name: digest for path, (_, digest) in found.items()}


def _identity(path: Path) -> str:
    resolved = path.resolve()
    status = resolved.stat()
    return f"{resolved}:{status.st_size}:{status.st_mtime_ns}:{status.st_ino}"


def _memory() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sciexam" / "weights.json"


def _remembered() -> dict[str, str]:
    """The digests of weight files by their path, size and date."""
    try:
        value = json.loads(_memory().read_bytes())
    except (OSError, ValueError):
        return {}
    return {k: v for k, v in value.items() if isinstance(v, str)} if isinstance(value, dict) else {}


def _remember(news: Mapping[str, str]) -> None:
    there = {**_remembered(), **news}
    with contextlib.suppress(OSError):  # a home that cannot be written to costs the time to hash again
        write_atomically(_memory(), json.dumps(dict(_of_files_that_are_there(there.items())), indent=1), mode=0o600)


def _of_files_that_are_there(items: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for identity, digest in items:
        if Path(identity.rsplit(":", 3)[0]).is_file():
            yield identity, digest
