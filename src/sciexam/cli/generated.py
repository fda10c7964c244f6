"""`sciexam data answers` and `sciexam data prompts`: training data that a model writes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sciexam.cli.made import SHOWN, counted, folder, reasons, show
from sciexam.cli.options import (
    AsJson,
    BatchOption,
    BudgetOption,
    EngineName,
    EngineOption,
    Limit,
    MaxWait,
    Results,
    RetryInvalid,
    StorePath,
    SuiteName,
)
from sciexam.cli.progress import progress
from sciexam.cli.running import announce, interruptible, refuse_incomplete

if TYPE_CHECKING:
    from sciexam.exchange.prompt_variants import Varied
    from sciexam.exchange.teacher_answers import Taught
    from sciexam.report.calls import Calls

_MODEL = "A model of the suite, `openai:MODEL`, or a folder of weights."
_SEED = typer.Option("--seed", help="Draws the shots.")
_TOP_P = typer.Option("--top-p", min=0.01, max=1.0, help="As the endpoint defines it.")
_TEMPERATURE = typer.Option("--temperature", min=0.0, help="As the endpoint defines it.")
_MAX_TOKENS = typer.Option("--max-tokens", min=1, help="The most of one reply, with its reasoning.")


def answers(
    teacher: Annotated[str, typer.Option("--teacher", "-t", help=_MODEL)],
    prompts: Annotated[Path, typer.Option("--prompts", help="A file of prompts (.jsonl) to train on.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write; it is replaced as a whole.")],
    suite: SuiteName = None,
    judge: Annotated[
        str | None, typer.Option("--judge", "-j", help="Who grades by the rubric.  [default: the suite's]")
    ] = None,
    samples: Annotated[int, typer.Option(min=1, max=1000, help="Candidates for each prompt.")] = 4,
    min_grade: Annotated[
        float, typer.Option("--min-grade", min=0.0, max=1.0, help="Of a demonstration: a share of the rubric's total.")
    ] = 0.7,
    keep: Annotated[int, typer.Option("--keep", min=1, help="So many of the best of each prompt.")] = 1,
    preferences: Annotated[
        bool, typer.Option("--preferences", help="Write the best and the worst of each prompt as a pair, too.")
    ] = False,
    messages: Annotated[
        bool, typer.Option("--messages", help="Demonstrations as `messages`, not as `prompt` and `completion`.")
    ] = False,
    shots: Annotated[int, typer.Option("--shots", min=0, max=64, help="At most so many worked examples a prompt.")] = 3,
    shots_from: Annotated[
        Path | None,
        typer.Option(
            "--shots-from", help="A file with `prompt`, `completion`, `reasoning`.  [default: the rubric's examples]"
        ),
    ] = None,
    template: Annotated[str, typer.Option("--template", help="What the teacher is shown: a .j2 file.")] = "answers",
    temperature: Annotated[float, _TEMPERATURE] = 0.7,
    top_p: Annotated[float, _TOP_P] = 0.9,
    max_tokens: Annotated[int, _MAX_TOKENS] = 2048,
    limit: Limit = None,
    seed: Annotated[int, _SEED] = 0,
    budget: BudgetOption = None,
    batch: BatchOption = False,
    engine: EngineOption = EngineName.local,
    retry_invalid: RetryInvalid = False,
    max_wait: MaxWait = 120.0,
    store: StorePath = None,
    results: Results = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Make demonstrations of a teacher's answers: it reasons, answers by the rubric, and the best answers are kept.

    Replies and grades are kept in the ledger: the same command again does only what is left to do.
    """
    from sciexam.errors import GateNotMet
    from sciexam.exchange.asking_a_model import Errand

    _need_datasketch("answers")
    from sciexam.exchange.teacher_answers import Wanted
    from sciexam.exchange.teacher_answers import answers as make

    wanted = Wanted(
        samples=samples,
        keep=keep,
        min_grade=min_grade,
        shots=shots,
        temperature=temperature,
        top_p=top_p,
        max_tokens=max_tokens,
        template=template,
        preferences=preferences,
        messages=messages,
        seed=seed,
    )
    with interruptible() as stop, progress() as shown:
        errand = Errand(
            budget,
            batch,
            engine.value,
            retry_invalid,
            max_wait,
            store,
            results,
            stop,
            preflight=announce,
            progress=shown,
        )
        taught = make(
            teacher, prompts, out, wanted, suite=suite, judge=judge, shots_from=shots_from, limit=limit, errand=errand
        )
    _print(taught.to_json() if as_json else None, _lines_of_answers(taught, wanted.min_grade))
    if taught.incomplete:
        refuse_incomplete(True, taught.calls.unasked)
    if "demonstrations.jsonl" not in taught.files:
        grade = (
            "no candidate has a grade" if taught.best_grade is None else f"the best grade is {taught.best_grade:.2f}"
        )
        raise GateNotMet(f"--min-grade {min_grade:g}: no demonstration is left, for {grade}; see {out}/rejected.jsonl")
    if not shown.worked and not as_json:
        print("sciexam: nothing was left to ask; every fact was in the ledger", file=sys.stderr)


