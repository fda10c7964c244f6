"""`sciexam leaderboard`: the standings of the contestants of a suite, by one judge."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sciexam.cli.options import (
    AsJson,
    BatchOption,
    BudgetOption,
    Limit,
    MaxWait,
    OrdersOption,
    Policy,
    PolicyOption,
    PromptsFile,
    Results,
    RetryInvalid,
    RubricName,
    Slice,
    StorePath,
    StrictModel,
    SuiteName,
    chosen_suite,
)
from sciexam.cli.running import announce, interruptible, progress, refuse_incomplete, terminal


class Against(StrEnum):
    all = "all"
    baseline = "baseline"


def leaderboard(
    contestants: Annotated[
        list[str] | None,
        typer.Argument(help="Contestants of the suite, or files of answers.  [default: the suite's]"),
    ] = None,
    suite: SuiteName = None,
    judge: Annotated[
        list[str] | None,
        typer.Option(
            "--judge", "-j", help="One judge: of the suite, `measures`, `humans`, `openai:MODEL`, a .jsonl of verdicts."
        ),
    ] = None,
    rubric: RubricName = None,
    prompts: PromptsFile = None,
    pairs: Annotated[
        Against, typer.Option(help="Compare every two contestants, or each with the baseline alone.")
    ] = Against.all,
    orders: OrdersOption = None,
    policy: PolicyOption = Policy.mean,
    by: Slice = "category",
    limit: Limit = None,
    budget: BudgetOption = None,
    batch: BatchOption = False,
    strict_model: StrictModel = False,
    retry_invalid: RetryInvalid = False,
    max_wait: MaxWait = 120.0,
    store: StorePath = None,
    results: Results = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Rate the contestants of a suite by one judge: ratings, rank ranges, win rates against the baseline.

    A null contestant, one constant text for every prompt, sits the exam too where the judge can be asked.
    """
    from sciexam import exam
    from sciexam.errors import UsageError

    if judge and len(judge) > 1:
        raise UsageError("a leaderboard is by one judge, and verdicts of several are never mixed; name one --judge")
    chosen, names = chosen_suite(suite, contestants or [], prompts, rubric, judge or [])
    with interruptible() as stop, progress(as_json) as shown:
        found = exam.leaderboard(
            chosen,
            *names,
            judge=judge[0] if judge else None,
            pairs=pairs.value,
            orders=orders.value if orders else None,
            policy=policy.value,
            by=by,
            limit=limit,
            budget=budget,
            batch=batch,
            strict_model=strict_model,
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
        from sciexam.report.tables import print_list, print_tables, text_for
        from sciexam.report.wording import calls

        console = terminal()
        print_tables(found.tables(), console)
        print_list("Caveats", found.caveats, console)
        print_list("Notes", [f"{name}: {note}" for name, note in found.notes.items()], console)
        console.print(text_for(console, f"Calls: {calls(found.calls)}"))
        folder = exam.report_folder(found, results)
        console.print(text_for(console, f"Leaderboard: {folder}/leaderboard.md, .csv, .json"), soft_wrap=True)
    if found.incomplete:
        refuse_incomplete(bool(found.failed), found.calls.unasked)
