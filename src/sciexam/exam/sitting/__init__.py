"""The sitting: contestants answer and judges mark, at the same time, until nothing is owed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from sciexam.errors import GateNotMet, Incomplete, Interrupted, StoreError
from sciexam.exam.plan import Plan
from sciexam.exam.references import referring, with_references
from sciexam.exam.sitting.contestants import Contestants
from sciexam.exam.sitting.judging import Judging
from sciexam.exam.sitting.references import References
from sciexam.exam.sitting.room import Room
from sciexam.exam.tally import Progress, Tally
from sciexam.models.terms import USUAL, Terms
from sciexam.report.calls import Calls
from sciexam.store import Fact, Store
from sciexam.types import Model

__all__ = ["JOIN_SECONDS", "Progress", "Sitting"]

JOIN_SECONDS = 0.02


class Sitting:
    """One command at work: contestants answer and judges mark at the same time, each in a thread of its own.

    `recorded_only`: files of answers and verdicts are read, and nobody is asked. `judges_only`: no contestant is asked;
    what the ledger and the files have of their answers is judged. `announced`: the most verdicts that endpoints owe.
    `before`: the answers and verdicts of a larger plan that are durable and left out of `plan`; the progress counts
    them.
    """

    def __init__(
        self,
        plan: Plan,
        store: Store,
        stop: threading.Event,
        progress: Callable[[Progress], None] | None,
        retry_invalid: bool,
        recorded_only: bool = False,
        judges_only: bool = False,
        strict_model: bool = False,
        terms: Terms = USUAL,
        announced: int = 0,
        before: tuple[int, int] = (0, 0),
    ):
        self._stop, self._terms = stop, terms
        self._tally = Tally(plan.suite.costs, progress, terms.budget, announced)
        answers, verdicts = before
        self._tally.expect(responses=answers, of_them_stored=answers)
        self._tally.expect(verdicts=verdicts, of_them_stored=verdicts)
        self._room = Room(
            plan, store, stop, self._tally, terms, retry_invalid, recorded_only, judges_only, strict_model
        )
        self.skipped: dict[str, Fact] = self._room.skipped  # what was not asked for, by key
        self._models: Mapping[str, Model] = {}
        self._asked: list[Any] = []

    def hold(self, models: Mapping[str, Model]) -> None:
        """Ask for everything that is owed; on return (or raise) everything that came back is durable."""
        raters = self._room.plan.raters
        self._models = models
        writers = [rater.reference_model for rater in raters if rater.reference]
        self._asked = [*models.values(), *(rater.judge for rater in raters), *writers]
        try:
            self._hold(models)
        except (Incomplete, StoreError) as error:
            raise type(error)(f"{error}\n{self._safe()}; run the same command to go on") from None
        if stranger := self._room.stranger:
            raise GateNotMet(f"--strict-model: {stranger} Stopped at {self._safe()}; what came back is stored.")
        if self._stop.is_set():
            raise Interrupted(f"stopped at {self._safe()}; run the same command to go on")

    def _hold(self, models: Mapping[str, Model]) -> None:
        """What each step asks for is durable before the next one begins, which may be a function of it."""
        room, writing = self._room, partial(self._room.store.writer, self._tally.durable)
        references = References(room)
        if room.plan.until_decided:
            from sciexam.exam.until import opened

            room.until = opened(room.plan, room.store, room.retry_invalid)
            room.plan = room.until.plan
        elif any(referring(room.plan.raters)):
            with writing() as writer:
                self._together([], [partial(references.all, writer)])
            room.replan(with_references(room.plan, room.store))
        contestants, judging = Contestants(room, models), Judging(room)
        with writing() as writer:
            answering = [partial(contestants.respond, name, references, writer) for name in models]
            self._together(answering, judging.tasks(writer))
        with writing() as writer:
            self._together([], judging.second_looks(writer))

    @property
    def notes(self) -> list[str]:
        """What endpoints do not take and were asked without, as sentences."""
        named = [*self._models.items(), *((rater.name, rater.judge) for rater in self._room.plan.raters)]
        told = [f"{name}: {note}" for name, asked in named for note in getattr(asked, "notes", ())]
        return [*filter(None, [self._terms.unasked]), *told]

    @property
    def calls(self) -> Calls:
        """What was asked of models now, and what it cost by the suite's prices."""
        return replace(self._tally.calls, unasked=self._terms.unasked)

    def _together(self, answering: Sequence[Callable[[], None]], marking: Sequence[Callable[[], None]]) -> None:
        """Run all tasks at once. The first failure stops the others, and is raised when they have ended."""
        room, failures = self._room, list[BaseException]()

        def guarded(task: Callable[[], None]) -> None:
            try:
                task()
            except BaseException as error:  # raised below, in the thread of the caller
                failures.append(error)
                room.failed.set()

        threads = [threading.Thread(target=guarded, args=(task,), daemon=True) for task in answering]
        judges = [threading.Thread(target=guarded, args=(task,), daemon=True) for task in marking]
        for thread in (*threads, *judges):
            thread.start()
        try:
            self._join(threads)
            room.feed.close()
            self._join(judges)
        except BaseException:  # an interrupt, in a notebook too: the threads must not go on asking
            room.failed.set()
            self._tell_to_stop()
            raise
        finally:
            room.feed.close()
        if failures:
            raise failures[0]

    def _join(self, threads: Sequence[threading.Thread]) -> None:
        """Wait for threads in short steps, so that a signal is handled in between; pass a wish to stop on, once."""
        for thread in threads:
            while thread.is_alive():
                thread.join(JOIN_SECONDS)
                if self._room.is_ending:
                    self._tell_to_stop()

    def _tell_to_stop(self) -> None:
        for asked in self._asked:
            if callable(stop := getattr(asked, "stop", None)):
                stop()
        self._asked = []

    def _safe(self) -> str:
        plan, done = self._room.plan, self._tally.progress
        if not plan.raters:
            return f"{done.responses:,}/{done.responses_planned:,} answers"
        expected = len(plan.pairs) * len(plan.prompts) * plan.samples * sum(rater.looks for rater in plan.raters)
        return f"{done.verdicts:,}/{max(done.verdicts_planned, expected):,} verdicts"
