"""A plan whose facts are only read: files of answers and verdicts come into the ledger, and nobody is asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sciexam.battles import Policy, pair
from sciexam.errors import SciexamError
from sciexam.exam.answers import responses_of
from sciexam.exam.benches import bench_of
from sciexam.exam.plan import ALONE, Plan, Purpose, make_plan
from sciexam.exam.raters import Rater
from sciexam.exam.recordings import is_recorded
from sciexam.exam.references import with_references
from sciexam.exam.runs import check_there, hold, location_of
from sciexam.exam.sitting import Sitting
from sciexam.judges import compares_by_grades, open_grader, open_judge
from sciexam.judges.recorded import RecordedJudge
from sciexam.judges.settings import CascadeJudge, PanelJudge
from sciexam.models.terms import USUAL
from sciexam.report.calls import Calls
from sciexam.report.evidence import Bench
from sciexam.store import Fact, Store
from sciexam.suite import Suite
from sciexam.types import HUMANS, Comparison, Judge, Model, Response


@dataclass(frozen=True, slots=True)
class Reading:
    """What there is to read of a plan. `skipped`: what its files do not hold, by the key of the fact."""

    plan: Plan
    store: Store
    calls: Calls
    skipped: Mapping[str, Fact]
    manifest: Mapping[str, Any]

    def responses(self) -> Iterator[Response]:
        """Every answer of the plan, contestant by contestant, usable or not."""
        yield from responses_of(self.plan, self.store).values()

    def by_pair(self) -> Iterator[tuple[list[Comparison], list[Bench]]]:
        """The comparisons of each pair of contestants, and what every bench said of them: no more than one pair's
        verdicts are held at a time."""
        plan = self.plan
        responses = responses_of(plan, self.store)
        for contest in plan.pairs:
            comparisons = list(pair(plan.prompts, [contest], plan.samples, responses))
            yield comparisons, [bench_of(plan, name, self.store, comparisons, self.skipped) for name in plan.benches]


@contextmanager
def reading(
    suite: Suite,
    contestants: Sequence[str],
    judges: Sequence[str | Judge],
    purpose: Purpose,
    policy: Policy,
    by: str,
    limit: int | None,
    store: str | Path | None,
    results: str | Path,
) -> Iterator[Reading]:
    """The plan of a command that asks nobody, with its files read into the ledger.

    Without `judges` all who may have judged are on its benches, by the suite and by what was run on this ledger, and
    its caveats say why others cannot be.
    """
    able, unable = (judges, []) if judges else who_may_have_judged(suite)
    asked: Purpose = purpose if purpose in ALONE else "compare"
    plan, models = make_plan(suite, contestants, able, "both", policy, None, by, limit, USUAL, asked)
    plan = replace(plan, purpose=purpose, caveats=(*plan.caveats, *unable))
    with read_in(plan, models, store, results, everyone=not judges) as found:
        yield found


@contextmanager
def read_in(
    plan: Plan, models: Mapping[str, Model], store: str | Path | None, results: str | Path, everyone: bool = False
) -> Iterator[Reading]:
    """A plan that was made, with its files read into the ledger. Raises UsageError where there is nothing to read.

    `everyone`: the judges of earlier runs join its benches.
    """
    location = location_of(store, results)
    files = [rater for rater in plan.raters if rater.by_name]
    if not files and not (plan.alone and any(is_recorded(plan.suite, name) for name in plan.contestants)):
        check_there(location, "annotate serve" if set(plan.benches) == {HUMANS} else "compare")
    with Store(location) as ledger:
        if everyone:
            plan = _with_earlier_judges(plan, ledger)
        if plan.purpose == "export":
            plan = replace(plan, pairs=_judged_pairs(plan, ledger))
        sitting = Sitting(plan, ledger, threading.Event(), None, retry_invalid=False, recorded_only=True)
        manifest = hold(sitting, plan, models, ledger)
        yield Reading(with_references(plan, ledger), ledger, sitting.calls, sitting.skipped, manifest)


def _with_earlier_judges(plan: Plan, ledger: Store) -> Plan:
    """The plan with the judges that runs on this ledger named by themselves (`--judge openai:MODEL`), under the same
    rubric; of two settings under one name the latest. What they said is read: they need not be opened. Nobody named the
    baseline of a validation, and who is only read is named where they judged.
    """
    if plan.alone:
        return plan
    benches, raters = dict(plan.benches), list(plan.raters)
    for text in ledger.manifests():
        earlier = json.loads(text)["plan"]
        if earlier.get("digests", {}).get("rubric") != plan.suite.rubric.digest:  # a benchmark has none
            continue
        if earlier.get("purpose") in ("agree", "export"):
            continue
        found = [Rater(**one) for one in earlier["raters"] if one["bench"] not in {*benches, *plan.suite.judges}]
        if earlier.get("purpose") == "validate":
            validated = next((one["bench"] for one in earlier["raters"] if one["kind"] != "human"), None)
            found = [one for one in found if one.bench == validated]
        found = [one for one in found if not (one.by_name or one.part_of)]
        raters += found
        benches |= {one.bench: earlier["benches"][one.bench] for one in found}
    return replace(plan, benches=benches, raters=tuple(raters))


def _judged_pairs(plan: Plan, ledger: Store) -> tuple[tuple[str, str], ...]:
    """The pairs that anybody may have judged: files of verdicts often hold those with a baseline alone."""
    judges = [rater.judge for rater in plan.raters]
    files = [judge for judge in judges if isinstance(judge, RecordedJudge)]
    if len(files) < len(judges) or (_asks_people(plan) and ledger.has_human_verdicts()):
        return plan.pairs
    known = {contest for judge in files for contest in judge.pairs}
    return tuple(contest for contest in plan.pairs if frozenset(contest) in known)


def _asks_people(plan: Plan) -> bool:
    """Whether the people of the ledger are on a bench: it has no rater of its own."""
    return any(all(rater.bench != bench for rater in plan.raters) for bench in plan.benches)


def who_may_have_judged(suite: Suite) -> tuple[list[str | Judge], list[str]]:
    """The judges of the suite that can be opened, and the humans; and why others cannot be."""
    able: list[str | Judge] = []
    unable = []
    for name, spec in suite.judges.items():
        if isinstance(spec, (PanelJudge, CascadeJudge)):
            continue  # its members stand here by themselves
        try:
            (open_grader if compares_by_grades(spec) else open_judge)(name, spec, suite.rubric)
            able.append(name)
        except SciexamError as error:
            unable.append(f"{name} is left out: {error}")
    return [*able, HUMANS], unable
