"""`sciexam plan`: what a comparison could find and would cost, before it is paid for."""

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
    Orders,
    PromptsFile,
    Results,
    RubricName,
    StorePath,
    SuiteName,
    chosen_suite,
)
from sciexam.cli.running import terminal


def plan(
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
            help="As `sciexam compare` takes it; repeatable.  [default: the suite's]",
        ),
    ] = None,
    rubric: RubricName = None,
    prompts: PromptsFile = None,
    effect: Annotated[
        float | None, typer.Option(help="The win rate to find, such as 0.55: says how many prompts it takes.")
    ] = None,
    budget: Annotated[float | None, typer.Option(help="USD to spend: says what they buy.")] = None,
    size: Annotated[int | None, typer.Option(help="A number of prompts to look at besides.")] = None,
    orders: Annotated[
        Orders | None, typer.Option(help="Look at both orders of each pair, or at one.  [default: each of the two]")
    ] = None,
    samples: Annotated[
        int | None, typer.Option(help="Answers a contestant and prompt.  [default: the suite's]")
    ] = None,
    power: Annotated[float, typer.Option(help="The probability with which the effect is to be found.")] = 0.8,
    labels: Annotated[
        int | None, typer.Option(help="Prompts that people label: says what the judge adds to them.")
    ] = None,
    store: StorePath = None,
    results: Results = Path("results"),
    figures: Figures = None,
    figure_format: FigureFormatOption = None,
    as_json: AsJson = False,
) -> None:
    """Which win rate so many prompts find, and what they cost: before anything is asked or paid.

    Verdicts that the ledger holds on these contestants are the pilot; without any, what is assumed is said. No model is
    called, and nothing is written but the figures that are asked for.
    """
    from sciexam.exam.planning import plan_ahead

    check_figures(figures, figure_format)
    chosen, names = chosen_suite(suite, contestants or [], prompts, rubric, judge or [], results=results)
    outlook = plan_ahead(
        chosen,
        *names,
        judges=judge or (),
        orders=orders.value if orders else None,
        size=size,
        samples=samples,
        effect=effect,
        budget=budget,
        power=power,
        labels=labels,
        store=store,
        results=results,
    )
    draw_figures(outlook, figures, figure_format)
    if as_json:
        print(json.dumps(outlook.to_json(), indent=1, allow_nan=False))
        return
    from sciexam.report.planning.outlook_text import print_outlook

    print_outlook(outlook, terminal())
