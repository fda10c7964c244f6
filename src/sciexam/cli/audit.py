"""`sciexam audit`: what a judge's verdicts owe to the order, the length, the style and orders in an answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sciexam.cli.answers_here import refuse_answers_as_judge
from sciexam.cli.completion import contestants, judges
from sciexam.cli.options import (
    AsJson,
    BatchOption,
    BudgetOption,
    EngineName,
    EngineOption,
    InShort,
    Limit,
    MaxWait,
    PromptsFile,
    Results,
    RetryInvalid,
    RubricName,
    StorePath,
    SuiteName,
    chosen_suite,
    judge_of,
)
from sciexam.cli.progress import progress
from sciexam.cli.running import announce, interruptible, refuse_incomplete, terminal

if TYPE_CHECKING:
    from sciexam.report.audit import Card


def audit(
    judge: Annotated[
        str | None,
        typer.Argument(
            autocompletion=judges, help="A judge of the suite, `measures`, or `openai:MODEL`.  [default: the suite's]"
        ),
    ] = None,
    contestants: Annotated[
        list[str] | None,
        typer.Argument(
            autocompletion=contestants,
            help="Whose answers are shown: contestants, or files of answers.  [default: the suite's]",
        ),
    ] = None,
    suite: SuiteName = None,
    rubric: RubricName = None,
    prompts: PromptsFile = None,
    limit: Limit = None,
    seed: Annotated[
        int | None, typer.Option(help="Draws the answers that are shown, and the phrases.  [default: the suite's]")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 4 if a line fails.")] = False,
    budget: BudgetOption = None,
    batch: BatchOption = False,
    engine: EngineOption = EngineName.local,
    retry_invalid: RetryInvalid = False,
    max_wait: MaxWait = 120.0,
    store: StorePath = None,
    results: Results = Path("results"),
    as_json: AsJson = False,
    quiet: InShort = False,
) -> None:
    """Show a judge answers that were changed by code, and tell what its verdicts follow.

    Both orders, padding, restyling, made-up authorities, flattery, cuts, empty answers, prompt injection: one line
    each, with an interval and what is tolerated. It shows answers that exist; `sciexam compare` asks for them.
    """
    from sciexam.errors import GateNotMet
    from sciexam.exam.audit import audit as run_audit
    from sciexam.report.audit import outcomes
    from sciexam.report.plain_text import plain_text

    refuse_answers_as_judge(judge, contestants or [])
    named = [judge] if judge else []
    chosen, names = chosen_suite(suite, contestants or [], prompts, rubric, named, results=results)
    judge = judge_of(chosen, judge)
    with interruptible() as stop, progress(quiet) as shown:
        card = run_audit(
            chosen,
            judge,
            *names,
            limit=limit,
            seed=seed,
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
        print(json.dumps(card.to_json(), indent=1, allow_nan=False))
    elif quiet:
        print(plain_text(card.sentence))
    else:
        _print(card, results)
    if strict and card.failing:
        failing = ", ".join(f"{line.name} ({line.family})" if line.family else line.name for line in card.failing)
        counted = outcomes(card.lines)
        failed = sum(outcome == "fail" for outcome in counted.values())
        raise GateNotMet(f"{card.judge} fails {failed} of {len(counted)} lines: {failing}")
    if card.incomplete:
        failed, invalid = any(line.failed for line in card.lines), any(line.invalid for line in card.lines)
        refuse_incomplete(failed, card.calls.unasked, invalid)


def _print(card: Card, results: Path) -> None:
    from sciexam.exam.audit import card_folder
    from sciexam.report.tables import print_list, print_steps, print_tables, text_for
    from sciexam.report.wording import calls

    console = terminal()
    console.print(text_for(console, card.sentence, "bold"))
    console.print()
    print_tables(card.tables(), console)
    print_list("Caveats", card.caveats, console)
    print_steps(card.next_steps, console)
    console.print(text_for(console, f"Calls: {calls(card.calls)}"))
    console.print(text_for(console, f"Card: {card_folder(card, results)}/audit.html, .md, .json"), soft_wrap=True)
