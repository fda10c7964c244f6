"""What those who judge under one name said, as the ledger has it: verdicts, and the battles that they resolve to."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sciexam.battles import Battle, Policy, name_of, present, resolve
from sciexam.exam.asking import owes
from sciexam.exam.by_grades import verdicts_by_grades
from sciexam.exam.cascade import Cascade, Judged, calibration_asks, cascades_of, escalation_of, rule, settle
from sciexam.exam.known_people import as_known_here, pseudonyms
from sciexam.exam.plan import Plan, keys_of, presentations_of
from sciexam.exam.raters import Rater, recordings_of, trust_of
from sciexam.exam.stored import Heard, Name
from sciexam.judges.settings import PanelJudge, RecordedJudge
from sciexam.report.evidence import NOT_ASKED, Bench
from sciexam.store import Fact, Store
from sciexam.types import ADJUDICATION, HUMANS, Comparison, Order, Presentation, Verdict

TOGETHER = 500  # comparisons whose verdicts are read at once
Said = dict[Name, tuple[tuple[Presentation, Verdict], ...]]  # what a rater said of each comparison
Shown = Mapping[Name, Sequence[tuple[Order, int, str]]]  # a rater's looks at each comparison: `Heard.shown`


def bench_of(
    plan: Plan,
    name: str,
    store: Store,
    comparisons: Sequence[Comparison],
    skipped: Mapping[str, Fact],
    heard: Sequence[Heard] = (),
) -> Bench:
    """What those who judge under one name said of these comparisons, as the ledger has it."""
    raters = [rater for rater in plan.raters if rater.bench == name]
    if not raters:
        return human_bench(store, comparisons, plan.policy, [one.name for one in plan.suite.rubric.criteria])
    for cascade in cascades_of(plan):
        if cascade.cheap.bench == name:
            return _cascade(plan, cascade, store, comparisons, skipped)
    shown = {one.rater: one.shown(plan) for one in heard if one.rater.bench == name}
    known = pseudonyms(store.annotators.all())
    called = {as_known_here(rater, known): shown.get(rater) for rater in raters}
    raters = list(called)
    judged = [one for rater in raters for one in judged_by(plan, rater, store, comparisons, skipped, called[rater])]
    spec = plan.suite.judges.get(name)
    return Bench(
        name=name,
        description=plan.benches[name],
        raters=tuple(rater.name for rater in raters),
        sees_order=any(rater.sees_order for rater in raters),
        battles=[one.battle for one in judged],
        verdicts=[verdict for one in judged for verdict in one.shown],
        weights=spec.weights if isinstance(spec, PanelJudge) and raters[0].part_of == "panel" else None,
        recorded=recordings_of(raters),
        trust=trust_of(raters),
        by_criterion=_by_criterion([one.name for one in plan.suite.rubric.criteria], plan.policy, judged),
        order_known=not isinstance(spec, RecordedJudge) or spec.order_known,
    )


def _by_criterion(criteria: Sequence[str], policy: Policy, judged: Sequence[Judged]) -> dict[str, list[Battle]]:
    """The battles on each criterion, for verdicts that say something of it; without any there is no such criterion."""
    return {
        name: [_battle_on(name, one, policy) for one in judged]
        for name in criteria
        if any(name in verdict.criteria for one in judged for _, verdict in one.shown)
    }


def _battle_on(criterion: str, judged: Judged, policy: Policy) -> Battle:
    shown = [(presentation, _on(verdict, criterion)) for presentation, verdict in judged.shown]
    return resolve(judged.comparison, shown, judged.battle.rater, policy)


def _on(verdict: Verdict, criterion: str) -> Verdict:
    """What a verdict says of one criterion, as a verdict; one that is not usable stays so."""
    if verdict.status != "ok":
        return verdict
    side = verdict.criteria.get(criterion)
    if side is None:
        return replace(verdict, status="skipped", failure="nothing said of it", preferred=None, probability_second=None)
    return replace(verdict, preferred=side, strength=None, probability_second=None)


def judged_by(
    plan: Plan,
    rater: Rater,
    store: Store,
    comparisons: Sequence[Comparison],
    skipped: Mapping[str, Fact],
    shown: Shown | None = None,
) -> list[Judged]:
    """What one rater said of each comparison, as the ledger has it. `skipped`: facts that are not stored; `shown`: its
    looks, where they are known.
    """
    told = [comparison for comparison in comparisons if plan.told(rater, comparison.prompt) is not None]
    said = _said(plan, rater, store, told, skipped, shown)
    judged = []
    for c in comparisons:
        verdicts = said.get(name_of(c)) or ((present(c, "ab"), _without_reference(rater, present(c, "ab"))),)
        judged.append(Judged(c, resolve(c, verdicts, rater.name, plan.policy), verdicts))
    return judged


def _said(
    plan: Plan,
    rater: Rater,
    store: Store,
    comparisons: Sequence[Comparison],
    skipped: Mapping[str, Fact],
    shown: Shown | None,
) -> Said:
    if rater.grades:
        by_marks = verdicts_by_grades(plan, rater, store, comparisons, skipped)
        return {name_of(comparison): (marked,) for comparison, marked in by_marks}
    said: Said = {}
    for start in range(0, len(comparisons), TOGETHER):
        seen = {
            name_of(c): list(
                presentations_of(plan, rater, c, store)
                if shown is None
                else _as_known(plan, rater, c, shown[name_of(c)])
            )
            for c in comparisons[start : start + TOGETHER]
        }
        found: dict[str, Any] = store.verdicts({p.key: None for listed in seen.values() for p in listed})
        if rater.model:
            found |= _with_replies(found, store)
        for name, listed in seen.items():
            said[name] = tuple((p, _verdict(rater, p, found.get(p.key) or skipped.get(p.key))) for p in listed)
    return said


def _with_replies(found: Mapping[str, Verdict], store: Store) -> dict[str, Verdict]:
    """The invalid ones of these verdicts, with what the model replied in the place of a reason."""
    replies = store.replies(key for key, one in found.items() if one.status == "invalid" and not one.reason)
    return {key: replace(found[key], reason=reply.text) for key, reply in replies.items()}


def _as_known(
    plan: Plan, rater: Rater, comparison: Comparison, looks: Sequence[tuple[Order, int, str]]
) -> Iterator[Presentation]:
    """The presentations of these looks, as they are shown to a reader: nothing is rendered of them."""
    prompt = plan.told(rater, comparison.prompt) or comparison.prompt
    comparison = comparison if prompt is comparison.prompt else replace(comparison, prompt=prompt)
    return (comparison.shown(order, repeat, key=key) for order, repeat, key in looks)


def _without_reference(rater: Rater, presentation: Presentation) -> Verdict:
    """Nobody was asked, and the next run tries again: a call that did not succeed."""
    failure = f"no reference answer of {rater.reference}"
    return presentation.verdict(rater.name, kind=rater.kind, status="failed", failure=failure)


def _cascade(
    plan: Plan, cascade: Cascade, store: Store, comparisons: Sequence[Comparison], skipped: Mapping[str, Fact]
) -> Bench:
    """One bench with one verdict a comparison: the cheap judge's, or the dear one's where that counts."""
    cheap, dear = (judged_by(plan, rater, store, comparisons, skipped) for rater in (cascade.cheap, cascade.dear))
    rulings = rule(plan, cascade, cheap, dear)
    settled = list(settle(rulings, cheap, dear))
    name = cascade.cheap.bench
    return Bench(
        name=name,
        description=plan.benches[name],
        raters=(name,),
        sees_order=cascade.cheap.sees_order or cascade.dear.sees_order,
        recorded=recordings_of((cascade.cheap, cascade.dear)),
        battles=[one.battle for one, _ in settled],
        verdicts=[verdict for one, _ in settled for verdict in one.shown],
        escalations={
            contest: escalation_of(plan, cascade, store, contest, ruling, settled)
            for contest, ruling in rulings.items()
        },
    )


def spared_by(
    plan: Plan, rater: Rater, store: Store, comparisons: Sequence[Comparison], retry_invalid: bool = False
) -> set[tuple[str, str, str, int]]:
    """The comparisons that `rater` will certainly not be asked for, because it is the dear judge of a cascade.

    `comparisons`: all of the plan. None is certain while the cheap judge, or the calibration, still owes a verdict that
    the threshold may follow from.
    """

    def is_complete(one: Rater, asked: Sequence[Comparison]) -> bool:
        keys = {key for comparison in asked for key in keys_of(plan, one, comparison, store)}
        stored: Mapping[str, Any] = (store.grades if one.grades else store.verdicts)(keys)
        told = all(plan.told(one, comparison.prompt) is not None for comparison in asked)
        return told and (one.by_name or not any(owes(stored.get(key), retry_invalid) for key in keys))

    for cascade in cascades_of(plan):
        if (rater.name, rater.bench) == (cascade.dear.name, cascade.dear.bench):
            cheap = judged_by(plan, cascade.cheap, store, comparisons, {})
            asked = calibration_asks(plan, cascade, cheap)
            if is_complete(cascade.cheap, comparisons) and is_complete(cascade.dear, asked):
                dear = judged_by(plan, cascade.dear, store, comparisons, {})
                settled = settle(rule(plan, cascade, cheap, dear), cheap, dear)
                return {name_of(one.comparison) for one, by_dear in settled if not by_dear}
    return set()


def _verdict(rater: Rater, presentation: Presentation, stored: Any) -> Verdict:
    """The stored verdict under the names of this comparison; a fact is about texts, and names may have changed."""
    if stored is None:
        why = "no recorded verdict" if rater.by_name else NOT_ASKED
        return presentation.verdict(rater.name, kind=rater.kind, status="skipped", failure=why)
    verdict: Verdict = replace(
        stored,
        key=presentation.key,  # the same text, held once
        subject=presentation.subject,
        rater=rater.name,
        prompt=presentation.prompt.id,
        first=presentation.first_by,
        second=presentation.second_by,
    )
    return verdict


def human_bench(store: Store, comparisons: Sequence[Comparison], policy: Policy, criteria: Sequence[str] = ()) -> Bench:
    """Every human verdict in the ledger on these texts; annotators are averaged by prompt.

    Who judged the same texts again (a corrected file, a second queue) is taken at the last word, and a verdict counts
    wherever its texts are compared. One that was taken back counts nowhere. What a file said under somebody's name and
    an import under the pseudonym is one person's.
    """
    subjects = {present(one, order).subject for one in comparisons for order in ("ab", "ba")}
    everyone = store.annotators.all()
    people = {one.pseudonym for one in everyone}
    known = pseudonyms(everyone)
    given = (replace(one, rater=known.get(one.rater, one.rater)) for one in store.human_verdicts(subjects))
    found = bench_of_humans(given, comparisons, policy, people, criteria)
    return replace(found, last_judged=store.last_judged(subjects))


def bench_of_humans(
    given: Iterable[Verdict],
    comparisons: Sequence[Comparison],
    policy: Policy,
    people: Collection[str] = (),
    criteria: Sequence[str] = (),
) -> Bench:
    """The bench of these verdicts, in order of arrival.

    A rater of a file may have been shown a comparison in both orders; `people` are those who see it in one, so that a
    second verdict of theirs is a second thought. `criteria`: the names of those on which they were asked.
    """
    seen: dict[str, list[tuple[Comparison, Presentation]]] = {}
    for comparison in comparisons:
        # Of two equal texts both orders are one subject: it is heard once.
        orders: tuple[Order, ...] = ("ab",) if comparison.of_one_text else ("ab", "ba")
        for presentation in (present(comparison, order) for order in orders):
            seen.setdefault(presentation.subject, []).append((comparison, presentation))
    last: dict[tuple[Any, ...], tuple[Comparison, Presentation, Verdict]] = {}
    changed: set[tuple[Any, ...]] = set()
    for stored in given:
        if stored.status == "skipped":
            continue
        for comparison, presentation in seen[stored.subject]:
            order = None if stored.rater in people else presentation.order
            place = (stored.rater, name_of(comparison), order, stored.repeat)
            verdict = replace(
                stored, prompt=presentation.prompt.id, first=presentation.first_by, second=presentation.second_by
            )
            before = last.pop(place, None)
            if before is not None and not comparison.of_one_text and _winner(before[2]) != _winner(verdict):
                changed.add(place)
            last[place] = (comparison, presentation, verdict)
    return _bench_of(list(last.values()), policy, len({(place[0], place[1]) for place in changed}), criteria)


def _winner(verdict: Verdict) -> str | None:
    """Who won, whichever way round it was shown; None for nobody."""
    return {"first": verdict.first, "second": verdict.second}.get(verdict.preferred or "")


def _bench_of(
    said: Sequence[tuple[Comparison, Presentation, Verdict]], policy: Policy, changed: int, criteria: Sequence[str]
) -> Bench:
    by_rater: dict[str, dict[tuple[str, str, str, int], list[tuple[Presentation, Verdict]]]] = {}
    by_name: dict[tuple[str, str, str, int], Comparison] = {}
    for comparison, presentation, verdict in said:
        by_name[name_of(comparison)] = comparison
        mine = by_rater.setdefault(verdict.rater, {})
        mine.setdefault(name_of(comparison), []).append((presentation, verdict))
    judged = {
        rater: [
            Judged(by_name[name], resolve(by_name[name], shown, rater, policy), tuple(shown))
            for name, shown in mine.items()
        ]
        for rater, mine in sorted(by_rater.items())
    }
    adjudicated = [one.battle for one in judged.pop(ADJUDICATION, ()) if one.battle.score is not None]
    everyone = [one for listed in judged.values() for one in listed]
    people = f"{len(judged)} annotator{'s' if len(judged) != 1 else ''}"
    if adjudicated:
        people += f", {len(adjudicated)} of whose comparisons were adjudicated"
    if changed:
        people += f", {changed} of whose verdicts the ledger holds in two ways; the last to come in counts"
    return Bench(
        name=HUMANS,
        description=people,
        raters=tuple(judged),
        sees_order=True,
        battles=[one.battle for one in everyone],
        verdicts=[(presentation, verdict) for _, presentation, verdict in said],
        changed=changed,
        by_criterion=_by_criterion(criteria, policy, everyone),
        adjudicated=adjudicated,
        trust="people",
    )
