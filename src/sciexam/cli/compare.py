"""`sciexam compare`: the main job."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    OpenPage,
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
from sciexam.cli.progress import progress
from sciexam.cli.running import announce, announce_measures, interruptible, refuse_incomplete, terminal

if TYPE_CHECKING:
    from sciexam.report.record import Report


def compare(
    contestants: Annotated[
        list[str] | None,
        typer.Argument(
            autocompletion=contestants,
            help="Two or more contestants of the suite, or files of answers (.jsonl, .json). [default: the suite's]",
        ),
    ] = None,
    suite: SuiteName = None,
    judge: Annotated[
        list[str] | None,
        typer.Option(
            "--judge",
            "-j",
            autocompletion=judges,
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
    engine: EngineOption = EngineName.local,
    strict_model: StrictModel = False,
    retry_invalid: RetryInvalid = False,
    max_wait: MaxWait = 120.0,
    store: StorePath = None,
    results: Results = Path("results"),
    open_page: OpenPage = False,
    figures: Figures = None,
    figure_format: FigureFormatOption = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Compare contestants pairwise: win rates with intervals, by each judge.

    Facts are kept in a ledger: the same command again does only what is left to do.
    """
    from sciexam import exam

    check_figures(figures, figure_format)
    chosen, names = chosen_suite(suite, contestants or [], prompts, rubric, judge or [], samples, results=results)
    if not judge:
        announce_measures("compare", chosen, contestants or [])
    with interruptible() as stop, progress(quiet) as shown:
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
            engine=engine.value,
            strict_model=strict_model,
            retry_invalid=retry_invalid,
            max_wait=max_wait,
            store=store,
            results=results,
            stop=stop,
            preflight=announce,
            progress=shown,
        )
    show(report, results, as_json, quiet, open_page)
    draw_figures(report, figures, figure_format)
    check_complete(report)
    if not shown.worked and not as_json:
        print("sciexam: nothing was left to do; every fact was in the ledger", file=sys.stderr)


def check_complete(report: Report) -> None:
    """Exit 3 where a call failed, or was not made, or all verdicts on a pair are invalid."""
    from sciexam.report.plain_text import one_line
    from sciexam.report.wording import so_far
    from sciexam.types import CANNOT_JUDGE

    if not report.incomplete:
        return
    why = report.calls.unasked
    spoilt = [pair for pair in report.pairs if pair.invalid and not pair.used]
    if report.missing:
        why = f"{so_far(report)} The same `sciexam compare` asks for them"
    elif spoilt and all(f"invalid: {CANNOT_JUDGE}" in pair.reasons for pair in spoilt):
        why = why or "whoever was asked could not judge; people are not asked again by a command"
    elif files := sorted({file for pair in spoilt for file in pair.recorded}):
        named = [f"{pair.b} against {pair.a}" for pair in spoilt if pair.recorded]
        pairs = ", ".join([*named[:3], *([f"{len(named) - 3:,} more"] if len(named) > 3 else [])])
        why = why or (
            f"nothing in {' and '.join(files)} can be used on {pairs}: failures count as invalid; with verdicts in "
            "their place, the file is read again by the same `sciexam compare`"
        )
    failed = any(pair.verdicts["failed"] for pair in report.pairs)
    invalid = any(pair.verdicts["invalid"] for pair in report.pairs if not pair.recorded)
    refuse_incomplete(failed, one_line(why), invalid, "the same `sciexam compare`")


def show(report: Report, results: Path, as_json: bool, quiet: bool, open_page: bool = False) -> None:
    """Print a report as it was asked for, and open its page."""
    from sciexam.exam import report_folder

    page = report_folder(report, results) / "report.html"
    if as_json:
        print(json.dumps(report.to_json(), indent=1, allow_nan=False))
    elif quiet:
        _print_sentences(report)
    else:
        from sciexam.report.console import print_report

        print_report(report, terminal(), page)
    if open_page:
        from sciexam.cli.browsing import open_in_browser

        open_in_browser(page)


def _print_sentences(report: Report) -> None:
    from sciexam.report.plain_text import plain_text
    from sciexam.report.wording import used

    for pair in report.pairs:
        print(plain_text(pair.sentence))
        if pair.used < (pair.stop.prompts if pair.stop else pair.planned):
            print(f"sciexam: {plain_text(used(pair))}", file=sys.stderr)