def prompts(
    source: Annotated[Path, typer.Option("--from", help="A file of prompts (.jsonl), of which some are shown.")],
    model: Annotated[str, typer.Option("--model", "-m", help=_MODEL)],
    n: Annotated[int, typer.Option("--n", min=1, help="So many prompts are asked for; fewer are left.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write; it is replaced as a whole.")],
    shots: Annotated[int, typer.Option("--shots", min=1, max=64, help="So many prompts are shown for each.")] = 8,
    suite: SuiteName = None,
    max_words: Annotated[int, typer.Option("--max-words", min=1, help="Of a prompt that is kept.")] = 150,
    template: Annotated[str, typer.Option("--template", help="What the model is shown: a .j2 file.")] = "prompts",
    temperature: Annotated[float, _TEMPERATURE] = 0.6,
    top_p: Annotated[float, _TOP_P] = 0.9,
    max_tokens: Annotated[int, _MAX_TOKENS] = 1024,
    seed: Annotated[int, _SEED] = 0,
    budget: BudgetOption = None,
    batch: BatchOption = False,
    engine: EngineOption = EngineName.local,
    retry_invalid: RetryInvalid = False,
    max_wait: MaxWait = 120.0,
    store: StorePath = None,
    results: Results = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Make more prompts of the kind of those in a file, without those that say nearly the same.

    Replies are kept in the ledger: the same command again does only what is left to do, and a larger --n asks for the
    additional ones alone.
    """
    from sciexam.errors import GateNotMet
    from sciexam.exchange.asking_a_model import Errand

    _need_datasketch("prompts")
    from sciexam.exchange.prompt_variants import Wanted, vary

    wanted = Wanted(n, shots, temperature, top_p, max_tokens, max_words, template, seed)
    with interruptible() as stop, progress() as shown:
        errand = Errand(
            budget,
            batch,
            engine.value,
            retry_invalid,
            max_wait,
            store,
            results,
            stop,
            preflight=announce,
            progress=shown,
        )
        varied = vary(model, source, out, wanted, suite=suite, errand=errand)
    _print(varied.to_json() if as_json else None, _lines_of_prompts(varied))
    if varied.incomplete:
        refuse_incomplete(True, varied.calls.unasked)
    if "train_prompts.jsonl" not in varied.files:
        why = "; ".join(f"{count:,} {reason}" for reason, count in list(varied.rejected.items())[:SHOWN])
        raise GateNotMet(f"no prompt is left of {varied.asked:,}: {why}; see {out}/rejected.jsonl")
    if not shown.worked and not as_json:
        print("sciexam: nothing was left to ask; every fact was in the ledger", file=sys.stderr)


# ---------------------------------------------------------------- what is printed


def _print(as_json: object, lines: Iterator[str]) -> None:
    if as_json is not None:
        print(json.dumps(as_json, indent=1, allow_nan=False))
    else:
        show(lines)


def _lines_of_answers(taught: Taught, bar: float) -> Iterator[str]:
    from sciexam.exchange.teacher_answers import FILES

    of = "" if taught.asked == taught.prompts else f" of {taught.prompts:,}"
    yield f"Wanted: {counted(taught.candidates, 'answer')} of {taught.teacher} to {counted(taught.asked, 'prompt')}{of}"
    yield from reasons("Left out prompts", taught.left_out)
    best = "" if taught.best_grade is None else f"; the best grade is {taught.best_grade:.2f}"
    kept = counted(taught.files.get("demonstrations.jsonl", 0), "answer")
    yield f"Kept: {kept} with a grade of {bar:g} or more by {taught.judge}{best}"
    yield from reasons("Rejected answers", taught.rejected)
    yield from reasons("Missing answers", taught.missing)
    if taught.ties:
        yield f"No pair: of {counted(taught.ties, 'prompt')}, where the best and the worst answer have one grade"
    yield from folder(taught.folder, taught.files if taught.written else None, FILES)
    yield from _ending(taught.caveats, taught.calls)


def _lines_of_prompts(varied: Varied) -> Iterator[str]:
    from sciexam.exchange.prompt_variants import FILES

    shown = f"which is shown {varied.shown:,} of {varied.shots:,} at a time"
    yield f"Wanted: {counted(varied.asked, 'prompt')} of {varied.model}, {shown}"
    yield from reasons("Prompts that are not shown", varied.shots_left_out)
    yield f"Kept: {counted(varied.files.get('train_prompts.jsonl', 0), 'prompt')}"
    yield from reasons("Rejected replies", varied.rejected)
    yield from reasons("Missing replies", varied.missing)
    yield from folder(varied.folder, varied.files if varied.written else None, FILES)
    yield from _ending(varied.caveats, varied.calls)


def _need_datasketch(command: str) -> None:
    """To tell what says nearly the same as a prompt of the suite."""
    from sciexam.errors import UsageError

    if find_spec("datasketch") is None:
        raise UsageError(f"`sciexam data {command}` needs datasketch: pip install 'sciexam[data]'")


def _ending(caveats: tuple[str, ...], calls: Calls) -> Iterator[str]:
    from sciexam.report.wording import calls as counted

    yield from (f"Caveat: {caveat}" for caveat in caveats)
    yield f"Calls: {counted(calls)}"
