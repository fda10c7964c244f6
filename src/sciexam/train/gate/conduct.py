"""How a contestant answers, whatever it says: how long, and how often without an end, in loops, or in no language."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sciexam.lineage.stages import Gate
from sciexam.report.record import Answer
from sciexam.train.gate.degenerate import is_gibberish, is_repetitive


@dataclass(frozen=True, slots=True)
class Conduct:
    """`words`: of an answer, on average. `unfinished`, `repetitive`, `gibberish`: shares of the `answers`.

    An answer is unfinished where it was cut off at the limit of tokens, or where no text came of it at all.
    """

    answers: int
    words: float
    unfinished: float
    repetitive: float
    gibberish: float


def conduct_of(answers: Iterable[Answer]) -> Conduct:
    """How these answers are; those that were not asked for do not count."""
    given = [one for one in answers if one.status != "skipped"]
    count = len(given) or 1
    return Conduct(
        answers=len(given),
        words=sum(one.words for one in given) / count,
        unfinished=sum(one.truncated or one.status != "ok" for one in given) / count,
        repetitive=sum(is_repetitive(one.text) for one in given) / count,
        gibberish=sum(is_gibberish(one.text) for one in given) / count,
    )


def length_ratio(own: Conduct, before: Conduct) -> float | None:
    """How many times as long its answers are; None where those of its parent have no word."""
    return own.words / before.words if before.words else None


def faults_of(own: Conduct, before: Conduct, parent: str, gate: Gate) -> Iterator[str]:
    """What of it the gate does not allow, held against its parent, in sentences."""
    ratio = length_ratio(own, before)
    if own.words and (ratio is None or ratio > gate.length):
        yield (
            f"its answers have {own.words:.0f} words, those of {parent} {before.words:.0f}: `length: {gate.length:g}` "
            "times as many are allowed"
        )
    for key, what in _SHARES.items():
        share, theirs, more = (getattr(one, key) for one in (own, before, gate))
        if share > theirs + more + 1e-9:
            yield f"{share:.1%} of its answers {what}, {theirs:.1%} of {parent}'s: `{key}: {more:g}` more is allowed"


_SHARES = {
    "unfinished": "have no end or no text",
    "repetitive": "say one thing over and over",
    "gibberish": "are no text in any language",
}
