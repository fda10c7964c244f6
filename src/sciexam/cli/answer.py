"""`sciexam answer`: the answers of one model to many prompts, in a file."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sciexam.cli.completion import models
from sciexam.cli.options import (
    AsJson,
    BatchOption,
    BudgetOption,
    EngineName,
    EngineOption,
    Limit,
    MaxWait,
    Results,
    RetryInvalid,
    StorePath,
    SuiteName,
)
from sciexam.cli.progress import progress
from sciexam.cli.running import announce, interruptible, refuse_incomplete

if TYPE_CHECKING:
    from sciexam.exam.bulk import Answered

MOST_REASONS = 5  # that are told why answers are missing


class AnswerFormat(StrEnum):
    jsonl = "jsonl"
    alpacaeval = "alpacaeval"


def answer(
    name: Annotated[
        str, typer.Argument(autocompletion=models, help="A model of the suite, `openai:MODEL`, or a folder of weights.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write; it is replaced as a whole.")],
    prompts: Annotated[
        Path | None, typer.Option("--prompts", help="A file of prompts (.jsonl).  [default: the suite's]")
    ] = None,
    suite: SuiteName = None,
    samples: Annotated[
        int | None, typer.Option(min=1, help="Answers to each prompt.  [default: as the suite says]")
    ] = None,
    limit: Limit = None,
    file_format: Annotated[
        AnswerFormat, typer.Option("--format", help="Lines that a suite takes, or AlpacaEval's list of outputs.")
    ] = AnswerFormat.jsonl,
    budget: BudgetOption = None,
    batch: BatchOption = False,
    engine: EngineOption = EngineName.local,
    retry_invalid: RetryInvalid = False,
    max_wait: MaxWait = 120.0,
    store: StorePath = None,
    results: Results = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Write what a model answers to many prompts, for a suite, a judge, or a training stage.

    Answers are kept in the ledger that `sciexam compare` uses: the same command again does only what is left to do.
    """
    from sciexam.exam import bulk

    with interruptible() as stop, progress() as shown:
        found = bulk.answer(
            suite,
            name,
            out=out,
            prompts=prompts,
            samples=samples,
            limit=limit,
            format=file_format.value,
            budget=budget,
            batch=batch,
            engine=engine.value,
            retry_invalid=retry_invalid,
            max_wait=max_wait,
            store=store,
            results=results,
            stop=stop,
            preflight=announce,
            progress=shown,
        )
    if as_json:
        print(json.dumps(found.to_json(), indent=1, allow_nan=False))
    else:
        _show(found)
    if found.missing:
        refuse_incomplete(found.failed, found.unasked)
    if not shown.worked and not as_json:
        print("sciexam: nothing was left to do; every answer was in the ledger", file=sys.stderr)


def _show(found: Answered) -> None:
    from sciexam.report.plain_text import one_line
    from sciexam.report.wording import calls

    samples = f" and {found.samples} samples" if found.samples > 1 else ""
    where = f"in {found.out}" if found.written else "that could be written"
    asked = f"{found.prompts:,} prompts{samples}"
    print(one_line(f"{found.model}: {found.written:,} of {found.planned:,} answers ({asked}) {where}"))
    if found.cut_off:
        print(f"Cut off by the limit of tokens: {found.cut_off:,} of them; raise max_tokens in the suite.")
    for number, (why, count) in enumerate(found.missing.items()):
        if number == MOST_REASONS:
            print(f"Missing: and {len(found.missing) - MOST_REASONS} more reasons")
            break
        print(one_line(f"Missing: {count:,} {why[:200]}"))
    for caveat in found.caveats:
        print(one_line(f"Caveat: {caveat}"))
    print(f"Calls: {calls(found.calls)}")
