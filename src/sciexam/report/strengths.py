"""How strongly a judge preferred one answer, counted verdict by verdict."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from sciexam.battles import STRENGTH
from sciexam.report.evidence import Bench
from sciexam.report.record import StrengthCount
from sciexam.report.scores import Score, distinct
from sciexam.stats import mean

Said = tuple[str, str, int, str | None, int]  # rater, prompt, sample, who is preferred (None for a tie), how strongly
DEGREES = range(-3, 4)


def said_of(bench: Bench) -> dict[frozenset[str], list[Said]]:
    """By pair of contestants the usable verdicts that have a strength or are a tie; empty without any strength."""
    said: dict[frozenset[str], list[Said]] = defaultdict(list)
    strong = False
    for presentation, verdict in bench.verdicts:
        if verdict.status != "ok" or not (verdict.strength or verdict.preferred == "tie"):
            continue
        strong = strong or verdict.strength is not None
        names = {"first": verdict.first, "second": verdict.second}
        who = names.get(verdict.preferred or "tie")
        degree = int(STRENGTH[verdict.strength]) if who and verdict.strength else 0
        pair = frozenset((verdict.first, verdict.second))
        said[pair].append((verdict.rater, verdict.prompt, presentation.sample, who, degree))
    return said if strong else {}


def strengths_of(said: Sequence[Said], b: str, used: Sequence[Score], level: float) -> tuple[StrengthCount, ...]:
    """How many verdicts of those that count in `used` are of each strength, towards b; empty where there are none."""
    counted = {(battle.rater, battle.prompt, battle.sample) for s in used for battle in s.battles}
    by_prompt: dict[str, Counter[int]] = defaultdict(Counter)
    for rater, prompt, sample, who, degree in said:
        if (rater, prompt, sample) in counted:
            by_prompt[prompt][degree if who == b else -degree] += 1
    kept = [(s.cluster, by_prompt[s.prompt.id]) for s in used if s.prompt.id in by_prompt]
    if not kept:
        return ()
    clusters = distinct(label for label, _ in kept)
    return tuple(
        StrengthCount(
            preference=degree,
            verdicts=sum(counts[degree] for _, counts in kept),
            share=mean([counts[degree] / counts.total() for _, counts in kept], clusters, level, low=0.0, high=1.0),
        )
        for degree in DEGREES
    )
