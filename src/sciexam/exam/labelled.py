"""A judge asked for the comparisons that humans judged."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from sciexam.exam.plan import Plan
from sciexam.exam.preflight import Owed, bill_of
from sciexam.exam.raters import Rater
from sciexam.judges.measures import Measures
from sciexam.report.agreeing.votes import ItemKey
from sciexam.store import Store
from sciexam.types import Grade, Presentation, Submission, Verdict

NOT_LABELLED = "no human judged this"


class OnlyLabelled:
    """A judge who is asked for the comparisons that a human judged; the others are skipped."""

    def __init__(self, judge: Any, labelled: Collection[ItemKey]):
        self._judge, self._labelled = judge, labelled
        self._answers = {(name, prompt, sample) for a, b, prompt, sample in labelled for name in (a, b)}
        self.name = judge.name

    def judge(self, presentations: Iterable[Presentation]) -> Iterator[Verdict]:
        unasked: list[Presentation] = []

        def asked() -> Iterator[Presentation]:
            for one in presentations:
                first, second, slot = one.first_by, one.second_by, (one.prompt.id, one.sample)
                if (first, second, *slot) in self._labelled or (second, first, *slot) in self._labelled:
                    yield one
                else:
                    unasked.append(one)

        yield from self._judge.judge(asked())
        yield from (one.verdict(self.name, status="skipped", failure=NOT_LABELLED) for one in unasked)

    def grade(self, submissions: Iterable[Submission]) -> Iterator[Grade]:
        unasked: list[Submission] = []

        def asked() -> Iterator[Submission]:
            for one in submissions:
                if (one.by, one.prompt.id, one.sample) in self._answers:
                    yield one
                else:
                    unasked.append(one)

        yield from self._judge.grade(asked())
        yield from (one.grade(self.name, status="skipped", failure=NOT_LABELLED) for one in unasked)

    @property
    def notes(self) -> Sequence[str]:
        return getattr(self._judge, "notes", ())

    def stop(self) -> None:
        if callable(stop := getattr(self._judge, "stop", None)):
            stop()


def to_ask(plan: Plan, raters: Sequence[Rater], labelled: Collection[ItemKey]) -> Plan:
    """The part of `plan` that `raters` are asked for: the labelled comparisons, or all where everyone costs nothing."""
    if all(_is_free(rater) for rater in raters):
        return replace(plan, raters=tuple(raters))
    asked = tuple(replace(one, judge=OnlyLabelled(one.judge, labelled)) for one in raters)
    return replace(_on_labelled(plan, labelled), raters=asked)


def _on_labelled(plan: Plan, labelled: Collection[ItemKey]) -> Plan:
    prompts = {prompt for _, _, prompt, _ in labelled}
    return replace(
        plan,
        prompts=tuple(prompt for prompt in plan.prompts if prompt.id in prompts),
        pairs=tuple(pair for pair in plan.pairs if any(item[:2] == pair for item in labelled)),
    )


def _is_free(judge: Rater) -> bool:
    return judge.by_name or isinstance(judge.judge, Measures)


def owed_on(plan: Plan, judge: Rater, labelled: Collection[ItemKey], ledger: Store, retry_invalid: bool) -> Owed:
    """The calls that the judge owes on the labelled comparisons, with the references that it is to see."""
    return bill_of(replace(_on_labelled(plan, labelled), raters=(judge,)), ledger, retry_invalid, only=labelled)
