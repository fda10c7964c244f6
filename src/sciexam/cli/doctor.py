"""`sciexam doctor`: what is installed, what is safe, and what is in the way."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from sciexam.cli.options import AsJson, Results, StorePath


def doctor(
    suite: Annotated[
        str | None,
        typer.Argument(help="A suite's name or file, whose endpoints are greeted.  [default: the one in ./suites]"),
    ] = None,
    store: StorePath = None,
    results: Results = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Look at versions, the ledger, disk, limits, endpoints, extras and GPUs; each line says what to do next.

    Exit 0 where nothing is in the way, 3 where an endpoint cannot be asked, 5 where the ledger cannot be used.
    """
    from sciexam import doctor as doctors
    from sciexam.errors import redacted
    from sciexam.exam.runs import location_of
    from sciexam.report.plain_text import one_line

    found = []
    for finding in doctors.examine(suite, location_of(store, results), results):
        found.append(finding)
        if not as_json:
            todo = f". To do: {finding.todo}" if finding.todo else ""
            said = redacted(one_line(finding.text + todo))
            typer.echo(f"{finding.state:<8} {finding.topic:<9} {said}")
    code = doctors.verdict(found)
    if as_json:
        record = {"schema": "sciexam/doctor/1", "findings": [asdict(one) for one in found], "exit": code}
        print(redacted(json.dumps(record, indent=1)))
    if code:
        raise typer.Exit(code)
