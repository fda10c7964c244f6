"""`sciexam grade`: answers marked one by one, by the rubric."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from sciexam.cli.completion import contestants, judges
from sciexam.cli.figures import check_figures, draw_figures
from sciexam.cli.options import (
    AsJson,
    BatchOption,
    BudgetOption,
    EngineName,
    EngineOption,
    FigureFormatOption,
    Figures,
    Limit,
    MaxWait,
    PromptsFile,
    Results,
    RetryInvalid,
    RubricName,
    StorePath,
    SuiteName,
    chosen_suite,
)
from sciexam.cli.progress import progress
from sciexam.cli.running import announce, interruptible, refuse_incomplete, terminal


def grade(
    contestants: Annotated[
        list[str] | None,
        typer.Argument(
            autocompletion=contestants,
            help="Contestants of the suite, or files of answers; one is enough.  [default: the suite's]",
        ),
    ] = None,
    suite: SuiteName = None,
    judge: Annotated[
        list[str] | None,
        typer.Option(
            "--judge",
            "-j",
            autocompletion=judges,
            help="A judge of the suite, `measures`, or `openai:MODEL`; repeatable.",
        ),
    ] = None,
    rubric: RubricName = None,
    prompts: PromptsFile = None,
    limit: Limit = None,
    budget: BudgetOption = None,
    batch: BatchOption = False,
    engine: EngineOption = EngineName.local,
    retry_invalid: RetryInvalid = False,
    max_wait: MaxWait = 120.0,
    store: StorePath = None,
    results: Results = Path("results"),
    figures: Figures = None,
    figure_format: FigureFormatOption = None,
    as_json: AsJson = False,
) -> None:
    """Mark answers one by one by the rubric: points on each criterion, a total, and how contestants differ.

    Facts are kept in a ledger: the same command again does only what is left to do.
    """
    from sciexam.exam import marking

    check_figures(figures, figure_format)
    chosen, names = chosen_suite(suite, contestants or [], prompts, rubric, judge or [], results=results)
    with interruptible() as stop, progress() as shown:
        found = marking.grade(
            chosen,
            *names,
            judges=judge or (),
            limit=limit,
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
        from sciexam.report.marking.grades_text import sentence_of, tables_of
        from sciexam.report.tables import print_list, print_tables, text_for
        from sciexam.report.wording import calls, noted

        console = terminal()
        console.print(text_for(console, sentence_of(found), "bold"))
        console.print()
        print_tables(tables_of(found), console)
        print_list("Caveats", found.caveats, console)
        print_list("Notes", noted(found.notes), console)
        console.print(text_for(console, f"Calls: {calls(found.calls)}"))
        folder = marking.marks_folder(found, results)
        console.print(text_for(console, f"Report: {folder}/grade.html, .md, .json"), soft_wrap=True)
    draw_figures(found, figures, figure_format)
    if found.incomplete:
        invalid = any(row.invalid for row in found.rows)
        refuse_incomplete(bool(found.failed), found.calls.unasked, invalid)
    if not shown.worked and not as_json:
        print("sciexam: nothing was left to do; every fact was in the ledger", file=sys.stderr)
