"""What people have said: of the comparisons of a plan, and by validations of its judges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sciexam.battles import pair, present
from sciexam.errors import SciexamError
from sciexam.exam.plan import Plan
from sciexam.judges import open_judge
from sciexam.judges.settings import RecordedJudge
from sciexam.report.audit import tally
from sciexam.report.evidence import Bench, Evidence
from sciexam.report.judge_files import Audited, Corrected, newest_audit, newest_validation
from sciexam.report.record import Figure
from sciexam.report.validating.against_humans import LONGER
from sciexam.report.validating.faults import by_chance
from sciexam.stats import Estimate, Undefined
from sciexam.store import Store
from sciexam.types import HUMANS

MOST_LINES = 3  # of an audit that failed, by name
NOT_VALIDATED = "not validated"  # how a plan ends the description of a judge that was not held against people


def people_who_judged(plan: Plan, evidence: Evidence, store: Store) -> str:
    """As which judge people can be heard on what is compared, whoever judges it here; empty where none has judged it.

    Those in the ledger, or else those in a file that the suite names, which need not have been read yet.
    """
    return HUMANS if _in_ledger(plan, evidence, store) else next(_in_files(plan), "")


def _in_ledger(plan: Plan, evidence: Evidence, store: Store) -> bool:
    if not store.has_human_verdicts():
        return False
    for contest in plan.pairs:
        comparisons = pair(plan.prompts, [contest], plan.samples, evidence.responses)
        subjects = {present(one, order).subject for one in comparisons for order in ("ab", "ba")}
        if any(verdict.status != "skipped" for verdict in store.human_verdicts(subjects)):
            return True
    return False


def _in_files(plan: Plan) -> Iterator[str]:
    """The judges of the suite that are files with human verdicts on a pair of the plan."""
    contests = {frozenset(contest) for contest in plan.pairs}
    for name, spec in plan.suite.judges.items():
        if isinstance(spec, RecordedJudge):
            try:
                raters: list[Any] = open_judge(name, spec, plan.suite.rubric)
            except SciexamError:  # the file is gone, or is at fault: `sciexam check` says so
                continue
            if any(one.kind == "human" and contests & set(one.pairs) for one in raters):
                yield name


def held_against_people(plan: Plan, evidence: Evidence, results: Path) -> Evidence:
    """The evidence, in which a judge that `sciexam validate` held against people by this rubric is described so.

    One that `sciexam audit` tried has what that found.
    """
    runs = results / plan.suite.name
    return replace(evidence, benches=[_audited(plan, _held(plan, bench, runs), runs) for bench in evidence.benches])


@dataclass(frozen=True, slots=True)
class Against:
    """How a judge agreed with `people`, in words, where they decided.

    `ahead`: how far it is ahead of always taking the longer answer, on the same comparisons. `elsewhere`: that was
    on other prompts or answers. `corrected`: the win rates that came of it, if on the same.
    """

    people: str
    decided: int
    agreed: Estimate
    ahead: Figure | None
    elsewhere: bool
    corrected: tuple[Corrected, ...]

    @property
    def by_chance(self) -> str:
        """That a coin would have agreed as often, for all that these comparisons show; or an empty text."""
        return by_chance(self.agreed)

    def describe(self, description: str) -> str:
        """The description of a judge that was held against these people."""
        figures = ", ".join(filter(None, (f"{self.agreed.value:.2f} of {self.decided:,}", self.by_chance)))
        return f"{description.removesuffix(NOT_VALIDATED)}held against {self.people}: {figures}"


def held_by(plan: Plan, judge: str, results: Path) -> Against | None:
    """What a validation of `judge` by this rubric found; None where there was none."""
    runs = results / plan.suite.name
    found = newest_validation(runs, judge, plan.suite.rubric.rubric, _raters(plan, judge))
    rows = {row.who: row for row in found.held} if found and not found.changed else {}
    own, longer = rows.get(judge), rows.get(LONGER)
    if found is None or own is None or isinstance(own.on_decided, Undefined):
        return None
    people = f"{found.annotators} annotator{'s' if found.annotators != 1 else ''}"
    ids, judged = [prompt.id for prompt in plan.prompts], found.plan.get("prompts")
    elsewhere = not (_of_same_texts(plan, found.plan) and isinstance(judged, list) and set(ids) <= {*map(str, judged)})
    rates = found.rates if not elsewhere and ids == judged else ()
    return Against(people, own.decided, own.on_decided, longer.lead if longer else None, elsewhere, rates)


def _of_same_texts(plan: Plan, then: Mapping[str, Any]) -> bool:
    """Whether a plan in a manifest is of the same suite, and of the same contestants among others."""
    digests, models = then.get("digests"), then.get("models")
    if not isinstance(digests, Mapping) or not isinstance(models, Mapping):
        return False
    return digests.get("suite") == plan.content and all(models.get(n) == plan.models[n] for n in plan.contestants)


def _raters(plan: Plan, judge: str) -> frozenset[str]:
    return frozenset(rater.digest for rater in plan.raters if rater.bench == judge)


def _held(plan: Plan, bench: Bench, runs: Path) -> Bench:
    if bench.trust != "doubtful" or (found := held_by(plan, bench.name, runs.parent)) is None:
        return bench
    coin = f", which is {found.by_chance}" if found.by_chance else ""
    elsewhere = ", of other prompts or answers" if found.elsewhere else ""
    beaten = ""
    if isinstance(found.ahead, Estimate) and found.ahead.value < 0:
        beaten = f"; always taking the longer answer agreed more often, by {-found.ahead.value:.2f}"
    return replace(
        bench,
        trust="held",
        description=found.describe(bench.description),
        by_chance=found.by_chance,
        held_elsewhere=found.elsewhere,
        corrected=found.corrected,
        held=f"{bench.name} agreed with {found.people} on {found.agreed} of {found.decided:,} decided "
        f"comparisons{coin}{beaten} (`sciexam validate`{elsewhere}).",
    )


def audited_by(plan: Plan, judge: str, results: Path) -> Audited | None:
    """The newest audit of `judge` as it is, by this rubric; None where there is none."""
    found = newest_audit(results / plan.suite.name, judge, plan.suite.rubric.rubric, _raters(plan, judge))
    return None if found is None or found.changed else found


def _audited(plan: Plan, bench: Bench, runs: Path) -> Bench:
    if bench.trust not in ("doubtful", "held") or (found := audited_by(plan, bench.name, runs.parent)) is None:
        return bench
    told = tally(found.outcomes, "passed", "failed", "left", MOST_LINES)
    return replace(bench, audited=f"The audit of {bench.name} {told}: {runs / found.run / 'audit.html'}.")
