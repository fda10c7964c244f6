"""What is wrong with a suite, told before any call is made or paid for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sciexam.battles import cluster
from sciexam.documents import read_jsonl
from sciexam.errors import SciexamError
from sciexam.judges import open_judge
from sciexam.judges.settings import EndpointJudge, JudgeSpec
from sciexam.models.recorded import RecordedModel, read_responses
from sciexam.suite import Suite
from sciexam.types import Prompt

SHOWN = 5  # ids or lines that a message lists


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a check: a fault has to be mended, the rest is good to know."""

    text: str
    fault: bool = False


def check(suite: Suite) -> list[Finding]:
    """Look at prompts, recorded answers, judges and training data. Reads files; calls no model."""
    findings = [Finding(f"{len(suite.prompts)} prompts in {_count_categories(suite)}; rubric {suite.rubric.rubric!r}")]
    for part in (_same_text, _answers, _judges, _contamination):
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


def _judges(suite: Suite) -> Iterator[Finding]:
    for name, spec in suite.judges.items():
        try:
            yield Finding(f"judge {name}: {_judge(name, spec, suite)}")
        except SciexamError as error:
            yield from (Finding(line, fault=True) for line in str(error).splitlines())


def _judge(name: str, spec: JudgeSpec, suite: Suite) -> str:
    if isinstance(spec, EndpointJudge):
        from sciexam.judges.rendering import JudgeTemplate

        JudgeTemplate(spec.template, spec.verdict, suite.rubric)
        return f"template {spec.template!r} renders; the endpoint was not called"
    raters = open_judge(name, spec, suite.rubric)
    return "ready" + (f", {len(raters)} raters" if len(raters) > 1 else "")


def _contamination(suite: Suite) -> Iterator[Finding]:
    """Prompts of the exam that stand word for word in training data: case, spacing and punctuation aside."""
    asked = {normalise(prompt.text): prompt.id for prompt in suite.prompts}
    asked.pop("", None)  # a prompt without a word would match every empty line
    for name, spec in suite.models.items():
        for key in ("data", "prompts"):
            path = getattr(spec, key, None)
            if path is None:
                continue
            if not Path(path).is_file():
                yield Finding(f"{name}: {key}: {path}: no such file; its training data were not checked")
                continue
            try:
                found = [(n, asked[t]) for n, line in read_jsonl(Path(path)) for t in _questions(line) if t in asked]
            except SciexamError as error:
                yield from (Finding(line, fault=True) for line in str(error).splitlines())
                continue
            if found:
                shown = ", ".join(f"line {number} is {prompt}" for number, prompt in found[:SHOWN])
                yield Finding(f"{path}: {len(found)} lines train {name} on prompts of the exam: {shown}", fault=True)
            else:
                yield Finding(f"{name}: no prompt of the exam stands in {Path(path).name}")


def _questions(line: dict[str, Any]) -> Iterator[str]:
    """Everything in a training line that may be a question: `prompt`, `text`, `instruction`, and users' messages."""
    for key in ("prompt", "text", "instruction", "question"):
        if isinstance(line.get(key), str):
            yield normalise(line[key])
    for key in ("messages", "prompt"):
        if isinstance(line.get(key), list):
            yield from _users(line[key])


def _users(messages: Iterable[Any]) -> Iterator[str]:
    for message in messages:
        if isinstance(message, dict) and message.get("role") == "user" and isinstance(message.get("content"), str):
            yield normalise(message["content"])


def normalise(text: str) -> str:
    """Lower case, words only, one space between them."""
    return " ".join(re.findall(r"\w+", text.casefold()))
