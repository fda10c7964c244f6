"""Answers of a teacher as training data: asked for by the rubric, graded by a judge, and the best ones kept.

    demonstrations.jsonl  preferences.jsonl  rejected.jsonl  provenance.json

Every reply and every grade is a fact of the ledger; the folder is a function of them, written whole or not at all.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sciexam.contamination import Exam
from sciexam.digests import digest, file_digest
from sciexam.errors import UsageError
from sciexam.exam.answer_file import joined
from sciexam.exam.plan import Plan
from sciexam.exam.runs import opened, terms_of
from sciexam.exchange.asking_a_model import Errand, asked, plan_requests, suite_with, together
from sciexam.exchange.candidate_grades import Bill, grade_all, plan_to_grade, self_graded
from sciexam.exchange.candidates import choose, lines_of, read_candidate
from sciexam.exchange.decontamination import leaks
from sciexam.exchange.marked_reply import Request, RequestTemplate, is_broken
from sciexam.exchange.provenance import PROVENANCE, check_same_command, most_first
from sciexam.exchange.shots import Shot, draw, fit, read_shots, shots_of
from sciexam.folders import check_folder, replace_folder, resolved
from sciexam.prompts import read_prompts
from sciexam.report.calls import Calls
from sciexam.rubric import Criterion
from sciexam.suite import Suite
from sciexam.types import Prompt

SCHEMA = "sciexam/data-answers/1"
FILES = {
    "demonstrations.jsonl": "the best answer to each prompt; `data:` of a model with `stage: sft`",
    "preferences.jsonl": "the best and the worst answer to a prompt; `data:` with `stage: reward` or `stage: dpo`",
    "rejected.jsonl": "the others, each with its reason; to read, not to train with",
}
TEMPLATE = "answers"
VARIABLES = ("question", "rubric", "best", "shots")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of the teacher. `min_grade` and grades are shares of the rubric's total, in [0, 1].

    `samples` candidates a prompt, of which the best `keep` are demonstrations; up to `shots` worked examples are shown.
    """

    samples: int = 4
    keep: int = 1
    min_grade: float = 0.7
    shots: int = 3
    temperature: float = 0.7
    top_p: float = 0.9
    max_tokens: int = 2048
    template: str = TEMPLATE
    preferences: bool = False
    messages: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Taught:
    """What came of it, in counts of prompts and of candidates."""

    folder: str
    written: bool
    teacher: str
    judge: str
    prompts: int
    asked: int
    candidates: int
    best_grade: float | None
    left_out: dict[str, int]  # prompts, by reason
    rejected: dict[str, int]  # candidates, by reason
    missing: dict[str, int]  # those that the same command asks for again, by what became of the call
    ties: int
    files: dict[str, int]  # lines of each
    calls: Calls
    caveats: tuple[str, ...]

    @property
    def incomplete(self) -> int:
        return sum(self.missing.values())

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"incomplete": self.incomplete}


def answers(
    teacher: str,
    prompts: Path,
    out: Path,
    wanted: Wanted,
    *,
    suite: str | None = None,
    judge: str | None = None,
    shots_from: Path | None = None,
    limit: int | None = None,
    errand: Errand,
) -> Taught:
    """Ask `teacher` for answers to a file of prompts, have them graded by the suite's rubric, and write the folder.

    What holds a prompt of the suite is left out before anybody is asked. Raises UsageError for what cannot be asked,
    read or written; then, and where no reply came back, the folder is left alone.
    """
    _check(out, prompts, shots_from, wanted)
    generation = {key: getattr(wanted, key) for key in ("samples", "temperature", "top_p", "max_tokens")}
    chosen, name = suite_with(suite, teacher, **generation)
    exam, read = Exam(chosen.prompts), read_prompts(prompts)[:limit]
    left_out: Counter[str] = Counter()
    useful = list(_useful(read, exam, wanted.messages, left_out))
    if not useful:
        why = "; ".join(f"{count:,} {reason}" for reason, count in left_out.items())
        raise UsageError(f"{prompts}: no prompt is left of {len(read):,}: {why}")
    shots = list(fit(read_shots(shots_from) if shots_from else shots_of(chosen.rubric), exam))
    requests = _requests(chosen, useful, shots, wanted)
    terms = terms_of(chosen, errand.max_wait, errand.budget, errand.batch, errand.engine)
    planned = plan_requests(chosen, name, requests, terms)
    to_mark = plan_to_grade(chosen, name, useful, judge, terms)
    with opened(errand.store, errand.results, terms) as ledger:
        bill = Bill(to_mark, ledger, errand)
        calls, notes, replies = asked(planned, ledger, terms, replace(errand, preflight=bill.of_answers))
        by_id = {prompt.id: prompt for prompt in useful}
        candidates = [read_candidate(by_id[r.prompt.id], r, response, exam) for r, response in replies]
        marked, more, said = grade_all(chosen, name, candidates, judge, terms, ledger, bill)
    caveats = [*notes, *self_graded(chosen, name, judge), *said]
    found = choose(marked, wanted.min_grade, wanted.keep)
    if not wanted.preferences:
        found = replace(found, pairs=[], ties=0)
    came_back = any(not one.open or one.text for one in marked)
    files = dict(lines_of(found, name, wanted.messages))
    taught = Taught(
        folder=str(out),
        written=came_back,
        teacher=name,
        judge=to_mark.raters[0].bench,
        prompts=len(read),
        asked=len(useful),
        candidates=len(marked),
        best_grade=max((one.grade for one in marked if one.grade is not None), default=None),
        left_out=most_first(left_out),
        rejected=most_first(Counter(why for one, why in found.rejected if not one.open)),
        missing=most_first(Counter(why for one, why in found.rejected if one.open)),
        ties=found.ties,
        files={file: len(files[file]) for file in FILES if file in files},
        calls=together(calls, more),
        caveats=tuple(one for one in dict.fromkeys(caveats) if one != terms.unasked),
    )
    if came_back:
        sources = [prompts, *([shots_from] if shots_from else [])]
        provenance = _provenance(taught, chosen, planned[0], to_mark, wanted, sources, len(shots))
        texts = [(file, joined(lines, "jsonl")) for file, lines in files.items()]
        replace_folder(out, [*texts, (PROVENANCE, json.dumps(provenance, indent=1, allow_nan=False) + "\n")])
    return taught


