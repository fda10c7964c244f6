"""One score a prompt, for every pair of contestants and every bench: what all figures of a pair are made of."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sciexam.battles import Battle, cluster
from sciexam.report.evidence import Bench, Evidence
from sciexam.report.record import Figure
from sciexam.stats import Undefined, order_consistency
from sciexam.types import Prompt, Status

NO_ORDER = "this judge scores each answer by itself and cannot see the order"


@dataclass(frozen=True, slots=True)
class Score:
    """One prompt's outcome for one pair and bench: b's score, or why there is none.

    `low` and `high` are the score were all that is missing of it (a sample, a rater) lost, or won.
    """

    prompt: Prompt
    cluster: str
    score: float | None
    battles: tuple[Battle, ...]
    status: Status = "ok"
    failure: str = ""
    low: float = 0.0
    high: float = 1.0


def scores_of(evidence: Evidence, bench: Bench) -> dict[tuple[str, str], list[Score]]:
    """For each pair of contestants the score of its second one on each planned prompt.

    A prompt's score is the mean over the samples and raters that have one.
    """
    battles: dict[tuple[str, str, str], list[Battle]] = defaultdict(list)
    for battle in bench.battles:
        battles[battle.a, battle.b, battle.prompt].append(battle)
    asked = [(prompt, cluster(prompt)) for prompt in evidence.prompts]
    return {
        (a, b): [_score(evidence, prompt, label, a, b, battles.get((a, b, prompt.id), [])) for prompt, label in asked]
        for a, b in evidence.pairs
    }


def used_of(scores: Iterable[Score]) -> list[Score]:
    """Those that have a score."""
    return [s for s in scores if s.score is not None]


def values_of(used: Iterable[Score]) -> list[float]:
    """The scores as numbers."""
    return [s.score for s in used if s.score is not None]


def distinct(clusters: Iterable[str]) -> list[str] | None:
    """The clusters as statistics take them: None where every value is its own."""
    listed = list(clusters)
    return listed if len(set(listed)) < len(listed) else None


def consistency_of(bench: Bench, used: Iterable[Score], level: float) -> Figure:
    """How often the two orders of a comparison gave the same winner, or both a tie."""
    if not bench.sees_order:
        return Undefined(NO_ORDER)
    both = [(s.cluster, x.by_order) for s in used for x in s.battles if len(x.by_order) == 2]
    if not both:
        return Undefined("no prompt was judged in both orders")
    in_ab, in_ba = [o["ab"] for _, o in both], [o["ba"] for _, o in both]
    return order_consistency(in_ab, in_ba, distinct(label for label, _ in both), level)


def _score(evidence: Evidence, prompt: Prompt, label: str, a: str, b: str, battles: Sequence[Battle]) -> Score:
    usable = tuple(battle for battle in battles if battle.score is not None)
    if not usable:
        status, failure = _why_none(evidence, prompt, a, b, battles)
        return Score(prompt, label, None, (), status, failure)
    total = sum(1 - (battle.score or 0.0) for battle in usable)
    void = sum(battle.status in ("invalid", "failed") for battle in battles)
    missing = void + sum(lost_samples(evidence, prompt, a, b).values())
    whole = len(usable) + missing
    return Score(prompt, label, total / len(usable), usable, low=total / whole, high=(total + missing) / whole)


def lost_samples(evidence: Evidence, prompt: Prompt, a: str, b: str) -> Counter[str]:
    """Samples of a prompt that could not be compared because a call failed, or a reply was unusable."""
    lost: Counter[str] = Counter()
    for sample in range(evidence.samples):
        both = [evidence.responses.get((name, prompt.id, sample)) for name in (a, b)]
        statuses = [response.reply.status for response in both if response is not None]
        if worst := next((status for status in ("failed", "invalid") if status in statuses), None):
            lost[worst] += 1
    return lost


def _why_none(evidence: Evidence, prompt: Prompt, a: str, b: str, battles: Sequence[Battle]) -> tuple[Status, str]:
    """Of all that stood in the way the gravest: failed, then invalid, then skipped."""
    causes: list[tuple[Status, str]] = [(battle.status, battle.failure) for battle in battles]
    for contestant in (a, b):
        for sample in range(evidence.samples):
            response = evidence.responses.get((contestant, prompt.id, sample))
            if response is None:
                causes.append(("failed", f"no response of {contestant}"))
            elif response.reply.status != "ok":
                causes.append((response.reply.status, f"{contestant}: {response.reply.failure}"))
    rank = ("failed", "invalid", "skipped")
    return min(causes, key=lambda cause: rank.index(cause[0]), default=("skipped", "not judged"))
