"""The options that several commands share, and the suite that they mean."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Collection
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sciexam.cli.answers_here import SUFFIXES, answer_files, compared_last, file_named, nearest_file
from sciexam.cli.completion import rubrics, suites

if TYPE_CHECKING:
    from sciexam.suite import Suite


class Orders(StrEnum):
    both = "both"
    one = "one"


class Policy(StrEnum):
    mean = "mean"
    conservative = "conservative"


class EngineName(StrEnum):
    local = "local"
    ray = "ray"


class FigureFormat(StrEnum):
    svg = "svg"
    pdf = "pdf"
    png = "png"


Results = Annotated[Path, typer.Option(help="The folder for runs and reports.")]
SuiteName = Annotated[
    str | None,
    typer.Option(
        "--suite",
        "-s",
        autocompletion=suites,
        help="A suite's name or file.  [default: the only one in ./suites, or science]",
    ),
]
RubricName = Annotated[
    str | None,
    typer.Option("--rubric", autocompletion=rubrics, help="A rubric's name or file, instead of the suite's."),
]
Samples = Annotated[
    int | None, typer.Option(min=1, help="Answers of each contestant to a prompt.  [default: as the suite says]")
]
PromptsFile = Annotated[
    Path | None, typer.Option("--prompts", help="A file of prompts, for files of answers without a suite.")
]
Slice = Annotated[str, typer.Option("--by", help="The field of a prompt to slice by.")]
Limit = Annotated[int | None, typer.Option("--limit", help="Take the first prompts only.")]
OrdersOption = Annotated[
    Orders | None,
    typer.Option(
        "--orders", help="Show each pair in both orders, or in one that is drawn.  [default: the judge's, or both]"
    ),
]
PolicyOption = Annotated[Policy, typer.Option("--policy", help="How two orders make one score.")]
RetryInvalid = Annotated[bool, typer.Option("--retry-invalid", help="Ask again where a reply was not usable.")]
MaxWait = Annotated[float, typer.Option("--max-wait", help="Seconds that an endpoint may ask a call to wait.")]
StorePath = Annotated[
    str | None,
    typer.Option(
        "--store",
        help="The ledger of facts: a file, or postgresql://USER@HOST/DATABASE.  [default: RESULTS/ledger.sqlite]",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, nothing else.")]
UntilDecided = Annotated[
    bool, typer.Option("--until-decided", help="Ask for no more prompts once every pair is decided by every judge.")
]
BudgetOption = Annotated[
    float | None, typer.Option("--budget", help="The most to spend on calls, in USD by the suite's prices.")
]
BatchOption = Annotated[
    bool, typer.Option("--batch", help="Ask endpoints through their batch API: cheaper, and done within a day.")
]
EngineOption = Annotated[
    EngineName, typer.Option("--engine", help="Ask local weights in this process, or on the nodes of a Ray cluster.")
]
StrictModel = Annotated[
    bool, typer.Option("--strict-model", help="Exit 4 where an endpoint answers as another model than was asked for.")
]
OpenPage = Annotated[bool, typer.Option("--open", help="Open the report in a browser.")]
Figures = Annotated[Path | None, typer.Option("--figures", help="A folder to write the figures to, for a paper.")]
FigureFormatOption = Annotated[
    FigureFormat | None, typer.Option("--format", help="How the figures are written.  [default: svg]")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the result in one sentence a pair.")]
InShort = Annotated[bool, typer.Option("--quiet", "-q", help="Print the result in one sentence.")]


def are_files(given: list[str]) -> bool:
    """Whether files of answers alone are named: without --suite they have one of their own."""
    return bool(given) and all(one.endswith(SUFFIXES) for one in given)


def judge_of(suite: Suite, named: str | None) -> str:
    """The judge that is named, or else the suite's, which is told on stderr."""
    if named is None:
        from sciexam.report.plain_text import one_line

        print(
            f"sciexam: {one_line(f'no judge was named, so it is that of suite {suite.name}: {suite.judge}')}",
            file=sys.stderr,
        )
    return named or suite.judge


def chosen_suite(
    name: str | None,
    given: list[str],
    prompts: Path | None,
    rubric: str | None,
    judges: list[str],
    samples: int | None = None,
    *,
    results: Path,
) -> tuple[Suite, list[str]]:
    """The suite, and the contestants by name; a file among them joins the suite as a recorded model.

    Where the suite's models were trained, their weights lie among `results`.
    """
    from sciexam.typed import Command, command_of

    chosen, names = _chosen(name, given, prompts, rubric, judges, results)
    files = tuple(given) if name is None and are_files(given) else ()
    exam = (command_of(sys.argv) or Command()).exam
    chosen = chosen.typed(Command(files, exam, typed=dict(zip(names, given, strict=False))))
    return (chosen if samples is None else chosen.with_samples(samples)), names


