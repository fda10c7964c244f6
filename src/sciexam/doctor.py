"""What is installed here, what is safe, and what is in the way: each finding with what to do next."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from sciexam.errors import SciexamError, StoreError, UsageError
from sciexam.manifest import environment
from sciexam.models.calls import FIRST_TRIES, GRACE, TIMEOUTS, TRIES
from sciexam.models.reachability import Reached, State, reach
from sciexam.models.settings import Endpoint, Vllm
from sciexam.models.terms import USUAL
from sciexam.report.caveats import MANY_INVALID
from sciexam.store.database import PATIENCE
from sciexam.suite import Suite, load_suite
from sciexam.suite_file import usual_suite

SPACE = 2**30  # bytes that should be free
WAL_RESET = (3, 7, 0), (3, 51, 2)  # the first and the last SQLite with the bug: sqlite.org/wal.html
PLENTY = 4096  # open files that the largest `concurrency` may need
LOCAL = ("torch", "transformers", "peft", "accelerate")
EXTRAS = {
    "local": LOCAL,
    "train": (*LOCAL, "trl", "datasets"),
    "quant": (*LOCAL, "bitsandbytes"),
    "bench": (*LOCAL, "lm_eval", "datasets"),
    "vllm": ("vllm", "torch"),
    "ray": ("ray",),
    "postgres": ("psycopg",),
    "parquet": ("pyarrow",),
    "data": ("datasketch", "markdownify", "py7zr"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. `topic`: versions, sqlite, store, disk, limits, endpoint, suite, extra or gpu."""

    topic: str
    state: State | Literal["absent"]
    text: str
    todo: str = ""


def examine(suite: str | None, location: str, results: str | Path) -> Iterator[Finding]:
    """Look at everything; `suite` is a name or a file, None: the usual one where the folder has suites.

    Only the suite's endpoints are asked for anything, and only for their lists of models. Raises DocumentError for a
    suite that is named and faulty.
    """
    yield from _versions()
    yield _sqlite()
    yield from _store(location)
    yield from _disk(location)
    yield from _limits()
    yield from _endpoints(suite, results)
    yield from _extras()
    yield _gpu()


def _versions() -> Iterator[Finding]:
    found = environment()
    others = ", ".join(f"{name} {number}" for name, number in found["packages"].items() if name != "sciexam")
    yield Finding("versions", "ok", f"sciexam {version('sciexam')}, Python {found['python']}, {platform.platform()}")
    yield Finding("versions", "ok", others)


def _sqlite() -> Finding:
    number = sqlite3.sqlite_version
    if not WAL_RESET[0] <= sqlite3.sqlite_version_info <= WAL_RESET[1]:
        return Finding("sqlite", "ok", f"SQLite {number}, without the WAL-reset bug")
    return Finding(
        "sqlite",
        "warning",
        f"SQLite {number} has the WAL-reset bug (3.7.0 to 3.51.2): two programs that write to a file at once can, "
        "rarely, damage it. Commands of sciexam hold a lock against each other, and are safe",
        "let no other program write to the ledger, or use a Python with SQLite 3.51.3 or later",
    )


def _store(location: str) -> Iterator[Finding]:
    from sciexam.store import is_there
    from sciexam.store.examination import examine as read

    try:
        if not is_there(location):
            yield _empty(location)
            return
        found = read(location)
    except SciexamError as error:
        yield Finding("store", "fault", str(error), "name another ledger with --store")
        return
    if found.faults:
        todo = "`sciexam store check` lists the damage, `sciexam store repair` salvages what can be read"
        yield Finding("store", "fault", f"{location}: damaged: {found.faults[0]}", todo)
        return
    rows = sum(tally.sound for tally in found.tallies)
    yield Finding("store", "ok", f"{location}: {rows:,} rows, none damaged (store version {found.version})")
    file = _file(location)
    if file is not None and not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)):
        yield Finding("store", "fault", f"{location}: may not be written", "change its rights, or those of its folder")
    if file is not None:
        yield from _network(file)


def _empty(location: str) -> Finding:
    file = _file(location)
    folder = None if file is None else _existing(file.parent)
    if folder is not None and not os.access(folder, os.W_OK):
        return Finding(
            "store", "fault", f"{folder}: may not be written", "change its rights, or name a --store elsewhere"
        )
    return Finding("store", "ok", f"{location}: no ledger there; the first command that asks makes it")


def _network(file: Path) -> Iterator[Finding]:
    from sciexam.store.file_system import network_file_system

    if kind := network_file_system(file):
        what = f"{file.parent} lies on a network file system ({kind}), where locks are not to be relied on"
        yield Finding("store", "warning", what, "use it from one machine, or PostgreSQL: --store postgresql://...")


def _disk(location: str) -> Iterator[Finding]:
    if (file := _file(location)) is None:
        return
    folder = _existing(file.parent)
    free = shutil.disk_usage(folder).free
    said = f"{free / 2**30:,.1f} GiB are free at {folder}"
    yield (
        Finding("disk", "ok", said) if free >= SPACE else Finding("disk", "warning", said, "make room: 1 GiB at least")
    )


