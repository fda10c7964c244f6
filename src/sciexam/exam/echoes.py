"""The models that answered, by the names that their endpoints gave: whether they are those that were asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sciexam.battles import Slot, pair
from sciexam.errors import GateNotMet
from sciexam.exam.plan import Plan, conversations_of, keys_of
from sciexam.exam.references import referring, wanted_of, with_references
from sciexam.models.public_name import public_name
from sciexam.models.settings import Endpoint
from sciexam.store import Store
from sciexam.types import Comparison, Response

if TYPE_CHECKING:
    from sciexam.exam.stored import Heard, Stored


def echoes(plan: Plan, store: Store, comparisons: Sequence[Comparison], heard: Sequence[Heard] = ()) -> Iterator[str]:
    """Endpoints that answered as another model than was asked for, or under several names, each in a sentence.

    A date at the end of a name is no other name; two dates are. `heard`: the judges whose keys are known.
    """
    known = {one.rater: one for one in heard}
    yield from _of_contestants(plan, store)
    for rater in plan.raters:
        if rater.model and rater in known:
            yield from _of_judge(rater.name, rater.model, known[rater], store)
        elif rater.model:
            keys = [key for c in comparisons for key in keys_of(plan, rater, c, store)]
            yield from strange(rater.name, rater.model, store.echoed(keys))
    yield from _of_references(plan, store)


def _of_judge(name: str, model: str, heard: Heard, store: Store) -> Iterator[str]:
    """The same of a judge, by one pass over the ledger."""
    ours = [other for other in store.columns.model_names() if not is_another(model, other)]
    # One name that means the model is nothing strange, however many replies came under it.
    yield from strange(name, model, store.columns.models(heard.keys, but=ours if len(ours) == 1 else ()))


def _of_contestants(plan: Plan, store: Store) -> Iterator[str]:
    for name in plan.contestants:
        spec = plan.suite.models[name]
        if isinstance(spec, Endpoint):
            yield from strange(name, spec.model, store.echoed(c.key for _, c in conversations_of(plan, name)))


def _of_references(plan: Plan, store: Store) -> Iterator[str]:
    for rater in referring(plan.raters):
        spec = plan.suite.models[rater.reference or ""]
        if isinstance(spec, Endpoint):
            keys = [c.key for c in wanted_of(plan, rater, plan.prompts).values()]
            yield from strange(rater.reference or "", spec.model, store.echoed(keys))


def strange(name: str, model: str, echoed: Mapping[str, int]) -> Iterator[str]:
    """What is strange in the names under which `model` answered, with how many replies came under each."""
    for other, count in echoed.items():
        if not _means(model, other):
            asked, came = public_name(model), public_name(other)
            yield f"{name}: {asked!r} was asked for, but {count} replies came from {came!r}."
    ours = [other for other in echoed if _means(model, other)]
    if len(ours) > 1:
        said = ", ".join(f"{public_name(other)!r} ({echoed[other]})" for other in ours)
        yield f"{name}: {public_name(model)!r} answered under several names: {said}; these may be different models."


def check_echoes(plan: Plan, store: Store, report: Path, stored: Stored | None = None) -> None:
    """Raises GateNotMet where an endpoint answered as another model than was asked for, or under several names."""
    if told := list(dict.fromkeys(_told(plan, store, stored))):
        raise GateNotMet("\n".join(["--strict-model:", *told, f"The report is in {report}."]))


def _told(plan: Plan, store: Store, stored: Stored | None) -> Iterator[str]:
    if stored is not None:
        return echoes(stored.plan, store, (), stored.heard)
    plan = with_references(plan, store)
    responses: dict[Slot, Response] = {}
    for name in plan.contestants:
        conversations = dict(conversations_of(plan, name))
        found = store.replies({c.key for c in conversations.values()})
        responses |= {s: Response(*s, found[c.key]) for s, c in conversations.items() if c.key in found}
    comparisons = list(pair(plan.prompts, plan.pairs, plan.samples, responses))
    return echoes(plan, store, comparisons)


def is_another(model: str, echoed: str) -> bool:
    """Whether a reply came from another model than was asked for; a date at the end of a name is no other name."""
    return bool(echoed) and not _means(model, echoed)


def _means(model: str, echoed: str) -> bool:
    asked, said = (name.rpartition("/")[2] for name in (model, echoed))
    return re.fullmatch(rf"{re.escape(asked)}(-\d[\d-]*)?", said) is not None
