"""`sciexam bench`: standard benchmarks through lm-evaluation-harness."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from sciexam.cli.completion import models
from sciexam.cli.options import AsJson, BudgetOption, MaxWait, Results, StorePath, SuiteName
from sciexam.cli.running import interruptible, refuse_incomplete, terminal


def bench(
    tasks: Annotated[str, typer.Option("--tasks", "-t", help="Tasks or groups of them: truthfulqa_mc2,bbq")],
    models: Annotated[
        list[str] | None,
        typer.Argument(autocompletion=models, help="Models of the suite; one is enough.  [default: its contestants]"),
    ] = None,
    suite: SuiteName = None,
    tasks_from: Annotated[
        Path | None, typer.Option("--tasks-from", help="A folder of task files of your own; nothing in it runs.")
    ] = None,
    code_from: Annotated[
        Path | None,
        typer.Option("--code-from", help="A folder of task files whose Python runs here, with all your rights."),
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Ask the first items of each task only.")] = None,
    shots: Annotated[
        int | None, typer.Option("--shots", min=0, help="Examples before each item.  [default: as the task says]")
    ] = None,
    chat: Annotated[
        bool, typer.Option("--chat", help="Ask local weights in turns, by their chat template; endpoints always are.")
    ] = False,
    margin: Annotated[
        float | None, typer.Option("--margin", help="A difference of means that does not matter: show equivalence.")
    ] = None,
    group_by: Annotated[
        str | None,
        typer.Option("--group-by", help="Fields of an item that say what belongs together.  [default: group]"),
    ] = None,
    toxicity: Annotated[
        str | None,
        typer.Option("--toxicity", help="A classifier of toxic texts: a folder of weights, or a service's address."),
    ] = None,
    toxic_label: Annotated[
        str | None, typer.Option("--toxic-label", help="Its label for it.  [default: toxic or toxicity]")
    ] = None,
    budget: BudgetOption = None,
    max_wait: MaxWait = 120.0,
    store: StorePath = None,
    results: Results = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Have models do tasks that others have standardised, and compare each two of them item by item.

    Local weights do every task; an endpoint does those in which a model writes its answer. A task that is done stays in
    the ledger: the same command again does only what is left to do.
    """
    from sciexam.exchange.bench import bench as run
    from sciexam.exchange.bench_tasks import check_installed
    from sciexam.report.plain_text import one_line
    from sciexam.suite_file import usual_suite

    check_installed()

    def tell(what: str) -> None:
        print(f"sciexam: {one_line(what)}", file=sys.stderr, flush=True)

    with interruptible() as stop:
        found = run(
            suite or usual_suite(),
            *(models or ()),
            tasks=_words(tasks),
            tasks_from=tasks_from,
            code_from=code_from,
            limit=limit,
            shots=shots,
            chat=chat,
            margin=margin,
            group_by=_words(group_by or ""),
            toxicity=toxicity,
            toxic_label=toxic_label,
            budget=budget,
            max_wait=max_wait,
            store=store,
            results=results,
            stop=stop,
            tell=tell,
        )
    if as_json:
        print(json.dumps(found.to_json(), indent=1, allow_nan=False))
    else:
        from sciexam.exam.runs import report_folder
        from sciexam.report.benchmarks_text import sentence_of, tables_of
        from sciexam.report.tables import print_list, print_tables, text_for
        from sciexam.report.wording import calls, noted

        console = terminal()
        console.print(text_for(console, sentence_of(found), "bold"))
        console.print()
        print_tables(tables_of(found), console)
        print_list("Caveats", found.caveats, console)
        print_list("Notes", noted(found.notes), console)
        if found.calls.made or found.calls.reused:
            console.print(text_for(console, f"Calls: {calls(found.calls)}"))
        folder = report_folder(found, results)
        console.print(text_for(console, f"Report: {folder}/bench.html, .md, .csv, .json"), soft_wrap=True)
    if found.incomplete:
        refuse_incomplete(True, found.calls.unasked)
    if not found.asked and not as_json:
        print("sciexam: nothing was left to do; every fact was in the ledger", file=sys.stderr)


def _words(listed: str) -> list[str]:
    return [word for word in (part.strip() for part in listed.split(",")) if word]
