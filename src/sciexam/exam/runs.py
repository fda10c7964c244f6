"""What every run of the exam shares: where its ledger and its files lie, who can be asked, and its manifest."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sciexam.errors import UsageError
from sciexam.exam.benchmark_facts import identities_of
from sciexam.exam.plan import Plan, to_manifest
from sciexam.exam.preflight import owed_by
from sciexam.exam.sitting import Sitting
from sciexam.files import json_pieces, write_atomically
from sciexam.manifest import environment
from sciexam.models import check_ready
from sciexam.models.settings import weights_of
from sciexam.models.spending import Budget
from sciexam.models.terms import Engine, Terms
from sciexam.store import Store, is_there
from sciexam.store.batches import Batches
from sciexam.suite import Suite
from sciexam.types import Model


def location_of(store: str | Path | None, results: str | Path) -> str:
    """The ledger that a command means: the one it names, or the one among its results."""
    return str(store or Path(results) / "ledger.sqlite")


def terms_of(
    suite: Suite, max_wait: float, budget: float | Budget | None = None, batch: bool = False, engine: Engine = "local"
) -> Terms:
    """On what terms a command asks models: at most `budget` USD in all, in the provider's batches or one by one; local
    weights in this process or on a Ray cluster. A Budget is shared with whatever else was given it."""
    return Terms(
        max_wait,
        suite.prices,
        budget=Budget(budget) if isinstance(budget, (int, float)) else budget,
        journal=Batches() if batch else None,
        engine=engine,
        fetch=True,
    )


@contextmanager
def opened(store: str | Path | None, results: str | Path, terms: Terms) -> Iterator[Store]:
    """The ledger of a command that may ask. Batches are written down in it."""
    with Store(location_of(store, results)) as ledger:
        if isinstance(terms.journal, Batches):
            terms.journal.keep_in(ledger)
        yield ledger


def existing_ledger(store: str | Path | None, results: str | Path, maker: str = "compare") -> Store:
    """The ledger of a command that reads, open. Raises UsageError where there is none. `maker`: see `check_there`."""
    location = location_of(store, results)
    check_there(location, maker)
    return Store(location)


def check_there(location: str, maker: str = "compare") -> None:
    """Raises UsageError where there is no ledger to read. `maker`: the command that makes what would be read."""
    if not is_there(location):
        raise UsageError(
            f"{location}: no ledger there; run `sciexam {maker}` first, go to the folder in which it was run, or name "
            "the ledger with --store or --results"
        )


def check_all_ready(plan: Plan, models: Mapping[str, Model], ledger: Store, retry_invalid: bool = False) -> None:
    """Refuse a command that will have to ask someone who cannot be asked, before anyone is."""
    specs = (*(plan.suite.models[name] for name in models), *plan.suite.judges.values())
    if any(map(weights_of, specs)) and not owed_by(plan, ledger, retry_invalid).calls:
        return  # to look for a device takes seconds, and what is read again needs none
    try:
        writers = (rater.reference_model for rater in plan.raters)
        for asked in (*models.values(), *(rater.judge for rater in plan.raters), *writers):
            check_ready(asked)
    except UsageError:
        if owed_by(plan, ledger, retry_invalid).calls:
            raise


def hold(sitting: Sitting, plan: Plan, models: Mapping[str, Model], ledger: Store) -> dict[str, Any]:
    """Write the manifest of the run first, then hold the sitting. Returns the manifest."""
    manifest = environment() | {"run": plan.run, "plan": to_manifest(plan)}
    if plan.purpose == "compare":
        # As they are now: the report is counted again when other weights may lie where these do.
        manifest["benchmarked"] = identities_of(plan.suite, plan.models)
    ledger.add_run(plan.run, json.dumps(manifest))
    sitting.hold(models)
    return manifest


def report_folder(found: Any, results: str | Path = "results") -> Path:
    """Where the files of a run lie; `found` is what it found, which knows its suite and its run."""
    folder: Path = Path(results) / found.suite / found.run
    return folder


def write_run(folder: Path, manifest: Mapping[str, Any], files: Iterable[tuple[str, str | Iterable[str]]]) -> None:
    """Put the manifest (run.json) and `files`, each a name and a text or its pieces, into the folder of a run.

    Each is replaced whole, and written before the next one is made: where a page cannot be drawn, the record is there.
    """
    write_atomically(folder / "run.json", json_pieces(manifest))
    for name, text in files:
        write_atomically(folder / name, text)
