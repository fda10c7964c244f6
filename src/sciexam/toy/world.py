"""The phenomena of the toy world: what is true of each, and two things that are not.

A prompt asks for a phenomenon by its id: the phenomenon's own, as in the exam (`p017`), or one behind it (`p017.3`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

from sciexam.digests import digest, file_digest
from sciexam.documents import read_jsonl, shipped
from sciexam.types import Prompt

EXAMPLE, CONCLUSION = "For example, ", "In short, "
PLACES = ("definition", "mechanism", "example", "conclusion")  # the order of the sentences in a document
FALSE = {"mechanism": "false_mechanism", "example": "false_example"}


@dataclass(frozen=True, slots=True)
class Phenomenon:
    """A question of science and its answer: four true sentences, and a false one for two of them."""

    id: str
    category: str
    topic: str
    question: str
    definition: str
    mechanism: str
    example: str
    conclusion: str
    false_mechanism: str
    false_example: str

    @property
    def truths(self) -> dict[str, str]:
        """The four true sentences as they stand in a document, by their places there."""
        return {place: written(place, getattr(self, place)) for place in PLACES}

    @property
    def falsehoods(self) -> dict[str, str]:
        """The false sentences, by the places of the true ones that they stand for."""
        return {place: written(place, getattr(self, false)) for place, false in FALSE.items()}


def written(place: str, text: str) -> str:
    """What is said at a place of a document, with the words that announce it."""
    return {"example": EXAMPLE, "conclusion": CONCLUSION}.get(place, "") + text


@cache
def world() -> dict[str, Phenomenon]:
    """All phenomena by their ids, in the order of `suites/science/phenomena.jsonl`."""
    keys = [field.name for field in fields(Phenomenon)]
    lines = (line for _, line in read_jsonl(_knowledge()))
    return {line["id"]: Phenomenon(**{key: line[key] for key in keys}) for line in lines}


def _knowledge() -> Path:
    return shipped() / "suites" / "science" / "phenomena.jsonl"


@cache
def world_digest() -> str:
    """What raters of this world know, and how they mark: their facts are keyed by it."""
    marking = (Path(__file__).with_name(f"{name}.py") for name in ("world", "documents", "scorer", "annotator"))
    return digest([file_digest(path) for path in (_knowledge(), *marking)])


def phenomenon_of(prompt: Prompt) -> Phenomenon | None:
    """What a prompt asks for; None where it is none of these phenomena."""
    return world().get(prompt.id.partition(".")[0])


def words(text: str) -> list[str]:
    """The words of a text in lower case; `0.1` and `and/or` are one each."""
    return re.findall(r"[a-z0-9]+(?:['./][a-z0-9]+)*", text.lower())
