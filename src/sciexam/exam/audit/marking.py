"""The judge at work on the cases of an audit: what it is shown, what of that is owed, and what came of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sciexam.battles import Battle, resolve
from sciexam.errors import Incomplete, Interrupted
from sciexam.exam.asking import Asking, attempts, owes
from sciexam.exam.audit.cases import Case
from sciexam.exam.plan import Plan, presentations_of
from sciexam.exam.raters import Rater
from sciexam.exam.sitting import JOIN_SECONDS
from sciexam.exam.tally import Progress, Tally
from sciexam.models.terms import Terms
from sciexam.report.calls import Calls
from sciexam.store import Fact, Store, Writer
from sciexam.types import Presentation, Verdict


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A case as one rater is shown it."""

    case: Case
    rater: Rater
    presentations: tuple[Presentation, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of a case: the verdicts on it, and the battle that they make."""

    case: Case
    battle: Battle
    verdicts: tuple[Verdict, ...]

    @property
    def score(self) -> float | None:
        """The score of the changed answer (b); None where an order has no usable verdict."""
        return None if self.battle.score is None else 1 - self.battle.score


def exhibits_of(plan: Plan, cases: Sequence[Case], own: Rater, rephrased: Rater | None, store: Store) -> list[Exhibit]:
    """The cases as they are shown. `rephrased` is the same judge with the paraphrased rubric, where there is one.

    The keys are those of `compare`: a verdict is about texts, so what was compared before is not asked for again.
    """
    found = []
    for case in cases:
        rater = rephrased if case.paraphrased else own
        if rater is not None:
            shown = [
                presentation
                for order, comparison in case.shown.items()
                for presentation in presentations_of(plan, rater, comparison, store)
                if presentation.order == order
            ]
            found.append(Exhibit(case, rater, tuple(shown)))
    return found


class Marking:
    """One audit at work. On return from `hold`, or a raise, every verdict that came is durable."""

    def __init__(
        self,
        plan: Plan,
        exhibits: Sequence[Exhibit],
        store: Store,
        stop: threading.Event,
        progress: Callable[[Progress], None] | None,
        retry_invalid: bool,
        terms: Terms,
    ):
        self._plan, self._exhibits, self._store, self._terms = plan, exhibits, store, terms
        self._stop, self._ending = stop, threading.Event()
        self._tally = Tally(plan.suite.costs, progress, terms.budget)
        self._raters = {exhibit.rater.digest: exhibit.rater for exhibit in exhibits}
        # Both orders of a text against itself are one presentation, so they have one key.
        self._shown = {digest: self._shown_to(digest) for digest in self._raters}
        self._stored: dict[str, Verdict] = store.verdicts(key for shown in self._shown.values() for key in shown)
        self._owed = {
            digest: [
                replace(one, attempt=attempts(self._stored.get(key)))
                for key, one in shown.items()
                if owes(self._stored.get(key), retry_invalid)
            ]
            for digest, shown in self._shown.items()
        }
        planned = sum(map(len, self._shown.values()))
        self._tally.expect(verdicts=planned, of_them_stored=planned - self.owed)
        self._skipped: dict[str, Fact] = {}

    @property
    def calls(self) -> Calls:
        """The calls so far and what they cost."""
        return self._tally.calls

    @property
    def owed(self) -> int:
        """Presentations without a usable verdict in the ledger."""
        return sum(map(len, self._owed.values()))

    @property
    def notes(self) -> list[str]:
        """What the judge's endpoint does not take and was asked without, as sentences."""
        said = {f"{r.name}: {note}": None for r in self._raters.values() for note in getattr(r.judge, "notes", ())}
        return [*filter(None, [self._terms.unasked]), *said]

    def hold(self) -> None:
        """Show everything that is owed. Raises Interrupted when it was stopped, Incomplete where the judge gave up."""
        failures: list[BaseException] = []

        def work() -> None:
            try:
                with self._store.writer(self._tally.durable) as writer:
                    for digest, rater in self._raters.items():
                        self._ask(rater, self._shown[digest], self._owed[digest], writer)
            except BaseException as error:  # raised below, in the thread of the caller
                failures.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        self._join(thread)
        if failures and isinstance(failures[0], Incomplete):
            raise Incomplete(f"{failures[0]}\n{self._safe()}; run the same command to go on") from None
        if failures:
            raise failures[0]
        if self._stop.is_set():
            raise Interrupted(f"stopped at {self._safe()}; run the same command to go on")

    def findings(self) -> Iterator[Finding]:
        """Every case with what the ledger holds of it. An order without a usable verdict voids a battle."""
        stored = self._store.verdicts(key for shown in self._shown.values() for key in shown)
        for exhibit in self._exhibits:
            name = exhibit.rater.name
            verdicts = []
            for one in exhibit.presentations:
                fact: Any = stored.get(one.key) or self._skipped.get(one.key)
                verdicts.append(fact or one.verdict(name, status="skipped", failure="not judged"))
            comparison = next(iter(exhibit.case.shown.values()))
            battle = resolve(comparison, list(zip(exhibit.presentations, verdicts, strict=True)), name, "mean")
            orders = {one.order for one in exhibit.presentations}
            if battle.score is not None and battle.by_order.keys() != orders:
                battle = replace(battle, score=None, status="skipped", failure="judged in one order only")
            yield Finding(exhibit.case, battle, tuple(verdicts))

    def _shown_to(self, digest: str) -> dict[str, Presentation]:
        mine = [exhibit for exhibit in self._exhibits if exhibit.rater.digest == digest]
        return {one.key: one for exhibit in mine for one in exhibit.presentations}

    def _ask(self, rater: Rater, shown: dict[str, Presentation], owed: Sequence[Presentation], writer: Writer) -> None:
        def take(verdict: Verdict, new: bool) -> None:
            self._account(rater, verdict, new)

        for key in shown.keys() & self._stored.keys() - {one.key for one in owed}:
            take(self._stored[key], False)
        errand: Asking[Presentation] = Asking(
            rater.name, self._store, writer, self._stored, self._store.verdicts, take, self._is_ending
        )
        errand.run(owed, rater.judge.judge)
        self._skipped.update(errand.skipped)

    def _join(self, thread: threading.Thread) -> None:
        """Wait in short steps, so that a signal is handled in between; pass a wish to stop on, once."""
        told = False
        try:
            while thread.is_alive():
                thread.join(JOIN_SECONDS)
                if self._stop.is_set() and not told:
                    self._tell_to_stop()
                    told = True
        except BaseException:  # an interrupt, in a notebook too: the thread must not go on asking
            self._ending.set()
            self._tell_to_stop()
            raise

    def _tell_to_stop(self) -> None:
        for rater in self._raters.values():
            if callable(stop := getattr(rater.judge, "stop", None)):
                stop()

    def _is_ending(self) -> bool:
        return self._stop.is_set() or self._ending.is_set() or self._terms.over_budget

    def _account(self, rater: Rater, verdict: Verdict, new: bool) -> None:
        """Count a call; what a script says is none."""
        if rater.model not in (None, "scripted"):
            self._tally.account(rater.model, verdict.reply, new)

    def _safe(self) -> str:
        done = self._tally.progress
        return f"{done.verdicts:,}/{done.verdicts_planned:,} verdicts"
