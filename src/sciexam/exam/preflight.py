"""What a plan is about to ask endpoints for, counted from the ledger before the first call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sciexam.battles import Slot, pair
from sciexam.exam.asking import owes
from sciexam.exam.plan import Plan, conversations_of, shown_of
from sciexam.exam.raters import Rater
from sciexam.exam.recordings import is_recorded, recording_of
from sciexam.models.settings import Endpoint
from sciexam.store import Store
from sciexam.types import Comparison, Response


@dataclass(frozen=True, slots=True)
class Owed:
    """Calls to endpoints that are not in the ledger yet: for answers, and for verdicts.

    Verdicts on answers that are still owed count too; where an answer fails there will be fewer. What fails or is cut
    off is asked for again, which is not counted.
    """

    answers: int
    verdicts: int

    @property
    def calls(self) -> int:
        return self.answers + self.verdicts

    def __str__(self) -> str:
        counted = f"{self.answers:,} for answers, {self.verdicts:,} for verdicts"
        return f"at most {self.calls:,} calls: {counted}, besides retries"


@dataclass(slots=True)
class _Answers:
    """Answers by slot: those that are there, in the ledger or in a file, and the keys of those to be asked for."""

    there: dict[Slot, Response] = field(default_factory=dict)
    asked: dict[Slot, str] = field(default_factory=dict)


def owed_by(plan: Plan, store: Store, retry_invalid: bool = False) -> Owed:
    """What `plan` has to ask endpoints for; files, scripts and text measures cost nothing.

    `retry_invalid`: whether unusable replies are asked for again, as in `compare`.
    """
    answers = _answers(plan, store, retry_invalid)
    ready = list(pair(plan.prompts, plan.pairs, plan.samples, answers.there))
    raters = [rater for rater in plan.raters if rater.model and rater.model != "scripted"]
    return Owed(
        answers=len(_keys_of_use(plan, answers)),
        verdicts=sum(_on_answers(plan, rater, store, ready, retry_invalid) for rater in raters)
        + _unready(plan, answers) * sum(rater.looks for rater in raters),
    )


def _answers(plan: Plan, store: Store, retry_invalid: bool) -> _Answers:
    found = _Answers()
    for contestant in plan.contestants:
        conversations = dict(conversations_of(plan, contestant))
        replies = store.replies({c.key for c in conversations.values()})
        owed = {c.key: c for c in conversations.values() if owes(replies.get(c.key), retry_invalid)}
        if recording := recording_of(plan.suite, contestant):
            replies |= {reply.key: reply for reply in recording.generate(owed.values())}
            owed = {}
        for slot, conversation in conversations.items():
            if conversation.key in owed:
                found.asked[slot] = conversation.key
            elif replies[conversation.key].status == "ok":
                found.there[slot] = Response(*slot, replies[conversation.key])
    return found


def _contests(plan: Plan) -> Iterator[tuple[Slot, Slot]]:
    for a, b in plan.pairs:
        for prompt in plan.prompts:
            for sample in range(plan.samples):
                yield (a, prompt.id, sample), (b, prompt.id, sample)


def _keys_of_use(plan: Plan, answers: _Answers) -> set[str]:
    """The answers to ask endpoints for: those that another contestant may have an answer to hold against."""
    endpoints = {name for name in plan.contestants if isinstance(plan.suite.models[name], Endpoint)}
    alive = {name for name in plan.contestants if not is_recorded(plan.suite, name)}
    keys: set[str] = set()
    for contest in _contests(plan):
        for mine, other in (contest, contest[::-1]):
            if mine[0] in endpoints and mine in answers.asked and (other[0] in alive or other in answers.there):
                keys.add(answers.asked[mine])
    return keys


def _unready(plan: Plan, answers: _Answers) -> int:
    """Comparisons of which one answer is owed, or both, and neither is known never to come."""
    return sum(
        (left in answers.asked or right in answers.asked)
        and all(slot in answers.asked or slot in answers.there for slot in (left, right))
        for left, right in _contests(plan)
    )


def _on_answers(plan: Plan, rater: Rater, store: Store, ready: list[Comparison], retry_invalid: bool) -> int:
    """The verdicts that `rater` owes on answers that are there."""
    shown = {seen.key for comparison in ready for seen in shown_of(plan, rater, comparison, store)}
    stored: Mapping[str, Any] = (store.grades if rater.grades else store.verdicts)(shown)
    return sum(owes(stored.get(key), retry_invalid) for key in shown)
