"""`sciexam validate`: can this judge be trusted, by the human verdicts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sciexam.cli.answers_here import refuse_answers_as_judge
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
    InShort,
    Limit,
    MaxWait,
    OrdersOption,
    Policy,
    PolicyOption,
    PromptsFile,
    Results,
    RetryInvalid,
    RubricName,
    Samples,
    StorePath,
    SuiteName,
    chosen_suite,
    judge_of,
)
from sciexam.cli.progress import progress
from sciexam.cli.running import announce, interruptible, refuse_incomplete, terminal

if TYPE_CHECKING:
    from sciexam.report.validating.validation import Validation


def validate(
    judge: Annotated[
        str | None,
        typer.Argument(
            autocompletion=judges,
            help="A judge of the suite, `measures`, `openai:MODEL`, or a .jsonl of its verdicts.  "
            "[default: the suite's]",
        ),
    ] = None,
    contestants: Annotated[
        list[str] | None,
        typer.Argument(
            autocompletion=contestants,
            help="Two or more contestants of the suite, or files of answers.  [default: the suite's]",
        ),
    ] = None,
    suite: SuiteName = None,
    humans: Annotated[
        list[str] | None,
        typer.Option(
            "--humans",
            help='A .jsonl of verdicts with "kind": "human", or `humans` for the ledger\'s; repeatable.  '
            "[default: the ledger's, and the suite's]",
        ),
    ] = None,
    rubric: RubricName = None,
    samples: Samples = None,
    prompts: PromptsFile = None,
    orders: OrdersOption = None,
    policy: PolicyOption = Policy.mean,
    epsilon: Annotated[
        float, typer.Option(help="How much worse than a human the judge may be in the alt-test: .2 beside experts.")
    ] = 0.2,
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
    quiet: InShort = False,
) -> None:
    """Hold a judge against humans: accuracy, agreement, alt-test, calibration, corrected win rates, biases.

    The judge is asked for what the ledger lacks on comparisons that a human judged. Nobody else is asked.
    """
    from sciexam.exam import validating
    from sciexam.report.plain_text import plain_text

    check_figures(figures, figure_format)
    refuse_answers_as_judge(judge, contestants or [])
    named = [judge] if judge else []
    chosen, names = chosen_suite(suite, contestants or [], prompts, rubric, named, samples, results=results)
    judge = judge_of(chosen, judge)
    with interruptible() as stop, progress(quiet) as shown:
        found = validating.validate(
            chosen,
            judge,
            *names,
            humans=humans or (),
            orders=orders.value if orders else None,
            policy=policy.value,
            epsilon=epsilon,
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
    elif quiet:
        print(plain_text(found.sentence))
    else:
        _show(found, validating.folder_of(found, results) / "validation.html")
    draw_figures(found, figures, figure_format)
    if found.incomplete:
        refuse_incomplete(bool(found.missing.get("failed")), found.calls.unasked, bool(found.missing.get("invalid")))


def _show(found: Validation, where: Path) -> None:
    from sciexam.report.tables import print_list, print_steps, print_tables, text_for
    from sciexam.report.validating.validation_text import tables_of
    from sciexam.report.wording import calls

    console = terminal()
    console.print(text_for(console, found.sentence, "bold"))
    console.print()
    print_tables(tables_of(found), console)
    print_list("Caveats", found.caveats, console)
    print_list("Notes", found.remarks, console)
    print_steps(found.next_steps, console)
    console.print(text_for(console, f"Calls: {calls(found.calls)}"))
    console.print(text_for(console, f"Report: {where}"), soft_wrap=True)
