"""`sciexam agree`: how far annotators and judges agree, by what is in the ledger."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from sciexam.cli.completion import contestants, judges
from sciexam.cli.figures import check_figures, draw_figures
from sciexam.cli.options import (
    AsJson,
    FigureFormatOption,
    Figures,
    InShort,
    Limit,
    Policy,
    PolicyOption,
    PromptsFile,
    Results,
    RubricName,
    Samples,
    Slice,
    StorePath,
    SuiteName,
    chosen_suite,
)
from sciexam.cli.running import terminal


def agree(
    contestants: Annotated[
        list[str] | None,
        typer.Argument(
            autocompletion=contestants,
            help="Two or more contestants of the suite, or files of answers.  [default: the suite's]",
        ),
    ] = None,
    suite: SuiteName = None,
    judge: Annotated[
        list[str] | None,
        typer.Option(
            "--judge",
            "-j",
            autocompletion=judges,
            help="As `sciexam compare` takes it; repeatable.  [default: all who have judged]",
        ),
    ] = None,
    rubric: RubricName = None,
    samples: Samples = None,
    prompts: PromptsFile = None,
    policy: PolicyOption = Policy.mean,
    by: Slice = "category",
    limit: Limit = None,
    store: StorePath = None,
    results: Results = Path("results"),
    figures: Figures = None,
    figure_format: FigureFormatOption = None,
    as_json: AsJson = False,
    quiet: InShort = False,
) -> None:
    """How far annotators and judges agree: every two of them, all together, and by category.

    It reads the verdicts in the ledger, and calls no model: `sciexam compare` makes them.
    """
    from sciexam import exam

    check_figures(figures, figure_format)
    chosen, names = chosen_suite(suite, contestants or [], prompts, rubric, judge or [], samples, results=results)
    found = exam.agree(
        chosen, *names, judges=judge or (), policy=policy.value, by=by, limit=limit, store=store, results=results
    )
    draw_figures(found, figures, figure_format)
    if as_json:
        print(json.dumps(found.to_json(), indent=1, allow_nan=False))
        return
    from sciexam.report.agreeing.agreement_text import sentence_of, tables_of
    from sciexam.report.plain_text import plain_text

    if quiet:
        print(plain_text(sentence_of(found)))
        return
    from sciexam.report.tables import print_list, print_steps, print_tables, text_for
    from sciexam.report.wording import noted

    console = terminal()
    console.print(text_for(console, sentence_of(found), "bold"))
    console.print()
    print_tables(tables_of(found), console)
    print_list("Caveats", found.caveats, console)
    print_list("Notes", noted(found.notes), console)
    print_steps(found.next_steps, console)
    where = exam.report_folder(found, results) / "agreement.html"
    console.print(text_for(console, f"Report: {where}"), soft_wrap=True)
