"""A command at work: what Ctrl-C does, what is said before and after, and where results are printed."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sciexam.cli.options import are_files

if TYPE_CHECKING:
    from rich.console import Console

    from sciexam.exam.preflight import Owed
    from sciexam.suite import Suite

GRACE_SECONDS = 10


def announce(owed: Owed) -> None:
    """Say on stderr what is about to be asked, and what it costs; nothing where nothing is owed."""
    if owed.calls:
        from sciexam.report.plain_text import one_line

        print(f"sciexam: {one_line(str(owed))}", file=sys.stderr)


def announce_measures(command: str, chosen: Suite, contestants: list[str]) -> None:
    """Say on stderr who judges two or more files of answers where nobody was named, and how to name another."""
    from sciexam.judges.settings import MeasuresJudge
    from sciexam.prompts import are_ids

    if len(contestants) > 1 and are_files(contestants) and isinstance(chosen.judge_spec(chosen.judge), MeasuresJudge):
        from sciexam.report.next_steps import reader

        said = "no judge was named, so text measures judge, which know nothing of meaning; to ask a language model:"
        questions = ("--prompts", "FILE") if are_ids([(one.id, one.text) for one in chosen.prompts]) else ()
        line = chosen.command(command, *contestants, "--judge", reader(), *questions)
        print(f"sciexam: {said} {line}", file=sys.stderr)


def refuse_incomplete(
    failed: bool, unasked: str = "", invalid: bool = False, command: str = "the same command"
) -> None:
    """Exit 3, and say what to type next, where something that was planned has no result.

    `failed`: whether calls did, which `command` asks again; `invalid`: whether replies could not be used besides.
    """
    import typer

    if failed and invalid:
        again = f"{command} asks again for what failed, and --retry-invalid for replies that could not be used, too"
    else:
        again = f"{command if failed else '--retry-invalid'} asks again for it"
    print(f"sciexam: {unasked or f'not everything has a result; {again}'}", file=sys.stderr)
    raise typer.Exit(3)


def terminal() -> Console:
    """Where results are printed. Whoever reads them may stop reading: `sciexam ... | head` is no failure."""
    from rich.console import Console

    class Terminal(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return Terminal(highlight=False)


@contextmanager
def interruptible(
    word: str = "stopping; waiting for the calls in flight (once more to stop at once)",
) -> Iterator[threading.Event]:
    """The first Ctrl-C or SIGTERM stops new calls and waits for those in flight, 10 s at most; the second stops.

    `word`: what is said of the first one.
    """
    stop = threading.Event()

    def ask(number: int, _: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        print(f"sciexam: {word}", file=sys.stderr)
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


@contextmanager
def interruptible_at_once() -> Iterator[None]:
    """Inside `interruptible`, where there is no call to wait for: the first Ctrl-C or SIGTERM stops."""

    def stop(number: int, _: Any) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
