"""One score a prompt, for every pair of contestants and every bench: what all figures of a pair are made of."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sciexam.battles import Battle, cluster
from sciexam.report.evidence import Bench, Evidence
from sciexam.report.record import Figure
from sciexam.report.reliability import Reliability, reliability_of
from sciexam.stats import Undefined, order_consistency
from sciexam.types import Prompt, Status

ONE_ORDER = "no annotator's pair was judged in both orders; repeats are checks, and do not count"
NOT_SHOWN = "two equal texts, which people are not shown"
NOT_RECORDED = "the order was not recorded"
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

    A prompt's score is the mean over the samples and raters that have one (what was adjudicated has one rater); by a
    panel that is weighed by reliability, the mean over the samples of what the raters say together.
    """
    weighed = reliability_of(bench) if bench.weights == "reliability" else None
    battles: dict[tuple[str, str, str], list[Battle]] = defaultdict(list)
    for battle in bench.settled:
        battles[battle.a, battle.b, battle.prompt].append(battle)
    asked = [(prompt, cluster(prompt)) for prompt in evidence.prompts]
    return {
        (a, b): [
            _score(evidence, prompt, label, a, b, battles.get((a, b, prompt.id), []), weighed)
            for prompt, label in asked
        ]
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
    """How often the two orders of a comparison of different texts gave the same winner, or both a tie."""
    if not bench.sees_order:
        return Undefined(NO_ORDER)
    if not bench.order_known:
        return Undefined(NOT_RECORDED)
    both = [(s.cluster, x.by_order) for s in used for x in s.battles if len(x.by_order) == 2 and not x.of_one_text]
    if not both:
        return Undefined(ONE_ORDER if bench.trust == "people" else "no prompt was judged in both orders")
    in_ab, in_ba = [o["ab"] for _, o in both], [o["ba"] for _, o in both]
    return order_consistency(in_ab, in_ba, distinct(label for label, _ in both), level)


def _score(
    evidence: Evidence,
    prompt: Prompt,
    label: str,
    a: str,
    b: str,
    battles: Sequence[Battle],
    weighed: Reliability | Undefined | None,
) -> Score:
    usable = tuple(battle for battle in battles if battle.score is not None)
    if not usable:
        status, failure = _why_none(evidence, prompt, a, b, battles)
        return Score(prompt, label, None, (), status, failure)
    if isinstance(weighed, Undefined):
        return Score(prompt, label, None, (), "skipped", f"no reliability can be estimated: {weighed.why}")
    if weighed is not None:
        return _weighed(weighed, prompt, label, battles, sum(lost_samples(evidence, prompt, a, b).values()))
    total = sum(1 - (battle.score or 0.0) for battle in usable)
    void = sum(battle.status in ("invalid", "failed") for battle in battles)
    missing = void + sum(lost_samples(evidence, prompt, a, b).values())
    whole = len(usable) + missing
    return Score(prompt, label, total / len(usable), usable, low=total / whole, high=(total + missing) / whole)


def _weighed(weighed: Reliability, prompt: Prompt, label: str, battles: Sequence[Battle], lost: int) -> Score:
    """The mean over the samples of b's score by all raters together. Where a rater's verdict on a sample is missing,
    the bounds move by that rater's share in a mean.
    """
    usable = tuple(battle for battle in battles if battle.score is not None)
    there = Counter(battle.sample for battle in usable)
    void = Counter(battle.sample for battle in battles if battle.status in ("invalid", "failed"))
    said = {one.sample: weighed.scores[one.a, one.b, prompt.id, one.sample] for one in usable}
    share = {sample: void[sample] / (void[sample] + there[sample]) for sample in said}
    empty = len(void.keys() - there.keys()) + lost
    whole = len(said) + empty
    low = sum(score * (1 - share[sample]) for sample, score in said.items()) / whole
    high = low + (sum(share.values()) + empty) / whole
    return Score(prompt, label, sum(said.values()) / len(said), usable, low=low, high=high)


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
    if not causes:
        return "skipped", NOT_SHOWN if _of_one_text(evidence, prompt, a, b) else "not judged"
    return min(causes, key=lambda cause: rank.index(cause[0]))


def _of_one_text(evidence: Evidence, prompt: Prompt, a: str, b: str) -> bool:
    """Whether both gave one text in every sample, white space around it aside, where both have an answer in each."""
    given = evidence.responses
    one, other = ([given[name, prompt.id, n].text.strip() for n in range(evidence.samples)] for name in (a, b))
    return one == other
