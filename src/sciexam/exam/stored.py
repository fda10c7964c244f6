"""What the ledger has of a plan, read as arrays: what is owed, and what was said, without a record each.

For judges that compare. Those who mark answers one by one, cascades, and runs until they are decided are read by
`facts`; so are annotators, who owe nothing. `behind` alone knows them too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sciexam.battles import Slot, pair
from sciexam.exam.answers import responses_of
from sciexam.exam.asking import owes
from sciexam.exam.looks import Looks, looks_of
from sciexam.exam.null_contestant import NULL
from sciexam.exam.plan import Plan, keys_of
from sciexam.exam.raters import UNCALLED, Rater
from sciexam.exam.recordings import is_recorded
from sciexam.exam.references import with_references
from sciexam.models.recorded import RecordedModel
from sciexam.models.settings import Scripted
from sciexam.report.standings.outcomes import FAILED, INVALID, Said
from sciexam.store import Fact, Store
from sciexam.store.columns import VerdictColumns, Wanted
from sciexam.types import Grade, Model, Order, Response, Verdict

Name = tuple[str, str, str, int]  # of a comparison, as in `battles.name_of`


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """Every look of one judge, and the verdicts under their keys."""

    rater: Rater
    looks: Looks
    keys: Wanted
    verdicts: VerdictColumns

    @property
    def said(self) -> Said:
        """What the judge said, as it is counted."""
        one = self.looks
        one_question = self.rater.orders == "both" and not self.rater.by_name
        return Said(
            pair=one.pair,
            prompt=one.prompt,
            told=one.told,
            comparison=one.comparison,
            order=one.order,
            asked=~(one.of_one_text[one.comparison] & (one.order == 1) & one_question),
            status=self.verdicts.status,
            second=self.verdicts.second,
            of_one_text=one.of_one_text,
            by_people=self.rater.kind == "human",
        )

    @property
    def spoke(self) -> bool:
        """Whether it has a verdict, or waits for a reference, and so is not silent."""
        return bool((self.verdicts.status >= 0).any() or not self.looks.told.all())

    def owed(self, retry_invalid: bool) -> NDArray[np.bool_]:
        """Which looks are to be asked for (`asking.owes`), shape (looks,)."""
        status = self.verdicts.status
        again = retry_invalid | (self.verdicts.cut_off & (self.verdicts.attempt == 0))
        owed: NDArray[np.bool_] = (status < 0) | (status == FAILED) | ((status == INVALID) & again)
        return owed

    def shown(self, plan: Plan) -> dict[Name, list[tuple[Order, int, str]]]:
        """The looks at each comparison, as `plan.presentations_of` makes them: order, repeat, key."""
        one = self.looks
        found: dict[Name, list[tuple[Order, int, str]]] = {}
        names = [
            (*plan.pairs[pair], plan.prompts[prompt].id, sample)
            for pair, prompt, sample in zip(one.pair.tolist(), one.prompt.tolist(), one.sample.tolist(), strict=True)
        ]
        keys = one.keys.tobytes().hex()
        for place, (comparison, order) in enumerate(zip(one.comparison.tolist(), one.order.tolist(), strict=True)):
            key = keys[64 * place : 64 * place + 64]
            found.setdefault(names[comparison], []).append(("ba" if order else "ab", place % self.rater.repeats, key))
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """The answers of a plan's contestants, and what each of its judges said. The plan has the references."""

    plan: Plan
    responses: Mapping[Slot, Response]
    heard: tuple[Heard, ...]

    @property
    def alone(self) -> Heard | None:
        """The one judge, where one judges alone."""
        if len(self.heard) == len(self.plan.benches) == 1 and not self.heard[0].rater.part_of:
            return self.heard[0]
        return None


def stored_of(plan: Plan, store: Store, owing: Callable[[Fact | None], bool] | None = None) -> Stored | None:
    """What the ledger has of `plan`; None where it takes records to know it. `owing` as in `with_references`."""
    if plan.takes_records:
        return None
    plan = with_references(plan, store, owing)
    responses = responses_of(plan, store)
    return Stored(plan, responses, tuple(_heard(plan, rater, responses, store) for rater in plan.raters))