# ---------------------------------------------------------------- what is asked


def _check(out: Path, prompts: Path, shots_from: Path | None, wanted: Wanted) -> None:
    if wanted.preferences and wanted.samples < 2:
        raise UsageError("--preferences: a pair takes two candidates; add --samples 4")
    if wanted.keep > wanted.samples:
        raise UsageError(f"--keep {wanted.keep}: there are {wanted.samples} candidates a prompt; raise --samples")
    folder = resolved(out)
    for path in filter(None, (prompts, shots_from)):
        if path.resolve().is_relative_to(folder):
            raise UsageError(f"{path} lies in --out {out}, which is replaced as a whole; name another folder")
    check_folder(out, [*FILES, PROVENANCE])
    check_same_command(out, SCHEMA)


def _useful(read: Sequence[Prompt], exam: Exam, messages: bool, left_out: Counter[str]) -> Iterator[Prompt]:
    """The prompts that may train. `left_out` counts the others."""
    seen: set[str] = set()
    said_by = [[message.content for message in prompt.messages] for prompt in read]
    for prompt, said, leak in zip(read, said_by, leaks(exam, said_by), strict=True):
        if len(prompt.messages) > 1 and not messages:
            raise UsageError(
                f"prompt {prompt.id!r} is a conversation of {len(prompt.messages)} messages; add --messages"
            )
        asks = digest([(message.role, message.content) for message in prompt.messages])
        if leak:
            left_out[leak] += 1
        elif any(map(is_broken, said)):
            left_out["with half a character, which no tokenizer takes"] += 1
        elif asks in seen:
            left_out["the same as an earlier one"] += 1
        else:
            seen.add(asks)
            yield prompt


def _requests(suite: Suite, prompts: Sequence[Prompt], shots: Sequence[Shot], wanted: Wanted) -> list[Request]:
    template = RequestTemplate(wanted.template, TEMPLATE, VARIABLES)
    rubric = suite.rubric.render()
    best = [{"name": one.name, "best": text} for one in suite.rubric.criteria if (text := _best(one))]
    return [
        template.request(
            prompt.id,
            {
                "question": prompt.text,
                "rubric": rubric,
                "best": best,
                "shots": [asdict(shot) for shot in draw(shots, wanted.shots, wanted.seed, prompt.text)],
            },
        )
        for prompt in prompts
    ]


def _best(criterion: Criterion) -> str:
    """What the rubric says of the best answers; nothing where it gives points without words."""
    if criterion.levels:
        return criterion.levels[-1].anchor
    return "; ".join(criterion.additive)


# ---------------------------------------------------------------- what is written


def _provenance(
    taught: Taught, suite: Suite, plan: Plan, to_mark: Plan, wanted: Wanted, sources: Sequence[Path], shots: int
) -> dict[str, Any]:
    """What the folder is made of. Nothing in it tells how often the command was run until it was done."""
    rubric = suite.rubric
    counts = ("prompts", "asked", "candidates", "left_out", "rejected", "missing", "ties", "files")
    return {
        "schema": SCHEMA,
        "made_with": {"sciexam": version("sciexam")},
        "teacher": {"name": taught.teacher, "digest": plan.models[taught.teacher]},
        "judges": [{"name": rater.name, "digest": rater.digest} for rater in to_mark.raters],
        "rubric": {"name": rubric.rubric, "version": rubric.version, "digest": rubric.digest},
        "suite": suite.name,
        "sources": [{"file": str(p), "bytes": p.stat().st_size, "sha256": file_digest(p)} for p in sources],
        "template": RequestTemplate(wanted.template, TEMPLATE, VARIABLES).digest,
        "shots": shots,
        "settings": asdict(wanted),
        **{key: getattr(taught, key) for key in counts},
    }
