"""What to type next: the command for a design, with what has to be there first."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from sciexam.exam.designs import Exam
from sciexam.report.planning.outlook import Design

PILOT_PROMPTS = 50


def advise(exam: Exam, chosen: Design, typed: Sequence[str]) -> Iterator[str]:
    """The command for the chosen design, with what has to be there first; each line is said or typed as it is."""
    first = list(_first(exam, chosen, typed))
    yield from first
    if first:
        yield "then:"
    yield _command(exam, chosen, _limit(exam, chosen.prompts), typed)


def _first(exam: Exam, chosen: Design, typed: Sequence[str]) -> Iterator[str]:
    yield from exam.unready
    if exam.absent:
        yield exam.absent
    elif exam.parties and any(ground.source == "assumed" for ground in exam.grounds):
        pilot = min(PILOT_PROMPTS, exam.there)
        if chosen.prompts > pilot:
            yield "first a pilot, in place of the assumptions:"
            yield _command(exam, None, _limit(exam, pilot), typed)
    yield from _prompts(exam, chosen.prompts)
    if chosen.samples != min(exam.suite.generation_of(name).samples for name in exam.contestants):
        own = [name for name in exam.contestants if getattr(exam.suite.models[name], "generation", None)]
        where = f" and of {', '.join(own)}, if it stands there" if own else ""
        yield f"set `samples: {chosen.samples}` under `generation:` in the suite{where}"


def _prompts(exam: Exam, wanted: int) -> Iterator[str]:
    """How many prompts are to be written and to be answered before there are `wanted`."""
    whole = len(exam.suite.prompts)
    there = whole if exam.answered is None else len(exam.answered)
    if wanted > whole == there:
        answered = "" if exam.answered is None else ", and put an answer of everyone to each into the files"
        yield f"write {wanted - whole:,} more prompts{answered}: suite {exam.suite.name} has {whole:,}"
        return
    if wanted > whole:
        yield f"write {wanted - whole:,} more prompts: suite {exam.suite.name} has {whole:,}"
    if wanted > there:
        new = ", the new ones among them" if wanted > whole else ""
        yield f"answer {wanted - there:,} prompts{new}: {there:,} have a recorded answer from everyone"


def _limit(exam: Exam, prompts: int) -> int | None:
    """How many of the suite's first prompts hold `prompts` that can be compared; None where all of them are taken."""
    if prompts >= exam.there:
        return None
    return exam.answered[prompts - 1] + 1 if exam.answered else prompts


def _command(exam: Exam, chosen: Design | None, limit: int | None, typed: Sequence[str]) -> str:
    words = ["sciexam", "compare", *typed]
    asked = {marker.orders for marker in exam.markers if marker.orders != "own"}
    if chosen is not None and chosen.orders != "own" and asked != {chosen.orders}:
        words += ["--orders", chosen.orders]
    return shlex.join([*words, "--limit", str(limit)] if limit else words)
