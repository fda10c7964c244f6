"""What a leaderboard lacks to be complete: answers by contestant, verdicts and scores by pair. Nobody is asked."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sciexam.battles import Slot, pair
from sciexam.exam.asking import owes
from sciexam.exam.benches import judged_by
from sciexam.exam.cascade import cascades_of, rule, settle
from sciexam.exam.plan import Plan, keys_of
from sciexam.exam.raters import Rater
from sciexam.exam.recordings import recording_of
from sciexam.exam.stored import Heard, Stored
from sciexam.report.evidence import Evidence
from sciexam.report.standings.outcomes import FAILED, STATUSES, Outcomes
from sciexam.store import Store
from sciexam.types import HUMANS, Comparison

Contest = tuple[str, str]
AGAIN = "run the command without --check, which asks for what is missing"
RETRY = "run the command with --retry-invalid instead of --check"
ADD = "run the command without --check, which reads the file of verdicts again, or add to the file what is missing"
SERVE = "let people judge them: sciexam annotate serve"
SAME = "give both answers to the same prompts"
NO_SCORE = {"skipped": "no verdict", "failed": "a verdict whose call failed", "invalid": "an unusable verdict"}


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a row, or with a pair, and what to do about it."""

    where: str
    what: str
    remedy: str


def gaps(plan: Plan, evidence: Evidence, outcomes: Outcomes, stored: Stored | None, store: Store) -> Iterator[Fault]:
    """All that is missing. `plan` is that of the evidence, with the references; `stored` as in `sat.Sat`."""
    yield from _answers(plan, evidence)
    yield from _other_prompts(evidence)
    counted = _by_records(plan, evidence, store) if stored is None else _by_arrays(stored)
    for place, (a, b) in enumerate(evidence.pairs):
        told = [one for counts in counted.get((a, b), ()) for one in _owed(plan, counts)]
        told += _scores(plan, evidence, outcomes, place, bool(told))
        yield from (Fault(f"{b} against {a}", what, remedy) for what, remedy in told)


# ---------------------------------------------------------------- answers


def _answers(plan: Plan, evidence: Evidence) -> Iterator[Fault]:
    """Answers that are missing, though there may be another to compare them with."""
    prompts = {prompt.id: prompt for prompt in plan.prompts}
    files = {name: file for name in plan.contestants if (file := recording_of(plan.suite, name)) is not None}
    met: dict[str, set[str]] = defaultdict(set)
    for a, b in plan.pairs:
        met[a].add(b)
        met[b].add(a)

    def may_answer(name: str, slot: Slot) -> bool:
        return name not in files or files[name].answers(prompts[slot[1]], slot[2])

    lacking: Counter[tuple[str, str, str]] = Counter()
    for slot, response in evidence.responses.items():
        name, status = slot[0], response.reply.status
        if status == "ok" or not (name in files or any(may_answer(other, slot) for other in met[name])):
            continue  # nobody is asked where nobody else has an answer
        if not may_answer(name, slot):
            lacking[name, "missing", f"add what is missing to {files[name].path}"] += 1
        elif status == "invalid":
            lacking[name, "unusable", RETRY] += 1
        else:
            lacking[name, "missing" if status == "skipped" else "failed", AGAIN] += 1
    whole = len(plan.prompts) * plan.samples
    for (name, word, remedy), count in lacking.items():
        yield Fault(name, _share(count, whole, "answers", word), remedy)


def _other_prompts(evidence: Evidence) -> Iterator[Fault]:
    answered: dict[str, set[str]] = defaultdict(set)
    for (name, prompt, _), response in evidence.responses.items():
        if response.reply.status == "ok":
            answered[name].add(prompt)
    for a, b in evidence.pairs:
        theirs, own = answered[a], answered[b]
        if own and theirs and own.isdisjoint(theirs):
            what = f"the {len(own)} answers of {b} are to other prompts than the {len(theirs)} of {a}"
            yield Fault(f"{b} against {a}", what, SAME)


def _share(count: int, whole: int, of: str, word: str) -> str:
    """As in "1 of 8 answers is missing"."""
    is_, has = ("is", "has") if count == 1 else ("are", "have")
    return f"{count:,} of {whole:,} {of} {f'{has} failed' if word == 'failed' else f'{is_} {word}'}"


# ---------------------------------------------------------------- verdicts


@dataclass(frozen=True, slots=True)
class _Counts:
    """Of what one rater is shown of one pair: how much there is, and how much of it is owed."""

    rater: Rater
    shown: int
    missing: int
    failed: int
    cut_off: int
    unreferenced: int  # comparisons that are not shown for want of a reference answer


Counted = Mapping[Contest, Sequence[_Counts]]  # of all raters that are asked, by pair


