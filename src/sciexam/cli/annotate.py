"""`sciexam annotate`: people compare answers, blind, on a page."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sciexam.cli.annotators import USUAL_PORT, Days, Port, PublicUrl, forget, link, print_lines
from sciexam.cli.completion import contestants
from sciexam.cli.options import (
    BudgetOption,
    MaxWait,
    PromptsFile,
    Results,
    RubricName,
    Samples,
    StorePath,
    SuiteName,
    are_files,
    chosen_suite,
)
from sciexam.cli.progress import progress
from sciexam.cli.running import announce, interruptible, terminal

if TYPE_CHECKING:
    from sciexam.annotate.queue import Queue
    from sciexam.store import Store

annotate = typer.Typer(help="People compare answers, blind, on a page.", no_args_is_help=True, rich_markup_mode=None)


class Scale(StrEnum):
    four_point = "four-point"
    five_point = "five-point"
    choice = "choice"
    choice_or_tie = "choice-or-tie"


class Task(StrEnum):
    pairs = "pairs"
    ranking = "ranking"
    demonstrations = "demonstrations"


class What(StrEnum):
    verdicts = "verdicts"
    preferences = "preferences"
    rankings = "rankings"
    demonstrations = "demonstrations"


Contestants = Annotated[
    list[str] | None,
    typer.Argument(
        autocompletion=contestants,
        help="Contestants of the suite, or files of answers (.jsonl, .json).  [default: the suite's]",
    ),
]
QueueName = Annotated[str | None, typer.Option("--queue", help="A queue's id.  [default: the only one, or the newest]")]


@annotate.command("serve")
def serve(
    contestants: Contestants = None,
    suite: SuiteName = None,
    task: Annotated[
        Task, typer.Option(help="Compare pairs, rank three to nine answers, or write answers.")
    ] = Task.pairs,
    scale: Annotated[Scale, typer.Option(help="What can be said of a pair.")] = Scale.four_point,
    annotators: Annotated[
        int | None, typer.Option(min=1, help="So many, without names.  [default: those with a link, or 4]")
    ] = None,
    names: Annotated[Path | None, typer.Option(help="A file of annotators' names, one a line.")] = None,
    overlap: Annotated[
        int | None,
        typer.Option(help="Annotators for each item.  [default: as before, or 4, or all where there are fewer]"),
    ] = None,
    samples: Samples = None,
    draw: Annotated[int | None, typer.Option(help="Take so many prompts, drawn at random.  [default: all]")] = None,
    gold: Annotated[
        Path | None, typer.Option(help='A .jsonl of checks: {"question": ..., "better": ..., "worse": ...}.')
    ] = None,
    repeats: Annotated[
        int | None,
        typer.Option(min=0, help="Pairs that each annotator is shown twice, as a check.  [default: as before, or 0]"),
    ] = None,
    guide: Annotated[
        Path | None, typer.Option(help="A text file of instructions for annotators.  [default: as before, or none]")
    ] = None,
    rubric: RubricName = None,
    prompts: PromptsFile = None,
    host: Annotated[str, typer.Option(help="The address to listen at; others need --public-url.")] = "127.0.0.1",
    port: Port = USUAL_PORT,
    public_url: PublicUrl = None,
    days: Days = None,
    budget: BudgetOption = None,
    max_wait: MaxWait = 120.0,
    store: StorePath = None,
    results: Results = Path("results"),
) -> None:
    """Serve the page, and print a personal link for each annotator. The same command again goes on where it stopped.

    One contestant with --samples 2 has its own answers compared.
    """
    from functools import partial

    from sciexam.annotate import serving
    from sciexam.annotate.announcement import opening
    from sciexam.annotate.desk import served_before
    from sciexam.annotate.overview import Overview
    from sciexam.annotate.overview_text import stored
    from sciexam.annotate.queue import make_queue
    from sciexam.errors import UsageError
    from sciexam.exam.answering import answers_of, bare_prompts
    from sciexam.exam.runs import opened, terms_of
    from sciexam.typed import Command
    from sciexam.web.serving import listening, origin_of

    if names is not None and annotators is not None:
        raise typer.BadParameter("--annotators counts people without names; give --names FILE or this, not both")
    named = serving.read_names(names) if names else []
    instructions = _read_guide(guide)
    chosen, listed = chosen_suite(suite, contestants or [], prompts, rubric, [], samples, results=results)
    if task is Task.demonstrations and len(listed) > 1:
        raise UsageError(
            "--task demonstrations: name the one contestant whose answers are edited, or none to have them written"
        )
    given = {"--suite": suite, "--rubric": rubric, "--prompts": prompts, "--samples": samples, "--store": store}
    typed = {option: str(value) for option, value in given.items() if value is not None}
    bare = suite is None and are_files(contestants or [])
    rubric_is = "" if rubric else "the default" if bare else f"that of suite {chosen.name}"
    typed |= {} if results == Path("results") else {"--results": str(results)}
    origin = origin_of(host, port, public_url)
    for one in listed:
        chosen.model(one)  # a name that is none is told before a port is taken
    bound = listening(host, port)
    if port == 0 and public_url is None:
        origin = origin_of(host, bound.getsockname()[1], None)
    terms = terms_of(chosen, max_wait, budget)
    with bound, opened(store, results, terms) as ledger:
        with interruptible() as stop, progress(False) as shown:
            if task is Task.demonstrations and not listed:
                answers = bare_prompts(chosen, draw)
            else:
                answers = answers_of(
                    chosen, listed, ledger, terms, draw=draw, stop=stop, preflight=announce, progress=shown
                )
        people = serving.invited(ledger, named, annotators, days)
        queue = make_queue(
            chosen,
            answers,
            task.value,
            scale.value,
            seal=ledger.seal,
            annotators=len(people),
            overlap=overlap,
            repeats=repeats,
            gold=gold,
            guide=instructions,
            before=partial(served_before, ledger),
        )
        invited = serving.write_invitations(ledger, results, queue, people, days, origin)
        print_lines(opening(ledger, queue, invited, origin, bound.getsockname()[:2], rubric_is))
        serving.serve(ledger, queue, bound, origin, Command(tuple(contestants or ()), typed))
        held = stored(Overview(ledger, queue))
        are = "is" if held == "1 judgement" else "are"
        end = f"stopped; {held} {are} stored. The same command goes on, with the same links"
        print(f"sciexam: {end}", file=sys.stderr)


def _read_guide(path: Path | None) -> str | None:
    from sciexam.errors import UsageError

    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8-sig")[:20_000]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--guide {path}: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None


annotate.command("link")(link)


@annotate.command("status")
def status(
    queue: QueueName = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, nothing else.")] = False,
    store: StorePath = None,
    results: Results = Path("results"),
) -> None:
    """Who has done what, how far they agree, and what deserves a look."""
    import json

    from sciexam.annotate.overview import Overview
    from sciexam.annotate.overview_text import tables_of, to_json
    from sciexam.exam.runs import existing_ledger
    from sciexam.report.tables import print_tables

    with existing_ledger(store, results, "annotate serve") as ledger:
        overview = Overview(ledger, _queue(ledger, queue))
        if as_json:
            print(json.dumps(to_json(overview), indent=1, allow_nan=False))
        else:
            print_tables(tables_of(overview), terminal())


@annotate.command("export")
def export(
    what: Annotated[What, typer.Argument(help="What is written.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file: .jsonl or .csv.")],
    queue: QueueName = None,
    with_names: Annotated[
        bool, typer.Option("--with-names", help="Names of annotators instead of pseudonyms.")
    ] = False,
    store: StorePath = None,
    results: Results = Path("results"),
) -> None:
    """Write verdicts, preference pairs (chosen, rejected, margin), rankings or demonstrations to a file."""
    from sciexam.annotate.export import DOWNLOADS, doubts, lines_of, written
    from sciexam.annotate.overview import Overview
    from sciexam.annotate.overview_text import left_outside
    from sciexam.errors import UsageError
    from sciexam.exam.runs import existing_ledger
    from sciexam.files import write_atomically

    if out.suffix not in (".jsonl", ".csv"):
        raise UsageError(f"--out {out}: write to a .jsonl (every text exactly) or a .csv (for spreadsheets)")
    with existing_ledger(store, results, "annotate serve") as ledger:
        found = _queue(ledger, queue)
        lines = list(lines_of(ledger, found, what.value, with_names))
        if what.value not in (has := DOWNLOADS[found.task]):
            raise UsageError(f"no {what.value} come of queue {found.id}, but {' and '.join(has)}; nothing was written")
        if not lines:
            raise UsageError(f"queue {found.id} has no {what.value} yet; nothing was written")
        overview = Overview(ledger, found)
        told = doubts(overview) if what is What.preferences else ""
        outside = f"{left_outside(overview)} left out" if overview.outside else ""
        known = ", ".join(filter(None, (told, outside)))
    write_atomically(out, written(lines, out.suffix[1:]))
    noun = "pairs" if what is What.preferences else what.value
    count = f"{len(lines)} {noun if len(lines) != 1 else noun.removesuffix('s')} of queue {found.id}"
    print(f"sciexam: wrote {out}: {count}{f': {known}' if known else ''}", file=sys.stderr)


@annotate.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(help="A .jsonl or .csv of verdicts: prompt, first, second, preferred, rater.")
    ],
    contestants: Contestants = None,
    suite: SuiteName = None,
    samples: Samples = None,
    rubric: RubricName = None,
    prompts: PromptsFile = None,
    store: StorePath = None,
    results: Results = Path("results"),
) -> None:
    """Read verdicts that people gave elsewhere into the ledger, under pseudonyms. They get no link by that."""
    from sciexam.annotate.importing import SHOWN, import_verdicts, left_out_of
    from sciexam.cli.made import counted
    from sciexam.exam.answering import answers_of
    from sciexam.exam.runs import location_of
    from sciexam.models.terms import USUAL
    from sciexam.report.next_steps import reader
    from sciexam.report.plain_text import one_line
    from sciexam.store import Store
    from sciexam.types import HUMANS

    chosen, listed = chosen_suite(suite, contestants or [], prompts, rubric, [], samples, results=results)
    with Store(location_of(store, results)) as ledger:
        answers = answers_of(chosen, listed, ledger, USUAL, recorded_only=True)
        done = import_verdicts(ledger, answers, file, chosen.rubric.digest)
    read = counted(done.new + done.known + len(done.unmatched), "verdict")
    counts = f"{done.new} new, {done.known} known already, {len(done.unmatched)} unmatched"
    print(f"{read} of {counted(len(done.annotators), 'annotator')} read: {counts}")
    print(f"To hold a judge against them: {chosen.command('validate', reader(chosen.readers), *listed)}")
    print(f"What they say: {chosen.command('compare', *listed, '--judge', HUMANS)}")
    for line in (*left_out_of(done.forgotten), *done.unmatched[:SHOWN]):
        print(f"sciexam: {one_line(line)}", file=sys.stderr)
    if len(done.unmatched) > SHOWN:
        print(f"sciexam: and {len(done.unmatched) - SHOWN} more that match no answer here", file=sys.stderr)


annotate.command("forget")(forget)


def _queue(ledger: Store, name: str | None) -> Queue:
    from sciexam.annotate.desk import kept_queue
    from sciexam.errors import UsageError, did_you_mean

    bodies = ledger.annotations.queues()
    if not bodies and ledger.has_human_verdicts():
        raise UsageError(
            f"{ledger.location}: nothing was ever served from it. It holds people's verdicts from elsewhere: "
            "`sciexam agree` tells of them"
        )
    if not bodies:
        raise UsageError(f"{ledger.location}: nothing was ever served from it; begin with `sciexam annotate serve`")
    found = [id for id in bodies if name is None or id.startswith(name)]
    if not found or (name is not None and len(found) > 1):
        what = f"{name!r} is not a queue here" if not found else f"several queues begin with {name!r}"
        raise UsageError(f"{what}{did_you_mean(str(name), bodies)}")
    if name is None and len(bodies) > 1:
        others = ", ".join(id for id in bodies if id != found[-1])
        told = f"queue {found[-1]}, which was served last; --queue names another of {others}"
        print(f"sciexam: {told}", file=sys.stderr)
    return kept_queue(ledger, bodies[found[-1]])
