"""Text measures as marks: the offline judge's scores of each answer by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sciexam.digests import digest
from sciexam.judges.measures import Measures
from sciexam.types import Grade, Kind, Submission


class MeasuredMarks:
    """What `measures` finds of each answer: a value for each criterion and their weighted mean, all in [0, 1]."""

    kind: Kind = "judge"
    bounds = (0.0, 1.0)

    def __init__(self, measures: Measures):
        self.name = measures.name
        self.digest = digest({"judge": "measured marks", "measures": measures.digest})
        self._measures = measures

    def grade(self, submissions: Iterable[Submission]) -> Iterator[Grade]:
        names = [criterion for criterion, _, _ in self._measures.criteria]
        for submission in submissions:
            *values, score = self._measures.scores(submission.prompt.text, submission.text)
            yield submission.grade(self.name, score, criteria=dict(zip(names, values, strict=True)))
