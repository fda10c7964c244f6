"""A checkpoint against its parent, by a judge, over all prompts of the workshop's suite: whole, or not at all."""

from __future__ import annotations

from sciexam import exam
from sciexam.errors import Incomplete
from sciexam.models.settings import weights_of
from sciexam.report.record import Report
from sciexam.train.workshop import Workshop


def compared(workshop: Workshop, parent: str, name: str, judge: str) -> Report:
    """The comparison of two models by a judge, in which `name` is b. Raises Incomplete where some of it is missing."""
    report = exam.compare(workshop.suite, parent, name, judges=[judge], **workshop.asking())
    if report.calls.unasked or report.missing or any(pair.verdicts["failed"] for pair in report.pairs):
        why = report.calls.unasked or "some calls did not succeed"
        raise Incomplete(f"{name}: its exam is not over: {why}; the same command asks for what is missing")
    failed = (one for item in report.items for one in item.answers if one.status == "failed")
    for one in failed:
        if weights_of(workshop.suite.models[one.contestant]) is None:  # weights here fail the same way each time
            raise Incomplete(
                f"{name}: its exam is not over: {one.contestant} gave no answer: {one.failure}; the same command asks "
                "again"
            )
    return report