def _owed(plan: Plan, counts: _Counts) -> Iterator[tuple[str, str]]:
    rater = counts.rater
    of = f"{'marks' if rater.grades else 'verdicts'} by {rater.name}"
    for count, word in ((counts.missing, "missing"), (counts.failed, "failed"), (counts.cut_off, "cut off")):
        if count:
            yield _share(count, counts.shown, of, word), AGAIN
    if counts.unreferenced:
        what = f"{counts.unreferenced:,} comparisons wait for a reference answer of {rater.reference}"
        tried = any(name == rater.reference for name, _ in plan.references)
        yield what, RETRY if tried else AGAIN


def _by_arrays(stored: Stored) -> Counted:
    found: dict[Contest, list[_Counts]] = defaultdict(list)
    for heard in stored.heard:
        if not heard.rater.by_name:  # a file need not hold both orders, nor every annotator every pair
            for contest, counts in _counts_of(stored.plan, heard):
                found[contest].append(counts)
    return found


def _counts_of(plan: Plan, heard: Heard) -> Iterator[tuple[Contest, _Counts]]:
    looks, status = heard.looks, heard.verdicts.status
    owed = heard.owed(retry_invalid=False)
    of_pair = looks.pair[looks.comparison]
    kinds = (status >= -1, owed & (status < 0), owed & (status == FAILED), owed & (status >= 0) & (status != FAILED))
    counts = [np.bincount(of_pair[kind], minlength=len(plan.pairs)).tolist() for kind in kinds]
    untold = np.bincount(looks.pair[~looks.told], minlength=len(plan.pairs)).tolist()
    numbers = zip(plan.pairs, *counts, untold, strict=True)
    return ((contest, _Counts(heard.rater, *of_one)) for contest, *of_one in numbers)


def _by_records(plan: Plan, evidence: Evidence, store: Store) -> Counted:
    found: dict[Contest, list[_Counts]] = defaultdict(list)
    for rater in plan.raters:
        if rater.by_name:
            continue
        for contest, comparisons in asked_of(plan, rater, evidence, store).items():
            keys = {key for one in comparisons for key in keys_of(plan, rater, one, store)}
            facts: Mapping[str, Any] = (store.grades if rater.grades else store.verdicts)(keys)
            there = Counter(fact.status for fact in facts.values() if owes(fact, retry_invalid=False))
            untold = sum(plan.told(rater, one.prompt) is None for one in comparisons)
            counts = len(keys), len(keys) - len(facts), there["failed"], there["invalid"], untold
            found[contest].append(_Counts(rater, *counts))
    return found


def asked_of(plan: Plan, rater: Rater, evidence: Evidence, store: Store) -> dict[Contest, list[Comparison]]:
    """The comparisons that a rater is asked for, by pair: all, but of the dear judge of a cascade only its own."""
    found: dict[Contest, list[Comparison]] = {contest: [] for contest in plan.pairs}
    for one in _of_cascade(plan, rater, evidence, store):
        found[one.a.contestant, one.b.contestant].append(one)
    return found


def _of_cascade(plan: Plan, rater: Rater, evidence: Evidence, store: Store) -> Sequence[Comparison]:
    comparisons = list(pair(plan.prompts, plan.pairs, plan.samples, evidence.responses))
    for cascade in cascades_of(plan):
        if cascade.dear == rater:
            cheap, dear = (judged_by(plan, one, store, comparisons, {}) for one in (cascade.cheap, cascade.dear))
            settled = settle(rule(plan, cascade, cheap, dear), cheap, dear)
            return [one.comparison for one, by_dear in settled if by_dear]
    return comparisons


# ---------------------------------------------------------------- scores


def _scores(plan: Plan, evidence: Evidence, outcomes: Outcomes, place: int, owed: bool) -> Iterator[tuple[str, str]]:
    """Prompts of a pair that both have answered, and that have no score for a reason that is not told as owed."""
    contest, counts = evidence.pairs[place], Counter[str]()
    for q in np.flatnonzero(outcomes.status[place]).tolist():
        if _is_compared(evidence, contest, evidence.prompts[q].id):
            counts[STATUSES[outcomes.status[place, q]]] += 1
    for status, count in counts.items():
        if status == "invalid" or not owed:
            what = f"{count:,} of {len(evidence.prompts):,} prompts without a score"
            yield f"{what}: {'it has' if count == 1 else 'each has'} {NO_SCORE[status]}", _remedy(plan, status)


def _is_compared(evidence: Evidence, contest: Contest, prompt: str) -> bool:
    slots = ([(name, prompt, sample) for name in contest] for sample in range(evidence.samples))
    return any(all(evidence.responses[slot].reply.status == "ok" for slot in both) for both in slots)


def _remedy(plan: Plan, status: str) -> str:
    if any(rater.by_name for rater in plan.raters):
        return ADD
    if HUMANS in plan.benches and not plan.raters:
        return SERVE
    return RETRY if status == "invalid" else AGAIN
