"""What to do after an agreement: sentences with the command to type, from who the raters are."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from sciexam.report.agreeing.agreement import Agreement
from sciexam.report.next_steps import is_general, reader
from sciexam.report.record import Step
from sciexam.typed import Command, command_of, untyped

MOST = 3  # judges that are named


def steps_of(
    found: Agreement,
    argv: Sequence[str],
    judges: Collection[str],
    held: Collection[str] = (),
    readers: Sequence[str] = (),
) -> tuple[Step, ...]:
    """People where there are none, then what holds a judge against them.

    `argv` is the command line that made it, `judges` are the names of the suite's judges; `held`: who was held against
    people on these answers; `readers`: the judges of the suite that can be asked.
    """
    command = command_of(argv, "agree") or untyped(found.suite, *found.contestants)
    if not any(row.kind == "human" for row in found.raters):
        why = "Judges that agree may err alike; to let people judge, blind"
        return (Step(why, command.line("annotate", "serve", *command.contestants)),)
    return tuple(_held(found, command, judges, held, readers))


def _held(
    found: Agreement, command: Command, judges: Collection[str], held: Collection[str], readers: Sequence[str]
) -> Iterator[Step]:
    files = {Path(said).stem: said for said in command.judges if said.endswith(".jsonl")}
    here = [row.rater for row in found.raters if row.kind != "human"]
    named = [
        (name, files.get(name, name))
        for name in here
        if name not in held and (name in files or name in judges or is_general(name))
    ]
    for name, typed in named[:MOST]:
        why = f"To hold {name} against the people, beside a coin and the longer answer"
        yield Step(why, command.line("validate", typed, *command.contestants))
    if not here:
        why = "To hold a judge against these people"
        yield Step(why, command.line("validate", reader(readers), *command.contestants))
