"""`sciexam import`: other tools' files become a suite."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sciexam.cli.options import AsJson
from sciexam.cli.running import terminal

if TYPE_CHECKING:
    from sciexam.exchange.landed import Landed

SHOWN = 20  # lines of a list


def import_(
    format: Annotated[
        str,
        typer.Argument(
            help="alpacaeval, mt-bench, arena-hard, rewardbench, lmarena, pandalm, inspect, label-studio, argilla, "
            "table."
        ),
    ],
    paths: Annotated[list[Path], typer.Argument(help="Files of that format, or folders of them.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out", help="The folder to write; one that an import wrote is replaced, unless its suite was edited."
        ),
    ],
    name: Annotated[str | None, typer.Option("--name", help="The suite's name.  [default: the folder's]")] = None,
    rubric: Annotated[
        str, typer.Option("--rubric", help="The rubric that the suite names, for judges that you ask later.")
    ] = "helpfulness",
    mapping: Annotated[
        Path | None,
        typer.Option(
            "--mapping", help="For table, label-studio, argilla: a YAML file that says what the columns or fields are."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read other tools' files into a folder that is a suite: prompts, answers, verdicts, rewards.

    Nothing is written where anything is wrong with the files: all faults are told, each with its file and line.
    """
    from sciexam import exchange
    from sciexam.exchange.landed import check_target, land

    check_target(out, name, rubric)  # before anything large is read
    landed = land(exchange.read(format, paths, mapping), out, name, rubric)
    if as_json:
        print(json.dumps(landed.to_json(), indent=1, allow_nan=False))
    else:
        _tell(landed)


def _tell(landed: Landed) -> None:
    from sciexam.report.tables import text_for

    console = terminal()
    for line in _lines(landed):
        indent = "    " if line.startswith("    ") else ""
        console.print(indent, text_for(console, line), sep="", soft_wrap=True)


def _lines(landed: Landed) -> list[str]:
    said = [f"{landed.folder}: suite {landed.suite}, {landed.prompts:,} prompts, {len(landed.responses):,} models"]
    read = sum(file["rows"] for file in landed.files.values())
    said.append(f"Read: {read:,} rows of {_number(len(landed.files), 'file')}")
    answers = f"Landed: {_number(sum(landed.responses.values()), 'answer')}"
    said.append(
        f"{answers}, {_number(_total(landed.verdicts), 'verdict')}, {_number(_total(landed.rewards), 'reward')}"
    )
    said += _listed("Verdicts", {judge: f"{n:,}" for judge, n in landed.verdicts.items()})
    said += _listed("Rewards", {judge: f"{n:,}" for judge, n in landed.rewards.items()})
    if landed.answers_missing:
        said.append(
            f"Not matched: {_number(landed.answers_missing, 'answer')} that verdicts or rewards speak of are in no "
            f"file ({_number(landed.verdicts_unmatched, 'verdict')}); a sentence that says so stands for each"
        )
    said += _listed("Left out", {f"{one.why} (first at {one.first})": f"{one.rows:,}" for one in landed.left_out})
    said += _listed("Renamed", {old: new for new, old in landed.renamed.items()})
    said += [f"Note: {note}" for note in landed.notes]
    said += [f"Licence: {landed.licence}"] if landed.licence else []
    said += ["Next:", *(f"    {command}" for command in _commands(landed))]
    return said


def _total(counts: dict[str, int]) -> int:
    return sum(counts.values())


def _number(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def _listed(head: str, found: dict[str, str]) -> list[str]:
    lines = [f"    {what}: {how}" for what, how in list(found.items())[:SHOWN]]
    more = [f"    and {len(found) - SHOWN:,} more, all in provenance.json"] if len(found) > SHOWN else []
    return [f"{head}:", *lines, *more] if found else []


def _commands(landed: Landed) -> list[str]:
    import shlex

    from sciexam.report.standings.as_peers import PEERS

    suite = shlex.quote(str(Path(landed.folder) / "suite.yaml"))
    commands = [f"sciexam check {suite}"]
    if landed.verdicts and len(landed.responses) > 1:
        judge = next(iter(landed.verdicts))
        board = f"sciexam leaderboard --suite {suite} --judge {shlex.quote(judge)}"
        commands += [board, *([f"{board} --as {landed.format}"] if landed.format in PEERS else [])]
    if landed.verdicts and len(landed.raters) > 1:
        commands.append(f"sciexam agree --suite {suite}")
    if judge := _held_against_people(landed):
        commands.append(f"sciexam validate {shlex.quote(judge)} --suite {suite}")
    if landed.rewards:
        judge = landed.rewarder(next(iter(landed.rewards)))
        names = " ".join(map(shlex.quote, landed.responses))
        commands.append(f"sciexam reward {names} --suite {suite} --model {shlex.quote(judge)}")
    return commands


def _held_against_people(landed: Landed) -> str:
    """The judge to hold against the people of the files: one of the files, else one that reads; empty without either.

    An answer that no file holds is none to read.
    """
    from sciexam.exchange.names import PEOPLE
    from sciexam.report.next_steps import reader

    if "human" not in landed.raters.values() or len(landed.responses) < 2:
        return ""
    recorded = [judge for judge in landed.verdicts if judge != PEOPLE]
    return next(iter(recorded), "" if landed.answers_missing else reader())