def _heard(plan: Plan, rater: Rater, responses: Mapping[Slot, Response], store: Store) -> Heard:
    looks = looks_of(plan, rater, responses)
    keys = Wanted(looks.keys)
    return Heard(rater, looks, keys, store.columns.verdicts(keys))


# ---------------------------------------------------------------- what is owed


def part_owed(stored: Stored, models: Mapping[str, Model], store: Store, retry_invalid: bool) -> Plan:
    """The part of the plan that anything is owed of: its contestants, pairs, prompts and comparisons.

    Nobody is in it where nothing is. It is the whole plan where a judge lacks anchors, which are drawn from all.
    """
    plan = stored.plan
    is_open = _open(stored, models, retry_invalid)
    if is_open.all() or (is_open.any() and any(_lacks_anchors(one.rater, store) for one in stored.heard)):
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


def _lacks_anchors(rater: Rater, store: Store) -> bool:
    return rater.anchors > 0 and len(store.anchors(rater.digest)) < rater.anchors


def _open(stored: Stored, models: Mapping[str, Model], retry_invalid: bool) -> NDArray[np.bool_]:
    """Where an answer or a verdict is owed, shape (pairs, prompts)."""
    plan = stored.plan
    is_open = np.zeros((len(plan.pairs), len(plan.prompts)), dtype=np.bool_)
    for heard in stored.heard:
        looks = heard.looks
        waiting = ~looks.told
        waiting[looks.comparison[heard.owed(retry_invalid)]] = True
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


def left_out(stored: Stored, part: Plan, retry_invalid: bool) -> tuple[int, int]:
    """How many answers and verdicts are there of what is no part of `part`, each key once."""
    plan = stored.plan
    if part is plan:
        return 0, 0
    prompts = {prompt.id for prompt in part.prompts}
    answers = {
        response.reply.key
        for (name, prompt, _), response in stored.responses.items()
        if response.reply.status != "skipped" and not (name in part.contestants and prompt in prompts)
    }
    pairs = set(part.pairs)
    inside = np.array(
        [[one in pairs and p.id in prompts and part.asks(*one, p.id) for p in plan.prompts] for one in plan.pairs],
        dtype=np.bool_,
    )
    verdicts = 0
    for heard in stored.heard:
        looks = heard.looks
        there = ~inside[looks.pair, looks.prompt][looks.comparison] & ~heard.owed(retry_invalid)
        verdicts += len(np.unique(heard.keys.of_key[there]))
    return len(answers), verdicts


def reused(stored: Stored, retry_invalid: bool) -> int:
    """How many calls the ledger spares: answers and verdicts of models that nobody is asked for again."""
    asked = [one for one in stored.heard if one.rater.model not in UNCALLED]
    verdicts = sum(int(np.count_nonzero(np.bincount(one.keys.of_key[~one.owed(retry_invalid)]))) for one in asked)
    return _answers_kept(stored.plan, stored.responses, retry_invalid) + verdicts


def behind(plan: Plan, stored: Stored | None, store: Store) -> int:
    """How many stored answers and verdicts of models a plan is counted from, however it is counted."""
    if stored is not None:
        return reused(stored, False)
    plan = with_references(plan, store)
    responses = responses_of(plan, store)
    comparisons = list(pair(plan.prompts, plan.pairs, plan.samples, responses))
    found = _answers_kept(plan, responses, False)
    for grades in (True, False):
        asked = [rater for rater in plan.raters if rater.model not in UNCALLED and rater.grades == grades]
        keys = {key for rater in asked for one in comparisons for key in keys_of(plan, rater, one, store)}
        said: Mapping[str, Verdict | Grade] = (store.grades if grades else store.verdicts)(keys)
        found += sum(not owes(one, False) for one in said.values())
    return found


def _answers_kept(plan: Plan, responses: Mapping[Slot, Response], retry_invalid: bool) -> int:
    unasked = {n for n, spec in plan.suite.models.items() if isinstance(spec, Scripted)} | {NULL}
    called = {n for n in plan.contestants if n not in unasked and not is_recorded(plan.suite, n)}
    replies = {r.reply.key: r.reply for (name, *_), r in responses.items() if name in called}
    return sum(one.status != "skipped" and not owes(one, retry_invalid) for one in replies.values())
