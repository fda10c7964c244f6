"""A command at work: what Ctrl-C does, the progress bar, and where results are printed."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from sciexam.exam.preflight import Owed
    from sciexam.exam.tally import Progress

GRACE_SECONDS = 10


def announce(owed: Owed) -> None:
    """Say on stderr what is about to be asked, and what it costs; nothing where nothing is owed."""
    if owed.calls:
        from sciexam.report.plain_text import one_line

        print(f"sciexam: {one_line(str(owed))}", file=sys.stderr)


def refuse_incomplete(failed: bool, unasked: str = "") -> None:
    """Exit 3, and say what to type next, where something that was planned has no result."""
    import typer

    again = "the same command" if failed else "--retry-invalid"
    print(f"sciexam: {unasked or f'not everything has a result; {again} asks again for it'}", file=sys.stderr)
    raise typer.Exit(3)


def terminal() -> Console:
    """Where results are printed. Whoever reads them may stop reading: `sciexam ... | head` is no failure."""
    from rich.console import Console

    class Terminal(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return Terminal(highlight=False)


@contextmanager
def interruptible() -> Iterator[threading.Event]:
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


class Bar:
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
def progress(silent: bool) -> Iterator[Bar]:
    bar = Bar(silent)
    try:
        yield bar
    finally:
        bar.close()
