"""A sitting for which only that is walked of which anything is owed: the rest is known as arrays."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from sciexam.exam.asking import owes
from sciexam.exam.plan import Plan
from sciexam.exam.preflight import Experience, Owed, bill_of, tell
from sciexam.exam.runs import check_all_ready, hold
from sciexam.exam.sitting import Sitting
from sciexam.exam.tally import Progress
from sciexam.models.terms import Terms
from sciexam.report.calls import Calls
from sciexam.store import Fact, Store
from sciexam.types import Model

if TYPE_CHECKING:
    from sciexam.exam.stored import Stored

TOLD = 500  # verdicts whose replies tell how long those to come will be


@dataclass(frozen=True, slots=True)
class Sat:
    """What a report or a board is counted from. `stored` is None where it takes records to know what was said."""

    plan: Plan
    stored: Stored | None
    calls: Calls = field(default_factory=Calls)
    skipped: Mapping[str, Fact] = field(default_factory=dict)
    notes: Sequence[str] = ()
    manifest: Mapping[str, Any] = field(default_factory=dict)


def sit(
    plan: Plan,
    models: Mapping[str, Model],
    store: Store,
    terms: Terms,
    stop: threading.Event,
    preflight: Callable[[Owed], None] | None,
    progress: Callable[[Progress], None] | None,
    retry_invalid: bool,
    strict_model: bool,
) -> Sat:
    """Ask for what is owed: only for that, where arrays tell what it is."""
    known = _known(plan, models, store, retry_invalid)
    part, before, spared = known.part, known.left_out, known.reused
    asked = {name: model for name, model in models.items() if name in part.contestants}
    check_all_ready(part, asked, store, retry_invalid)
    experience = _experience(known.stored) if known.stored and preflight else None
    stored = None if part.contestants else known.stored  # or it is read again when all is said, and not held until then
    del known
    announced = tell(preflight, partial(bill_of, part, store, retry_invalid, experience=experience))
    del experience
    sitting = Sitting(
        part,
        store,
        stop,
        progress,
        retry_invalid,
        strict_model=strict_model,
        terms=terms,
        announced=announced,
        before=before,
    )
    manifest = hold(sitting, plan, asked, store)
    calls, skipped, notes = sitting.calls, sitting.skipped, sitting.notes
    del sitting  # with all answers
    from sciexam.exam.stored import stored_of

    calls = calls if spared is None else replace(calls, reused=spared)
    return Sat(plan, stored or stored_of(plan, store), calls, skipped, notes, manifest)


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known before anyone is asked. `part`: that anything is owed of; `left_out`: how many answers and verdicts
    are there of the rest; `reused`: calls that the ledger spares, None where the sitting counts them.
    """

    part: Plan
    stored: Stored | None = None
    left_out: tuple[int, int] = (0, 0)
    reused: int | None = None


def _known(plan: Plan, models: Mapping[str, Model], store: Store, retry_invalid: bool) -> _Known:
    if plan.takes_records:
        return _Known(plan)
    if not store.length():  # numpy, which the arrays are made of, waits until there is anything in them
        return _Known(plan, reused=0)
    from sciexam.exam.stored import left_out, part_owed, reused, stored_of

    stored = stored_of(plan, store, partial(owes, retry_invalid=retry_invalid))
    if stored is None:
        return _Known(plan)
    part = part_owed(stored, models, store, retry_invalid)
    return _Known(part, stored, left_out(stored, part, retry_invalid), reused(stored, retry_invalid))


def _experience(stored: Stored) -> Experience:
    """What is known of how long replies are: all answers, and some verdicts, which their keys draw."""
    answers = {slot: one for slot, one in stored.responses.items() if one.reply.status == "ok"}
    said = {one.rater.name: one.looks.keys[one.verdicts.status >= 0][:TOLD] for one in stored.heard}
    return Experience(answers, {name: {key.tobytes().hex() for key in keys} for name, keys in said.items()})
