"""How far a sitting is: the facts that are durable of those that are planned, and what the calls have cost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from sciexam.models.spending import Budget, Price
from sciexam.report.calls import Calls
from sciexam.store import Fact
from sciexam.types import Reply


@dataclass(frozen=True, slots=True)
class Progress:
    """How many facts are durable of how many there will be, as far as is known.

    `invalid`: of those that came now, how many cannot be used. `usd`: what the calls have cost, None where a price is
    missing; `budget` is the most that they may cost, None without a limit.
    """

    responses: int
    responses_planned: int
    verdicts: int
    verdicts_planned: int
    invalid: int = 0
    usd: float | None = 0.0
    budget: float | None = None


class Tally:
    """Counts what every thread of a sitting does. `prices`: by the endpoint's name of the model.

    `announced`: the verdicts that are to come at most, so that the whole is known before judges are handed all of it.
    """

    def __init__(
        self,
        prices: Mapping[str, Price],
        progress: Callable[[Progress], None] | None,
        budget: Budget | None = None,
        announced: int = 0,
    ):
        self._prices, self._tell = prices, progress
        self._lock = threading.Lock()
        self.progress = Progress(0, 0, 0, verdicts_planned=announced, budget=budget.usd if budget else None)
        self.calls = Calls()
        self._to_come = announced  # of the planned verdicts, those that no judge was handed yet

    def account(self, model: str | None, reply: Reply | None, new: bool) -> None:
        """Count a call by its price; the cost is unknown as soon as one call's is."""
        with self._lock:
            c = self.calls
            if not new:
                self.calls = replace(c, reused=c.reused + 1)
            elif reply is not None:
                price = self._prices.get(model or "")
                cost = price.of(reply.input_tokens, reply.output_tokens) if price else None
                if reply.status == "failed" and reply.input_tokens is None:
                    cost = 0.0 if price else None  # nothing came back that could have been billed
                self.calls = Calls(
                    made=c.made + 1,
                    reused=c.reused,
                    input_tokens=c.input_tokens + (reply.input_tokens or 0),
                    output_tokens=c.output_tokens + (reply.output_tokens or 0),
                    usd=None if cost is None or c.usd is None else c.usd + cost,
                )

    def expect(
        self, responses: int = 0, verdicts: int = 0, of_them_stored: int = 0, of_them_announced: int = 0
    ) -> None:
        """So many facts are planned besides; those that are stored are done, the announced ones are counted already."""
        with self._lock:
            counted = min(of_them_announced, self._to_come)
            self._to_come -= counted
            c = self.progress
            self.progress = replace(
                c,
                responses=c.responses + (of_them_stored if responses else 0),
                responses_planned=c.responses_planned + responses,
                verdicts=c.verdicts + (of_them_stored if verdicts else 0),
                verdicts_planned=c.verdicts_planned + verdicts - counted,
            )

    def durable(self, facts: Sequence[Fact]) -> None:
        """These facts are on disk; what failed is not done."""
        given = [fact for fact in facts if fact.status != "failed"]
        verdicts = sum(not isinstance(fact, Reply) for fact in given)
        with self._lock:
            c = self.progress
            responses = c.responses + len(given) - verdicts
            self.progress = replace(
                c,
                responses=responses,
                verdicts=c.verdicts + verdicts,
                invalid=c.invalid + sum(fact.status == "invalid" for fact in facts),
                usd=self.calls.usd,
            )
        if self._tell:
            self._tell(self.progress)
