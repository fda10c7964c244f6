"""Every prompt of a report side by side: what was answered, what was said of it, and what came of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import product

from sciexam.prompts import field_of
from sciexam.report.evidence import Evidence
from sciexam.report.record import Answer, Item, Opinion, Outcome
from sciexam.report.scores import Score
from sciexam.stats.sides import side_of
from sciexam.types import Presentation, Response, Verdict


def items_of(evidence: Evidence, by_bench: Mapping[str, Mapping[tuple[str, str], Sequence[Score]]]) -> Iterable[Item]:
    """Every prompt with what was answered, what was said, and what it says of each pair by each bench."""
    outcomes: dict[str, list[Outcome]] = {prompt.id: [] for prompt in evidence.prompts}
    for (a, b), name in product(evidence.pairs, by_bench):
        for score in by_bench[name][a, b]:
            outcomes[score.prompt.id].append(_outcome(name, a, b, score))
    opinions: dict[str, list[Opinion]] = {prompt.id: [] for prompt in evidence.prompts}
    for bench in evidence.benches:
        for presentation, verdict in bench.verdicts:
            if verdict.status != "skipped":
                opinions[verdict.prompt].append(_opinion(bench.name, presentation, verdict))
    for prompt in evidence.prompts:
        answers = (
            _answer(response)
            for name in evidence.contestants
            for sample in range(evidence.samples)
            if (response := evidence.responses.get((name, prompt.id, sample)))
        )
        yield Item(
            prompt=prompt.id,
            text=prompt.text,
            category=field_of(prompt, evidence.by),
            reference=prompt.reference,
            answers=tuple(answers),
            opinions=tuple(opinions[prompt.id]),
            outcomes=tuple(outcomes[prompt.id]),
        )


def _outcome(bench: str, a: str, b: str, score: Score) -> Outcome:
    by_rater: dict[str, list[float]] = defaultdict(list)
    for battle in score.battles:
        by_rater[battle.rater].append(battle.score or 0.0)
    sides = {side_of(sum(values) / len(values)) for values in by_rater.values()}
    both = [x for x in score.battles if len(x.by_order) == 2 and not x.of_one_text]
    twice = [len(set(map(side_of, x.by_order.values()))) == 1 for x in both]
    return Outcome(
        judge=bench,
        a=a,
        b=b,
        score=score.score,
        status=score.status,
        orders_agree=all(twice) if twice else None,
        raters_agree=len(sides) == 1 if len(by_rater) > 1 else None,
    )


def _answer(response: Response) -> Answer:
    reply = response.reply
    return Answer(
        contestant=response.contestant,
        sample=response.sample,
        text=reply.text,
        words=len(reply.text.split()),
        status=reply.status,
        failure=reply.failure,
        truncated=reply.finish_reason == "length",
    )


def _opinion(bench: str, presentation: Presentation, verdict: Verdict) -> Opinion:
    names = {"first": verdict.first, "second": verdict.second, "tie": "tie"}
    return Opinion(
        judge=bench,
        rater=verdict.rater,
        first=verdict.first,
        second=verdict.second,
        sample=presentation.sample,
        preferred=names[verdict.preferred] if verdict.preferred else None,
        strength=verdict.strength,
        probability_second=verdict.probability_second,
        reason=verdict.reason,
        status=verdict.status,
        failure=verdict.failure,
    )
