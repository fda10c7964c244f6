"""What to do after an audit: sentences with the command to type, from what the card says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil

from sciexam.report.audit import Card, Line, Takes
from sciexam.report.next_steps import AUDITED, DRAWN, first_of, of_judge, reader, with_most
from sciexam.report.record import Step
from sciexam.typed import Command
from sciexam.types import HUMANS


def steps_of(
    card: Card,
    argv: Sequence[str],
    prompts: int,
    validated: bool,
    takes: Takes | None = None,
    readers: Sequence[str] = (),
) -> tuple[Step, ...]:
    """What is missing first, then what would settle the card, then what no card can tell.

    `argv` is the command line that made it. `prompts`: how many the exam has, of which the first may have been taken;
    `validated`: whether the judge was held against people; `takes`: what an audit takes of one that calls a model.
    `readers`: the judges of the suite that can be asked.
    """
    judge, command = of_judge("audit", argv, card.suite, card.judge, card.contestants)
    return (
        *_missing(card, command),
        *_unclear(card, command, prompts, takes),
        *_another(card, judge, command, prompts, validated, readers),
        *_people(card, judge, command, validated),
    )


def _missing(card: Card, command: Command) -> Iterator[Step]:
    if card.calls.unasked:
        yield Step(
            "Not everything was asked for; the same command with more room goes on", command.repeated(name="audit")
        )
    elif any(line.failed for line in card.lines):
        yield Step("Calls failed; they are made again by", command.repeated(name="audit"))
    if any(line.invalid for line in card.lines):
        why = "Replies could not be used; to draw once more"
        yield Step(why, command.repeated("--retry-invalid", name="audit"))


def _unclear(card: Card, command: Command, prompts: int, takes: Takes | None) -> Iterator[Step]:
    """More of the prompts that there are, where they may settle a line."""
    unclear = [line for line in card.lines if line.outcome == "unclear" and not line.family]
    within = [needed for line in unclear if card.prompts < (needed := _needed(card, line)) <= prompts]
    if within:
        lines = f"{len(within)} of {len(unclear)} unclear lines" if len(unclear) > 1 else "the unclear line"
        taken = list(command.again)
        if "--limit" in taken:
            at = taken.index("--limit")
            del taken[at : at + 2]
        more = replace(command, again=tuple(taken)).repeated("--limit", str(max(within)), name="audit")
        why = with_most(f"About {max(within):,} prompts may settle {lines}", takes, max(within) - card.prompts)
        yield Step(f"{why}; what was asked is not asked again", more)


def _needed(card: Card, line: Line) -> int:
    """How many prompts of the exam settle an unclear line, of whose cases only a part of them counts; 0: unknown."""
    return ceil((line.settled_by or 0) * card.prompts / max(line.figure.n, 1))


def _another(
    card: Card, judge: str, command: Command, prompts: int, validated: bool, readers: Sequence[str]
) -> Iterator[Step]:
    """Another judge where this one fails, and the people whom it was held against."""
    failed = list(dict.fromkeys(line.name for line in card.failing))
    if failed and judge != (other := reader(readers, {judge})):
        lines = "this line" if len(failed) == 1 else "these lines"
        why = f"{card.judge} fails {', '.join(failed)}; to see whether another judge passes {lines}"
        why += "" if other in readers else ", for money"
        takes = Takes(referred=any(line.name == "copied reference" and line.planned for line in card.lines))
        why = with_most(why, takes, min(AUDITED, prompts))
        yield Step(why, command.line("audit", other, *command.contestants, *first_of(prompts)))
    if failed and validated:
        why = "To go by the people who judged, and by no model"
        yield Step(why, command.line("compare", *command.contestants, "--judge", HUMANS))


def _people(card: Card, judge: str, command: Command, validated: bool) -> Iterator[Step]:
    """What no card can tell: whether the judge is right."""
    if not validated:
        why = "No card tells whether a judge is right. To let people compare the answers, blind"
        some = ("--draw", f"{DRAWN}") if card.prompts > DRAWN else ()
        yield Step(why, command.line("annotate", "serve", *command.contestants, *some))
        why = f"Once people have, to hold {card.judge} against what they say"
        yield Step(why, command.line("validate", judge, *command.contestants))
    why = f"To compare by {card.judge}{' all the same' * bool(card.failing)}, with what this card found beside it"
    yield Step(why, command.line("compare", *command.contestants, "--judge", judge))
