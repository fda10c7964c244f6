"""`sciexam compare` and `sciexam report`: the main job, and its report once more."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from sciexam.exam.sitting import Progress
    from sciexam.report.record import Report
    from sciexam.suite import Suite

GRACE_SECONDS = 10

Results = Annotated[Path, typer.Option(help="The folder for runs and reports.")]
StorePath = Annotated[
    str | None, typer.Option("--store", help="The ledger of facts.  [default: RESULTS/ledger.sqlite]")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the result in one sentence a pair.")]


class Orders(StrEnum):
    both = "both"
    one = "one"


class Policy(StrEnum):
    mean = "mean"
    conservative = "conservative"


def compare(
    contestants: Annotated[
        list[str] | None,
        typer.Argument(
            help="Two or more contestants of the suite, or files of answers (.jsonl, .json). [default: the suite's]"
        ),
    ] = None,
    suite: Annotated[
        str | None, typer.Option("--suite", "-s", help="A suite's name or file.  [default: science]")
    ] = None,
    judge: Annotated[
        list[str] | None,
        typer.Option(
            "--judge",
            "-j",
            help="A judge of the suite, `measures`, `humans`, `openai:MODEL`, or a .jsonl of verdicts; repeatable.",
        ),
    ] = None,
    rubric: Annotated[str | None, typer.Option(help="A rubric's name or file, instead of the suite's.")] = None,
    prompts: Annotated[
        Path | None, typer.Option(help="A file of prompts, for files of answers without a suite.")
    ] = None,
    orders: Annotated[
        Orders | None,
        typer.Option(help="Show each pair in both orders, or in one that is drawn.  [default: the judge's, or both]"),
    ] = None,
    policy: Annotated[Policy, typer.Option(help="How two orders make one score.")] = Policy.mean,
    margin: Annotated[
        float | None, typer.Option(help="The difference of win rates that does not matter, such as 0.05.")
    ] = None,
    by: Annotated[str, typer.Option(help="The field of a prompt to slice by.")] = "category",
    limit: Annotated[int | None, typer.Option(help="Take the first prompts only.")] = None,
    retry_invalid: Annotated[
        bool, typer.Option("--retry-invalid", help="Ask again where a reply was not usable.")
    ] = False,
    max_wait: Annotated[float, typer.Option(help="Seconds that an endpoint may ask a call to wait.")] = 120.0,
    store: StorePath = None,
    results: Results = Path("results"),
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Compare contestants pairwise: win rates with intervals, by each judge.

    Facts are kept in a ledger: the same command again does only what is left to do.
    """
    from sciexam import exam

    chosen, names = _suite(suite, contestants or [], prompts, rubric, judge or [])
    with _interruptible() as stop, _progress(as_json or quiet) as shown:
        report = exam.compare(
            chosen,
            *names,
            judges=judge or (),
            orders=orders.value if orders else None,
            policy=policy.value,
            margin=margin,
            by=by,
            limit=limit,
            retry_invalid=retry_invalid,
            max_wait=max_wait,
            store=store,
            results=results,
            stop=stop,
            progress=shown,
        )
    _show(report, results, as_json, quiet)
    _refuse_incomplete(report)
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
    _refuse_incomplete(found)


def _refuse_incomplete(report: Report) -> None:
    """Exit 3, and what to type next, where something that was asked for has no result."""
    if report.incomplete:
        again = "the same command" if any(pair.verdicts["failed"] for pair in report.pairs) else "--retry-invalid"
        print(f"sciexam: not everything has a result; {again} asks again for it", file=sys.stderr)
        raise typer.Exit(3)


def _suite(
    name: str | None, given: list[str], prompts: Path | None, rubric: str | None, judges: list[str]
) -> tuple[Suite, list[str]]:
    """The suite, and the contestants by name; a file among them joins the suite as a recorded model."""
    from sciexam import suite as suites
    from sciexam.errors import UsageError
    from sciexam.rubric import load_rubric

    for one in given:
        if Path(one).is_file() and not one.endswith((".jsonl", ".json")):
            raise UsageError(f"{one}: answers are read from .jsonl (a JSON object a line) or AlpacaEval's .json")
    files = [Path(one) for one in given if one.endswith((".jsonl", ".json"))]
    for path in files:
        if not path.is_file():
            raise UsageError(f"{path}: no such file of answers")
    if files and len(files) == len(given) and name is None:
        chosen = suites.suite_of_files(files, prompts, rubric or suites.DEFAULT_RUBRIC)
        bare = next((prompt.id for prompt in chosen.prompts if not prompt.text.strip().count(" ")), None)
        if bare and any(one.startswith("openai:") for one in judges):
            raise UsageError(f"{bare!r} is no question that a judge could read; give the questions with --prompts FILE")
        return chosen, list(chosen.contestants)
    if prompts is not None:
        raise UsageError("--prompts goes with files of answers alone; a suite names its own prompts")
    chosen = suites.load_suite(name or suites.DEFAULT_SUITE)
    if rubric is not None:
        chosen = chosen.model_copy(update={"rubric": load_rubric(rubric)})
    named = dict(zip(map(str, files), suites.name_files(files).items(), strict=True))
    if clash := sorted({n for n, _ in named.values()} & set(chosen.models)):
        raise UsageError(f"{clash[0]!r} is a model of the suite and the name of a file; rename the file")
    return chosen.with_models(dict(named.values())), [named[one][0] if one in named else one for one in given]


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
            if pair.used < pair.planned:
                print(f"sciexam: {plain_text(used(pair))}", file=sys.stderr)
        return
    from rich.console import Console

    print_report(report, Console(highlight=False), report_folder(report, results) / "report.html")


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """The first Ctrl-C or SIGTERM stops new calls and waits for those in flight, 10 s at most; the second stops."""
    stop = threading.Event()

    def ask(number: int, _: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        print("sciexam: stopping; waiting for the calls in flight (once more to stop at once)", file=sys.stderr)
        signal.alarm(GRACE_SECONDS)

    def give_up(number: int, _: Any) -> None:
        raise KeyboardInterrupt

    handlers = {signal.SIGINT: ask, signal.SIGTERM: ask, signal.SIGALRM: give_up}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield stop
    finally:
        signal.alarm(0)
        for number, handler in before.items():
            signal.signal(number, handler)


class _Bar:
    """A progress bar over durable facts: what it counts is on disk."""

    def __init__(self, silent: bool):
        self.worked = False
        self._bars: Any = None
        self._tasks: dict[str, Any] = {}
        if not silent and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bars

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bars = Bars(*columns, console=Console(stderr=True), transient=True)
            self._bars.start()

    def __call__(self, progress: Progress) -> None:
        self.worked = True
        if self._bars is None:
            return
        for name, done, planned in (
            ("responses", progress.responses, progress.responses_planned),
            ("verdicts", progress.verdicts, progress.verdicts_planned),
        ):
            if planned:
                if name not in self._tasks:
                    self._tasks[name] = self._bars.add_task(name, total=planned)
                self._bars.update(self._tasks[name], completed=done, total=planned)

    def close(self) -> None:
        if self._bars is not None:
            self._bars.stop()


@contextmanager
def _progress(silent: bool) -> Iterator[_Bar]:
    bar = _Bar(silent)
    try:
        yield bar
    finally:
        bar.close()
