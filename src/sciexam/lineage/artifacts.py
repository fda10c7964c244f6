"""What a stage leaves: a folder of weights with its lineage.json: what it was made from, and how its exam went.

The folder is there as a whole or not at all: it is trained beside its place, and renamed into it. It is named by the
model and by the digest of its lineage, so that other settings never find it, and the same ones always do.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sciexam.errors import UsageError
from sciexam.files import write_atomically

LINEAGE, METRICS = "lineage.json", "metrics.jsonl"
MODELS = "models"  # the folder of all artifacts among the results


@dataclass(frozen=True, slots=True)
class Lineage:
    """lineage.json: `digest` is that of the lineage; `parents` name the digests of what it was made from.

    `data` is what was read: files and numbers of rows, with their digests. `exam` is what the gate found; `accepted`
    is None where no exam was owed. `seed` and `settings` as they were resolved, `versions` of what trained it.
    """

    name: str
    stage: str
    digest: str
    parents: dict[str, str]
    settings: dict[str, Any]
    data: dict[str, Any]
    seed: int
    versions: dict[str, str]
    accepted: bool | None = None
    exam: dict[str, Any] | None = None

    def to_text(self) -> str:
        return json.dumps(asdict(self), indent=1, allow_nan=False) + "\n"


def place_of(results: str | Path, name: str, digest: str) -> Path:
    """Where the artifact of the model `name` lies, or will lie, among `results`."""
    return Path(results).absolute() / MODELS / f"{re.sub(r'[^A-Za-z0-9._-]', '_', name)[:60]}-{digest[:12]}"


def read_heard(place: Path) -> str | None:
    """The digest of what a stage has heard from people when it was last trained; None where it has not been yet.

    `place` is that of a stage which has heard nothing: people's words are part of the digest of what they make.
    """
    path = place.with_name(f"{place.name}.heard")
    return path.read_text(encoding="ascii").strip() if path.is_file() else None


def keep_heard(place: Path, heard: str) -> None:
    """Remember what a stage hears from people, see `read_heard`."""
    write_atomically(place.with_name(f"{place.name}.heard"), heard + "\n")


def read_lineage(folder: Path) -> Lineage | None:
    """What lineage.json in `folder` says; None where there is none. Raises UsageError for one that cannot be read."""
    path = folder / LINEAGE
    if not path.is_file():
        return None
    try:
        return Lineage(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}; train it again, without this folder") from None
