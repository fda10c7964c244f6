"""What to type next: the command for a design, with what has to be there first."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from sciexam.exam.markers import Marker
from sciexam.exam.plan import samples_of
from sciexam.exam.planning.designs import Exam
from sciexam.report.next_steps import ANY_READER, reader
from sciexam.report.planning.outlook import Design, Ground
from sciexam.report.validating.faults import useless

PILOT_PROMPTS = 50


def advise(
    exam: Exam, chosen: Design, named: Sequence[str], effect: float | None, labels: int | None = None
) -> Iterator[str]:
    """The command for the chosen design, with what has to be there first; each line is said or typed as it is.

    `named`: the contestants and judges that were named, as words of a command. `effect`: the win rate that was to be
    found, if one was. `labels`: the prompts that people are to label, if any are.
    """
    faults = _faults(exam.grounds)
    first = [] if faults else list(_first(exam, chosen, named))
    yield from first
    if not faults and exam.recorded and chosen.prompts > exam.there:
        names = " and ".join(exam.recorded)
        more = "let people judge more, or a judge that can be asked; what one costs:"
        yield f"the verdicts of {names} are recorded and end with the prompts that are there: {more}"
        yield _planned(exam, chosen, named, effect, exam.recorded)
        return
    people = list(_people(exam, chosen, named, labels))
    if people:
        yield f"{'then ' if first else ''}let people judge the answers, blind:"
        yield from people
    if faults:
        yield from _another(exam, chosen, named, effect, faults)
        return
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
        draw = ("--draw", str(wanted)) if wanted < max(exam.there, chosen.prompts) else ()
        yield exam.suite.command("annotate", "serve", *_contestants(named), *draw)


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


def _faults(grounds: Sequence[Ground]) -> dict[str, str]:
    found = {ground.judge: useless(ground.by_chance, ground.leaning) for ground in grounds}
    return {judge: fault for judge, fault in found.items() if fault}


def _another(
    exam: Exam, chosen: Design, named: Sequence[str], effect: float | None, faults: Mapping[str, str]
) -> Iterator[str]:
    """In the place of a comparison by judges with `faults`, what there is by others."""
    why = "; ".join(f"{judge} {fault}" for judge, fault in faults.items())
    why += ", which more prompts do not mend"
    if any(marker.name not in faults and not _by_form(exam, marker) for marker in exam.markers):
        yield f"{why}; to plan without {'it' if len(faults) == 1 else 'them'}:"
        yield _planned(exam, chosen, named, effect, faults)
        return
    other = reader(exam.suite.readers, faults)
    other = other if other not in faults else ANY_READER
    yield f"{why}; to ask another:"
    if any(ground.by_chance for ground in exam.grounds):
        yield exam.suite.command("validate", other, *_contestants(named))
    else:
        yield _planned(exam, chosen, named, effect, [marker.name for marker in exam.markers], other)


def _by_form(exam: Exam, marker: Marker) -> bool:
    """Whether it is a text measure."""
    bench = exam.pilot.benches.get(marker.name) if exam.pilot else None
    return bench is not None and bench.by_form


def _contestants(named: Sequence[str]) -> Sequence[str]:
    return named[: named.index("--judge")] if "--judge" in named else named


def _planned(
    exam: Exam, chosen: Design, named: Sequence[str], effect: float | None, gone: Collection[str], by: str = ""
) -> str:
    """The same plan without the judges that are `gone`; `by` one that reads, where nobody else is left."""
    left = [marker.named for marker in exam.markers if marker.name not in gone and marker.named]
    judges = [word for name in left or [by or reader(exam.suite.readers)] for word in ("--judge", name)]
    sought = ("--effect", f"{effect:g}") if effect is not None else ("--size", str(chosen.prompts))
    return exam.suite.command("plan", *_contestants(named), *judges, *sought)


def _command(exam: Exam, chosen: Design | None, limit: int | None, named: Sequence[str]) -> str:
    words = ["compare", *named]
    asked = {marker.orders for marker in exam.markers if marker.orders != "own"}
    if chosen is not None and chosen.orders != "own" and asked != {chosen.orders}:
        words += ["--orders", chosen.orders]
    if chosen is not None and chosen.samples != samples_of(exam.suite, exam.contestants):
        words += ["--samples", str(chosen.samples)]
    return exam.suite.command(*words, *(("--limit", str(limit)) if limit else ()))
