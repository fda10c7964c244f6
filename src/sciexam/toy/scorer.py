"""The truth: a judge that knows every phenomenon, and that no model is trained to please.

An answer gets up to 0.3 for having the four sentences of an explanation, 0.1 for their order, 0.4 for saying exactly
what is true, and 0.2 for being clean: without filler, without saying anything twice, and with an end.

    judges: {truth: {backend: sciexam.toy.scorer:Truth}}
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise

from sciexam.digests import digest
from sciexam.toy.documents import FILLERS
from sciexam.toy.world import (
    CONCLUSION,
    EXAMPLE,
    FALSE,
    PLACES,
    Phenomenon,
    phenomenon_of,
    words,
    world,
    world_digest,
    written,
)
from sciexam.types import Grade, Presentation, Submission, Verdict

PRESENCE, ORDER, FACTS, CLEANLINESS = 0.3, 0.1, 0.4, 0.2
UNKNOWN = "not a phenomenon of the toy world"


class Truth:
    """Marks an answer by what is known of its phenomenon, in [0, 1]; the higher mark wins a comparison."""

    name = "truth"

    def __init__(self) -> None:
        self.digest = digest(["truth", world_digest()])

    def grade(self, submissions: Iterable[Submission]) -> Iterator[Grade]:
        for one in submissions:
            about = phenomenon_of(one.prompt)
            if about is None:
                yield one.grade(self.name, failure=UNKNOWN)
            else:
                yield one.grade(self.name, Answer(one.text).score(about))

    def judge(self, presentations: Iterable[Presentation]) -> Iterator[Verdict]:
        for one in presentations:
            about = phenomenon_of(one.prompt)
            if about is None:
                yield one.verdict(self.name, failure=UNKNOWN)
            else:
                first, second = (round(Answer(text).score(about), 6) for text in (one.first, one.second))
                yield one.verdict(self.name, "tie" if first == second else "first" if first > second else "second")


@dataclass(frozen=True)
class Answer:
    """A text as a row of sentences."""

    text: str

    @cached_property
    def sentences(self) -> list[str]:
        return [one for one in re.split(r"(?<=[.!?])\s+", self.text.strip()) if words(one)]

    @cached_property
    def places(self) -> list[str | None]:
        """What each sentence is for: known ones are known, the others go by the words that announce them."""
        return [_place(one) for one in self.sentences]

    def score(self, about: Phenomenon) -> float:
        """How good an answer this is to the question of a phenomenon, in [0, 1]."""
        return self.structure() + FACTS * self.facts(about)

    def structure(self) -> float:
        """The part of the score for which nothing has to be known, in [0, 0.6]."""
        return PRESENCE * self.presence() + ORDER * self.order() + CLEANLINESS * self.cleanliness()

    def presence(self) -> float:
        """The share of the four places that are filled; what is announced by no word may be one of the first two."""
        announced = sum(place in self.places for place in PLACES[2:])
        plain = sum(place not in PLACES[2:] and not _is_filler(one) for one, place in self._seen)
        return (announced + min(plain, 2)) / len(PLACES)

    def order(self) -> float:
        """Of neighbours among the sentences whose place is known, the share that stand in order; 0 for fewer than 2."""
        known = [PLACES.index(place) for place in self.places if place]
        pairs = list(pairwise(known))
        return sum(left < right for left, right in pairs) / len(pairs) if pairs else 0.0

    def facts(self, about: Phenomenon) -> float:
        """The share of the four true sentences that stand in the answer word for word."""
        return sum(self.truths(about)) / len(PLACES)

    def truths(self, about: Phenomenon) -> list[bool]:
        """Of each of the four true sentences, whether it stands in the answer word for word."""
        said = {_spelled(one) for one in self.sentences}
        return [_spelled(truth) in said for truth in about.truths.values()]

    def cleanliness(self) -> float:
        """The share of the sentences that are neither filler nor said before; half of it for a text without an end."""
        if not self.sentences:
            return 0.0
        said = {_spelled(one) for one in self.sentences if not _is_filler(one)}
        ended = self.text.rstrip().endswith((".", "!", "?"))
        return (1.0 if ended else 0.5) * len(said) / len(self.sentences)

    @cached_property
    def _seen(self) -> list[tuple[str, str | None]]:
        return list(zip(self.sentences, self.places, strict=True))


def _place(sentence: str) -> str | None:
    if sentence.startswith(EXAMPLE):
        return "example"
    if sentence.startswith(CONCLUSION):
        return "conclusion"
    return _known().get(_spelled(sentence))


@cache
def _known() -> dict[str, str]:
    """Every sentence of the world, true or false, with its place."""
    return {
        _spelled(written(place, getattr(one, key))): place
        for one in world().values()
        for place in PLACES
        for key in (place, FALSE.get(place, place))
    }


@cache
def _fillers() -> frozenset[str]:
    return frozenset(map(_spelled, FILLERS))


def _is_filler(sentence: str) -> bool:
    return _spelled(sentence) in _fillers()


def _spelled(sentence: str) -> str:
    """A sentence without case and marks."""
    return " ".join(words(sentence))
