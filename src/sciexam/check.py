"""What is wrong with a suite, told before any call is made or paid for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sciexam.battles import cluster
from sciexam.documents import read_jsonl
from sciexam.errors import SciexamError, did_you_mean
from sciexam.judges import compares_by_grades, open_grader, open_judge
from sciexam.judges.settings import CascadeJudge, PanelJudge
from sciexam.models import check_ready, open_model
from sciexam.models.recorded import RecordedModel, read_responses
from sciexam.suite import Suite
from sciexam.types import Prompt

SHOWN = 5  # ids or lines that a message lists
LONG_WORDS = 4  # a prompt of more words than this is also looked for inside longer texts


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a check: a fault has to be mended, what is unchecked may hide one, the rest is good to know."""

    text: str
    fault: bool = False
    unchecked: bool = False


def check(suite: Suite) -> list[Finding]:
    """Look at prompts, recorded answers, judges and training data. Reads files; calls no model."""
    findings = [Finding(f"{len(suite.prompts)} prompts in {_count_categories(suite)}; rubric {suite.rubric.rubric!r}")]
    for part in (_same_text, _answers, _contestants, _judges, _prices, _contamination):
        try:
            findings += part(suite)
        except SciexamError as error:
            findings += [Finding(line, fault=True) for line in str(error).splitlines()]
    return findings


def _count_categories(suite: Suite) -> str:
    count = len({prompt.category for prompt in suite.prompts} - {None})
    return f"{count} categor{'y' if count == 1 else 'ies'}"


def _same_text(suite: Suite) -> Iterator[Finding]:
    first: dict[str, Prompt] = {}
    for prompt in suite.prompts:
        earlier = first.setdefault(normalise(prompt.text) or prompt.text, prompt)
        if earlier is prompt:
            continue
        if cluster(earlier) == cluster(prompt):
            as_units = "they count as one in every interval"
        else:
            as_units = "give them one `group`, or they count as two independent prompts"
        yield Finding(f"prompts {earlier.id!r} and {prompt.id!r} ask the same; {as_units}")


def _answers(suite: Suite) -> Iterator[Finding]:
    for name, spec in suite.models.items():
        path = getattr(spec, "responses", None)
        if path is None:
            continue
        try:
            lines = read_responses(Path(path))
        except SciexamError as error:
            yield from (Finding(line, fault=True) for line in str(error).splitlines())
            continue
        answered = {prompt for prompt, _ in lines}
        missing = [p.id for p in suite.prompts if p.id not in answered and p.messages[-1].content not in answered]
        yield Finding(f"{name}: {len(suite.prompts) - len(missing)} of {len(suite.prompts)} prompts have an answer")
        if unmatched := RecordedModel(Path(path)).unmatched(suite.prompts):
            shown = ", ".join(repr(one[:40]) for one in unmatched[:SHOWN])
            yield Finding(f"{path}: {len(unmatched)} answers match no prompt: {shown}", fault=True)


def _contestants(suite: Suite) -> Iterator[Finding]:
    """Open every contestant that is no file of answers, as `compare` would, and ask it nothing."""
    for name in suite.contestants:
        spec = suite.models[name]
        if getattr(spec, "responses", None) is not None:
            continue
        try:
            check_ready(open_model(name, spec, suite.generation_of(name)))
            yield Finding(f"{name}: ready; it was not called")
        except SciexamError as error:
            yield from (Finding(f"{name}: {line}", fault=True) for line in str(error).splitlines())


def _judges(suite: Suite) -> Iterator[Finding]:
    for name, spec in suite.judges.items():
        if isinstance(spec, (PanelJudge, CascadeJudge)):
            yield Finding(f"judge {name}: a {spec.backend} of {', '.join(spec.judges)}")
            continue
        try:
            raters = [*(open_grader if compares_by_grades(spec) else open_judge)(name, spec, suite.rubric)]
            for rater in raters:
                check_ready(rater)
            if (reference := getattr(spec, "reference", None)) is not None:
                check_ready(open_model(reference, suite.model(reference), suite.generation_of(reference)))
            yield Finding(f"judge {name}: ready" + (f", {len(raters)} raters" if len(raters) > 1 else ""))
        except SciexamError as error:
            yield from (Finding(f"judge {name}: {line}", fault=True) for line in str(error).splitlines())


def _prices(suite: Suite) -> Iterator[Finding]:
    """Prices of models that nobody here asks: most likely misspelt."""
    asked = {spec.model for spec in (*suite.models.values(), *suite.judges.values()) if hasattr(spec, "model")}
    for name in suite.prices.keys() - asked:
        yield Finding(f"prices: {name!r} is the model of nobody here{did_you_mean(name, asked)}", fault=True)


def _contamination(suite: Suite) -> Iterator[Finding]:
    """Prompts of the exam that stand word for word in training data: case, spacing and punctuation aside."""
    asked = {normalise(prompt.messages[-1].content): prompt.id for prompt in suite.prompts}
    asked.pop("", None)  # a prompt without a word would match every empty line
    for name, spec in suite.models.items():
        for key in ("data", "prompts"):
            if (path := getattr(spec, key, None)) is None:
                continue
            if not Path(path).is_file():
                yield Finding(
                    f"{name}: {key}: {path}: no such file; its training data were not checked", unchecked=True
                )
                continue
            try:
                found = [(n, hit) for n, line in read_jsonl(Path(path)) if (hit := _first_asked(line, asked))]
            except SciexamError as error:
                yield from (Finding(line, fault=True) for line in str(error).splitlines())
                continue
            if found:
                shown = ", ".join(f"line {number} holds {prompt}" for number, prompt in found[:SHOWN])
                yield Finding(f"{path}: {len(found)} lines train {name} on prompts of the exam: {shown}", fault=True)
            else:
                yield Finding(f"{name}: no prompt of the exam stands word for word in {Path(path).name}")


def _first_asked(line: Any, asked: Mapping[str, str]) -> str | None:
    """The id of a prompt that stands in a training line, in whatever field; short prompts must be the whole of it."""
    for text in map(normalise, _strings(line)):
        if text in asked:
            return asked[text]
        padded = f" {text} "
        for question, prompt in asked.items():
            if question.count(" ") >= LONG_WORDS and f" {question} " in padded:
                return prompt
    return None


def _strings(value: Any) -> Iterator[str]:
    """Every string in a JSON value: the formats of training data differ, and a question may stand in any field."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def normalise(text: str) -> str:
    """Lower case, words only, one space between them."""
    return " ".join(re.findall(r"\w+", text.casefold()))
