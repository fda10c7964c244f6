"""The facts of a plan, read back from the ledger: a report is a function of what is stored."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sciexam.battles import Battle, Slot, name_of, pair, present, resolve
from sciexam.errors import UsageError
from sciexam.exam.by_grades import verdicts_by_grades
from sciexam.exam.plan import Plan, conversations_of, presentations_of, shown_of
from sciexam.exam.raters import Rater
from sciexam.models.settings import Endpoint
from sciexam.report.evidence import Bench, Evidence
from sciexam.report.record import Calls
from sciexam.store import Fact, Store
from sciexam.suite import HUMANS
from sciexam.types import Comparison, Presentation, Reply, Response, Verdict


def read_facts(
    plan: Plan, store: Store, calls: Calls, skipped: Mapping[str, Fact], notes: Sequence[str] = ()
) -> Evidence:
    """Read everything the plan covers back from the ledger: a report is a function of stored facts."""
    responses = _responses(plan, store, skipped)
    comparisons = list(pair(plan.prompts, plan.pairs, plan.samples, responses))
    if not comparisons and all(r.reply.status in ("ok", "skipped") for r in responses.values()):
        raise UsageError(
            f"no prompt of suite {plan.suite.name!r} has an answer from both of {', '.join(plan.contestants)}; "
            "do the files name the prompts alike?"
        )
    benches = [_bench(plan, name, store, comparisons, skipped) for name in plan.benches]
    if comparisons and all(bench.silent for bench in benches):
        raise UsageError("\n".join([_nobody_judged(plan, store), *plan.caveats]))
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
        caveats=(
            *plan.caveats,
            *notes,
            *_echoes(plan, store, comparisons),
        ),
    )


def _nobody_judged(plan: Plan, store: Store) -> str:
    names = ", ".join(plan.contestants)
    if list(plan.benches) == [HUMANS]:
        return (
            f"the ledger {store.location} holds no human verdict on {names}; "
            'first name a file of verdicts with "kind": "human" as a judge: --judge verdicts.jsonl'
        )
    judges = ", ".join(map(repr, plan.benches))
    return f"judge {judges} has no verdict on {names} for these prompts"


def _responses(plan: Plan, store: Store, skipped: Mapping[str, Fact]) -> dict[Slot, Response]:
    responses = {}
    for contestant in plan.contestants:
        conversations = dict(conversations_of(plan, contestant))
        found = store.replies({c.key: None for c in conversations.values()})
        recorded = getattr(plan.suite.models[contestant], "responses", None)
        why = "no recorded answer" if recorded else "not asked, for nobody else has an answer"
        for slot, conversation in conversations.items():
            missing = Reply(conversation.key, status="skipped", failure=why)
            reply = found.get(conversation.key) or missing
            responses[slot] = Response(contestant, slot[1], slot[2], reply)
    return responses


def _bench(
    plan: Plan, name: str, store: Store, comparisons: Sequence[Comparison], skipped: Mapping[str, Fact]
) -> Bench:
    raters = [rater for rater in plan.raters if rater.bench == name]
    if not raters:
        return _humans(plan, store, comparisons)
    battles: list[Battle] = []
    shown: list[tuple[Presentation, Verdict]] = []
    for rater in raters:
        if rater.grades:
            by_marks = list(verdicts_by_grades(plan, rater, store, comparisons, skipped))
            battles += [resolve(c, [verdict], rater.name, plan.policy) for c, verdict in by_marks]
            shown += [verdict for _, verdict in by_marks]
            continue
        seen = [(c, list(presentations_of(plan, rater, c, store))) for c in comparisons]
        found: dict[str, Any] = store.verdicts({p.key: None for _, presentations in seen for p in presentations})
        for comparison, presentations in seen:
            verdicts = [(p, _verdict(rater, p, found.get(p.key) or skipped.get(p.key))) for p in presentations]
            battles.append(resolve(comparison, verdicts, rater.name, plan.policy))
            shown += verdicts
    return Bench(
        name=name,
        description=plan.benches[name],
        raters=tuple(rater.name for rater in raters),
        sees_order=any(rater.sees_order for rater in raters),
        battles=battles,
        verdicts=shown,
    )


def _verdict(rater: Rater, presentation: Presentation, stored: Any) -> Verdict:
    """The stored verdict under the names of this comparison; a fact is about texts, and names may have changed."""
    if stored is None:
        why = "no recorded verdict" if rater.by_name else "not judged"
        return presentation.verdict(rater.name, kind=rater.kind, status="skipped", failure=why)
    verdict: Verdict = replace(
        stored,
        rater=rater.name,
        prompt=presentation.prompt.id,
        first=presentation.first_by,
        second=presentation.second_by,
    )
    return verdict


def _humans(plan: Plan, store: Store, comparisons: Sequence[Comparison]) -> Bench:
    """Every human verdict in the ledger on these texts; annotators are averaged by prompt.

    Who judged the same texts again (a corrected file) is taken at the last word, and a verdict counts wherever its
    texts are compared.
    """
    seen: dict[str, list[tuple[Comparison, Presentation]]] = {}
    for comparison in comparisons:
        for presentation in (present(comparison, "ab"), present(comparison, "ba")):
            seen.setdefault(presentation.subject, []).append((comparison, presentation))
    given = store.human_verdicts(seen)
    last = {(v.rater, v.subject, v.repeat): v for v in given}
    changed = {(v.rater, v.subject) for v in given if v.preferred != last[v.rater, v.subject, v.repeat].preferred}
    by_rater: dict[str, dict[tuple[str, str, str, int], list[tuple[Presentation, Verdict]]]] = {}
    shown: list[tuple[Presentation, Verdict]] = []
    for stored in last.values():
        for comparison, presentation in seen[stored.subject]:
            verdict = replace(
                stored, prompt=presentation.prompt.id, first=presentation.first_by, second=presentation.second_by
            )
            shown.append((presentation, verdict))
            mine = by_rater.setdefault(stored.rater, {})
            mine.setdefault(name_of(comparison), []).append((presentation, verdict))
    by_name = {name_of(c): c for c in comparisons}
    battles = [
        resolve(by_name[key], verdicts, rater, plan.policy)
        for rater, judged in sorted(by_rater.items())
        for key, verdicts in judged.items()
    ]
    people = f"{len(by_rater)} annotator{'s' if len(by_rater) != 1 else ''}"
    if changed:
        people += f", {len(changed)} of whose verdicts the ledger holds in two ways; the last to come in counts"
    return Bench(HUMANS, people, tuple(sorted(by_rater)), True, battles, shown, len(changed))


def _echoes(plan: Plan, store: Store, comparisons: Sequence[Comparison]) -> Iterator[str]:
    """Endpoints that answered under another model's name than was asked for; a date at its end is no other."""
    asked: list[tuple[str, str, list[str]]] = []
    for name in plan.contestants:
        spec = plan.suite.models[name]
        if isinstance(spec, Endpoint):
            asked.append((name, spec.model, [c.key for _, c in conversations_of(plan, name)]))
    for rater in plan.raters:
        if rater.model:
            keys = [seen.key for c in comparisons for seen in shown_of(plan, rater, c, store)]
            asked.append((rater.name, rater.model, keys))
    for name, model, keys in asked:
        for echoed, count in store.echoed(keys).items():
            if not re.fullmatch(rf"{re.escape(model.rpartition('/')[2])}(-\d[\d-]*)?", echoed.rpartition("/")[2]):
                yield f"{name}: {model!r} was asked for, but {count} replies came from {echoed!r}."
