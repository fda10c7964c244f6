"""The offline judge: a weighted mean of text measures, the same on every run and on every machine.

It judges the form of an explanation, never its truth: a baseline that a real judge has to beat (docs/measures.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from importlib.metadata import version

from sciexam.digests import digest
from sciexam.errors import UsageError, did_you_mean
from sciexam.judges.text_measures import MEASURES, VERSION
from sciexam.types import Kind, Presentation, Side, Strength, Verdict

THRESHOLD = 0.02  # a smaller difference of the totals is a tie
CLEAR, STRONG = 0.06, 0.15  # from these differences on a preference is clear, strong; below it is slight
EMPTY = "an empty answer loses against any other"


class Measures:
    """Each text is scored by itself, so the order it is shown in cannot matter and a swap mirrors the verdict."""

    kind: Kind = "judge"
    sees_order = False

    def __init__(self, name: str, criteria: Sequence[tuple[str, str, float]], threshold: float = THRESHOLD):
        """`criteria`: (criterion, measure, weight) each; weights need no common sum.

        `threshold`: totals (in [0, 1]) that differ by less are a tie. Raises UsageError for a measure that does not
        exist, a negative weight, no positive weight, or a threshold outside [0, 1).
        """
        self.name = name
        self.criteria = tuple((criterion, measure, float(weight)) for criterion, measure, weight in criteria)
        self.threshold = threshold
        for criterion, measure, weight in self.criteria:
            if measure not in MEASURES:
                raise UsageError(
                    f"judge {name}: criterion {criterion!r} asks for an unknown measure {measure!r}"
                    f"{did_you_mean(measure, MEASURES)}"
                )
            if not (math.isfinite(weight) and weight >= 0):
                raise UsageError(f"judge {name}: criterion {criterion!r} has the weight {weight}; give 0 or more")
        self._total_weight = math.fsum(weight for _, _, weight in self.criteria)
        if self._total_weight <= 0:
            raise UsageError(
                f"judge {name}: no criterion with a measure and a positive weight; add `measure:` to a criterion of "
                f"the rubric (one of {', '.join(MEASURES)})"
            )
        if not 0 <= threshold < 1:
            raise UsageError(f"judge {name}: the threshold must be at least 0 and less than 1, not {threshold}")
        self.digest = digest(
            {
                "judge": "measures",
                "version": VERSION,
                "pyphen": version("pyphen"),  # its hyphenation patterns decide the syllables
                "criteria": self.criteria,
                "threshold": float(threshold),
                "strengths": (CLEAR, STRONG),
            }
        )
        self._scored = lru_cache(maxsize=4096)(self._score)

    def judge(self, presentations: Iterable[Presentation]) -> Iterator[Verdict]:
        """Yield one verdict for each presentation, in the order they come."""
        for p in presentations:
            yield self._verdict(p)

    def scores(self, prompt_text: str, answer: str) -> tuple[float, ...]:
        """The values of `criteria` in their order, then the total, which is their weighted mean; all in [0, 1]."""
        return self._scored(prompt_text, answer)

    def _score(self, prompt_text: str, answer: str) -> tuple[float, ...]:
        values = [MEASURES[measure](prompt_text, answer) for _, measure, _ in self.criteria]
        weighted = math.fsum(v * weight for v, (_, _, weight) in zip(values, self.criteria, strict=True))
        return *values, weighted / self._total_weight

    def _verdict(self, p: Presentation) -> Verdict:
        empty = not p.first.strip(), not p.second.strip()
        if empty[0] != empty[1]:
            return p.verdict(
                rater=self.name, preferred="second" if empty[0] else "first", strength="strong", reason=EMPTY
            )
        first, second = self.scores(p.prompt.text, p.first), self.scores(p.prompt.text, p.second)
        preferred, strength = self._preference(first[-1], second[-1])
        names = [criterion for criterion, _, _ in self.criteria]
        shown = [f"{n} {a:.2f} / {b:.2f}" for n, a, b in zip([*names, "total"], first, second, strict=True)]
        reason = f"{', '.join(shown[:-1])}; {shown[-1]}"
        return p.verdict(rater=self.name, preferred=preferred, strength=strength, reason=reason)

    def _preference(self, first: float, second: float) -> tuple[Side, Strength | None]:
        gap = abs(second - first)
        if gap == 0 or gap < self.threshold:
            return "tie", None
        strength: Strength = "strong" if gap >= STRONG else "clear" if gap >= CLEAR else "slight"
        return "second" if second > first else "first", strength
