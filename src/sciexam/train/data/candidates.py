"""Candidates: what models answer to the prompts of a file, several times each, and the marks that these answers get.

Both are asked for through the exam, so that they are facts in the ledger: killed anywhere, the same call asks only for
what is owed. The seed of an answer comes from what was asked, so that no order of work changes it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sciexam.errors import Incomplete, UsageError
from sciexam.exam.answers import responses_of
from sciexam.exam.bulk import ask, chunks_of
from sciexam.exam.marking import mark, plan_marks
from sciexam.exam.plan import make_plan
from sciexam.exam.runs import opened, terms_of
from sciexam.files import write_atomically
from sciexam.judges.settings import JudgeSpec
from sciexam.lineage.specs import ModelSpec
from sciexam.lineage.stages import Reward, Trained
from sciexam.models.settings import Recorded
from sciexam.models.terms import Terms
from sciexam.prompts import read_prompts
from sciexam.report.marking.marks import of_score, sample_value
from sciexam.store import Store
from sciexam.suite import Suite
from sciexam.train.workshop import Workshop
from sciexam.types import HUMANS, Generation, Prompt, Response


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt and the usable answers to it: of one model after the other, each in the order of its samples."""

    prompt: Prompt
    answers: tuple[Response, ...]


def ended(answer: Response) -> bool:
    """Whether an answer ended by itself, and not at the limit of tokens."""
    return answer.reply.finish_reason != "length"


def answers(
    workshop: Workshop,
    models: Sequence[str],
    prompts: Path,
    n: int,
    temperature: float,
    top_p: float | None = None,
    max_tokens: int | None = None,
) -> list[Asked]:
    """The prompts of a file in its order, each with `n` answers of each of `models`, drawn as it is said here.

    `max_tokens`: None as the suite says. An answer that was cut off is kept (see `ended`); a prompt without any usable
    answer is left out. Both are told. Raises Incomplete where the budget does not suffice.
    """
    asked: dict[str, Any] = {"samples": n, "temperature": temperature, "top_p": top_p}
    asked |= {} if max_tokens is None else {"max_tokens": max_tokens}
    suite = workshop.suite.model_copy(update={"prompts": read_prompts(prompts), "judges": {}})
    suite = suite.with_models({name: _asked_so(suite, name, asked) for name in models})
    found: dict[str, list[Response]] = {prompt.id: [] for prompt in suite.prompts}
    missing: Counter[str] = Counter()
    terms = terms_for(workshop, suite)
    with opened(workshop.store, workshop.results, terms) as ledger:
        for response in (one for name in models for one in _answers_of(workshop, suite, name, ledger, terms)):
            if response.reply.status == "ok":
                found[response.prompt].append(response)
            else:
                missing[f"{response.reply.status}: {response.reply.failure}"] += 1
    kept = [Asked(prompt, tuple(found[prompt.id])) for prompt in suite.prompts if found[prompt.id]]
    workshop.tell(_told(models, prompts, kept, len(suite.prompts), missing))
    if not kept:
        raise UsageError(f"{', '.join(models)}: no prompt of {prompts} has a usable answer: {reasons(missing)}")
    return kept


def _asked_so(suite: Suite, name: str, changed: dict[str, Any]) -> ModelSpec:
    """A model of the suite that is asked as `changed` says."""
    generation = Generation.model_validate(suite.generation_of(name).model_dump() | changed)
    spec: ModelSpec = suite.model(name).model_copy(update={"generation": generation})
    return spec


def _answers_of(workshop: Workshop, suite: Suite, name: str, ledger: Store, terms: Terms) -> Iterator[Response]:
    """What one model answered, after it was asked for all that it owed."""
    plan, opened_models = make_plan(
        suite, [name], [HUMANS], None, "mean", None, "category", None, terms, purpose="answer"
    )
    calls, _ = ask(plan, opened_models, ledger, terms, False, workshop.stop, None, workshop.progress)
    check_asked(calls.unasked)
    for chunk in chunks_of(plan):
        yield from responses_of(chunk, ledger).values()


def _told(models: Sequence[str], prompts: Path, kept: Sequence[Asked], given: int, missing: Counter[str]) -> str:
    drawn = [answer for asked in kept for answer in asked.answers]
    cut_off = sum(not ended(answer) for answer in drawn)
    said = [f"{len(drawn):,} answers of {', '.join(models)} to {len(kept):,} of {given:,} prompts of {prompts.name}"]
    said += [f"{cut_off:,} of them were cut off at the limit of tokens"] if cut_off else []
    said += [f"{missing.total():,} missing ({reasons(missing)})"] if missing else []
    return "; ".join(said)


