"""A leaderboard's sitting and its facts: as arrays where one judge compares, else from records.

Where the ledger holds everything already, nothing is walked comparison by comparison.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from sciexam.exam.asking import owes
from sciexam.exam.echoes import check_echoes, is_another, of_contestants, of_references, refuse_echoes, strange
from sciexam.exam.facts import check_compared, check_judged, evidence_of, read_facts
from sciexam.exam.plan import Plan
from sciexam.exam.preflight import Owed, bill_of, tell
from sciexam.exam.raters import trust_of
from sciexam.exam.runs import check_all_ready, hold
from sciexam.exam.sitting import Sitting
from sciexam.exam.stored import Stored, experience, part_owed, reused, stored_of
from sciexam.exam.tally import Progress
from sciexam.models.terms import Terms
from sciexam.report.evidence import Bench, Evidence
from sciexam.report.record import Calls
from sciexam.report.standings.outcomes import Outcomes, outcomes_of, outcomes_of_judge
from sciexam.store import Fact, Store
from sciexam.types import Model


@dataclass(frozen=True, slots=True)
class Sat:
    """What a board is counted from. `stored` is None where it takes records to know what was said."""

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
    stored = stored_of(plan, store, partial(owes, retry_invalid=retry_invalid))
    part = plan if stored is None else part_owed(stored, models, store, retry_invalid)
    asked = {name: model for name, model in models.items() if name in part.contestants}
    check_all_ready(part, asked, store, retry_invalid)
    known = experience(stored) if stored and preflight else None
    announced = tell(preflight, partial(bill_of, part, store, retry_invalid, experience=known))
    sitting = Sitting(
        part, store, stop, progress, retry_invalid, strict_model=strict_model, terms=terms, announced=announced
    )
    manifest = hold(sitting, plan, asked, store)
    calls = sitting.calls
    if stored is not None:
        calls = replace(calls, reused=reused(stored, models, retry_invalid))
        stored = stored_of(plan, store) if part.contestants else stored
    return Sat(plan, stored, calls, sitting.skipped, sitting.notes, manifest)


def read_board(sat: Sat, store: Store) -> tuple[Evidence, Outcomes]:
    """What was planned and found out, and what the one bench said of every pair. Raises as `read_facts` does."""
    plan, stored, calls, skipped, notes = sat.plan, sat.stored, sat.calls, sat.skipped, sat.notes
    if stored is None:
        evidence = read_facts(plan, store, calls, skipped, notes)
        (bench,) = evidence.benches
        return evidence, outcomes_of(evidence, bench)
    plan, rater = stored.plan, stored.rater
    check_compared(plan, stored.responses, len(stored.looks.pair) > 0, calls)
    spoke = bool((stored.verdicts.status >= 0).any() or not stored.looks.told.all())
    description, trust = plan.benches[rater.bench], trust_of([rater])
    bench = Bench(rater.bench, description, (rater.name,), rater.sees_order, (), (), trust=trust, spoke=spoke)
    if len(stored.looks.pair):
        check_judged(plan, store, [bench], calls)
    caveats = (*notes, *dict.fromkeys(_echoes(stored, store)))
    evidence = evidence_of(plan, store, stored.responses, [bench], calls, caveats)
    return evidence, outcomes_of_judge(evidence, bench.name, bench.description, bench.sees_order, stored.said)


def _echoes(stored: Stored, store: Store) -> list[str]:
    """`echoes.echoes`, of the judge by one pass over the ledger."""
    return [*of_contestants(stored.plan, store), *_of_judge(stored, store), *of_references(stored.plan, store)]


def _of_judge(stored: Stored, store: Store) -> Iterator[str]:
    rater, columns = stored.rater, store.columns
    if rater.model:
        ours = [name for name in columns.model_names() if not is_another(rater.model, name)]
        # One name that means the model is nothing strange, however many replies came under it.
        yield from strange(rater.name, rater.model, columns.models(stored.keys, but=ours if len(ours) == 1 else ()))


def check_models(sat: Sat, store: Store, report: Path) -> None:
    """Raises GateNotMet where an endpoint answered as another model than was asked for, or under several names."""
    if sat.stored is None:
        check_echoes(sat.plan, store, report)
    else:
        refuse_echoes(dict.fromkeys(_echoes(sat.stored, store)), report)
