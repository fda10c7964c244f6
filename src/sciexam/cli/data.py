"""`sciexam data`: training data. Each command makes a folder or a file; what it holds is in docs/training-data.md."""

from __future__ import annotations

import datetime
import json
import re
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sciexam.cli.generated import answers, prompts
from sciexam.cli.options import AsJson

if TYPE_CHECKING:
    from sciexam.exchange.training_data import Made

PACE = 10.0  # seconds between two lines on how far a command is
SHOWN = 12  # reasons of a list

data = typer.Typer(help="Make data to train with and to test with.", no_args_is_help=True, rich_markup_mode=None)
data.command("answers")(answers)
data.command("prompts")(prompts)

_DAY = ["%Y-%m-%d"]


@data.command("stackexchange")
def stackexchange(
    dumps: Annotated[
        list[Path],
        typer.Argument(metavar="DUMP", help="Posts.xml, its folder, a site's .7z; or .jsonl with --columns."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write; it is replaced as a whole.")],
    columns: Annotated[
        Path | None, typer.Option("--columns", help="For .jsonl: a YAML file that says what the columns are.")
    ] = None,
    site: Annotated[
        str | None,
        typer.Option("--site", help="The site of Posts.xml: cooking.stackexchange.com; of .jsonl only this."),
    ] = None,
    since: Annotated[
        datetime.datetime | None, typer.Option(formats=_DAY, help="Questions asked on this day or later.")
    ] = None,
    until: Annotated[
        datetime.datetime | None, typer.Option(formats=_DAY, help="Questions asked on this day or before.")
    ] = None,
    tags: Annotated[str | None, typer.Option("--tags", help="Questions with one of these tags: bread,yeast")] = None,
    min_score: Annotated[
        int, typer.Option("--min-score", help="Of a demonstration: round(log2(1 + votes)), plus 1 if accepted.")
    ] = 1,
    max_questions: Annotated[
        int | None, typer.Option("--max-questions", min=1, help="Draw this many questions of those that are wanted.")
    ] = None,
    test_share: Annotated[
        float, typer.Option("--test-share", min=0.0, max=0.9, help="The share of questions that nothing trains on.")
    ] = 0.05,
    suite: Annotated[
        str | None, typer.Option("--suite", "-s", help="A suite whose prompts are kept out of what trains.")
    ] = None,
    messages: Annotated[
        bool, typer.Option("--messages", help="Demonstrations as `messages`, not as `prompt` and `completion`.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", help="Draws the split, the order, and ten of many pairs.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Make demonstrations and preferences of questions, answers and votes.

    They are read from a dump of StackExchange, or from JSON Lines whose columns a YAML file names.

    Nothing is written where anything is wrong with the rows: all faults are told, each with its file and line.
    """
    from sciexam.errors import UsageError

    for package in ("datasketch", "markdownify"):
        if find_spec(package) is None:
            raise UsageError(f"`sciexam data stackexchange` needs {package}: pip install 'sciexam[data]'")
    if since and until and since > until:
        raise UsageError(f"--since {since:%Y-%m-%d} is after --until {until:%Y-%m-%d}: no day is left")
    from sciexam.exchange.question_draw import Choice
    from sciexam.exchange.training_data import make

    choice = Choice(
        site=site,
        since=f"{since:%Y-%m-%d}" if since else None,
        until=f"{until:%Y-%m-%d}" if until else None,
        tags=tuple(word for word in re.split(r"[,\s]+", tags or "") if word),
        min_score=min_score,
        max_questions=max_questions,
        test_share=test_share,
        seed=seed,
        messages=messages,
    )
    made = make(dumps, out, choice, columns, suite, _Pace().tick)
    if as_json:
        print(json.dumps(made.to_json(), indent=1, allow_nan=False))
    else:
        _show(made, suite)


class _Pace:
    """Says on stderr how far a long command is, one line from time to time."""

    def __init__(self) -> None:
        self._what, self._told, self._begun, self._first = "", time.monotonic(), 0.0, 0

    def tick(self, what: str, done: int) -> None:
        now = time.monotonic()
        if what != self._what:
            self._what, self._begun, self._first = what, now, done
        if now - self._told >= PACE:
            self._told = now
            rate = (done - self._first) / max(now - self._begun, 1e-9)
            print(f"sciexam: {what} {done:,}, {rate:,.0f} a second", file=sys.stderr, flush=True)


def _show(made: Made, suite: str | None) -> None:
    from sciexam.report.plain_text import one_line

    for line in _lines(made, suite):
        print(" " * (len(line) - len(line.lstrip())) + one_line(line))


def _lines(made: Made, suite: str | None) -> list[str]:
    from sciexam.exchange.training_data import FILES

    read, kept = ", ".join(f"{n:,} {what}" for what, n in made.read.items() if n), made.questions
    lines = [f"Read: {read}"]
    total = kept["train"] + kept["test"]
    lines.append(f"Kept: {total:,} questions, {kept['train']:,} to train with, {kept['test']:,} to test with")
    for what, counts in made.left_out.items():
        lines += [f"Left out {what}:"] if counts else []
        lines += [f"  {n:>9,}  {why}" for why, n in list(counts.items())[:SHOWN]]
        lines += [f"  and for {len(counts) - SHOWN} more reasons, in provenance.json"] if len(counts) > SHOWN else []
    lines.append(f"{made.folder}:")
    lines += [f"  {n:>9,}  {name}: {FILES[name]}" for name, n in made.files.items()]
    licences = ", ".join(f"{licence} ({n:,} texts)" for licence, n in list(made.licences.items())[:SHOWN])
    lines.append(f"Licences: {licences}. Each row names author, link and licence: pass them on with its texts.")
    return [*lines, *_next(made, suite)]


def _next(made: Made, suite: str | None) -> list[str]:
    folder = Path(made.folder)
    uses = [("demonstrations.jsonl", "sft: {from: base, stage: sft, data: %s}")]
    uses += [("preferences.jsonl", "rm: {from: sft, stage: reward, data: %s}")]
    models = [f"    {use % (folder / name)}" for name, use in uses if name in made.files]
    lines = ["Next: name the files in a suite, and look it over:", *models]
    if suite is None and "test_prompts.jsonl" in made.files:
        lines.insert(1, f"    prompts: {folder / 'test_prompts.jsonl'}")
    return [*lines, f"    sciexam check {suite or 'SUITE'}"]
