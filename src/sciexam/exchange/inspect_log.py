"""Inspect logs, of the format `.eval` (a zip of JSON) or `.json`: samples with their answers and scores.

A log is of one model. What one of its samples becomes stands in `inspect_sample`.
"""

from __future__ import annotations

import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sciexam.exchange.inspect_sample import read_sample
from sciexam.exchange.landing import Landing, Place, shown
from sciexam.exchange.rows import document, found, value_of

LARGEST = 512_000_000  # bytes of one sample
Sample = tuple[Place, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class _Log:
    """One file: what its head says of model and task."""

    file: Path
    model: str
    task: str
    samples: Sequence[Any] = ()  # of a .json log, read with the head


def read(paths: Sequence[Path]) -> Landing:
    landing = Landing("inspect")
    logs = [log for file in found(paths, "*.eval", "*.json") if (log := _head(file, landing)) is not None]
    tasks = {log.task for log in logs}
    for log in logs:
        for at, sample in _samples(log, landing):
            landing.rows_read[str(log.file)] += 1
            read_sample(at, sample, log.model, log.task if len(tasks) > 1 else None, landing)
    return landing


def _head(file: Path, landing: Landing) -> _Log | None:
    landing.rows_read[str(file)] += 0
    packed = file.suffix == ".eval"
    whole = _head_of_zip(file, landing) if packed else document(file, landing)
    if whole is None:
        return None
    told = whole.get("eval") if isinstance(whole, dict) else None
    if not isinstance(told, dict) or not isinstance(told.get("model"), str):
        landing.fault(file, "eval.model: a name; this is no log of Inspect")
        return None
    if (status := whole.get("status", "started")) != "success":
        landing.note(f"{file} is the log of a run that did not succeed: {shown(status)}.")
    samples = [] if packed else whole.get("samples") or []
    if not isinstance(samples, list):
        landing.fault(file, f"samples: a list, this is {shown(samples)}")
        return None
    return _Log(file, told["model"], str(told.get("task") or "task"), samples)


def _head_of_zip(file: Path, landing: Landing) -> Any:
    with _opened(file, landing) as log:
        for name in ("header.json", "_journal/start.json"):
            if log and name in log.namelist():
                return _entry(log, file, name, landing)
        if log:
            landing.fault(file, "is no .eval log: it holds no header.json")
    return None


def _samples(log: _Log, landing: Landing) -> Iterator[Sample]:
    """Each sample, and where it stands: the file inside the zip, or its number in the list."""
    if log.file.suffix != ".eval":
        for number, sample in enumerate(log.samples, 1):
            yield from _objects(Place(log.file / "samples", number), sample, landing)
        return
    with _opened(log.file, landing) as packed:
        names = packed.namelist() if packed else []
        names = [name for name in names if name.startswith("samples/") and name.endswith(".json")]
        if not names:
            landing.fault(log.file, "holds no samples; a log of another layout is rewritten by `inspect log convert`")
        for name in [name for name, n in Counter(names).items() if n > 1]:
            landing.fault(log.file / name, "stands twice in the log; which one counts?")
        for name in dict.fromkeys(names):
            if packed:
                yield from _objects(Place(log.file / name, 1), _entry(packed, log.file, name, landing), landing)


def _objects(at: Place, sample: Any, landing: Landing) -> Iterator[Sample]:
    if isinstance(sample, dict):
        yield at, sample
    elif sample is not None:
        landing.fault(at, f"a sample is an object {{...}}, this is {shown(sample)}")


@contextmanager
def _opened(file: Path, landing: Landing) -> Iterator[zipfile.ZipFile | None]:
    try:
        log = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError) as error:
        landing.fault(file, f"is no .eval log: {str(error).lower()}; was the file cut off?")
        yield None
        return
    with log:
        yield log


def _entry(log: zipfile.ZipFile, file: Path, name: str, landing: Landing) -> Any:
    """A file of the zip as a value; None where it is none, and that is a fault."""
    at = Place(file / name, 1)
    try:
        if log.getinfo(name).file_size > LARGEST:
            landing.fault(at, f"larger than {LARGEST:,} bytes")
            return None
        raw = log.read(name)
    except NotImplementedError:
        landing.fault(at, "is packed by a method that this Python does not know; `inspect log convert --to json` helps")
        return None
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError) as error:
        landing.fault(at, f"cannot be read: {str(error).lower()}")
        return None
    return value_of(raw, at, landing)
