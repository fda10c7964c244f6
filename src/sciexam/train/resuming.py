"""Where a stage goes on that was broken off: its last checkpoint that is whole.

Trainers go on without a word from a checkpoint that lacks its optimizer, with a fresh one in its place. So the files
are looked at here, and one that lacks anything is passed over for the one before it.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from sciexam.models.checkpoint_files import ADAPTER, WEIGHTS, tensors_of, weight_files


def last_complete(checkpoints: Path, processes: int = 1, also: Sequence[str] = ()) -> Path | None:
    """The newest checkpoint from which everything can be restored; None where there is none.

    `also`: further files of tensors that a stage needs to go on.
    """
    return next((folder for folder in newest_first(checkpoints) if not lacks(folder, processes, also)), None)


def newest_first(checkpoints: Path) -> list[Path]:
    found = {step_of(path): path for path in checkpoints.glob("checkpoint-*") if path.name[11:].isdecimal()}
    return [found[step] for step in sorted(found, reverse=True)]


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("checkpoint-"))


def lacks(folder: Path, processes: int = 1, also: Sequence[str] = ()) -> list[str]:
    """The files that are missing or cut off in a checkpoint; none in a complete one."""
    return list(_lacking(folder, processes, also))


def _lacking(folder: Path, processes: int, also: Sequence[str]) -> Iterator[str]:
    states = ["rng_state.pth"] if processes == 1 else [f"rng_state_{rank}.pth" for rank in range(processes)]
    for name in ("optimizer.pt", "scheduler.pt", *states):
        # torch writes an archive, whose directory comes last: it is missing where the file was cut off.
        if not (folder / name).is_file() or not zipfile.is_zipfile(folder / name):
            yield name
    kind = ADAPTER if (folder / "adapter_config.json").is_file() else WEIGHTS
    files = weight_files(folder, kind)
    if not files:
        yield kind
    for path in (*files, *(folder / name for name in also)):
        try:
            tensors_of(path)
        except (OSError, ValueError, KeyError):
            yield path.name
    try:
        if int(json.loads((folder / "trainer_state.json").read_bytes())["global_step"]) != step_of(folder):
            yield "trainer_state.json"
    except (OSError, ValueError, KeyError, TypeError):
        yield "trainer_state.json"
