"""The marks of a plan, read back from the ledger: grades and rewards are counted from what is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from sciexam.battles import Battle, Slot
from sciexam.errors import UsageError
from sciexam.exam.ends import ends_of
from sciexam.exam.facts import read_facts
from sciexam.exam.plan import Plan, conversations_of, submissions_of
from sciexam.exam.raters import Rater
from sciexam.exam.references import with_references
from sciexam.judges.grading import LLMGrader
from sciexam.judges.measured import MeasuredMarks
from sciexam.judges.rewards import LARGEST, TOO_LARGE
from sciexam.report.calls import Calls
from sciexam.report.marking.marks import Marking, Marks, Scale
from sciexam.store import Fact, Store
from sciexam.types import HUMANS, NO_ANSWER, Grade, Reply, Response, Status, Submission


def marking_of(plan: Plan, store: Store, calls: Calls, skipped: Mapping[str, Fact], notes: Sequence[str]) -> Marking:
    plan = with_references(plan, store)
    responses = list(_responses(plan, store))
    marks = [_marks(plan, rater, store, responses, skipped) for rater in plan.raters]
    given = [grade for one in marks for listed in one.grades.values() for grade in listed]
    if given and all(grade.status == "skipped" for grade in given):
        judges = ", ".join(repr(one.judge) for one in marks)
        names = ", ".join(plan.contestants)
        raise UsageError("\n".join([f"{judges} has no mark of {names} for these prompts", *plan.caveats]))
    return Marking(
        suite=plan.suite.name,
        run=plan.run,
        rubric=plan.suite.rubric.rubric,
        seed=plan.suite.seed,
        contestants=plan.contestants,
        notes={n: note for n in plan.contestants if (note := getattr(plan.suite.models[n], "note", None))},
        prompts=plan.prompts,
        samples=plan.samples,
        marks=marks,
        calls=calls,
        caveats=(*plan.caveats, *notes, *ends_of(plan, store, responses)),
    )


def _responses(plan: Plan, store: Store) -> Iterator[Response]:
    for contestant in plan.contestants:
        conversations = dict(conversations_of(plan, contestant))
        found = store.replies({c.key for c in conversations.values()})
        for slot, conversation in conversations.items():
            missing = Reply(conversation.key, status="skipped", failure=NO_ANSWER)
            yield Response(*slot, found.get(conversation.key) or missing)


def _marks(plan: Plan, rater: Rater, store: Store, responses: Sequence[Response], skipped: Mapping[str, Fact]) -> Marks:
    prompts = {prompt.id: prompt for prompt in plan.prompts}
    missing: dict[Slot, tuple[Status, str]] = {}
    shown: dict[Slot, list[Submission]] = {}
    for response in responses:
        slot = (response.contestant, response.prompt, response.sample)
        if response.reply.status == "ok":
            shown[slot] = list(submissions_of(plan, rater, prompts[response.prompt], response, store))
        else:
            missing[slot] = response.reply.status, response.reply.failure
    stored: dict[str, Any] = store.grades({s.key for listed in shown.values() for s in listed})
    return Marks(
        judge=rater.bench,
        judge_is=plan.benches[rater.bench],
        scales=_scales(plan, rater),
        bounds=getattr(rater.judge, "bounds", None),
        tie_within=rater.tie_within,
        grades={
            slot: [_grade(rater, s, stored.get(s.key) or skipped.get(s.key)) for s in listed]
            for slot, listed in shown.items()
        },
        missing=missing,
    )


def _grade(rater: Rater, submission: Submission, stored: Any) -> Grade:
    """The stored grade under the names of this submission; a fact is about texts, and names may have changed."""
    if stored is None:
        why = "no recorded reward" if rater.by_name else "not marked"
        return submission.grade(rater.name, kind=rater.kind, status="skipped", failure=why)
    if stored.score is not None and abs(stored.score) > LARGEST:
        stored = replace(stored, status="invalid", failure=TOO_LARGE, score=None, criteria={})
    found: Grade = replace(stored, rater=rater.name, prompt=submission.prompt.id, contestant=submission.by)
    return found


def _scales(plan: Plan, rater: Rater) -> tuple[Scale, ...]:
    """The criteria that a rater is known to mark, with their points."""
    criteria = plan.suite.rubric.criteria
    if isinstance(rater.judge, LLMGrader):
        return tuple(Scale(c.name, c.points[0], c.points[1], c.words) for c in criteria)
    if isinstance(rater.judge, MeasuredMarks):
        return tuple(Scale(c.name, 0.0, 1.0) for c in criteria if c.measure)
    return ()


def people_of(plan: Plan, store: Store) -> Sequence[Battle]:
    """What annotators said of the same pairs of answers, as far as the ledger holds it."""
    pairs = tuple(combinations(plan.contestants, 2))
    if not pairs:
        return ()
    asked = replace(plan, purpose="agree", pairs=pairs, raters=(), benches={HUMANS: "annotators"})
    try:
        return read_facts(asked, store, Calls(), {}).benches[0].settled
    except UsageError:  # nobody judged, or no prompt has two answers
        return ()
