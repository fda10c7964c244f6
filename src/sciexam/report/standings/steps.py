"""What to do after a board: what tells its contestants apart, and whether its judge can be relied on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from sciexam.report.audit import Takes
from sciexam.report.evidence import Bench
from sciexam.report.next_steps import AUDITED, DRAWN, first_of, reader, with_most
from sciexam.report.record import Step
from sciexam.report.standings.leaderboard import Leaderboard
from sciexam.typed import Command, command_of, untyped


def steps_of(
    board: Leaderboard,
    argv: Sequence[str],
    bench: Bench,
    recorded: bool,
    contestants: Sequence[str],
    prompts: int,
    judged: str = "",
    takes: Takes | None = None,
    readers: Sequence[str] = (),
) -> tuple[Step, ...]:
    """What is missing, or a judge that reads where none does, then what would part the first two, then people, then an
    audit.

    `argv` is the command line that made the board, `bench` its judge, `recorded` whether that is a file, which cannot
    be asked. `contestants`: those of the suite; `prompts`: how many the board has. `judged`: as which judge people can
    be heard, if any judged here; `takes`: what an audit takes; `readers`: as in `next_steps`.
    """
    typed = command_of(argv, "leaderboard")
    command = typed or untyped(board.suite, *contestants)
    again = command if typed else replace(command, again=(*command.again, "--judge", board.judge))
    missing = tuple(_missing(board, again, asked=not recorded and bench.trust != "people"))
    if bench.by_form:
        why = "A text measure has judged, which knows nothing of meaning; to ask a language model"
        by = ("leaderboard", *command.contestants, "--judge", reader(readers))
        return (
            *missing,
            Step(why + ("" if readers else ", for money"), command.line(*by)),
        )
    if bench.trust in ("fake", "people") or not any(row.battles for row in board.rows):
        return missing
    named = next(iter(command.judges), board.judge)
    return (
        *missing,
        *(() if recorded or bench.by_chance else _apart(board, command, named, contestants)),
        *(_validated(board, command, named, prompts, judged) if bench.trust == "doubtful" else ()),
        *(() if recorded or bench.audited else _audited(board, command, named, prompts, takes)),
    )


def _missing(board: Leaderboard, command: Command, asked: bool) -> Iterator[Step]:
    """The same command again, where not everything has a result; `asked`: whether the judge can be asked once more."""
    if board.calls.unasked:
        why = "Not everything was asked for; the same command with more room goes on"
        yield Step(why, command.repeated(name="leaderboard"))
    elif board.failed:
        yield Step("Calls failed; they are made again by", command.repeated(name="leaderboard"))
    if board.invalid and asked:
        are = "verdicts are" if board.invalid != 1 else "verdict is"
        why = f"{board.invalid:,} {are} missing, as replies could not be used; to draw once more"
        yield Step(why, command.repeated("--retry-invalid", name="leaderboard"))


def _apart(board: Leaderboard, command: Command, named: str, contestants: Sequence[str]) -> Iterator[Step]:
    """How many prompts would part the first two who may hold one rank."""
    rated = [row for row in board.rows if row.tie_group is not None and row.contestant in contestants]
    pair = next(((a, b) for a, b in pairwise(rated) if a.tie_group == b.tie_group), None)
    if pair:
        first, second = (row.contestant for row in pair)
        why = f"{first} and {second} are not told apart; how many prompts that takes, and what they cost"
        yield Step(why, command.line("plan", second, first, "--judge", named))


def _validated(board: Leaderboard, command: Command, named: str, prompts: int, judged: str) -> Iterator[Step]:
    """People where none has judged, then the judge against what they say."""
    if not judged:
        some = ("--draw", str(DRAWN)) if prompts > DRAWN else ()
        why = "No person has judged these answers; to let people compare them, blind"
        yield Step(why, command.line("annotate", "serve", *command.contestants, *some))
    why = f"{'To' if judged else 'Once people have, to'} hold {board.judge} against what they say"
    yield Step(why, command.line("validate", named, *command.contestants))


def _audited(board: Leaderboard, command: Command, named: str, prompts: int, takes: Takes | None) -> Iterator[Step]:
    some = first_of(prompts, limited="--limit" in command.again)
    why = with_most(f"To see what {board.judge} can be moved by", takes, min(AUDITED, prompts))
    yield Step(why, command.line("audit", named, *command.contestants, *some))
