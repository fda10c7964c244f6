"""`sciexam data`: training data. Each command makes a folder or a file; what it holds is in docs/training-data.md."""

from __future__ import annotations

import datetime
import json
import re
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sciexam.cli.generated import answers, prompts
from sciexam.cli.made import SHOWN, counted, folder, reasons, show
from sciexam.cli.options import AsJson

if TYPE_CHECKING:
    from sciexam.exchange.training_data import Made

PACE = 10.0  # seconds between two lines on how far a command is

data = typer.Typer(help="Make data to train with and to test with.", no_args_is_help=True, rich_markup_mode=None)
data.command("answers")(answers)
data.command("prompts")(prompts)

_DAY = ["%Y-%m-%d"]


@data.command("stackexchange")
def stackexchange(
    dumps: Annotated[
        list[Path],
        typer.Argument(metavar="DUMP", help="Posts.xml, its folder, a site's .7z; or .jsonl (.gz) with --columns."),
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
        show(_lines(made, suite))


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


def _lines(made: Made, suite: str | None) -> Iterator[str]:
    from sciexam.exchange.training_data import FILES

    read = [counted(made.read["questions"], "question"), counted(made.read["answers"], "answer")]
    read += [counted(made.read["other"], "other row")] if made.read["other"] else []
    yield f"Read: {', '.join(read)}"
    kept = made.questions
    parts = f"{kept['train']:,} to train with, {kept['test']:,} to test with"
    yield f"Kept: {counted(kept['train'] + kept['test'], 'question')}, {parts}"
    for what, counts in made.left_out.items():
        yield from reasons(f"Left out {what}", counts)
    yield from folder(made.folder, made.files, FILES)
    licences = list(made.licences.items())
    named = [f"{licence[:80]} ({counted(n, 'post')})" for licence, n in licences[:SHOWN]]
    named += [f"{len(licences) - SHOWN:,} more, in provenance.json"] if len(licences) > SHOWN else []
    yield f"Licences: {', '.join(named)}. Each row names author, link and licence: pass them on with its texts."
    yield from _next(made, suite)


def _next(made: Made, suite: str | None) -> Iterator[str]:
    out, files = Path(made.folder), made.files
    yield f"Next: name the files in {suite or 'a suite'}, and look it over:"
    if suite is None and "test_prompts.jsonl" in files:
        yield f"    prompts: {out / 'test_prompts.jsonl'}"
    if "demonstrations.jsonl" in files:
        yield f"    sft: {{from: base, stage: sft, data: {out / 'demonstrations.jsonl'}}}"
    if "preferences.jsonl" in files:
        begun = "sft" if "demonstrations.jsonl" in files else "base"
        yield f"    rm: {{from: {begun}, stage: reward, data: {out / 'preferences.jsonl'}}}"
    yield f"    sciexam check {suite or 'SUITE'}"
