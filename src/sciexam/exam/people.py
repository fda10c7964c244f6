"""What people have said: of the comparisons of a plan, and by validations of its judges."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sciexam.battles import pair, present
from sciexam.exam.plan import Plan
from sciexam.report.evidence import Bench, Evidence
from sciexam.report.judge_files import newest_validation
from sciexam.report.validating.against_humans import LONGER
from sciexam.stats import Estimate, Undefined
from sciexam.store import Store

NOT_VALIDATED = "not validated"  # how a plan ends the description of a judge that was not held against people


def are_judged_by_people(plan: Plan, evidence: Evidence, store: Store) -> bool:
    """Whether the ledger holds a human verdict on what is compared, whoever judges it here."""
    if not store.has_human_verdicts():
        return False
    for contest in plan.pairs:
        comparisons = pair(plan.prompts, [contest], plan.samples, evidence.responses)
        subjects = {present(one, order).subject for one in comparisons for order in ("ab", "ba")}
        if any(verdict.status != "skipped" for verdict in store.human_verdicts(subjects)):
            return True
    return False


def held_against_people(plan: Plan, evidence: Evidence, results: Path) -> Evidence:
    """The evidence, in which a judge that `sciexam validate` held against people by this rubric is described so."""
    return replace(evidence, benches=[_held(plan, bench, results / plan.suite.name) for bench in evidence.benches])


def _held(plan: Plan, bench: Bench, runs: Path) -> Bench:
    if bench.trust != "doubtful":
        return bench
    raters = frozenset(rater.digest for rater in plan.raters if rater.bench == bench.name)
    found = newest_validation(runs, bench.name, plan.suite.rubric.rubric, raters)
    own = next((row for row in found.held if row.who == bench.name), None) if found else None
    if found is None or found.changed or own is None or isinstance(own.on_decided, Undefined):
        return bench
    people = f"{found.annotators} annotator{'s' if found.annotators != 1 else ''}"
    longer = next((row.on_decided for row in found.held if row.who == LONGER), None)
    beaten = ""
    if isinstance(longer, Estimate) and longer.value > own.on_decided.value:
        beaten = f"; always taking the longer answer agreed more often, on {longer.value:.2f}"
    return replace(
        bench,
        trust="held",
        description=f"{bench.description.removesuffix(NOT_VALIDATED)}held against {people}: "
        f"{own.on_decided.value:.2f} of {own.decided:,}",
        held=f"{bench.name} agreed with {people} on {own.on_decided} of {own.decided:,} decided comparisons{beaten} "
        "(`sciexam validate`).",
    )
