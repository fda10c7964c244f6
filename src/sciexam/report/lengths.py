"""How long the answers are, and what the win rates would be were they equally long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sciexam.report.evidence import Evidence
from sciexam.report.scores import Score, distinct
from sciexam.stats import LengthControl, length_controlled

Words = Mapping[tuple[str, str], float]


def words_of(evidence: Evidence) -> dict[tuple[str, str], float]:
    """Mean words of the usable answers of each contestant to each prompt, by (contestant, prompt id)."""
    counts: dict[tuple[str, str], list[int]] = {}
    for (name, prompt, _), response in evidence.responses.items():
        if response.reply.status == "ok":
            counts.setdefault((name, prompt), []).append(len(response.text.split()))
    return {key: sum(listed) / len(listed) for key, listed in counts.items()}


def control_lengths(used: Mapping[tuple[str, str], Sequence[Score]], words: Words, level: float) -> LengthControl:
    """One fit over all pairs (a, b) that one bench judged; `win_rates` holds b's against a."""
    values: list[float] = []
    own: list[float] = []
    other: list[float] = []
    pairs: list[tuple[str, str]] = []
    clusters: list[str] = []
    for (a, b), listed in used.items():
        for s in listed:
            if s.score is not None:
                values.append(s.score)
                own.append(words[b, s.prompt.id])
                other.append(words[a, s.prompt.id])
                pairs.append((a, b))
                clusters.append(s.cluster)
    return length_controlled(values, own, other, pairs, distinct(clusters), level=level)
