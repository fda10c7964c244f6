"""`sciexam train`: bring a model into being, and let it sit the exam."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sciexam.cli.completion import models
from sciexam.cli.options import AsJson, BudgetOption, EngineName, EngineOption, MaxWait, Results, StorePath, SuiteName
from sciexam.cli.progress import Pace, Shown, progress
from sciexam.cli.running import interruptible, interruptible_at_once

if TYPE_CHECKING:
    from collections.abc import Callable

    from sciexam.report.training.training import Training
    from sciexam.suite import Suite
    from sciexam.train.job import Job
    from sciexam.train.walk import Step

POLLED = 0.5  # seconds between two looks at how far a job is


class Tracker(StrEnum):
    wandb = "wandb"
    trackio = "trackio"
    mlflow = "mlflow"


def train(
    name: Annotated[str, typer.Argument(autocompletion=models, help="A model of the suite that has a `stage:`.")],
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
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train a model and what it is made from, stage by stage, and accept what passes the exam against its parent.

    Only what is missing is trained. Stopped anywhere, the same command goes on there.
    """
    from sciexam.models.spending import Budget
    from sciexam.train.walk import train as walk

    with interruptible() as stop, progress(quiet or as_json) as shown:
        together = Budget(budget) if budget is not None else None  # whatever the walk asks for spends it
        terms: dict[str, Any] = {"budget": together, "engine": engine.value, "max_wait": max_wait}
        terms |= {"store": store, "results": results}
        steps = walk(
            suite,
            name,
            keep_rejected=keep_rejected,
            processes=processes,
            track=track.value if track else None,
            **terms,
            stop=stop,
            progress=shown,
            write_prompts=prompt_writer(**terms, stop=stop, progress=shown),
            tell=lambda line: print(f"sciexam: {line}", file=sys.stderr),
            watch=lambda job: watched(job, shown),
        )
    found, folder = _write_report(suite, name, results)
    if as_json:
        told = {"schema": "sciexam/train/1", "steps": [step.to_json() for step in steps], "report": str(folder)}
        print(json.dumps(told, indent=1, allow_nan=False))
    else:
        _show(steps, found)
        print(f"Report: {folder}/report.html, .md, .json")
    if steps and steps[-1].outcome == "rejected":
        raise typer.Exit(4)


@contextmanager
def watched(job: Job, shown: Shown) -> Iterator[None]:
    """Show how far a job is while it trains, in this process or in others; Ctrl-C stops it at once."""
    over = threading.Event()
    follower = threading.Thread(target=_follow, args=(job, shown, over), daemon=True)
    with interruptible_at_once():
        follower.start()
        try:
            yield
        finally:
            over.set()
            follower.join()
            shown.end(job.name)


def _follow(job: Job, shown: Shown, over: threading.Event) -> None:
    from sciexam.train.at_step import read_step

    first, since = None, time.monotonic()  # the time before the first step goes to loading
    while not over.wait(POLLED):
        if (at := read_step(job)) is None:
            continue
        if first is None:
            first, since = at, time.monotonic()
        pace = Pace.of(at.step, at.steps, at.step - first.step, time.monotonic() - since)
        shown.train(job.name, pace, at.loss)


def prompt_writer(**terms: Any) -> Callable[[Suite, str, Path, Path, int, int], Path]:
    """How a stage has a model write prompts, as `sciexam data prompts` does: see `train.workshop.Workshop`."""

    def write(suite: Suite, model: str, shown: Path, folder: Path, replies: int, seed: int) -> Path:
        from sciexam.errors import Incomplete, UsageError
        from sciexam.exchange.asking_a_model import Errand
        from sciexam.exchange.prompt_variants import NEW_PROMPTS, Wanted, vary

        wanted = Wanted(replies, seed=seed, max_tokens=suite.generation_of(model).max_tokens)
        varied = vary(model, shown, folder, wanted, suite=suite, errand=Errand(**terms))
        if varied.incomplete:
            why = ", ".join(f"{count:,} {reason}" for reason, count in varied.missing.items())
            said = f"prompts_by: not every reply of {model} came back: {why}; run the same command to go on"
            raise Incomplete(varied.calls.unasked or said)
        if NEW_PROMPTS not in varied.files:
            raise UsageError(f"prompts_by: no prompt is left of {replies:,} replies of {model}; see {folder}")
        return folder / NEW_PROMPTS

    return write


def _show(steps: list[Step], found: Training) -> None:
    from sciexam.report.plain_text import one_line
    from sciexam.report.training.training_text import spiked

    spikes = {one.model: spiked(one) for one in found.artifacts if one.spikes}
    for step in steps:
        print(one_line(f"{step.model}: {step.stage}: {step.outcome}{f': {step.folder}' if step.folder else ''}"))
        if step.model in spikes:
            print(f"  {one_line(spikes[step.model])}")
        for why in (step.exam or {}).get("why", ()):
            print(f"  - {one_line(why)}")
        if step.outcome == "rejected":
            print("  Change its settings, its data or its `gate:`; the same command then goes on with it.")


def _write_report(suite: str | None, name: str, results: Path) -> tuple[Training, Path]:
    """Write the training report: what it says, and the folder in which it lies."""
    from sciexam.suite import load_suite
    from sciexam.train.reporting import write_report

    return write_report(load_suite(suite, results), name, results)
