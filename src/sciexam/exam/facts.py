"""The facts of a plan, read back from the ledger: a report is a function of what is stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from sciexam.battles import Slot, pair
from sciexam.errors import Incomplete, UsageError
from sciexam.exam.answers import responses_of
from sciexam.exam.benches import bench_of
from sciexam.exam.drawn_again import drawn_again
from sciexam.exam.drift import drift_of
from sciexam.exam.echoes import echoes
from sciexam.exam.ends import ends_of
from sciexam.exam.known_people import called_otherwise
from sciexam.exam.null_contestant import NULL
from sciexam.exam.other_rubrics import verdicts_under_other_rubrics
from sciexam.exam.plan import Plan, Purpose
from sciexam.exam.references import with_references
from sciexam.exam.stored import Stored
from sciexam.lineage import descents
from sciexam.report.calls import Calls
from sciexam.report.evidence import Bench, Evidence
from sciexam.report.reliability import reliability_of
from sciexam.stats import Undefined
from sciexam.store import Fact, Store
from sciexam.types import HUMANS, Response

# By the purpose of a command that asks nobody, who asks for what it lacks.
ASKED_BY: Mapping[Purpose, str] = {
    "agree": "`sciexam compare` with the same arguments asks for what is missing",
    "leaderboard": "the same command without --as asks for what is missing",
}


def read_facts(
    plan: Plan,
    store: Store,
    calls: Calls,
    skipped: Mapping[str, Fact],
    notes: Sequence[str] = (),
    stored: Stored | None = None,
) -> Evidence:
    """Read everything the plan covers back from the ledger: a report is a function of stored facts.

    `stored`: what is known of it already, so that no key is made twice.
    """
    plan = with_references(plan, store) if stored is None else stored.plan
    responses = responses_of(plan, store) if stored is None else stored.responses
    heard = () if stored is None else stored.heard
    comparisons = list(pair(plan.prompts, plan.pairs, plan.samples, responses))
    check_compared(plan, responses, bool(comparisons), calls)
    benches = [bench_of(plan, name, store, comparisons, skipped, heard) for name in plan.benches]
    if comparisons:
        check_judged(plan, store, benches, calls)
    caveats = (*notes, *dict.fromkeys(echoes(plan, store, comparisons, heard)), *_of_members(plan, benches))
    caveats = (*caveats, *drawn_again(benches, store), *called_otherwise(plan.raters, store))
    others = verdicts_under_other_rubrics(plan.suite.rubric, comparisons, store) if HUMANS in plan.benches else {}
    caveats = (*caveats, *ends_of(plan, store, responses.values()), *_of_other_rubrics(others))
    return replace(evidence_of(plan, store, responses, benches, calls, caveats), other_rubrics=others)


def check_compared(plan: Plan, responses: Mapping[Slot, Response], any_compared: bool, calls: Calls) -> None:
    """Raises Incomplete or UsageError where no prompt has two answers, and that is no failure of a call."""
    if not any_compared and calls.unasked:
        raise Incomplete(f"{calls.unasked} No prompt has two answers yet.")
    if not any_compared and all(r.reply.status in ("ok", "skipped") for r in responses.values()):
        asked = f"; {ASKED_BY[plan.purpose]}" if plan.purpose in ASKED_BY else ""
        raise UsageError(
            f"no prompt of suite {plan.suite.name!r} has an answer from both of {', '.join(plan.contestants)}; "
            f"either they never met, or their files name the prompts otherwise{asked}"
        )


def check_judged(plan: Plan, store: Store, benches: Sequence[Bench], calls: Calls) -> None:
    """Raises Incomplete or UsageError where nobody has a verdict on what there is to compare."""
    if all(bench.silent for bench in benches):
        if calls.unasked:
            raise Incomplete(f"{calls.unasked} No prompt has a verdict yet.")
        raise UsageError("\n".join([_nobody_judged(plan, store), *plan.caveats]))


def evidence_of(
    plan: Plan,
    store: Store,
    responses: Mapping[Slot, Response],
    benches: Sequence[Bench],
    calls: Calls,
    caveats: Iterable[str],
) -> Evidence:
    """What was planned and found out, with the plan's caveats before the `caveats` of what was found."""
    return Evidence(
        suite=plan.suite.name,
        run=plan.run,
        rubric=plan.suite.rubric.rubric,
        seed=plan.suite.seed,
        contestants=plan.contestants,
        pairs=plan.pairs,
        notes={n: note for n in plan.contestants if (note := getattr(plan.suite.models[n], "note", None))},
        prompts=plan.prompts,
        samples=plan.samples,
        responses=responses,
        benches=benches,
        policy=plan.policy,
        by=plan.by,
        margin=plan.margin,
        calls=calls,
        caveats=(*plan.caveats, *caveats, *dict.fromkeys(_drifts(plan, store))),
        lineage=descents(plan.suite.models, plan.contestants),
    )


def _of_members(plan: Plan, benches: Sequence[Bench]) -> Iterator[str]:
    """What a reader must know of how the verdicts of a panel or a cascade became one."""
    for bench in benches:
        fit = reliability_of(bench) if bench.weights == "reliability" else None
        if isinstance(fit, Undefined):
            yield f"{bench.name}: no reliability can be estimated: {fit.why}; `weights: mean` in the suite averages."
        elif fit is not None and not fit.converged:
            yield f"{bench.name}: the estimate of its members' reliability did not converge; do not rely on it."
        for (a, b), done in (bench.escalations or {}).items():
            if done.waiting:
                yield (
                    f"{b} against {a} by {bench.name}: {done.waiting} comparisons have no verdict yet, and the others "
                    f"are those that {done.cheap} was surer of; run the same command again."
                )
            elif plan.purpose != "compare":
                yield f"{b} against {a} by {bench.name}: {done.counts}"


def _of_other_rubrics(others: Mapping[tuple[str, str], Mapping[str, int]]) -> Iterator[str]:
    """What a reader must know where annotators were asked by another rubric than the plan has."""
    for (a, b), counts in others.items():
        for rubric, count in counts.items():
            yield (
                f"{b} against {a} by {HUMANS}: {count} verdicts were given under another rubric ({rubric}); they "
                "count here, and what they say is by that rubric."
            )


def _drifts(plan: Plan, store: Store) -> Iterator[str]:
    """What the anchors of each judge say."""
    for rater in plan.raters:
        if rater.anchors and (found := drift_of(rater, store)) is not None:
            yield found.sentence


def _nobody_judged(plan: Plan, store: Store) -> str:
    names = ", ".join(name for name in plan.contestants if name != NULL)
    if list(plan.benches) == [HUMANS]:
        return (
            f"the ledger {store.location} holds no human verdict on {names}; "
            f"let people judge them (`{plan.suite.command('annotate', 'serve')}`), or name a file of verdicts with "
            '"kind": "human" as a judge: --judge verdicts.jsonl'
        )
    judges = ", ".join(map(repr, plan.benches))
    said = f"judge {judges} has no verdict on {names} for these prompts"
    if plan.purpose in ASKED_BY and not all(rater.by_name for rater in plan.raters):
        return f"{said}, and this command asks nobody; {ASKED_BY[plan.purpose]}"
    return (
        f"{said}, and its verdicts are recorded; name a judge that can be asked: --judge measures, or one of the suite"
    )