def _chosen(
    name: str | None, given: list[str], prompts: Path | None, rubric: str | None, judges: list[str], results: Path
) -> tuple[Suite, list[str]]:
    from sciexam.errors import UsageError
    from sciexam.prompts import are_ids
    from sciexam.rubric import load_rubric
    from sciexam.suite import load_suite, name_files, suite_of_files
    from sciexam.suite_file import DEFAULT_RUBRIC, is_shipped_by_default

    for one in given:
        if Path(one).is_file() and not one.endswith((".jsonl", ".json")):
            raise UsageError(f"{one}: answers are read from .jsonl (a JSON object a line) or AlpacaEval's .json")
    files = [Path(one) for one in given if one.endswith((".jsonl", ".json"))]
    for path in files:
        if not path.is_file():
            raise UsageError(f"{path}: no such file of answers{nearest_file(path)}")
    if name is None and are_files(given):
        chosen = suite_of_files(files, prompts, rubric or DEFAULT_RUBRIC)
        if are_ids([(one.id, one.text) for one in chosen.prompts]) and any(one.startswith("openai:") for one in judges):
            bare = chosen.prompts[0].id
            raise UsageError(f"{bare!r} is no question that a judge could read; give the questions with --prompts FILE")
        _warn_of_prompts(chosen)
        return chosen, list(chosen.contestants)
    if prompts is not None:
        raise UsageError("--prompts goes with files of answers alone; a suite names its own prompts")
    toys = name is None and is_shipped_by_default()
    chosen = load_suite(name, results)
    if toys:
        _refuse_names_of_files(given, chosen.models)
        _tell_of_toy_models(given, results)
    if rubric is not None:
        chosen = chosen.model_copy(update={"rubric": load_rubric(rubric)})
    named = dict(zip(map(str, files), name_files(files).items(), strict=True))
    if clash := sorted({n for n, _ in named.values()} & set(chosen.models)):
        raise UsageError(f"{clash[0]!r} is a model of the suite and the name of a file; rename the file")
    return chosen.with_models(dict(named.values())), [named[one][0] if one in named else one for one in given]


def _refuse_names_of_files(given: list[str], toys: Collection[str]) -> None:
    """Raises UsageError where a name that would mean a shipped toy model is that of a file here."""
    from sciexam.errors import UsageError

    meant = {one: file for one in given if (file := file_named(one)) is not None}
    if not meant:
        return
    said = f"no suite here; did you mean {' and '.join(meant.values())}?"
    if unknown := [one for one in given if one not in toys and one not in meant and not one.endswith(SUFFIXES)]:
        raise UsageError(f"{said} There is no {' and no '.join(unknown)}: name a file of answers, or a --suite")
    command = shlex.join(["sciexam", *(meant.get(word, word) for word in sys.argv[1:])])
    said += f" {command}"
    if len(meant) == len(given):
        said += f"\nfor the shipped toy models: {shlex.join(['sciexam', *sys.argv[1:], '--suite', 'science'])}"
    raise UsageError(said)


def _tell_of_toy_models(given: list[str], results: Path) -> None:
    """Say on stderr that the shipped models are meant, where this folder has others that may have been."""
    from sciexam.report.plain_text import one_line
    from sciexam.typed import Command

    typed = [word for word in sys.argv[1:] if word not in given]
    if (latest := compared_last(results)) is not None:
        what, command = "what was compared here last", latest.line(*typed, *latest.contestants)
    elif len(files := answer_files()) > 1:
        what, command = "files of yours", Command().line(*typed, *files[:2])
    else:
        return
    told = f"no suite here: these are the shipped toy models; for {what}: {command}"
    print(f"sciexam: {one_line(told)}", file=sys.stderr)


def _warn_of_prompts(suite: Suite) -> None:
    """Say on stderr, besides the caveats of the result, what is odd about the prompts of files of answers."""
    from sciexam.exam.cautions import differ_in_spacing, ids_for_questions
    from sciexam.report.plain_text import one_line

    for told in (ids_for_questions(suite.prompts), differ_in_spacing(suite.prompts)):
        if told:
            print(f"sciexam: {one_line(told)}", file=sys.stderr)
