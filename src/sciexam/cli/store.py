"""`sciexam store`: whether the ledger is whole, what can be saved of it, a copy of it, and people forgotten."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sciexam.cli.annotators import forget
from sciexam.cli.options import AsJson, Results, StorePath
from sciexam.cli.running import terminal

if TYPE_CHECKING:
    from sciexam.store.examination import Tally

store = typer.Typer(
    help="Check the ledger, repair it, copy it, and forget people.", no_args_is_help=True, rich_markup_mode=None
)
store.command("forget")(forget)


@store.command("check")
def check(store: StorePath = None, results: Results = Path("results"), as_json: AsJson = False) -> None:
    """Read the whole ledger, and say what of it is damaged. Nothing is changed. Exit 5 where something is."""
    from sciexam.errors import StoreError
    from sciexam.report.plain_text import one_line
    from sciexam.store.examination import examine

    location = _there(store, results)
    found = examine(location)
    if as_json:
        _print_json(location, found.tallies, faults=[*map(one_line, found.faults)])
    else:
        rows = sum(tally.sound for tally in found.tallies)
        print(f"{one_line(location)}: {rows:,} rows in {len(found.tallies)} tables")
    if found.faults:
        told = "\n".join(f"    {one_line(fault)}" for fault in found.faults)
        next_step = f"`sciexam store repair{_named(store, results)}` salvages what can be read; or restore a backup"
        raise StoreError(f"{location}: damaged:\n{told}\n{next_step}")
    if not as_json:
        print("nothing is damaged")


@store.command("repair")
def repair(store: StorePath = None, results: Results = Path("results"), as_json: AsJson = False) -> None:
    """Put every row that is whole into a fresh file, and keep the damaged one beside it. Exit 3 where rows are lost."""
    from sciexam.errors import Incomplete
    from sciexam.report.tables import Table, print_tables
    from sciexam.store.salvage import repair as salvage

    location = _there(store, results, "PostgreSQL looks after its own files: restore a dump with pg_restore")
    done = salvage(location)
    if done is None:
        if as_json:
            _print_json(location, (), kept=None)
        else:
            print(f"{location}: nothing is damaged, and nothing was changed")
        return
    if as_json:
        _print_json(location, done.tallies, kept=str(done.kept), secret=done.secret)
    else:
        rows = [(one.table, f"{one.sound:,}", one.losses) for one in done.tallies]
        print_tables([Table("Salvaged", ("table", "saved", "lost"), rows)], terminal())
    print(f"sciexam: the damaged file is kept as {done.kept}", file=sys.stderr)
    if not done.secret:
        lost = "the secret is lost: links of annotators are void, `sciexam annotate link` gives others"
        print(f"sciexam: {lost}", file=sys.stderr)
    if not done.is_whole:
        raise Incomplete(f"{location}: repaired, with the losses above; the same command as before asks again for them")


@store.command("backup")
def backup(
    copy: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; it must not be there.")],
    store: StorePath = None,
    results: Results = Path("results"),
) -> None:
    """Copy the ledger, also while others write. The copy is read before it gets its name; nothing is overwritten."""
    from sciexam.store.backup import back_up

    location = _there(store, results, f"PostgreSQL makes its own copies: pg_dump -Fc DATABASE > {copy}")
    found = back_up(location, copy)
    rows = sum(tally.sound for tally in found.tallies)
    print(f"{copy}: {rows:,} rows, none damaged. To use it: --store {copy}")


def _there(store: str | None, results: Path, on_a_server: str = "") -> str:
    """Where a ledger lies that is there; `on_a_server` is what to do instead where it has to be a file."""
    from sciexam.errors import UsageError
    from sciexam.exam.runs import check_there, location_of

    location = location_of(store, results)
    if on_a_server and "://" in location and not location.startswith("sqlite:"):
        raise UsageError(f"{location}: {on_a_server}")
    check_there(location)
    return location


def _named(store: str | None, results: Path) -> str:
    """The options that mean the same ledger again."""
    if store is not None:
        return f" --store {store}"
    return "" if results == Path("results") else f" --results {results}"


def _print_json(location: str, tallies: Iterable[Tally], **more: object) -> None:
    import json

    tables = {one.table: {"sound": one.sound, "lost": one.lost, "at_least": one.at_least} for one in tallies}
    print(json.dumps({"location": location, "tables": tables} | more, indent=1, allow_nan=False))