# ---------------------------------------------------------------- marks


def marks(workshop: Workshop, asked: Sequence[Asked], by: str) -> list[list[float | None]]:
    """The mark of each answer, in the order of `asked` and its answers; None where it has no usable one.

    `by` is a reward model of the lineage, or a judge of the suite that marks answers one by one; the mark is the mean
    of its repeats. Raises UsageError for a judge that only compares, and Incomplete where the budget does not suffice.
    """
    if not asked:
        return []
    with recorded(workshop.suite, asked, marker_of(workshop.suite, by), by) as suite:
        terms = terms_for(workshop, suite)
        plan, models = plan_marks(suite, suite.contestants, [by], None, terms, "grade")
        if len(plan.raters) > 1:
            raters = ", ".join(rater.name for rater in plan.raters)
            raise UsageError(
                f"judge {by!r} is {len(plan.raters)} raters ({raters}), whose marks are on scales of their own"
            )
        with opened(workshop.store, workshop.results, terms) as ledger:
            marking, _ = mark(plan, models, ledger, workshop.stop, None, workshop.progress, False, terms)
    check_asked(marking.calls.unasked)
    grades = marking.marks[0].grades
    missing = Counter(
        f"{one.status}: {one.failure}" for listed in grades.values() for one in listed if one.score is None
    )
    if missing:
        workshop.tell(f"{by}: {missing.total():,} answers have no mark ({reasons(missing)})")
    return [
        [sample_value(grades.get((r.contestant, r.prompt, r.sample), ()), of_score) for r in one.answers]
        for one in asked
    ]


def marker_of(suite: Suite, by: str) -> JudgeSpec:
    """The judge of the suite that is called `by`, or the reward model of the lineage, as a judge."""
    model = suite.models.get(by)
    if model is None or (by in suite.judges and not isinstance(model, Reward)):
        return suite.judge_spec(by)
    return suite.reward_model(by)


def check_judge(suite: Suite, model: str, spec: Trained) -> None:
    """Raises UsageError where nobody of the suite is called as the judge of the stage that makes `model`."""
    for by in spec.judged_by():
        if by != HUMANS and by not in suite.models:
            try:
                suite.judge_spec(by)
            except UsageError as error:
                raise UsageError(f"{model}: judge: {error}") from None


# ---------------------------------------------------------------- how the exam is given them


@contextmanager
def recorded(suite: Suite, asked: Sequence[Asked], judge: JudgeSpec, by: str) -> Iterator[Suite]:
    """The suite of these prompts and answers, with one judge. The models that gave the answers are its contestants.

    Their answers are recorded, so that only the judge is asked. Raises UsageError where one of them would have to
    write the judge's references as well.
    """
    names = list(dict.fromkeys(answer.contestant for one in asked for answer in one.answers))
    if (writer := getattr(judge, "reference", None)) in names:
        raise UsageError(
            f"judge {by!r}: reference: {writer!r} is among those whose answers it judges; name another model"
        )
    most = max(answer.sample for one in asked for answer in one.answers) + 1
    with TemporaryDirectory() as folder:
        models: dict[str, ModelSpec] = {}
        for number, name in enumerate(names):
            path = Path(folder) / f"{number}.jsonl"
            write_atomically(path, answer_lines(asked, name))
            models[name] = Recorded(responses=str(path), generation=Generation(samples=most))
        yield suite.with_models(models).model_copy(
            update={
                "prompts": tuple(one.prompt for one in asked),
                "contestants": tuple(names),
                "judges": {**suite.judges, by: judge},
            }
        )


def answer_lines(asked: Sequence[Asked], name: str) -> Iterator[str]:
    """The answers of one model, as lines of a file of responses."""
    for answer in (answer for one in asked for answer in one.answers if answer.contestant == name):
        line = {"prompt": answer.prompt, "sample": answer.sample, "text": answer.text}
        yield json.dumps(line | {"finish_reason": answer.reply.finish_reason}) + "\n"


def terms_for(workshop: Workshop, suite: Suite) -> Terms:
    """On what terms a stage asks."""
    return terms_of(suite, workshop.max_wait, workshop.budget, engine=workshop.engine)


def check_asked(unasked: str) -> None:
    """Raise Incomplete where something was not asked for: a stage learns from all of it or not at all."""
    if unasked:
        raise Incomplete(f"{unasked} What came back is stored; run the same command to go on")


def reasons(missing: Counter[str]) -> str:
    return ", ".join(f"{count:,} {why}" for why, count in missing.most_common(3)) or "it is empty"
