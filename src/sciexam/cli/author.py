"""`sciexam init`, `check`, `schema` and `rubric`: writing suites and rubrics."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Collection, Mapping
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import Annotated, Any

import typer

from sciexam.cli.answers_here import SUFFIXES, nearest_file
from sciexam.cli.completion import rubrics, suites

rubric = typer.Typer(help="Write, check and show rubrics.", no_args_is_help=True, rich_markup_mode=None)


class Kind(StrEnum):
    suite = "suite"
    rubric = "rubric"


def init(
    directory: Annotated[Path, typer.Argument(help="The folder to make; its name becomes the suite's.")],
    answers: Annotated[
        list[Path] | None, typer.Argument(help="Files of answers to copy into it.  [default: three toy answers each]")
    ] = None,
) -> None:
    """Make a folder with a suite, a rubric and answers to start from."""
    from sciexam.report.plain_text import one_line

    name = _checked_name(directory.absolute().name)
    suite = directory / "suites" / f"{name}.yaml"
    if answers:
        files, names = _around(answers, directory / "suites", name)
    else:
        parts, names = ("prompts.jsonl", "old.jsonl", "new.jsonl"), ["old", "new"]
        files = {suite.parent / name / part: _starter(part, name) for part in parts}
        files[suite] = _starter("suite.yaml", name)
        files[directory / "rubrics" / f"{name}.yaml"] = _starter("rubric.yaml", name)
    for kind in Kind:
        files[directory / "schemas" / f"{kind}.json"] = _schema(kind)
    _write_new(files)
    for path, one in zip(answers or (), names, strict=False):
        if one != path.stem:
            typer.echo(one_line(f"{path} is the contestant {one}"))
    typer.echo(f"{directory}: a suite {'around these files' if answers else 'to start from'}. Try it:")
    compare = shlex.join(["sciexam", "compare", *names, "--suite", name])
    typer.echo(f"    cd {shlex.quote(str(directory))}\n    sciexam check {name}\n    {compare}")
    if answers:
        typer.echo(f"\nPrices, judges and models are yours to add in suites/{name}.yaml")
        return
    typer.echo("\nThen put in what is yours:")
    typer.echo(f"    suites/{name}/prompts.jsonl    your questions, each with an id")
    typer.echo(
        f"    suites/{name}/*.jsonl          answers, a file a model; `prompt` is a question's id or its whole text"
    )
    typer.echo(f"    suites/{name}.yaml             the models' names, under models, contestants and baseline")
    typer.echo(f"    rubrics/{name}.yaml            what good means")


def check(
    suite: Annotated[
        str | None,
        typer.Argument(
            autocompletion=suites, help="A suite's name or file.  [default: the only one in ./suites, or science]"
        ),
    ] = None,
    named: Annotated[
        str | None, typer.Option("--suite", "-s", autocompletion=suites, help="The same, as other commands take it.")
    ] = None,
) -> None:
    """Look a suite over before anything is asked or paid: files, ids, answers, judges, contamination."""
    from sciexam.check import check as look
    from sciexam.errors import DocumentError, UsageError
    from sciexam.report.plain_text import plain_text
    from sciexam.suite import load_suite
    from sciexam.suite_file import DEFAULT_SUITE, is_shipped_by_default

    if suite is not None and named is not None:
        raise UsageError(f"one suite is checked at a time, and two are named: {suite} and {named}")
    suite = suite or named
    if suite is not None and suite.endswith(SUFFIXES):
        raise UsageError(
            f"{suite} is no suite, which is a YAML file; files of answers are looked over by the comparison of two, "
            f"before anything is asked: sciexam compare {suite} OTHER.jsonl"
        )
    if suite is None and is_shipped_by_default():
        typer.echo(
            f"suite {DEFAULT_SUITE}, the shipped one: there is none in ./suites; to begin one: sciexam init my-exam"
        )
    findings = look(load_suite(suite))
    for finding in findings:
        if not finding.fault:
            typer.echo(f"{'warning: ' if finding.unchecked or finding.unfinished else ''}{plain_text(finding.text)}")
    if faults := [finding.text for finding in findings if finding.fault]:
        raise DocumentError(faults)
    unchecked = any(finding.unchecked for finding in findings)
    typer.echo("nothing is wrong in what was checked" if unchecked else "nothing is wrong")


def schema(kind: Annotated[Kind, typer.Argument(help="Which file's schema.")]) -> None:
    """Print the JSON Schema of a YAML file, for editors."""
    sys.stdout.write(_schema(kind))


@rubric.command("new")
def rubric_new(name: Annotated[str, typer.Argument(help="The rubric's name.")]) -> None:
    """Write rubrics/NAME.yaml to start from."""
    path = Path("rubrics") / f"{_checked_name(name)}.yaml"
    _write_new({path: _starter("rubric.yaml", name)})
    typer.echo(f"{path}: a rubric to start from. Look at it with: sciexam rubric show {name}")


@rubric.command("check")
def rubric_check(name: Annotated[str, typer.Argument(autocompletion=rubrics, help="A rubric's name or file.")]) -> None:
    """Say what is wrong with a rubric, each fault with its line."""
    from sciexam.judges.measures import Measures
    from sciexam.report.plain_text import one_line
    from sciexam.rubric import load_rubric

    found = load_rubric(name)
    measured = [(c.name, c.measure, c.weight) for c in found.criteria if c.measure]
    if measured:
        Measures("measures", measured)  # refuses a measure that does not exist
    levels = sum(len(criterion.levels) for criterion in found.criteria)
    typer.echo(
        f"{one_line(found.rubric)}: {len(found.criteria)} criteria, {levels} levels, {len(measured)} text measures"
    )
    typer.echo("nothing is wrong")


@rubric.command("show")
def rubric_show(name: Annotated[str, typer.Argument(autocompletion=rubrics, help="A rubric's name or file.")]) -> None:
    """Print a rubric as a judge reads it."""
    from sciexam.report.plain_text import plain_text
    from sciexam.rubric import load_rubric

    for line in load_rubric(name).render().splitlines():
        typer.echo(plain_text(line))


def _checked_name(name: str) -> str:
    from sciexam.errors import UsageError

    if not re.fullmatch(r"\w[\w.-]*", name):
        raise UsageError(f"{name!r} cannot be a name: letters, digits, '_', '-' and '.'")
    return name


def _starter(part: str, name: str) -> str:
    from importlib.resources import files

    return (files("sciexam") / "starter" / part).read_text(encoding="utf-8").replace("NAME", name)


def _around(answers: list[Path], folder: Path, name: str) -> tuple[dict[Path, str | bytes], list[str]]:
    """The files of a suite around copies of files of answers, by the rubric of their comparison without a suite."""
    from sciexam.errors import UsageError
    from sciexam.suite import suite_of_files
    from sciexam.suite_file import DEFAULT_RUBRIC

    for path in answers:
        if not path.is_file() or path.suffix not in SUFFIXES:
            raise UsageError(f"{path}: no such file of answers (.jsonl or .json){nearest_file(path)}")
    found = suite_of_files(answers)
    names = _named(found.models)
    copies = {one: f"{name}/answers/{one}{path.suffix}" for one, path in zip(names, answers, strict=True)}
    text = _starter("suite.yaml", name)
    for toy, own in (
        (f'rubric: "{name}"', f"rubric: {DEFAULT_RUBRIC}"),
        ("compare old new", "compare"),
        (f"  old: {{responses: {name}/old.jsonl}}\n", ""),
        (
            f"  new: {{responses: {name}/new.jsonl}}",
            "\n".join(f"  {_quoted(one)}: {{responses: {_quoted(copy)}}}" for one, copy in copies.items()),
        ),
        ("contestants: [old, new]", f"contestants: [{', '.join(map(_quoted, names))}]"),
        ("baseline: old", f"baseline: {_quoted(names[0])}"),
    ):
        text = text.replace(toy, own, 1)
    prompts = (json.dumps({"id": one.id, "text": one.text}) + "\n" for one in found.prompts)
    files: dict[Path, str | bytes] = {folder / f"{name}.yaml": text, folder / name / "prompts.jsonl": "".join(prompts)}
    return files | {folder / copies[one]: path.read_bytes() for one, path in zip(names, answers, strict=True)}, names


def _named(stems: Collection[str]) -> list[str]:
    """A name that a suite can hold for each of these, no two alike; one that it can hold already stays."""
    from sciexam.suite_file import as_name

    taken: list[str] = []
    kept = set(stems)
    for stem in stems:
        bare = stem
        while bare.endswith(SUFFIXES):  # a name that ends so would be a file
            bare = bare.rpartition(".")[0]
        name = as_name(bare)
        others = {*taken, *(kept - {stem})}
        more = (f"{name}-{number}" for number in count(2))
        taken.append(name if name not in others else next(one for one in more if one not in others))
    return taken


def _quoted(text: str) -> str:
    """A text as YAML takes it: JSON, but for the pairs of surrogates."""
    return json.dumps(text, ensure_ascii=False)


def _schema(kind: Kind) -> str:
    from sciexam.rubric import Rubric
    from sciexam.suite_file import SuiteFile

    made: dict[str, Any] = (SuiteFile if kind == Kind.suite else Rubric).model_json_schema(by_alias=True)
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **made}, indent=2) + "\n"


def _write_new(files: Mapping[Path, str | bytes]) -> None:
    from sciexam.errors import UsageError
    from sciexam.files import write_atomically

    for path in files:
        if path.exists():
            raise UsageError(f"{path} is there already; nothing was written")
    try:
        for path, text in files.items():
            write_atomically(path, text)
    except OSError as error:
        raise UsageError(f"{error.filename or path}: {(error.strerror or str(error)).lower()}") from None
