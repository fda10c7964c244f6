"""A simulated annotator, who is neither the truth nor a reward model: reads for words, and is not always attentive.

To an annotator an answer is worth up to 0.6 for how many of the phenomenon's words it has, and 0.2 each for an example
and a conclusion that are announced, less what words take away that only false sentences have; and a noise of the
annotator's own, which is the same whenever the same text is shown. Order, filler, repetition and exact truth are not
seen.

    judges: {ann: {backend: sciexam.toy.annotator:Annotator, settings: {seed: 1, noise: 0.1}}}
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from random import Random

from sciexam.digests import digest
from sciexam.toy.scorer import UNKNOWN
from sciexam.toy.world import CONCLUSION, EXAMPLE, Phenomenon, phenomenon_of, words, world, world_digest
from sciexam.types import Grade, Presentation, Prompt, Submission, Verdict

WORDS, ANNOUNCED = 0.6, 0.2  # for all true words; for each of the two parts that are announced
FALSE_WORDS = 0.3  # what all the words of the falsehoods take away


class Annotator:
    """Annotator number `seed`; `noise` is the standard deviation of what an answer is worth, which is about in [0, 1].

    Two answers that are worth the same within `tie_within` are a tie.
    """

    def __init__(self, seed: int, noise: float = 0.1, tie_within: float = 0.02):
        self.name = f"annotator {seed}"
        self.digest = digest(["annotator", seed, noise, tie_within, world_digest()])
        self._seed, self._noise, self._tie_within = seed, noise, tie_within

    def grade(self, submissions: Iterable[Submission]) -> Iterator[Grade]:
        for one in submissions:
            worth = self.worth(one.prompt, one.text)
            if worth is None:
                yield one.grade(self.name, failure=UNKNOWN)
            else:
                yield one.grade(self.name, worth)

    def judge(self, presentations: Iterable[Presentation]) -> Iterator[Verdict]:
        for one in presentations:
            first, second = (self.worth(one.prompt, text) for text in (one.first, one.second))
            if first is None or second is None:
                yield one.verdict(self.name, failure=UNKNOWN)
            elif abs(first - second) <= self._tie_within:
                yield one.verdict(self.name, "tie")
            else:
                yield one.verdict(self.name, "first" if first > second else "second")

    def worth(self, prompt: Prompt, text: str) -> float | None:
        """What an answer is worth to this annotator; None where nothing is known of its prompt."""
        about = phenomenon_of(prompt)
        if about is None:
            return None
        noise = Random(f"{self._seed}\n{prompt.id}\n{text}").gauss(0, self._noise)  # noqa: S311
        return _reading(about.id, text) + noise


def _reading(identity: str, text: str) -> float:
    """What anybody finds who reads for words, in [-0.3, 1]."""
    true, false = _vocabulary(identity)
    said = set(words(text))
    announced = sum(announcing in text for announcing in (EXAMPLE, CONCLUSION))
    known, wrong = len(said & true) / len(true), len(said & false) / len(false)
    return WORDS * known + ANNOUNCED * announced - FALSE_WORDS * wrong


@cache
def _vocabulary(identity: str) -> tuple[frozenset[str], frozenset[str]]:
    """The words of the true sentences, and those that only the false ones have."""
    one: Phenomenon = world()[identity]
    true = frozenset(words(" ".join((one.definition, one.mechanism, one.example, one.conclusion))))
    return true, frozenset(words(" ".join((one.false_mechanism, one.false_example)))) - true
