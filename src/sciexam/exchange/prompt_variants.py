"""More prompts of the kind of those in a file: a model sees some of them, drawn by a seed, and writes one more.

    train_prompts.jsonl  rejected.jsonl  provenance.json

As Self-Rewarding Language Models make their prompts (arXiv 2401.10020, self-instruction creation, after Self-Instruct,
arXiv 2212.10560): eight shots, a temperature of 0.6 and a top-p of 0.9. All shots are prompts of the file. Every reply
is a fact of the ledger; the folder is a function of them, written whole or not at all.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sciexam.contamination import Exam
from sciexam.digests import file_digest
from sciexam.errors import UsageError
from sciexam.exam.answer_file import joined
from sciexam.exam.runs import opened, terms_of
from sciexam.exchange.asking_a_model import Errand, asked, plan_requests, suite_with
from sciexam.exchange.decontamination import leaks
from sciexam.exchange.marked_reply import RequestTemplate, is_broken
from sciexam.exchange.prompt_replies import prompt_line, read_prompt, rejected_line, without_duplicates
from sciexam.exchange.provenance import PROVENANCE, check_same_command, most_first
from sciexam.folders import check_folder, replace_folder, resolved
from sciexam.prompts import read_prompts
from sciexam.report.calls import Calls
from sciexam.suite import Suite
from sciexam.types import Prompt

SCHEMA = "sciexam/data-prompts/1"
NEW_PROMPTS = "train_prompts.jsonl"
FILES = {
    NEW_PROMPTS: "the new prompts; `--prompts` of `sciexam data answers`, `prompts:` with `stage: ppo`",
    "rejected.jsonl": "the other replies, each with its reason; to read, not to train with",
}
TEMPLATE = "prompts"
VARIABLES = ("shots",)


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
    """What came of it. `shown`: prompts of the file in a request, of the `shots` that may be; the others by reason.

    `rejected`: replies, by reason; `missing`: those that the same command asks for again, by what became of the call.
    """

    folder: str
    written: bool
    model: str
    asked: int
    shown: int
    shots: int
    shots_left_out: dict[str, int]
    rejected: dict[str, int]
    missing: dict[str, int]
    files: dict[str, int]  # lines of each
    calls: Calls
    caveats: tuple[str, ...]

    @property
    def incomplete(self) -> int:
        return sum(self.missing.values())

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"incomplete": self.incomplete}


def vary(
    model: str, source: Path, out: Path, wanted: Wanted, *, suite: Suite | str | None = None, errand: Errand
) -> Varied:
    """Ask `model` for `n` more prompts like those in the file `source`, and write those that are new into `out`.

    A larger `n` asks for the additional ones alone. Raises UsageError for what cannot be asked, read or written; then,
    and where no reply came back, the folder is left alone.
    """
    _check(source, out)
    generation = {key: getattr(wanted, key) for key in ("temperature", "top_p", "max_tokens")}
    chosen, name = suite_with(suite, model, **generation)
    exam, left_out = Exam(chosen.prompts), Counter[str]()
    read = read_prompts(source)
    shots = list(_shots(read, exam, left_out))
    _check_enough(shots, wanted, source, len(read), left_out)
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
        said = [
            read_prompt(number, drawn[number], *reply, exam, wanted.max_words) for number, reply in enumerate(replies)
        ]
    said = list(without_duplicates(said, exam, read))
    kept = [prompt_line(one, name) for one in said if not one.failure]
    files = {NEW_PROMPTS: kept, "rejected.jsonl": [rejected_line(one) for one in said if one.failure]}
    varied = Varied(
        folder=str(out),
        written=not all(one.open for one in said),
        model=name,
        asked=wanted.n,
        shown=wanted.shots,
        shots=len(shots),
        shots_left_out=most_first(left_out),
        rejected=most_first(Counter(one.failure for one in said if one.failure and not one.open)),
        missing=most_first(Counter(one.failure for one in said if one.open)),
        files={file: len(lines) for file, lines in files.items() if lines},
        calls=calls,
        caveats=caveats,
    )
    if varied.written:
        provenance = _provenance(varied, planned[0].models[name], template, wanted, chosen, source)
        texts = [(file, joined(files[file], "jsonl")) for file in varied.files]
        replace_folder(out, [*texts, (PROVENANCE, json.dumps(provenance, indent=1, allow_nan=False) + "\n")])
    return varied


# ---------------------------------------------------------------- what is asked


def _check(source: Path, out: Path) -> None:
    if out.suffix == ".jsonl" and not out.is_dir():
        raise UsageError(f"--out: {out} is to be a folder, with {', '.join(FILES)} in it: --out {out.with_suffix('')}")
    if source.resolve().is_relative_to(resolved(out)):
        raise UsageError(f"{source} lies in --out {out}, which is replaced as a whole; name another folder")
    check_folder(out, [*FILES, PROVENANCE])
    check_same_command(out, SCHEMA)


def _shots(read: Sequence[Prompt], exam: Exam, left_out: Counter[str]) -> Iterator[Prompt]:
    """The prompts that a model is shown, each text once. `left_out` counts the others."""
    seen: set[str] = set()
    for prompt, leak in zip(read, leaks(exam, [[prompt.text] for prompt in read]), strict=True):
        if len(prompt.messages) > 1:
            left_out["of several messages"] += 1
        elif leak:
            left_out[leak] += 1
        elif is_broken(prompt.text):
            left_out["with half a character"] += 1
        elif prompt.text in seen:
            left_out["the same as an earlier one"] += 1
        else:
            seen.add(prompt.text)
            yield prompt


def _check_enough(shots: Sequence[Prompt], wanted: Wanted, source: Path, read: int, left_out: Counter[str]) -> None:
    if len(shots) < wanted.shots:
        why = "".join(f"; {count:,} {reason}" for reason, count in left_out.items())
        raise UsageError(
            f"{source}: {wanted.shots} prompts are shown at a time, and {len(shots)} of {read} can be shown{why}; "
            "give more, or lower --shots"
        )


def _draw(shots: Sequence[Prompt], wanted: Wanted, number: int) -> tuple[Prompt, ...]:
    """The shots of one request; those of the first ones stay where more are asked for."""
    return tuple(random.Random(f"{wanted.seed}\nprompts\n{number}").sample(shots, wanted.shots))  # noqa: S311


# ---------------------------------------------------------------- what is written


def _provenance(
    varied: Varied, model: str, template: RequestTemplate, wanted: Wanted, suite: Suite, source: Path
) -> dict[str, Any]:
    """What the folder is made of. Nothing in it tells how often the command was run until it was done."""
    counts = ("asked", "shots", "shots_left_out", "rejected", "missing", "files")
    return {
        "schema": SCHEMA,
        "made_with": {package: version(package) for package in ("sciexam", "datasketch")},
        "model": {"name": varied.model, "digest": model},
        "suite": suite.name,
        "source": {"file": str(source), "bytes": source.stat().st_size, "sha256": file_digest(source)},
        "template": template.digest,
        "settings": asdict(wanted),
        **{key: getattr(varied, key) for key in counts},
    }
