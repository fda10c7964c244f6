"""More prompts of the kind of those in a file: a model sees some of them, drawn by a seed, and writes one more.

As Self-Rewarding Language Models make their prompts (arXiv 2401.10020, self-instruction creation, after Self-Instruct,
arXiv 2212.10560): eight shots, a temperature of 0.6 and a top-p of 0.9. All shots are prompts of the file.
"""

from __future__ import annotations

import json
import random
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sciexam.contamination import Exam
from sciexam.digests import digest, file_digest
from sciexam.errors import UsageError
from sciexam.exam.answer_file import joined
from sciexam.exam.runs import location_of, opened, terms_of
from sciexam.exchange.asking_a_model import Errand, asked, plan_requests, suite_with
from sciexam.exchange.candidates import HOLD, HOLDS, SOURCE
from sciexam.exchange.marked_reply import Request, RequestTemplate, is_broken, read_marked
from sciexam.files import write_atomically
from sciexam.report.record import Calls
from sciexam.suite import Suite, read_prompts
from sciexam.types import Prompt, Response

SCHEMA = "sciexam/data-prompts/1"
TEMPLATE = "prompts"
VARIABLES = ("shots",)
WORD = "PROMPT"  # of the line above the prompt
FEWEST_WORDS, FEWEST_CHARACTERS = 3, 8  # a prompt with fewer of both asks nothing
CHARACTERS_A_WORD = 10  # more than a word has in languages that put blanks between words
# The first line of a list of several prompts, or of one that was given a heading.
_LABELLED = re.compile(
    r"\s*(?:[-*#>]|\d+[.):]|(?:the |my )?(?:new )?(?:prompt|question|task|instruction)\s*\d*\s*:)", re.I
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of the model: `n` prompts, each after `shots` of the file, none longer than `max_words`."""

    n: int
    shots: int = 8
    temperature: float = 0.6
    top_p: float = 0.9
    max_tokens: int = 1024
    max_words: int = 150
    template: str = TEMPLATE
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Varied:
    """What came of it. `shots_left_out`: prompts of the file that are not shown; `left_out`: replies; by reason."""

    out: str
    model: str
    asked: int
    written: int
    shots: int
    shots_left_out: dict[str, int]
    left_out: dict[str, int]
    incomplete: int
    calls: Calls
    caveats: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Reply:
    number: int
    shots: tuple[Prompt, ...]
    response: Response
    text: str
    failure: str


def vary(model: str, source: Path, out: Path, wanted: Wanted, *, suite: str | None = None, errand: Errand) -> Varied:
    """Ask `model` for `n` more prompts like those in the file `source`, and write those that are new into `out`.

    Beside `out` lies OUT.provenance.json, with the replies that were left out. A larger `n` asks for the additional
    ones alone. Raises UsageError for what cannot be asked, read or written; then, and where nothing came back, both
    files are left alone.
    """
    beside = provenance_of(out)
    _check(source, out, beside, location_of(errand.store, errand.results))
    generation = {key: getattr(wanted, key) for key in ("temperature", "top_p", "max_tokens")}
    chosen, name = suite_with(suite, model, **generation)
    exam, left_out = Exam(chosen.prompts), Counter[str]()
    read = read_prompts(source)
    shots = list(_shots(read, exam, left_out))
    if len(shots) < wanted.shots:
        why = "".join(f"; {count:,} {reason}" for reason, count in left_out.items())
        raise UsageError(
            f"{source}: {wanted.shots} prompts are shown at a time, and {len(shots)} of {len(read)} can be shown{why}; "
            "give more, or lower --shots"
        )
    template = RequestTemplate(wanted.template, TEMPLATE, VARIABLES)
    drawn = [_draw(shots, wanted, number) for number in range(wanted.n)]
    requests = [
        template.request(f"new-{number}", {"shots": [one.text for one in shown]}, number)
        for number, shown in enumerate(drawn)
    ]
    terms = terms_of(chosen, errand.max_wait, errand.budget, errand.batch, errand.engine)
    planned = plan_requests(chosen, name, requests, terms)
    with opened(errand.store, errand.results, terms) as ledger:
        calls, caveats, replies = asked(planned, ledger, terms, errand)
        said = [_read(number, drawn[number], *reply, exam, wanted.max_words) for number, reply in enumerate(replies)]
    said = list(_without_duplicates(said, chosen, read))
    kept = [one for one in said if not one.failure]
    varied = Varied(
        out=str(out),
        model=name,
        asked=wanted.n,
        written=len(kept),
        shots=len(shots),
        shots_left_out=dict(left_out.most_common()),
        left_out=dict(sorted(Counter(one.failure for one in said if one.failure).items(), key=lambda x: (-x[1], x[0]))),
        incomplete=sum(one.response.reply.status in ("failed", "skipped") for one in said),
        calls=calls,
        caveats=caveats,
    )
    if kept:
        provenance = _provenance(varied, planned[0].models[name], template, wanted, chosen, source, said)
        write_atomically(beside, json.dumps(provenance, indent=1, allow_nan=False) + "\n")
        write_atomically(out, joined((_line(one, name) for one in kept), "jsonl"))
    return varied


def provenance_of(out: Path) -> Path:
    return out.with_name(f"{out.name}.provenance.json")


def _check(source: Path, out: Path, beside: Path, ledger: str) -> None:
    """Raises UsageError where `out` cannot be written, or holds what this command did not write."""
    for path in (out, beside):
        if path.is_dir():
            raise UsageError(f"--out: {path} is a folder; name a file")
    if out.exists() and (out.samefile(source) if source.exists() else False):
        raise UsageError(f"--out: {out} is the file that is read; name another")
    if "://" not in ledger and Path(ledger).exists() and out.exists() and out.samefile(ledger):
        raise UsageError(f"--out: {out} is the ledger; name another file")
    if out.exists() and out.stat().st_size and not _is_ours(beside):
        raise UsageError(f"--out: {out} was not written by this command, and would be replaced; name another file")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(probe := out.with_name(f".{out.name}.probe"), "")
        probe.unlink()
    except OSError as error:
        raise UsageError(f"--out: {out} cannot be written: {(error.strerror or str(error)).lower()}") from None


def _is_ours(beside: Path) -> bool:
    try:
        return bool(json.loads(beside.read_bytes()).get("schema") == SCHEMA)
    except (OSError, ValueError, RecursionError, AttributeError):
        return False


# ---------------------------------------------------------------- what is asked


def _shots(read: Sequence[Prompt], exam: Exam, left_out: Counter[str]) -> Iterator[Prompt]:
    """The prompts that a model is shown, each text once. `left_out` counts the others."""
    seen: set[str] = set()
    for prompt in read:
        if len(prompt.messages) > 1:
            left_out["conversations of several messages"] += 1
        elif exam.asked_in(prompt.text) is not None:
            left_out[HOLD] += 1
        elif is_broken(prompt.text):
            left_out["with half a character"] += 1
        elif prompt.text in seen:
            left_out["the same as an earlier one"] += 1
        else:
            seen.add(prompt.text)
            yield prompt


def _draw(shots: Sequence[Prompt], wanted: Wanted, number: int) -> tuple[Prompt, ...]:
    """The shots of one request; those of the first ones stay where more are asked for."""
    return tuple(random.Random(f"{wanted.seed}\nprompts\n{number}").sample(shots, wanted.shots))  # noqa: S311


# ---------------------------------------------------------------- what is kept


def _read(
    number: int, shots: tuple[Prompt, ...], request: Request, response: Response, exam: Exam, longest: int
) -> _Reply:
    found = read_marked(response.reply, WORD, request)
    failure = found.failure or _unfit(found.text, exam, longest)
    return _Reply(number, shots, response, found.text, failure)


def _unfit(text: str, exam: Exam, longest: int) -> str:
    """Why a text is no prompt to use; "" where it is one."""
    words = len(text.split())
    if _LABELLED.match(text):
        return "begins like a list, or has a heading"
    if words < FEWEST_WORDS and len(text) < FEWEST_CHARACTERS:
        return "too short to ask anything"
    if words > longest or len(text) > longest * CHARACTERS_A_WORD:
        return f"longer than {longest} words"
    return HOLDS if exam.asked_in(text) is not None else ""


def _without_duplicates(said: Sequence[_Reply], suite: Suite, read: Sequence[Prompt]) -> Iterator[_Reply]:
    """All replies; a prompt that says nearly what one of the suite, of the file or an earlier one says is of no use."""
    from sciexam.exchange.near_duplicates import NearDuplicates

    usable = [one for one in said if not one.failure]
    known = [("suite", prompt.text) for prompt in suite.prompts] + [("file", prompt.text) for prompt in read]
    texts = [*known, *(("reply", one.text) for one in usable)]
    whose = {"suite": "a prompt of the suite", "file": "a prompt of the file", "reply": "an earlier one"}
    with closing(sqlite3.connect(":memory:")) as database:
        index = NearDuplicates(database)
        for number, (_, text) in enumerate(texts):
            index.add(number, text)
        index.finish()
        for number in range(len(known)):
            index.keep(number)
        place = {one.number: len(known) + at for at, one in enumerate(usable)}
        for one in said:
            if one.failure:
                yield one
            elif (other := index.duplicate_of(place[one.number])) is not None:
                yield replace(one, failure=f"says nearly the same as {whose[texts[other][0]]}")
            else:
                index.keep(place[one.number])
                yield one


# ---------------------------------------------------------------- what is written


def _line(one: _Reply, model: str) -> dict[str, Any]:
    """A line of a prompts file; its id follows from its text."""
    reply = one.response.reply
    told = {"written_by": model, "model": reply.model, "key": reply.key, "shots": [shot.id for shot in one.shots]}
    line = {"id": f"new-{digest(one.text)[:16]}", "text": one.text} | told
    sources = [
        {"shot": shot.id} | {key: shot.metadata[key] for key in SOURCE if shot.metadata.get(key) is not None}
        for shot in one.shots
    ]
    return line | ({"shown": sources} if any(len(source) > 1 for source in sources) else {})


def _provenance(
    varied: Varied,
    model: str,
    template: RequestTemplate,
    wanted: Wanted,
    suite: Suite,
    source: Path,
    said: Iterable[_Reply],
) -> dict[str, Any]:
    """What the file is made of. Nothing in it tells how often the command was run until it was done."""
    counts = ("asked", "written", "shots", "shots_left_out", "left_out", "incomplete")
    return {
        "schema": SCHEMA,
        "made_with": {package: version(package) for package in ("sciexam", "datasketch")},
        "model": {"name": varied.model, "digest": model},
        "suite": suite.name,
        "source": {"file": str(source), "bytes": source.stat().st_size, "sha256": file_digest(source)},
        "template": template.digest,
        "settings": asdict(wanted),
        **{key: getattr(varied, key) for key in counts},
        "replies_left_out": [
            {
                "number": one.number,
                "reason": one.failure,
                "reply": one.text or one.response.text,
                "shots": [shot.id for shot in one.shots],
                "key": one.response.reply.key,
            }
            for one in said
            if one.failure
        ],
    }
