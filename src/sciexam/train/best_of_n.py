"""Rejection sampling: the model learns from the best of its own answers.

    sciexam train rs        # models: {rs: {from: sft, stage: best_of_n, prompts: train.jsonl, reward: rm, n: 8}}

Each prompt gets `n` answers of the parent; a reward model or a judge picks one, and supervised fine-tuning goes on with
these (arXiv 2307.09288, section 3.2.3). An answer that did not end by itself is picked for no prompt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sciexam.errors import UsageError
from sciexam.judges import compares_by_grades
from sciexam.lineage.stages import BestOfN
from sciexam.train import sft
from sciexam.train.data.candidates import Asked, answers, ended, marker_of, marks
from sciexam.train.data.demonstrations import Demonstration
from sciexam.train.data.opinions import by_verdicts
from sciexam.train.data.preferences import standings
from sciexam.train.fitting import Fitted
from sciexam.train.job import Job
from sciexam.train.workshop import Workshop

DEFAULTS = {"epochs": 1.0, "learning_rate": 2e-5}
WITH_LORA = {"learning_rate": 2e-4}


def rows(spec: BestOfN, job: Job, workshop: Workshop) -> Iterator[Mapping[str, Any]]:
    """What the stage learns from: the prompts with the answers that were picked."""
    drawn = answers(workshop, [spec.parent], Path(spec.prompts), spec.n, spec.temperature, spec.top_p)
    asked = [one for one in map(_whole, drawn) if one.answers]
    if not asked:
        raise UsageError(f"{job.name}: not one answer of {spec.parent} ended by itself; raise max_tokens in the suite")
    picked = list(_picked(asked, opinions(workshop, spec, asked)))
    workshop.tell(f"{job.name}: the best of {spec.n} answers to {len(picked):,} of {len(drawn):,} prompts")
    yield from sft.rows_of_demonstrations(job, picked)


def opinions(workshop: Workshop, spec: BestOfN, asked: Sequence[Asked]) -> list[list[float | None]]:
    """How good each answer is: its mark, or how far it is ahead of the others on average."""
    by = spec.reward or spec.judge
    assert by is not None
    marker = marker_of(workshop.suite, by)
    if compares_by_grades(marker):
        return marks(workshop, asked, by)
    found = [standings(ahead) for ahead in by_verdicts(workshop, asked, by, marker)]
    return [[here.get(place) for place in range(len(one.answers))] for one, here in zip(asked, found, strict=True)]


def _whole(one: Asked) -> Asked:
    return Asked(one.prompt, tuple(answer for answer in one.answers if ended(answer)))


def _picked(asked: Sequence[Asked], marked: Sequence[Sequence[float | None]]) -> Iterator[Demonstration]:
    for one, given in zip(asked, marked, strict=True):
        known = [(mark, -place) for place, mark in enumerate(given) if mark is not None]
        if known:
            yield Demonstration(one.prompt.messages, one.answers[-max(known)[1]].text)


def train(job: Job, until: int | None = None) -> Fitted:
    """Train the job. Raises UsageError for what would teach nothing, and Diverged."""
    return sft.train(job, until)
