"""Prompts of the exam that stand word for word in the data that models were trained on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sciexam import lineage
from sciexam.documents import read_jsonl
from sciexam.lineage.specs import ModelSpec
from sciexam.types import Prompt

LONG_WORDS = 4  # a prompt of more words than this is also looked for inside longer texts


@dataclass(frozen=True, slots=True)
class TrainingFile:
    """A file that a stage of training read: `key` says what as, `data` or `prompts`."""

    model: str
    key: str
    path: Path


def training_files(models: Mapping[str, ModelSpec], names: Sequence[str] = ()) -> Iterator[TrainingFile]:
    """What trained `names` and all that they descend from; without names, all models."""
    for name in ancestry(models, names) if names else models:
        for key, path in lineage.training_files(models[name]):
            yield TrainingFile(name, key, path)


def ancestry(models: Mapping[str, ModelSpec], names: Sequence[str]) -> list[str]:
    """`names` and everything that they are made from, reward models too; each once."""
    found: dict[str, None] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = None
            waiting += lineage.parents(models[name])
    return [name for name in models if name in found]


class Exam:
    """The prompts that are looked for: case, spacing and punctuation aside. `texts`: as they are asked."""

    def __init__(self, prompts: Sequence[Prompt]):
        self.texts = tuple(prompt.messages[-1].content for prompt in prompts)
        self._asked = {normalise(text): prompt.id for text, prompt in zip(self.texts, prompts, strict=True)}
        self._asked.pop("", None)  # a prompt without a word would match every empty line

    def found_in(self, path: Path) -> list[tuple[int, str]]:
        """(line, id of a prompt that stands in it) of a JSON Lines file. Raises DocumentError for a faulty one."""
        return [(number, hit) for number, line in read_jsonl(path) if (hit := self.asked_in(line))]

    @cached_property
    def _by_word(self) -> dict[str, list[str]]:
        """The long prompts by the longest of their words: a text without that word cannot hold them."""
        found: dict[str, list[str]] = {}
        for question in self._asked:
            if question.count(" ") >= LONG_WORDS:
                found.setdefault(max(question.split(), key=len), []).append(question)
        return found

    def asked_in(self, line: Any) -> str | None:
        """The id of a prompt that stands in a line, in whatever field; short prompts must be the whole of one."""
        for text in map(normalise, _strings(line)):
            if text in self._asked:
                return self._asked[text]
            padded = f" {text} "
            for word in self._by_word.keys() & set(text.split()):
                for question in self._by_word[word]:
                    if f" {question} " in padded:
                        return self._asked[question]
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
