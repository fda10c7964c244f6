"""How long the answers are, and what the win rates would be were they equally long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from sciexam.report.evidence import Evidence
from sciexam.report.record import LengthBin
from sciexam.report.scores import Score, distinct, values_of
from sciexam.stats import LengthControl, length_controlled, win_rate

Words = Mapping[tuple[str, str], float]
Measured = tuple[float, Score]  # a difference in words, and the score of its prompt

MOST_BINS = 6
FEWEST_IN_BIN = 8  # prompts; fewer have an interval that says nothing


def words_of(evidence: Evidence) -> dict[tuple[str, str], float]:
    """Mean words of the usable answers of each contestant to each prompt, by (contestant, prompt id).

    An answer that no imported file holds has none.
    """
    counts: dict[tuple[str, str], list[int]] = {}
    for (name, prompt, _), response in evidence.responses.items():
        if response.reply.status == "ok" and not response.absent:
            counts.setdefault((name, prompt), []).append(len(response.text.split()))
    return {key: sum(listed) / len(listed) for key, listed in counts.items()}


def measured(used: Iterable[Score], words: Words, a: str, b: str) -> list[Score]:
    """Those of the scores of a pair of which both answers have a length."""
    return [s for s in used if (a, s.prompt.id) in words and (b, s.prompt.id) in words]


def control_lengths(used: Mapping[tuple[str, str], Sequence[Score]], words: Words, level: float) -> LengthControl:
    """One fit over all pairs (a, b) that one bench judged; `win_rates` holds b's against a."""
    values: list[float] = []
    own: list[float] = []
    other: list[float] = []
    pairs: list[tuple[str, str]] = []
    clusters: list[str] = []
    for (a, b), listed in used.items():
        for s in measured(listed, words, a, b):
            if s.score is not None:
                values.append(s.score)
                own.append(words[b, s.prompt.id])
                other.append(words[a, s.prompt.id])
                pairs.append((a, b))
                clusters.append(s.cluster)
    return length_controlled(values, own, other, pairs, distinct(clusters), level=level)


def bins_of(used: Sequence[Score], differences: Sequence[float], level: float) -> tuple[LengthBin, ...]:
    """The win rate of b by how many words more its answers have, in bins of about equally many prompts.

    `differences` are b's words less a's, one for each of `used`. Prompts of equal difference stay together, and a bin
    of fewer than FEWEST_IN_BIN prompts is joined to its neighbour. Empty where there are not two bins by then.
    """
    ordered = sorted(zip(differences, used, strict=True), key=lambda one: one[0])
    bins = _joined(_cut(ordered, min(MOST_BINS, len(ordered) // FEWEST_IN_BIN)))
    return tuple(_bin(one, level) for one in bins) if len(bins) > 1 else ()


def _cut(ordered: Sequence[Measured], bins: int) -> Iterator[Sequence[Measured]]:
    begin = 0
    for place in range(1, bins + 1):
        end = max(begin, round(place * len(ordered) / bins))
        while begin < end < len(ordered) and ordered[end][0] == ordered[end - 1][0]:
            end += 1
        if end > begin:
            yield ordered[begin:end]
        begin = end


def _joined(bins: Iterable[Sequence[Measured]]) -> list[Sequence[Measured]]:
    kept: list[Sequence[Measured]] = []
    for one in bins:
        if kept and min(len(kept[-1]), len(one)) < FEWEST_IN_BIN:
            kept[-1] = [*kept[-1], *one]
        else:
            kept.append(one)
    return kept


def _bin(inside: Sequence[Measured], level: float) -> LengthBin:
    scores = [s for _, s in inside]
    return LengthBin(
        low=inside[0][0],
        high=inside[-1][0],
        difference=sum(difference for difference, _ in inside) / len(inside),
        prompts=len(inside),
        win_rate=win_rate(values_of(scores), distinct(s.cluster for s in scores), level),
    )
