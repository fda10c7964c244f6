"""What a plan is about to ask endpoints for, counted from the ledger before the first call."""

from __future__ import annotations

from dataclasses import dataclass

from sciexam.battles import Slot, pair
from sciexam.exam.asking import owes
from sciexam.exam.plan import Plan, Rater, conversations_of, presentations_of
from sciexam.models.settings import Endpoint
from sciexam.store import Store
from sciexam.types import Comparison, Response


@dataclass(frozen=True, slots=True)
class Owed:
    """Calls to endpoints that are not in the ledger yet: for answers, and for verdicts.

    Verdicts on answers that are still owed count too; where an answer fails there will be fewer.
    """

    answers: int
    verdicts: int

    @property
    def calls(self) -> int:
        return self.answers + self.verdicts

    def __str__(self) -> str:
        return f"at most {self.calls:,} calls: {self.answers:,} for answers, {self.verdicts:,} for verdicts"


def owed_by(plan: Plan, store: Store) -> Owed:
    """What `plan` has to ask endpoints for; files, scripts and text measures cost nothing."""
    answers = 0
    responses: dict[Slot, Response] = {}
    for contestant in plan.contestants:
        conversations = dict(conversations_of(plan, contestant))
        stored = store.replies({c.key for c in conversations.values()})
        given = {key for key, reply in stored.items() if not owes(reply, False)}
        if isinstance(plan.suite.models[contestant], Endpoint):
            answers += len({c.key for c in conversations.values()} - given)
        responses |= {slot: Response(*slot, stored[c.key]) for slot, c in conversations.items() if c.key in given}
    ready = list(pair(plan.prompts, plan.pairs, plan.samples, responses))
    unready = len(plan.pairs) * len(plan.prompts) * plan.samples - len(ready)
    asked = [rater for rater in plan.raters if rater.model and rater.model != "scripted"]
    return Owed(answers, sum(_verdicts(plan, rater, store, ready, unready) for rater in asked))


def _verdicts(plan: Plan, rater: Rater, store: Store, ready: list[Comparison], unready: int) -> int:
    shown = {p.key for comparison in ready for p in presentations_of(plan, rater, comparison, store)}
    stored = store.verdicts(shown)
    each = (2 if rater.sees_order and rater.orders == "both" else 1) * rater.repeats
    return sum(owes(stored.get(key), False) for key in shown) + unready * each