def _limits() -> Iterator[Finding]:
    usual = Endpoint(backend="openai", model="")
    yield Finding(
        "limits",
        "ok",
        f"a call: {usual.timeout:g} s (timeout:), {TRIES} tries, {TIMEOUTS} where they time out, {FIRST_TRIES} where "
        f"nobody ever answered; {usual.concurrency} at once (concurrency:); waits {USUAL.max_wait:g} s for its rate "
        "(--max-wait)",
    )
    yield Finding(
        "limits",
        "ok",
        f"after Ctrl-C {GRACE:g} s for calls in flight; a banner above {100 * MANY_INVALID:g} % of verdicts without a "
        f"result; the server of a ledger may be away for {PATIENCE:g} s",
    )
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    said = f"{files:,} open files" if files != resource.RLIM_INFINITY else "any number of open files"
    few = 0 <= files < 256
    yield Finding("limits", "warning" if few else "ok", said, f"ulimit -n {PLENTY}" if few else "")


def _endpoints(name: str | None, results: str | Path) -> Iterator[Finding]:
    if name is None and not any(Path("suites").glob("*.yaml")):
        yield Finding("endpoint", "ok", "no suite is named or lies here, and none was asked: sciexam doctor SUITE")
        return
    try:
        suite = load_suite(name or usual_suite(), results)
    except UsageError as error:
        if name is not None:
            raise
        yield Finding("suite", "warning", str(error).splitlines()[0], "`sciexam check` lists every fault")
        return
    asked = list(dict.fromkeys(_asked(suite)))
    if not asked:
        yield Finding("endpoint", "ok", f"suite {suite.name!r} asks no endpoint")
    for found in reach(asked):
        yield _endpoint(found)


def _endpoint(found: Reached) -> Finding:
    return Finding("endpoint", found.state, f"{found.where} {found.said}", found.todo)


def _asked(suite: Suite) -> Iterator[tuple[Endpoint, bool]]:
    """What the suite's models and judges ask, each as an endpoint, and whether that lists the model's name."""
    specs: tuple[Any, ...] = (*suite.models.values(), *suite.judges.values())
    for spec in specs:
        if isinstance(spec, Vllm):
            for address in spec.base_url:
                yield _as_endpoint(spec.weights, address, spec.api_key_env), False
        elif (model := getattr(spec, "model", None)) and hasattr(spec, "api_key_env"):
            yield _as_endpoint(model, spec.base_url, spec.api_key_env), isinstance(spec, Endpoint)


def _as_endpoint(model: str, address: str | None, variable: str | None) -> Endpoint:
    return Endpoint(backend="openai", model=model, base_url=address, api_key_env=variable)


def _extras() -> Iterator[Finding]:
    for extra, modules in EXTRAS.items():
        missing = [module for module in modules if find_spec(module) is None]
        if not missing:
            yield Finding("extra", "ok", f"{extra}: installed")
        else:
            yield Finding("extra", "absent", f"{extra}: {missing[0]} is not installed", _install(extra))


def _install(extra: str) -> str:
    """What adds an extra to an installed sciexam, from any folder, as docs/install.md has it."""
    return f"where you need it, pip install 'sciexam[{extra}]'"


def _gpu() -> Finding:
    """What torch can use. It is imported only where it is installed, since it takes seconds."""
    drivers = Path("/proc/driver/nvidia/gpus")
    there = len(list(drivers.iterdir())) if drivers.is_dir() else 0
    if find_spec("torch") is None:
        said = f"{there} GPUs of NVIDIA, and no torch to use them" if there else "no torch, so none was looked for"
        return Finding("gpu", "absent", said, _install("local"))
    import torch

    usable: list[Any] = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    if usable:
        return Finding("gpu", "ok", f"torch {torch.__version__} uses {', '.join(usable)}")
    if torch.backends.mps.is_available():
        return Finding("gpu", "ok", f"torch {torch.__version__} uses Apple's GPU")
    said = f"torch {torch.__version__} finds none"
    if there:
        return Finding(
            "gpu", "warning", f"{said}, and {there} of NVIDIA are there", "install torch for CUDA: pytorch.org"
        )
    return Finding("gpu", "ok", f"{said}; local weights run on the processor")


def verdict(findings: list[Finding]) -> int:
    """The exit code: 5 where the ledger cannot be used, else 3 where an endpoint cannot be asked, else 0."""
    faults = {finding.topic for finding in findings if finding.state == "fault"}
    return StoreError.exit_code if "store" in faults else 3 if faults else 0


def _file(location: str) -> Path | None:
    """The file of a ledger, None for a server's."""
    if "://" in location and not location.startswith("sqlite:"):
        return None
    from sciexam.store.sqlite import file_of

    return file_of(location)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return folder if folder.is_dir() else _existing(folder.parent)
