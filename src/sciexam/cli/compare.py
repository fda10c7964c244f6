"""`sciexam compare` and `sciexam report`: the main job, and its report once more."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    Quiet,
    Results,
    RetryInvalid,
    RubricName,
    Samples,
    Slice,
    StorePath,
    StrictModel,
    SuiteName,
    UntilDecided,
    chosen_suite,
)
from sciexam.cli.running import announce, interruptible, progress, refuse_incomplete, terminal

if TYPE_CHECKING:
    from sciexam.report.record import Report


def compare(
    contestants: Annotated[
        list[str] | None,
        typer.Argument(
            help="Two or more contestants of the suite, or files of answers (.jsonl, .json). [default: the suite's]"
        ),
    ] = None,
    suite: SuiteName = None,
    judge: Annotated[
        list[str] | None,
        typer.Option(
            "--judge",
            "-j",
            help="A judge of the suite, `measures`, `humans`, `openai:MODEL`, or a .jsonl of verdicts; repeatable.",
        ),
    ] = None,
    rubric: RubricName = None,
    samples: Samples = None,
    prompts: PromptsFile = None,
    orders: OrdersOption = None,
    policy: PolicyOption = Policy.mean,
    margin: Annotated[
        float | None, typer.Option(help="The difference of win rates that does not matter, such as 0.05.")
    ] = None,
    by: Slice = "category",
    limit: Limit = None,
    until_decided: UntilDecided = False,
    budget: BudgetOption = None,
    batch: BatchOption = False,
    strict_model: StrictModel = False,
    retry_invalid: RetryInvalid = False,
    max_wait: MaxWait = 120.0,
    store: StorePath = None,
    results: Results = Path("results"),
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Compare contestants pairwise: win rates with intervals, by each judge.

    Facts are kept in a ledger: the same command again does only what is left to do.
    """
    from sciexam import exam

    chosen, names = chosen_suite(suite, contestants or [], prompts, rubric, judge or [], samples)
    with interruptible() as stop, progress(as_json or quiet) as shown:
        report = exam.compare(
            chosen,
            *names,
            judges=judge or (),
            orders=orders.value if orders else None,
            policy=policy.value,
            margin=margin,
            by=by,
            limit=limit,
            until_decided=until_decided,
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
    _show(report, results, as_json, quiet)
    _check_complete(report)
    if not shown.worked and not as_json:
        print("sciexam: nothing was left to do; every fact was in the ledger", file=sys.stderr)


def report(
    run: Annotated[str, typer.Argument(help="A run's id, its unique beginning, or its folder.")],
    store: StorePath = None,
    results: Results = Path("results"),
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Count an earlier run again from the ledger and write its report. No model is called."""
    from sciexam import exam

    found = exam.report(Path(run).name, store, results)
    _show(found, results, as_json, quiet)
    _check_complete(found)


def _check_complete(report: Report) -> None:
    if report.incomplete:
        refuse_incomplete(any(pair.verdicts["failed"] for pair in report.pairs), report.calls.unasked)


def _show(report: Report, results: Path, as_json: bool, quiet: bool) -> None:
    from sciexam.exam import report_folder

    if as_json:
        print(json.dumps(report.to_json(), indent=1, allow_nan=False))
        return
    from sciexam.report.console import print_report
    from sciexam.report.plain_text import plain_text

    if quiet:
        from sciexam.report.wording import used

        for pair in report.pairs:
            print(plain_text(pair.sentence))
            if pair.used < (pair.stop.prompts if pair.stop else pair.planned):
                print(f"sciexam: {plain_text(used(pair))}", file=sys.stderr)
        return
    print_report(report, terminal(), report_folder(report, results) / "report.html")
