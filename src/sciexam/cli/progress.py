"""How far a command is: bars on a terminal, and one line a minute where stderr is none. What it counts is on disk."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sciexam.exam.tally import Progress

MINUTE = 60.0  # seconds between two lines


@dataclass(frozen=True, slots=True)
class Pace:
    """How many facts of one kind are done of how many, how fast, and the seconds that the rest takes at this rate."""

    done: int
    planned: int
    per_second: float
    left: float | None

    @classmethod
    def of(cls, done: int, planned: int, new: int, seconds: float) -> Pace:
        """`new` of them came within `seconds`; what was stored before says nothing of the rate."""
        rate = new / seconds if seconds > 0 else 0.0
        return cls(done, planned, rate, (planned - done) / rate if rate else None)


class Pacing:
    """The pace of answers and verdicts since the first that came. `clock` gives seconds.

    A command may count several times, as `sciexam train` does stage by stage: where less is done than before, another
    count has begun.
    """

    def __init__(self, clock: Callable[[], float]):
        self._clock = clock
        self._begun: float = clock()
        self._first: Progress | None = None
        self._last: Progress | None = None

    def of(self, progress: Progress) -> dict[str, Pace]:
        """By name, for those that are planned."""
        if self._last is not None and _is_less(progress, self._last):
            self._first, self._begun = progress, self._clock()
        self._first, self._last = self._first or progress, progress
        seconds = self._clock() - self._begun
        counts = (
            ("answers", progress.responses, progress.responses_planned, self._first.responses),
            ("verdicts", progress.verdicts, progress.verdicts_planned, self._first.verdicts),
        )
        return {name: Pace.of(done, planned, done - first, seconds) for name, done, planned, first in counts if planned}


def _is_less(progress: Progress, than: Progress) -> bool:
    return progress.responses < than.responses or progress.verdicts < than.verdicts


def line_of(progress: Progress, paces: dict[str, Pace]) -> str:
    """`1,200/4,000 verdicts, 20/s, 3 invalid, 0.12 USD, about 2 min left`."""
    parts = []
    for name, pace in paces.items():
        parts.append(f"{pace.done:,}/{pace.planned:,} {name}")
        if pace.done < pace.planned and pace.per_second:
            parts.append(per_second(pace.per_second))
    left = [pace.left for pace in paces.values() if pace.done < pace.planned]
    about = [f"about {duration(max(seconds for seconds in left if seconds is not None))} left"] if any(left) else []
    return ", ".join([*parts, *extras(progress), *about])


def extras(progress: Progress) -> list[str]:
    """What else is known: replies that cannot be used, and what was spent of what may be."""
    invalid = [f"{progress.invalid:,} invalid"] if progress.invalid else []
    if progress.budget is not None:
        spent = "unknown" if progress.usd is None else f"{progress.usd:.2f}"
        return [*invalid, f"{spent} of {progress.budget:.2f} USD"]
    return [*invalid, *([f"{progress.usd:.2f} USD"] if progress.usd else [])]


def of_steps(pace: Pace, loss: float | None) -> list[str]:
    """`loss 2.31`, `3.2/s` and `about 4 min left`, as far as they are known."""
    known = [f"loss {loss:.3g}"] if loss is not None else []
    rate = [per_second(pace.per_second)] if pace.per_second else []
    return [*known, *rate, *([f"about {duration(pace.left)} left"] if pace.left else [])]


def per_second(rate: float) -> str:
    return f"{rate:.0f}/s" if rate >= 10 else f"{rate:.1f}/s" if rate >= 0.1 else f"{60 * rate:.1f}/min"


def duration(seconds: float) -> str:
    """To the unit that one plans by."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Shown:
    """Told of every group of facts that is durable. It writes to stderr and nowhere else; `worked` says if any came."""

    def __init__(self, silent: bool, clock: Callable[[], float]):
        self.worked = False
        self._silent, self._clock = silent, clock
        self._pacing = Pacing(clock)
        self._spoke = clock()
        self._bars = _Bars() if not silent and sys.stderr.isatty() else None

    def __call__(self, progress: Progress) -> None:
        self.worked = True
        if self._silent:
            return
        paces = self._pacing.of(progress)
        if self._bars is not None:
            self._bars.draw(progress, paces)
        elif self._clock() - self._spoke >= MINUTE:
            self._spoke = self._clock()
            print(f"sciexam: {line_of(progress, paces)}", file=sys.stderr, flush=True)

    def train(self, name: str, pace: Pace, loss: float | None) -> None:
        """A job `name` that trains is after so many of its steps, with this loss."""
        self.worked = True
        if self._silent:
            return
        if self._bars is not None:
            self._bars.draw_steps(name, pace, loss)
        elif self._clock() - self._spoke >= MINUTE:
            self._spoke = self._clock()
            said = ", ".join([f"step {pace.done:,} of {pace.planned:,}", *of_steps(pace, loss)])
            print(f"sciexam: {name}: {said}", file=sys.stderr, flush=True)

    def end(self, name: str) -> None:
        """The job `name` does not train any more."""
        if self._bars is not None:
            self._bars.remove(name)

    def close(self) -> None:
        if self._bars is not None:
            self._bars.close()


class _Bars:
    """A bar for answers, one for verdicts, and one for the steps of a job; gone when the command ends."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[more]}"),
        )
        self._bars = Progress(*columns, console=Console(stderr=True), transient=True)
        self._tasks: dict[str, Any] = {}
        self._bars.start()

    def draw(self, progress: Progress, paces: dict[str, Pace]) -> None:
        for name, pace in paces.items():
            if name not in self._tasks:
                self._tasks[name] = self._bars.add_task(name, total=pace.planned, more="")
            rate = [per_second(pace.per_second)] if pace.per_second else []
            left = [f"{duration(pace.left)} left"] if pace.left else []
            more = extras(progress) if name == list(paces)[-1] else []
            self._bars.update(
                self._tasks[name], completed=pace.done, total=pace.planned, more=", ".join([*rate, *more, *left])
            )

    def draw_steps(self, name: str, pace: Pace, loss: float | None) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(f"{name}: step", total=pace.planned, more="")
        more = ", ".join(of_steps(pace, loss))
        self._bars.update(self._tasks[name], completed=pace.done, total=pace.planned, more=more)

    def remove(self, name: str) -> None:
        if name in self._tasks:
            self._bars.remove_task(self._tasks.pop(name))

    def close(self) -> None:
        self._bars.stop()


@contextmanager
def progress(silent: bool = False, clock: Callable[[], float] = time.monotonic) -> Iterator[Shown]:
    """Show how far a command is while it runs; `silent` shows nothing. `clock` gives seconds."""
    shown = Shown(silent, clock)
    try:
        yield shown
    finally:
        shown.close()
