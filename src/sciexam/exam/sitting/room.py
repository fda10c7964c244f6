"""What all who take part in a sitting share: what is planned, what is handed over, and when it is time to end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from sciexam.battles import in_drawn_order
from sciexam.exam.echoes import is_another
from sciexam.exam.plan import Plan
from sciexam.exam.raters import Rater
from sciexam.exam.sitting.feed import GATHER_SECONDS, Feed
from sciexam.exam.tally import Tally
from sciexam.models.terms import Terms
from sciexam.store import Fact, Store
from sciexam.types import Comparison, Reply, Response

# With the statistics, which a sitting begins without: imported where a sequence is watched.
if TYPE_CHECKING:
    from sciexam.exam.until import Until


class Room:
    """The plan of a sitting as it is by now, and what its threads tell each other.

    `recorded_only`, `judges_only`, `strict_model`: see Sitting. `skipped`: what was not asked for, by key. `stranger`:
    the first reply of another model than was asked for, in a sentence.
    """

    def __init__(
        self,
        plan: Plan,
        store: Store,
        stop: threading.Event,
        tally: Tally,
        terms: Terms,
        retry_invalid: bool,
        recorded_only: bool,
        judges_only: bool,
        strict_model: bool,
    ):
        self.plan, self.store, self.tally, self.terms = plan, store, tally, terms
        self.retry_invalid, self.recorded_only, self.judges_only = retry_invalid, recorded_only, judges_only
        self.prompts = {prompt.id: prompt for prompt in plan.prompts}
        # A run that ends early (a budget, Ctrl-C) has then asked for a random part of the prompts.
        self.place = {p.id: place for place, p in enumerate(in_drawn_order(plan.prompts, plan.suite.seed))}
        self.feed = Feed(_gather(plan, terms))
        self.until: Until | None = None
        self.skipped: dict[str, Fact] = {}
        self.failed = threading.Event()
        self.stranger = ""
        self._stop, self._strict_model = stop, strict_model

    def replan(self, plan: Plan) -> None:
        """Go on by this plan, with a feed that is open: an earlier one was closed."""
        self.plan = plan
        self.feed = Feed(_gather(plan, self.terms))

    @property
    def is_ending(self) -> bool:
        """Whether whoever began it wants it to stop, or somebody in it failed."""
        return self._stop.is_set() or self.failed.is_set()

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to be asked: it is time to end, or the budget is reached."""
        return self.is_ending or self.terms.over_budget

    def is_done(self, needs: Callable[[Until], bool]) -> bool:
        """Whether it is over, or all that the sequences needed of someone is decided."""
        if self.is_over:  # over its budget a model ends by itself, and yields what was paid
            return True
        return self.until is not None and not needs(self.until)

    def is_open(self, rater: Rater, item: Comparison | Response) -> bool:
        """Whether `rater` is still to be asked for a comparison: not where its pair is decided."""
        if self.until is None or not isinstance(item, Comparison):
            return True
        return self.until.is_open(item.a.contestant, item.b.contestant, rater.bench)

    def account(self, name: str, model: str | None, reply: Reply | None, new: bool) -> None:
        """Count a call; under `strict_model` the first one that another model answered ends the sitting."""
        self.tally.account(model, reply, new)
        if self._strict_model and new and model and reply is not None and is_another(model, reply.model):
            self.stranger = self.stranger or f"{name}: {model!r} was asked for, but a reply came from {reply.model!r}."
            self.failed.set()


def _gather(plan: Plan, terms: Terms) -> float | None:
    """How long a judge waits for company of what it is handed: for all of it where it asks in batches."""
    if plan.until_decided:
        return 0.0  # a round comes as a whole
    return None if terms.journal is not None else GATHER_SECONDS
