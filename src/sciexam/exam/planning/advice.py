"""What to type next: the command for a design, with what has to be there first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sciexam.exam.plan import samples_of
from sciexam.exam.planning.designs import Exam
from sciexam.report.next_steps import reader
from sciexam.report.planning.outlook import Design

PILOT_PROMPTS = 50


def advise(
    exam: Exam, chosen: Design, named: Sequence[str], effect: float | None, labels: int | None = None
) -> Iterator[str]:
    """The command for the chosen design, with what has to be there first; each line is said or typed as it is.

    `named`: the contestants and judges that were named, as words of a command. `effect`: the win rate that was to be
    found, if one was. `labels`: the prompts that people are to label, if any are.
    """
    first = list(_first(exam, chosen, named))
    yield from first
    if exam.recorded and chosen.prompts > exam.there:
        names = " and ".join(exam.recorded)
        more = "let people judge more, or a judge that can be asked; what one costs:"
        yield f"the verdicts of {names} are recorded and end with the prompts that are there: {more}"
        yield _without_recorded(exam, chosen, named, effect)
        return
    people = list(_people(exam, chosen, named, labels))
    if people:
        yield f"{'then ' if first else ''}let people judge the answers, blind:"
        yield from people
    if first or people:
        yield "then:"
    yield _command(exam, chosen, _limit(exam, chosen.prompts), named)


def _first(exam: Exam, chosen: Design, named: Sequence[str]) -> Iterator[str]:
    yield from exam.unready
    if exam.absent:
        yield exam.absent
    elif exam.parties and any(ground.source == "assumed" for ground in exam.grounds):
        pilot = min(PILOT_PROMPTS, exam.there)
        if chosen.prompts > pilot:
            yield "first a pilot, in place of the assumptions:"
            yield _command(exam, None, _limit(exam, pilot), named)
    yield from _prompts(exam, chosen.prompts)


def _people(exam: Exam, chosen: Design, named: Sequence[str], labels: int | None) -> Iterator[str]:
    """The command that lets people judge, where the exam wants more prompts judged by them than are."""
    wanted, judged = exam.by_people(chosen.prompts, labels)
    if wanted > judged:
        contestants = named[: named.index("--judge")] if "--judge" in named else named
        draw = ("--draw", str(wanted)) if wanted < max(exam.there, chosen.prompts) else ()
        yield exam.suite.command("annotate", "serve", *contestants, *draw)


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


def _without_recorded(exam: Exam, chosen: Design, named: Sequence[str], effect: float | None) -> str:
    """The same plan by the judges that can be asked; by one that reads, where none of them can."""
    gone = [marker.named for marker in exam.markers if marker.recorded]
    words = list(named)
    for place in reversed([place for place, word in enumerate(named) if word == "--judge"]):
        if named[place + 1] in gone:
            del words[place : place + 2]
    asked = () if "--judge" in words else ("--judge", reader())
    sought = ("--effect", f"{effect:g}") if effect is not None else ("--size", str(chosen.prompts))
    return exam.suite.command("plan", *words, *asked, *sought)


def _command(exam: Exam, chosen: Design | None, limit: int | None, named: Sequence[str]) -> str:
    words = ["compare", *named]
    asked = {marker.orders for marker in exam.markers if marker.orders != "own"}
    if chosen is not None and chosen.orders != "own" and asked != {chosen.orders}:
        words += ["--orders", chosen.orders]
    if chosen is not None and chosen.samples != samples_of(exam.suite, exam.contestants):
        words += ["--samples", str(chosen.samples)]
    return exam.suite.command(*words, *(("--limit", str(limit)) if limit else ()))
