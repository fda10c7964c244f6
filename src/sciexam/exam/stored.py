"""What the ledger has of a plan with one judge, read as arrays: what is owed, and what was said, without a record each.

For a judge that compares, and stands alone. Whoever marks answers, annotators, panels and cascades are read by `facts`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sciexam.battles import Slot
from sciexam.exam.asking import owes
from sciexam.exam.facts import responses_of
from sciexam.exam.looks import Looks, looks_of
from sciexam.exam.plan import Plan
from sciexam.exam.preflight import Experience
from sciexam.exam.raters import SCRIPTED, Rater
from sciexam.exam.references import with_references
from sciexam.models.recorded import RecordedModel
from sciexam.models.scripted import ScriptedModel
from sciexam.report.standings.outcomes import FAILED, INVALID, Said
from sciexam.store import Fact, Store
from sciexam.store.columns import VerdictColumns, Wanted
from sciexam.types import Model, Response

TOLD = 500  # verdicts whose replies tell how long those to come will be


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """The answers of a plan's contestants, every look of its judge, and the verdicts under the keys of the looks."""

    plan: Plan
    responses: Mapping[Slot, Response]
    looks: Looks
    keys: Wanted
    verdicts: VerdictColumns

    @property
    def rater(self) -> Rater:
        return self.plan.raters[0]

    @property
    def said(self) -> Said:
        """What the judge said, as it is counted."""
        one = self.looks
        return Said(
            one.pair, one.prompt, one.told, one.comparison, one.order, self.verdicts.status, self.verdicts.second
        )

    def owed(self, retry_invalid: bool) -> NDArray[np.bool_]:
        """Which looks are to be asked for (`asking.owes`), shape (looks,)."""
        status = self.verdicts.status
        again = retry_invalid | (self.verdicts.cut_off & (self.verdicts.attempt == 0))
        owed: NDArray[np.bool_] = (status < 0) | (status == FAILED) | ((status == INVALID) & again)
        return owed


def stored_of(plan: Plan, store: Store, owing: Callable[[Fact | None], bool] | None = None) -> Stored | None:
    """What the ledger has of `plan`; None where it takes records to know it. `owing` as in `with_references`."""
    if len(plan.benches) != 1 or len(plan.raters) != 1 or plan.until_decided:
        return None
    (rater,) = plan.raters
    if rater.grades or rater.part_of:
        return None
    plan = with_references(plan, store, owing)
    responses = responses_of(plan, store, {})
    looks = looks_of(plan, rater, responses)
    keys = Wanted(looks.keys)
    return Stored(plan, responses, looks, keys, store.columns.verdicts(keys))


# ---------------------------------------------------------------- what is owed


def part_owed(stored: Stored, models: Mapping[str, Model], store: Store, retry_invalid: bool) -> Plan:
    """The part of the plan that anything is owed of: its contestants, pairs, prompts and comparisons.

    Nobody is in it where nothing is. It is the whole plan where the judge lacks anchors, which are drawn from all.
    """
    plan, rater = stored.plan, stored.rater
    is_open = _open(stored, models, retry_invalid)
    lacks_anchors = rater.anchors and len(store.anchors(rater.digest)) < rater.anchors
    if is_open.all() or (is_open.any() and lacks_anchors):
        return plan
    pairs = [(i, pair) for i, pair in enumerate(plan.pairs) if is_open[i].any()]
    prompts = [(q, prompt) for q, prompt in enumerate(plan.prompts) if is_open[:, q].any()]
    names = {name for _, pair in pairs for name in pair}
    only = frozenset((*pair, prompt.id) for i, pair in pairs for q, prompt in prompts if is_open[i, q])
    return replace(
        plan,
        contestants=tuple(name for name in plan.contestants if name in names),
        pairs=tuple(pair for _, pair in pairs),
        prompts=tuple(prompt for _, prompt in prompts),
        only=only if len(only) < len(pairs) * len(prompts) else None,
    )


def _open(stored: Stored, models: Mapping[str, Model], retry_invalid: bool) -> NDArray[np.bool_]:
    """Where an answer or a verdict is owed, shape (pairs, prompts)."""
    plan, looks = stored.plan, stored.looks
    is_open = np.zeros((len(plan.pairs), len(plan.prompts)), dtype=np.bool_)
    waiting = ~looks.told
    waiting[looks.comparison[stored.owed(retry_invalid)]] = True
    is_open[looks.pair[waiting], looks.prompt[waiting]] = True
    place = {prompt.id: q for q, prompt in enumerate(plan.prompts)}
    prompts = {prompt.id: prompt for prompt in plan.prompts}
    pairs = {name: [i for i, pair in enumerate(plan.pairs) if name in pair] for name in plan.contestants}
    for (name, prompt, sample), response in stored.responses.items():
        model, missing = models[name], response.reply.status == "skipped"
        if missing and isinstance(model, RecordedModel) and not model.answers(prompts[prompt], sample):
            continue  # it is not in the file, and never comes
        if missing or owes(response.reply, retry_invalid):
            is_open[pairs[name], place[prompt]] = True
    return is_open


def reused(stored: Stored, models: Mapping[str, Model], retry_invalid: bool) -> int:
    """How many calls the ledger spares: answers and verdicts of models that nobody is asked for again."""
    called = {name for name, one in models.items() if not isinstance(one, (RecordedModel, ScriptedModel))}
    replies = {r.reply.key: r.reply for (name, *_), r in stored.responses.items() if name in called}
    answers = sum(one.status != "skipped" and not owes(one, retry_invalid) for one in replies.values())
    if stored.rater.model in (None, SCRIPTED):
        return answers
    return answers + int(np.count_nonzero(np.bincount(stored.keys.of_key[~stored.owed(retry_invalid)])))


def experience(stored: Stored) -> Experience:
    """What is known of how long replies are: all answers, and some verdicts, which their keys draw."""
    usable = stored.looks.keys[stored.verdicts.status >= 0]
    answers = {slot: one for slot, one in stored.responses.items() if one.reply.status == "ok"}
    return Experience(answers, {stored.rater.name: {key.tobytes().hex() for key in usable[:TOLD]}})
