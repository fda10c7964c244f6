"""`sciexam export`: verdicts, responses, battles and preferences as files for other programs."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sciexam.cli.completion import contestants, judges
from sciexam.cli.options import (
    AsJson,
    Limit,
    Policy,
    PolicyOption,
    PromptsFile,
    Results,
    RubricName,
    Samples,
    StorePath,
    SuiteName,
    chosen_suite,
)
from sciexam.cli.running import terminal


class What(StrEnum):
    verdicts = "verdicts"
    responses = "responses"
    battles = "battles"
    preferences = "preferences"


class DataFormat(StrEnum):
    jsonl = "jsonl"
    csv = "csv"
    parquet = "parquet"


def export(
    what: Annotated[What, typer.Argument(help="What to write.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file, replaced whole.")],
    contestants: Annotated[
        list[str] | None,
        typer.Argument(
            autocompletion=contestants, help="Contestants of the suite, or files of answers.  [default: the suite's]"
        ),
    ] = None,
    data_format: Annotated[
        DataFormat | None, typer.Option("--format", help="How it is written.  [default: as its name ends]")
    ] = None,
    suite: SuiteName = None,
    judge: Annotated[
        list[str] | None,
        typer.Option(
            "--judge",
            "-j",
            autocompletion=judges,
            help="Whose verdicts; repeatable.  [default: of all who have judged; for preferences the suite's judge, "
            "unless it is text measures]",
        ),
    ] = None,
    min_agreement: Annotated[
        float, typer.Option("--min-agreement", help="Of preferences: the share of looks that must name the winner.")
    ] = 0.0,
    rubric: RubricName = None,
    samples: Samples = None,
    prompts: PromptsFile = None,
    policy: PolicyOption = Policy.mean,
    limit: Limit = None,
    store: StorePath = None,
    results: Results = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Write verdicts, responses, battles or preference pairs to a file: JSON Lines, CSV or Parquet.

    It reads the ledger and the suite's files, and calls no model.
    """
    from sciexam.errors import UsageError
    from sciexam.exchange.export import export as write

    if min_agreement and what != What.preferences:
        raise UsageError("--min-agreement goes with preferences alone")
    if judge and what == What.responses:
        raise UsageError("--judge: nobody judges responses; leave it out")
    chosen, names = chosen_suite(suite, contestants or [], prompts, rubric, judge or [], samples, results=results)
    found = write(
        chosen,
        *names,
        what=what.value,
        out=out,
        format=data_format.value if data_format else None,
        judges=judge or (),
        min_agreement=min_agreement,
        policy=policy.value,
        limit=limit,
        store=store,
        results=results,
    )
    if as_json:
        print(json.dumps(found.to_json(), indent=1, allow_nan=False))
        return
    from sciexam.report.tables import print_list, text_for

    console = terminal()
    by = f" by {', '.join(found.judges)}" if found.judges else ""
    told = f"{found.rows:,} {what.value} of {', '.join(found.contestants)}{by}: {found.out}"
    console.print(text_for(console, told), soft_wrap=True)
    margins = [f"{number:,} by {scale}" for scale, number in found.margins.items() if scale != "none"]
    without = found.margins.get("none", 0)
    print_list("Margins", [*margins, *([f"{without:,} lines have none"] if without else [])], console)
    print_list("Left out", [f"{number:,} x {why}" for why, number in found.left_out.items()], console)
    if what == What.preferences and found.rows:
        told = f"They are about the prompts of {chosen.name}: what trains on them has seen this exam."
        console.print(text_for(console, told))
    if found.mended:
        told = f"{found.mended:,} lines held half a character, which no file can hold; U+FFFD stands there."
        console.print(text_for(console, told))
