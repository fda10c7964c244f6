"""A simulated annotator on a scale of four points: one of the two is slightly or much better, and there is no tie.

judges: {ann: {backend: "sciexam.toy.four_point:FourPoint", settings: {seed: 1, noise: 0.1}}}
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sciexam.digests import digest
from sciexam.toy.annotator import Annotator
from sciexam.toy.scorer import UNKNOWN
from sciexam.types import Presentation, Strength, Verdict


class FourPoint(Annotator):
    """Annotator number `seed`, to whom an answer is much better that is worth more by above `much`."""

    def __init__(self, seed: int, noise: float = 0.1, much: float = 0.2):
        super().__init__(seed, noise)
        self.digest = digest(["four points", self.digest, much])
        self._much = much

    def judge(self, presentations: Iterable[Presentation]) -> Iterator[Verdict]:
        for one in presentations:
            first, second = (self.worth(one.prompt, text) for text in (one.first, one.second))
            if first is None or second is None:
                yield one.verdict(self.name, failure=UNKNOWN)
            else:
                strength: Strength = "strong" if abs(first - second) > self._much else "slight"
                yield one.verdict(self.name, "first" if first > second else "second", strength=strength)
