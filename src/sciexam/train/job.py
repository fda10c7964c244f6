"""A stage that is ready to be trained: everything is resolved, written down, and needs neither suite nor ledger.

A job lies in a folder of its own beside the place of the artifact, and is all that a second process of `torchrun`
has to read:

    job.json        what is trained, from which weights, and how
    rows.jsonl      what is learnt from, one row a line
    checkpoints/    where the trainer can go on after a kill
    metrics.jsonl   what was logged at which step
    weights/        what came of it
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sciexam.files import write_atomically
from sciexam.lineage.artifacts import METRICS


@dataclass(frozen=True, slots=True)
class Job:
    """`stage` and its `settings`, all defaults filled in. `parent` and `reward` are folders of whole weights.

    `chat_template` takes the place of the parent's own.
    """

    name: str
    stage: str
    folder: str
    settings: dict[str, Any]
    seed: int
    parent: str
    reward: str | None = None
    chat_template: str | None = None

    @property
    def rows(self) -> Path:
        return Path(self.folder) / "rows.jsonl"

    @property
    def checkpoints(self) -> Path:
        return Path(self.folder) / "checkpoints"

    @property
    def metrics(self) -> Path:
        return Path(self.folder) / METRICS

    @property
    def weights(self) -> Path:
        return Path(self.folder) / "weights"

    def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Put the job and its rows into its folder."""
        write_atomically(self.rows, (json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        write_atomically(Path(self.folder) / "job.json", json.dumps(asdict(self), indent=1) + "\n")


def read_job(folder: Path) -> Job:
    return Job(**json.loads((folder / "job.json").read_bytes()))


def rows_of(job: Job) -> Iterator[dict[str, Any]]:
    with job.rows.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def world_size() -> int:
    """How many processes train together: torchrun says it to each."""
    return int(os.environ.get("WORLD_SIZE", "1"))
