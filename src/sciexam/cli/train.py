"""`sciexam train`: bring a model into being, and let it sit the exam."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sciexam.cli.options import AsJson, BudgetOption, EngineName, EngineOption, MaxWait, Results, StorePath, SuiteName
from sciexam.cli.progress import progress
from sciexam.cli.running import interruptible

if TYPE_CHECKING:
    from sciexam.train.walk import Step


class Tracker(StrEnum):
    wandb = "wandb"
    trackio = "trackio"
    mlflow = "mlflow"


def train(
    name: Annotated[str, typer.Argument(help="A model of the suite that has a `stage:`.")],
    suite: SuiteName = None,
    keep_rejected: Annotated[
        bool,
        typer.Option("--keep-rejected", help="Keep the weights of what the exam rejects; they stay no contestant."),
    ] = False,
    processes: Annotated[
        int, typer.Option("--processes", min=1, help="How many processes train together, as with torchrun.")
    ] = 1,
    track: Annotated[
        Tracker | None, typer.Option("--track", help="A tracker that training reports to as well, if it is installed.")
    ] = None,
    budget: BudgetOption = None,
    engine: EngineOption = EngineName.local,
    max_wait: MaxWait = 120.0,
    store: StorePath = None,
    results: Results = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Train a model and what it is made from, stage by stage, and accept what passes the exam against its parent.

    Only what is missing is trained. Stopped anywhere, the same command goes on there.

    Example: sciexam train rlhf --suite my-suite
    """
    from sciexam.train.walk import train as walk

    with interruptible() as stop, progress() as shown:
        steps = walk(
            suite,
            name,
            keep_rejected=keep_rejected,
            processes=processes,
            track=track.value if track else None,
            budget=budget,
            engine=engine.value,
            max_wait=max_wait,
            store=store,
            results=results,
            stop=stop,
            progress=shown,
            tell=lambda line: print(f"sciexam: {line}", file=sys.stderr),
        )
    if as_json:
        print(json.dumps([step.to_json() for step in steps], indent=1, allow_nan=False))
    else:
        _show(steps)
    if steps and steps[-1].outcome == "rejected":
        raise typer.Exit(4)


def _show(steps: list[Step]) -> None:
    from sciexam.report.plain_text import one_line

    for step in steps:
        print(one_line(f"{step.model}: {step.stage}: {step.outcome}{f': {step.folder}' if step.folder else ''}"))
        for why in (step.exam or {}).get("why", ()):
            print(one_line(f"  - {why}"))
