"""The grades of a teacher's answers: who gives them, what they cost, and the candidates with theirs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from sciexam.errors import UsageError
from sciexam.exam.answer_file import joined
from sciexam.exam.cautions import model_behind
from sciexam.exam.marking import mark, plan_marks
from sciexam.exam.plan import Plan
from sciexam.exam.preflight import Owed, bill_of_verdicts
from sciexam.exam.runs import check_all_ready
from sciexam.exchange.asking_a_model import Errand
from sciexam.exchange.candidates import Candidate, graded
from sciexam.models.settings import Recorded
from sciexam.models.terms import Terms
from sciexam.report.calls import Calls
from sciexam.store import Store
from sciexam.suite import Suite
from sciexam.types import Prompt


def plan_to_grade(suite: Suite, teacher: str, prompts: Sequence[Prompt], judge: str | None, terms: Terms) -> Plan:
    """The plan by which answers that are still to be given are graded: for its bill, and to refuse a judge early."""
    like = {"prompts": tuple(prompts), "generation": suite.generation_of(teacher)}
    plan, _ = plan_marks(suite.model_copy(update=like), [teacher], [judge or suite.judge], None, terms, "grade")
    for rater in plan.raters:
        if getattr(rater.judge, "bounds", None) != (0.0, 1.0):
            raise UsageError(
                f"judge {rater.bench!r} gives no grades by the rubric, and --min-grade is a share of their total; "
                "name one that does with --judge"
            )
    return plan


class Bill:
    """Tells of the bill of the whole command before the teacher is asked, and of the grades' own where it is more."""

    def __init__(self, to_mark: Plan, ledger: Store, errand: Errand):
        self.errand = errand
        self._to_mark, self._ledger = to_mark, ledger
        self._told = 0

    def of_answers(self, owed: Owed) -> None:
        marks = Owed(0, 0, marks=True)
        for rater in self._to_mark.raters if owed.answers else ():
            marks += bill_of_verdicts(self._to_mark, self._ledger, rater, owed.answers * rater.repeats, ())
        if owed.answers:
            check_all_ready(self._to_mark, {}, self._ledger)  # before the teacher is paid
        self._told = marks.verdicts
        self._tell(owed + marks)

    def of_grades(self, owed: Owed) -> None:
        if owed.verdicts > self._told:
            self._tell(owed)

    def _tell(self, owed: Owed) -> None:
        if self.errand.preflight is not None:
            self.errand.preflight(owed)


def grade_all(
    suite: Suite,
    teacher: str,
    candidates: Sequence[Candidate],
    judge: str | None,
    terms: Terms,
    ledger: Store,
    bill: Bill,
) -> tuple[list[Candidate], Calls, tuple[str, ...]]:
    """The candidates with their grades. Their answers, without the reasoning, are a contestant like any other."""
    usable = {(one.prompt.id, one.sample): one for one in candidates if not one.failure}
    if not usable:
        return list(candidates), Calls(unasked=terms.unasked), ()
    name, errand = f"{teacher} (answers)", bill.errand
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answers.jsonl"
        lines = ({"prompt": prompt, "sample": s, "text": one.text} for (prompt, s), one in usable.items())
        path.write_text("".join(joined(lines, "jsonl")), encoding="utf-8")
        prompts = tuple({one.prompt.id: one.prompt for one in usable.values()}.values())
        answered = suite.with_models({name: Recorded(responses=str(path))}).model_copy(update={"prompts": prompts})
        answered = answered.with_samples(suite.generation_of(teacher).samples)
        plan, models = plan_marks(answered, [name], [judge or suite.judge], None, terms, "grade")
        how = errand.stop, bill.of_grades, errand.progress, errand.retry_invalid, terms
        try:
            marking, _ = mark(plan, models, ledger, *how)
        except UsageError:
            if not terms.unasked:
                raise
            # The budget was reached before the first grade.
            unmarked = [one if one.failure else graded(one, (), ()) for one in candidates]
            return unmarked, Calls(unasked=terms.unasked), ()
    criteria = [one.name for one in suite.rubric.criteria]
    given = {
        slot: [grade for marks in marking.marks for grade in marks.grades.get((name, *slot), ())] for slot in usable
    }
    marked = [
        graded(one, given[slot], criteria) if (slot := (one.prompt.id, one.sample)) in usable else one
        for one in candidates
    ]
    return marked, marking.calls, marking.caveats


def self_graded(suite: Suite, teacher: str, judge: str | None) -> Iterator[str]:
    """A judge that grades its own answers prefers them."""
    named = judge or suite.judge
    if (behind := model_behind(suite.models[teacher])) and behind == model_behind(suite.judge_spec(named)):
        yield f"{named} grades its own answers: the teacher {teacher} is the same model ({behind[0]})."
